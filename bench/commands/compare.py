"""What ``bench compare`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import sys

from bench.errors import BenchError, allowed
from bench.results.find import find_run


def compare(arguments: argparse.Namespace) -> int:
    """Judges run B with run A in the place of the baseline."""
    from bench.report.comparison import compare_runs, pivot_text
    from bench.verdict.conclusion import between
    from bench.verdict.judgement import Verdict

    before = find_run(arguments.a, arguments.results)
    after = find_run(arguments.b, arguments.results)
    found = between(before, after)
    shared = before.checks.keys() & after.checks.keys()
    if not shared and all(judgement.verdict is Verdict.NEW for judgement in found.judgements):
        raise BenchError(
            f"{before.path} and {after.path} have no cell and no check in common: nothing can be "
            "compared",
            hint="compare runs of the same suites",
        )
    text, warnings = compare_runs(found, everything=arguments.all, form=arguments.format)
    if arguments.row or arguments.col:
        text = pivot_text(
            found, arguments.row, arguments.col, value=arguments.value, form=arguments.format
        )
    print(text, end="")
    if arguments.format == "csv":
        for warning in warnings:
            print(f"bench: warning: {warning}", file=sys.stderr)
    return allowed(found.exit_code, undecided=arguments.allow_undecided)
