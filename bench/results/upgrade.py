"""The folder of an upgrade: what lies in it, who may write to it, and reading it back.

results/<run>/upgrade.json        the sides, and what was left out
results/<run>/{old,new}/          a run of each side
results/<run>/{speed,saving}.json times of bursts, and what became of saved models
results/<run>/blame.json          packages and releases that findings are blamed on
results/<run>/report.md, .html    and upgrade-report.json, for programs
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import filelock
import msgspec

from bench.errors import BenchError
from bench.results.blame import Blame, read_blames
from bench.results.bounds import Name, Text
from bench.results.files import pretty, read_json, write_atomically
from bench.results.find import UPGRADE
from bench.results.run import PLAN, StoredRun, read_run
from bench.results.saved_models import Exchange
from bench.results.seal import is_sealed, seal
from bench.results.timings import SIDES, Side, Timings
from bench.results.writer import claim

SCHEMA = 1
SPEED = "speed.json"
SAVING = "saving.json"


class SideFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Description of one side."""

    label: Name
    """The user's name for it."""
    python: Name
    """The interpreter's path."""
    lock: Text
    """All that is installed: sorted lines ``name==version``."""
    variables: dict[Name, Name] = {}
    """Environment variables that were asked for."""
    resolved: Name = ""
    """When its requirements were resolved, as ISO 8601 in UTC; empty for an existing interpreter."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured of an upgrade."""

    path: Path
    """Its folder; the sides' runs lie below it."""
    sides: dict[Side, SideFacts]
    old: StoredRun
    new: StoredRun
    timings: Sequence[Timings] = ()
    exchanges: Sequence[Exchange] = ()
    left_out: Sequence[str] = ()
    """Parts that the user left out, as text."""
    lacking: Sequence[str] = ()
    """Files of parts that were not left out: not reached, lost since, or emptied."""
    ours: bool = False
    """Whether this user measured it on this machine, so that its interpreters may be started."""
    blames: Sequence[Blame] = ()
    """What findings were blamed on, if somebody asked."""


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``upgrade.json``."""

    schema: int = SCHEMA
    tier: Name
    sides: dict[Side, SideFacts]
    runs: dict[Side, Name]
    """Folders of the sides' runs, relative to this file's: below it or, in a matrix, beside it."""
    left_out: list[Text] = []
    seal: Name = ""
    """See :mod:`bench.results.seal`; empty if written before there were seals."""

    @property
    def unsealed(self) -> Description:
        """The same without its seal."""
        return msgspec.structs.replace(self, seal="")

    @property
    def sealed(self) -> Description:
        """The same with the seal of this user on this machine."""
        content = msgspec.json.encode(self.unsealed)
        return msgspec.structs.replace(self, seal=seal(content))

    @property
    def ours(self) -> bool:
        """Whether it is sealed by this user on this machine."""
        return is_sealed(msgspec.json.encode(self.unsealed), self.seal)

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")
        if set(self.sides) != set(SIDES) or set(self.runs) != set(SIDES):
            raise ValueError("an upgrade has the sides old and new")
        for run in self.runs.values():
            parts = Path(run).parts
            if (
                Path(run).is_absolute()
                or ".." in parts[1:]
                or parts in ((), ("..",))
                or "\0" in run
            ):
                raise ValueError(
                    f"the run {run[:100]!r} is neither below this folder nor beside it"
                )


@contextlib.contextmanager
def claimed(folder: Path, description: Description, *, resume: bool) -> Iterator[None]:
    """An upgrade's folder, held while it is written to. If that fails before any side's run has begun,
    a folder that was made here goes again.

    Raises:
        BenchError: it is in use, or holds another upgrade, or this one and ``resume`` is not given.
    """
    path, made = folder / UPGRADE, not folder.exists()
    lock: filelock.BaseFileLock = claim(folder, resume=resume)
    try:
        if path.exists():
            _refuse_another(folder, description, resume=resume)
        write_atomically(path, pretty(description.sealed))
        yield
    except BaseException:
        if made and not any((folder / run / PLAN).exists() for run in description.runs.values()):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        lock.release()


def _refuse_another(folder: Path, description: Description, *, resume: bool) -> None:
    """Raises BenchError for an upgrade that is not to be resumed, or is another one."""
    if not resume:
        raise BenchError(
            f"{folder}: already holds an upgrade",
            hint="continue it with --resume, or choose another --run NAME",
        )
    before = read_json(folder / UPGRADE, Description)
    if before.unsealed != description:
        raise BenchError(
            f"{folder / UPGRADE}: --resume continues an upgrade of the same sides and options only",
            hint="repeat what it was started with, or choose another --run NAME",
        )


def read_upgrade(folder: Path) -> Measured:
    """All that was measured of an upgrade.

    Raises:
        BenchError: one of its files is absent, damaged or of another schema.
    """
    description = read_json(folder / UPGRADE, Description)
    runs = {side: _near(folder, run) for side, run in description.runs.items()}
    old = read_run(runs["old"])
    timings, exchanges = _read_list(folder / SPEED, Timings), _read_list(folder / SAVING, Exchange)
    measured = {"saving": (SAVING, exchanges), "speed": (SPEED, timings)}
    lacking = [
        name
        for part, (name, found) in measured.items()
        if not found and not any(f"(--skip {part})" in text for text in description.left_out)
    ]
    return Measured(
        path=folder,
        sides=description.sides,
        old=old,
        new=read_run(runs["new"], old),
        timings=timings,
        exchanges=exchanges,
        left_out=description.left_out,
        lacking=lacking,
        ours=description.ours,
        blames=read_blames(folder),
    )


def _near(folder: Path, run: str) -> Path:
    """The folder of a side's run.

    Raises:
        BenchError: links lead it away from the upgrade's folder and those beside it.
    """
    path = folder / run
    if not path.resolve().is_relative_to(folder.resolve().parent):
        raise BenchError(
            f"{path}: leads to {path.resolve()}",
            hint="remove the link, or measure the upgrade anew",
        )
    return path


T = TypeVar("T")


def _read_list(path: Path, kind: type[T]) -> list[T]:
    """Contents of a file; nothing if it is not there."""
    if not path.exists():
        return []
    contents: list[T] = read_json(path, list[kind])  # type: ignore[valid-type]
    return contents
