"""The command ``bench merge``."""

from __future__ import annotations

from bench.commands.options import RESULTS, Results
from bench.errors import EXIT_OK
from bench.results.find import find_folder


def merge(runs: list[str], /, *, run: str, results: Results = RESULTS) -> int:
    """Writes the union of several runs as a run of its own.

    Args:
        runs: each a folder, a name below --results, or 'latest'
        run: name of the run to write
    """
    from bench.jobs.merge import merge as merged
    from bench.jobs.merge import summary

    paths = [find_folder(name, results, "run") for name in runs]
    print("\n".join(summary(merged(paths, results / run))))
    return EXIT_OK
