"""The command ``bench published``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.options import Places, Resume, RunName, Tier
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.verdict.conclusion import Conclusion


def published(
    *experiment: str,
    tier: Tier = "quick",
    run: RunName = "",
    resume: Resume = False,
    tensorboard: Path | None = None,
    places: Places = Places(),
) -> int:
    """Trains what is missing of the experiments, writes the report, prints the findings.

    Args:
        experiment: P1 to P7 (default: all of the tier; quick has P1, P3, P4, P5 and P6)
        tensorboard: write event files for TensorBoard below this; needs the extra 'tensorboard'
    """
    from bench.cells.grid import TIERS
    from bench.execution.cluster import Placement
    from bench.jobs.run import Options, Session, resolve_device, run_folder
    from bench.published.experiments import trials
    from bench.results.writer import new_run_name

    if tier not in TIERS:
        raise BenchError(f"no tier {tier!r}", hint=f"one of {', '.join(TIERS)}")
    planned = trials(tier, [name.upper() for name in experiment])
    options = Options(
        tier=tier,
        all_seeds=True,
        run=run_folder(
            places.results, run or None, resume=resume, new=f"{new_run_name(tier)}-published"
        ),
        resume=resume,
        data_dir=places.data_dir,
        placement=Placement(
            device=resolve_device(places.device, required=True),
            workers=places.workers,
            cell_timeout_sec=places.cell_timeout,
        ),
        selected=True,
        tensorboard=tensorboard,
    )
    session = Session(options, [], [], planned, [], None)
    print(f"results: {options.run}", flush=True)
    try:
        session.execute(sys.stdout, live=sys.stdout.isatty())
    except KeyboardInterrupt:
        print(f"to go on: the same command with --run {options.run.name} --resume")
        raise
    assert session.conclusion is not None
    return _tell(session.conclusion, session.total_sec)


def _tell(found: Conclusion, total_sec: float | None) -> int:
    """Writes the reports, prints the findings and gives the exit code."""
    from bench.report.files import write_reports
    from bench.report.github import append_step_summary
    from bench.report.short import short_report
    from bench.report.terminal import summary_lines

    path = write_reports(found, total_sec=total_sec)
    warning = append_step_summary(short_report(found, total_sec=total_sec))
    lines = summary_lines(found, total_sec=total_sec, report=path)
    print("\n".join([*lines, *filter(None, [warning])]))
    return found.exit_code
