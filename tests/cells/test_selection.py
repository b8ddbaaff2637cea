"""Tests of selecting cells on the command line."""

from __future__ import annotations

import re

import pytest

from bench.cells.cell import ACTIVATIONS
from bench.cells.grid import product
from bench.cells.grids import ACTIVATION, CLIPPING, DEPTH
from bench.cells.selection import Selection, find_cell, parse_axis, select
from bench.errors import BenchError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("depth=3,10", ("depth", ("3", "10"))),
        ("depth=3.0", ("depth", ("3",))),
        ("bias=.1", ("bias", ("0.1",))),
        ("bias=1e-1,0", ("bias", ("0.1", "0.0"))),
        ("lr=1e-4", ("lr", ("0.0001",))),
        ("init=normal_.01", ("init", ("normal_0.01",))),
        ("init=truncated_normal_1,zeros", ("init", ("truncated_normal_1.0", "zeros"))),
        ("clip=global_norm_1e2", ("clip", ("global_norm_100.0",))),
        ("act= relu , tanh", ("act", ("relu", "tanh"))),
        ("norm=batch", ("norm", ("batch",))),
    ],
)
def test_parse_axis_takes_numbers_in_any_form(
    text: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    """And answers with the form that ids have."""
    assert parse_axis(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "hints"),
    [
        ("deep=3", "--axis deep=3: no axis 'deep'", ["depth", "act", "engine"]),
        (
            "depth=7",
            "--axis depth=7: no grid has depth:7",
            ["1, 2, 3, 4, 5, 6, 10, 20, 30, 50"],
        ),
        ("act=relu,mish", "no grid has act:mish", list(ACTIVATIONS)),
        ("init=normal_.02", "no grid has init:normal_.02", ["normal_0.01", "zeros"]),
        ("init=Xavier", "no grid has init:Xavier", ["init is glorot_normal or glorot_uniform"]),
        ("init=he", "no grid has init:he", ["init is he_normal or he_uniform"]),
        ("depth=", "--axis depth=: no value", ["--axis depth=VALUE"]),
        ("depth", "--axis depth: no value", ["--axis depth=VALUE"]),
        ("depth=,", "--axis depth=,: no value", ["--axis depth=VALUE"]),
    ],
)
def test_parse_axis_names_what_exists(text: str, message: str, hints: list[str]) -> None:
    """Instead of what does not."""
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        parse_axis(text)
    assert all(hint in str(caught.value.hint) for hint in hints)


def test_select_keeps_cells_that_match_on_every_axis() -> None:
    """Values of one axis are alternatives; axes restrict one another."""
    cells = {
        cell.id(("depth", "act")): cell
        for cell in product(depth=[1, 3, 30], activation=["relu", "tanh", "elu"])
    }
    assert len(cells) == 9
    chosen = select(cells, {"depth": ["3", "30"], "act": ["relu", "elu"]})
    assert list(chosen) == [
        "depth:3-act:relu",
        "depth:3-act:elu",
        "depth:30-act:relu",
        "depth:30-act:elu",
    ]
    assert select(cells, {}) == cells
    assert select(cells, {"depth": ["5"]}) == {}


def test_axes_narrow_each_other_and_so_does_the_same_axis_twice() -> None:
    """``--axis depth=3,10 --axis depth=10,30`` leaves depth 10."""
    chosen = Selection("quick", axes=["depth=3,10", "act=tanh", "depth=10,30"]).of(DEPTH)
    assert chosen
    assert {(cell.depth, cell.activation) for cell in chosen.values()} == {(10, "tanh")}


def test_an_id_may_name_its_grid() -> None:
    """Without it, the cell is taken from every grid that has it."""
    id_ = next(iter(CLIPPING.cells("quick")))
    for name in (id_, f"clipping/{id_}"):
        selection = Selection("quick", ids=[name])
        assert list(selection.of(CLIPPING)) == [id_]
        assert not selection.of(ACTIVATION)
    with pytest.raises(BenchError, match=re.escape(f"--cell depth/{id_}: no such cell")):
        Selection("quick", ids=[f"depth/{id_}"])


def test_a_near_miss_is_suggested() -> None:
    """And a cell of a higher tier is not in a lower one."""
    with pytest.raises(BenchError) as caught:
        Selection("quick", ids=["depth:3-act:relu-init:he_normal-clip:nome"])
    assert "did you mean depth:3-act:relu-init:he_normal-clip:none?" in caught.value.hint


def test_nothing_asked_for_is_everything() -> None:
    """In the grid's order."""
    assert list(Selection("standard").of(DEPTH)) == list(DEPTH.cells("standard"))


def test_a_part_of_a_name_that_only_one_cell_has_is_enough() -> None:
    """An exact id wins over a part of others; several and none are errors that list what there is."""
    names = ["depth/depth:3-act:relu", "depth/depth:30-act:relu", "clip/depth:3"]
    known = {name: name for name in names}
    assert find_cell("depth:3", known, where="here") == "clip/depth:3"
    assert find_cell("30", known, where="here") == names[1]
    assert find_cell(names[0], known, where="here") == names[0]
    with pytest.raises(BenchError, match="'relu' is a part of 2 cells") as error:
        find_cell("relu", known, where="here")
    assert names[1] in error.value.hint
    with pytest.raises(BenchError, match="no cell 'clip/depth:4' in u") as error:
        find_cell("clip/depth:4", known, where="in u")
    assert error.value.hint.startswith("did you mean clip/depth:3? ")


def test_names_of_one_network_are_not_ambiguous() -> None:
    """A cell that stands in two grids is meant by its id."""
    assert (
        find_cell("depth:3", {"depth/depth:3": 1, "clip/depth:3": 1}, where="") == "depth/depth:3"
    )
    with pytest.raises(BenchError, match="is a part of 2 cells"):
        find_cell("depth:3", {"depth/depth:3": 1, "clip/depth:3": 2}, where="")
