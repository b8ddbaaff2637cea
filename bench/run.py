"""A run's folder, ``results/<run>/``: plan, environment, records, lock. Reads need no TensorFlow."""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import filelock
import msgspec

from bench.cell import Cell
from bench.check import Check, CheckResult
from bench.copies import Copy, CopyResult
from bench.environment import Environment
from bench.errors import BenchError
from bench.lines import Appender, cannot_write, cut_torn_line
from bench.outcomes import KINDS, Outcome, read_outcomes
from bench.published.trial import Trial, TrialResult
from bench.record import Record

SCHEMA = 1

PLAN = "plan.json"
ENVIRONMENT = "environment.json"
REPORT = "report.md"
JUNIT = "junit.xml"


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell's place in a grid. One cell may stand in several grids; it is trained once."""

    grid: str
    id: str
    cell: Cell


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run set out to measure: every item under every seed, every check, every trial."""

    schema: int = SCHEMA
    tier: str
    device: str
    seeds: list[int]
    items: list[Item]
    checks: list[Check] = []
    trials: list[Trial] = []
    selected: bool = False
    """True if options left out cells of the tier: their absence is then no finding."""
    decide: int = 0
    """Seeds up to which undecided cells are given more; 0: none are."""
    further: list[int] = []
    """Seeds that cells get beside ``seeds`` if their bits differ from those that they are compared
    with."""

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")

    def replicas(self) -> list[tuple[Cell, int]]:
        """Every (cell, seed) once, in the order of the items."""
        cells = dict.fromkeys(item.cell for item in self.items)
        return [(cell, seed) for cell in cells for seed in self.seeds]

    def grids(self) -> dict[str, list[Item]]:
        """Items by grid, both in the order of the plan."""
        grids: dict[str, list[Item]] = {}
        for item in self.items:
            grids.setdefault(item.grid, []).append(item)
        return grids


class StoredRun(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A run as read from its folder."""

    path: Path
    plan: Plan
    environment: Environment
    records: dict[tuple[Cell, int], Record]
    checks: dict[Check, CheckResult] = {}
    copies: dict[Copy, CopyResult] = {}
    trials: dict[Trial, TrialResult] = {}

    @property
    def results(self) -> list[CheckResult]:
        """What checks found, in the order of the plan; those that did not run are left out."""
        return [self.checks[check] for check in self.plan.checks if check in self.checks]

    @property
    def outcomes(self) -> tuple[dict[Any, Any], ...]:
        """All that was measured, in the order of :data:`bench.outcomes.KINDS`."""
        return self.records, self.checks, self.copies, self.trials

    def of(self, cell: Cell) -> list[Record]:
        """The cell's records in the order of the plan's seeds, then those of further seeds that an
        undecided cell was given; those not measured are left out."""
        seeds = [*self.plan.seeds, *self._further.get(cell, ())]
        found = (self.records.get((cell, seed)) for seed in seeds)
        return [record for record in found if record is not None]

    @functools.cached_property
    def _further(self) -> dict[Cell, list[int]]:
        planned = set(self.plan.seeds)
        further: dict[Cell, list[int]] = {}
        for cell, seed in sorted(self.records, key=lambda key: key[1]):
            if seed not in planned:
                further.setdefault(cell, []).append(seed)
        return further

    def copies_of(self, cell: Cell, seed: int) -> list[CopyResult]:
        """The copies of a replica, by number, crashed ones included."""
        return self._copies.get((cell, seed), [])

    @functools.cached_property
    def _copies(self) -> dict[tuple[Cell, int], list[CopyResult]]:
        grouped: dict[tuple[Cell, int], list[CopyResult]] = {}
        for copy in sorted(self.copies, key=lambda copy: copy.number):
            grouped.setdefault((copy.cell, copy.seed), []).append(self.copies[copy])
        return grouped


