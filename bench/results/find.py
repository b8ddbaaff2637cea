"""Finding the stored run, or upgrade, that a user means."""

from __future__ import annotations

from pathlib import Path

from bench.errors import BenchError
from bench.results.run import PLAN, StoredRun, read_run

#: What makes a folder that of an upgrade; each of its sides has a run's.
UPGRADE = "upgrade.json"


def is_upgrade(folder: Path) -> bool:
    """Whether this is the folder of an upgrade."""
    return (folder / UPGRADE).exists()


def latest_run(results: Path) -> Path:
    """The newest run below ``results``.

    Raises:
        BenchError: there is none.
    """
    plans = list(results.glob(f"*/{PLAN}"))
    if not plans:
        raise BenchError(f"{results}: holds no run", hint="start one: pytest suites --tier quick")
    return max(plans, key=lambda path: (path.stat().st_mtime_ns, path)).parent


def find_run(name: str, results: Path) -> StoredRun:
    """The run that a user means: a path, a name below ``results``, or ``latest``.

    Raises:
        BenchError: there is none, or it is damaged, or two: those of an upgrade's sides.
    """
    folder = find_folder(name, results)
    if is_upgrade(folder):
        raise BenchError(
            f"{folder}: an upgrade, which has a run of each side",
            hint=f"name one of them: {folder / 'old'} or {folder / 'new'}",
        )
    return read_run(folder)


def find_folder(name: str, results: Path) -> Path:
    """The folder of the run, or upgrade, that a user means.

    Raises:
        BenchError: there is none.
    """
    if name == "latest":
        return latest_run(results)
    for path in (Path(name), results / name):
        if path.is_dir():
            return path
    raise BenchError(
        f"no run {name!r}: neither a folder nor a name below {results}/",
        hint="name a folder, a run below --results DIR, or 'latest'",
    )
