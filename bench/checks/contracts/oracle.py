"""Gradients of any formula with bounds on rounding: reverse accumulation over bounded arrays.

A layer's formula is written once, forwards, on :class:`Traced` arrays; :func:`gradients` then goes back
through it as a framework's tape does, operation by operation, so that the bounds on gradients follow
the arithmetic that computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.lab import Lab
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.formats import sum_growth

Array = npt.NDArray[Any]
Backward = Callable[[Bounded], Bounded]


def bounded(x: Any) -> Bounded:
    """A bounded array of any kind of number."""
    if isinstance(x, Traced):
        return x.array
    return x if isinstance(x, Bounded) else Bounded(x)


class Traced:
    """A bounded array that remembers what it was computed from.

    Args:
        array: its value.
        parents: each with what takes the gradient of this array to that of the parent.
    """

    __array_ufunc__ = None  # a NumPy array on the left leaves the operation to this class

    def __init__(self, array: Any, parents: Sequence[tuple[Any, Backward]] = ()) -> None:
        self.array = bounded(array)
        self.parents = [(parent, back) for parent, back in parents if isinstance(parent, Traced)]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    def __add__(self, other: Any) -> Traced:
        b = bounded(other)
        return Traced(
            self.array + b,
            [(self, lambda g: summed_to(g, self.shape)), (other, lambda g: summed_to(g, b.shape))],
        )

    def __sub__(self, other: Any) -> Traced:
        b = bounded(other)
        return Traced(
            self.array - b,
            [(self, lambda g: summed_to(g, self.shape)), (other, lambda g: summed_to(-g, b.shape))],
        )

    def __mul__(self, other: Any) -> Traced:
        a, b = self.array, bounded(other)
        return Traced(
            a * b,
            [
                (self, lambda g: summed_to(g * b, a.shape)),
                (other, lambda g: summed_to(g * a, b.shape)),
            ],
        )

    def __truediv__(self, other: Any) -> Traced:
        a, b = self.array, bounded(other)
        return Traced(
            a / b,
            [
                (self, lambda g: summed_to(g / b, a.shape)),
                (other, lambda g: summed_to(-(g * a) / (b * b), b.shape)),
            ],
        )

    def __neg__(self) -> Traced:
        return Traced(-self.array, [(self, lambda g: -g)])

    def __radd__(self, other: Any) -> Traced:
        return self + other

    def __rmul__(self, other: Any) -> Traced:
        return self * other

    def __rsub__(self, other: Any) -> Traced:
        return -self + other

    def __matmul__(self, other: Any) -> Traced:
        a, b = self.array, bounded(other)
        return Traced(
            a @ b,
            [
                (self, lambda g: summed_to(g @ _swapped(b), a.shape)),
                (other, lambda g: _kernel_gradient(a, g, b.shape)),
            ],
        )

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Traced:
        """NumPy's ``sum``."""
        full = np.sum(np.empty(self.shape), axis=axis, keepdims=True).shape
        return Traced(
            self.array.sum(axis, keepdims=keepdims),
            [(self, lambda g: _spread(g.reshape(full), self.shape))],
        )

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> Traced:
        """NumPy's ``mean``."""
        total = self.sum(axis, keepdims=keepdims)
        return total / (self.array.size / max(total.array.size, 1))

    def reshape(self, *shape: int) -> Traced:
        """NumPy's ``reshape``."""
        return Traced(self.array.reshape(*shape), [(self, lambda g: g.reshape(self.shape))])

    def transpose(self, *axes: int) -> Traced:
        """NumPy's ``transpose``."""
        back = tuple(np.argsort(axes))
        return Traced(self.array.transpose(*axes), [(self, lambda g: g.transpose(*back))])

    def __getitem__(self, index: Any) -> Traced:
        return Traced(self.array[index], [(self, lambda g: _scattered(g, index, self.shape))])

    def apply(self, value: Bounded, slope: Callable[[], Any]) -> Traced:
        """An elementwise function with this value and this slope."""
        return Traced(value, [(self, lambda g: g * slope())])

    def max(self, axis: int) -> Traced:
        """NumPy's ``max`` over one axis; the gradient goes to the first of equals."""
        at = list(np.indices([n for a, n in enumerate(self.shape) if a != axis % self.ndim]))
        at.insert(axis % self.ndim, np.argmax(self.array.value, axis))
        return self[tuple(at)]

    def tanh(self) -> Traced:
        y = np.tanh(self.array)
        return self.apply(y, lambda: 1.0 - y * y)

    def sigmoid(self) -> Traced:
        """1 / (1 + exp(-x))"""
        y = 1.0 / (1.0 + np.exp(-self.array))
        return self.apply(y, lambda: y * (1.0 - y))

    def exp(self) -> Traced:
        y = np.exp(self.array)
        return self.apply(y, lambda: y)

    def square(self) -> Traced:
        return self * self

    def power(self, exponent: float) -> Traced:
        base: Any = self.array
        slope = lambda: np.power(base, exponent - 1.0) * exponent  # noqa: E731
        return self.apply(np.power(base, exponent), slope)


