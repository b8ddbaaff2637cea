"""The command ``bench compare``."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from bench.commands.options import RESULTS, AllowUndecided, Format, Results
from bench.errors import BenchError, allowed
from bench.results.find import find_folder, find_run
from bench.results.tasks import no_collection


@no_collection()
def compare(
    a: str,
    b: str,
    /,
    *,
    everything: Annotated[bool, Parameter(name="--all")] = False,
    row: str = "",
    col: str = "",
    value: str = "verdict",
    form: Format = "markdown",
    allow_undecided: AllowUndecided = False,
    results: Results = RESULTS,
) -> int:
    """Judges run B with run A in the place of the baseline.

    Args:
        a: what to compare with: a folder, a name below --results, or 'latest'
        b: what is judged, likewise
        everything: list identical cells too
        row: print a pivot, whose rows are these axes: act,norm or grid
        col: axes of its columns
        value: what stands in it: verdict, or a metric such as test_accuracy
    """
    from bench.report.comparison import compare_runs, pivot_text
    from bench.theory.signal.meanwhile import predicted_meanwhile
    from bench.verdict.conclusion import between
    from bench.verdict.judgement import Verdict

    with predicted_meanwhile(*(find_folder(name, results, "run") for name in (a, b))):
        before = find_run(a, results)
        after = find_run(b, results, like=before)
    found = between(before, after)
    shared = before.checks.keys() & after.checks.keys()
    if not shared and all(judgement.verdict is Verdict.NEW for judgement in found.judgements):
        raise BenchError(
            f"{before.path} and {after.path} have no cell and no check in common: nothing can be "
            "compared",
            hint="compare runs of the same suites",
        )
    text, warnings = compare_runs(found, everything=everything, form=form)
    rows, columns = ([axis for axis in axes.split(",") if axis] for axes in (row, col))
    if rows or columns:
        text = pivot_text(found, rows or ["grid"], columns, value=value, form=form)
    elif value != "verdict":
        raise BenchError("--value is of a pivot", hint="name its rows, such as --row act")
    print(text, end="")
    if form == "csv":
        for warning in warnings:
            print(f"bench: warning: {warning}", file=sys.stderr)
    return allowed(found.exit_code, undecided=allow_undecided)
