"""The last lines of a run in the terminal. Plain text; who prints it may colour it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.report.checks import failing_lines, headlines
from bench.report.text import clipped, duration, more
from bench.report.words import attention, by_verdict
from bench.run import StoredRun
from bench.verdict.baseline import Baseline
from bench.verdict.judgement import Judgement

#: Groups of cells that are listed; the others are counted.
MOST_GROUPS = 5


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
        lines.append(f"    {clipped(group.reason, 200)}")
    hidden = sum(len(group.items) for group in groups[MOST_GROUPS:])
    if hidden:
        lines.append(f"... and {more(hidden, 'cell')}, all in the report")
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
