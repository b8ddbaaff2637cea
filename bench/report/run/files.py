"""Where reports go: ``report.md`` and its figures in the run's folder, a CI job's step summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.report.figures.curves import pictures
from bench.report.figures.draw import draw
from bench.report.figures.envelope import envelope_picture
from bench.report.github import append_step_summary
from bench.report.published import pictures as published_pictures
from bench.report.run.full import full_report, short_report
from bench.results.files import write_atomically
from bench.results.run import REPORT, StoredRun
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
        BenchError: as :func:`write_full_report` does.
    """
    write_full_report(run, judgements, baseline=baseline, total_sec=total_sec)
    short = short_report(run, judgements, baseline=baseline, total_sec=total_sec)
    return append_step_summary(short)


def write_full_report(
    run: StoredRun,
    judgements: Sequence[Judgement],
    *,
    baseline: Baseline | None,
    total_sec: float | None = None,
) -> Path:
    """Writes ``report.md`` and then its figures, ``figures/<grid>.svg``, ``rounding.svg`` and those of
    published experiments, into the run's folder.

    Returns:
        the report's path.

    Raises:
        BenchError: the run's folder cannot be written to, or matplotlib is broken; the report, which
            does not need it, is there all the same.
    """
    shown = pictures(run)
    rounding = envelope_picture(run, judgements, baseline)
    text = full_report(
        run,
        judgements,
        baseline=baseline,
        total_sec=total_sec,
        pictures=shown,
        rounding=rounding,
    )
    path = run.path / REPORT
    write_atomically(path, text.encode())
    for picture in shown.values():
        write_atomically(run.path / picture.path, draw(picture))
    if rounding is not None:
        write_atomically(run.path / rounding.path, draw(rounding))
    for where, published in published_pictures(list(run.trials.values())).items():
        write_atomically(run.path / where, draw(published))
    return path
