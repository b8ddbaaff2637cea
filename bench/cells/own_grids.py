"""Own grids: declared by a file of the user's, or by an installed package."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from bench.cells import own_model
from bench.cells.cell import AXES, Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.grid import TIERS, Grid
from bench.errors import BenchError, raised

#: Group of entry points; each names a Grid, or a module that has some.
ENTRY_POINTS = "bench.grids"

_NAME = re.compile(r"[A-Za-z0-9_-]{1,99}")
T = TypeVar("T")


def own_grids(files: Iterable[Path]) -> dict[str, Grid]:
    """Grids by name that these files declare, and installed packages.

    Raises:
        BenchError: a file cannot be run or declares none; a grid has the name of another, or an axis,
            a tier or a cell that is none.
    """
    found: dict[str, Grid] = {}
    declared = [*_installed(), *(pair for file in files for pair in _of_file(file))]
    for where, grid in declared:
        _check(where, grid)
        taken = grid.name in UPGRADE_GRIDS or grid.name == own_model.GRID
        if taken or found.setdefault(grid.name, grid) is not grid:
            raise BenchError(f"{where}: there is another grid {grid.name!r}", hint="rename it")
    return found


def _check(where: str, grid: Grid) -> None:
    """Makes sure that a grid is one.

    Raises:
        BenchError: what is wrong with it.
    """
    if not (isinstance(grid.name, str) and _NAME.fullmatch(grid.name)):
        raise BenchError(
            f"{where}: {repr(grid.name)[:99]} is no name", hint="letters, digits, _ and - make one"
        )
    unknown = [axis for axis in grid.axes if axis not in AXES]
    if unknown:
        what, hint = f"no axis {unknown[0]!r}", f"axes are {', '.join(AXES)}"
        raise BenchError(f"{where}: {grid.name}: {what}", hint=hint)
    unknown = [tier for tier in grid.added if tier not in TIERS]
    if unknown or not any(grid.added.values()):
        what = f"no tier {unknown[0]!r}" if unknown else "the grid has no cell"
        raise BenchError(f"{where}: {grid.name}: {what}", hint=f"tiers are {', '.join(TIERS)}")
    others = [each for cells in grid.added.values() for each in cells if not isinstance(each, Cell)]
    if others:
        what = f"{type(others[0]).__name__} in the place of a cell"
        raise BenchError(
            f"{where}: {grid.name}: {what}", hint="Cell(...) or product(...) makes them"
        )


def _run(load: Callable[[], T], where: str, hint: str) -> T:
    """What the user's code gives; what it prints is no result of ours.

    Raises:
        BenchError: it raises, or would end the process.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return load()
    except (Exception, SystemExit) as error:
        raise BenchError(f"{where}: {raised(error)}", hint=hint) from error


def _of_file(path: Path) -> list[tuple[str, Grid]]:
    where = f"--grid-file {path}"
    spec = importlib.util.spec_from_file_location(f"own_grids_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise BenchError(f"{where}: no such Python file", hint="name a file that declares grids")
    module = importlib.util.module_from_spec(spec)
    _run(functools.partial(spec.loader.exec_module, module), where, "it has to run by itself")
    grids = [(where, grid) for grid in _of_module(module)]
    if not grids:
        raise BenchError(
            f"{where}: declares no grid", hint="GRID = Grid(...), from bench.cells.grid"
        )
    return grids


def _installed() -> Iterator[tuple[str, Grid]]:
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        where = f"entry point {point.name}"
        loaded = _run(point.load, where, "uninstall or mend its package")
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
