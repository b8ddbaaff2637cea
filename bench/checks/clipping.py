"""TensorFlow's clipping operations, and the clipping arguments of Keras' optimizers, against
:mod:`bench.theory.oracle.clipping`.

The argument of an optimizer is seen through plain SGD with rate 1 on variables that are 0, which moves
them to minus the clipped gradients without rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from bench.cells import initial_values
from bench.checks.lab import Lab
from bench.results.check import Check, Deviation
from bench.theory.oracle import clipping as oracle
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation
from bench.theory.rounding.formats import FLOAT32

FAMILY = "clipping"
Array = npt.NDArray[np.float32]

#: Rule -> the optimizers' argument.
RULES: Mapping[str, str] = MappingProxyType(
    {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}
)
WAYS = ("op", "optimizer")
ENGINES = ("eager", "graph")

#: A number that binary formats do not hold: its rounding counts.
THRESHOLD = 0.3
SHAPES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"matrix": (7, 5), "vector": (11,), "scalar": (1,)}
)
#: Sizes of gradients, each as a multiple of the threshold. For rules that go by a norm, it is the
#: norm; by value, the largest entry. 2^-20 is far above the rounding of a norm and far below 1e-4.
SIZES: Mapping[str, float] = MappingProxyType(
    {
        "far below": 1e-4,
        "below": 0.5,
        "just below": 1.0 - 2.0**-20,
        "at": 1.0,
        "just above": 1.0 + 2.0**-20,
        "above": 2.0,
        "far above": 1e4,
        "huge": 1e15,
    }
)
#: Cases that need no size: squares below float32's range, numbers below it, and zeros.
_SMALL: Mapping[str, float] = MappingProxyType(
    {"squares vanish": 1e-25, "subnormal": 1e-41, "zero": 0.0}
)
#: Gradients that are not finite, or whose squares are not.
SPECIAL = ("nan", "inf", "overflow")


def checks(tier: str) -> list[Check]:
    """All of them at every tier: they take seconds."""
    del tier
    return [
        Check(family=FAMILY, subject=f"{rule}-by:{way}-gradient:{kind}-engine:{engine}")
        for engine in ENGINES
        for way in WAYS
        for rule in RULES
        for kind in ("finite", *SPECIAL)
    ]


def run(check: Check, lab: Lab) -> Iterator[Deviation]:
    """Every gradient after clipping, in every case of the check's kind."""
    axes = check.axes
    graph = axes["engine"] == "graph"
    yield from compared(axes[FAMILY], axes["by"], axes["gradient"], check.seed, lab, graph=graph)


def compared(
    rule: str, way: str, kind: str, seed: int, lab: Lab, *, graph: bool, fault: float = 1.0
) -> Iterator[Deviation]:
    """TensorFlow against the oracle.

    Args:
        rule: one of :data:`RULES`.
        way: one of :data:`WAYS`.
        kind: ``finite``, or one of :data:`SPECIAL`.
        seed: of the gradients.
        lab: where TensorFlow runs.
        graph: in a ``tf.function``.
        fault: factor by which TensorFlow's threshold is wrong, to see that it shows.
    """
    from bench.nets import updates

    for case, gradients in cases(rule, kind, seed).items():
        with np.errstate(all="ignore"):
            right = oracle.clip(rule, [_read(gradient) for gradient in gradients], THRESHOLD)
        if way == "op":
            found = updates.clip(rule, gradients, THRESHOLD * fault, graph=graph)
        else:
            found = updates.optimizer_clip(RULES[rule], gradients, THRESHOLD * fault, graph=graph)
        for name, got, truth in zip(SHAPES, found, right, strict=True):
            yield deviation(f"{case}, {name}", lab.seen(got), truth)


def _read(gradient: Array) -> Bounded:
    """A gradient as arithmetic may read it: what is below the normal numbers, as 0."""
    size = np.abs(gradient.astype(np.float64))
    return Bounded(gradient, np.where(size < FLOAT32.smallest, size, 0.0), FLOAT32)


def cases(rule: str, kind: str, seed: int) -> dict[str, list[Array]]:
    """Float32 gradients of :data:`SHAPES` by what is special about them."""
    if kind == "finite":
        sized = {case: _sized(rule, THRESHOLD * size, seed) for case, size in SIZES.items()}
        return sized | {case: _sized(rule, size, seed) for case, size in _SMALL.items()}
    if kind == "overflow":
        return {"1e30": _sized(rule, 1e30, seed)}
    special = [np.nan] if kind == "nan" else [np.inf, -np.inf]
    found = {}
    for value in special:
        gradients = _sized(rule, 2.0 * THRESHOLD, seed)
        gradients[0][1, 2] = value
        found[f"{value} in the matrix"] = gradients
    return found


def _sized(rule: str, size: float, seed: int) -> list[Array]:
    """Random directions, brought to the size that the rule looks at."""
    drawn = [
        initial_values.standard_normal(
            initial_values.stream(seed, "clipping", at), int(np.prod(shape))
        )
        for at, shape in enumerate(SHAPES.values())
    ]
    if rule == "value":
        sizes = [float(np.max(np.abs(gradient))) for gradient in drawn]
    elif rule == "norm":
        sizes = [float(np.linalg.norm(gradient)) for gradient in drawn]
    else:
        sizes = [float(np.linalg.norm(np.concatenate(drawn)))] * len(drawn)
    return [
        (gradient * (size / own)).astype(np.float32).reshape(shape)
        for gradient, own, shape in zip(drawn, sizes, SHAPES.values(), strict=True)
    ]
