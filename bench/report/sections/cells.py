"""Cells that crash, are lost or stay open, and how many are what."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import count
from bench.report.document import Block, Folded, Section, Table, Verbatim, limited_list
from bench.report.groups import reason_lines, reasons_table
from bench.report.markup import strong
from bench.report.reproducer import Scripts
from bench.report.sections.changes import scripts
from bench.report.text import NOTHING, grouped, some_of, span
from bench.results.kind import Crash
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import MEANING, UNDECIDED, Judgement, Verdict
from bench.verdict.ladder import counts

#: Crashed replicas whose last lines are shown.
MOST_OUTPUTS = 3


def crash_section(conclusion: Conclusion, reproducers: Scripts) -> Section | None:
    """Cells that crash, new crashes first; those that crash no more; None if nothing does."""
    crashed = [j for j in conclusion.judgements if j.verdict is Verdict.CRASHED]
    newly = [j for j in crashed if not conclusion.known_crash(j)]
    before = [j for j in crashed if conclusion.known_crash(j)]
    blocks: list[Block | None] = []
    if newly:
        cells, what = count(len(newly), "cell"), "a process died or raised"
        if conclusion.old is not None:
            cells, what = f"{cells} newly", "OLD does not crash, or under fewer seeds"
        blocks += [
            f"{strong(cells)}: {what}.",
            *reasons_table(newly),
            *scripts(newly, reproducers),
            *_outputs(conclusion.run, newly),
        ]
    if before:
        blocks.append(f"{count(len(before), 'cell')} on both sides: known, and no change.")
        blocks += reasons_table(before)
    mended = [
        j.item.name
        for j in (conclusion.judgements if conclusion.old is not None else ())
        if j.verdict is not Verdict.CRASHED
        and _crash(conclusion.both[0], j.item) is not None
        and conclusion.run.of(j.item.cell)
    ]
    if mended:
        blocks.append(f"Crashed on the old side alone: {some_of(mended)}.")
    return Section("Crashes", blocks) if blocks else None


def lost_sections(conclusion: Conclusion) -> list[Section]:
    """Cells that only one of two sides can train; none if there is none."""
    reasons = {j.item: j.reason for j in conclusion.judgements}
    kinds = {
        "What NEW cannot train any more": [(item, reasons[item]) for item in conclusion.lost],
        "What only NEW can train": list(conclusion.gained.items()),
    }
    return [
        Section(title, limited_list(reason_lines(cells), "reason", brief=False))
        for title, cells in kinds.items()
        if cells
    ]


def open_cells(conclusion: Conclusion) -> list[Judgement]:
    """Cells of which nothing was concluded, though both sides have parts to train them."""
    return [
        j
        for j in conclusion.judgements
        if (j.verdict in UNDECIDED or j.verdict is Verdict.NEW)
        and j.item not in conclusion.gained
        and j.item not in conclusion.lost
    ]


def open_section(conclusion: Conclusion) -> Section | None:
    """Cells of which nothing was concluded, and why; None if there is none."""
    unknown = open_cells(conclusion)
    title = f"{count(len(unknown), 'cell')} of which nothing was concluded"
    return Section(title, reasons_table(unknown)) if unknown else None


def counts_section(conclusion: Conclusion) -> Section | None:
    """How many cells have each verdict, and on how many seeds that rests, then by grid; None without
    cells."""
    present, table = counts(conclusion.judgements), counts_table(conclusion)
    if table is None:
        return None
    blocks: list[Block | None] = [table]
    grids = grouped((j.item.grid, j) for j in conclusion.judgements)
    if len(grids) > 1:
        rows = [
            [grid, *(str(numbers.get(verdict, NOTHING)) for verdict in present)]
            for grid, numbers in ((grid, counts(cells)) for grid, cells in grids.items())
        ]
        headers = ["grid", *(verdict.value for verdict in present)]
        blocks.append(Folded("By grid", [Table(headers, rows, "l" + "r" * len(present))]))
    return Section("All cells", blocks)


def counts_table(conclusion: Conclusion) -> Table | None:
    """How many cells have each verdict, and on how many seeds that rests; None without cells."""
    by_verdict = grouped((j.verdict, j) for j in conclusion.judgements)
    rows = [
        [verdict.value, str(number), _basis(conclusion, by_verdict[verdict]), MEANING[verdict]]
        for verdict, number in counts(conclusion.judgements).items()
    ]
    headers = ["verdict", "cells", "measured on both sides", "what it means"]
    return Table(headers, rows, "lrll") if rows else None


def _outputs(run: StoredRun, judgements: Sequence[Judgement]) -> list[Block]:
    """What the first crashed replicas printed last, folded away."""
    crashes = ((judgement.item.name, _crash(run, judgement.item)) for judgement in judgements)
    return [
        Folded(f"Last lines of {name}", [Verbatim(crash.output.strip())])
        for name, crash in list(crashes)[:MOST_OUTPUTS]
        if crash is not None and crash.output.strip()
    ]


def _crash(run: StoredRun, item: Item) -> Crash | None:
    crashes = [record.crash for record in run.of(item.cell) if record.crash is not None]
    return next((crash for crash in crashes if crash.reason != "not attempted"), None)


def _basis(conclusion: Conclusion, judgements: Sequence[Judgement]) -> str:
    """The number of seeds and copies that verdicts rest on: ``1 seed``, ``3 to 5 seeds, 6 copies``."""
    seeds = [conclusion.common_seeds(judgement.item) for judgement in judgements]
    copies = [j.envelope.copies for j in judgements if j.envelope is not None]
    if not any(seeds):
        return NOTHING
    text = f"{span(seeds)} seed{'' if max(seeds) == 1 else 's'} each"
    if copies:
        some = "" if len(copies) == len(judgements) else f" ({count(len(copies), 'cell')})"
        text += f"; envelopes of {span(copies)} copies{some}"
    return text
