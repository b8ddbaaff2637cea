"""Reading the files in which MNIST is passed around: IDX, gzipped IDX, npz, and members of zip files.

Everything here treats its input as untrusted: no more is unpacked than can be wanted, whatever a file
announces; nothing is unpickled; and whatever goes wrong while decoding is a :class:`BenchError` that
names the file.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.mnist.arrays import Arrays, Bytes, Published, checked

#: Names under which the four arrays are looked for, in order of ARRAY_NAMES; each with .gz or without.
IDX_NAMES = (
    ("train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
    ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"),
)
NPZ_NAME = "mnist.npz"
NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")

_IDX_UBYTE = 0x08  # IDX's code for unsigned bytes, third byte of its magic number
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_ENTRY = b"PK\x01\x02"  # begins each entry of a zip file's directory
_NPZ_BYTES = 256 << 20  # of a file as a whole; MNIST, not compressed: 55 MB
_NPZ_MEMBERS = 64  # zipfile takes 10 microseconds for each entry of a directory, wanted or not
_NPY_HEADER_BYTES = 1 << 16  # generous: NumPy writes 128
_LABEL_BYTES = 8  # an npz may store labels as int64
_PIXEL_BYTES = 4  # wrong, but a mistake that deserves its own message: float32
_SHOWN = 8  # names listed in a message


@contextlib.contextmanager
def decoding(place: object) -> Iterator[None]:
    """Turns whatever a decoder raises on this file into a BenchError that begins with ``place``.

    Damaged input makes gzip, zipfile, pickle and NumPy's header parser raise almost anything (OSError,
    EOFError, zlib.error, BadZipFile, ValueError, SyntaxError, MemoryError, ...); all of it means
    that the file is unusable.
    """
    try:
        yield
    except BenchError as error:
        error.message = f"{place}: {error.message}"
        raise
    except Exception as error:
        raise BenchError(f"{place}: {type(error).__name__}: {error}") from error


def parse_idx(content: bytes, shape: tuple[int, ...]) -> Bytes:
    """Decodes one IDX array of unsigned bytes.

    The format: two zero bytes, the type code, the number of dimensions; each dimension as a
    big-endian uint32; then the data, row-major.

    Args:
        content: the whole file, decompressed.
        shape: the shape that it must have.

    Returns:
        uint8 array of ``shape``, read-only.

    Raises:
        BenchError: wrong magic number, dimensions or length.

    References:
        LeCun, Cortes, Burges: The MNIST database of handwritten digits, 'the IDX file format'.
    """
    magic = bytes((0, 0, _IDX_UBYTE, len(shape)))
    header_bytes = 4 + 4 * len(shape)
    if len(content) < header_bytes:
        raise BenchError(
            f"truncated: {len(content)} bytes, the IDX header alone has {header_bytes}"
        )
    if content[:4] != magic:
        raise BenchError(f"IDX magic is {content[:4].hex()}, expected {magic.hex()}")
    announced = struct.unpack_from(f">{len(shape)}I", content, 4)
    if announced != shape:
        raise BenchError(f"shape {announced}, expected {shape}")
    length, expected = len(content) - header_bytes, math.prod(shape)
    if length < expected:
        raise BenchError(f"truncated: {length} bytes of data, expected {expected}")
    if length > expected:
        raise BenchError(f"more data than the {expected} bytes that its header announces")
    return np.frombuffer(content, dtype=np.uint8, offset=header_bytes).reshape(shape)


def read_idx(path: Path, shape: tuple[int, ...]) -> Bytes:
    """Reads an IDX file of ``shape``, gzipped or not (its content decides, not its name).

    Raises:
        BenchError: unreadable, truncated, failing gzip's checksum, or not of ``shape``.
    """
    # One byte more than the file may hold: enough to see that there is too much, and, where there
    # is not, to make gzip reach its end and compare its checksum.
    limit = 4 + 4 * len(shape) + math.prod(shape) + 1
    with decoding(path), path.open("rb") as stream:
        zipped = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        stream.seek(0)
        content = (gzip.GzipFile(fileobj=stream) if zipped else stream).read(limit)
        return parse_idx(content, shape)


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The content of a zip file's member, of which no more than ``limit`` bytes are unpacked.

    The size that the archive announces is not believed: what zipfile unpacks is bounded by the size
    that it is asked for, and that only where it inflates.

    Raises:
        BenchError: it has more bytes, or is compressed in another way.
        KeyError: there is none of this name.
    """
    member = archive.getinfo(name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BenchError(f"{name} is neither stored nor deflated")
    with archive.open(member) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise BenchError(f"{name} takes more than {limit} bytes")
    return content


def _npz_array(archive: zipfile.ZipFile, key: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    name = f"{key}.npy"
    if name not in archive.namelist():
        held = ", ".join(archive.namelist()[:_SHOWN]) or "nothing"
        raise BenchError(f"no array {key}; it holds {held}")
    item_bytes = _LABEL_BYTES if len(shape) == 1 else _PIXEL_BYTES
    content = read_member(archive, name, _NPY_HEADER_BYTES + item_bytes * math.prod(shape))
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))


