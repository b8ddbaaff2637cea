"""Pipelines: transformations of ``tf.data`` and which elements come of them, where, in what form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("pipelines")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def numbers_of(dataset: Any) -> list[int]:
    """Elements of a data set of single numbers, in their order."""
    return [int(element) for element in dataset.as_numpy_iterator()]


def _parts(lab: Lab, what: str, dataset: Any, truth: list[Any]) -> Iterator[Deviation]:
    """Elements that differ in shape, one by one."""
    elements = list(dataset.as_numpy_iterator())
    yield exact(f"elements {what}", np.array(len(elements)), np.array(len(truth)))
    for at, (element, wanted) in enumerate(zip(elements, truth, strict=False)):
        yield exact(f"element {at} {what}", lab.seen(element), wanted)


@contract(
    "batch-short",
    thing="tf.data.Dataset.batch",
    truth="The last batch is short, or left out where that is asked for, in parallel, too; unbatch"
    " gives the elements back, rebatch other batches of the same.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    count = tf.data.Dataset.range(7)
    whole, rest = [[0, 1, 2], [3, 4, 5]], [[6]]
    yield from _parts(lab, "of batches", count.batch(3), whole + rest)
    yield from _parts(lab, "of whole batches", count.batch(3, drop_remainder=True), whole)
    parallel = count.batch(3, num_parallel_calls=2, deterministic=True)
    yield from _parts(lab, "of parallel batches", parallel, whole + rest)
    yield from _parts(lab, "without batches", parallel.unbatch(), list(range(7)))
    again = count.batch(3).rebatch(5)
    yield from _parts(lab, "of other batches", again, [[0, 1, 2, 3, 4], [5, 6]])


@contract(
    "map-parallel",
    thing="tf.data.Dataset.map",
    truth="Calls in parallel keep the order, and every element once where order is given up.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    count = tf.data.Dataset.range(50)
    ordered = count.map(lambda n: n * n + 1, num_parallel_calls=4, deterministic=True)
    yield exact("in order", lab.seen(numbers_of(ordered)), np.arange(50) ** 2 + 1)
    free = count.map(lambda n: n * n + 1, num_parallel_calls=4, deterministic=False)
    yield exact("in any order", lab.seen(sorted(numbers_of(free))), np.arange(50) ** 2 + 1)


@contract(
    "interleave-order",
    thing="tf.data.Dataset.interleave",
    truth="cycle_length parts are open at a time, each gives a block in its turn, and the next part"
    " takes the place of one that ends; in parallel, too.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    def part(n: Any) -> Any:
        return tf.data.Dataset.range(n * 10, n * 10 + 3)

    # Two are open, a block is 2: part 0 gives 0 1, part 1 10 11, part 0 its last, and so on.
    truth = [0, 1, 10, 11, 2, 12, 20, 21, 30, 31, 22, 32]
    count = tf.data.Dataset.range(4)
    options = {"cycle_length": 2, "block_length": 2}
    plain = count.interleave(part, **options)
    yield exact("elements", lab.seen(numbers_of(plain)), truth)
    parallel = count.interleave(part, **options, num_parallel_calls=2, deterministic=True)
    yield exact("elements in parallel", lab.seen(numbers_of(parallel)), truth)


@contract(
    "shuffle-buffer",
    thing="tf.data.Dataset.shuffle",
    truth="An element leaves a buffer of n at most n - 1 places early; shuffled before it is repeated,"
    " every pass has each once.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    order = np.array(numbers_of(tf.data.Dataset.range(60).shuffle(8, seed=5)))
    early = order - np.arange(60)
    yield exact("elements", np.sort(lab.seen(order)), np.arange(60))
    yield exact("earlier than the buffer allows", np.array((early > 7).sum()), np.zeros(()))
    yield exact("not moved at all", np.array((early != 0).any()), np.ones((), bool))
    twice = np.array(numbers_of(tf.data.Dataset.range(20).shuffle(20, seed=5).repeat(2)))
    passes = np.sort(lab.seen(twice).reshape(2, 20), axis=1)
    yield exact("each pass", passes, np.tile(np.arange(20), (2, 1)))


@contract(
    "padded_batch",
    thing="tf.data.Dataset.padded_batch",
    truth="Each component is padded to its longest, or to the shape given, by its own value.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    rows = tf.data.Dataset.range(1, 4).map(lambda n: (tf.range(n), tf.fill([n, 1], 0.5)))
    padded = rows.padded_batch(
        2,
        padded_shapes=([None], [4, 2]),
        padding_values=(tf.constant(-1, tf.int64), tf.constant(9.0)),
    )
    batches = list(padded.as_numpy_iterator())
    yield exact("first numbers", lab.seen(batches[0][0]), [[0, -1], [0, 1]])
    yield exact("last numbers", lab.seen(batches[1][0]), [[0, 1, 2]])
    halves = np.full((2, 4, 2), 9.0)
    halves[0, :1, 0] = halves[1, :2, 0] = 0.5
    yield exact("first halves", lab.seen(batches[0][1]), halves)


@contract(
    "bucket_by_sequence_length",
    thing="tf.data.Dataset.bucket_by_sequence_length",
    truth="Sequences of one range of lengths share batches, of that range's size, padded to their"
    " longest or to the bucket's boundary.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    lengths = [1, 4, 2, 6, 5, 2]
    rows = tf.data.Dataset.from_tensor_slices(lengths).map(lambda n: tf.fill([n], n))
    bucketed = rows.bucket_by_sequence_length(
        lambda row: tf.shape(row)[0], bucket_boundaries=[3, 6], bucket_batch_sizes=[2, 2, 1]
    )
    truth = [[[1, 0], [2, 2]], [[6] * 6], [[4] * 4 + [0], [5] * 5], [[2, 2]]]
    yield from _parts(lab, "by length", bucketed, truth)
    to_boundary = rows.take(3).bucket_by_sequence_length(
        lambda row: tf.shape(row)[0],
        bucket_boundaries=[3, 6],
        bucket_batch_sizes=[2, 2, 1],
        pad_to_bucket_boundary=True,
    )
    truth = [[[1, 0], [2, 2]], [[4] * 4 + [0]]]
    yield from _parts(lab, "by boundary", to_boundary, truth)


@contract(
    "ragged_batch",
    thing="tf.data.Dataset.ragged_batch",
    truth="Rows of a batch keep their lengths.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    batch = next(iter(tf.data.Dataset.range(3).map(tf.range).ragged_batch(3)))
    yield exact("lengths", lab.seen(batch.row_lengths()), [0, 1, 2])
    yield exact("values", lab.seen(batch.flat_values), [0, 0, 1])


@contract(
    "group_by_window",
    thing="tf.data.Dataset.group_by_window",
    truth="A key's elements are collected in their order until its window is full, and what is left"
    " comes at the end.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    grouped = tf.data.Dataset.range(7).group_by_window(
        key_func=lambda n: n % 2, reduce_func=lambda _, part: part.batch(2), window_size=2
    )
    yield from _parts(lab, "by key", grouped, [[0, 2], [1, 3], [4, 6], [5]])


@contract(
    "choose-sample",
    thing="tf.data.Dataset.sample_from_datasets",
    truth="Chosen elements come from the sets that are named; sampled ones keep their order within"
    " their set, have the frequencies asked for, and come again under the same seed.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    sets = [tf.data.Dataset.range(at, at + 3) for at in (0, 10, 20)]
    choice = tf.data.Dataset.from_tensor_slices(np.array([2, 0, 2, 1, 0], np.int64))
    chosen = tf.data.Dataset.choose_from_datasets(sets, choice)
    yield exact("chosen", lab.seen(numbers_of(chosen)), [20, 0, 21, 10, 1])

    endless = [tf.data.Dataset.range(at * 10**6, (at + 1) * 10**6) for at in range(2)]

    def sampled() -> Any:
        mixed = tf.data.Dataset.sample_from_datasets(endless, weights=[0.25, 0.75], seed=11)
        return np.array(numbers_of(mixed.take(1600)))

    got = lab.seen(sampled())
    low, high = got[got < 10**6], got[got >= 10**6]
    yield exact("order of the first set", low, np.arange(low.size))
    yield exact("order of the second set", high - 10**6, np.arange(high.size))
    # 400 of 1,600 are expected from the first; 110 is 6.3 standard deviations: 3e-10.
    yield exact("frequency off", np.array(abs(low.size - 400) > 110), np.zeros((), bool))
    yield exact("under the same seed", sampled(), got)


@contract(
    "scan-reduce",
    thing="tf.data.Dataset.scan",
    truth="State is handed from element to element; take_while ends before the first that fails, filter"
    " keeps those that pass, unique keeps the first of each.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    count = tf.data.Dataset.range(1, 6)
    zero = tf.constant(0, tf.int64)
    sums = count.scan(zero, lambda state, n: (state + n, state + n))
    yield exact("scan", lab.seen(numbers_of(sums)), [1, 3, 6, 10, 15])
    yield exact("reduce", lab.seen(count.reduce(zero, lambda state, n: 2 * state + n)), 57)
    yield exact("take_while", lab.seen(numbers_of(sums.take_while(lambda n: n < 10))), [1, 3, 6])
    yield exact("filter", lab.seen(numbers_of(sums.filter(lambda n: n % 3 == 0))), [3, 6, 15])
    repeated = tf.data.Dataset.from_tensor_slices([3, 1, 3, 2, 1])
    yield exact("unique", lab.seen(numbers_of(repeated.unique())), [3, 1, 2])


@contract(
    "zip-enumerate",
    thing="tf.data.Dataset.zip",
    truth="Zipped sets end with the shortest; structures of dictionaries and tuples are kept; enumerate"
    " counts from its start; what is concatenated follows.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    short, long = tf.data.Dataset.range(2), tf.data.Dataset.range(10, 15)
    zipped = tf.data.Dataset.zip({"a": short, "b": (long, short)})
    elements = list(zipped.as_numpy_iterator())
    flat = [[each["a"], each["b"][0], each["b"][1]] for each in elements]
    yield exact("zip", lab.seen(flat), [[0, 10, 0], [1, 11, 1]])
    numbered = [list(pair) for pair in long.enumerate(start=3).as_numpy_iterator()]
    yield exact("enumerate", lab.seen(numbered), [[3 + at, 10 + at] for at in range(5)])
    yield exact(
        "concatenate", lab.seen(numbers_of(short.concatenate(long.skip(3)))), [0, 1, 13, 14]
    )


@contract(
    "cardinality",
    thing="tf.data.Dataset.cardinality",
    truth="How many elements there are is known through batches, repeats, zips and maps, and said to be"
    " unknown behind a filter.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    count = tf.data.Dataset.range(7)
    filtered = count.filter(lambda n: n > 2)
    for name, dataset, truth in (
        ("batches", count.batch(3), 3),
        ("whole batches", count.batch(3, drop_remainder=True), 2),
        ("repeated", count.repeat(2), 14),
        ("without end", count.repeat(), tf.data.INFINITE_CARDINALITY),
        ("zipped", tf.data.Dataset.zip((count, count.take(4))), 4),
        ("mapped", count.map(lambda n: n + 1).skip(2), 5),
        ("filtered", filtered, tf.data.UNKNOWN_CARDINALITY),
        ("asserted", filtered.apply(tf.data.experimental.assert_cardinality(4)), 4),
    ):
        yield exact(name, lab.seen(dataset.cardinality()), np.array(truth))


@contract(
    "in-function",
    thing="tf.data.Dataset",
    truth="A loop over a data set inside a tf.function sees its elements in order and may break off.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    @tf.function
    def folded(dataset: Any, most: Any) -> Any:
        total = tf.constant(0, tf.int64)
        for n in dataset:
            if n > most:
                break
            total = 3 * total + n
        return total

    count = tf.data.Dataset.range(1, 6)
    yield exact("whole", lab.seen(folded(count, tf.constant(9, tf.int64))), 179)
    yield exact("broken off", lab.seen(folded(count, tf.constant(3, tf.int64))), 18)
    yield exact(
        "on itself", lab.seen(count.reduce(tf.constant(0, tf.int64), lambda a, n: 3 * a + n)), 179
    )


@contract(
    "ignore_errors",
    thing="tf.data.Dataset.ignore_errors",
    truth="Elements whose computation fails are left out, all others stay.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    values = tf.data.Dataset.from_tensor_slices([1.0, 2.0, 0.0, 4.0])
    checked = values.map(lambda x: tf.debugging.check_numerics(4.0 / x, "planned"))
    kept = list(checked.ignore_errors().as_numpy_iterator())
    yield exact("quotients", lab.seen(kept), [4.0, 2.0, 1.0])
