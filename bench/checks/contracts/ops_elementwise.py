"""Functions of ``keras.ops`` that map entry by entry, of one array or of two: what a graph does of them
is one kernel, the one that is called at once, so that they are not tried in graphs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.checks.contracts.formulas import float32
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Call, Operation, apart, call
from bench.checks.contracts.tensors import whole

Array = Any
_INF, _NAN = np.inf, np.nan
_ODD = np.array([-_INF, -1.5, -0.0, 0.0, 2.5, _INF, _NAN], np.float32)


def _between(low: float, high: float) -> Array:
    """24 numbers in an interval, (4, 6)."""
    share = 0.5 + np.arctan(drawn("values", 4, 6)) / np.pi
    return (low + (high - low) * share).astype(np.float32)


def _quarters() -> Array:
    """Multiples of 1/4, ties among them: what rounds to whole numbers is exact."""
    return np.rint(drawn("values", 4, 6) * 10.0).astype(np.float32) / np.float32(4.0)


def _whole(*shape: int, kind: str = "int32", role: str = "integers") -> Array:
    return whole(role, *shape).astype(kind)


def _each(function: Any) -> Any:
    """A function of one number, of every entry."""
    return np.vectorize(function, otypes=[np.float64])


def _i0(x: Array) -> Array:
    return np.i0(x)


def _smooth(subject: str, low: float, high: float, truth: Any = None, says: str = "") -> Operation:
    """A function of one array, at numbers in an interval where it is well conditioned."""
    return Operation(subject, lambda: [call(_between(low, high))], truth, says)


def _exactly(subject: str, *arrays: Any, truth: Any = None, says: str = "") -> Operation:
    """A function of one array that rounds nothing; a function that is given makes the array."""

    def calls() -> Iterable[Call]:
        return [call(each() if callable(each) else each) for each in arrays]

    return Operation(subject, calls, truth, says, rounds=False)


def _rounded(x: Array, decimals: int = 0) -> Array:
    return np.round(x, decimals)


_UNARY = (
    *(_smooth(name, -3.0, 3.0) for name in ("exp", "exp2", "expm1", "sinh", "cosh", "tanh")),
    *(_smooth(name, 0.25, 8.0) for name in ("log2", "log10", "sqrt", "reciprocal", "cbrt", "log")),
    _smooth("rsqrt", 0.25, 8.0, lambda x: 1 / np.sqrt(x), "1 / sqrt(x)"),
    _smooth("log1p", -0.5, 4.0),
    *(_smooth(name, -1.0, 1.0) for name in ("sin", "cos", "tan", "arctan", "arcsinh")),
    *(_smooth(name, -0.9, 0.9) for name in ("arcsin", "arccos", "arctanh", "sinc")),
    _smooth("arccosh", 1.25, 8.0),
    *(_smooth(name, -200.0, 200.0) for name in ("deg2rad", "rad2deg")),
    _smooth("i0", -2.0, 2.0, _i0),
    _smooth("erf", -2.0, 2.0, _each(math.erf), "the error function"),
    _smooth("erfc", -2.0, 2.0, _each(math.erfc), "1 - erf(x)"),
    _exactly("abs", _quarters, _whole(4, 6)),
    *(_exactly(name, _quarters) for name in ("absolute", "fabs", "ceil", "floor", "trunc")),
    *(_exactly(name, _quarters) for name in ("conj", "conjugate", "real", "imag")),
    *(_exactly(name, _quarters, _whole(4, 6)) for name in ("negative", "sign", "square")),
    *(_exactly(name, _ODD) for name in ("isfinite", "isinf", "isnan", "isneginf", "isposinf")),
    *(_exactly(name, _ODD) for name in ("signbit", "isreal")),
    _exactly("logical_not", np.array([True, False, True]), _quarters),
    *(_exactly(f"bitwise_{name}", _whole(4, 6), truth=np.invert) for name in ("not", "invert")),
    Operation(
        "round",
        lambda: [call(_quarters()), call(_quarters() * np.float32(8.0), decimals=-1)],
        _rounded,
        "to even at ties, to so many decimals",
        rounds=False,
    ),
    Operation(
        "nan_to_num",
        lambda: [call(_ODD, nan=1.0, posinf=9.0, neginf=-9.0), call(_ODD[1:5])],
        rounds=False,
    ),
    Operation(
        "clip", lambda: [call(_quarters(), -1.0, 1.5), call(_whole(4, 6), -2, 3)], rounds=False
    ),
    Operation("angle", lambda: [call(_between(-2.0, 2.0))]),
    *apart(Operation("angle-complex", lambda: [call(_complex())]), "symbols"),
)


def _complex() -> Array:
    return (drawn("real", 3, 4) + 1j * drawn("imaginary", 3, 4)).astype(np.complex64)


def _pairs(left: Any, right: Any) -> Any:
    """Calls with arrays of one shape, and with a row and a column."""
    return lambda: [call(left(), right()), call(left()[:, :1], right()[0])]


def _two(subject: str, low: float, high: float, truth: Any = None, says: str = "") -> Operation:
    """A function of two arrays, one of them between 1/2 and 2."""
    return Operation(
        subject, _pairs(lambda: _between(low, high), lambda: _between(0.5, 2.0)[::-1]), truth, says
    )


def _both(subject: str, kinds: Iterable[str] = ("int32", "float32"), **more: Any) -> Operation:
    """A function of two arrays of whole numbers, the second without 0, and of an array and a number."""

    def calls() -> Iterable[Call]:
        for kind in kinds:
            left = _whole(4, 6, kind=kind, role="left")
            right = np.where(left[::-1] == 0, 3, left[::-1]).astype(kind)
            yield call(left, right)
            yield call(left[:, :1], right[0])
            yield call(left, 3)

    return Operation(subject, calls, rounds=False, **more)


def _bits(subject: str, truth: Any = None) -> Operation:
    return Operation(
        subject,
        lambda: [
            call(np.abs(_whole(4, 6)), np.array([0, 1, 2, 3, 4, 5], np.int32)),
            call(np.abs(_whole(4, 6)).astype(np.uint8), np.array([[1], [2], [3], [0]], np.uint8)),
        ],
        truth,
    )


def _of_odd(subject: str, **more: Any) -> Operation:
    """A function of two arrays that also has an answer for infinities and NaN."""
    return Operation(subject, lambda: [call(_ODD[:, None], _ODD)], rounds=False, **more)


_BINARY = (
    _two("arctan2", -2.0, 2.0),
    _two("hypot", -2.0, 2.0),
    Operation("hypot-infinite", lambda: [call(_ODD[:, None], _ODD)], says="infinite of infinities"),
    _two("logaddexp", -2.0, 2.0),
    _two("logaddexp2", -2.0, 2.0),
    Operation(
        "logaddexp-infinite",
        lambda: [call(np.array([-_INF, -_INF, _INF], np.float32), float32([-_INF, 1.0, 1.0]))],
        says="`np.logaddexp` of infinities",
    ),
    _two("power", 0.5, 2.0),
    _two("divide", -2.0, 2.0),
    _two("true_divide", -2.0, 2.0),
    *(_both(name) for name in ("add", "subtract", "multiply", "floor_divide", "mod")),
    *(_both(name) for name in ("maximum", "minimum", "equal", "not_equal", "less", "less_equal")),
    *(_both(name) for name in ("greater", "greater_equal")),
    _both("fmod", ["float32"]),
    Operation(
        "divide_no_nan",
        lambda: [call(float32([1.0, 0.0, 6.0]), float32([0.0, 0.0, 4.0]))],
        lambda x, y: np.where(y == 0, 0.0, x / np.where(y == 0, 1.0, y)),
        "0 where the divisor is 0",
    ),
    *(
        part
        for name in ("gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor")
        for part in apart(_both(name, ["int32"]), "symbols")
    ),
    *(_bits(name) for name in ("left_shift", "right_shift")),
    _bits("bitwise_left_shift", np.left_shift),
    _bits("bitwise_right_shift", np.right_shift),
    *(_of_odd(name) for name in ("fmax", "fmin")),
    Operation("heaviside", lambda: [call(_ODD[:6, None], _ODD[1:5])], rounds=False),
    _of_odd("heaviside-nan", says="NaN of NaN"),
    Operation(
        "isclose",
        lambda: [
            call(_ODD[1:5, None], _ODD[1:5]),
            call(_quarters(), _quarters() + np.float32(0.25), rtol=0.125, atol=0.0),
            call(_ODD[1:5], _ODD[1:5] + np.float32(0.25), atol=0.25),
        ],
        rounds=False,
    ),
    _of_odd("isclose-infinite", says="infinities are close to themselves alone"),
    *(_of_odd(f"logical_{name}") for name in ("and", "or", "xor")),
    Operation(
        "isclose-nan",
        lambda: [call(_ODD[[1, 3, 6]], _ODD[[1, 6, 6]], equal_nan=True)],
        rounds=False,
    ),
    Operation(
        "allclose",
        lambda: [
            call(_ODD[1:5], _ODD[1:5]),
            call(_quarters(), _quarters() + np.float32(1.0)),
            call(_quarters(), _quarters() + np.float32(0.25), atol=0.5),
        ],
        rounds=False,
    ),
    Operation(
        "ldexp",
        lambda: [call(_quarters(), np.array([3, -2, 0, 1, -1, 5], np.int32))],
        rounds=False,
    ),
    Operation(
        "nextafter",
        lambda: [call(float32([1.0, 1.0, -2.0, 0.0]), float32([2.0, 0.0, 0.0, 1.0]))],
        lambda x, y: np.nextafter(x.astype(np.float32), y.astype(np.float32)).astype(np.float64),
        "the next float32",
        rounds=False,
    ),
)

OPERATIONS = tuple(
    dataclasses.replace(one, ways=tuple(way for way in one.ways if way != "graph"))
    for one in (*_UNARY, *_BINARY)
)
