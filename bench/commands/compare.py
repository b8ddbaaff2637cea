"""What ``bench compare`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import sys

from bench.errors import BenchError, allowed
from bench.results.find import find_run


def compare(arguments: argparse.Namespace) -> int:
    """Judges run B with run A in the place of the baseline."""
    from bench.report.comparison import compare_runs
    from bench.report.upgrade.words import because_text
    from bench.verdict.conclusion import between
    from bench.verdict.judgement import Verdict

    before = find_run(arguments.a, arguments.results)
    after = find_run(arguments.b, arguments.results)
    found = between(before, after)
    judgements = found.judgements
    shared = before.checks.keys() & after.checks.keys()
    if not shared and all(judgement.verdict is Verdict.NEW for judgement in judgements):
        raise BenchError(
            f"{before.path} and {after.path} have no cell and no check in common: nothing can be "
            "compared",
            hint="compare runs of the same suites",
        )
    text, warnings = compare_runs(
        before,
        after,
        judgements,
        conclusion=f"{found.answer.value.capitalize()}: {because_text(found.because)}",
        everything=arguments.all,
        form=arguments.format,
    )
    print(text, end="")
    if arguments.format == "csv":
        for warning in warnings:
            print(f"bench: warning: {warning}", file=sys.stderr)
    return allowed(found.exit_code, undecided=arguments.allow_undecided)