def read_npz(path: Path, published: Published) -> Arrays:
    """Reads an npz file with the arrays x_train, y_train, x_test, y_test, as Keras publishes it.

    Raises:
        BenchError: unreadable, damaged, holding pickled objects, or not of MNIST's form.
    """
    with decoding(path):
        content = path.read_bytes() if path.stat().st_size <= _NPZ_BYTES else b""
        if not content or content.count(_ZIP_ENTRY) > _NPZ_MEMBERS:
            raise BenchError(f"empty, or more than {_NPZ_BYTES} bytes or {_NPZ_MEMBERS} arrays")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            candidates = [
                _npz_array(archive, key, shape)
                for key, shape in zip(NPZ_KEYS, published.shapes, strict=True)
            ]
        return checked(candidates, published)


def _find(directory: Path) -> list[Path]:
    """The four IDX files in a directory, plain ones before gzipped ones, or its one npz file.

    Raises:
        BenchError: neither, both, or not all four.
    """
    if not directory.exists():
        raise BenchError(
            "no such file or directory",
            hint="name an existing one, or none to let another source be used",
        )
    if directory.is_file():
        return [directory]
    files, missing = [], []
    for names in IDX_NAMES:
        candidates = [directory / f"{name}{suffix}" for suffix in ("", ".gz") for name in names]
        there = [path for path in candidates if path.is_file()]
        files += there[:1]
        missing += [] if there else [names[0]]
    if files and missing:
        raise BenchError(
            f"incomplete: {', '.join(missing)} missing (with .gz or without)",
            hint="all four IDX files must be in one directory",
        )
    npz = [path for path in [directory / NPZ_NAME] if path.is_file()] or [*directory.glob("*.npz")]
    if files and npz:
        raise BenchError(
            f"holds IDX files and {npz[0].name}: which of them?",
            hint="name the npz file itself, or move one of the two elsewhere",
        )
    if len(npz) > 1:
        held = ", ".join(sorted(path.name for path in npz))
        raise BenchError(
            f"several npz files ({held}), none of them {NPZ_NAME}",
            hint="name the file itself instead of its directory",
        )
    if files or npz:
        return files or npz
    present = sorted(path.name for path in directory.iterdir())
    shown = ", ".join(present[:_SHOWN]) + (", ..." if len(present) > _SHOWN else "")
    raise BenchError(
        f"no MNIST files there, only: {shown or 'nothing'}",
        hint=f"expected {', '.join(names[0] for names in IDX_NAMES)} (each with .gz or without), "
        f"or {NPZ_NAME}",
    )


def read_directory(directory: Path, published: Published) -> Arrays:
    """Reads the data set in a directory, or in an npz file named directly.

    Raises:
        BenchError: nothing there, IDX files beside an npz file, something missing, damaged, or not of
            MNIST's form.
    """
    with decoding(directory):
        paths = _find(directory)
    if len(paths) == 1:
        return read_npz(paths[0], published)
    arrays = [read_idx(path, shape) for path, shape in zip(paths, published.shapes, strict=True)]
    with decoding(directory):
        return checked(arrays, published)
