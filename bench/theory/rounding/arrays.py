"""Arrays that follow how rounding spreads through a computation.

A formula of :mod:`bench.theory` is written once, with NumPy's functions. Given float64 or complex128
arrays it computes what it says. Given :class:`Bounded` arrays it also computes how far arithmetic in a
:class:`bench.theory.rounding.formats.Format` may be from that (running error analysis: Wilkinson
1963; Higham 2002, section 3.3). Given :class:`Stochastic` arrays it computes one draw of what
rounding may make of it (Monte Carlo arithmetic: Parker 1997).

Such formulas use: + - * / and negation, ``@``, comparisons through :func:`decide`, ``np.where``,
``np.abs``, ``np.square``, ``np.sqrt``, ``np.exp``, ``np.expm1``, ``np.log``, ``np.log1p``, ``np.tanh``,
:func:`erf`, ``np.sign``, ``np.maximum``, ``np.minimum``, ``np.power`` with a plain exponent, ``np.pad``
with zeros, ``np.concatenate``, ``np.stack``, ``np.broadcast_to``, :func:`scattered`, and the methods
``sum``, ``mean``, ``max``, ``reshape``, ``transpose``, ``T`` and indexing.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin
from scipy import special

from bench.theory.rounding.formats import FLOAT32, ULPS, Format, sum_growth

Array = npt.NDArray[Any]
Self = TypeVar("Self", bound="Tracked")


def decide(x: Any) -> Array:
    """The real value that decides a branch, whatever kind of array ``x`` is."""
    return x.value if isinstance(x, Tracked) else np.real(x)


def erf(x: Any) -> Any:
    """The error function of any kind of array."""
    return x.function("erf", special.erf) if isinstance(x, Tracked) else special.erf(x)


def scattered(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of a shape, to whose entries at ``index`` those of ``x`` are added."""
    if isinstance(x, Tracked):
        return x.scattered(index, shape)
    added = np.zeros(shape, x.dtype)
    np.add.at(added, index, x)
    return added


