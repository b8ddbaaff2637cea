"""Cells that share a verdict and its reason: one row for all of them."""

from __future__ import annotations

from collections.abc import Iterable

from bench.report.document import Block, Bullets, Folded, Table
from bench.report.markup import plain, strong
from bench.report.text import (
    MOST_REASON,
    MOST_ROWS,
    brief,
    clipped,
    first_of,
    grouped,
    more,
    some_of,
)
from bench.results.plan import Item
from bench.verdict.judgement import ATTENTION, Judgement, Verdict


def by_reason(judgements: Iterable[Judgement]) -> dict[tuple[Verdict, str], list[str]]:
    """Names of cells by verdict and reason, in the order of attention."""
    ordered = sorted(judgements, key=lambda judgement: ATTENTION.index(judgement.verdict))
    return grouped(((j.verdict, j.reason), j.item.name) for j in ordered)


def reasons_table(judgements: Iterable[Judgement]) -> list[Block]:
    """A row for each verdict and reason; the cells of those that are not shown are counted."""
    groups = by_reason(judgements)
    rows = [
        [strong(verdict.value), first_of(names), brief(reason)]
        for (verdict, reason), names in groups.items()
    ]
    hidden = sum(map(len, list(groups.values())[MOST_ROWS:]))
    blocks: list[Block] = [Table(("verdict", "cell", "reason"), rows[:MOST_ROWS], "lll")]
    return [*blocks, f"And {more(hidden, 'cell')}."] if hidden else blocks


def reason_lines(pairs: Iterable[tuple[Item, str]]) -> list[str]:
    """A line for each reason, with the cells that have it."""
    groups = grouped((reason, item.name) for item, reason in pairs)
    return [f"{clipped(reason)}: {some_of(names)}" for reason, names in groups.items()]


def full_reasons(judgements: Iterable[Judgement]) -> Folded | None:
    """Reasons with all their numbers, folded away, where other sections tell a part of them."""
    lines = [
        f"{strong(verdict.value)}, {first_of(names)}: {clipped(reason, MOST_REASON)}"
        for (verdict, reason), names in by_reason(judgements).items()
        if brief(reason) != plain(reason)
    ]
    return Folded(f"Reasons in full: {len(lines)}", [Bullets(lines)]) if lines else None
