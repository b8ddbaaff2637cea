"""Runs of one grid in which a single cell is not as the baseline has it, for tests of the ladder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bench.cells.cell import Cell
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.verdict.baselines.folder import Baseline
from bench.verdict.baselines.samples import baseline_from_run
from bench.verdict.judgement import Judgement
from bench.verdict.ladder import judge
from support.builders import items, plan, stored, trained

CELLS = [Cell(depth=d, width=w, steps=200) for d in range(2, 14) for w in (100, 200)]
ITEMS = items("depth", CELLS, ("depth", "width"))
CHOSEN = ITEMS[5]
SEEDS = (0, 1, 2, 3, 4)


def made(
    change: Callable[[Record], Record | None] = lambda record: record,
    *,
    salt: str = "",
    seeds: tuple[int, ...] = SEEDS,
    everywhere: bool = False,
    **changes: Any,
) -> StoredRun:
    """A run in which only ``CHOSEN``'s records (or all) went through ``change``."""
    records = []
    for cell in CELLS:
        for seed in seeds:
            shift = 0.0001 * (len(salt) * (seed % 3) - len(salt))
            record = trained(cell, seed, accuracy=0.94 + shift, salt=salt)
            new = change(record) if everywhere or cell == CHOSEN.cell else record
            records += [new] if new is not None else []
    return stored(plan(ITEMS, seeds=seeds, **changes), records)


BASELINE = baseline_from_run(made())


def chosen(run: StoredRun, baseline: Baseline | None = BASELINE, **options: Any) -> Judgement:
    judgements = judge(run, baseline, **options)
    assert [judgement.item for judgement in judgements] == run.plan.items
    return judgements[5]


def with_cell(**changes: Any) -> Baseline:
    cell = msgspec.structs.replace(BASELINE.grids["depth"][CHOSEN.id], **changes)
    return msgspec.structs.replace(
        BASELINE, grids={"depth": {**BASELINE.grids["depth"], CHOSEN.id: cell}}
    )


def of_class(baseline: Baseline, **changes: Any) -> Baseline:
    """The baseline as of another class, on another machine."""
    numerics = msgspec.structs.replace(baseline.numerics, **changes)
    return msgspec.structs.replace(
        baseline, numerics=numerics, environment_class=numerics.environment_class, machine={}
    )
