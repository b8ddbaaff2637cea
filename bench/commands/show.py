"""The command ``bench show``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bench.commands.options import Folders
from bench.commands.report import concluded
from bench.errors import EXIT_OK, BenchError
from bench.results.find import find_folder


def show(
    cell: str,
    /,
    *,
    run: Annotated[str, Parameter(help="of this run or upgrade")] = "latest",
    folders: Folders = Folders(),
) -> int:
    """Prints all that is known of one cell.

    Args:
        cell: its id, GRID/ID, or a part of it that only one cell has
    """
    from bench.report.markdown import markdown
    from bench.report.one_cell import cell_blocks

    found = concluded(find_folder(run, folders.results, "run", "upgrade"), folders.baselines)
    names = {judgement.item.name: judgement for judgement in found.judgements}
    exact = [name for name in names if cell in (name, name.partition("/")[2])]
    matching = exact or [name for name in names if cell in name]
    cells = {names[name].item.cell for name in matching}
    if len(cells) != 1:
        if not names:
            what, hint = "it has no cells", "bench runs lists others"
        elif not cells:
            what, hint = f"no cell {cell!r}", f"it has cells such as {next(iter(names))}"
        else:
            what = f"{len(cells)} cells have {cell!r} in their names"
            hint = f"such as {', '.join(matching[:3])}"
        raise BenchError(f"{found.folder}: {what}", hint=hint)
    blocks = [block for name in matching for block in cell_blocks(found, names[name])]
    print(markdown(blocks, figures=False), end="")
    return EXIT_OK
