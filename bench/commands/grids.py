"""What ``bench grids`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse

from bench.errors import EXIT_OK, BenchError


def grids(arguments: argparse.Namespace) -> int:
    """Lists the cells of a tier."""
    from bench.cells.component_grids import UPGRADE_GRIDS
    from bench.cells.grid import TIERS

    if arguments.grid and arguments.grid not in UPGRADE_GRIDS:
        raise BenchError(f"no grid {arguments.grid!r}", hint=f"one of {', '.join(UPGRADE_GRIDS)}")
    wanted = [UPGRADE_GRIDS[arguments.grid]] if arguments.grid else list(UPGRADE_GRIDS.values())
    for grid in wanted:
        cells = grid.cells(arguments.tier)
        seeds = TIERS[arguments.tier].seeds
        print(f"# {grid.title}: {len(cells)} cells x {seeds} seeds. {grid.question}")
        for id_ in cells:
            print(f"{grid.name}/{id_}")
    return EXIT_OK
