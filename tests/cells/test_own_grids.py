"""Grids that a file or a package of the user's declares are among all others."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.grid import Grid
from bench.cells.own_grids import ENTRY_POINTS, own_grids, with_own
from bench.commands import main as cli
from bench.errors import EXIT_OK, BenchError
from bench.execution.cluster import Placement
from bench.jobs.upgrade import Options, planned

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_grids.py"


def test_the_example_declares_a_grid() -> None:
    (grid,) = own_grids([EXAMPLE]).values()
    assert grid.name == "narrow"
    assert len(grid.cells("quick")) == 9
    assert "depth:2-width:8-act:relu-norm:none-opt:adam-lr:0.01-steps:100" in grid.cells("quick")
    assert len(grid.cells("full")) == 11
    assert list(with_own([EXAMPLE])) == [*UPGRADE_GRIDS, "narrow"]


def test_its_cells_are_planned_as_all_others(tmp_path: Path) -> None:
    chosen: dict[str, Any] = {"tier": "quick", "folder": tmp_path, "placement": Placement()}
    known = with_own([EXAMPLE])
    every = planned(Options(**chosen, known=known))
    assert [item for item in every.items if item.grid == "narrow"]
    some = planned(Options(**chosen, known=known, grids=["narrow"], expression="tanh"))
    assert len(some.items) == 4
    with pytest.raises(BenchError, match="no grid 'narrow'"):
        planned(Options(**chosen, grids=["narrow"]))


def test_commands_list_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["grids", "narrow", "--grid-file", str(EXAMPLE)]) == EXIT_OK
    told = capsys.readouterr().out
    assert told.startswith(
        "# Narrow networks: 9 cells, 1 seed each and 4 more of cells whose bits differ."
    )
    assert told.count("narrow/") == 9


HEADER = "from bench.cells.cell import Cell\nfrom bench.cells.grid import Grid\n"
DECLARED = "Grid(name={!r}, title='', question='', axes=('depth',), added={})"

TWICE = DECLARED.format("a", "{'quick': [Cell()]}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "declares no grid"),
        ("from bench.cells.component_grids import OPTIMIZER", "declares no grid"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError: "),
        ("GRID = " + DECLARED.format("depth", "{'quick': [Cell()]}"), "another grid 'depth'"),
        (f"A, B = {TWICE}, {TWICE}", "another grid 'a'"),
        ("GRID = " + DECLARED.format("a", "{'fast': [Cell()]}"), "a: no tier 'fast'"),
        ("GRID = " + DECLARED.format("a", "{'quick': []}"), "a: the grid has no cell"),
        ("GRID = " + DECLARED.format("a", "{'quick': [Cell(depth=-1)]}"), "depth:-1 is below 0"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("GRID = " + DECLARED.format("a", "[Cell()]"), "TypeError: added has cells by tier"),
        ("GRID = " + DECLARED.format("a", "{'quick': ['b']}"), "a: str in the place of a cell"),
        ("GRID = " + DECLARED.format("a/b", "{'quick': [Cell()]}"), "'a/b' is no name"),
        ("GRID = " + DECLARED.format(3, "{'quick': [Cell()]}"), "3 is no name"),
        ("GRID = " + DECLARED.format("model", "{'quick': [Cell()]}"), "another grid 'model'"),
        ("GRID = " + TWICE.replace("'depth'", "'depht'"), "a: no axis 'depht'"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(HEADER + text)
    with pytest.raises(BenchError) as trouble:
        own_grids([path])
    assert told in trouble.value.message
    assert "mine.py" in trouble.value.message


def test_cells_of_an_iterator_are_there_again(tmp_path: Path) -> None:
    """An upgrade asks twice: before environments are built, and when it trains. What the file prints is
    no result."""
    path = tmp_path / "mine.py"
    cells = "{'quick': (Cell(depth=n) for n in (2, 4))}"
    path.write_text(f"{HEADER}print('hello')\nGRID = {DECLARED.format('a', cells)}")
    (grid,) = own_grids([path]).values()
    assert list(grid.cells("quick")) == list(grid.cells("quick")) == ["depth:2", "depth:4"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no such Python file"):
        own_grids([tmp_path / "missing.py"])


def grid(name: str) -> Grid:
    return Grid(name=name, title="", question="", axes=("depth",), added={"quick": [Cell()]})


def test_installed_packages_declare_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the grid itself, or a module that has some; what cannot be loaded is named."""

    def broken() -> object:
        raise ImportError("no module named elsewhere")

    points = [
        SimpleNamespace(name="one", load=lambda: grid("one")),
        SimpleNamespace(name="many", load=lambda: SimpleNamespace(a=grid("two"), b=grid("three"))),
    ]
    installed = {ENTRY_POINTS: points}
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: installed[group])
    assert list(own_grids([])) == ["one", "two", "three"]
    points.append(SimpleNamespace(name="bad", load=broken))
    with pytest.raises(BenchError, match="entry point bad: ImportError: no module named"):
        own_grids([])
