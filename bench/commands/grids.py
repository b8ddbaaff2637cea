"""The command ``bench grids``."""

from __future__ import annotations

from bench.commands.options import Tier
from bench.errors import EXIT_OK, BenchError


def grids(grid: str = "", /, *, tier: Tier = "quick") -> int:
    """Lists the cells of a tier.

    Args:
        grid: only this one
    """
    from bench.cells.component_grids import UPGRADE_GRIDS
    from bench.cells.grid import TIERS

    if grid and grid not in UPGRADE_GRIDS:
        raise BenchError(f"no grid {grid!r}", hint=f"one of {', '.join(UPGRADE_GRIDS)}")
    for each in [UPGRADE_GRIDS[grid]] if grid else UPGRADE_GRIDS.values():
        cells = each.cells(tier)
        seeds = TIERS[tier].seeds
        print(f"# {each.title}: {len(cells)} cells x {seeds} seeds. {each.question}")
        for id_ in cells:
            print(f"{each.name}/{id_}")
    return EXIT_OK
