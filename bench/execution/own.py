"""What bench itself brings into an environment: a copy of its files, and what these import."""

from __future__ import annotations

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
    """A copy of the running bench below ``cache``, be it a checkout or installed.

    Raises:
        OSError: the cache cannot be written.
    """
    copies = cache / "copies"
    copies.mkdir(parents=True, exist_ok=True)
    source = Path(bench.__file__).parent
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    with tempfile.TemporaryDirectory(prefix="copying-", dir=copies) as scratch:
        new = Path(scratch, "new")
        shutil.copytree(source, new / "bench", ignore=ignore)
        copied = OwnCopy(copies.absolute() / hash_files(new), hash_files(new))
        appear(new, copied.folder)
    return copied


def hash_files(folder: Path) -> str:
    """SHA-256 over names and contents, without what Python compiles."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(folder).as_posix()}\n{content}\n".encode())
    return total.hexdigest()[:20]


def appear(folder: Path, name: Path) -> None:
    """Renames a finished folder, unless another process was first with the same."""
    try:
        folder.rename(name)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