def where(condition: Array, left: Any, right: Any) -> Traced:
    """``np.where``; the condition is exact."""
    a: Any = bounded(left)
    b: Any = bounded(right)
    zeros: Any = np.zeros(np.shape(condition))
    pick: Any = np.where
    return Traced(
        pick(condition, a, b),
        [
            (left, lambda g: summed_to(pick(condition, g, zeros), a.shape)),
            (right, lambda g: summed_to(pick(condition, zeros, g), b.shape)),
        ],
    )


def stacked(parts: Sequence[Any], axis: int = 0) -> Traced:
    """``np.stack``"""

    def at(number: int) -> Backward:
        return lambda g: g[(slice(None),) * (axis % g.ndim) + (number,)]

    arrays: Any = [bounded(part) for part in parts]
    return Traced(
        np.stack(arrays, axis),
        [(part, at(number)) for number, part in enumerate(parts)],
    )


def joined(parts: Sequence[Any], axis: int) -> Traced:
    """``np.concatenate``"""
    ends = np.cumsum([part.shape[axis] for part in parts])

    def at(part: Any, end: int) -> Backward:
        cut = slice(int(end) - part.shape[axis], int(end))
        return lambda g: g[(slice(None),) * (axis % g.ndim) + (cut,)]

    arrays: Any = [bounded(part) for part in parts]
    return Traced(
        np.concatenate(arrays, axis),
        [(part, at(part, end)) for part, end in zip(parts, ends, strict=True)],
    )


def traced(lab: Lab, x: Any) -> Traced:
    """An exact array in the format in which layers compute float32 on the lab's device."""
    return Traced(Bounded(x, form=lab.form("float32")))


def gradients(output: Traced, upstream: Array, sources: Sequence[Traced]) -> list[Bounded]:
    """Gradients of sum(output * upstream) by the sources; zeros where nothing depends on them."""
    found = {id(output): Bounded(upstream, form=output.array.form)}
    for node in _backwards(output):
        gradient = found[id(node)]
        for parent, back in node.parents:
            part = back(gradient)
            known = found.get(id(parent))
            found[id(parent)] = part if known is None else known + part
    return [found.get(id(one), Bounded(np.zeros(one.shape))) for one in sources]


def _backwards(output: Traced) -> Iterator[Traced]:
    """All that an output was computed from, each after everything that was computed from it."""
    order: list[Traced] = []
    seen: set[int] = set()
    stack: list[tuple[Traced, bool]] = [(output, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent, _ in node.parents)
    return reversed(order)


def summed_to(gradient: Bounded, shape: tuple[int, ...]) -> Bounded:
    """The gradient of what was broadcast from ``shape``."""
    if gradient.shape == shape:
        return gradient
    lead = gradient.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        lead + axis
        for axis, size in enumerate(shape)
        if size == 1 and gradient.shape[lead + axis] != 1
    )
    return gradient.sum(axes).reshape(shape) if axes else gradient.reshape(shape)


def _swapped(x: Bounded) -> Bounded:
    return x.transpose(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)


def _kernel_gradient(a: Bounded, g: Bounded, shape: tuple[int, ...]) -> Bounded:
    """The gradient of the right factor; one matrix for all of a batch is one long sum."""
    if len(shape) == 2 and a.ndim > 2:
        a, g = a.reshape(-1, a.shape[-1]), g.reshape(-1, g.shape[-1])
    return summed_to(_swapped(a) @ g, shape)


def _spread(g: Bounded, shape: tuple[int, ...]) -> Bounded:
    return g._moved(lambda part: np.array(np.broadcast_to(part, shape)))


def _scattered(g: Bounded, index: Any, shape: tuple[int, ...]) -> Bounded:
    """Entries added up at where they were taken from."""
    value, error, sizes, counts = (np.zeros(shape) for _ in range(4))
    np.add.at(value, index, g.value)
    np.add.at(error, index, g.error)
    np.add.at(sizes, index, np.abs(g.value))
    np.add.at(counts, index, 1.0)
    growth = np.vectorize(sum_growth, otypes=[float])(np.arange(counts.max() + 1.0))
    return Bounded(value, error + growth[counts.astype(int)] * g.form.roundoff * sizes, g.form)


def passed(
    layer: Any, inputs: Sequence[Any], upstream: Any, **call: Any
) -> tuple[Any, list[Any], list[Any]]:
    """A Keras layer forwards and backwards.

    Args:
        layer: takes its inputs as positional arguments.
        inputs: arrays; integers get no gradient.
        upstream: of the (first) output.
        call: further arguments.

    Returns:
        What it returned, and gradients with respect to the inputs of floating point and to its
        trainable variables, all dense.
    """
    from bench.nets.api import tf

    tensors = [tf.convert_to_tensor(x) for x in inputs]
    floats = [x for x in tensors if x.dtype.is_floating]
    with tf.GradientTape() as tape:
        for x in floats:
            tape.watch(x)
        returned = layer(*tensors, **call)
        output = returned[0] if isinstance(returned, (list, tuple)) else returned
    sources = [*floats, *layer.trainable_variables]
    found = tape.gradient(output, sources, output_gradients=tf.convert_to_tensor(upstream))
    dense = [None if g is None else np.asarray(tf.convert_to_tensor(g)) for g in found]
    return returned, dense[: len(floats)], dense[len(floats) :]
