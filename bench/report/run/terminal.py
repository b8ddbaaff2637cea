"""The last lines of a run in the terminal. Plain text; who prints it may colour it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.report.groups import Group, attention
from bench.report.markup import plain
from bench.report.run.headlines import headlines
from bench.report.run.rounding import briefly, origins
from bench.report.text import MOST_NAMED, MOST_REASON, MOST_ROWS, clipped, duration, more, wrapped
from bench.results.run import StoredRun
from bench.verdict.baselines.folder import Baseline
from bench.verdict.judgement import Judgement
from bench.verdict.ladder import counts


def summary_lines(
    run: StoredRun,
    judgements: Sequence[Judgement],
    *,
    baseline: Baseline | None,
    report: Path | None,
    total_sec: float | None = None,
) -> list[str]:
    """Counts per verdict, what needs attention first and why, the answer, the report, the time.

    Args:
        run: what was measured.
        judgements: of all cells.
        baseline: what they were judged against.
        report: the written report; None if there is none.
        total_sec: how long the run took.

    Returns:
        Lines without line ends.
    """
    lines = count_lines(judgements)
    groups = attention(judgements)
    if groups:
        lines.append("")
    for group in groups[:MOST_NAMED]:
        others = f" and {len(group.names) - 1} more" if len(group.names) > 1 else ""
        lines.append(f"{group.verdict.value.upper()} {group.names[0]}{others}")
        lines += wrapped(clipped(group.reason, MOST_REASON), first="    ")
    lines += _others(groups[MOST_NAMED:])
    begins = origins(judgements)
    if begins:
        lines += ["", begins]
    failing = [result for result in run.results if result.fails]
    lines += [
        clipped(f"CHECK FAILS {result.check.id}: {result.reason}")
        for result in failing[:MOST_NAMED]
    ]
    lines += all_in_the_report(len(failing) - MOST_NAMED, "check")
    lines += ["", *map(plain, headlines(run, judgements, baseline))]
    return [*lines, *last_lines(report, total_sec)]


def count_lines(judgements: Sequence[Judgement]) -> list[str]:
    """A line per verdict: how many cells have it."""
    counted = counts(judgements)
    width = max((len(verdict.value) for verdict in counted), default=0)
    return [f"{verdict.value:<{width}}  {cells:>5}" for verdict, cells in counted.items()]


def all_in_the_report(hidden: int, noun: str) -> list[str]:
    """How many are not shown; nothing if all are."""
    return [f"... and {more(hidden, noun)}, all in the report"] if hidden > 0 else []


def last_lines(report: Path | None, total_sec: float | None) -> list[str]:
    """Where the report is and how long it all took, as far as that is known."""
    lines = [f"report: {report}"] if report is not None else []
    return [*lines, f"time: {duration(total_sec)}"] if total_sec is not None else lines


def _others(groups: Sequence[Group]) -> list[str]:
    """Cells that have no lines of their own: since when and where, for those that fail."""
    lines = [
        f"{group.verdict.value.upper()} {judgement.item.name}: {briefly(judgement)}"
        for group in groups
        for judgement in group.judgements
        if judgement.verdict.fails and judgement.envelope is not None
    ][:MOST_ROWS]
    hidden = sum(len(group.names) for group in groups) - len(lines)
    return [*lines, *all_in_the_report(hidden, "cell")]
