"""Functions of ``keras.ops`` that make arrays, move their entries about, and find or choose some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bench.checks.contracts.formulas import float32
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Call, Operation, apart, call
from bench.checks.contracts.tensors import whole

Array = Any


def _x(*shape: int) -> Array:
    """Whole numbers, by default (3, 4)."""
    return whole("values", *(shape or (3, 4)))


def _distinct(*shape: int) -> Array:
    """All different: no order of theirs is ambiguous."""
    size = int(np.prod(shape))
    return np.argsort(drawn("values", size)).reshape(shape).astype(np.float32)


def _ints(*values: Any) -> Array:
    return np.array(values, np.int32)


def _moves(subject: str, *calls: Call, truth: Any = None, says: str = "") -> Operation:
    """A function that computes nothing."""
    return Operation(subject, lambda: calls, truth, says, rounds=False)


def _drawn(subject: str, *makers: Any, truth: Any = None, says: str = "") -> Operation:
    """A function that computes nothing, of arrays that are drawn."""
    return Operation(subject, lambda: [each() for each in makers], truth, says, rounds=False)


def _split(subject: str) -> Operation:
    return _drawn(
        subject,
        lambda: call(_x(4, 6, 2), 2),
        lambda: call(_x(4, 6, 2), [1, 3] if subject != "dsplit" else [1]),
    )


def _split_along(x: Array, parts: Any, axis: int = 0) -> Any:
    return np.split(x, parts, axis)


def _uneven(x: Array, parts: Any, axis: int = 0) -> Any:
    return np.array_split(x, parts, axis)


def _joined(subject: str) -> Operation:
    return _drawn(subject, lambda: call([_x(), -_x()]), lambda: call([_x(3, 4, 2), -_x(3, 4, 2)]))


def _padded(
    x: Array, width: Any, mode: str = "constant", constant_values: float | None = None
) -> Array:
    given = {} if constant_values is None else {"constant_values": constant_values}
    return np.pad(x, width, mode, **given)  # type: ignore[call-overload]


def _flipped(subject: str) -> Operation:
    return _drawn(subject, lambda: call(_x()), lambda: call(_x(2, 3, 4)))


_MOVED = (
    _drawn("append", lambda: call(_x(), _x(2, 4), axis=0), lambda: call(_x(), _x(5))),
    _drawn("concatenate", lambda: call([_x(), _x(3, 2)], axis=-1), lambda: call([_x(), _x(1, 4)])),
    _drawn("stack", lambda: call([_x(), -_x()]), lambda: call([_x(), -_x()], axis=-1)),
    *(_joined(name) for name in ("vstack", "hstack", "dstack")),
    *(_split(name) for name in ("vsplit", "hsplit", "dsplit")),
    _drawn(
        "split",
        lambda: call(_x(4, 6), 3, axis=1),
        lambda: call(_x(4, 6), [1, 3], axis=-1),
        truth=_split_along,
        says="`np.split`",
    ),
    _drawn(
        "array_split",
        lambda: call(_x(4, 7), 3, axis=1),
        lambda: call(_x(5), 2),
        truth=_uneven,
        says="`np.array_split`",
    ),
    *(_flipped(name) for name in ("flipud", "fliplr", "ravel")),
    _drawn("flip", lambda: call(_x()), lambda: call(_x(), axis=-1), lambda: call(_x(), axis=0)),
    _drawn("flip-axes", lambda: call(_x(2, 3, 4), axis=(0, 2))),
    _drawn(
        "roll",
        lambda: call(_x(), 2),
        lambda: call(_x(), -1, axis=1),
        lambda: call(_x(), (1, -1), axis=(0, 1)),
    ),
    _drawn(
        "roll-broadcast",
        lambda: call(_x(), 2, axis=(0, 1)),
        lambda: call(_x(), (1, 2), axis=0),
        says="`np.roll`, with one shift for several axes and several for one",
    ),
    _drawn(
        "rot90",
        lambda: call(_x(3, 3)),
        lambda: call(_x(3, 3), k=2),
        lambda: call(_x(3, 3), k=-1),
        lambda: call(_x(2, 3, 3), k=3, axes=(1, 2)),
    ),
    _drawn(
        "rot90-rectangle",
        lambda: call(_x(3, 4)),
        lambda: call(_x(3, 4), k=3),
        lambda: call(_x(2, 3, 4), axes=(2, 0)),
        says="`np.rot90` of what is no square",
    ),
    _drawn(
        "transpose", lambda: call(_x(2, 3, 4)), lambda: call(_x(2, 3, 4), axes=(1, 2, 0))
    ),
    _drawn("moveaxis", lambda: call(_x(2, 3, 4), 0, -1), lambda: call(_x(2, 3, 4), (0, 1), (2, 0))),
    _drawn("swapaxes", lambda: call(_x(2, 3, 4), 0, -1), lambda: call(_x(2, 3, 4), 1, 2)),
    _drawn("expand_dims", lambda: call(_x(), 1), lambda: call(_x(), -1)),
    _drawn("expand_dims-axes", lambda: call(_x(), (0, 2))),
    _drawn("squeeze", lambda: call(_x(3, 1, 4, 1)), lambda: call(_x(3, 1, 4, 1), axis=1)),
    _drawn("squeeze-axes", lambda: call(_x(3, 1, 4, 1), axis=(1, -1))),
    _drawn("reshape", lambda: call(_x(), (2, -1)), lambda: call(_x(), (-1,))),
    _drawn("broadcast_to", lambda: call(_x(3, 1), (2, 3, 4)), lambda: call(_x(4), (3, 4))),
    _drawn("tile", lambda: call(_x(), (2, 3)), lambda: call(_x(), (2, 1, 3))),
    _drawn(
        "repeat",
        lambda: call(_x(), 2),
        lambda: call(_x(), 3, axis=-1),
        lambda: call(_x(), [1, 0, 2], axis=0),
    ),
    _drawn(
        "pad",
        lambda: call(_x(), ((1, 2), (2, 1))),
        lambda: call(_x(), ((1, 1), (2, 2)), mode="reflect"),
        lambda: call(_x(), ((0, 2), (1, 1)), mode="symmetric"),
        lambda: call(_x(), ((1, 0), (0, 2)), constant_values=5.0),
        truth=_padded,
        says="`np.pad`: constant, reflect, symmetric",
    ),
    _drawn(
        "pad-number", lambda: call(_x(), 1, mode="reflect"), truth=_padded, says="on all sides"
    ),
    _drawn("diag", lambda: call(_x()), lambda: call(_x(3), k=1), lambda: call(_x(), k=-1)),
    _drawn("diagflat", lambda: call(_x(2, 2)), lambda: call(_x(3), k=-2)),
    _drawn(
        "diagonal",
        lambda: call(_x()),
        lambda: call(_x(2, 3, 4), offset=1, axis1=1, axis2=2),
        lambda: call(_x(2, 3, 4), offset=-1, axis1=0, axis2=2),
    ),
    *(_drawn(name, lambda: call(_x(2, 3, 4)), lambda: call(_x(), k=1), lambda: call(_x(), k=-1))
      for name in ("tril", "triu")),
    _drawn("copy", lambda: call(_x())),
    _drawn("meshgrid", lambda: call(_x(3), _x(2)), lambda: call(_x(3), _x(2), indexing="ij")),
    _drawn("vander", lambda: call(_x(4)), lambda: call(_x(3), N=4, increasing=True)),
    _drawn("diff", lambda: call(_x()), lambda: call(_x(), n=2), lambda: call(_x(), axis=0)),
)  # fmt: skip

_MADE = (
    _moves("arange", call(5), call(2, 9, 3), call(1.0, 2.0, 0.25), call(5, 0, -2)),
    _moves("eye", call(3), call(3, 4, k=1), call(4, k=-2)),
    _moves("eye-tall", call(4, 2, k=-1)),
    _moves("identity", call(3)),
    _moves("tri", call(3), call(3, 4, k=1), call(4, 2, k=-1)),
    _moves("full", call((2, 3), 7.5)),
    _moves("ones", call((2, 3))),
    _moves("zeros", call((2, 3))),
    *(_drawn(f"{name}_like", lambda: call(_x()), lambda: call(_ints(1, 2)))
      for name in ("ones", "zeros")),
    _drawn("full_like", lambda: call(_x(), 7.5), lambda: call(_ints(1, 2), 3)),
    Operation("linspace", lambda: [call(0.0, 3.0, 7), call(_x(2), _x(2) + 4, 5, axis=-1)]),
    Operation("linspace-open", lambda: [call(0.0, 3.0, 6, endpoint=False)]),
    Operation("logspace", lambda: [call(-1.0, 1.0, 5), call(0.0, 3.0, 4, base=2)]),
    Operation("geomspace", lambda: [call(0.5, 8.0, 5)]),
    _moves("array", call([[1.5, 2.0], [0.0, -1.0]])),
    *(part for name in ("bartlett", "blackman", "hamming", "hanning")
      for part in apart(Operation(name, lambda: [call(7), call(1)]), "graph")),
    Operation("kaiser", lambda: [call(7, 2.0)]),
)  # fmt: skip


# --- Found and chosen


def _best(x: Array, k: int) -> Any:
    order = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, order, -1), order


def _ordered(x: Array, axis: int | None = -1) -> Array:
    return np.sort(x, axis)


def _order(x: Array, axis: int | None = -1) -> Array:
    return np.argsort(x, axis, kind="stable")


def _among(conditions: Sequence[Array], choices: Sequence[Array], default: Any = 0) -> Array:
    return np.select(list(conditions), list(choices), default)


def _bins(x: Array, bins: Array) -> Array:
    return np.digitize(x, bins)


def _chosen() -> Iterable[Call]:
    x = _x()
    yield call([x > 2, x < -1], [x, x * np.float32(2.0)], -9.0)
    yield call([x > 2, x < -1], [x, x * np.float32(2.0)], _x())


def _chosen_rows() -> Iterable[Call]:
    x = _x()
    yield call([x > 2, x[:1] < -1], [x[0], x[:, :1] * np.float32(2.0)], -9.0)


_SORTED = np.array([-4.0, -1.0, 0.0, 0.0, 3.0], np.float32)

_FOUND = (
    _drawn(
        "sort", lambda: call(_x()), lambda: call(_x(), axis=0), truth=_ordered, says="`np.sort`"
    ),
    _drawn("sort-flat", lambda: call(_x(), axis=None), truth=_ordered, says="`np.sort` of all"),
    _drawn(
        "argsort",
        lambda: call(_distinct(3, 4)),
        lambda: call(_distinct(3, 4), axis=0),
        lambda: call(_distinct(3, 4), axis=None),
        truth=_order,
        says="`np.argsort`",
    ),
    _drawn(
        "top_k",
        lambda: call(_distinct(3, 5), 2),
        lambda: call(_distinct(6), 6),
        truth=_best,
        says="the largest ones of the last axis and their places",
    ),
    *(
        _drawn(
            name,
            lambda: call(_distinct(3, 4)),
            lambda: call(_distinct(3, 4), axis=0),
            lambda: call(_distinct(2, 3, 4), axis=-1),
            lambda: call(float32([1, 3, 3, 0])),
        )
        for name in ("argmax", "argmin")
    ),
    *(
        _drawn(
            f"{name}-keepdims",
            lambda: call(_distinct(3, 4), axis=1, keepdims=True),
            lambda: call(_distinct(3, 4), keepdims=True),
        )
        for name in ("argmax", "argmin")
    ),
    _drawn("take", lambda: call(_x(), _ints(2, 0, -1), axis=1), lambda: call(_x(), _ints(5, -1))),
    _drawn("take-grid", lambda: call(_x(2, 3, 4), _ints([2, 0], [1, 1]), axis=1)),
    _drawn(
        "take_along_axis",
        lambda: call(_x(), np.argsort(_distinct(3, 4), 1).astype(np.int32), axis=1),
        lambda: call(_x(), _ints([0, 2, 1, 1]), axis=0),
    ),
    _drawn(
        "where",
        lambda: call(_x() > 0, _x(), _x(1, 4)),
        lambda: call(_x(3, 1) > 0, _x(), -1.0),
    ),
    _drawn("nonzero", lambda: call(_x()), lambda: call(_ints(0, 3, 0, 2))),
    Operation("select", _chosen, _among, "`np.select`", rounds=False),
    *apart(
        Operation("select-broadcast", _chosen_rows, _among, "`np.select`", rounds=False), "symbols"
    ),
    _drawn(
        "searchsorted",
        lambda: call(_SORTED, float32([-9.0, 0.0, 0.5, 3.0])),
        lambda: call(_SORTED, float32([-1.0, 0.0, 9.0]), side="right"),
    ),
    _drawn(
        "searchsorted-rows",
        lambda: call(_SORTED, float32([[-9.0, 0.0], [0.5, 3.0], [4.0, -2.0]])),
        says="`np.searchsorted` of values with two axes",
    ),
    *apart(
        _drawn(
            "digitize",
            lambda: call(_x(), _SORTED[[0, 1, 2, 4]]),
            lambda: call(float32([-4.0, 3.0, 9.0]), _SORTED[[0, 1, 2, 4]]),
            truth=_bins,
            says="`np.digitize`",
        ),
        "graph",
    ),
    *apart(
        _drawn("isin", lambda: call(_x(), _x(2)), lambda: call(_x(), _x(2), invert=True)), "graph"
    ),
    _drawn("unravel_index", lambda: call(_ints(5, 11, 0), (3, 4))),
    _drawn("unravel_index-grid", lambda: call(_ints([23, 1], [7, 16]), (2, 3, 4))),
    _drawn(
        "unique",
        lambda: call(_ints(7, 3, 7, 1, 3, 7)),
        lambda: call(_ints(7, 3, 7, 1, 3, 7), return_inverse=True, return_counts=True),
        truth=lambda x, **given: np.unique(x, **given),
        says="`np.unique`",
    ),
)

OPERATIONS = (*_MOVED, *_MADE, *_FOUND)
