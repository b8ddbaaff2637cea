"""The command ``bench reproduce``."""

from __future__ import annotations

from pathlib import Path

from bench.commands.options import RESULTS, Results
from bench.errors import EXIT_OK, EXIT_UNDECIDED


def reproduce(
    run: str, cell: str, /, *, output: Path | None = None, results: Results = RESULTS
) -> int:
    """Writes the script of one cell of an upgrade, runs it on both sides and says what it shows.

    Args:
        run: what bench upgrade wrote: a folder, a name below --results, or 'latest'
        cell: GRID/ID, its id, or a part of it
        output: write the script here
    """
    from bench.cells.selection import find_cell
    from bench.jobs.reproducers import script_path, write_reproducer
    from bench.results.find import find_folder
    from bench.results.upgrade import read_upgrade
    from bench.verdict.conclusion import of_upgrade

    folder = find_folder(run, results, "upgrade")
    found = of_upgrade(read_upgrade(folder))
    judgements = {f"{one.item.grid}/{one.item.id}": one for one in found.judgements}
    name = find_cell(
        cell, {name: one.item.cell for name, one in judgements.items()}, where=f"in {folder}"
    )
    path = output or script_path(found, judgements[name])
    shown = write_reproducer(found, judgements[name], path)
    print(f"{path}\n{shown.reason}")
    return EXIT_OK if shown.shown else EXIT_UNDECIDED
