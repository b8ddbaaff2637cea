"""A chain of upgrades: every cell counted once in each step, and changed cells told from others."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.report.figures.chain import chain_picture
from bench.report.figures.picture import Heat
from bench.report.files import write_document
from bench.report.markup import plain
from bench.report.matrix import families, matrix_document, matrix_json, matrix_table
from bench.report.sections.changes import pattern_text
from bench.results.check import Check
from bench.results.plan import Item
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Verdict
from bench.verdict.patterns import patterns, shared
from support.upgraded import (
    CELLS,
    CHECK,
    ITEMS,
    absent,
    checked,
    crash,
    exchange,
    outside,
    side,
    timed,
    upgraded,
    where,
    worse,
)


def nadam(cell: Cell) -> bool:
    return cell.optimizer == "nadam"


def changed(step: Conclusion, *items: Item) -> Conclusion:
    judgements = [outside(j.item) if j.item in items else j for j in step.judgements]
    return dataclasses.replace(step, judgements=judgements)


def rows(text: str) -> dict[str, list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {first: rest for first, *rest in cells}


def test_rows_tell_changed_cells_from_others() -> None:
    """What changed at any step has a row of its own at every step."""
    chosen = [item for item in ITEMS if nadam(item.cell)]
    chain = [upgraded(), changed(upgraded(), *chosen)]
    found = rows(matrix_table(chain))
    assert found["cells"] == ["2.20.0 -> 2.21.0"] * 2
    assert found["optimizer, `opt:nadam`"] == [
        "4 identical",
        "**4 changed** (layer 1, kernel, before step 1)",
    ]
    assert found["optimizer, others"] == ["8 identical", "8 identical"]


def test_the_chain_in_a_picture(tmp_path: Path) -> None:
    """A row a family, a column a step; what changed has the full tint, what one step lacks none. Both
    reports have it."""
    chosen = [item for item in ITEMS if nadam(item.cell)]
    document = matrix_document([upgraded(), changed(upgraded(), *chosen)])
    (picture,) = document.figures()
    (heat,) = picture.panels
    assert isinstance(heat, Heat)
    assert heat.rows == ("optimizer, opt:nadam", "optimizer, others")
    assert heat.values == ((0.0, 1.0), (0.0, 0.0))
    assert heat.texts[0] == ("4 identical", "4 changed")
    write_document(document, tmp_path)
    assert "figures/matrix.svg" in (tmp_path / "report.md").read_text()
    assert "data:image/svg+xml" in (tmp_path / "report.html").read_text()
    assert chain_picture(["a"], {"x": [{}], "y": [{"missing": 1}]}).panels[0].values == (
        (None,),
        (2 / 3,),
    )
    assert not list(matrix_document([]).figures())


def test_a_grid_that_did_not_change_has_one_row() -> None:
    """Few rows: nothing is parted that need not be; cells of other plans leave a gap."""
    other = [msgspec.structs.replace(item, grid="depth") for item in ITEMS[:3]]
    chain = [upgraded(), upgraded(side("old", chosen=other), side("new", chosen=other))]
    found = rows(matrix_table(chain))
    assert [name for name in found if not name.startswith(":")] == ["cells", "optimizer", "depth"]
    assert found["optimizer"] == ["12 identical", "–"]
    assert found["depth"] == ["–", "3 identical"]


def test_no_row_is_empty() -> None:
    """Where the cells of one step and those of the next make up the grid, the last row has the rest."""
    halves = [[item for item in ITEMS if item.cell.depth == depth] for depth in (1, 3)]
    chain = [changed(upgraded(), *half) for half in halves]
    assert [(len(family.items), plain(family.text)) for family in families(chain)] == [
        (6, "optimizer, depth:1"),
        (6, "optimizer, others"),
    ]


def test_lost_gained_and_known() -> None:
    """Cells that one side alone can train, or none, and crashes that are no change."""
    lost = upgraded(new=side("new", where(nadam, absent)))
    gained = upgraded(old=side("old", where(nadam, absent)))
    neither = upgraded(side("old", where(nadam, absent)), side("new", where(nadam, absent)))
    both = upgraded(side("old", where(nadam, crash)), side("new", where(nadam, crash)))
    newly = upgraded(new=side("new", where(nadam, crash)))
    text = matrix_table([lost, gained, neither, both, newly])
    assert rows(text)["optimizer, `opt:nadam`"] == [
        "4 lost",
        "4 gained",
        "4 on neither side",
        "4 crashing on both sides",
        "**4 crashed**",
    ]
    assert "- Cannot be trained any more: Keras has no nadam: `optimizer/" in text
    assert "- Can be trained only now: Keras has no nadam: `optimizer/" in text
    assert text.count("- Crashes: ") == 1


def test_findings_below_the_table() -> None:
    """Answer, software, changed groups, checks, saved models and speed of each step."""
    other = Check(family="activation", subject="gelu")
    old = side("old", checks={CHECK: checked(), other: checked(check=other, out=True)})
    new = side(
        "new", where(nadam, worse), checks={CHECK: checked(out=True), other: checked(check=other)}
    )
    step = upgraded(
        old, new, timings=[timed(0.08)], exchanges=[exchange(), exchange("h5", excess=9.0)]
    )
    text = matrix_table([step])
    assert "## 2.20.0 -> 2.21.0" in text
    assert "- **Not safe**: 4 cells regressed; " in text
    assert "- TensorFlow 2.20.0 -> 2.21.0." in text
    assert "- 4 cells, every one with `opt:nadam` (in optimizer): 4 regressed; metrics" in text
    assert f"- Checks of arithmetic newly wrong: `{CHECK.id}`." in text
    assert f"- Checks of arithmetic no longer wrong: `{other.id}`." in text
    assert (
        "- saved:mlp-h5, model, .h5: differs: outputs are not the saved model's, by 9 times" in text
    )
    assert "- 1 saved model read back the same." in text
    assert re.search(r"- Speed, training, MLP of depth 3, fit: slower: time \+8", text)


def test_json() -> None:
    """The same for programs: counts add up to the cells of each row."""
    chosen = [item for item in ITEMS if nadam(item.cell)]
    content = json.loads(matrix_json([upgraded(), changed(upgraded(), *chosen)]))
    assert content["families"][0] == {"grid": "optimizer", "values": {"opt": "nadam"}, "cells": 4}
    assert [step["families"] for step in content["steps"]] == [
        [{"identical": 4}, {"identical": 8}],
        [{"changed": 4}, {"identical": 8}],
    ]
    assert content["steps"][1]["changed"][0]["values"] == {"opt": "nadam"}
    assert len(content["steps"][1]["changed"][0]["cells"]) == 4
    assert matrix_table([]) == "No upgrade was measured.\n"


_ITEMS = st.sets(st.sampled_from(ITEMS))


@settings(max_examples=25, deadline=None)
@given(first=_ITEMS, second=_ITEMS)
def test_every_cell_is_in_one_family(first: set[Item], second: set[Item]) -> None:
    """Whatever changed at which step: families part the cells, and counts of a step add up."""
    base = upgraded()
    chain = [changed(base, *first), changed(base, *second)]
    found = families(chain)
    assert sorted(item.id for family in found for item in family.items) == sorted(
        i.id for i in ITEMS
    )
    steps = json.loads(matrix_json(chain))["steps"]
    for step, items in zip(steps, (first, second), strict=True):
        counted = [sum(row.values()) for row in step["families"]]
        assert counted == [len(family.items) for family in found]
        assert sum(row.get("changed", 0) for row in step["families"]) == len(items)


@settings(max_examples=100, deadline=None)
@given(found=_ITEMS, undecided=_ITEMS)
def test_patterns_hold_of_none_of_the_others(found: set[Item], undecided: set[Item]) -> None:
    """Each cell is in one group; a description holds of all of its group and of no other cell; and the
    number of cells that have it is told."""
    chosen = sorted(found, key=ITEMS.index)
    open_ = [item for item in ITEMS if item in undecided - found]
    others = [item for item in ITEMS if item not in found | undecided]
    groups = patterns(chosen, others, open_)
    assert sorted(i.id for g in groups for i in g.items) == sorted(i.id for i in chosen)
    for group in groups:
        assert group.everything == (not others)

        def holds(item: Item, pairs: tuple[tuple[str, str], ...] = group.pairs) -> bool:
            return all(item.cell.value(axis) == value for axis, value in pairs)

        if group.pairs:
            assert len(group.items) >= 2
            assert all(holds(item) for item in group.items)
            assert not any(holds(item) for item in others)
            assert len(group.items) <= group.having <= sum(map(holds, ITEMS))
    for one in groups[:1]:
        for axis, value in shared(one.items, others):
            assert {item.cell.value(axis) for item in one.items} == {value}
            assert any(other.cell.value(axis) != value for other in others)


def test_what_else_singles_out_the_same_cells_is_told() -> None:
    """A name comes before a number, and the data cannot tell which of them it is."""
    cells = [Cell(optimizer="ftrl", depth=1, learning_rate=0.2 + n / 10) for n in range(2)]
    others = [Cell(optimizer=o, depth=3) for o in ("sgd", "adam")]
    made = [Item(grid="g", id=cell.id(), cell=cell) for cell in (*cells, *others)]
    (group,) = patterns(made[:2], made[2:])
    assert (
        plain(pattern_text(group))
        == "2 cells, every one with opt:ftrl (the same cells have depth:1)"
    )
    open_ = Item(grid="g", id="o", cell=Cell(optimizer="ftrl", depth=1, width=7))
    (group,) = patterns(made[:2], made[2:], [open_])
    assert plain(pattern_text(group)).startswith(
        "2 cells with opt:ftrl; 1 more with it could not be decided"
    )
    assert (
        plain(pattern_text(patterns(made[:2], [])[0]))
        == "2 cells, every one that could be compared"
    )
    assert [plain(pattern_text(g)) for g in patterns(made[:1], made[1:])] == ["1 cell by itself"]
    assert patterns([], made) == []


def test_changed_cells_are_counted_with_their_verdicts() -> None:
    """A row lists all verdicts of its cells, passes first."""
    base = upgraded()
    verdicts = [Verdict.ROUNDING, Verdict.REGRESSED, Verdict.IDENTICAL]
    judgements = [
        msgspec.structs.replace(j, verdict=verdicts[n % 3]) for n, j in enumerate(base.judgements)
    ]
    chain = [dataclasses.replace(base, judgements=judgements)]
    entries = [entry for name, (entry,) in rows(matrix_table(chain)).items() if "optimizer" in name]
    assert sum(int(n) for entry in entries for n in re.findall(r"\d+", entry)) == len(CELLS)
    last = entries[-1]
    assert last.index("identical") < last.index("rounding")
