"""Structures: ragged and sparse tensors, strings and tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.tensors import whole
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("structures")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _same(lab: Lab, what: str, got: Any, truth: Any) -> Deviation:
    """Whether strings, or rows of several lengths, are the same: 1 if so."""
    listed = got.to_list() if hasattr(got, "to_list") else got.numpy().tolist()
    return exact(what, lab.seen(int(listed == truth)), 1)


@contract(
    "ragged",
    thing="tf.RaggedTensor",
    truth="Rows of several lengths from splits, lengths and nested lists; filled up, cut, joined,"
    " summed and mapped row by row.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    rows = [[3, 1, 4], [], [1, 5], [9]]
    ragged = tf.ragged.constant(rows)
    flat = [3, 1, 4, 1, 5, 9]
    yield _same(lab, "from lengths", tf.RaggedTensor.from_row_lengths(flat, [3, 0, 2, 1]), rows)
    yield _same(lab, "from splits", tf.RaggedTensor.from_row_splits(flat, [0, 3, 3, 5, 6]), rows)
    of_rows = tf.RaggedTensor.from_value_rowids(flat, [0, 0, 0, 2, 2, 3])
    yield _same(lab, "from numbers of rows", of_rows, rows)
    filled = ragged.to_tensor(default_value=-1, shape=[None, 4])
    truth = [[3, 1, 4, -1], [-1] * 4, [1, 5, -1, -1], [9, -1, -1, -1]]
    yield exact("filled up", lab.seen(filled), truth)
    yield _same(lab, "back", tf.RaggedTensor.from_tensor(filled, padding=-1), rows)
    yield exact("sums", lab.seen(tf.reduce_sum(ragged, axis=1)), [8, 0, 6, 9])
    yield exact("columns", lab.seen(tf.reduce_max(ragged, axis=0)), [9, 5, 4])
    means = tf.reduce_mean(tf.cast(ragged[:1], tf.float32), axis=1)
    yield exact("means", lab.seen(means), [np.float32(8) / np.float32(3)])
    yield _same(lab, "last two", ragged[:, -2:], [[1, 4], [], [1, 5], [9]])
    yield _same(lab, "taken", tf.gather(ragged, [3, 0]), [[9], [3, 1, 4]])
    yield _same(
        lab,
        "joined",
        tf.concat([ragged, ragged[:, :1]], axis=1),
        [[3, 1, 4, 3], [], [1, 5, 1], [9, 9]],
    )
    yield _same(lab, "masked", tf.ragged.boolean_mask(ragged, ragged > 2), [[3, 4], [], [5], [9]])
    yield _same(
        lab,
        "doubled",
        tf.ragged.map_flat_values(lambda x: 2 * x, ragged),
        [[6, 2, 8], [], [2, 10], [18]],
    )
    yield _same(lab, "ranges", tf.ragged.range([2, 0, 3]), [[0, 1], [], [0, 1, 2]])
    nested = tf.ragged.constant([[[1], [2, 3]], []])
    yield _same(lab, "merged", nested.merge_dims(1, 2), [[1, 2, 3], []])
    yield _same(lab, "sorted", tf.sort(ragged[2:3].to_tensor(), direction="DESCENDING"), [[5, 1]])


@contract(
    "sparse",
    thing="tf.sparse.SparseTensor",
    truth="Made dense, ordered, cut, joined, added, summed and multiplied, a sparse tensor is the dense"
    " one; empty rows are filled and named.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    dense = np.where(whole("kept", 4, 5) > 1, whole("values", 4, 5), 0.0).astype(np.float32)
    dense[1], dense[2, 3] = 0.0, 7.0
    other = whole("other", 5, 3)
    sparse = tf.sparse.from_dense(dense)
    yield exact("places", lab.seen(sparse.indices), np.argwhere(dense))
    yield exact("dense", lab.seen(tf.sparse.to_dense(sparse)), dense)
    mixed = tf.SparseTensor([[2, 1], [0, 3], [0, 0]], [1.0, 2.0, 3.0], [3, 4])
    yield exact("ordered", lab.seen(tf.sparse.reorder(mixed).values), [3.0, 2.0, 1.0])
    product = tf.sparse.sparse_dense_matmul(sparse, other)
    yield exact("product", lab.seen(product), dense @ other)
    left = whole("left", 4, 2)
    turned = tf.sparse.sparse_dense_matmul(sparse, left, adjoint_a=True)
    yield exact("turned product", lab.seen(turned), dense.T @ left)
    for name, got, truth in (
        ("turned", tf.sparse.transpose(sparse), dense.T),
        ("cut", tf.sparse.slice(sparse, [1, 1], [2, 3]), dense[1:3, 1:4]),
        ("joined", tf.sparse.concat(1, [sparse, sparse]), np.concatenate([dense, dense], 1)),
        ("added", tf.sparse.add(sparse, sparse), 2 * dense),
        ("reshaped", tf.sparse.reshape(sparse, [2, -1]), dense.reshape(2, 10)),
    ):
        yield exact(name, lab.seen(tf.sparse.to_dense(got)), truth)
    yield exact("sums", lab.seen(tf.sparse.reduce_sum(sparse, axis=1)), dense.sum(1))
    filled, empty = tf.sparse.fill_empty_rows(sparse, 9.0)
    rows = ~dense.any(1)
    truth = dense.copy()
    truth[rows, 0] = 9.0
    yield exact("filled", lab.seen(tf.sparse.to_dense(filled)), truth)
    yield exact("empty rows", lab.seen(empty), rows)
    with tf.GradientTape() as tape:
        values = tf.Variable(sparse.values)
        wrapped = tf.SparseTensor(sparse.indices, values, sparse.dense_shape)
        total = tf.reduce_sum(tf.sparse.sparse_dense_matmul(wrapped, other))
    at = np.argwhere(dense)[:, 1]
    slope = lab.seen(tape.gradient(total, values))
    yield exact("slope", slope, other.sum(1)[at])


@contract(
    "embedding_lookup_sparse",
    thing="tf.nn.embedding_lookup_sparse",
    truth="Rows of a table are summed or averaged for each example, with its weights.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    table = whole("table", 5, 2)
    ids = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], tf.constant([1, 3, 4], tf.int64), [2, 2])
    weights = tf.SparseTensor(ids.indices, [0.5, 1.5, 2.0], [2, 2])
    lookup = tf.nn.embedding_lookup_sparse
    sums = [table[1] + table[3], table[4]]
    yield exact("sum", lab.seen(lookup(table, ids, None, combiner="sum")), sums)
    yield exact("mean", lab.seen(lookup(table, ids, None, combiner="mean")), [sums[0] / 2, sums[1]])
    weighted = [0.5 * table[1] + 1.5 * table[3], 2 * table[4]]
    got = lookup(table, ids, weights, combiner="sum")
    yield exact("weighted sum", lab.seen(got), weighted)
    got = lookup(table, ids, weights, combiner="mean")
    yield exact("weighted mean", lab.seen(got), [weighted[0] / 2, table[4]])
    rows = tf.nn.embedding_lookup(table, [[0, 4], [4, 2]])
    yield exact("rows", lab.seen(rows), table[[[0, 4], [4, 2]]])


@contract(
    "strings",
    thing="tf.strings.split",
    truth="Split, joined, cut, replaced, read as numbers and counted, in bytes or characters; the keyed"
    " hash is SipHash-2-4.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    words = tf.constant(["a b  c", "", "dé f"])
    split = [[b"a", b"b", b"c"], [], ["dé".encode(), b"f"]]
    yield _same(lab, "split", tf.strings.split(words), split)
    by_letter = tf.strings.split(tf.constant(["a,b,,c"]), sep=",")
    yield _same(lab, "by a letter", by_letter, [[b"a", b"b", b"", b"c"]])
    joined = tf.strings.reduce_join([["a", "b"], ["c", "d"]], axis=1, separator="-")
    yield _same(lab, "joined", joined, [b"a-b", b"c-d"])
    yield exact("bytes", lab.seen(tf.strings.length(words)), [6, 0, 5])
    yield exact("characters", lab.seen(tf.strings.length(words, unit="UTF8_CHAR")), [6, 0, 4])
    cut = tf.strings.substr(["hello", "world"], [1, -3], [3, 2])
    yield _same(lab, "cut", cut, [b"ell", b"rl"])
    replaced = tf.strings.regex_replace(["a1b22"], r"([a-z])(\d+)", r"\2\1;")
    yield _same(lab, "replaced", replaced, [b"1a;22b;"])
    yield _same(lab, "matched", tf.strings.regex_full_match(["ab", "abc"], "a.*b"), [True, False])
    yield _same(lab, "upper", tf.strings.upper(["Äb"], encoding="utf-8"), ["ÄB".encode()])
    yield _same(lab, "stripped", tf.strings.strip([" a b\n"]), [b"a b"])
    numbers = tf.strings.to_number(["1.5", "-2e3", "inf"])
    yield exact("numbers", lab.seen(numbers), [1.5, -2000.0, np.inf])
    yield _same(
        lab, "as strings", tf.strings.as_string([1.5, -2.0], precision=1), [b"1.5", b"-2.0"]
    )
    points = tf.strings.unicode_decode(["aé"], "UTF-8")
    yield _same(lab, "decoded", points, [[97, 233]])
    yield _same(lab, "base64", tf.io.encode_base64(["any?>"], pad=True), [b"YW55Pz4="])
    # SipHash-2-4 of no byte, under the key 0, 1, ..., 15 (Aumasson and Bernstein 2012, appendix A).
    key = np.frombuffer(bytes(range(16)), "<u8").tolist()
    strong = tf.strings.to_hash_bucket_strong([bytes(range(15))], 2**62, key)
    yield exact("strong hash", lab.seen(strong % 2**32), [0xA129CA6149BE45E5 % 2**32])


@contract(
    "lookup",
    thing="tf.lookup.StaticHashTable",
    truth="Keys have their values, others the default or a bucket beyond; a table that may change keeps"
    " what is inserted and forgets what is removed.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    keys, values = tf.constant(["a", "b", "c"]), tf.constant([10, 20, 30], tf.int64)
    initializer = tf.lookup.KeyValueTensorInitializer(keys, values)
    static = tf.lookup.StaticHashTable(initializer, -1)
    sought = tf.constant([["c", "x"], ["a", "b"]])
    yield exact("static", lab.seen(static.lookup(sought)), [[30, -1], [10, 20]])
    places = tf.lookup.KeyValueTensorInitializer(keys, tf.range(3, dtype=tf.int64))
    vocabulary = tf.lookup.StaticVocabularyTable(places, num_oov_buckets=1)
    yield exact("vocabulary", lab.seen(vocabulary.lookup(sought)), [[2, 3], [0, 1]])
    yield exact("its size", lab.seen(vocabulary.size()), 4)
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(keys, values)
    table.insert(tf.constant(["b"]), tf.constant([21], tf.int64))
    table.remove(tf.constant(["a"]))
    yield exact("changed", lab.seen(table.lookup(sought)), [[30, -1], [-1, 21]])
    exported = sorted(table.export()[1].numpy().tolist())
    yield exact("exported", lab.seen(exported), [21, 30])
    numbers = tf.lookup.experimental.DenseHashTable(
        tf.int64, tf.int64, default_value=-1, empty_key=-7, deleted_key=-8
    )
    numbers.insert(tf.constant([5, 6], tf.int64), tf.constant([50, 60], tf.int64))
    got = numbers.lookup(tf.constant([6, 7, 5], tf.int64))
    yield exact("dense", lab.seen(got), [60, -1, 50])
