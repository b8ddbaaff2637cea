"""The cache: a folder per fingerprint, in it the four arrays as files that all processes map.

    <cache>/<fingerprint>/train-images.npy     and train-labels, test-images, test-labels
    <cache>/<fingerprint>/lock                 held by whoever populates this folder
    <cache>/<fingerprint>/tmp-*                scratch of whoever holds the lock

A file only ever appears by a rename, complete and verified, and is never changed in place: a process
that has mapped it keeps its bytes whatever happens to the name.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import numpy as np

from bench.errors import BenchError
from bench.mnist.arrays import ARRAY_NAMES, Arrays, Published, differences, fingerprint_of

CACHE_DIR_VARIABLE = "BENCH_CACHE_DIR"
FILES = tuple(f"{name.replace(' ', '-')}.npy" for name in ARRAY_NAMES)
#: Whoever holds the lock may be downloading: longer than both downloads together may take.
LOCK_TIMEOUT_SEC = 600.0

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_log = logging.getLogger("bench")


class CacheUnusableError(BenchError):
    """The cache directory cannot be written: no other source would help."""


class AbsentError(BenchError):
    """The data set is not in the cache."""


class DamagedError(AbsentError):
    """What is in the cache under this fingerprint are not these data."""


def _unusable(folder: Path, error: Exception) -> CacheUnusableError:
    return CacheUnusableError(
        f"the cache directory {folder} cannot be written: "
        f"{getattr(error, 'strerror', None) or error}",
        hint=f"make room or set {CACHE_DIR_VARIABLE} to a directory that can be written",
    )


def reject_unwritable(error: Exception, scratch: Path) -> None:
    """Raises CacheUnusableError if ``error`` says that the disk below ``scratch`` is full or read-only.

    Raises:
        CacheUnusableError: naming the folder of the data set that ``scratch`` belongs to.
    """
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        raise _unusable(scratch.parent, error) from error


def folder_of(cache: Path, fingerprint: str) -> Path:
    """The folder of a data set, whether it exists or not.

    Raises:
        BenchError: ``fingerprint`` is not 64 lower-case hexadecimal digits.
    """
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise BenchError(f"{fingerprint!r} is not a fingerprint: expected 64 hexadecimal digits")
    return cache / fingerprint


def fingerprints(cache: Path) -> list[str]:
    """Fingerprints for which the cache holds arrays, sound or not.

    Raises:
        BenchError: the cache directory cannot be read. One that does not exist is empty.
    """
    try:
        folders = [path for path in cache.iterdir() if _FINGERPRINT.fullmatch(path.name)]
        return sorted(path.name for path in folders if any(path.glob("*.npy")))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BenchError(f"{cache}: {error.strerror or error}") from error


def open_mapped(folder: Path, published: Published) -> Arrays:
    """Maps the arrays in a folder, after a check of their shapes and sizes only.

    Returns:
        read-only memory maps.

    Raises:
        AbsentError: one is not there.
        DamagedError: one has another shape, or is truncated.
        BenchError: one cannot be read.
    """
    arrays = []
    for name, shape in zip(FILES, published.shapes, strict=True):
        path = folder / name
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, NotADirectoryError):
            raise AbsentError(f"{path}: not there") from None
        except OSError as error:  # sound, for all we know: to be left alone
            raise BenchError(
                f"{path}: cannot be read: {error.strerror or error}",
                hint=f"permit reading it, or set {CACHE_DIR_VARIABLE} to another directory",
            ) from error
        except Exception as error:  # damaged headers raise anything
            raise DamagedError(f"{path}: {error}") from error
        rows = isinstance(array, np.memmap) and array.flags.c_contiguous
        if not rows or array.dtype != np.uint8 or array.shape != shape:
            raise DamagedError(f"{path}: not row-major uint8 of shape {shape}")
        arrays.append(array)
    return Arrays(*arrays)


def open_verified(folder: Path, fingerprint: str, published: Published) -> Arrays:
    """Maps the arrays in a folder and hashes all of them.

    Raises:
        AbsentError: one is not there.
        DamagedError: they are not the data of this fingerprint.
        BenchError: one cannot be read.
    """
    arrays = open_mapped(folder, published)
    digests = arrays.digests()
    if fingerprint_of(digests) != fingerprint:
        wrong = [f"its content has fingerprint {fingerprint_of(digests)}"]
        if fingerprint == published.fingerprint:
            wrong = differences(digests, published)
        raise DamagedError(f"{folder}: {'; '.join(wrong)}")
    return arrays


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[Path]:
    """Holds the right to populate a data set's folder; yields an empty scratch directory in it.

    Scratch that a killed process left behind is removed.

    Raises:
        CacheUnusableError: the folder cannot be written, or another process holds it too long.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(filelock.FileLock(folder / "lock", timeout=LOCK_TIMEOUT_SEC))
            for left in folder.glob("tmp-*"):
                shutil.rmtree(left, ignore_errors=True)
            scratch = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="tmp-", dir=folder, ignore_cleanup_errors=True)
            )
        except filelock.Timeout as error:
            raise CacheUnusableError(
                f"{folder}: another process has been populating it for {LOCK_TIMEOUT_SEC:.0f} s",
                hint=f"wait for it or end it, or set {CACHE_DIR_VARIABLE} to another directory",
            ) from error
        except (
            OSError,
            NotImplementedError,
        ) as error:  # NotImplementedError: a system without locks
            raise _unusable(folder, error) from error
        yield Path(scratch)


def _publish(
    arrays: Arrays, folder: Path, fingerprint: str, published: Published, scratch: Path
) -> None:
    """Writes arrays to ``scratch``, reads them back, verifies them, and renames them into place.

    Raises:
        CacheUnusableError: full or read-only.
        DamagedError: what was read back is not what was written.
    """
    try:
        for name, array in zip(FILES, arrays, strict=True):
            with (scratch / name).open("wb") as stream:  # np.save would hide why writing fails
                header = np.lib.format.header_data_from_array_1_0(array)
                np.lib.format.write_array_header_1_0(stream, header)
                stream.write(array.data)
                stream.flush()
                os.fsync(stream.fileno())
        open_verified(scratch, fingerprint, published)
        for name in FILES:
            (scratch / name).replace(folder / name)
    except OSError as error:
        raise _unusable(folder, error) from error
    _log.info("cached %s", folder)


def obtain(
    cache: Path,
    fingerprint: str,
    published: Published,
    get: Callable[[Path], Arrays],
    *,
    reuse: bool = True,
) -> tuple[Arrays, bool]:
    """Puts a data set into the cache; of any number of processes that ask at once, one writes it.

    Args:
        cache: the cache directory.
        fingerprint: of the data set.
        published: the shapes.
        get: gives the arrays; receives an empty directory for whatever it downloads.
        reuse: take a sound copy that is already there.

    Returns:
        read-only memory maps, verified, and whether ``get`` was called for them.

    Raises:
        CacheUnusableError: it is not there and cannot be written.
        BenchError: raised by ``get``.
    """
    folder = folder_of(cache, fingerprint)
    if reuse:
        try:
            return open_verified(folder, fingerprint, published), False
        except DamagedError as error:
            _log.warning("damaged cache, written anew: %s", error.message)
        except AbsentError:
            pass
    with _exclusive(folder) as scratch:
        if reuse:
            with contextlib.suppress(AbsentError):  # unless another process was first
                return open_verified(folder, fingerprint, published), False
        _publish(get(scratch), folder, fingerprint, published, scratch)
    return open_mapped(folder, published), True
