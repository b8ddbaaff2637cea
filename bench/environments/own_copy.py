"""What bench itself brings to a training process: a copy of its files, and what these import."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bench
from bench.environments.cache import use
from bench.errors import BenchError

DISTRIBUTION = "tensorflow-regression-bench"
#: Of bench's dependencies, those that a training process may import, at any time; each is also the name
#: of its module.
NEEDED = (
    "dask",
    "distributed",
    "filelock",
    "msgspec",
    "numpy",
    "platformdirs",
    "pooch",
    "psutil",
    "scipy",
)


def needed() -> dict[str, str]:
    """Requirement, with its lower bound, of each distribution that a training process needs.

    Raises:
        BenchError: bench runs from files that were never installed.
    """
    try:
        declared = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        raise BenchError(
            f"{DISTRIBUTION} is not installed, so its dependencies are not known",
            hint="pip install -e . in its checkout",
        ) from None
    parsed = [Requirement(text) for text in declared]
    return {
        canonicalize_name(one.name): f"{one.name}{one.specifier}"
        for one in parsed
        if one.name in NEEDED and one.marker is None
    }


class OwnCopy(NamedTuple):
    """The running bench, copied."""

    folder: Path
    """Holds the package ``bench`` and nothing else."""
    hash: str
    """Of its files' names and contents."""


def bench_copy(cache: Path) -> OwnCopy:
    """A copy of the running bench below ``cache``, be it a checkout or installed, noted as used.

    Raises:
        OSError: the cache cannot be written.
    """
    copies = (cache / "copies").absolute()
    copies.mkdir(parents=True, exist_ok=True)
    source = Path(bench.__file__).parent
    found = _whole(copies / hash_files(source))
    if found:
        return found
    with tempfile.TemporaryDirectory(prefix="copying-", dir=copies) as scratch:
        new = Path(scratch, "new")
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, new / "bench", ignore=ignore)
        name = hash_files(new / "bench")  # not the source's: somebody may be editing that
        folder = copies / name
        if not _whole(folder):
            with contextlib.suppress(FileNotFoundError):  # a damaged copy goes with the scratch
                folder.rename(Path(scratch, "damaged"))
            appear(new, folder)
    return OwnCopy(folder, name)


def _whole(folder: Path) -> OwnCopy | None:
    """A copy that holds what its name says; noted as used."""
    if use(folder) and hash_files(folder / "bench") == folder.name:
        return OwnCopy(folder, folder.name)
    return None


def hash_files(folder: Path) -> str:
    """SHA-256 over names and contents, without what Python compiles."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and "__pycache__" not in relative.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{relative.as_posix()}\n{content}\n".encode())
    return total.hexdigest()[:20]


def appear(folder: Path, name: Path) -> None:
    """Renames a finished folder, unless another process was first with the same."""
    try:
        folder.rename(name)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
