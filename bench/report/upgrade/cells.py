"""Cells that crash, are lost or stay open after an upgrade, and how many are what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.report.text import NOTHING, code, count, folded, more, plain, table
from bench.report.upgrade.words import (
    MOST_REASON,
    MOST_ROWS,
    common_seeds,
    examples,
    first,
    folding,
    named,
    runs,
    scripts,
    span,
)
from bench.results.plan import Item
from bench.results.record import Crash
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import counts

#: Crashed replicas whose last lines are shown.
MOST_OUTPUTS = 3
#: Characters of a reason in a brief report.
MOST_BRIEF = 250


#: One line each for the table of counts.
MEANING: Mapping[Verdict, str] = {
    Verdict.CRASHED: "NEW crashes",
    Verdict.REGRESSED: "NEW is worse by more than matters and than luck",
    Verdict.CHANGED: "losses differ by more than rounding explains, or a metric that has no better "
    "direction by more than luck",
    Verdict.MISSING: "was to be measured and was not",
    Verdict.INCONCLUSIVE: "too little was measured to tell a change from luck",
    Verdict.NOT_COMPARABLE: "there is nothing to compare: a side has no result, or another one's parts",
    Verdict.NEW: "OLD cannot train it",
    Verdict.IMPROVED: "NEW is better by more than luck",
    Verdict.EQUIVALENT: "shown to differ by less than matters",
    Verdict.ROUNDING: "bits differ, and losses stay inside the envelope that rounding spans",
    Verdict.IDENTICAL: "bit for bit the same",
}


def crash_section(
    upgrade: Conclusion, *, brief: bool, reproducers: Mapping[Item, str]
) -> list[str]:
    """Cells that crash, new crashes first; those that crash no more; none if nothing does."""
    crashed = [j for j in upgrade.judgements if j.verdict is Verdict.CRASHED]
    newly = [j for j in crashed if j.item not in upgrade.crashed_before]
    mended = [
        j.item
        for j in upgrade.judgements
        if j.verdict is not Verdict.CRASHED
        and _crashes(upgrade.both[0], j.item)
        and upgrade.run.of(j.item.cell)
    ]
    parts: list[str] = []
    if newly:
        parts += [
            f"**{count(len(newly), 'cell')} newly**: OLD does not crash, or under fewer seeds."
        ]
        parts += _listed(newly, brief=brief)
        parts += scripts(newly, reproducers)
        parts += _outputs(upgrade.run, newly)
    before = [j for j in crashed if j.item in upgrade.crashed_before]
    if before:
        parts += [f"{count(len(before), 'cell')} on both sides: known, and no change."]
        parts += _listed(before, brief=brief)
    if mended:
        parts.append(f"Crashed on the old side alone: {examples(mended)}")
    return ["## Crashes", *parts] if parts else []


def lost_section(upgrade: Conclusion, *, brief: bool) -> list[str]:
    """Cells that only one side can train; none if there is none."""
    reasons = {j.item: j.reason for j in upgrade.judgements}
    lost = _by_reason([(item, reasons[item]) for item in upgrade.lost], brief=brief)
    newly = _by_reason(gained(upgrade), brief=brief)
    parts: list[str] = []
    if lost:
        parts += ["## What NEW cannot train any more", lost]
    if newly:
        parts += ["## What only NEW can train", newly]
    return parts


def open_section(upgrade: Conclusion, *, brief: bool) -> list[str]:
    """Cells of which nothing was concluded, and why; none if there is none."""
    newly = {item for item, _ in gained(upgrade)}
    shown = (Verdict.MISSING, Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE, Verdict.NEW)
    found = [
        j
        for verdict in shown
        for j in upgrade.judgements
        if j.verdict is verdict and j.item not in newly and j.item not in upgrade.lost
    ]
    if not found:
        return []
    title = f"{count(len(found), 'cell')} of which nothing was concluded"
    return [f"## {title}", *_listed(found, brief=brief)]


def counts_section(upgrade: Conclusion) -> list[str]:
    """How many cells have each verdict, and on how many seeds that rests; none without cells."""
    rows = []
    for verdict, number in counts(upgrade.judgements).items():
        found = [j for j in upgrade.judgements if j.verdict is verdict]
        meaning = MEANING.get(verdict, "")
        rows.append([verdict.value, str(number), _basis(upgrade, found), meaning])
    if not rows:
        return []
    headers = ("verdict", "cells", "measured on both sides", "what it means")
    return ["## All cells", table(headers, rows, "lrll")]


def grids_section(upgrade: Conclusion) -> list[str]:
    """Verdicts by grid; none without cells."""
    grids: dict[str, list[Judgement]] = {}
    for judgement in upgrade.judgements:
        grids.setdefault(judgement.item.grid, []).append(judgement)
    present = counts(upgrade.judgements)
    rows = []
    for grid, found in grids.items():
        counted = counts(found)
        rows.append([grid, *(str(counted.get(verdict, NOTHING)) for verdict in present)])
    if len(rows) < 2:
        return []
    headers = ("grid", *(verdict.value for verdict in present))
    return [table(headers, rows, "l" + "r" * len(present))]


def _listed(judgements: Sequence[Judgement], *, brief: bool) -> list[str]:
    """Cell and reason; equal reasons of one verdict together in a brief report."""
    headers = ("verdict", "cell", "reason")
    if not brief:
        rows = [
            [j.verdict.value, code(named(j.item)), plain(j.reason, MOST_REASON)] for j in judgements
        ]
        return folding(headers, rows, "lll")
    groups: dict[tuple[Verdict, str], list[Item]] = {}
    for judgement in judgements:
        groups.setdefault((judgement.verdict, judgement.reason), []).append(judgement.item)
    rows = [
        [verdict.value, first(items), plain(reason, MOST_BRIEF)]
        for (verdict, reason), items in list(groups.items())[:MOST_ROWS]
    ]
    hidden = sum(len(items) for items in list(groups.values())[MOST_ROWS:])
    return [table(headers, rows, "lll"), *([f"And {more(hidden, 'cell')}."] if hidden else [])]


def _by_reason(found: Sequence[tuple[Item, str]], *, brief: bool) -> str:
    groups: dict[str, list[Item]] = {}
    for item, reason in found:
        groups.setdefault(reason, []).append(item)
    shown = list(groups.items())[: MOST_ROWS if brief else None]
    lines = [f"- {plain(reason)}: {examples(items)}" for reason, items in shown]
    hidden = len(groups) - len(shown)
    return "\n".join([*lines, *([f"- and {more(hidden, 'reason')}"] if hidden else [])])


def gained(upgrade: Conclusion) -> list[tuple[Item, str]]:
    """Cells for which OLD has no parts and NEW has, with the reason."""
    found = []
    for judgement in upgrade.judgements:
        old, new = (run.of(judgement.item.cell) for run in runs(upgrade))
        lacking = [record.absent for record in old if record.absent]
        if lacking and new and not any(record.absent for record in new):
            found.append((judgement.item, lacking[0]))
    return found


def _outputs(run: StoredRun, judgements: Sequence[Judgement]) -> list[str]:
    """What the first crashed replicas printed last, folded away."""
    parts = []
    for judgement in judgements[:MOST_OUTPUTS]:
        crash = _crash(run, judgement.item)
        if crash is not None and crash.output.strip():
            lines = "\n".join(f"    {line}" for line in crash.output.strip().splitlines())
            parts.append(folded(f"Last lines of {named(judgement.item)}", lines))
    return parts


def _crash(run: StoredRun, item: Item) -> Crash | None:
    tried = [r.crash for r in run.of(item.cell) if r.crash is not None]
    return next((crash for crash in tried if crash.reason != "not attempted"), None)


def _crashes(run: StoredRun, item: Item) -> bool:
    return _crash(run, item) is not None


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
