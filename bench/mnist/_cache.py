"""The cache: one folder per fingerprint, in it one file that all processes map.

    <cache>/<fingerprint>/arrays.u8     the four arrays' bytes, one after the other
    <cache>/<fingerprint>/lock          held by whoever populates this folder
    <cache>/<fingerprint>/tmp-*         scratch of whoever holds the lock

`arrays.u8` only ever appears by a rename, complete and verified, and is never changed in place: a
process that has mapped it keeps its bytes whatever happens to the name.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import numpy as np

from bench.errors import BenchError
from bench.mnist._arrays import Arrays, differences
from bench.mnist._published import ARRAY_NAMES, Published, fingerprint_of

CACHE_DIR_VARIABLE = "BENCH_CACHE_DIR"
DATA_NAME = "arrays.u8"
ASIDE_SUFFIX = ".damaged"
#: Whoever holds the lock may be downloading: longer than both downloads together may take.
LOCK_TIMEOUT_SEC = 600.0

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_log = logging.getLogger("bench")


class CacheUnusableError(BenchError):
    """The cache directory cannot be written: no other source would help."""


class AbsentError(BenchError):
    """The data set is not in the cache."""


class DamagedError(BenchError):
    """What is in the cache under this fingerprint are not these data."""


def _unusable(folder: Path, error: OSError) -> CacheUnusableError:
    return CacheUnusableError(
        f"the cache directory {folder} cannot be written: {error.strerror or error}",
        hint=f"make room or set {CACHE_DIR_VARIABLE} to a directory that can be written",
    )


def reject_unwritable(error: Exception, scratch: Path) -> None:
    """Raise CacheUnusableError if `error` says that the disk below `scratch` is full or read-only.

    Raises:
        CacheUnusableError: naming the folder of the data set that `scratch` belongs to.
    """
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        raise _unusable(scratch.parent, error) from error


def data_file(cache: Path, fingerprint: str) -> Path:
    """Give the file of a data set, whether it exists or not.

    Raises:
        BenchError: `fingerprint` is not 64 lower-case hexadecimal digits.
    """
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise BenchError(f"{fingerprint!r} is not a fingerprint: expected 64 hexadecimal digits")
    return cache / fingerprint / DATA_NAME


def fingerprints(cache: Path) -> list[str]:
    """Fingerprints for which the cache holds a file, sound or not.

    Raises:
        BenchError: the cache directory cannot be read. One that does not exist is empty.
    """
    try:
        names = sorted(path.name for path in cache.iterdir() if _FINGERPRINT.fullmatch(path.name))
        return [name for name in names if data_file(cache, name).exists()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BenchError(f"{cache}: {error.strerror or error}") from error


def open_mapped(cache: Path, fingerprint: str, published: Published) -> Arrays:
    """Map a cached data set, after a check of its size only.

    Returns:
        read-only views on one memory map.

    Raises:
        AbsentError: there is none.
        DamagedError: its size is wrong.
        BenchError: it cannot be read.
    """
    path = data_file(cache, fingerprint)
    try:
        size = path.stat().st_size
        if size != published.size_bytes:
            raise DamagedError(f"{path}: {size} bytes, expected {published.size_bytes}")
        mapped = np.memmap(path, dtype=np.uint8, mode="r")
    except (FileNotFoundError, NotADirectoryError):
        raise AbsentError(f"{path}: not there") from None
    except OSError as error:  # sound, for all we know: to be left alone
        raise BenchError(
            f"{path}: cannot be read: {error.strerror or error}",
            hint=f"permit reading it, or set {CACHE_DIR_VARIABLE} to another directory",
        ) from error
    arrays, start = [], 0
    for shape in published.shapes:
        end = start + math.prod(shape)
        arrays.append(mapped[start:end].reshape(shape))
        start = end
    return Arrays(*arrays)


def open_verified(cache: Path, fingerprint: str, published: Published) -> Arrays:
    """Map a cached data set and hash all of it.

    Raises:
        AbsentError: there is none.
        DamagedError: wrong size, or not the data of this fingerprint.
        BenchError: it cannot be read.
    """
    arrays = open_mapped(cache, fingerprint, published)
    digests = arrays.digests()
    if fingerprint_of(digests) != fingerprint:
        path = data_file(cache, fingerprint)
        if fingerprint == published.fingerprint:
            raise DamagedError(f"{path}: {'; '.join(differences(digests, published))}")
        raise DamagedError(f"{path}: its content has fingerprint {fingerprint_of(digests)}")
    return arrays


@contextmanager
def exclusive(cache: Path, fingerprint: str) -> Iterator[Path]:
    """Hold the right to populate a data set's folder; yields an empty scratch directory in it.

    Scratch that a killed process left behind is removed.

    Raises:
        CacheUnusableError: the folder cannot be written, or another process holds it too long.
    """
    folder = data_file(cache, fingerprint).parent
    lock = filelock.FileLock(folder / "lock", timeout=LOCK_TIMEOUT_SEC)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise CacheUnusableError(
            f"{folder}: another process has been populating it for {LOCK_TIMEOUT_SEC:.0f} s",
            hint=f"wait for it or end it, or set {CACHE_DIR_VARIABLE} to another directory",
        ) from error
    except (OSError, NotImplementedError) as error:  # NotImplementedError: no locks on this system
        cause = error if isinstance(error, OSError) else OSError(str(error))
        raise _unusable(folder, cause) from error
    try:
        for left in folder.glob("tmp-*"):
            shutil.rmtree(left, ignore_errors=True)
        try:
            scratch = Path(tempfile.mkdtemp(prefix="tmp-", dir=folder))
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        lock.release()


def _sync_directory(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(
    arrays: Arrays, cache: Path, fingerprint: str, published: Published, *, scratch: Path
) -> None:
    """Write a data set, read it back, verify it, and rename it into place.

    Args:
        arrays: the data.
        cache: where to.
        fingerprint: theirs.
        published: the shapes.
        scratch: what :func:`exclusive` yielded; the caller still holds it.

    Raises:
        CacheUnusableError: full or read-only.
        DamagedError: what was read back is not what was written.
    """
    target = data_file(cache, fingerprint)
    written = data_file(scratch, fingerprint)
    try:
        written.parent.mkdir()
        with written.open("wb") as stream:
            for array in arrays:
                stream.write(np.ascontiguousarray(array).data)
            stream.flush()
            os.fsync(stream.fileno())
        open_verified(scratch, fingerprint, published)
        written.replace(target)
        _sync_directory(target.parent)
    except OSError as error:
        raise _unusable(target.parent, error) from error
    _log.info("cached %s", target)


def keep(arrays: Arrays, cache: Path, fingerprint: str, published: Published) -> Arrays:
    """Have a data set in the cache, writing it unless a sound copy is already there.

    Returns:
        read-only views on the cached file.

    Raises:
        CacheUnusableError: it is not there and cannot be written.
    """
    try:
        return open_verified(cache, fingerprint, published)
    except AbsentError:
        pass
    except DamagedError as error:
        _log.warning("damaged cache, written anew: %s", error.message)
    with exclusive(cache, fingerprint) as scratch:
        try:
            return open_verified(cache, fingerprint, published)  # another process was first
        except (AbsentError, DamagedError):
            publish(arrays, cache, fingerprint, published, scratch=scratch)
    return open_mapped(cache, fingerprint, published)


def set_aside(cache: Path, fingerprint: str, published: Published) -> str:
    """Rename a damaged file, so that no worker opens it; only the last damaged one is kept.

    Returns:
        what was done, for messages.
    """
    path = data_file(cache, fingerprint)
    aside = path.with_name(path.name + ASIDE_SUFFIX)
    try:
        with exclusive(cache, fingerprint):
            try:
                open_verified(cache, fingerprint, published)
            except DamagedError:
                path.replace(aside)
            except AbsentError:
                return "another process has set it aside"
            else:
                return "another process has replaced it"
    except BenchError as error:
        return f"not set aside: {error.message}"
    except OSError as error:
        return f"not set aside: {error.strerror or error}"
    return f"set aside as {aside.name}"


def checks(
    cache: Path, fingerprint: str, published: Published
) -> list[tuple[str, str, str, bool, str]]:
    """For each array of a cached set: name, expected digest, actual digest, sound, note.

    For other data than MNIST no digest of a single array is published: then all four stand or
    fall together with the fingerprint, and the expected digest is empty.
    """
    genuine = fingerprint == published.fingerprint
    expected = published.digests if genuine else ("",) * len(ARRAY_NAMES)
    try:
        digests = open_mapped(cache, fingerprint, published).digests()
    except BenchError as error:
        return [
            (name, want, "", False, error.message)
            for name, want in zip(ARRAY_NAMES, expected, strict=True)
        ]
    whole = fingerprint_of(digests)
    note = "" if whole == fingerprint else f"fingerprint of the content is {whole}"
    return [
        (name, want, got, got == want if genuine else not note, note)
        for name, want, got in zip(ARRAY_NAMES, expected, digests, strict=True)
    ]
