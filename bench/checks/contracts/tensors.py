"""Tensors: what TensorFlow's own functions gather, scatter, sort, cut and bring to a shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("tensors")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

Array = Any


def whole(role: str, *shape: int) -> Array:
    """Whole numbers from -8 to 8 as float32: sums and products of a few are exact."""
    return np.clip(np.rint(drawn(role, *shape) * 3.0), -8.0, 8.0)


@contract(
    "gather",
    thing="tf.gather",
    truth="Slices along any axis, batch by batch with batch_dims; gather_nd takes index tuples; the"
    " gradient adds up what was taken twice.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("table", 3, 4, 5)
    indices = np.array([[3, 0], [1, 1], [2, 3]])
    for axis in (0, 1, -1):
        got = tf.gather(x, [2, 0, 2], axis=axis)
        yield exact(f"axis {axis}", lab.seen(got), np.take(x, [2, 0, 2], axis=axis))
    batched = np.stack([row[index] for row, index in zip(x, indices, strict=True)])
    yield exact("of batches", lab.seen(tf.gather(x, indices, batch_dims=1)), batched)
    addresses = [[2, 3], [0, 1]]
    yield exact("addresses", lab.seen(tf.gather_nd(x, addresses)), x[[2, 0], [3, 1]])
    of_batches = tf.gather_nd(x, [[[3]], [[0]], [[1]]], batch_dims=1)
    yield exact("addresses of batches", lab.seen(of_batches)[:, 0], x[[0, 1, 2], [3, 0, 1]])
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(tf.gather(given, [2, 0, 2]) * tf.reshape([1.0, 2.0, 4.0], [3, 1, 1]))
    slope = tf.convert_to_tensor(tape.gradient(total, given))
    truth = np.broadcast_to(np.array([2.0, 0.0, 5.0]).reshape(3, 1, 1), x.shape)
    yield exact("slope", lab.seen(slope), truth)


@contract(
    "scatter_nd",
    thing="tf.scatter_nd",
    truth="Values for one index are added up; in a tensor they are written, added, subtracted, or the"
    " larger or smaller one stays.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    at, rows = [[2], [0], [2]], whole("rows", 3, 2)
    base = whole("base", 4, 2)
    places = np.array([2, 0, 2])
    sums = np.zeros((4, 2))
    np.add.at(sums, places, rows)
    yield exact("scatter_nd", lab.seen(tf.scatter_nd(at, rows, [4, 2])), sums)
    for name, apply in (
        ("add", np.add),
        ("sub", np.subtract),
        ("max", np.maximum),
        ("min", np.minimum),
    ):
        truth = base.copy()
        apply.at(truth, places, rows)
        got = getattr(tf, f"tensor_scatter_nd_{name}")(base, at, rows)
        yield exact(f"tensor_scatter_nd_{name}", lab.seen(got), truth)
    truth = base.copy()
    truth[[3, 1]] = rows[:2]
    got = tf.tensor_scatter_nd_update(base, [[3], [1]], rows[:2])
    yield exact("tensor_scatter_nd_update", lab.seen(got), truth)


@contract(
    "segments",
    thing="tf.math.segment_sum",
    truth="Sums, means, products and extremes of the rows of each segment; an empty segment gives 0, 1"
    " or the type's extreme; rows of a negative segment are dropped.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = np.where(whole("rows", 5, 2) == 0, 1, whole("rows", 5, 2))
    ids = np.array([0, 0, 2, 2, 2])
    missing = {"sum": 0.0, "prod": 1.0, "max": 0.0, "min": 0.0}
    biggest = np.finfo(np.float32).max
    unsorted_missing = {"sum": 0.0, "prod": 1.0, "max": -biggest, "min": biggest}
    order = np.array([3, 0, 4, 1, 2])
    for name in ("sum", "prod", "max", "min"):
        fold: Callable[..., Any] = getattr(np, name)
        truth = np.stack([fold(x[:2], 0), np.full(2, missing[name]), fold(x[2:], 0)])
        got = getattr(tf.math, f"segment_{name}")(x, ids)
        yield exact(f"segment_{name}", lab.seen(got), truth)
        truth[1] = unsorted_missing[name]
        dropped = np.concatenate([x[order], whole("dropped", 1, 2)])
        got = getattr(tf.math, f"unsorted_segment_{name}")(dropped, [*ids[order], -1], 3)
        yield exact(f"unsorted_segment_{name}", lab.seen(got), truth)
    four = x[:4]
    mean = tf.math.unsorted_segment_mean(four, [1, 0, 1, 0], 2)
    yield exact("mean", lab.seen(mean), [(four[1] + four[3]) / 2, (four[0] + four[2]) / 2])


@contract(
    "slices",
    thing="tf.strided_slice",
    truth="Slices with steps, negative indices, new axes and an ellipsis are NumPy's; the gradient goes"
    " where they were taken.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("values", 4, 5, 6)
    given = tf.constant(x)
    for name, index in (
        ("steps", np.s_[::2, 1:4, ::3]),
        ("backwards", np.s_[::-1, -2:0:-2]),
        ("one each", np.s_[1, -1]),
        ("ellipsis", np.s_[..., 2]),
        ("new axis", np.s_[:, None, 1:2, ..., None]),
        ("nothing", np.s_[3:1]),
    ):
        with tf.GradientTape() as tape:
            tape.watch(given)
            got = given[index]
            total = tf.reduce_sum(got * 3.0)
        slope = np.zeros(x.shape)
        slope[index] = 3.0
        yield exact(name, lab.seen(got), x[index])
        yield exact(f"slope of {name}", lab.seen(tape.gradient(total, given)), slope)


@contract(
    "sort",
    thing="tf.sort",
    truth="Sorted up or down along any axis; equal ones keep their order where that is asked for;"
    " top_k takes the earlier of two equal ones.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("values", 6, 7)
    for axis in (0, -1):
        up = np.sort(x, axis=axis)
        yield exact(f"up along {axis}", lab.seen(tf.sort(x, axis=axis)), up)
        down = tf.sort(x, axis=axis, direction="DESCENDING")
        yield exact(f"down along {axis}", lab.seen(down), np.flip(up, axis))
    order = np.argsort(x, axis=-1, kind="stable")
    yield exact("argsort", lab.seen(tf.argsort(x, stable=True)), order)
    values, indices = tf.math.top_k(x, 3)
    first = np.argsort(-x, axis=-1, kind="stable")[:, :3]
    yield exact("top_k", lab.seen(values), np.take_along_axis(x, first, -1))
    yield exact("places of top_k", lab.seen(indices), first)
    long = np.array([5, -3, 2**40, -(2**40), 0])
    yield exact("int64", lab.seen(tf.sort(long)), np.sort(long))
    column = x[:, :1]
    found = tf.math.in_top_k([0, 1], [[0.5, 1.0, 0.75], [0.5, 0.25, 0.75]], 2)
    yield exact("in_top_k", lab.seen(found), [False, False])
    yield exact("k of a column", lab.seen(tf.math.top_k(column, 1)[1]), np.zeros((6, 1)))


@contract(
    "unique-where",
    thing="tf.unique",
    truth="Distinct values in the order of their first place, how often and where each came; `where`"
    " lists the indices of what is true, row by row.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    values, index, counts = tf.unique_with_counts([7, 3, 7, 1, 3, 7])
    yield exact("values", lab.seen(values), [7, 3, 1])
    yield exact("places", lab.seen(index), [0, 1, 0, 2, 1, 0])
    yield exact("counts", lab.seen(counts), [3, 2, 1])
    x = whole("values", 5, 4)
    yield exact("where", lab.seen(tf.where(x > 0)), np.argwhere(x > 0))
    chosen = tf.where(x > 0, x, np.arange(4.0, dtype=np.float32))
    yield exact("either", lab.seen(chosen), np.where(x > 0, x, np.arange(4.0)))
    yield exact("boolean_mask", lab.seen(tf.boolean_mask(x, x > 0)), x[x > 0])
    rows = np.array([True, False, True, True, False])
    yield exact("rows", lab.seen(tf.boolean_mask(x, rows)), x[rows])


@contract(
    "shapes",
    thing="tf.pad",
    truth="Padded by a constant or mirrored, tiled, rolled, transposed, reversed, split, stacked and"
    " reshaped, every element is where NumPy has it.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("values", 3, 4)
    sides = [[1, 2], [2, 1]]
    modes: tuple[Literal["constant", "reflect", "symmetric"], ...]
    modes = ("constant", "reflect", "symmetric")
    for mode in modes:
        yield exact(mode, lab.seen(tf.pad(x, sides, mode.upper())), np.pad(x, sides, mode))
    five = tf.pad(x, sides, constant_values=5)
    yield exact("padded by 5", lab.seen(five), np.pad(x, sides, constant_values=5))
    for name, got, truth in (
        ("tile", tf.tile(x, [2, 3]), np.tile(x, (2, 3))),
        ("repeat", tf.repeat(x, [1, 0, 2], axis=0), np.repeat(x, [1, 0, 2], 0)),
        ("roll", tf.roll(x, [1, -1], [0, 1]), np.roll(x, (1, -1), (0, 1))),
        ("reverse", tf.reverse(x, [1]), x[:, ::-1]),
        ("transpose", tf.transpose(x[None], [2, 0, 1]), x[None].transpose(2, 0, 1)),
        ("broadcast", tf.broadcast_to(x[:1], [3, 4]), np.broadcast_to(x[:1], (3, 4))),
        ("stack", tf.stack([x, -x], axis=-1), np.stack([x, -x], -1)),
        ("concat", tf.concat([x, x[:, :1]], 1), np.concatenate([x, x[:, :1]], 1)),
        ("split", tf.split(x, [1, 3], axis=1)[1], x[:, 1:]),
        ("unstack", tf.unstack(x, axis=1)[2], x[:, 2]),
        ("squeeze", tf.squeeze(x[:, None, :, None], [1]), x[..., None]),
        ("depth", tf.nn.space_to_depth(x[:2].reshape(1, 2, 4, 1), 2), _blocks(x[:2])),
        ("space", tf.nn.depth_to_space(_blocks(x[:2]), 2), x[:2].reshape(1, 2, 4, 1)),
        ("band", tf.linalg.band_part(x, 1, 0), np.tril(np.triu(x, -1))),
    ):
        yield exact(name, lab.seen(got), truth)
    turned = tf.reverse_sequence(x, [1, 4, 2], seq_axis=1)
    truth = np.stack([x[0], x[1, ::-1], x[2, [1, 0, 2, 3]]])
    yield exact("reverse_sequence", lab.seen(turned), truth)


def _blocks(x: Array) -> Array:
    """(2, 4) as one row of two blocks of 2 by 2, (1, 1, 2, 4)."""
    return x.reshape(2, 2, 2).transpose(1, 0, 2).reshape(1, 1, 2, 4)


@contract(
    "one_hot",
    thing="tf.one_hot",
    truth="1 at the index along any axis, or other values; an index out of range gives no 1.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    truth = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]])
    for axis in (-1, 0):
        got = tf.one_hot([1, -1, 2, 3], 3, axis=axis)
        yield exact(f"along {axis}", lab.seen(got), truth if axis else truth.T)
    valued = tf.one_hot([1, -1, 2, 3], 3, on_value=5, off_value=-1)
    yield exact("values", lab.seen(valued), 6 * truth - 1)
    mask = tf.sequence_mask([1, 3, 0], 4)
    yield exact("sequence_mask", lab.seen(mask), np.arange(4) < np.array([[1], [3], [0]]))
    parts = tf.dynamic_partition([10, 20, 30, 40], [1, 0, 1, 0], 2)
    yield exact("dynamic_partition", lab.seen(parts), [[20, 40], [10, 30]])
    stitched = tf.dynamic_stitch([[1, 3], [0, 2]], [[10, 30], [0, 20]])
    yield exact("dynamic_stitch", lab.seen(stitched), [0, 10, 20, 30])
