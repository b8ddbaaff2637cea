"""Reading the files in which MNIST is passed around: IDX, gzipped IDX, and npz.

Everything here treats its input as untrusted: sizes are bounded before memory is taken, nothing is
unpickled, and whatever goes wrong while decoding is a :class:`BenchError` that names the file.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.mnist._arrays import Arrays, Bytes, checked
from bench.mnist._published import Published

#: Names under which the four arrays are found, in order of ARRAY_NAMES; each with .gz or without.
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
_NPY_HEADER_BYTES = 1 << 16  # generous: NumPy writes 128
_MAX_LABEL_BYTES = 8  # an npz may store labels as int64
_SHOWN = 8  # names listed in a message


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises on this file into a BenchError.

    Damaged input makes gzip, zipfile and NumPy's header parser raise almost anything (OSError,
    EOFError, zlib.error, BadZipFile, ValueError, SyntaxError, MemoryError, ...); all of it means
    that the file is unusable.
    """
    try:
        yield
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"{path}: {type(error).__name__}: {error}") from error


def parse_idx(content: bytes, shape: tuple[int, ...], *, place: str) -> Bytes:
    """Decode one IDX array of unsigned bytes.

    The format: two zero bytes, the type code, the number of dimensions; each dimension as a
    big-endian uint32; then the data, row-major.

    Args:
        content: the whole file, decompressed.
        shape: the shape it must have.
        place: its name, for the message.

    Returns:
        uint8 array of `shape`, read-only.

    Raises:
        BenchError: wrong magic number, dimensions or length.

    References:
        LeCun, Cortes, Burges: The MNIST database of handwritten digits, 'the IDX file format'.
    """
    magic = bytes((0, 0, _IDX_UBYTE, len(shape)))
    header_bytes = 4 + 4 * len(shape)
    if len(content) < header_bytes:
        raise BenchError(
            f"{place}: truncated: {len(content)} bytes, the IDX header alone has {header_bytes}"
        )
    if content[:4] != magic:
        raise BenchError(f"{place}: IDX magic is {content[:4].hex()}, expected {magic.hex()}")
    found = struct.unpack_from(f">{len(shape)}I", content, 4)
    if found != shape:
        raise BenchError(f"{place}: shape {found}, expected {shape}")
    length, expected = len(content) - header_bytes, math.prod(shape)
    if length < expected:
        raise BenchError(f"{place}: truncated: {length} bytes of data, expected {expected}")
    if length > expected:
        raise BenchError(f"{place}: more data than the {expected} bytes that its header announces")
    return np.frombuffer(content, dtype=np.uint8, offset=header_bytes).reshape(shape)


def read_idx(path: Path, shape: tuple[int, ...]) -> Bytes:
    """Read an IDX file of `shape`, gzipped or not (its content decides, not its name).

    Raises:
        BenchError: unreadable, truncated, failing gzip's checksum, or not of `shape`.
    """
    # One byte more than the file may hold: enough to see that there is too much, and, where there
    # is not, to make gzip reach its end and compare its checksum.
    limit = 4 + 4 * len(shape) + math.prod(shape) + 1
    with _decoding(path), path.open("rb") as stream:
        zipped = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        stream.seek(0)
        if zipped:
            with gzip.GzipFile(fileobj=stream, mode="rb") as unzipped:
                content = unzipped.read(limit)
        else:
            content = stream.read(limit)
    return parse_idx(content, shape, place=str(path))


def _npz_member(archive: zipfile.ZipFile, key: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    name = f"{key}.npy"
    if name not in archive.namelist():
        held = ", ".join(archive.namelist()[:_SHOWN]) or "nothing"
        raise BenchError(f"{archive.filename}: no array {key}; it holds {held}")
    size = archive.getinfo(name).file_size
    limit = _NPY_HEADER_BYTES + _MAX_LABEL_BYTES * math.prod(shape)
    if size > limit:
        raise BenchError(f"{archive.filename}: {key} takes {size} bytes, expected at most {limit}")
    array = np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise BenchError(f"{archive.filename}: {key} is no array")
    return array


def read_npz(path: Path, published: Published) -> Arrays:
    """Read an npz file with the arrays x_train, y_train, x_test, y_test, as Keras publishes it.

    Raises:
        BenchError: unreadable, damaged, holding pickled objects, or not of MNIST's form.
    """
    with _decoding(path), zipfile.ZipFile(path) as archive:
        candidates = [
            _npz_member(archive, key, shape)
            for key, shape in zip(NPZ_KEYS, published.shapes, strict=True)
        ]
        return checked(candidates, published, place=str(path))


def _find_idx(directory: Path) -> list[Path | None]:
    """Find the file of each array, None where there is none; plain files before gzipped ones."""
    found: list[Path | None] = []
    for names in IDX_NAMES:
        candidates = [directory / f"{name}{suffix}" for suffix in ("", ".gz") for name in names]
        found.append(next((path for path in candidates if path.is_file()), None))
    return found


def _find_npz(directory: Path) -> Path:
    preferred = directory / NPZ_NAME
    if preferred.is_file():
        return preferred
    others = sorted(directory.glob("*.npz"))
    if len(others) == 1:
        return others[0]
    if others:
        names = ", ".join(path.name for path in others)
        raise BenchError(
            f"{directory}: several npz files ({names}), none of them {NPZ_NAME}",
            hint="name the file itself instead of its directory",
        )
    present = sorted(path.name for path in directory.iterdir())
    shown = ", ".join(present[:_SHOWN]) + (", ..." if len(present) > _SHOWN else "")
    raise BenchError(
        f"{directory}: no MNIST files there, only: {shown or 'nothing'}",
        hint=f"expected {', '.join(names[0] for names in IDX_NAMES)} (each with .gz or without), "
        f"or {NPZ_NAME}",
    )


def read_directory(directory: Path, published: Published) -> Arrays:
    """Read the data set in a directory, or in an npz file named directly.

    IDX files come first; an npz file counts only where there is no IDX file at all.

    Raises:
        BenchError: nothing there, something missing, damaged, or not of MNIST's form.
    """
    with _decoding(directory):
        if not directory.exists():
            raise BenchError(
                f"{directory}: no such file or directory",
                hint="name an existing one, or none to let another source be used",
            )
        if directory.is_file():
            return read_npz(directory, published)
        found = _find_idx(directory)
        paths = [path for path in found if path is not None]
        if not paths:
            return read_npz(_find_npz(directory), published)
    if len(paths) < len(found):
        missing = [n[0] for n, path in zip(IDX_NAMES, found, strict=True) if path is None]
        raise BenchError(
            f"{directory}: incomplete: {', '.join(missing)} missing (with .gz or without)",
            hint="all four IDX files must be in one directory",
        )
    candidates = [
        read_idx(path, shape) for path, shape in zip(paths, published.shapes, strict=True)
    ]
    return checked(list(candidates), published, place=str(directory))
