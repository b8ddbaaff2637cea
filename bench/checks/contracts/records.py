"""Records: what is written to files and read back, pipelines, examples, checkpoints and functions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.pipelines import numbers_of
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("records")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _holds(what: str, holds: Any) -> Deviation:
    return exact(what, np.array(bool(holds)), np.ones((), bool))


@contract(
    "cache",
    thing="tf.data.Dataset.cache",
    truth="What is cached, in memory or in a file, is computed once, and comes again as it was.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    with tempfile.TemporaryDirectory() as folder:
        for name in ("", str(Path(folder, "cached"))):
            calls: list[int] = []

            def double(n: Any, calls: list[int] = calls) -> Any:
                calls.append(int(n))
                return np.int64(2 * n)

            cached = (
                tf.data.Dataset.range(5)
                .map(lambda n, double=double: tf.numpy_function(double, [n], tf.int64))
                .cache(name)
            )
            where = "file" if name else "memory"
            for time in ("first", "second"):
                yield exact(f"{time} pass, {where}", lab.seen(numbers_of(cached)), 2 * np.arange(5))
            yield exact(f"computed, {where}", np.array(len(calls)), np.array(5))


@contract(
    "save-load",
    thing="tf.data.Dataset.save",
    truth="A data set that was saved is read back whole, in its order, with its shapes and types.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    count = tf.data.Dataset.range(6).map(
        lambda n: {"n": n, "row": tf.cast(tf.range(n), tf.float32)}
    )
    with tempfile.TemporaryDirectory() as folder:
        count.save(folder)
        read = list(tf.data.Dataset.load(folder).as_numpy_iterator())
    yield exact("numbers", lab.seen([each["n"] for each in read]), np.arange(6))
    for at, each in enumerate(read):
        yield exact(f"row {at}", lab.seen(each["row"]), np.arange(at))
    yield exact("type", np.array(read[0]["row"].dtype == np.float32), np.ones((), bool))


@contract(
    "iterator-checkpoint",
    thing="tf.train.Checkpoint",
    truth="An iterator that was saved in the middle, behind a shuffle, a batch and a prefetch, goes on"
    " where it was.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    iterator = iter(tf.data.Dataset.range(12).shuffle(4, seed=2).batch(2).prefetch(2))
    before = [next(iterator).numpy() for _ in range(2)]
    saved = tf.train.Checkpoint(iterator=iterator)
    with tempfile.TemporaryDirectory() as folder:
        path = saved.write(str(Path(folder, "iterator")))
        rest = [batch.numpy() for batch in iterator]
        saved.read(path)
        again = [batch.numpy() for batch in iterator]
    yield exact("all elements", np.sort(lab.seen([*before, *rest]), axis=None), np.arange(12))
    yield exact("after it was restored", lab.seen(again), rest)


@contract(
    "from_generator",
    thing="tf.data.Dataset.from_generator",
    truth="Every pass calls the generator anew with its arguments; shapes may differ where the"
    " signature leaves them open; its error ends the pass.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    def rows(most: Any) -> Iterator[Any]:
        for n in range(int(most)):
            yield np.arange(n), n / 2

    signature = (tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.float32))
    dataset = tf.data.Dataset.from_generator(rows, args=(3,), output_signature=signature)
    for time in ("first", "second"):
        got = list(dataset.as_numpy_iterator())
        yield exact(f"halves of the {time} pass", lab.seen([half for _, half in got]), [0, 0.5, 1])
        yield exact(
            f"rows of the {time} pass", lab.seen(np.concatenate([n for n, _ in got])), [0, 0, 1]
        )

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("planned")

    seen, raised = [], False
    failed = tf.data.Dataset.from_generator(failing, output_signature=tf.TensorSpec([], tf.int32))
    try:
        for element in failed:
            seen.append(int(element))  # noqa: PERF401 - keeps what came before the error
    except tf.errors.OpError:
        raised = True
    yield exact("before its error", lab.seen(seen), [1])
    yield exact("the error is raised", np.array(raised), np.ones((), bool))


@contract(
    "tfrecord",
    thing="tf.data.TFRecordDataset",
    truth="Records come back as they were written, from several files, compressed or not; a damaged one"
    " is an error, and what stands before it is kept.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    written = [b"", b"one", bytes(range(256)) * 40]
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("", "GZIP", "ZLIB"):
            paths = [str(Path(folder, f"{name}{kind}")) for name in "ab"]
            for path in paths:
                with tf.io.TFRecordWriter(path, options=kind or None) as writer:
                    for record in written:
                        writer.write(record)
            read = tf.data.TFRecordDataset(paths, compression_type=kind)
            got = list(read.as_numpy_iterator())
            yield exact(f"bytes {kind}", lab.seen(list(b"".join(got))), list(b"".join(written * 2)))
            yield _holds(f"records {kind}", got == written * 2)
        damaged = Path(folder, "a")
        content = bytearray(damaged.read_bytes())
        content[-100] ^= 1
        damaged.write_bytes(content)
        kept, raised = [], False
        records = tf.data.TFRecordDataset(str(damaged)).as_numpy_iterator()
        try:
            for record in records:
                kept.append(record)  # noqa: PERF402 - keeps what came before the error
        except tf.errors.DataLossError:
            raised = True
        yield _holds("a damaged record is an error", raised)
        yield _holds("what stands before it", kept == written[:2])


@contract(
    "parse_example",
    thing="tf.io.parse_example",
    truth="Features of fixed, variable and ragged length come back, what is missing as its default.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    feature = tf.train.Feature

    def example(numbers: list[int], halves: list[float] | None) -> bytes:
        fields = {"numbers": feature(int64_list=tf.train.Int64List(value=numbers))}
        fields["name"] = feature(bytes_list=tf.train.BytesList(value=[b"n%d" % len(numbers)]))
        if halves is not None:
            fields["halves"] = feature(float_list=tf.train.FloatList(value=halves))
        made = tf.train.Example(features=tf.train.Features(feature=fields))
        return bytes(made.SerializeToString())

    examples = [example([1, 2, 3], [0.5, 1.5]), example([], None)]
    parsed = tf.io.parse_example(
        examples,
        {
            "numbers": tf.io.RaggedFeature(tf.int64),
            "halves": tf.io.FixedLenFeature([2], tf.float32, default_value=[-1.0, -2.0]),
            "name": tf.io.FixedLenFeature([], tf.string),
        },
    )
    yield exact("lengths", lab.seen(parsed["numbers"].row_lengths()), [3, 0])
    yield exact("numbers", lab.seen(parsed["numbers"].flat_values), [1, 2, 3])
    yield exact("halves", lab.seen(parsed["halves"]), [[0.5, 1.5], [-1.0, -2.0]])
    yield _holds("names", parsed["name"].numpy().tolist() == [b"n3", b"n0"])
    sparse = tf.io.parse_example(examples, {"numbers": tf.io.VarLenFeature(tf.int64)})["numbers"]
    dense = tf.sparse.to_dense(sparse, default_value=-1)
    yield exact("variable length", lab.seen(dense), [[1, 2, 3], [-1, -1, -1]])


@contract(
    "lines-fixed",
    thing="tf.data.TextLineDataset",
    truth="Lines end with a line feed, with or without a return; records of fixed length stand between"
    " header and footer; columns have their types and defaults.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    with tempfile.TemporaryDirectory() as folder:
        texts, binary = Path(folder, "texts"), Path(folder, "binary")
        texts.write_bytes(b"first\r\nsecond\n\nlast")
        lines = list(tf.data.TextLineDataset(str(texts)).as_numpy_iterator())
        yield exact("bytes of lines", lab.seen(list(b"".join(lines))), list(b"firstsecondlast"))
        yield _holds("lines", lines == [b"first", b"second", b"", b"last"])
        binary.write_bytes(b"HHabcdefF")
        fixed = tf.data.FixedLengthRecordDataset(str(binary), 3, header_bytes=2, footer_bytes=1)
        yield _holds("fixed lengths", list(fixed.as_numpy_iterator()) == [b"abc", b"def"])
        table = Path(folder, "table.csv")
        table.write_text('n,text,half\n1,"a, ""b""",0.5\n2,,\n')
        columns = tf.data.experimental.CsvDataset(
            str(table), [tf.int32, tf.constant(["none"]), tf.constant([9.0])], header=True
        )
        rows = [(int(n), bytes(text), float(half)) for n, text, half in columns.as_numpy_iterator()]
        yield _holds("rows", rows == [(1, b'a, "b"', 0.5), (2, b"none", 9.0)])
        names = tf.data.Dataset.list_files(str(Path(folder, "t*")), shuffle=False)
        found = [Path(name.decode()).name for name in names.as_numpy_iterator()]
        yield _holds("files", found == ["table.csv", "texts"])


