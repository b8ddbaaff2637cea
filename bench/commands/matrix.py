"""The command ``bench matrix``."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.commands.options import Measuring
from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE, EXIT_UNDECIDED, BenchError, allowed

if TYPE_CHECKING:
    from bench.environments.prepare import Built
    from bench.environments.requirements import Side
    from bench.jobs.upgrade import Options
    from bench.verdict.conclusion import Conclusion


def matrix(
    side: list[str],
    /,
    *,
    skip: tuple[Literal["cells", "checks", "arithmetic", "saving"], ...] = (),
    run: str = "",
    measuring: Measuring = Measuring(),
) -> int:
    """Measures a chain of versions, step by step, and writes one table.

    Args:
        side: as of upgrade, the oldest version first
        skip: leave this part out; may be repeated; arithmetic is all checks but contracts; speed is
            left to upgrade
        run: name of the results (default: the time); one that is there is continued
    """
    from bench import mnist
    from bench.commands.upgrade import job_options, say, tell
    from bench.environments.prepare import prepare
    from bench.report.matrix import matrix_table
    from bench.results.writer import new_run_name

    environments = measuring.environments
    sides = _sides(side, environments.package)
    folder = measuring.places.results / (run or f"{new_run_name(measuring.tier)}-matrix")
    options = job_options(measuring, folder, resume=True, skip=(*skip, "speed"))
    built = prepare(
        list(sides.values()),
        cache=environments.cache or mnist.cache_directory(),
        python=environments.python,
        refresh=environments.refresh,
        say=say,
    )
    chain: list[Conclusion] = []
    for (one, old), (other, new) in itertools.pairwise(zip(sides, built, strict=True)):
        say(f"from {one} to {other}")
        step = dataclasses.replace(
            options,
            folder=folder / f"{one}-to-{other}",
            runs={"old": folder / one, "new": folder / other},
        )
        chain.append(_measured(step, old, new))
        tell(chain[-1])
        _write(chain, folder)
    print(matrix_table(chain))
    codes = {found.exit_code for found in chain}
    worst = next(c for c in (EXIT_REGRESSED, EXIT_TROUBLE, EXIT_UNDECIDED, EXIT_OK) if c in codes)
    return allowed(worst, undecided=measuring.allow_undecided)


def _sides(texts: Sequence[str], package: str) -> dict[str, Side]:
    """Versions by the names of their folders."""
    from bench.environments.requirements import parse_side
    from bench.jobs.reproducers import slug

    sides = {slug(text): parse_side(text, package=package) for text in texts}
    if len(sides) < 2 or len(sides) < len(texts):
        raise BenchError(
            "a chain has two versions or more, each once", hint="bench matrix 2.20 2.21"
        )
    return sides


def _measured(step: Options, old: Built, new: Built) -> Conclusion:
    from bench.jobs.upgrade import UpgradeRun
    from bench.verdict.conclusion import of_upgrade

    return of_upgrade(UpgradeRun(step, {"old": old, "new": new}, stream=sys.stdout).measure())


def _write(chain: Sequence[Conclusion], folder: Path) -> None:
    """The table of the steps so far, in every form."""
    from bench.report.files import write_document
    from bench.report.matrix import matrix_document, matrix_json, matrix_table
    from bench.results.files import write_atomically

    write_atomically(folder / "matrix.md", matrix_table(chain).encode())
    write_atomically(folder / "matrix.json", matrix_json(chain).encode())
    write_document(matrix_document(chain), folder)
