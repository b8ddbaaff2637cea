"""The command ``bench runs``."""

from __future__ import annotations

from bench.commands.options import RESULTS, Results
from bench.errors import EXIT_OK, BenchError


def runs(*, results: Results = RESULTS) -> int:
    """Lists stored runs and upgrades, the newest first, with the answers that their reports give."""
    from tabulate import tabulate

    from bench.report.stored import ANSWER_WIDTH, stored_rows
    from bench.results.find import stored_folders

    folders = stored_folders(results)
    if not folders:
        raise BenchError(
            f"{results}: holds no run and no upgrade",
            hint="start one: bench run --tier quick or bench upgrade OLD NEW",
        )
    headers = ("name", "kind", "TensorFlow + Keras", "answer of its report")
    widths = [None, None, None, ANSWER_WIDTH]
    rows = stored_rows(folders)
    print(tabulate(rows, headers, "simple", disable_numparse=True, maxcolwidths=widths))
    return EXIT_OK
