"""The command ``bench report``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from bench.commands.options import AllowUndecided, Folders, Run
from bench.errors import BenchError, allowed
from bench.results.files import write_atomically
from bench.results.find import find_folder, is_upgrade
from bench.results.run import REPORT, read_run

if TYPE_CHECKING:
    from bench.report.document import Document
    from bench.verdict.conclusion import Conclusion


def report(
    run: Run,
    /,
    *,
    output: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    allow_undecided: AllowUndecided = False,
    folders: Folders = Folders(),
) -> int:
    """Judges a stored run or upgrade again and writes its report.

    Args:
        output: write here; - is standard output
    """
    from bench.report.markdown import markdown

    if output.startswith("-") and output != "-":
        raise BenchError(f"--output {output}: a file is missing", hint="bench report --help")
    folder = find_folder(run, folders.results, "run", "upgrade")
    judged = _upgrade(folder) if is_upgrade(folder) else _run(folder, folders.baselines)
    found, document, write, summary = judged
    text = markdown(document, figures=False)  # without the folder, and so without its figures
    if output == "-":
        print(text, end="")
        return allowed(found.exit_code, undecided=allow_undecided)
    if output:
        write_atomically(Path(output), text.encode())
    elif warning := write():
        print(f"bench: warning: {warning}", file=sys.stderr)
    print("\n".join(summary(report=Path(output or folder / REPORT))))
    return allowed(found.exit_code, undecided=allow_undecided)


_Judged = tuple["Conclusion", "Document", partial[Any], partial[list[str]]]
"""A conclusion, its report, and calls that write all reports and sum up for the terminal."""


def _run(folder: Path, baselines: Path) -> _Judged:
    from bench.report.run.files import write_reports
    from bench.report.run.full import full_report
    from bench.report.run.terminal import summary_lines
    from bench.verdict.conclusion import against_baseline
    from bench.verdict.judging import baseline_for

    run = read_run(folder)
    found = against_baseline(run, baseline_for(baselines, run))
    seconds = run.environment.run.get("total_sec")
    total_sec = float(seconds) if isinstance(seconds, (int, float)) else None
    more: dict[str, Any] = {"baseline": found.baseline, "total_sec": total_sec}
    what = (run, found.judgements)
    return (
        found,
        full_report(*what, **more),
        partial(write_reports, *what, **more),
        partial(summary_lines, *what, **more),
    )


def _upgrade(folder: Path) -> _Judged:
    from bench.commands.upgrade import write_reports
    from bench.jobs.reproducers import script_path
    from bench.report.upgrade.report import upgrade_lines, upgrade_report
    from bench.results.upgrade import read_upgrade
    from bench.verdict.conclusion import of_upgrade

    found = of_upgrade(read_upgrade(folder))
    paths = {judgement.item: script_path(found, judgement) for judgement in found.failing}
    scripts = {item: str(path) for item, path in paths.items() if path.exists()}
    return (
        found,
        upgrade_report(found, reproducers=scripts),
        partial(write_reports, found, None, scripts),
        partial(upgrade_lines, found, reproducers=scripts),
    )
