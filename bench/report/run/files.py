"""Where the reports of a run go: its folder, and a CI job's step summary."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.files import write_document
from bench.report.github import append_step_summary
from bench.report.markdown import markdown
from bench.report.run.full import full_report, short_report
from bench.results.run import StoredRun
from bench.verdict.baselines.folder import Baseline
from bench.verdict.judgement import Judgement


def write_reports(
    run: StoredRun,
    judgements: Sequence[Judgement],
    *,
    baseline: Baseline | None,
    total_sec: float | None = None,
) -> str | None:
    """Writes the full report into the run's folder, then the short one where CI shows it.

    Returns:
        A warning for the terminal if the step summary could not be written, else None.

    Raises:
        BenchError: as :func:`bench.report.files.write_document` does.
    """
    full = full_report(run, judgements, baseline=baseline, total_sec=total_sec)
    write_document(full, run.path)
    short = short_report(run, judgements, baseline=baseline, total_sec=total_sec)
    return append_step_summary(markdown(short))
