"""A stored run, judged: claims checked, the right baseline found, every cell given its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.cells.cell import Cell
from bench.results.copy_result import Copy
from bench.results.kind import Task
from bench.results.plan import Item
from bench.results.record import Replica
from bench.results.run import StoredRun
from bench.statistics.levels import ALPHA
from bench.statistics.sequential import levels, looks
from bench.theory.claims import check_claims
from bench.verdict.baselines.folder import read_classes
from bench.verdict.baselines.samples import Baseline, stand_in
from bench.verdict.bits import first_copies_wanted, replicas_wanted
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import judge
from bench.verdict.ladder import still_wanted as wanted_for_bits


def baseline_for(root: Path, run: StoredRun) -> Baseline | None:
    """The stored baselines that serve the run: of its own environment class, then of others on the same
    kind of device, the nearest first, each for the cells that those before it lack; None if there is
    none.

    Raises:
        BenchError: one is damaged.
    """
    return read_classes(root, run.environment.numerics)


def judge_with_claims(run: StoredRun, baseline: Baseline | None) -> list[Judgement]:
    """All claims checked and all cells judged, in the order of the run's plan.

    A run that adds seeds until cells are decided is judged look by look
    (:mod:`bench.statistics.sequential`), however many seeds it has by now.
    """
    return list(_judged(run, baseline)[0].values())


def still_wanted(run: StoredRun, baseline: Baseline | None) -> list[Copy] | list[Replica]:
    """What a run whose plan is done needs for its verdicts: what its bits are to be judged by
    (:func:`bench.verdict.ladder.still_wanted`), then the replicas of the next look at undecided cells;
    nothing if all is there."""
    wanted = wanted_for_bits(run, baseline)
    if wanted or not run.plan.decide:
        return wanted
    return _judged(run, baseline)[1]


def still_wanted_of_both(old: StoredRun, new: StoredRun) -> tuple[Sequence[Task], Sequence[Task]]:
    """What each side of an upgrade still has to train: NEW the copies of the first seed of cells whose
    bits differ, both the further seeds of those that are not settled by them, then NEW the copies that
    its rounding envelopes need."""
    first = first_copies_wanted(new, stand_in(old))
    if first:
        return [], first
    replicas = replicas_wanted(old, stand_in(new)), replicas_wanted(new, stand_in(old))
    return replicas if any(replicas) else ([], wanted_for_bits(new, stand_in(old)))


def _judged(
    run: StoredRun, baseline: Baseline | None
) -> tuple[dict[Item, Judgement], list[Replica]]:
    """The judgements, and the replicas that would take undecided cells further."""
    claims = {item: check_claims(item.cell, run.of(item.cell)) for item in run.plan.items}
    if not run.plan.decide:
        return {j.item: j for j in judge(run, baseline, claims)}, []
    numbers = _looks(run)
    judged: dict[Item, Judgement] = {}
    for number, level in zip(numbers, levels(numbers, ALPHA), strict=True):
        missing = _missing(run, _undecided(judged), number) if judged else []
        if missing:
            return judged, missing
        for judgement in judge(_first_seeds(run, number), baseline, claims, alpha=level):
            item = judgement.item
            if item not in judged or judged[item].verdict is Verdict.INCONCLUSIVE:
                judged[item] = judgement
    return judged, []


def _looks(run: StoredRun) -> list[int]:
    first = len(_planned(run))
    return looks(first, max(first, run.plan.decide))


def _planned(run: StoredRun) -> list[int]:
    return [*run.plan.seeds, *run.plan.further]


def _undecided(judged: dict[Item, Judgement]) -> list[Cell]:
    cells = (item.cell for item, j in judged.items() if j.verdict is Verdict.INCONCLUSIVE)
    return list(dict.fromkeys(cells))


def _missing(run: StoredRun, cells: list[Cell], number: int) -> list[Replica]:
    seeds = _seeds(run, number)
    wanted = (Replica(cell, seed) for cell in cells for seed in seeds)
    return [replica for replica in wanted if replica not in run.records]


def _seeds(run: StoredRun, number: int) -> list[int]:
    """The planned seeds, then those that follow the highest."""
    planned = _planned(run)
    after = max(planned) + 1
    return [*planned, *range(after, after + number - len(planned))]


def _first_seeds(run: StoredRun, number: int) -> StoredRun:
    """The run as it was at the look with this number of seeds."""
    seen = frozenset(_seeds(run, number))
    later = {replica for replica in run.records if replica.seed not in seen}
    outcomes = {task: outcome for task, outcome in run.outcomes.items() if task not in later}
    return msgspec.structs.replace(run, outcomes=outcomes)
