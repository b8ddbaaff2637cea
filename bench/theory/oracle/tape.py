"""Tape: gradients of any formula by reverse accumulation over arrays of every kind.

A formula is written once, forwards, on :class:`Traced` arrays; :func:`gradients` then goes back through
it as a framework's tape does, operation by operation. Of
:class:`bench.theory.rounding.arrays.Bounded` arrays the bounds on gradients follow the arithmetic that
computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.theory.rounding.arrays import decide, scattered

Array = npt.NDArray[Any]
Backward = Callable[[Any], Any]


def plain(x: Any) -> Any:
    """The array behind a traced one; what is none is a constant."""
    return x.array if isinstance(x, Traced) else x


class Traced:
    """An array that remembers what it was computed from.

    Args:
        array: its value, of any kind.
        parents: each with what takes the gradient of this array to that of the parent.
    """

    __array_ufunc__ = None  # a NumPy array on the left leaves the operation to this class

    def __init__(self, array: Any, parents: Sequence[tuple[Any, Backward]] = ()) -> None:
        self.array = array
        self.parents = [(parent, back) for parent, back in parents if isinstance(parent, Traced)]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        return int(self.array.ndim)

    def __add__(self, other: Any) -> Traced:
        b = plain(other)
        return Traced(
            self.array + b,
            [
                (self, lambda g: summed_to(g, self.shape)),
                (other, lambda g: summed_to(g, _shape(b))),
            ],
        )

    def __sub__(self, other: Any) -> Traced:
        b = plain(other)
        return Traced(
            self.array - b,
            [
                (self, lambda g: summed_to(g, self.shape)),
                (other, lambda g: summed_to(-g, _shape(b))),
            ],
        )

    def __mul__(self, other: Any) -> Traced:
        a, b = self.array, plain(other)
        return Traced(
            a * b,
            [
                (self, lambda g: summed_to(g * b, a.shape)),
                (other, lambda g: summed_to(g * a, _shape(b))),
            ],
        )

    def __truediv__(self, other: Any) -> Traced:
        a, b = self.array, plain(other)
        return Traced(
            a / b,
            [
                (self, lambda g: summed_to(g / b, a.shape)),
                (other, lambda g: summed_to(-(g * a) / (b * b), _shape(b))),
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
        a, b = self.array, plain(other)
        return Traced(
            a @ b,
            [
                (self, lambda g: summed_to(g @ _swapped(b), a.shape)),
                (other, lambda g: _kernel_gradient(a, g, b.shape)),
            ],
        )

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Traced:
        """NumPy's ``sum``."""
        full = np.sum(np.broadcast_to(0.0, self.shape), axis=axis, keepdims=True).shape
        return Traced(
            self.array.sum(axis, keepdims=keepdims),
            [(self, lambda g: np.broadcast_to(g.reshape(full), self.shape))],
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
        return Traced(self.array[index], [(self, lambda g: scattered(g, index, self.shape))])

    def apply(self, value: Any, slope: Callable[[], Any]) -> Traced:
        """An elementwise function with this value and this slope."""
        return Traced(value, [(self, lambda g: g * slope())])

    def max(self, axis: int) -> Traced:
        """NumPy's ``max`` over one axis; the gradient goes to the first of equals."""
        at = list(np.indices([n for a, n in enumerate(self.shape) if a != axis % self.ndim]))
        at.insert(axis % self.ndim, np.argmax(decide(self.array), axis))
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
    a, b = plain(left), plain(right)
    return Traced(
        np.where(condition, a, b),
        [
            (left, lambda g: summed_to(np.where(condition, g, 0.0), _shape(a))),
            (right, lambda g: summed_to(np.where(condition, 0.0, g), _shape(b))),
        ],
    )


def stacked(parts: Sequence[Any], axis: int = 0) -> Traced:
    """``np.stack``"""

    def at(number: int) -> Backward:
        return lambda g: g[(slice(None),) * (axis % g.ndim) + (number,)]

    return Traced(
        np.stack([plain(part) for part in parts], axis),
        [(part, at(number)) for number, part in enumerate(parts)],
    )


def joined(parts: Sequence[Any], axis: int) -> Traced:
    """``np.concatenate``"""
    ends = np.cumsum([part.shape[axis] for part in parts])

    def at(part: Any, end: int) -> Backward:
        cut = slice(int(end) - part.shape[axis], int(end))
        return lambda g: g[(slice(None),) * (axis % g.ndim) + (cut,)]

    return Traced(
        np.concatenate([plain(part) for part in parts], axis),
        [(part, at(part, end)) for part, end in zip(parts, ends, strict=True)],
    )


def gradients(output: Traced, upstream: Any, sources: Sequence[Traced]) -> list[Any]:
    """Gradients of sum(output * upstream) by the sources, of the same kind of array as they are; zeros
    where nothing depends on them."""
    found = {id(output): upstream}
    for node in _backwards(output):
        gradient = found[id(node)]
        for parent, back in node.parents:
            part = back(gradient)
            known = found.get(id(parent))
            found[id(parent)] = part if known is None else known + part
    return [found.get(id(one), one.array * 0.0) for one in sources]


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


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(getattr(x, "shape", ()))


def summed_to(gradient: Any, shape: tuple[int, ...]) -> Any:
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


def _swapped(x: Any) -> Any:
    return x.transpose(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)


def _kernel_gradient(a: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of the right factor; one matrix for all of a batch is one long sum."""
    if len(shape) == 2 and a.ndim > 2:
        a, g = a.reshape(-1, a.shape[-1]), g.reshape(-1, g.shape[-1])
    return summed_to(_swapped(a) @ g, shape)
