"""The command ``bench show``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bench.commands.options import Folders
from bench.commands.report import concluded
from bench.errors import EXIT_OK, BenchError
from bench.results.find import find_folder


def show(
    name: str,
    run: Annotated[str, Parameter(help="of this run or upgrade")] = "latest",
    *,
    folders: Folders = Folders(),
) -> int:
    """Prints all that is known of one cell, check, contract or saved model.

    Args:
        name: as reports have it, or a part of it that only one has
    """
    from bench.cells.selection import find_cell
    from bench.report.markdown import printed
    from bench.report.one_cell import cell_blocks
    from bench.report.one_check import check_blocks
    from bench.report.one_file import file_blocks

    if name == "latest" or (folders.results / name).is_dir():
        raise BenchError(
            f"{name} is a run or an upgrade, not a cell, a check or a saved model",
            hint=f"bench show CELL {name}, or all of it: bench report {name}",
        )
    found = concluded(find_folder(run, folders.results, "run", "upgrade"), folders.baselines)
    cells = {judgement.item.name: judgement for judgement in found.judgements}
    runs = [each for each in (found.old, found.run) if each is not None]
    checks = {check.id: check for each in runs for check in each.plan.checks}
    files = {saving.name: saving for saving in found.savings}
    if not (cells or checks or files):
        raise BenchError(
            f"{found.folder}: it has no cells, checks or saved models",
            hint="bench runs lists others",
        )
    hint = (
        "a part of its name suffices; of another run: bench show NAME RUN (bench runs lists them)"
    )
    named = {each: judgement.item.cell for each, judgement in cells.items()}
    if any(name in each for each in named):  # parts of cells' ids are parts of some checks', too
        chosen = named[find_cell(name, named, where=f"in {found.folder}", hint=hint)]
        of_it = [each for each in cells.values() if each.item.cell == chosen]  # of several grids
        blocks = [block for each in of_it for block in cell_blocks(found, each)]
    else:
        known = {**checks, **files, **named}
        id_ = find_cell(name, known, where=f"in {found.folder}", noun="result", hint=hint)
        file = files.get(id_)
        blocks = check_blocks(found, checks[id_]) if file is None else file_blocks(found, file)
    print(printed(blocks), end="")
    return EXIT_OK
