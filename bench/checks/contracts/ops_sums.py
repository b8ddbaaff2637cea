"""Functions of ``keras.ops`` that sum, count, average, rank and combine the entries of arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.checks.contracts.formulas import float32
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Call, Operation, apart, call
from bench.checks.contracts.tensors import whole

Array = Any
_NAN, _INF = np.nan, np.inf


def _x(*shape: int) -> Array:
    """Whole numbers, by default (2, 3, 4)."""
    return whole("values", *(shape or (2, 3, 4)))


def _positive() -> Array:
    """Between 1/2 and 2, (3, 4): neither means nor differences lose digits."""
    return (2.0 ** np.tanh(drawn("values", 3, 4))).astype(np.float32)


def _spread() -> Array:
    """Numbers apart from one another, (5, 6)."""
    return np.argsort(drawn("values", 30)).reshape(5, 6).astype(np.float32)


def _holes() -> Array:
    """With a NaN in some rows and columns, none of which are NaN all over, (3, 4)."""
    x = _spread()[:3, :4].copy()
    x[0, 1] = x[2, 3] = _NAN
    return x


def _along(subject: str, make: Any, **more: Any) -> Operation:
    """A reduction, over everything, an axis, several, and with axes kept."""

    def calls() -> Iterable[Call]:
        x = make()
        yield call(x)
        yield call(x, axis=0)
        yield call(x, axis=-1, keepdims=True)
        if x.ndim > 2:
            yield call(x, axis=(0, 2))

    return Operation(subject, calls, **more)


def _truths() -> Array:
    return _x() > -3


def _running(subject: str, make: Any) -> Operation:
    return Operation(subject, lambda: [call(make(), axis=0), call(make(), axis=-1)], rounds=False)


def _signs() -> Array:
    """-2, -1, 1 and 2: products of a few are exact."""
    x = _x(3, 4)
    return (np.where(x < 0, -1, 1) * np.where(np.abs(x) > 2, 2, 1)).astype(np.float32)


def _infinite() -> Array:
    return float32([1.0, _NAN, _INF, 2.0])


def _quantiles(subject: str, make: Any, *methods: str) -> Operation:
    quartiles = [0.25, 0.5] if "quantile" in subject else [25.0, 50.0]

    def calls() -> Iterable[Call]:
        one = quartiles[0]
        yield call(make(), one)
        yield call(make(), one, axis=0)
        yield call(make(), float32(quartiles), axis=1, keepdims=True)
        for method in methods:
            yield call(make(), one, axis=-1, method=method)

    return Operation(subject, calls)


_METHODS = ("lower", "higher", "midpoint", "nearest")

_REDUCED = (
    *(_along(name, _x, rounds=False) for name in ("sum", "max", "min", "amax", "amin")),
    *(_along(name, _truths) for name in ("all", "any")),
    _along("prod", _signs, rounds=False),
    *(_along(name, _positive) for name in ("mean", "std", "var", "median")),
    _along("mean-integers", lambda: _x().astype(np.int32)),
    Operation("max-initial", lambda: [call(_x(), axis=1, initial=5.0)], rounds=False),
    Operation("min-initial", lambda: [call(_x(), axis=1, initial=-5.0)], rounds=False),
    Operation("count_nonzero", lambda: [call(_x()), call(_x(), axis=1), call(_x(), axis=(0, 2))]),
    Operation(
        "average",
        lambda: [
            call(_positive()),
            call(_positive(), axis=0),
            call(_positive(), axis=1, weights=_positive()[0]),
            call(_positive(), weights=_positive()[::-1]),
        ],
    ),
    Operation("ptp", lambda: [call(_x()), call(_x(), axis=1)], rounds=False),
    _quantiles("quantile", _spread, *_METHODS),
    _quantiles("percentile", _spread),
    *(
        part
        for name in ("quantile", "nanquantile")
        for part in apart(
            Operation(f"{name}-list", lambda: [call(_spread(), [0.25, 0.75], axis=0)]), "graph"
        )
    ),
    *apart(_quantiles("nanquantile", _holes), "graph"),
    *apart(_quantiles("nanpercentile", _holes), "graph"),
    *(_along(f"nan{name}", _holes) for name in ("sum", "mean", "std", "var", "max", "min")),
    *apart(_along("nanmedian", _holes), "graph"),
    _along("nanprod", lambda: np.where(np.isnan(_holes()), _NAN, _signs())),
    *(
        Operation(name, lambda: [call(_holes()), call(_holes(), axis=0), call(_holes(), axis=1)])
        for name in ("nanargmax", "nanargmin")
    ),
    _running("cumsum", _x),
    _running("cumprod", _signs),
    *(_running(f"nan{name}", _holes) for name in ("cumsum",)),
    _running("nancumprod", lambda: np.where(np.isnan(_holes()), np.float32(_NAN), _signs())),
    *(
        Operation(f"{name}-infinite", lambda: [call(_infinite(), axis=0)], rounds=False)
        for name in ("nancumsum", "nancumprod")
    ),
    *(
        Operation(f"{name}-flat", lambda: [call(_x(2, 3))], rounds=False)
        for name in ("cumsum", "cumprod")
    ),
)


def _counts(x: Array, weights: Array | None = None, minlength: int = 0) -> Array:
    rows = np.atleast_2d(x)
    many = max(minlength, int(rows.max()) + 1)
    given = [None] * len(rows) if weights is None else np.atleast_2d(weights)
    counted = [np.bincount(row, w, many) for row, w in zip(rows, given, strict=True)]
    return np.stack(counted).reshape((*x.shape[:-1], many))


def _histogram(x: Array, bins: int = 10, range: Any = None) -> Any:  # noqa: A002 - NumPy's name
    counts, edges = np.histogram(x, bins, range)
    return counts.astype(np.float64), edges


_COMBINED = (
    Operation(
        "trapezoid",
        lambda: [
            call(_positive()),
            call(_positive(), dx=0.5, axis=0),
            call(_positive(), x=float32([0, 1, 3, 4])),
        ],
        lambda y, x=None, dx=1.0, axis=-1: (
            (np.moveaxis(y, axis, -1)[..., 1:] + np.moveaxis(y, axis, -1)[..., :-1])
            / 2
            * (dx if x is None else np.diff(x))
        ).sum(-1),
        "the area below straight lines",
    ),
    *apart(Operation("corrcoef", lambda: [call(_spread())]), "symbols", "graph"),
    *(
        Operation(
            f"correlate-{mode}",
            lambda mode=mode: [call(_x(6), _x(3), mode=mode)],  # type: ignore[misc]
            rounds=False,
        )
        for mode in ("valid", "same", "full")
    ),
    Operation(
        "bincount",
        lambda: [
            call(np.array([3, 1, 3, 0], np.int32)),
            call(np.array([3, 1, 3, 0], np.int32), minlength=6),
            call(np.array([[3, 1], [0, 1]], np.int32), minlength=4),
        ],
        _counts,
        "how often each number came in each row",
    ),
    *apart(
        Operation(
            "bincount-weights",
            lambda: [call(np.array([3, 1, 3, 0], np.int32), weights=float32([1, 2, 4, 8]))],
            _counts,
            "the sum of each number's weights",
            rounds=False,
        ),
        "symbols",
    ),
    Operation(
        "histogram",
        lambda: [call(_spread()[0], 5), call(_spread()[1], bins=4, range=(3.0, 20.0))],
        _histogram,
        "`np.histogram`, counted in floats",
    ),
)

OPERATIONS = (*_REDUCED, *_COMBINED)
