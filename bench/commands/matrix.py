"""What ``bench matrix`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys

from bench import mnist
from bench.commands.reproduce import slug
from bench.commands.upgrade import options_of, printer, tell
from bench.environments.prepare import prepare
from bench.environments.requirements import parse_side
from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE, EXIT_UNDECIDED, BenchError, allowed
from bench.jobs.upgrade import UpgradeRun
from bench.results.files import write_atomically
from bench.results.writer import new_run_name
from bench.verdict.conclusion import of_upgrade


def matrix(arguments: argparse.Namespace) -> int:
    """Measures a chain of versions, step by step, and writes one table."""
    from bench.report.upgrade.matrix import matrix_json, matrix_table

    sides = [parse_side(text, package=arguments.package) for text in arguments.requirements]
    labels = [slug(text) for text in arguments.requirements]
    if len(sides) < 2 or len(set(labels)) < len(labels):
        raise BenchError(
            "a chain has two versions or more, each once", hint="bench matrix 2.20 2.21"
        )
    folder = arguments.results / (arguments.run or f"{new_run_name(arguments.tier)}-matrix")
    options = dataclasses.replace(
        options_of(arguments, folder), resume=True, skip={*arguments.skip, "speed"}
    )
    say = printer()
    cache = arguments.cache or mnist.cache_directory()
    built = prepare(sides, cache=cache, python=arguments.python, refresh=arguments.refresh, say=say)
    chain = []
    for (one, old), (other, new) in itertools.pairwise(zip(labels, built, strict=True)):
        say(f"from {one} to {other}")
        step = dataclasses.replace(
            options,
            folder=folder / f"{one}-to-{other}",
            runs={"old": folder / one, "new": folder / other},
        )
        run = UpgradeRun(step, {"old": old, "new": new}, stream=sys.stdout)
        found = of_upgrade(run.measure())
        tell(found)
        chain.append(found)
        write_atomically(folder / "matrix.md", matrix_table(chain).encode())
        write_atomically(folder / "matrix.json", matrix_json(chain).encode())
    print(matrix_table(chain))
    codes = {found.exit_code for found in chain}
    worst = next(c for c in (EXIT_REGRESSED, EXIT_TROUBLE, EXIT_UNDECIDED, EXIT_OK) if c in codes)
    return allowed(worst, undecided=arguments.allow_undecided)
