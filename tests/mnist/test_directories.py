"""Directories and files that the user gives, each with its faults."""

from __future__ import annotations

import gzip
import io
import re
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import mnist
from bench.errors import BenchError
from bench.mnist import arrays as _arrays
from bench.mnist import files as _files
from bench.mnist.arrays import ARRAY_NAMES
from support.small_mnist import (
    FORMS,
    TEST,
    TRAIN,
    World,
    assert_same,
    changed,
    fingerprint,
    idx_bytes,
    keras_bytes,
    npz_bytes,
    put,
    stand_in,
)


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
