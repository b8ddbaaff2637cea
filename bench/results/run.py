"""A run's folder, ``results/<run>/``: plan, environment, records, lock. Reads need no TensorFlow."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.results.check import Check, CheckResult
from bench.results.copy_result import Copy, CopyResult
from bench.results.environment import Environment
from bench.results.files import read_json
from bench.results.plan import Plan
from bench.results.record import Record
from bench.results.tasks import read_outcomes
from bench.results.trial import Trial, TrialResult

PLAN = "plan.json"
ENVIRONMENT = "environment.json"
REPORT = "report.md"
JUNIT = "junit.xml"


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
        """All that was measured, in the order of :data:`bench.results.tasks.KINDS`."""
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
