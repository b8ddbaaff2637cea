"""Where reports go: ``report.md`` of the run, and the step summary of a CI job."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.github import append_step_summary
from bench.report.markdown import full_report, short_report
from bench.run import REPORT, StoredRun, write_atomically
from bench.verdict.baseline import Baseline
from bench.verdict.judgement import Judgement


def write_reports(
    run: StoredRun,
    judgements: Sequence[Judgement],
    *,
    baseline: Baseline | None,
    total_sec: float | None = None,
) -> str | None:
    """Writes the full report into the run's folder, and the short one where CI shows it.

    Returns:
        A warning for the terminal if the step summary could not be written, else None.

    Raises:
        BenchError: the run's folder cannot be written to.
    """
    full = full_report(run, judgements, baseline=baseline, total_sec=total_sec)
    write_atomically(run.path / REPORT, full.encode())
    short = short_report(run, judgements, baseline=baseline, total_sec=total_sec)
    return append_step_summary(short)
