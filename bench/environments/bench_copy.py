"""What bench brings to a training process: a copy of its own files, and what these import."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import shutil
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bench
from bench.environments.cache import use
from bench.errors import BenchError

DISTRIBUTION = "tensorflow-regression-bench"
#: Those of bench's dependencies that a training process may import, at any time; each is also the name
#: of its module.
NEEDED = (
    "dask",
    "distributed",
    "filelock",
    "msgspec",
    "numpy",
    "packaging",
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


#: What Python compiles, and the suites and baselines of a wheel: training processes read neither.
_LEFT_OUT = ("__pycache__", "shipped")


def copy_bench(cache: Path) -> Path:
    """A folder below ``cache`` that holds a copy of the running package ``bench`` and nothing else.

    It is named by the files' hash and noted as used; bench may be a checkout or installed.

    Raises:
        OSError: the cache cannot be written.
    """
    copies = (cache / "copies").absolute()
    copies.mkdir(parents=True, exist_ok=True)
    source = Path(bench.__file__).parent
    folder = copies / hash_files(source)
    if _is_whole(folder):
        return folder
    with tempfile.TemporaryDirectory(prefix="copying-", dir=copies) as scratch:
        new = Path(scratch, "new")
        shutil.copytree(source, new / "bench", ignore=shutil.ignore_patterns(*_LEFT_OUT))
        folder = copies / hash_files(
            new / "bench"
        )  # not the source's: somebody may be editing that
        if not _is_whole(folder):
            with contextlib.suppress(FileNotFoundError):  # a damaged copy goes with the scratch
                folder.rename(Path(scratch, "damaged"))
            appear(new, folder)
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether a copy holds what its name says; it is noted as used."""
    return use(folder) and hash_files(folder / "bench") == folder.name


def hash_files(folder: Path) -> str:
    """SHA-256 over names and contents, without what a copy lacks."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not set(_LEFT_OUT) & set(relative.parts):
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
