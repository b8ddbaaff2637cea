"""Own grids: declared by a file of the user's, or by an installed package."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.grid import TIERS, Grid
from bench.errors import BenchError

#: Group of entry points; each names a Grid, or a module that has some.
ENTRY_POINTS = "bench.grids"


def own_grids(files: Iterable[Path]) -> dict[str, Grid]:
    """Grids by name that these files declare, and installed packages.

    Raises:
        BenchError: a file cannot be run or declares none; a grid has the name of another, a tier that
            there is not, or no cell.
    """
    found: dict[str, Grid] = {}
    declared = [*_installed(), *(pair for file in files for pair in _of_file(file))]
    for where, grid in declared:
        if grid.name in UPGRADE_GRIDS or found.setdefault(grid.name, grid) is not grid:
            raise BenchError(f"{where}: there is another grid {grid.name!r}", hint="rename it")
        unknown = [tier for tier in grid.added if tier not in TIERS]
        if unknown or not any(grid.added.values()):
            what = f"no tier {unknown[0]!r}" if unknown else "the grid has no cell"
            raise BenchError(f"{where}: {grid.name}: {what}", hint=f"tiers are {', '.join(TIERS)}")
    return found


def _of_file(path: Path) -> list[tuple[str, Grid]]:
    where = f"--grid-file {path}"
    spec = importlib.util.spec_from_file_location(f"own_grids_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise BenchError(f"{where}: no such Python file", hint="name a file that declares grids")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BenchError(
            f"{where}: {type(error).__name__}: {error}", hint="it has to run by itself"
        ) from error
    grids = [(where, grid) for grid in _of_module(module)]
    if not grids:
        raise BenchError(
            f"{where}: declares no grid", hint="GRID = Grid(...), from bench.cells.grid"
        )
    return grids


def _installed() -> Iterator[tuple[str, Grid]]:
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        where = f"entry point {point.name}"
        try:
            loaded = point.load()
        except Exception as error:
            raise BenchError(
                f"{where}: {type(error).__name__}: {error}", hint="uninstall or mend its package"
            ) from error
        for grid in [loaded] if isinstance(loaded, Grid) else _of_module(loaded):
            yield where, grid


def _of_module(module: ModuleType) -> list[Grid]:
    """Grids that a module binds, in its order; those of this package, which it imports, left out."""
    known = {id(grid) for grid in UPGRADE_GRIDS.values()}
    bound = {id(value): value for value in vars(module).values() if isinstance(value, Grid)}
    return [grid for key, grid in bound.items() if key not in known]


def with_own(files: Iterable[Path]) -> Mapping[str, Grid]:
    """All grids by name, this package's first."""
    return {**UPGRADE_GRIDS, **own_grids(files)}
