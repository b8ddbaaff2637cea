"""Cells that share a verdict and its reason: one row for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.report.document import Block, Table
from bench.report.markup import strong
from bench.report.text import MOST_REASON, MOST_ROWS, clipped, first_of, grouped, more, some_of
from bench.results.plan import Item
from bench.verdict.judgement import ATTENTION, Judgement, Verdict


@dataclass(frozen=True)
class Group:
    """Cells with one verdict for one reason."""

    verdict: Verdict
    reason: str
    judgements: tuple[Judgement, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """``<grid>/<id>`` of each."""
        return tuple(judgement.item.name for judgement in self.judgements)


def by_reason(judgements: Iterable[Judgement]) -> list[Group]:
    """Equal reasons of one verdict together, in the order of attention."""
    ordered = sorted(judgements, key=lambda judgement: ATTENTION.index(judgement.verdict))
    groups = grouped(((j.verdict, j.reason), j) for j in ordered)
    return [Group(verdict, reason, tuple(cells)) for (verdict, reason), cells in groups.items()]


def reasons_table(groups: Sequence[Group], *, most_reason: int = MOST_REASON) -> list[Block]:
    """A row for each group; the cells of those that are not shown are counted."""
    rows = [
        [strong(group.verdict.value), first_of(group.names), clipped(group.reason, most_reason)]
        for group in groups[:MOST_ROWS]
    ]
    hidden = sum(len(group.names) for group in groups[MOST_ROWS:])
    blocks: list[Block] = [Table(("verdict", "cell", "reason"), rows, "lll")]
    return [*blocks, f"And {more(hidden, 'cell')}."] if hidden else blocks


def reason_lines(pairs: Iterable[tuple[Item, str]]) -> list[str]:
    """A line for each reason, with the cells that have it."""
    groups = grouped((reason, item.name) for item, reason in pairs)
    return [f"{clipped(reason)}: {some_of(names)}" for reason, names in groups.items()]
