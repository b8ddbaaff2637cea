"""The command ``bench grids``."""

from __future__ import annotations

from pathlib import Path

from bench.commands.options import Tier
from bench.errors import EXIT_OK, BenchError


def grids(grid: str = "", /, *, tier: Tier = "quick", grid_file: tuple[Path, ...] = ()) -> int:
    """Lists the cells of a tier.

    Args:
        grid: only this one
        grid_file: also the grids that this Python file declares; may be repeated
    """
    from bench.cells.grid import TIERS
    from bench.cells.own_grids import with_own
    from bench.errors import count

    known = with_own(grid_file)
    if grid and grid not in known:
        raise BenchError(f"no grid {grid!r}", hint=f"one of {', '.join(known)}")
    for each in [known[grid]] if grid else known.values():
        cells = each.cells(tier)
        chosen = TIERS[tier]
        size = f"{count(len(cells), 'cell')} x {count(chosen.seeds, 'seed')}"
        if chosen.one_first:
            more = f"{chosen.seeds - 1} more of cells whose bits differ"
            size = f"{count(len(cells), 'cell')}, 1 seed each and {more}"
        print(f"# {each.title}: {size}. {each.question}")
        for id_ in cells:
            print(f"{each.name}/{id_}")
    return EXIT_OK
