"""The command ``bench grids``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bench.commands.options import Tier
from bench.errors import EXIT_OK, BenchError


def grids(
    grid: str = "",
    /,
    *,
    tier: Tier = "quick",
    axis: tuple[str, ...] = (),
    expression: Annotated[str, Parameter(name="-k")] = "",
    grid_file: tuple[Path, ...] = (),
) -> int:
    """Lists the cells of a tier.

    Args:
        grid: only this one
        axis: only cells with one of these values: depth=3,10; may be repeated
        expression: only cells whose <grid>/<cell id> matches, by the rules of pytest -k
        grid_file: also the grids that this Python file declares; may be repeated
    """
    from bench.cells.expression import compile_expression
    from bench.cells.grid import TIERS
    from bench.cells.own_grids import with_own
    from bench.cells.selection import Selection
    from bench.errors import count

    known = with_own(grid_file)
    if grid and grid not in known:
        raise BenchError(f"no grid {grid!r}", hint=f"one of {', '.join(known)}")
    selection, matches = Selection(tier, axes=axis, known=known), compile_expression(expression)
    chosen, found = TIERS[tier], False
    for each in [known[grid]] if grid else known.values():
        names = [name for id_ in selection.of(each) if matches(name := f"{each.name}/{id_}")]
        if not names:
            continue
        size = f"{count(len(names), 'cell')} x {count(chosen.seeds, 'seed')}"
        if chosen.one_first:
            more = f"{chosen.seeds - 1} more of cells whose bits differ"
            size = f"{count(len(names), 'cell')}, 1 seed each and {more}"
        print(f"# {each.title}: {size}. {each.question}", *names, sep="\n")
        found = True
    if not found:
        raise BenchError(
            f"no cell of tier {tier} is selected", hint=f"bench grids --tier {tier} lists all"
        )
    return EXIT_OK
