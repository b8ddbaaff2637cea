"""Finding the stored run, or upgrade, that a user means."""

from __future__ import annotations

import contextlib
import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.errors import BenchError
from bench.results.reading import decode, read_bytes
from bench.results.run import ENVIRONMENT, PLAN, StoredRun, read_run

#: Name of the file that makes a folder that of an upgrade; each of its sides has a run's.
UPGRADE = "upgrade.json"

Kind = Literal["run", "upgrade"]

#: The file that makes a folder one of this kind, and what starts one.
_KINDS: dict[Kind, tuple[str, str]] = {
    "run": (PLAN, "bench run --tier quick"),
    "upgrade": (UPGRADE, "bench upgrade OLD NEW"),
}


def is_upgrade(folder: Path) -> bool:
    """Tells whether this is the folder of an upgrade."""
    return (folder / UPGRADE).exists()


def holds_upgrades(folder: Path) -> bool:
    """Tells whether this is the folder of an upgrade, or of a matrix, whose steps are upgrades."""
    return is_upgrade(folder) or any(folder.glob(f"*/{UPGRADE}"))


def latest(results: Path, *kinds: Kind) -> Path:
    """The folder below ``results`` of what was started last, among these kinds.

    Raises:
        BenchError: there is none; names an upgrade's run where only upgrades are there.
    """
    marks = [path for kind in kinds for path in results.glob(f"*/{_KINDS[kind][0]}")]
    if marks:
        return max(marks, key=_order).parent
    hint = f"start one: {' or '.join(_KINDS[kind][1] for kind in kinds)}"
    if "upgrade" not in kinds and any(results.glob(f"*/{UPGRADE}")):
        hint = f"upgrades have a run of each side, such as {latest(results, 'upgrade') / 'new'}"
    raise BenchError(f"{results}: holds no {' and no '.join(kinds)}", hint=hint)


def stored_folders(results: Path) -> list[Path]:
    """Folders of all runs and upgrades below ``results``, the one started last first."""
    marks = [path for mark, _ in _KINDS.values() for path in results.glob(f"*/{mark}")]
    marks.sort(key=_order, reverse=True)
    return [path.parent for path in marks]


def _order(mark: Path) -> tuple[float, int, Path]:
    return _started_sec(mark), mark.stat().st_mtime_ns, mark


def _started_sec(mark: Path) -> float:
    """When a run or upgrade was started, in seconds since 1970: as it says itself, for copying a folder
    makes its files new; else when its mark was written."""
    for folder in (mark.parent, mark.parent / "old"):
        with contextlib.suppress(OSError, ValueError):
            content = read_bytes(folder / ENVIRONMENT, _MOST_BYTES)
            started = str(decode(content, _ENVIRONMENT).run.get("started"))
            return datetime.datetime.fromisoformat(started.replace("Z", "+00:00")).timestamp()
    return mark.stat().st_mtime


class _Started(msgspec.Struct):
    """Part of ``environment.json``."""

    run: dict[str, Any]


_ENVIRONMENT = msgspec.json.Decoder(_Started)
_MOST_BYTES = 1 << 20


def find_folder(name: str, results: Path, *kinds: Kind) -> Path:
    """The folder that a user means: a path, a name below ``results``, or the ``latest`` of these kinds.

    Raises:
        BenchError: there is none.
    """
    if name == "latest":
        return latest(results, *kinds)
    for path in (Path(name), results / name):
        if is_upgrade(path) or (path.is_dir() and "run" in kinds):
            return path
    names = ["latest", *(path.name for path in stored_folders(results))]
    close = "".join(f"did you mean {name}? " for name in get_close_matches(name, names, n=1))
    raise BenchError(
        f"no {kinds[0]} {name!r}: neither a folder nor a name below {results}/",
        hint=f"{close}name a folder, one below --results DIR (bench runs lists them), or 'latest'",
    )


def find_run(name: str, results: Path, like: StoredRun | None = None) -> StoredRun:
    """The run that a user means; ``like`` is :func:`bench.results.run.read_run`'s.

    Raises:
        BenchError: there is none, or it is damaged, or two: those of an upgrade's sides.
    """
    folder = find_folder(name, results, "run")
    if is_upgrade(folder):
        raise BenchError(
            f"{folder}: an upgrade, which has a run of each side",
            hint=f"name one of them: {folder / 'old'} or {folder / 'new'}",
        )
    return read_run(folder, like)