@contract(
    "serialize_tensor",
    thing="tf.io.serialize_tensor",
    truth="Tensors of every type come back with their bits; raw bytes are read in either order.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("values", 3, 5)
    for name in ("float16", "float32", "float64", "int8", "int64", "bool", "complex64", "bfloat16"):
        kind = tf.as_dtype(name)
        given = tf.cast(x * 2.0, kind)
        got = tf.io.parse_tensor(tf.io.serialize_tensor(given), kind)
        yield exact(name, lab.seen(_bits(got)), _bits(given))
    raw = np.array([1, 258, -2], ">i2").tobytes()
    yield exact(
        "big endian", lab.seen(tf.io.decode_raw(raw, tf.int16, little_endian=False)), [1, 258, -2]
    )
    yield exact("little endian", lab.seen(tf.io.decode_raw(raw, tf.int16)), [256, 513, -257])


def _bits(tensor: Any) -> Any:
    """The bytes of a tensor as whole numbers."""
    return np.frombuffer(np.ascontiguousarray(tensor.numpy()).tobytes(), np.uint8)


@contract(
    "checkpoint",
    thing="tf.train.Checkpoint",
    truth="Variables in attributes, lists and dictionaries come back, also those made after restoring;"
    " what is missing is said; a manager keeps as many as it is told.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    def tree(scale: float) -> Any:
        root = tf.Module()
        root.one = tf.Variable([1.0 * scale, 2.0 * scale])
        root.many = [tf.Variable(3.0 * scale), {"inner": tf.Variable(4 * int(scale))}]
        return root

    def values(root: Any) -> list[float]:
        return [*root.one.numpy(), root.many[0].numpy(), root.many[1]["inner"].numpy()]

    with tempfile.TemporaryDirectory() as folder:
        path = tf.train.Checkpoint(root=tree(1.0)).write(str(Path(folder, "tree")))
        other = tree(0.0)
        tf.train.Checkpoint(root=other).read(path).assert_consumed()
        yield exact("restored", lab.seen(values(other)), [1, 2, 3, 4])
        later = tf.Module()
        status = tf.train.Checkpoint(root=later).read(path)
        later.one = tf.Variable([0.0, 0.0])
        yield exact("made later", lab.seen(later.one), [1.0, 2.0])
        try:
            status.assert_consumed()
            said = False
        except AssertionError:
            said = True
        yield _holds("what is missing is said", said)

        counter = tf.Variable(0)
        manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(counter=counter), str(Path(folder, "managed")), max_to_keep=2
        )
        for step in range(1, 5):
            counter.assign(step)
            manager.save()
        yield exact("kept", np.array(len(manager.checkpoints)), np.array(2))
        for name, truth in (("latest", 4), ("before", 3)):
            manager.checkpoint.restore(manager.checkpoints[-1 if name == "latest" else -2])
            yield exact(name, lab.seen(counter), truth)


@contract(
    "saved_model",
    thing="tf.saved_model.save",
    truth="A module that was saved has its functions, signatures, variables and tables when it is"
    " loaded, and computes the same.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable([2.0, -1.0])
            self.calls = tf.Variable(0, trainable=False)
            keys, numbers = tf.constant(["a", "b"]), tf.constant([10, 20])
            initializer = tf.lookup.KeyValueTensorInitializer(keys, numbers)
            self.table = tf.lookup.StaticHashTable(initializer, -1)

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
        def product(self, x: Any) -> Any:
            self.calls.assign_add(1)
            return {"sums": tf.reduce_sum(x * self.weights, -1), "calls": self.calls.read_value()}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def look(self, names: Any) -> Any:
            return self.table.lookup(names)

    x = np.array([[1.0, 2.0], [3.0, 0.5]], np.float32)
    module = Module()
    module.product(x)
    with tempfile.TemporaryDirectory() as folder:
        signatures = {"serving_default": module.product}
        tf.saved_model.save(module, folder, signatures=signatures)
        loaded = tf.saved_model.load(folder)
        first = loaded.product(x)
        second = loaded.signatures["serving_default"](x=tf.constant(2 * x))
        found = loaded.look(tf.constant(["b", "?", "a"]))
    yield exact("sums", lab.seen(first["sums"]), [0.0, 5.5])
    yield exact("state", lab.seen(first["calls"]), 2)
    yield exact("of the signature", lab.seen(second["sums"]), [0.0, 11.0])
    yield exact("its state", lab.seen(second["calls"]), 3)
    yield exact("table", lab.seen(found), [20, -1, 10])
    yield exact("weights", lab.seen(loaded.weights), [2.0, -1.0])
    yield _holds("trainable", loaded.weights.trainable and not loaded.calls.trainable)


@contract(
    "images",
    thing="tf.io.decode_image",
    truth="PNG keeps 8 and 16 bits of 1 to 4 channels, BMP is read, JPEG comes close where"
    " an image is smooth.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    values = np.abs(drawn("pixels", 6, 5, 4) * 80).clip(0, 255)
    for channels in (1, 3, 4):
        for kind in (np.uint8, np.uint16):
            pixels = (values[..., :channels] * (1 if kind is np.uint8 else 257)).astype(kind)
            got = tf.io.decode_png(tf.io.encode_png(pixels), dtype=tf.as_dtype(kind))
            yield exact(f"PNG, {channels} channels of {np.dtype(kind).name}", lab.seen(got), pixels)
    gray = values[..., :1].astype(np.uint8)
    color = tf.io.decode_png(tf.io.encode_png(gray), channels=3)
    yield exact("gray as color", lab.seen(color), np.repeat(gray, 3, -1))
    flat = np.full((16, 16, 3), [200, 100, 50], np.uint8)
    smooth = tf.io.decode_jpeg(tf.io.encode_jpeg(flat, quality=100))
    off = np.abs(lab.seen(smooth).astype(int) - flat).max()
    # One step of rounding in each of Y, Cb and Cr, and back.
    yield _holds("JPEG of one color", off <= 3)
    # Size of the file, where the pixels begin; size of this part, width, height, planes and bits.
    sizes = [62, 0, 54, 40, 2, 1, 1 | 24 << 16, 0, 8, 0, 0, 0, 0]
    colors = bytes([3, 2, 1, 6, 5, 4, 0, 0])  # blue first, rows of 4 bytes
    bitmap = b"BM" + np.array(sizes, "<u4").tobytes() + colors
    yield exact("BMP", lab.seen(tf.io.decode_image(bitmap)), [[[1, 2, 3], [4, 5, 6]]])
