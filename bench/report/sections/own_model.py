"""A model of the user's: its metrics as compiled, and its memory, on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bench.cells.own_model import OwnModel
from bench.report.document import Block, Section, Table
from bench.report.markup import code
from bench.report.text import NOTHING, clipped, significant
from bench.results.own_model import OwnMeasured
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion


def own_section(conclusion: Conclusion) -> Section | None:
    """Metrics and memory of the user's model; None where there is none."""
    items = [item for item in conclusion.run.plan.items if item.cell.model]
    if not items:
        return None
    runs = [conclusion.run] if conclusion.old is None else [*conclusion.both]
    rows = [row for item in items for row in _rows(item, runs)]
    headers = (
        "trained with",
        "of the held-out rows",
        *(_SIDES if len(runs) > 1 else ("this run",)),
    )
    blocks: list[Block | None] = [_random(items[0].cell.own)]
    if rows:
        blocks.append(Table(headers, rows, "ll" + "r" * len(runs)))
        blocks.append(
            "Means over seeds. Memory is the largest that a training process has held so far, "
            "whatever else it trained before: compare it between the sides only."
        )
    return Section(f"Your model, {clipped(items[0].cell.model)}", blocks)


_SIDES = ("OLD", "NEW")


def _random(own: OwnModel | msgspec.UnsetType) -> str | None:
    if not isinstance(own, OwnModel) or not own.random:
        return None
    drawing = ", ".join(code(name) for name in own.random)
    return (
        f"It draws random numbers in training ({drawing}). They are seeded; where the two sides draw "
        "others all the same, bits cannot be compared, and seeds are, as samples."
    )


def _rows(item: Item, runs: Sequence[StoredRun]) -> list[list[str]]:
    """Rows of one cell: each metric, and memory, on each side."""
    sides = [_measured(run, item) for run in runs]
    names = dict.fromkeys(name for side in sides for each in side for name in each.metrics)
    engine = code(item.cell.engine)
    rows = [
        [engine, code(name), *(_mean(each.metrics.get(name) for each in side) for side in sides)]
        for name in names
    ]
    memory = [_mean(each.peak_mib for each in side) for side in sides]
    return [*rows, [engine, "memory, MiB", *memory]] if any(sides) else []


def _measured(run: StoredRun, item: Item) -> list[OwnMeasured]:
    return [r.own for r in run.of(item.cell) if isinstance(r.own, OwnMeasured)]


def _mean(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return significant(sum(value / len(known) for value in known)) if known else NOTHING
