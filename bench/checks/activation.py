"""Every activation and its slope, on a fixed grid and at points of the seed, by every route to it.

The truth is the formula, with the bound of rounding that follows from it; beyond +-1e4 it is the
asymptote, which is then exact. Where TensorFlow is known to do otherwise in every release from 2.12
to 2.21, :data:`KNOWN` and :data:`BRANCH_AT_NAN` say what and why. That is checked like everything
else, so a release that mends it shows.

Arrays are run in several lengths, because vectorized kernels handle the last entries of an array by
other code: one has every point of the grid at every offset from 0 to 15, the others hold the special
points and are shorter than one, and longer than two, vectors of AVX-512.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bench.cells import initial_values
from bench.cells.cell import ACTIVATIONS
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Check, Deviation
from bench.theory.activations import ACTIVATION, LEAKY_SLOPE, SELU_BELOW, SELU_SCALE, Activation
from bench.theory.oracle.choices import either
from bench.theory.rounding.arrays import Bounded, decide, erf
from bench.theory.rounding.deviation import deviation
from bench.theory.rounding.formats import FLOAT32, FLOAT64, Format

FAMILY = "activation"
Array = npt.NDArray[Any]

#: Size beyond which an activation is its asymptote: what is left is below exp(-1e4).
FAR = 1e4
#: Slope below 0 of ``keras.activations.leaky_relu`` and ``tf.nn.leaky_relu``, not of the layer.
FUNCTION_LEAKY_SLOPE = 0.2
#: Points drawn from a check's seed: normal with this standard deviation.
DRAWN, SPREAD = 256, 4.0
#: Vectors of AVX-512 hold 16 floats: every point of the grid comes at as many offsets.
LANES = 16
#: Leaves 15, 7 and 3 entries behind whole vectors of 16, 8 and 4.
RAGGED = 47


@dataclass(frozen=True)
class Asymptotes:
    """An activation is ``slope * x + offset`` far out, below and above 0."""

    below: tuple[float, float]
    above: tuple[float, float]


ASYMPTOTES: Mapping[str, Asymptotes] = {
    "relu": Asymptotes((0.0, 0.0), (1.0, 0.0)),
    "leaky_relu": Asymptotes((LEAKY_SLOPE, 0.0), (1.0, 0.0)),
    "elu": Asymptotes((0.0, -1.0), (1.0, 0.0)),
    "selu": Asymptotes((0.0, -SELU_BELOW), (SELU_SCALE, 0.0)),
    "gelu": Asymptotes((0.0, 0.0), (1.0, 0.0)),
    "silu": Asymptotes((0.0, 0.0), (1.0, 0.0)),
    "tanh": Asymptotes((0.0, -1.0), (0.0, 1.0)),
    "sigmoid": Asymptotes((0.0, 0.0), (0.0, 1.0)),
    "softplus": Asymptotes((0.0, 0.0), (1.0, 0.0)),
}

_PRODUCT = "TensorFlow multiplies an infinity by the factor that goes to 0; the limit is {limit}"
#: (activation, tensor, point) -> what TensorFlow gives instead of the limit, and why.
KNOWN: Mapping[tuple[str, str, float], tuple[float, str]] = {
    (name, tensor, point): (np.nan, _PRODUCT.format(limit=limit))
    for name in ("gelu", "silu")
    for tensor, point, limit in (
        ("value", -np.inf, 0.0),
        ("slope", -np.inf, 0.0),
        ("slope", np.inf, 1.0),
    )
}

#: Slope at NaN of the activations that have branches: a comparison with NaN is false, so relu and
#: leaky relu, which ask for x > 0, take the lower branch (leaky relu's slope depends on the route); elu
#: and selu, which ask for phi(x) < 0, the upper. All others' slopes are NaN at NaN, and all values.
BRANCH_AT_NAN: Mapping[str, float] = {"relu": 0.0, "elu": 1.0, "selu": SELU_SCALE}


def checks(tier: str) -> list[Check]:
    """Every activation in float32 and float64; from ``standard`` on in bfloat16 too."""
    precisions = ("float32", "float64", *(() if tier == "quick" else ("mixed_bfloat16",)))
    return [
        Check(family=FAMILY, subject=f"act:{name}", precision=precision)
        for precision in precisions
        for name in ACTIVATIONS
    ]


def run(check: Check, lab: Lab) -> Iterator[Deviation]:
    """Compares one activation, by every route and in every mode."""
    from bench.nets import parts

    name = check.axes["act"]
    form = lab.form(check.precision)
    arrays = inputs(form, check.seed)
    compared = 0
    for route in parts.ROUTES:
        function = parts.activation(name, route, dtype=check.precision)
        if function is None:  # Keras 2 has no function of every activation
            continue
        truths = {key: expected(name, route, x, form) for key, x in arrays.items()}
        for mode in parts.MODES:
            compute = parts.value_and_slope(function, mode, dtype=form.name)
            for key, x in arrays.items():
                got = dict(zip(("value", "slope"), compute(x), strict=True))
                for tensor, found in got.items():
                    compared += 1
                    label = f"{route}, {mode}, {key}: {tensor}"
                    truth = truths[key][tensor]
                    yield _compared(label, name, tensor, x, lab.seen(found), truth)
    if not compared:
        raise AbsentError(f"this TensorFlow has no {name}")


def grid(form: Format) -> Array:
    """The fixed points, float64 values of the format: an odd number of them."""
    size = [
        *(form.smallest / 4, form.smallest, 2.0 * form.smallest, 1e-30, 1e-20, 1e-10, 1e-8, 1e-7),
        *(1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        *(1.0 - form.roundoff, 1.0, 1.0 + 2.0 * form.roundoff, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0),
        *(3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 13.5, 14.0, 15.0, 16.0, 17.0, 18.0),
        *(20.0, 25.0, 33.0, 35.0, 40.0, 60.0, 80.0, 87.0, 88.0, 89.0, 90.0, 103.0, 104.0, 200.0),
        *(700.0, 709.0, 710.0, 745.0, 746.0, 1e3, 1e4, 1e5, 1e10, 1e20, 1e30, form.largest, np.inf),
    ]
    points = np.concatenate([[0.0, -0.0, np.nan], size, np.negative(size)])
    return _held(points, form)


def special(form: Format) -> Array:
    """Eleven points that go wrong first."""
    low, high, last = form.smallest, 1e30, form.largest
    points = [0.0, -0.0, low / 4, -low, high, -high, last, -last, np.inf, -np.inf, np.nan]
    return _held(np.asarray(points), form)


def inputs(form: Format, seed: int) -> Mapping[str, Array]:
    """The arrays that are run, float64 values of the format."""
    drawn = SPREAD * initial_values.standard_normal(
        initial_values.stream(seed, "activation"), DRAWN
    )
    one = np.concatenate([grid(form), _held(drawn, form)])
    # As many of an odd length put every point at every offset modulo a power of two.
    assert len(one) % 2 == 1
    few = special(form)
    return {"long": np.tile(one, LANES + 1), "short": few, "ragged": np.tile(few, 5)[:RAGGED]}


def _held(points: Array, form: Format) -> Array:
    """The nearest numbers that the format holds, as float64."""
    with np.errstate(over="ignore", under="ignore"):
        if form.name == "bfloat16":
            bits = points.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
            return np.asarray(bits.view(np.float32), np.float64)
        return points.astype(form.name).astype(np.float64)


# --- The truth


@dataclass(frozen=True)
class Truth:
    """What an array must be: one of two values at the few points where TensorFlow may take either
    branch, the same otherwise."""

    value: Bounded
    either: Bounded

    def nearer(self, got: Array) -> Bounded:
        """The one of both that is nearer, entry by entry."""
        one, other = self.value, self.either
        with np.errstate(invalid="ignore"):
            second = np.abs(got - other.value) < np.abs(got - one.value)
        value = np.where(second, other.value, one.value)
        return Bounded(value, np.where(second, other.error, one.error), one.form)


def expected(name: str, route: str, x: Array, form: Format) -> Mapping[str, Truth]:
    """Value and slope with their bounds.

    Args:
        name: of the activation.
        route: the way to it, see :data:`bench.nets.parts.ROUTES`.
        x: float64 values of the format, of shape (points,).
        form: the format it is computed in.
    """
    with np.errstate(all="ignore"):
        near = Bounded(np.where(np.abs(x) <= FAR, x, 0.0), form=form)
        ways = formulas(name, route, form)
        slope = widest([way.slope(near) for way in ways], form)
        found = {
            "value": (widest([way.value(near) for way in ways], form), None),
            "slope": (slope, _other_branch(name, near, ways, slope)),
        }
        return {
            tensor: Truth(
                _joined(name, route, tensor, x, value),
                _joined(name, route, tensor, x, value if either is None else either),
            )
            for tensor, (value, either) in found.items()
        }


def widest(ways: Sequence[Any], form: Format) -> Bounded:
    """The first of several ways to compute the same, with a bound that holds for all of them."""
    bounded = (way if isinstance(way, Bounded) else Bounded(way, form=form) for way in ways)
    return functools.reduce(either, bounded)


def formulas(name: str, route: str, form: Format) -> list[Activation]:
    """An activation as it is documented for a route, then as TensorFlow computes it.

    Slopes of elu, selu, sigmoid and tanh are computed from y = phi(x); elu and selu as exp(x) - 1,
    which loses all digits near 0; softplus as ln(1 + exp(x)).

    Leaky ReLU's slope is an attribute of the operation, and attributes are float32. ``tf.nn.gelu``
    makes sqrt(2), or from 2.20 on sqrt(1/2), a tensor by way of float32. Both are so in float64 too.
    """
    if name == "leaky_relu":
        return [_leaky(LEAKY_SLOPE if route == "layer" else FUNCTION_LEAKY_SLOPE, form)]
    if name == "gelu" and form is FLOAT64:
        return [_gelu_by_float32(form)]
    rule = ACTIVATION[name]
    return [rule, _WAYS[name]] if name in _WAYS else [rule]


def _leaky(slope: float, form: Format) -> Activation:
    held = float(np.float32(slope)) if form is FLOAT64 else slope
    return Activation(
        lambda x: np.where(decide(x) > 0, x, held * x),
        lambda x: np.where(decide(x) > 0, 1.0, held * Bounded(np.ones(x.shape), form=form)),
    )


def _gelu_by_float32(form: Format) -> Activation:
    """x N(x) where sqrt(2), or its inverse, was rounded to float32."""
    root = Bounded(math.sqrt(2.0), FLOAT32.roundoff * math.sqrt(2.0), form)

    def cdf(x: Any) -> Any:
        return 0.5 * (1.0 + erf(x / root))

    def slope(x: Any) -> Any:
        return cdf(x) + x * np.exp(-np.square(x / root)) / (math.sqrt(math.pi) * root)

    return Activation(lambda x: x * cdf(x), slope)


def _below(x: Any) -> Any:
    """exp(x) of what is below 0, else 1."""
    return np.exp(np.where(decide(x) < 0, x, 0.0))


def _lost_elu(x: Any) -> Any:
    return np.where(decide(x) < 0, _below(x) - 1.0, x)


def _lost_selu(x: Any) -> Any:
    return np.where(decide(x) < 0, SELU_BELOW * (_below(x) - 1.0), SELU_SCALE * x)


def _lost_silu_slope(x: Any) -> Any:
    y = ACTIVATION["sigmoid"].value(x)
    return y * (1.0 + x * (1.0 - y))


def _lost_sigmoid_slope(x: Any) -> Any:
    y = ACTIVATION["sigmoid"].value(x)
    return y * (1.0 - y)


#: Values and slopes in TensorFlow's order of operations, where it rounds worse than the formula.
_WAYS: Mapping[str, Activation] = {
    "elu": Activation(_lost_elu, lambda x: np.where(decide(x) < 0, _lost_elu(x) + 1.0, 1.0)),
    "selu": Activation(
        _lost_selu,
        lambda x: np.where(
            decide(x) < 0,
            _lost_selu(x) + SELU_BELOW,
            SELU_SCALE * Bounded(np.ones(x.shape), form=x.form),
        ),
    ),
    "sigmoid": Activation(ACTIVATION["sigmoid"].value, _lost_sigmoid_slope),
    "silu": Activation(ACTIVATION["silu"].value, _lost_silu_slope),
    "softplus": Activation(
        # Beyond 700 float64 would overflow, and e^-700 adds nothing.
        lambda x: np.where(decide(x) > 700.0, x, np.log1p(np.exp(np.minimum(x, 700.0)))),
        ACTIVATION["softplus"].slope,
    ),
}


def _other_branch(
    name: str, x: Bounded, ways: Sequence[Activation], slope: Bounded
) -> Bounded | None:
    """Slopes where the other side of a kink may be taken; None for an activation that has none.

    Numbers below the smallest normal one may be read as 0. Selu's slope is chosen by the sign of
    phi(x), which is 0 for as long as exp(x) rounds to 1: TensorFlow gives the upper branch there.
    """
    if name not in ("relu", "leaky_relu", "selu"):
        return None
    size = np.abs(x.value)
    unclear = (size < 2.0 * x.form.smallest) & (size > 0)
    at_zero = widest([way.slope(Bounded(np.zeros(x.shape), form=x.form)) for way in ways], x.form)
    if name == "selu":
        lost = _lost_selu(x)
        unclear |= np.abs(lost.value) <= lost.error
        upper = SELU_SCALE * Bounded(np.ones(x.shape), form=x.form)
        at_zero = upper
    value = np.where(unclear, at_zero.value, slope.value)
    return Bounded(value, np.where(unclear, at_zero.error, slope.error), x.form)


def _joined(name: str, route: str, tensor: str, x: Array, near: Bounded) -> Bounded:
    """What holds near, far out, at NaN, and where TensorFlow is known to differ."""
    form = near.form
    far = _far(name, route, tensor, x, form)
    at_nan = np.nan
    if tensor == "slope":
        at_nan = _below_slope(route) if name == "leaky_relu" else BRANCH_AT_NAN.get(name, np.nan)
    outside = np.abs(x) > FAR
    value = np.where(outside, far.value, near.value)
    # A number below the smallest normal one may be read, and any may be given, as 0.
    error = np.where(outside, far.error, near.error + form.smallest)
    value = np.where(np.isnan(x), at_nan, value)
    error = np.where(np.isnan(x), 2.0 * form.roundoff * np.abs(at_nan), error)
    for (activation, what, point), (instead, _) in KNOWN.items():
        if (activation, what) == (name, tensor):
            value = np.where(x == point, instead, value)
    return Bounded(value, error, form)


def _below_slope(route: str) -> float:
    """Leaky ReLU's, as the operation's attribute holds it."""
    return float(np.float32(LEAKY_SLOPE if route == "layer" else FUNCTION_LEAKY_SLOPE))


def _far(name: str, route: str, tensor: str, x: Array, form: Format) -> Bounded:
    """The asymptote, or its slope: exact where nothing is computed, else rounded up to four times, by
    a constant that is a product of two, a sum or quotient, and the product by it.
    """
    asymptotes = ASYMPTOTES[name]
    if name == "leaky_relu":
        asymptotes = Asymptotes((_below_slope(route), 0.0), asymptotes.above)
    sides = []
    for factor, offset in (asymptotes.below, asymptotes.above):
        flat = tensor == "slope" or not factor
        sides.append(
            np.full(x.shape, offset if tensor == "value" else factor) if flat else factor * x
        )
    value = np.where(x > 0, sides[1], sides[0])
    straight = name in ("relu", "leaky_relu", "elu")
    exactly = (value == 0.0) | (straight & ((np.abs(value) == 1.0) | (value == x)))
    rounding = np.where(exactly, 0.0, 4.0 * form.roundoff * np.abs(value))
    return Bounded(value, rounding + form.smallest, form)


# --- Comparing


def _compared(
    label: str, name: str, tensor: str, x: Array, found: Array, truth: Truth
) -> Deviation:
    """The worst entry, with the point that it belongs to."""
    got = np.asarray(found, np.float64)
    truth_here = truth.nearer(got) if got.shape == x.shape else truth.value
    with np.errstate(over="ignore", under="ignore"):  # next to the largest and smallest numbers
        result = deviation(label, got, truth_here)
    at = re.search(r" at \[(\d+)\]$", result.evidence)
    if at is None:
        return result
    point = float(x[int(at.group(1))])
    words = f"{result.evidence[: at.start()]} at x = {point:.9g}"
    known = KNOWN.get((name, tensor, point))
    if result.out and known:
        words += f"; known until now: {known[1]}. If it is mended, strike it from the table"
    return msgspec.structs.replace(result, evidence=words)
