"""The command ``bench runs``."""

from __future__ import annotations

from bench.commands.options import RESULTS, Results
from bench.errors import EXIT_OK, BenchError


def runs(*, results: Results = RESULTS) -> int:
    """Lists stored runs and upgrades, the newest first, with the answers that their reports give."""
    from tabulate import tabulate

    from bench.report.stored import stored_rows
    from bench.results.find import stored_folders

    folders = stored_folders(results)
    if not folders:
        raise BenchError(
            f"{results}: holds no run and no upgrade",
            hint="start one: pytest suites --tier quick or bench upgrade OLD NEW",
        )
    headers = ("name", "kind", "TensorFlow", "answer")
    print(tabulate(stored_rows(folders), headers, tablefmt="simple", disable_numparse=True))
    return EXIT_OK
