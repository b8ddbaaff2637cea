"""What ``bench published`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import sys

from bench import mnist
from bench.cells.grid import TIERS
from bench.errors import BenchError
from bench.execution.cluster import Placement
from bench.jobs.run import Options, Session, resolve_device, run_folder
from bench.published.experiments import trials
from bench.report.run.files import write_reports
from bench.report.run.terminal import summary_lines
from bench.results.run import REPORT
from bench.results.writer import new_run_name


def published(arguments: argparse.Namespace) -> int:
    """Trains what is missing of the experiments, writes the report, prints the findings."""
    tier: str = arguments.tier
    if tier not in TIERS:
        raise BenchError(f"no tier {tier!r}", hint=f"one of {', '.join(TIERS)}")
    names = [name.upper() for name in arguments.experiments]
    planned = trials(tier, names)
    options = Options(
        tier=tier,
        seeds=None,
        all_seeds=True,
        decide=0,
        results=arguments.results,
        run=run_folder(
            arguments.results,
            arguments.run,
            resume=arguments.resume,
            new=f"{new_run_name(tier)}-published",
        ),
        resume=arguments.resume,
        baselines=None,
        against=None,
        data_dir=arguments.data_dir,
        data_sources=mnist.SOURCES,
        placement=Placement(
            device=resolve_device(arguments.device, required=True),
            workers=arguments.workers,
            cell_timeout_sec=arguments.cell_timeout,
        ),
        selected=True,
        tensorboard=arguments.tensorboard,
    )
    session = Session(options, [], [], planned, None)
    print(f"results: {options.run}", flush=True)
    try:
        session.execute(sys.stdout, live=sys.stdout.isatty())
    except KeyboardInterrupt:
        print(f"to go on: the same command with --run {options.run.name} --resume")
        raise
    assert session.conclusion is not None
    run = session.conclusion.run
    warning = write_reports(run, [], baseline=None, total_sec=session.total_sec)
    lines = summary_lines(
        run,
        [],
        baseline=None,
        report=run.path / REPORT,
        total_sec=session.total_sec,
    )
    print("\n".join([*lines, *filter(None, [warning])]))
    return session.conclusion.exit_code
