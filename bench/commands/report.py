"""What ``bench report`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.errors import allowed
from bench.results.files import write_atomically
from bench.results.find import find_folder, is_upgrade
from bench.results.run import REPORT, read_run


def report(arguments: argparse.Namespace) -> int:
    """Judges a stored run or upgrade again and writes its report."""
    folder = find_folder(arguments.run, arguments.results)
    if is_upgrade(folder):
        from bench.commands.upgrade import report as report_upgrade

        code = report_upgrade(folder, arguments.output)
        return allowed(code, undecided=arguments.allow_undecided)
    from bench.report.markdown import markdown
    from bench.report.run.files import write_reports
    from bench.report.run.full import full_report
    from bench.report.run.terminal import summary_lines
    from bench.verdict.conclusion import against_baseline
    from bench.verdict.judging import baseline_for

    run = read_run(folder)
    baseline = baseline_for(arguments.baselines, run)
    found = against_baseline(run, baseline)
    judgements = found.judgements
    code = allowed(found.exit_code, undecided=arguments.allow_undecided)
    seconds = run.environment.run.get("total_sec")
    total_sec = float(seconds) if isinstance(seconds, (int, float)) else None
    if arguments.output:  # away from the run's folder, and so without its figures
        document = full_report(run, judgements, baseline=baseline, total_sec=total_sec)
        text = markdown(document, figures=False)
        if arguments.output == "-":
            print(text, end="")
            return code
        path = Path(arguments.output)
        write_atomically(path, text.encode())
    else:
        warning = write_reports(run, judgements, baseline=baseline, total_sec=total_sec)
        if warning is not None:
            print(f"bench: warning: {warning}", file=sys.stderr)
        path = run.path / REPORT
    lines = summary_lines(run, judgements, baseline=baseline, report=path, total_sec=total_sec)
    print("\n".join(lines))
    return code
