"""Constants, powers and limits, as formulas of every kind of array need them beside arithmetic.

Of a :class:`bench.theory.rounding.arrays.Bounded` array the error counts on both sides of a branch,
wherever rounding may have taken the other one. Of any other kind these are NumPy's functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.theory.rounding.arrays import Bounded, decide


def constant(value: float, like: Any) -> Any:
    """A constant as the arithmetic of ``like`` has it.

    A bounded one is off by its rounding, so that ``1 - beta`` is admitted whether it is rounded once
    (as a Python number) or twice (1 minus a rounded beta).
    """
    if isinstance(like, Bounded):
        return Bounded(value, like.form.rounds(value) if value else 0.0, like.form)
    return value


def full(value: float, like: Any, shape: tuple[int, ...] | None = None) -> Any:
    """An array of ``like``'s kind, default of its shape, that holds a constant everywhere."""
    filled = np.full(np.shape(decide(like)) if shape is None else shape, value, np.float64)
    if isinstance(like, Bounded):
        return Bounded(filled, like.form.rounds(value) if value else 0.0, like.form)
    return filled


def either(left: Any, right: Any) -> Any:
    """A value written in two ways that are equal but for rounding; the bound admits both.

    Args:
        left: the value that is returned; if bounded, with an error that reaches the other as well.
        right: the same value, computed in another order.
    """
    if isinstance(left, Bounded) and isinstance(right, Bounded):
        other = right.error + np.abs(right.value - left.value)
        return Bounded(left.value, np.maximum(left.error, other), left.form)
    return left


def power(base: Any, exponent: float) -> Any:
    """``base ** exponent`` of a base that is not negative; the exponent too is rounded.

    d(b^e)/de = b^e ln(b), of which b = 0 has the limit 0.
    """
    raised = np.power(base, exponent)
    if not isinstance(raised, Bounded) or not exponent:
        return raised
    off = raised.form.rounds(exponent)
    logarithm = np.log(np.maximum(decide(base), np.finfo(float).tiny))
    return Bounded(raised.value, raised.error + off * np.abs(raised.value * logarithm), raised.form)


def in_range(x: Any) -> Any:
    """``x``, infinite where the arithmetic's format ends."""
    if not isinstance(x, Bounded):
        return x
    beyond = np.abs(x.value) > x.form.largest
    value = np.where(beyond, np.copysign(np.inf, x.value), x.value)
    return Bounded(value, np.where(beyond, 0.0, x.error), x.form)
