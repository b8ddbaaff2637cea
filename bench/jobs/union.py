"""Union: the plans and the results of several shards as those of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.cells.component_grids import UPGRADE_GRIDS
from bench.checks import catalogue
from bench.errors import BenchError
from bench.published.experiments import EXPERIMENTS
from bench.results.check import ARITHMETIC, CONTRACTS, Check
from bench.results.kind import Kind, Outcome, Task
from bench.results.plan import Item, Plan
from bench.results.run import ENVIRONMENT, StoredRun
from bench.results.tasks import KINDS
from bench.results.trial import Trial


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
        paces=list(dict.fromkeys(pace for plan in plans for pace in plan.paces)),
        selected=not whole.keys() <= items.keys(),
    )


def _checks(tier: str, wanted: set[Check]) -> list[Check]:
    """Checks in the order of the suites' files: contracts, invariants, numerics."""
    seeds = max((check.seed for check in wanted), default=0) + 1
    others = [family for family in ARITHMETIC if family != "invariant"]
    families = (*CONTRACTS, "invariant", *others)
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


class Pool:
    """Unites results, in the order of a plan, and counts what two shards measured.

    On the CPU a replica gives the same bits whenever the environment is the same, so two results that
    differ show that it was not. A GPU adds in an order of its own: there the first shard's is kept.

    Args:
        plan: the union's.
    """

    def __init__(self, plan: Plan) -> None:
        self._exact = plan.device == "cpu"
        self._names = plan.names()
        places = [*plan.paces, *self._names, *plan.checks, *plan.trials]
        self._places: Mapping[object, int] = {each: place for place, each in enumerate(places)}
        self._alike = 0
        self._different = 0
        self._failed: list[str] = []

    def unite(self, runs: Sequence[StoredRun]) -> dict[Task, Outcome]:
        """All results, kind by kind.

        Raises:
            BenchError: a task has two results on a CPU.
        """
        return {task: outcome for kind in KINDS for task, outcome in self._unite(kind, runs)}

    def _unite(self, kind: Kind[Any, Any], runs: Sequence[StoredRun]) -> list[tuple[Task, Outcome]]:
        union: dict[Task, Outcome] = {}
        origins: dict[Task, Path] = {}
        for run in runs:
            file = run.path / kind.file
            for task, outcome in kind.of(run.outcomes).items():
                before = union.setdefault(task, outcome)
                origin = origins.setdefault(task, file)
                if before is outcome:
                    continue
                name = task.title(self._names)
                if self._fails(before) != self._fails(outcome):
                    # A crash is a result that the other shard's luck must not hide.
                    union[task] = before if self._fails(before) else outcome
                    self._failed.append(name)
                elif before.digest == outcome.digest:
                    self._alike += 1
                elif self._exact:
                    raise BenchError(
                        f"{file}: {name}: digest {outcome.digest[:12] or 'none'}, and "
                        f"{before.digest[:12] or 'none'} in {origin}: one computation, two results",
                        hint="the shards' machines or libraries differ in a way that "
                        f"{ENVIRONMENT} does not tell; repeat one of the two where the other ran",
                    )
                else:
                    self._different += 1
        return sorted(union.items(), key=lambda pair: self._place(pair[0]))

    def _fails(self, outcome: Outcome) -> bool:
        """Whether it failed where the bits of another one say nothing of that."""
        return (outcome.crash if self._exact else outcome.alarm) is not None

    def _place(self, task: Task) -> tuple[int, ...]:
        return self._places.get(task.cell or task, -1), *task.order

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
