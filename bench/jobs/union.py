"""Union: the plans and the results of several shards as those of one run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.checks import catalogue
from bench.errors import BenchError
from bench.published.experiments import EXPERIMENTS
from bench.results.check import FAMILIES, Check, CheckResult
from bench.results.copy_result import Copy, CopyResult
from bench.results.plan import Item, Plan
from bench.results.record import Record
from bench.results.run import ENVIRONMENT, StoredRun
from bench.results.tasks import CHECKS, COPIES, RECORDS, TRIALS
from bench.results.trial import Trial, TrialResult


def union_of_plans(plans: Sequence[Plan]) -> Plan:
    """The union, in the order in which ``pytest suites`` would have collected it."""
    first = plans[0]
    items: dict[tuple[str, str], Item] = {}
    for item in (item for plan in plans for item in plan.items):
        if items.setdefault((item.grid, item.id), item) != item:
            raise BenchError(
                f"{item.grid}/{item.id}: two shards mean different cells by this name",
                hint="run all shards from one commit",
            )
    whole = {
        (grid.name, id_): place
        for grid in UPGRADE_GRIDS.values()
        for place, id_ in enumerate(grid.cells(first.tier))
    }
    unknown = len(whole)
    ordered = sorted(items, key=lambda name: (name[0], whole.get(name, unknown), name[1]))
    return msgspec.structs.replace(
        first,
        items=[items[name] for name in ordered],
        checks=_checks(first.tier, {check for plan in plans for check in plan.checks}),
        trials=_trials(first.tier, {trial for plan in plans for trial in plan.trials}),
        selected=not whole.keys() <= items.keys(),
    )


def _checks(tier: str, wanted: set[Check]) -> list[Check]:
    """Those of the suite of invariants come first: its file's name does."""
    seeds = max((check.seed for check in wanted), default=0) + 1
    families = sorted(FAMILIES, key=lambda family: family != "invariant")
    known = [check for check in catalogue.checks(tier, families, seeds=seeds) if check in wanted]
    return [*known, *sorted(wanted.difference(known), key=lambda check: check.id)]


def _trials(tier: str, wanted: set[Trial]) -> list[Trial]:
    known = [
        trial
        for experiment in EXPERIMENTS.values()
        for trial in experiment.trials(tier)
        if trial in wanted
    ]
    return [*known, *sorted(wanted.difference(known), key=lambda trial: trial.id)]


def names_of_cells(plan: Plan) -> dict[Cell, str]:
    """``grid/id`` by cell, in the order of the plan; the first one if a cell stands in two grids."""
    names: dict[Cell, str] = {}
    for item in plan.items:
        names.setdefault(item.cell, f"{item.grid}/{item.id}")
    return names


# Results

Key = TypeVar("Key", tuple[Cell, int], Check, Copy, Trial)
Result = TypeVar("Result", Record, CheckResult, CopyResult, TrialResult)


class Pool:
    """Unites results, in the order of a plan, and counts what two shards measured.

    On the CPU a replica gives the same bits whenever the environment is the same, so two results that
    differ show that it was not. A GPU adds in an order of its own: there the first shard's is kept.

    Args:
        plan: the union's.
    """

    def __init__(self, plan: Plan) -> None:
        self._exact = plan.device == "cpu"
        self._names = names_of_cells(plan)
        self._cells = {cell: place for place, cell in enumerate(self._names)}
        self._checks = {check: place for place, check in enumerate(plan.checks)}
        self._trials = {trial: place for place, trial in enumerate(plan.trials)}
        self._alike = 0
        self._different = 0
        self._failed: list[str] = []

    def records(self, runs: Iterable[StoredRun]) -> dict[tuple[Cell, int], Record]:
        """All records.

        Raises:
            BenchError: one replica has two results on a CPU; so do checks and copies.
        """
        return self._unite(
            [(run.path / RECORDS, run.records) for run in runs],
            bits=lambda record: record.digest,
            failed=lambda record: record.crash is not None,
            name=lambda key: f"{self._named(key[0])}, seed {key[1]}",
            place=lambda key: (self._cells.get(key[0], -1), key[1]),
        )

    def checks(self, runs: Iterable[StoredRun]) -> dict[Check, CheckResult]:
        """All results of checks."""
        return self._unite(
            [(run.path / CHECKS, run.checks) for run in runs],
            bits=lambda result: result.digest,
            failed=lambda result: result.crash is not None if self._exact else result.fails,
            name=lambda check: check.id,
            place=lambda check: (self._checks.get(check, -1),),
        )

    def copies(self, runs: Iterable[StoredRun]) -> dict[Copy, CopyResult]:
        """All copies."""
        return self._unite(
            [(run.path / COPIES, run.copies) for run in runs],
            bits=lambda result: hashlib.sha256(result.trajectory).hexdigest(),
            failed=lambda result: result.crash is not None,
            name=lambda copy: f"copy {copy.number} of {self._named(copy.cell)}, seed {copy.seed}",
            place=lambda copy: (self._cells.get(copy.cell, -1), copy.seed, copy.number),
        )

    def trials(self, runs: Iterable[StoredRun]) -> dict[Trial, TrialResult]:
        """All trials of published experiments."""
        return self._unite(
            [(run.path / TRIALS, run.trials) for run in runs],
            bits=lambda result: result.digest,
            failed=lambda result: result.crash is not None,
            name=lambda trial: trial.id,
            place=lambda trial: (self._trials.get(trial, -1),),
        )

    def _named(self, cell: Cell) -> str:
        return self._names.get(cell, repr(cell))

    def _unite(
        self,
        files: Sequence[tuple[Path, Mapping[Key, Result]]],
        *,
        bits: Callable[[Result], str],
        failed: Callable[[Result], bool],
        name: Callable[[Key], str],
        place: Callable[[Key], tuple[int, ...]],
    ) -> dict[Key, Result]:
        union: dict[Key, Result] = {}
        origins: dict[Key, Path] = {}
        for file, results in files:
            for key, result in results.items():
                before = union.setdefault(key, result)
                origin = origins.setdefault(key, file)
                if before is result:
                    continue
                if failed(before) != failed(result):
                    # A crash is a result that the other shard's luck must not hide.
                    union[key] = before if failed(before) else result
                    self._failed.append(name(key))
                elif bits(before) == bits(result):
                    self._alike += 1
                elif self._exact:
                    raise BenchError(
                        f"{file}: {name(key)}: digest {bits(result)[:12] or 'none'}, and "
                        f"{bits(before)[:12] or 'none'} in {origin}: one computation, two results",
                        hint="the shards' machines or libraries differ in a way that "
                        f"{ENVIRONMENT} does not tell; repeat one of the two where the other ran",
                    )
                else:
                    self._different += 1
        return {key: union[key] for key in sorted(union, key=place)}

    def notes(self) -> list[str]:
        """What was measured by two shards, in words."""
        notes = []
        if self._alike:
            notes.append(f"{self._alike} results stand in two shards, with the same bits")
        if self._different:
            notes.append(
                f"{self._different} results stand in two shards, with different bits, as happens on "
                "a GPU: those of the shard named first are kept"
            )
        return notes + [
            f"{name}: failed in one shard and not in another: the failure is kept"
            for name in self._failed
        ]
