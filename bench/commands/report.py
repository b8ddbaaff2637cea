"""The command ``bench report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bench.commands.options import AllowUndecided, Folders, Run, Verbose
from bench.errors import BenchError, allowed
from bench.results.files import write_atomically
from bench.results.find import find_folder, is_upgrade
from bench.results.run import read_run
from bench.results.tasks import no_collection
from bench.results.writer import in_use

if TYPE_CHECKING:
    from bench.verdict.conclusion import Conclusion


@no_collection()
def report(
    run: Run,
    /,
    *,
    output: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    verbose: Verbose = False,
    allow_undecided: AllowUndecided = False,
    folders: Folders = Folders(),
) -> int:
    """Judges a stored run or upgrade again and writes its report; of one that is being measured, prints
    the answer so far.

    Args:
        output: write here; - is standard output
    """
    from bench.jobs.reproducers import kept_scripts
    from bench.report.files import write_reports
    from bench.report.full import full_report
    from bench.report.github import append_step_summary
    from bench.report.markdown import markdown
    from bench.report.short import short_report
    from bench.report.terminal import summary_lines

    if output.startswith("-") and output != "-":
        raise BenchError(f"--output {output}: a file is missing", hint="bench report --help")
    folder = find_folder(run, folders.results, "run", "upgrade")
    found = concluded(folder, folders.baselines)
    alone = found.old is None
    scripts = {} if alone else kept_scripts(found)
    seconds = found.run.environment.run.get("total_sec") if alone else None
    total_sec = float(seconds) if isinstance(seconds, (int, float)) else None
    path: Path | None = None
    if output:  # without the folder, and so without its figures
        document = full_report(found, total_sec=total_sec, reproducers=scripts)
        text, path = markdown(document, figures=False), Path(output)
        if output == "-":
            print(text, end="")
            return allowed(found.exit_code, undecided=allow_undecided)
        write_atomically(path, text.encode())
    elif not in_use(folder):
        path = write_reports(found, total_sec=total_sec, reproducers=scripts)
        short = short_report(found, total_sec=total_sec, reproducers=scripts)
        if warning := append_step_summary(short):
            print(f"bench: warning: {warning}", file=sys.stderr)
    lines = summary_lines(
        found, total_sec=total_sec, reproducers=scripts, report=path, verbose=verbose
    )
    print("\n".join(lines))
    return allowed(found.exit_code, undecided=allow_undecided)


def concluded(folder: Path, baselines: Path) -> Conclusion:
    """What is concluded of a stored run or upgrade; warns where it is still being measured, and where a
    run has nothing to be compared with because no folder of baselines is there."""
    from bench.results.upgrade import read_upgrade
    from bench.theory.signal.meanwhile import predicted_meanwhile
    from bench.verdict.conclusion import against_baseline, of_upgrade
    from bench.verdict.judging import baseline_for

    if in_use(folder):
        print(
            f"bench: warning: {folder} is being measured now: what follows is the answer so far",
            file=sys.stderr,
        )
    if is_upgrade(folder):
        return of_upgrade(read_upgrade(folder))
    with predicted_meanwhile(folder):
        run = read_run(folder)
    if run.plan.items and not baselines.is_dir():
        print(
            f"bench: warning: there is no folder {str(baselines)!r}, so no cell is compared: run this "
            "where it is, or name one with --baselines",
            file=sys.stderr,
        )
    return against_baseline(run, baseline_for(baselines, run), speeds=baselines)