class Tracked(NDArrayOperatorsMixin):
    """A float64 array with a part that says something of its rounding.

    A subclass says what an operation does to that part.
    """

    value: Array
    form: Format

    # --- Operations that a subclass defines

    @abc.abstractmethod
    def _moved(self: Self, take: Callable[[Array], Array]) -> Self:
        """All parts, rearranged by ``take``, which may only move entries about or change their sign."""

    @abc.abstractmethod
    def _signed(self: Self, signs: Array) -> Self:
        """The array times +-1."""

    @abc.abstractmethod
    def _chosen(self: Self, condition: Array, left: Any, right: Any) -> Self:
        """``np.where``."""

    @abc.abstractmethod
    def _joined(self: Self, join: Callable[[Sequence[Array]], Array], parts: Sequence[Any]) -> Self:
        """``np.concatenate`` or ``np.stack``."""

    @abc.abstractmethod
    def _binary(self: Self, name: str, left: Any, right: Any) -> Self:
        """``add``, ``subtract``, ``multiply``, ``divide`` or ``matmul``."""

    @abc.abstractmethod
    def function(self: Self, name: str, compute: Callable[[Array], Array]) -> Self:
        """A monotone elementary function that a library computes."""

    @abc.abstractmethod
    def sum(self: Self, axis: Any = None, *, keepdims: bool = False) -> Self:
        """NumPy's ``sum``."""

    @abc.abstractmethod
    def scattered(self: Self, index: Any, shape: tuple[int, ...]) -> Self:
        """See :func:`scattered`."""

    # --- Operations that follow

    def mean(self: Self, axis: Any = None, *, keepdims: bool = False) -> Self:
        """NumPy's ``mean``."""
        total = self.sum(axis, keepdims=keepdims)
        return total / (self.value.size / max(total.value.size, 1))

    def max(self: Self, axis: int, *, keepdims: bool = False) -> Self:
        """NumPy's ``max``, which rounds nothing."""
        at = np.expand_dims(np.argmax(self.value, axis=axis), axis)
        taken = self._moved(lambda part: np.take_along_axis(part, at, axis=axis))
        return taken if keepdims else taken._moved(lambda part: np.squeeze(part, axis))

    def reshape(self: Self, *shape: Any) -> Self:
        """NumPy's ``reshape``."""
        return self._moved(lambda part: part.reshape(*shape))

    def transpose(self: Self, *axes: Any) -> Self:
        """NumPy's ``transpose``."""
        return self._moved(lambda part: part.transpose(*axes))

    @property
    def T(self: Self) -> Self:  # noqa: N802 - NumPy's name
        return self.transpose()

    def __getitem__(self: Self, index: Any) -> Self:
        return self._moved(lambda part: part[index])

    def __len__(self) -> int:
        return len(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        match name := ufunc.__name__:
            case "less" | "less_equal" | "greater" | "greater_equal" | "equal" | "not_equal":
                return ufunc(*(decide(x) for x in inputs))
            case "maximum" | "minimum":
                return self._extreme(ufunc, *inputs)
            case "negative":
                return self._moved(np.negative)
            case "absolute" | "fabs":
                return self._signed(np.where(self.value < 0, -1.0, 1.0))
            case "sign":
                return self._sign()
            case "square":
                return self._binary("multiply", self, self)
            case "exp" | "expm1" | "log" | "log1p" | "sqrt" | "tanh":
                return self.function(name, ufunc)
            case "power" if not isinstance(inputs[1], Tracked):
                return self.function(name, lambda base: np.power(base, inputs[1]))
            case "add" | "subtract" | "multiply" | "divide" | "matmul":
                return self._binary(name, *inputs)
        return NotImplemented

    def _sign(self) -> Any:
        return np.sign(self.value)

    def _extreme(self: Self, ufunc: Any, left: Any, right: Any) -> Self:
        return self._chosen(ufunc(decide(left), decide(right)) == decide(left), left, right)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        name = function.__name__
        if name == "where":
            condition, left, right = arguments
            return self._chosen(condition, left, right)
        if name in ("sum", "mean", "max", "reshape", "transpose"):
            return getattr(arguments[0], name)(*arguments[1:], **options)
        if name == "broadcast_to":
            return self._moved(lambda part: np.broadcast_to(part, arguments[1]))
        if name == "pad" and not options:
            return self._moved(lambda part: np.pad(part, *arguments[1:]))
        if name in ("concatenate", "stack"):
            parts = arguments[0]
            rest = arguments[1:]
            return self._joined(lambda arrays: function(arrays, *rest, **options), parts)
        return NotImplemented


class Bounded(Tracked):
    """A float64 value and a bound on how far the format's arithmetic may be from it.

    Arrays that are not bounded are taken as exact; plain numbers as rounded to the format.

    Args:
        value: float64.
        error: bound on the absolute error, broadcast to the value; 0 for what is given exactly.
        form: the format in which the computation is rounded.
    """

    def __init__(self, value: Any, error: Any = 0.0, form: Format = FLOAT32) -> None:
        self.value = np.asarray(value, np.float64)
        self._given = given = np.asarray(error, np.float64)
        shape = self.value.shape
        self.error = given if given.shape == shape else np.broadcast_to(given, shape)
        self.form = form

    def __repr__(self) -> str:
        return f"Bounded({self.value!r}, {self.error!r}, {self.form.name})"

    def _parts(self, x: Any) -> tuple[Array, Array]:
        if isinstance(x, Bounded):
            return x.value, _EXACT if _exact(x._given) else x.error
        if isinstance(x, (int, float)):
            return np.asarray(float(x)), np.asarray(_rounds(self.form, float(x)) if x else 0.0)
        return np.asarray(x, np.float64), _EXACT

    def _rounded(self, value: Array, error: Array) -> Bounded:
        added = self.form.roundoff * np.abs(value) + self.form.smallest
        return Bounded(value, error + added, self.form)

    def _moved(self, take: Callable[[Array], Array]) -> Bounded:
        error = _EXACT if _exact(self._given) else np.abs(take(self.error))
        return Bounded(take(self.value), error, self.form)

    def _signed(self, signs: Array) -> Bounded:
        return Bounded(self.value * signs, self.error, self.form)

    def _chosen(self, condition: Array, left: Any, right: Any) -> Bounded:
        (a, ea), (b, eb) = self._parts(left), self._parts(right)
        value = np.where(condition, a, b)
        return Bounded(value, np.where(condition, ea, eb), self.form)

    def _sign(self) -> Bounded:
        """The sign, off by 2 where the number may be on either side of 0. A bounded 0 is a sum of
        products that each have a factor 0: it is 0 in any arithmetic."""
        unsure = (np.abs(self.value) <= self.error) & (self.value != 0.0)
        return Bounded(np.sign(self.value), np.where(unsure, 2.0, 0.0), self.form)

    def _extreme(self, ufunc: Any, left: Any, right: Any) -> Bounded:
        """Maximum or minimum; where rounding may pick the other operand, the larger error counts."""
        (a, ea), (b, eb) = self._parts(left), self._parts(right)
        value = ufunc(a, b)
        close = np.abs(a - b) <= ea + eb
        return Bounded(
            value, np.where(close, np.maximum(ea, eb), np.where(value == a, ea, eb)), self.form
        )

    def _joined(self, join: Callable[[Sequence[Array]], Array], parts: Sequence[Any]) -> Bounded:
        pairs = [self._parts(part) for part in parts]
        errors = [np.broadcast_to(error, value.shape) for value, error in pairs]
        return Bounded(join([value for value, _ in pairs]), join(errors), self.form)

    def function(self, name: str, compute: Callable[[Array], Array]) -> Bounded:
        """A monotone function: an argument off by e gives a value between those at x - e and x + e."""
        value = compute(self.value)
        added = 2.0 * ULPS[name] * self.form.roundoff * np.abs(value) + self.form.smallest
        if _exact(self._given):
            return Bounded(value, added, self.form)
        lower = self.value - self.error
        if name in ("sqrt", "log", "power"):
            lower = np.maximum(lower, 0.0 if name != "log" else np.finfo(float).tiny)
        moved = np.maximum(
            np.abs(compute(self.value + self.error) - value), np.abs(value - compute(lower))
        )
        return Bounded(value, moved + added, self.form)

    def _binary(self, name: str, left: Any, right: Any) -> Bounded:
        (a, ea), (b, eb) = self._parts(left), self._parts(right)
        if name == "add":
            return self._rounded(a + b, ea + eb)
        if name == "subtract":
            return self._rounded(a - b, ea + eb)
        if name == "multiply":
            return self._rounded(a * b, _of_product(a, ea, b, eb))
        if name == "divide":
            value = a / b
            nearest = np.maximum(np.abs(b) - eb, np.finfo(float).tiny)
            added = 2.0 * ULPS["divide"] * self.form.roundoff * np.abs(value)
            moved = (ea + np.abs(value) * eb) / nearest
            return Bounded(value, moved + added + self.form.smallest, self.form)
        return self._product(a, ea, b, eb)

    def _product(self, a: Array, ea: Array, b: Array, eb: Array) -> Bounded:
        """A matrix product of n terms: their sizes, summed, times :func:`sum_growth`."""
        value, terms = a @ b, a.shape[-1]
        rounding = self.form.sum_roundoff * (1.0 + sum_growth(terms))
        # Both factors of each term are rounded: independent errors, so they grow as the root too.
        factors = 2.0 * self.form.factor_roundoff * min(1.0, sum_growth(terms) / terms)
        sizes = np.abs(a) @ np.abs(b)
        error = (rounding + factors) * sizes + terms * self.form.smallest
        if not _exact(ea) and np.any(ea):
            error = error + np.broadcast_to(ea, a.shape) @ np.abs(b)
        if not _exact(eb) and np.any(eb):
            error = error + (np.abs(a) + ea) @ np.broadcast_to(eb, b.shape)
        return self._rounded(value, error)

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Bounded:
        """NumPy's ``sum``, added up in whatever order."""
        value = self.value.sum(axis=axis, keepdims=keepdims)
        terms = self.value.size // max(np.size(value), 1)
        sizes = np.abs(self.value).sum(axis=axis, keepdims=keepdims)
        passed_on = np.asarray(self.error).sum(axis=axis, keepdims=keepdims)
        error = passed_on + self.form.sum_roundoff * sum_growth(terms) * sizes
        return Bounded(value, error + self.form.roundoff * np.abs(value), self.form)

    def scattered(self, index: Any, shape: tuple[int, ...]) -> Bounded:
        """Sums of as many terms as an entry is named."""
        parts = (self.value, np.asarray(self.error), np.abs(self.value))
        value, error, sizes = (scattered(part, index, shape) for part in parts)
        counts = scattered(np.ones(self.shape), index, shape).astype(int)
        growth = np.array([sum_growth(terms) for terms in range(int(counts.max(initial=0)) + 1)])
        return Bounded(value, error + growth[counts] * self.form.roundoff * sizes, self.form)


_EXACT: Array = np.asarray(0.0)


def _exact(error: Array) -> bool:
    """Whether an error is a lone 0, that of an exact array: there is nothing to pass on."""
    return not error.ndim and not error


def _of_product(a: Array, ea: Array, b: Array, eb: Array) -> Array:
    """Error of a product that stems from those of its factors."""
    if _exact(eb):
        return _EXACT if _exact(ea) else np.abs(b) * ea
    return np.abs(a) * eb if _exact(ea) else np.abs(a) * eb + np.abs(b) * ea + ea * eb


@functools.lru_cache(maxsize=1024)
def _rounds(form: Format, constant: float) -> float:
    return form.rounds(constant)


class Stochastic(Tracked):
    """A value that carries one random draw of all roundings so far.

    Args:
        value: float64.
        draws: generator of the roundings.
        form: the format whose unit roundoff they have.
    """

    def __init__(self, value: Any, draws: np.random.Generator, form: Format = FLOAT32) -> None:
        self.value = np.asarray(value, np.float64)
        self.draws = draws
        self.form = form

    def __repr__(self) -> str:
        return f"Stochastic({self.value!r}, {self.form.name})"

    def _new(self, value: Array) -> Stochastic:
        return Stochastic(value, self.draws, self.form)

    def _rounded(self, value: Array, size: Any = None, growth: Any = 1.0) -> Stochastic:
        """The value, off by an error uniform in +-u times ``size``, by default its own."""
        error = self.draws.uniform(-1.0, 1.0, np.shape(value)) * self.form.roundoff
        return self._new(value + growth * error * (value if size is None else size))

    def _moved(self, take: Callable[[Array], Array]) -> Stochastic:
        return self._new(take(self.value))

    def _signed(self, signs: Array) -> Stochastic:
        return self._new(self.value * signs)

    def _chosen(self, condition: Array, left: Any, right: Any) -> Stochastic:
        return self._new(np.where(condition, decide(left), decide(right)))

    def _joined(self, join: Callable[[Sequence[Array]], Array], parts: Sequence[Any]) -> Stochastic:
        return self._new(join([decide(part) for part in parts]))

    def function(self, name: str, compute: Callable[[Array], Array]) -> Stochastic:
        """A library's function, off by up to what :data:`ULPS` grants it."""
        return self._rounded(compute(self.value), growth=2.0 * ULPS[name])

    def _binary(self, name: str, left: Any, right: Any) -> Stochastic:
        a, b = decide(left), decide(right)
        if name != "matmul":
            return self._rounded(getattr(np, name)(a, b))
        return self._summed(a @ b, np.square(a) @ np.square(b), np.shape(a)[-1])

    def _summed(self, value: Array, squares: Array, terms: Any) -> Stochastic:
        """The result of n additions, each off by up to u times its partial sum. The square of a partial
        sum is at most about the sum of the terms' squares (a random walk) plus the square of the result
        (a drift)."""
        reach = np.sqrt(squares + np.square(value))
        growth = np.sqrt(terms) * self.form.sum_roundoff / self.form.roundoff
        return self._rounded(value, size=reach, growth=growth)

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Stochastic:
        """NumPy's ``sum``, added up in whatever order."""
        value = self.value.sum(axis=axis, keepdims=keepdims)
        terms = self.value.size // max(np.size(value), 1)
        squares = np.square(self.value).sum(axis=axis, keepdims=keepdims)
        return self._summed(value, squares, terms)

    def scattered(self, index: Any, shape: tuple[int, ...]) -> Stochastic:
        """Sums of as many terms as an entry is named."""
        value = scattered(self.value, index, shape)
        squares = scattered(np.square(self.value), index, shape)
        terms = scattered(np.ones(self.shape), index, shape)
        return self._summed(value, squares, np.where(terms > 1, terms, 0))
