"""A run's folder, ``results/<run>/``: plan, environment, records, lock. Reads need no TensorFlow."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.results.check import CHECKS, Check, CheckResult
from bench.results.copy_result import COPIES, Copy, CopyResult
from bench.results.environment import Environment
from bench.results.files import read_json
from bench.results.kind import Outcome, Task
from bench.results.pace import PACES, Pace, PaceResult
from bench.results.plan import Plan
from bench.results.record import RECORDS, Record, Replica
from bench.results.tasks import read_checked, read_outcomes
from bench.results.trial import TRIALS, Trial, TrialResult

PLAN = "plan.json"
ENVIRONMENT = "environment.json"
REPORT = "report.md"
JUNIT = "junit.xml"


class StoredRun(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A run as read from its folder."""

    path: Path
    plan: Plan
    environment: Environment
    outcomes: Mapping[Task, Outcome]
    """All that was measured, by task."""
    unchecked: int = 0
    """How many of these have no checksum in their file."""

    @functools.cached_property
    def records(self) -> Mapping[Replica, Record]:
        return RECORDS.of(self.outcomes)

    @functools.cached_property
    def checks(self) -> Mapping[Check, CheckResult]:
        return CHECKS.of(self.outcomes)

    @functools.cached_property
    def copies(self) -> Mapping[Copy, CopyResult]:
        return COPIES.of(self.outcomes)

    @functools.cached_property
    def trials(self) -> Mapping[Trial, TrialResult]:
        return TRIALS.of(self.outcomes)

    @functools.cached_property
    def paces(self) -> Mapping[Pace, PaceResult]:
        return PACES.of(self.outcomes)

    @property
    def results(self) -> list[CheckResult]:
        """Results of checks in the order of the plan, without those that did not run."""
        return [self.checks[check] for check in self.plan.checks if check in self.checks]

    @functools.cached_property
    def missing(self) -> list[Replica]:
        """Replicas of the plan without a record."""
        measured = {cell: {record.seed for record in self.of(cell)} for cell in self.plan.names()}
        return [
            Replica(cell, seed)
            for cell, seeds in measured.items()
            for seed in self.plan.seeds
            if seed not in seeds
        ]

    def of(self, cell: Cell) -> Sequence[Record]:
        """The cell's records in the order of the plan's seeds, then those of further seeds that an
        undecided cell was given; those not measured are left out."""
        return self._by_cell.get(cell, ())

    @functools.cached_property
    def _by_cell(self) -> dict[Cell, tuple[Record, ...]]:
        found: dict[Cell, dict[int, Record]] = {}
        for record in self.records.values():
            found.setdefault(record.cell, {})[record.seed] = record
        planned = self.plan.seeds
        further = {cell: sorted(records.keys() - planned) for cell, records in found.items()}
        return {
            cell: tuple(records[seed] for seed in (*planned, *further[cell]) if seed in records)
            for cell, records in found.items()
        }

    def copies_of(self, cell: Cell, seed: int) -> list[CopyResult]:
        """The copies of a replica, by number, crashed ones included."""
        return self._copies.get(Replica(cell, seed), [])

    @functools.cached_property
    def _copies(self) -> dict[Replica, list[CopyResult]]:
        grouped: dict[Replica, list[CopyResult]] = {}
        for copy in sorted(self.copies, key=lambda copy: copy.number):
            grouped.setdefault(copy.replica, []).append(self.copies[copy])
        return grouped


def read_run(path: Path, like: StoredRun | None = None, *, whole: bool = False) -> StoredRun:
    """Reads a run's folder.

    Args:
        path: the folder.
        whole: whether outcomes are to be written again, and not only judged.
        like: a run in memory, with which equal parts are shared: two runs that agree take little more
            memory than one.

    Raises:
        BenchError: the folder or one of its files is absent, damaged or of another schema.
    """
    if not path.is_dir():
        raise BenchError(
            f"{path}: no such run", hint="bench runs lists those of results/; name one, or a folder"
        )
    plan, environment = read_json(path / PLAN, Plan), read_json(path / ENVIRONMENT, Environment)
    if whole:
        return StoredRun(
            path=path, plan=plan, environment=environment, outcomes=read_outcomes(path)
        )
    outcomes, unchecked = read_checked(path, like.outcomes if like is not None else {})
    return StoredRun(
        path=path, plan=plan, environment=environment, outcomes=outcomes, unchecked=unchecked
    )
