"""Functions: activations with their options, as functions and as layers, and their slopes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.checks.contracts import formulas
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import made
from bench.checks.contracts.linear import drawn
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded, decide
from bench.theory.rounding.deviation import deviation

catalogue = Catalogue("functions")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

Function = Callable[[Any], Any]


def _points() -> Any:
    """Spread over what bends, none of them within 2^-10 of a kink: kinks are at multiples of 1/4."""
    x = drawn("points", 400) * np.float32(3.0)
    return x[np.abs(x * 4 - np.rint(x * 4)) > 2.0**-8]


def _function(name: str) -> Any:
    """``keras.activations`` has what layers take by name.

    Raises:
        AbsentError: this Keras has none of that name.
    """
    from bench.nets.api import keras

    if not hasattr(keras.activations, name):
        raise AbsentError(f"this Keras has no {name}")
    return getattr(keras.activations, name)


def _compared(
    lab: Lab, what: str, function: Any, formula: Function, slope: Function
) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = _points()
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        got = function(given)
    yield deviation(what, lab.seen(got), formula(Bounded(x)))
    yield deviation(f"slope of {what}", lab.seen(tape.gradient(got, given)), slope(Bounded(x)))


def _between(x: Any, low: float, high: float, below: Any, inside: Any, above: Any) -> Any:
    """A function of three pieces."""
    zero = x * 0.0
    within: Any = np.where(decide(x) < high, inside + zero, above + zero)
    return np.where(decide(x) < low, below + zero, within)


def _softplus(x: Any) -> Any:
    return np.log1p(np.exp(x))  # as TensorFlow computes it: points are far from overflow


def _mish_slope(x: Any) -> Any:
    t = np.tanh(_softplus(x))
    return t + x * (1.0 - np.square(t)) * formulas.sigmoid(x)


_ROOT = (2.0 / np.pi) ** 0.5


def _gelu_inner(x: Any) -> Any:
    return (x + x * x * x * 0.044715) * _ROOT


def gelu_slope(x: Any) -> Any:
    t = np.tanh(_gelu_inner(x))
    return (t + 1.0) * 0.5 + x * 0.5 * (1.0 - np.square(t)) * (x * x * (3 * 0.044715) + 1.0) * _ROOT


def _squareplus(x: Any) -> Any:
    return (x + np.sqrt(np.square(x) + 4.0)) * 0.5


#: Function -> its formula and its slope, with the options by default.
FUNCTIONS: dict[str, tuple[str, Function, Function]] = {
    "softsign": (
        "x / (1 + |x|)",
        lambda x: x / (np.abs(x) + 1.0),
        lambda x: 1.0 / np.square(np.abs(x) + 1.0),
    ),
    "exponential": ("exp(x)", np.exp, np.exp),
    "mish": ("x tanh(log(1 + exp(x)))", lambda x: x * np.tanh(_softplus(x)), _mish_slope),
    "relu6": (
        "min(max(x, 0), 6)",
        lambda x: np.minimum(np.maximum(x, 0.0), 6.0),
        lambda x: _between(x, 0.0, 6.0, 0.0, 1.0, 0.0),
    ),
    "hard_silu": (
        "x min(max(x + 3, 0), 6) / 6",
        lambda x: _between(x, -3.0, 3.0, 0.0, x * (x + 3.0) / 6.0, x),
        lambda x: _between(x, -3.0, 3.0, 0.0, x / 3.0 + 0.5, 1.0),
    ),
    "log_sigmoid": (
        "-log(1 + exp(-x))",
        lambda x: -_softplus(-x),
        lambda x: formulas.sigmoid(-x),
    ),
    "celu": (
        "x, or exp(x) - 1 below 0",
        lambda x: _between(x, 0.0, np.inf, np.expm1(np.minimum(x, 0.0)), x, x),
        lambda x: _between(x, 0.0, np.inf, np.exp(np.minimum(x, 0.0)), 1.0, 1.0),
    ),
    "squareplus": (
        "(x + sqrt(x^2 + 4)) / 2",
        _squareplus,
        lambda x: (x / np.sqrt(np.square(x) + 4.0) + 1.0) * 0.5,
    ),
    "hard_tanh": (
        "min(max(x, -1), 1)",
        lambda x: np.minimum(np.maximum(x, -1.0), 1.0),
        lambda x: _between(x, -1.0, 1.0, 0.0, 1.0, 0.0),
    ),
    "hard_shrink": (
        "x, or 0 within 1/2 of 0",
        lambda x: _between(x, -0.5, 0.5, x, 0.0, x),
        lambda x: _between(x, -0.5, 0.5, 1.0, 0.0, 1.0),
    ),
    "soft_shrink": (
        "x moved by 1/2 towards 0, or 0",
        lambda x: _between(x, -0.5, 0.5, x + 0.5, 0.0, x - 0.5),
        lambda x: _between(x, -0.5, 0.5, 1.0, 0.0, 1.0),
    ),
    "tanh_shrink": (
        "x - tanh(x)",
        lambda x: x - np.tanh(x),
        lambda x: 1.0 - (1.0 - np.square(np.tanh(x))),
    ),
}


def _named(name: str, truth: str, formula: Function, slope: Function) -> None:
    @contract(name, thing=f"keras.activations.{name}", truth=f"{truth}, and its slope.")
    def _(lab: Lab) -> Iterator[Deviation]:
        yield from _compared(lab, name, _function(name), formula, slope)
        layer = made("Activation", name)
        yield from _compared(lab, f"Activation({name!r})", layer, formula, slope)


for _name, _of in FUNCTIONS.items():
    _named(_name, *_of)


def hard_sigmoid(width: float) -> tuple[Function, Function]:
    """1/2 at 0, 0 and 1 beyond ``width``, straight between."""
    rate = 0.5 / width
    return (
        lambda x: _between(x, -width, width, 0.0, x * rate + 0.5, 1.0),
        lambda x: _between(x, -width, width, 0.0, rate, 0.0),
    )


for _major, _width in ((3, 3.0), (2, 2.5)):

    @contract(
        f"hard_sigmoid:keras{_major}",
        thing="keras.activations.hard_sigmoid",
        truth=f"x / {_width * 2:g} + 1/2, but not below 0 nor above 1.",
        keras=(_major,),
        counterpart=f"hard_sigmoid:keras{5 - _major}",
    )
    def _(lab: Lab, width: float = _width) -> Iterator[Deviation]:
        formula, slope = hard_sigmoid(width)
        yield from _compared(lab, "hard_sigmoid", _function("hard_sigmoid"), formula, slope)


def gelu(x: Any) -> Any:
    """The approximation (Hendrycks and Gimpel 2016, section 2)."""
    return x * 0.5 * (np.tanh(_gelu_inner(x)) + 1.0)


@contract(
    "gelu-approximate",
    thing="keras.activations.gelu",
    truth="x (1 + tanh(sqrt(2 / pi) (x + .044715 x^3))) / 2, where an approximation is asked for.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    function = _function("gelu")
    yield from _compared(
        lab,
        "gelu",
        lambda x: function(x, approximate=True),
        gelu,
        gelu_slope,
    )


def relu(top: float, slope: float, threshold: float) -> tuple[Function, Function]:
    """ReLU with its options, and its slope."""
    return (
        lambda x: _between(x, threshold, top, (x - threshold) * slope, x, top),
        lambda x: _between(x, threshold, top, slope, 1.0, 0.0),
    )


@contract(
    "relu-options",
    thing="keras.layers.ReLU",
    truth="max_value from there on, x from the threshold on, negative_slope (x - threshold) below.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    for top, slope, threshold in (
        (3.0, 0.0, 0.0),
        (2.0, 0.25, 0.0),
        (4.0, 0.5, 1.0),
        (np.inf, 0.125, 1.0),
    ):
        high = top if np.isfinite(top) else None
        layer = made("ReLU", max_value=high, negative_slope=slope, threshold=threshold)
        what = f"max_value {high}, negative_slope {slope}, threshold {threshold}"
        yield from _compared(lab, what, layer, *relu(top, slope, threshold))


def elu(alpha: float) -> tuple[Function, Function]:
    """ELU, and its slope as TensorFlow takes it: from the output, to which alpha is added."""

    def below(x: Any) -> Any:
        return (np.exp(np.minimum(x, 0.0)) - 1.0) * alpha

    return (
        lambda x: _between(x, 0.0, np.inf, below(x), x, x),
        lambda x: _between(x, 0.0, np.inf, below(x) + alpha, 1.0, 1.0),
    )


@contract(
    "layers-slopes",
    thing="keras.layers.LeakyReLU",
    truth="LeakyReLU has a slope of .3 below 0, ELU goes to -1 there, unless others are given.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import KERAS_MAJOR

    option = "negative_slope" if KERAS_MAJOR == 3 else "alpha"
    for slope, given in ((0.3, {}), (0.125, {option: 0.125})):
        layer = made("LeakyReLU", **given)
        yield from _compared(lab, f"LeakyReLU, {slope}", layer, *relu(np.inf, slope, 0.0))
    for alpha, given in ((1.0, {}), (0.5, {"alpha": 0.5})):
        yield from _compared(lab, f"ELU, {alpha}", made("ELU", **given), *elu(alpha))


@contract(
    "softmax-axis",
    thing="keras.activations.softmax",
    truth="exp(x) over its sum along the axis, and log_softmax its logarithm.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    x = drawn("logits", 2, 3, 4) * np.float32(3.0)
    for axis in (-1, 1):
        moved = np.moveaxis(x, axis, -1)
        truth = formulas.softmax(Bounded(moved))
        got = _function("softmax")(tf.constant(x), axis=axis)
        yield deviation(f"axis {axis}", np.moveaxis(lab.seen(got), axis, -1), truth)
        got = made("Softmax", axis=axis)(tf.constant(x))
        yield deviation(f"layer, axis {axis}", np.moveaxis(lab.seen(got), axis, -1), truth)
        if hasattr(keras.activations, "log_softmax"):
            shifted = Bounded(moved) - moved.max(-1, keepdims=True)
            logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
            got = keras.activations.log_softmax(tf.constant(x), axis=axis)
            yield deviation(f"log_softmax, axis {axis}", np.moveaxis(lab.seen(got), axis, -1), logs)


def _shrunk(x: Any, width: float, *, soft: bool) -> Any:
    by = width if soft else 0.0
    return _between(x, -width, width, x + by, 0.0, x - by)


def _with_arguments(subject: str, name: str, truth: str, formula: Function, **options: Any) -> None:
    """A function whose arguments are not the default."""

    @contract(subject, thing=f"keras.activations.{name}", truth=truth)
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        x = _points()
        got = _function(name)(tf.constant(x), **options)
        yield deviation(subject, lab.seen(got), formula(Bounded(x)))


for _subject, _arguments, _truth, _formula in (
    ("elu-alpha", {"alpha": 0.25}, "x, or .25 (exp(x) - 1) below 0.", elu(0.25)[0]),
    ("leaky_relu", {}, "x, or .2 x below 0.", relu(np.inf, 0.2, 0.0)[0]),
    (
        "leaky_relu-negative_slope",
        {"negative_slope": 0.125},
        "x, or x / 8 below 0.",
        relu(np.inf, 0.125, 0.0)[0],
    ),
    (
        "hard_shrink-threshold",
        {"threshold": 0.75},
        "x, or 0 within 3/4 of 0.",
        lambda x: _shrunk(x, 0.75, soft=False),
    ),
    (
        "soft_shrink-threshold",
        {"threshold": 0.75},
        "x moved by 3/4 towards 0, or 0.",
        lambda x: _shrunk(x, 0.75, soft=True),
    ),
    (
        "threshold",
        {"threshold": 0.75, "default_value": -2.0},
        "x above 3/4, else -2.",
        lambda x: _between(x, 0.75, np.inf, -2.0, x, x),
    ),
    (
        "squareplus-b",
        {"b": 2.0},
        "(x + sqrt(x^2 + 2)) / 2.",
        lambda x: (x + np.sqrt(np.square(x) + 2.0)) * 0.5,
    ),
):
    _with_arguments(_subject, _subject.split("-")[0], _truth, _formula, **_arguments)


@contract(
    "glu",
    thing="keras.activations.glu",
    truth="The first half along the axis times the sigmoid of the second (Dauphin et al. 2017).",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("gated", 3, 4, 6)
    for axis in (-1, 1):
        first, second = np.split(x, 2, axis)
        got = _function("glu")(tf.constant(x), axis=axis)
        truth = Bounded(first) * formulas.sigmoid(Bounded(second))
        yield deviation(f"axis {axis}", lab.seen(got), truth)


@contract(
    "sparsemax",
    thing="keras.activations.sparsemax",
    truth="The nearest point of the simplex: x less what makes the positive part sum to 1 (Martins and"
    " Astudillo 2016).",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("logits", 5, 4, 3)
    for axis in (-1, 1):
        moved = np.moveaxis(x, axis, -1).astype(np.float64)
        ordered = -np.sort(-moved, -1)
        sums, places = ordered.cumsum(-1), np.arange(1, moved.shape[-1] + 1)
        count = (1.0 + places * ordered > sums).sum(-1, keepdims=True)
        taken = (np.take_along_axis(sums, count - 1, -1) - 1.0) / count
        # A sum of four, a quotient and a difference, of numbers within 8.
        truth = Bounded(np.maximum(moved - taken, 0.0), 8 * 8 * 2.0**-24)
        got = lab.seen(_function("sparsemax")(tf.constant(x), axis=axis))
        yield deviation(f"axis {axis}", np.moveaxis(got, axis, -1), truth)
