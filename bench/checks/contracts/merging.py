"""Merging: layers that make one array of several, their gradients, and masks that pass through them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import Formula, compared, made
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.masks import MASK
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.oracle.tape import Traced, joined, stacked
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("merging")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


class _OfList:
    """A merging layer that takes its inputs one by one, as :func:`compared` gives them."""

    trainable_variables = ()

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __call__(self, *inputs: Any) -> Any:
        return self.layer(list(inputs))


def _merged(
    subject: str,
    name: str,
    truth: str,
    formula: Callable[[Sequence[Traced]], Traced],
    shapes: Sequence[tuple[int, ...]] = ((3, 4), (3, 4), (3, 4)),
    options: Mapping[str, Any] | None = None,
) -> None:
    @contract(
        subject,
        thing=f"keras.layers.{name}",
        truth=f"{truth}; gradients follow.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        inputs = [drawn(f"{subject} input {at}", *shape) for at, shape in enumerate(shapes)]
        layer = _OfList(made(name, **dict(options or {})))
        whole: Formula = lambda inputs, _: formula(inputs)  # noqa: E731 - a merger has no weights
        yield from compared(lab, layer, subject, inputs, whole)


_sum = functools.partial(functools.reduce, operator.add)
_merged("add", "Add", "The sum of all inputs", _sum)
_merged(
    "add-broadcast",
    "Add",
    "The sum of all inputs, an axis of one repeated",
    _sum,
    shapes=((3, 4, 2), (3, 1, 2)),
)
_merged(
    "subtract",
    "Subtract",
    "The first input less the second",
    lambda xs: xs[0] - xs[1],
    ((3, 4),) * 2,
)
_merged(
    "multiply",
    "Multiply",
    "The product of all inputs",
    functools.partial(functools.reduce, operator.mul),
)
_merged("average", "Average", "The mean of all inputs", lambda xs: _sum(xs) / len(xs))
_merged(
    "maximum", "Maximum", "The largest of all inputs, entry by entry", lambda xs: stacked(xs).max(0)
)
_merged(
    "minimum",
    "Minimum",
    "The smallest of all inputs, entry by entry",
    lambda xs: -stacked([-x for x in xs]).max(0),
)
for _axis, _shapes in ((1, ((2, 3, 2), (2, 1, 2))), (-1, ((2, 3, 2), (2, 3, 4)))):
    _merged(
        f"concatenate-axis:{_axis}",
        "Concatenate",
        "The inputs one behind the other along an axis",
        functools.partial(joined, axis=_axis),
        _shapes,
        {"axis": _axis},
    )
_merged(
    "dot",
    "Dot",
    "Products of the entries along the given axes of each sample, summed",
    lambda xs: xs[0].transpose(0, 2, 1) @ xs[1],
    ((2, 3, 4), (2, 3, 5)),
    {"axes": 1},
)


def _masked(kind: str, names: Sequence[str]) -> None:
    @contract(
        f"mask-{kind}",
        thing=f"keras.layers.{names[0]}",
        truth="Inputs that have one mask give it to what they are merged into.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras, tf

        steps = drawn("steps", 3, 4, 2)
        steps[~MASK] = 0.0
        x, mask = tf.constant(steps), tf.constant(MASK)
        for name in names:
            got = made(name).compute_mask([x, x], [mask, mask])
            yield exact(name, lab.seen(np.zeros(()) if got is None else got), MASK)
            inputs = keras.Input((4, 2))
            masked = keras.layers.Masking()(inputs)
            pooled = keras.layers.GlobalAveragePooling1D()(made(name)([masked, masked]))
            got = keras.Model(inputs, pooled)(x)
            whole = Bounded(np.asarray(made(name)([x, x])))
            for row, kept in enumerate(MASK):
                yield deviation(f"{name}, mean {row}", lab.seen(got[row]), whole[row][kept].mean(0))


_masked("add", ("Add", "Multiply", "Average", "Maximum"))
_masked("concatenate", ("Concatenate",))


@contract(
    "mask-concatenate-axis:1",
    thing="keras.layers.Concatenate",
    truth="Sequences that are put one behind the other keep their masks.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, mask = tf.constant(drawn("steps", 3, 4, 2)), tf.constant(MASK)
    other = tf.constant(MASK[::-1].copy())
    got = made("Concatenate", axis=1).compute_mask([x, x], [mask, other])
    yield exact("mask", lab.seen(got), np.concatenate([MASK, MASK[::-1]], 1))
