"""Functions of ``keras.ops`` that run functions, convert, cut and scatter."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from bench.checks.contracts.formulas import float32
from bench.checks.contracts.operation import Call, Operation, apart, call, int32
from bench.checks.contracts.tensors import whole

Array = Any


def _rows(*shape: int) -> Array:
    return whole("rows", *shape)


def _int(value: int) -> Array:
    return np.array(value, np.int32)


# --- Functions of arrays and numbers alike, so that the truth runs them, too


def _doubled(x: Any) -> Any:
    return x * 2 + 1


def _squared(x: Any) -> Any:
    return x * x


def _added(x: Any, y: Any) -> Any:
    return x + y


def _affine(first: Any, second: Any) -> Any:
    """Composes maps x -> a x + b, in their order: not commutative."""
    return first[0] * second[0], first[1] * second[0] + second[1]


def _step(carry: Any, x: Any) -> Any:
    return carry + x, carry * 2


def _cut(carry: Any, x: Any) -> Any:
    return carry + x, x[:2]


def _count(carry: Any, _: Any) -> Any:
    return carry + 1, carry * 3


# --- Truths


def _while(cond: Any, body: Any, loop_vars: Any, maximum_iterations: Any = None) -> Any:
    steps = itertools.count() if maximum_iterations is None else range(maximum_iterations)
    listed = isinstance(loop_vars, (list, tuple))
    for _ in steps:
        given = loop_vars if listed else (loop_vars,)
        if not cond(*given):
            break
        loop_vars = body(*given)
    return loop_vars


def _fori(lower: int, upper: int, body_fun: Any, init_val: Any) -> Any:
    for at in range(lower, upper):
        init_val = body_fun(at, init_val)
    return init_val


def _scan(
    f: Any, init: Any, xs: Any = None, length: Any = None, *, reverse: bool = False, unroll: Any = 1
) -> Any:
    del unroll
    count = len(xs) if xs is not None else length
    order = range(count)[:: -1 if reverse else 1]
    results: list[Any] = [None] * count
    for at in order:
        init, results[at] = f(init, None if xs is None else xs[at])
    return init, np.stack(results)


def _associative(f: Any, elems: Any, *, reverse: bool = False, axis: int = 0) -> Any:
    """From one end: the combination of all up to each, one at a time."""
    listed = isinstance(elems, tuple)
    given = [np.moveaxis(one, axis, 0) for one in (elems if listed else (elems,))]
    if reverse:
        given = [one[::-1] for one in given]
    total: Any = tuple(one[0] for one in given) if listed else given[0][0]
    totals = [total]
    for at in range(1, len(given[0])):
        total = f(total, tuple(one[at] for one in given) if listed else given[0][at])
        totals.append(total)
    columns = list(zip(*totals, strict=True)) if listed else [totals]
    results = [np.stack(column[::-1] if reverse else column, axis) for column in columns]
    return tuple(results) if listed else results[0]


def _mapped(f: Any, xs: Any) -> Array:
    return np.stack([f(x) for x in (zip(*xs, strict=True) if isinstance(xs, tuple) else xs)])


def _saturated(x: Array, dtype: str) -> Array:
    limits = np.iinfo(dtype)
    inside = np.clip(x, float(limits.min), float(limits.max)) if x.dtype.kind == "f" else x
    return np.array([min(max(int(one), limits.min), limits.max) for one in inside], dtype)


def _slice(inputs: Array, start_indices: Sequence[int], shape: Sequence[int]) -> Array:
    ends = [
        None if size == -1 else at + size for at, size in zip(start_indices, shape, strict=True)
    ]
    return inputs[tuple(slice(at, end) for at, end in zip(start_indices, ends, strict=True))]


def _slice_update(inputs: Array, start_indices: Sequence[int], updates: Array) -> Array:
    result = inputs.copy()
    at = zip(start_indices, updates.shape, strict=True)
    result[tuple(slice(start, start + size) for start, size in at)] = updates
    return result


_FOLDS = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def _scatter_update(inputs: Array, indices: Array, updates: Array, reduction: Any = None) -> Array:
    result, places = inputs.copy(), tuple(np.moveaxis(np.asarray(indices), -1, 0))
    if reduction is None:
        result[places] = updates
    else:
        _FOLDS[reduction].at(result, places, updates)
    return result


def _scatter(indices: Array, values: Array, shape: Sequence[int]) -> Array:
    return _scatter_update(np.zeros(shape, values.dtype), indices, values, "add")


# --- Tables


def _exact(
    subject: str, truth: Any, says: str, *calls: Callable[[], Call], alike: Any = None
) -> Operation:
    made = lambda: [one() for one in calls]  # noqa: E731
    return Operation(subject, made, truth, says, rounds=alike is not None, alike=alike)


_MAPPED = (
    lambda: call(_doubled, _rows(4, 3)),
    lambda: call(_squared, _rows(5).astype(np.int32)),
)


def _paired() -> Call:
    return call(lambda pair: pair[0] * pair[1], (_rows(4, 3), whole("others", 4, 3)))


_RUNS = (
    *apart(
        _exact(
            "while_loop",
            _while,
            "runs while the condition holds",
            *(
                lambda top=top: call(
                    lambda i, _: i < top, lambda i, x: (i + 1, x * 2), (_int(0), _rows(2, 3))
                )
                for top in (4, 0)
            ),
            lambda: call(
                lambda i, _: i < 9,
                lambda i, x: (i + 1, x + 1),
                [_int(0), _rows(3)],
                maximum_iterations=3,
            ),
        ),
        "symbols",
    ),
    *apart(
        _exact(
            "while_loop-one",
            _while,
            "runs while the condition holds, of a single variable",
            lambda: call(lambda i: i < 10, lambda i: i + 3, _int(0)),
        ),
        "symbols",
    ),
    _exact(
        "fori_loop",
        _fori,
        "runs for each number",
        lambda: call(0, 4, lambda _, x: x * 2, _rows(2, 3)),
        lambda: call(2, 5, lambda _, x: x + 1, _rows(3)),
    ),
    _exact(
        "scan",
        _scan,
        "carries on from row to row",
        lambda: call(_step, _rows(3), _rows(5, 3)),
        lambda: call(_step, _rows(3), _rows(5, 3), reverse=True),
        lambda: call(_step, _rows(3), _rows(5, 3), unroll=2),
    ),
    _exact(
        "scan-outputs",
        _scan,
        "outputs of another shape than what is carried on",
        lambda: call(_cut, _rows(3), _rows(5, 3)),
    ),
    _exact(
        "scan-unroll_true",
        _scan,
        "carries on from row to row, unrolled",
        lambda: call(_step, _rows(3), _rows(5, 3), unroll=True),
    ),
    _exact(
        "scan-length",
        _scan,
        "carries on so often",
        lambda: call(_count, _rows(3), length=4),
        lambda: call(_count, _rows(3), xs=None, length=3, reverse=True),
    ),
    *apart(
        _exact(
            "associative_scan",
            _associative,
            "the combination of all up to each",
            *(
                lambda count=count, options=options: call(_added, _rows(count, 2), **options)
                for count, options in ((1, {}), (5, {}), (4, {"reverse": True}))
            ),
        ),
        "graph",
    ),
    *apart(
        _exact(
            "associative_scan-order",
            _associative,
            "the combination of all up to each, in their order",
            lambda: call(_affine, (_rows(5, 2) / 4, whole("shift", 5, 2)), reverse=True),
        ),
        "graph",
    ),
    *apart(
        _exact(
            "associative_scan-axis",
            _associative,
            "the combination of all up to each along an axis",
            lambda: call(_added, _rows(2, 5), axis=1),
            lambda: call(_added, _rows(2, 4), axis=-1, reverse=True),
        ),
        "graph",
    ),
    _exact("map", _mapped, "the function of each row", *_MAPPED),
    *apart(_exact("vectorized_map", _mapped, "the function of each row", *_MAPPED), "symbols"),
    *apart(_exact("map-tuple", _mapped, "the function of each pair of rows", _paired), "symbols"),
    *apart(
        _exact("vectorized_map-tuple", _mapped, "the function of each pair", _paired),
        "symbols",
    ),
    _exact(
        "switch",
        lambda index, branches, *x: branches[min(max(int(index), 0), len(branches) - 1)](*x),
        "the branch of the index, or the first or last one",
        *(
            lambda index=index: call(
                _int(index),
                [_added, lambda x, y: x - y, lambda x, y: x * y],
                _rows(3),
                whole("y", 3),
            )
            for index in (1, 5, -3)
        ),
    ),
)


# --- Conversions

_NUMBERS = float32([-3e9, -70000.0, -129.75, -1.5, 0.0, 2.5, 127.5, 300.0, 70000.0, 3e9, 1e20])
_LONG = np.array([-(2**40), -200, -1, 0, 1, 200, 2**40], np.int64)


def _casts(*kinds: str) -> list[Callable[[], Call]]:
    return [functools.partial(call, x, kind) for kind in kinds for x in (_NUMBERS, _LONG)]


def _kinds() -> Iterable[Callable[[], Call]]:
    def made(kind: str, given: str) -> Call:
        return call((np.abs(_rows(2, 3)) + np.float32(0.5)).astype(given), kind)

    for kind in ("int32", "uint8", "float32", "bool", "int64"):
        yield functools.partial(made, kind, "float32")
        yield functools.partial(made, kind, "int32")


def _cast(x: Array, dtype: str) -> Array:
    return x.astype(dtype)


_CONVERSIONS = (
    _exact("cast", _cast, "of another type; floats are cut to whole numbers", *_kinds()),
    *apart(_exact("convert_to_tensor", _cast, "of the type that is given", *_kinds()), "symbols"),
    _exact(
        "saturate_cast",
        _saturated,
        "ends of the type's range in place of what lies beyond",
        *_casts("uint8", "int8", "int16", "uint16"),
    ),
    _exact(
        "saturate_cast-wide",
        _saturated,
        "ends of the type's range, or what float32 has next to them, in place of what lies beyond",
        *_casts("int32", "int64", "uint32"),
        alike=lambda parts: [part.astype(np.float64) for part in parts],
    ),
    *apart(
        _exact("stop_gradient", lambda x: x, "what it is given", lambda: call(_rows(2, 3))),
        "symbols",
    ),
)


# --- Parts

_AT = int32([[1, 0], [3, 1], [1, 0]])
_PARTS = (
    _exact(
        "slice",
        _slice,
        "a part",
        lambda: call(_rows(4, 5), int32([1, 2]), (2, 3)),
        lambda: call(_rows(3, 4, 5), (0, 1, 2), (3, 2, 1)),
    ),
    *apart(
        _exact(
            "slice-rest", _slice, "all that is left", lambda: call(_rows(4, 5), (1, 2), (2, -1))
        ),
        "symbols",
    ),
    _exact(
        "slice_update",
        _slice_update,
        "a part replaced",
        lambda: call(_rows(4, 5), int32([1, 2]), whole("part", 2, 3)),
        lambda: call(_rows(4, 5), (0, 0), whole("part", 4, 1)),
    ),
    _exact(
        "scatter",
        _scatter,
        "sums of what goes to each place",
        lambda: call(_AT, whole("values", 3), (4, 2)),
        lambda: call(_AT[:, :1], whole("values", 3, 2), (5, 2)),
        lambda: call(_AT.astype(np.int64), whole("values", 3).astype(np.int32), (4, 2)),
    ),
    _exact(
        "scatter_update",
        _scatter_update,
        "places replaced",
        lambda: call(_rows(4, 2), _AT[:2], whole("values", 2)),
        lambda: call(_rows(4, 2), _AT[:2, :1], whole("values", 2, 2)),
        lambda: call(_rows(4, 2), [[0, 1], [2, 0]], whole("values", 2)),
    ),
    _exact(
        "scatter_update-reduction",
        _scatter_update,
        "places added to, multiplied, or the larger or smaller number kept",
        *(
            lambda name=name, rows=rows: call(
                _rows(4, 2), _AT[:, :rows], whole("values", *(3, 2)[: 3 - rows]), reduction=name
            )
            for name, rows in ((*zip(_FOLDS, (1, 2, 1, 2), strict=True), ("mul", 1)))
        ),
    ),
    _exact(
        "unstack",
        lambda x, axis=0, **_: list(np.moveaxis(x, axis, 0)),
        "the parts along an axis",
        *(
            lambda options=options: call(_rows(3, 4, 2), **options)
            for options in ({}, {"axis": 1}, {"axis": -1, "num": 2})
        ),
    ),
)

OPERATIONS = (*_RUNS, *_CONVERSIONS, *_PARTS)
