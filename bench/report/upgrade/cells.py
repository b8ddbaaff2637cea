"""Cells that crash, are lost or stay open after an upgrade, and how many are what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.report.document import (
    Block,
    Folded,
    Section,
    Table,
    Verbatim,
    limited_list,
    limited_table,
)
from bench.report.groups import by_reason, reason_lines, reasons_table
from bench.report.markup import code, strong
from bench.report.text import (
    MOST_REASON,
    MOST_TEXT,
    NOTHING,
    clipped,
    count,
    grouped,
    some_of,
    span,
)
from bench.report.upgrade.words import common_seeds, runs, scripts
from bench.results.kind import Crash
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import MEANING, UNDECIDED, Judgement, Verdict
from bench.verdict.ladder import counts

#: Crashed replicas whose last lines are shown.
MOST_OUTPUTS = 3


def crash_section(
    upgrade: Conclusion, *, brief: bool, reproducers: Mapping[Item, str]
) -> Section | None:
    """Cells that crash, new crashes first; those that crash no more; None if nothing does."""
    crashed = [j for j in upgrade.judgements if j.verdict is Verdict.CRASHED]
    newly = [j for j in crashed if j.item not in upgrade.crashed_before]
    before = [j for j in crashed if j.item in upgrade.crashed_before]
    mended = [
        j.item.name
        for j in upgrade.judgements
        if j.verdict is not Verdict.CRASHED
        and _crash(upgrade.both[0], j.item) is not None
        and upgrade.run.of(j.item.cell)
    ]
    blocks: list[Block | None] = []
    if newly:
        cells = strong(f"{count(len(newly), 'cell')} newly")
        blocks += [
            f"{cells}: OLD does not crash, or under fewer seeds.",
            *_listed(newly, brief=brief),
            *scripts(newly, reproducers),
            *_outputs(upgrade.run, newly),
        ]
    if before:
        blocks.append(f"{count(len(before), 'cell')} on both sides: known, and no change.")
        blocks += _listed(before, brief=brief)
    if mended:
        blocks.append(f"Crashed on the old side alone: {some_of(mended)}.")
    return Section("Crashes", blocks) if blocks else None


def lost_sections(upgrade: Conclusion, *, brief: bool) -> list[Section]:
    """Cells that only one side can train; none if there is none."""
    reasons = {j.item: j.reason for j in upgrade.judgements}
    kinds = {
        "What NEW cannot train any more": [(item, reasons[item]) for item in upgrade.lost],
        "What only NEW can train": gained(upgrade),
    }
    return [
        Section(title, limited_list(reason_lines(cells), "reason", brief=brief))
        for title, cells in kinds.items()
        if cells
    ]


def open_section(upgrade: Conclusion, *, brief: bool) -> Section | None:
    """Cells of which nothing was concluded, and why; None if there is none."""
    newly = {item for item, _ in gained(upgrade)}
    unknown = [
        j
        for j in upgrade.judgements
        if (j.verdict in UNDECIDED or j.verdict is Verdict.NEW)
        and j.item not in newly
        and j.item not in upgrade.lost
    ]
    if not unknown:
        return None
    title = f"{count(len(unknown), 'cell')} of which nothing was concluded"
    return Section(title, _listed(unknown, brief=brief))


def counts_section(upgrade: Conclusion) -> Section | None:
    """How many cells have each verdict, and on how many seeds that rests, then by grid; None without
    cells."""
    by_verdict = grouped((j.verdict, j) for j in upgrade.judgements)
    present = counts(upgrade.judgements)
    if not present:
        return None
    rows = [
        [verdict.value, str(number), _basis(upgrade, by_verdict[verdict]), MEANING[verdict]]
        for verdict, number in present.items()
    ]
    headers = ["verdict", "cells", "measured on both sides", "what it means"]
    blocks = [Table(headers, rows, "lrll")]
    grids = {
        grid: counts(judgements)
        for grid, judgements in grouped((j.item.grid, j) for j in upgrade.judgements).items()
    }
    if len(grids) > 1:
        rows = [
            [grid, *(str(counted.get(verdict, NOTHING)) for verdict in present)]
            for grid, counted in grids.items()
        ]
        headers = ["grid", *(verdict.value for verdict in present)]
        blocks.append(Table(headers, rows, "l" + "r" * len(present)))
    return Section("All cells", blocks)


def _listed(judgements: Sequence[Judgement], *, brief: bool) -> list[Block]:
    """Cell and reason; equal reasons of one verdict together in a brief report."""
    groups = by_reason(judgements)
    if brief:
        return reasons_table(groups, most_reason=MOST_TEXT)
    rows = [
        [group.verdict.value, code(name), clipped(group.reason, MOST_REASON)]
        for group in groups
        for name in group.names
    ]
    return limited_table(("verdict", "cell", "reason"), rows, "lll")


def gained(upgrade: Conclusion) -> list[tuple[Item, str]]:
    """Cells for which OLD has no parts and NEW has, with the reason."""
    pairs = []
    for judgement in upgrade.judgements:
        old, new = (run.of(judgement.item.cell) for run in runs(upgrade))
        lacking = [record.absent for record in old if record.absent]
        if lacking and new and not any(record.absent for record in new):
            pairs.append((judgement.item, lacking[0]))
    return pairs


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


def _basis(upgrade: Conclusion, judgements: Sequence[Judgement]) -> str:
    """On how many seeds, and copies, verdicts rest: ``1 seed``, ``3 to 5 seeds, 6 copies``."""
    seeds = [common_seeds(upgrade, judgement.item) for judgement in judgements]
    copies = [j.envelope.copies for j in judgements if j.envelope is not None]
    if not any(seeds):
        return NOTHING
    text = f"{span(seeds)} seed{'' if max(seeds) == 1 else 's'} each"
    if copies:
        some = "" if len(copies) == len(judgements) else f" ({count(len(copies), 'cell')})"
        text += f"; envelopes of {span(copies)} copies{some}"
    return text