def read_run(path: Path) -> StoredRun:
    """Reads a run's folder.

    Raises:
        BenchError: the folder or one of its files is absent, damaged or of another schema.
    """
    if not path.is_dir():
        raise BenchError(
            f"{path}: no such run", hint="`ls results` lists runs; name a folder below it"
        )
    plan = read_json(path / PLAN, Plan)
    environment = read_json(path / ENVIRONMENT, Environment)
    return StoredRun(
        path=path,
        plan=plan,
        environment=environment,
        records=read_outcomes(path, Record),
        checks=read_outcomes(path, CheckResult),
        copies=read_outcomes(path, CopyResult),
        trials=read_outcomes(path, TrialResult),
    )


T = TypeVar("T")


def read_json(path: Path, kind: type[T]) -> T:
    """A JSON file as a checked structure.

    Raises:
        BenchError: absent, not JSON (NaN is not JSON), unknown or missing fields, another schema.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read: {error.strerror}",
            hint="is this the folder of a run that measured something?",
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BenchError(
            f"{path}: not a valid {kind.__name__.lower()}: {error}",
            hint="restore the file from version control, or run anew",
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Writes all of ``content`` or leaves ``path`` as it was.

    Raises:
        BenchError: the disk is full or the place cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise cannot_write(path, error) from error


def make_folder(path: Path) -> None:
    """Makes a run's folder and those above it.

    Raises:
        BenchError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def new_run_name(tier: str, now: datetime.datetime | None = None) -> str:
    """``20261121-031502-quick``: sorts by time."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{tier}"


def claim(path: Path, *, resume: bool) -> filelock.BaseFileLock:
    """Makes a run's folder and takes its lock, which the caller releases.

    Raises:
        BenchError: another process writes there, the place cannot be written to, or it already holds
            a run that is not to be resumed.
    """
    make_folder(path)
    lock = filelock.FileLock(str(path / ".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise BenchError(
            f"{path}: another process is writing to this run",
            hint="wait for it, or start a run of your own with another --run NAME",
        ) from None
    except OSError as error:
        raise cannot_write(path, error) from error
    if not resume and (path / PLAN).exists():
        lock.release()
        raise BenchError(
            f"{path}: already holds a run",
            hint="continue it with --resume, or choose another --run NAME",
        )
    return lock


class RunWriter:
    """The one process that writes to a run's folder; a context manager that holds its lock.

    Args:
        path: ``results/<run>``; made if absent.
        plan: what will be measured.
        resume: continue what is there: records are kept, a torn last line is cut off, and the plan
            must be the same but for ``decide``, which stays what it was unless it is given.
        lock: what :func:`claim` gave, if the folder is already claimed.

    Raises:
        BenchError: another process writes there, the place cannot be written to, it already holds a
            run (without ``resume``) or another plan (with it).
    """

    def __init__(
        self,
        path: Path,
        plan: Plan,
        *,
        resume: bool = False,
        lock: filelock.BaseFileLock | None = None,
    ) -> None:
        self.path = path
        self.plan = plan
        self.records: dict[tuple[Cell, int], Record] = {}
        self.checks: dict[Check, CheckResult] = {}
        self.copies: dict[Copy, CopyResult] = {}
        self.trials: dict[Trial, TrialResult] = {}
        self._resume = resume
        self._earlier: Mapping[str, Any] = {}
        self._lock = lock

    def __enter__(self) -> RunWriter:
        if self._lock is None:
            self._lock = claim(self.path, resume=self._resume)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        if self._lock is not None:
            self._lock.release()

    def _open(self) -> None:
        plan = self.path / PLAN
        if self._resume:
            before = read_json(plan, Plan)
            if msgspec.structs.replace(before, decide=self.plan.decide) != self.plan:
                raise BenchError(
                    f"{plan}: --resume continues a run with the same cells, seeds and device only",
                    hint=f"repeat the options that it was started with{self._command()}, or start a "
                    "new run",
                )
            for kind in KINDS.values():
                cut_torn_line(self.path / kind.file)
            self.plan = self.plan if self.plan.decide else before
        if not self._resume or self.plan != before:
            write_atomically(plan, pretty(self.plan))
        self._files = {kind: Appender(self.path / KINDS[kind].file) for kind in KINDS}
        if self._resume:
            self.records = read_outcomes(self.path, Record)
            self.checks = read_outcomes(self.path, CheckResult)
            self.copies = read_outcomes(self.path, CopyResult)
            self.trials = read_outcomes(self.path, TrialResult)

    def _command(self) -> str:
        """What the run was started with, in brackets, if it is known."""
        with contextlib.suppress(BenchError):
            return f" ({read_json(self.path / ENVIRONMENT, Environment).run['command']})"
        return ""

    def missing(self) -> list[tuple[Cell, int]]:
        """The replicas of the plan that have no record yet."""
        return [key for key in self.plan.replicas() if key not in self.records]

    def missing_checks(self) -> list[Check]:
        """The checks of the plan that have no result yet."""
        return [check for check in self.plan.checks if check not in self.checks]

    def missing_trials(self) -> list[Trial]:
        """The trials of the plan that have no result yet."""
        return [trial for trial in self.plan.trials if trial not in self.trials]

    def append(self, outcome: Outcome) -> None:
        """Adds an outcome as one line in one write; a record without its histograms.

        Raises:
            BenchError: the disk is full; what a failed write left behind is cut off again.
        """
        if isinstance(outcome, Record):
            outcome = msgspec.structs.replace(outcome, histograms=msgspec.UNSET)
        self._files[type(outcome)].append(KINDS[type(outcome)].lines.encode(outcome))
        if isinstance(outcome, Record):
            self.records[outcome.key] = outcome
        elif isinstance(outcome, CheckResult):
            self.checks[outcome.key] = outcome
        elif isinstance(outcome, CopyResult):
            self.copies[outcome.key] = outcome
        else:
            self.trials[outcome.key] = outcome

    def write_environment(self, environment: Environment) -> None:
        """Writes ``environment.json``.

        Raises:
            BenchError: a resumed run was started in another environment class, with other software or
                by another commit, so its records would not belong together.
        """
        path = self.path / ENVIRONMENT
        if self._resume and path.exists():
            before = read_json(path, Environment)
            for part in ("numerics", "software", "data"):
                changed = _first_difference(before, environment, part)
                if changed:
                    raise BenchError(
                        f"{path}: the run was started with other {part}: {changed}",
                        hint="resume it where it was started, or start a new run",
                    )
            started, now = (each.run.get("commit") or "unknown" for each in (before, environment))
            if started != now:
                raise BenchError(
                    f"{path}: the run was started by other code: commit {started}, now {now}",
                    hint="check that commit out to go on, or start a new run with another --run NAME",
                )
            self._earlier = before.run
            return
        write_atomically(path, pretty(environment))

    def finish(self, environment: Environment, total_sec: float) -> StoredRun:
        """Notes how long it took in all, and gives the run as :func:`read_run` would read it now."""
        total_sec += float(self._earlier.get("total_sec", 0.0))
        run = {**environment.run, **self._earlier, "total_sec": round(total_sec, 1)}
        environment = msgspec.structs.replace(environment, run=run)
        with contextlib.suppress(BenchError):  # a full disk has been told of by the records
            write_atomically(self.path / ENVIRONMENT, pretty(environment))
        return self.so_far(environment)

    def so_far(self, environment: Environment) -> StoredRun:
        """The run as :func:`read_run` would read it now."""
        return StoredRun(
            path=self.path,
            plan=self.plan,
            environment=environment,
            records=dict(self.records),
            checks=dict(self.checks),
            copies=dict(self.copies),
            trials=dict(self.trials),
        )


def pretty(structure: msgspec.Struct) -> bytes:
    """Indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(structure), indent=1) + b"\n"


def _first_difference(before: Environment, after: Environment, part: str) -> str:
    """In words, or nothing. Where the same images came from is no difference."""
    old: Mapping[str, object] = msgspec.to_builtins(getattr(before, part))
    new: Mapping[str, object] = msgspec.to_builtins(getattr(after, part))
    keys: Iterable[str] = dict.fromkeys([*old, *new])
    differences = (
        f"{key} {old.get(key)!r}, now {new.get(key)!r}"
        for key in keys
        if old.get(key) != new.get(key) and (part, key) != ("data", "source")
    )
    return next(differences, "")
