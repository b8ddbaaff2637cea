"""The last lines of a run in the terminal. Plain text; who prints it may colour it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from bench.report.run.checks import failing_lines
from bench.report.run.headlines import headlines
from bench.report.run.rounding import briefly, origins
from bench.report.run.words import Group, attention, by_verdict
from bench.report.text import clipped, duration, more
from bench.results.run import StoredRun
from bench.verdict.baselines.folder import Baseline
from bench.verdict.judgement import Judgement

#: Groups of cells that are listed; the others are counted.
MOST_GROUPS = 5
#: Failing cells beyond these whose departure is told in one line each; the others are counted.
MOST_BRIEF = 15
#: Characters of a reason, and of one of its lines.
MOST_REASON, WIDTH = 700, 100


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
    counted = by_verdict(judgements)
    width = max((len(verdict.value) for verdict in counted), default=0)
    lines = [f"{verdict.value:<{width}}  {cells:>5}" for verdict, cells in counted.items()]
    groups = attention(judgements)
    if groups:
        lines.append("")
    for group in groups[:MOST_GROUPS]:
        others = f" and {len(group.items) - 1} more" if len(group.items) > 1 else ""
        lines.append(f"{group.verdict.value.upper()} {group.items[0]}{others}")
        lines += _wrapped(group.reason)
    lines += _others(groups[MOST_GROUPS:])
    begins = origins(judgements)
    if begins:
        lines += ["", begins]
    failing = failing_lines(run)
    lines += [f"CHECK FAILS {clipped(line, 300)}" for line in failing[:MOST_GROUPS]]
    if len(failing) > MOST_GROUPS:
        lines.append(f"... and {more(len(failing) - MOST_GROUPS, 'check')}, all in the report")
    lines += ["", *headlines(run, judgements, baseline)]
    if report is not None:
        lines.append(f"report: {report}")
    if total_sec is not None:
        lines.append(f"time: {duration(total_sec)}")
    return lines


def _wrapped(reason: str) -> list[str]:
    text = clipped(reason, MOST_REASON)
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _others(groups: Sequence[Group]) -> list[str]:
    """Cells that have no lines of their own: since when and where, for those that fail."""
    told = [
        f"{group.verdict.value.upper()} {item}: {briefly(judgement)}"
        for group in groups
        for item, judgement in zip(group.items, group.judgements, strict=True)
        if judgement.verdict.fails and judgement.envelope is not None
    ][:MOST_BRIEF]
    hidden = sum(len(group.items) for group in groups) - len(told)
    counted = [f"... and {more(hidden, 'cell')}, all in the report"] if hidden else []
    return told + counted
