"""Figures of both sides: what lies on the line, what is named, what is tinted."""

from __future__ import annotations

import dataclasses
import re

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.report.figures import contrast
from bench.report.figures.contrast import agreement_picture, effects_picture
from bench.report.figures.draw import draw
from bench.report.figures.names import in_lines, shortened
from bench.report.figures.picture import Heat, Panel, Picture
from bench.report.figures.speeds import speed_picture
from bench.report.markup import plain
from bench.results.plan import Item
from bench.verdict.judgement import Verdict
from support.stories import identical, mixed, new, parted, rejudged
from support.upgraded import other_bits, side, timed, upgraded


def test_identical_runs_need_no_picture() -> None:
    """Nor do runs without a baseline."""
    assert agreement_picture(identical()) is None
    assert agreement_picture(new()) is None
    assert effects_picture(identical()) is None


def test_what_differs_is_off_the_line_and_named() -> None:
    """Accuracy .95 before, .9127 after: a cell that is named, in a colour and shape of its own."""
    picture = agreement_picture(mixed())
    assert picture is not None
    accuracy = picture.panels[0]
    assert isinstance(accuracy, Panel)
    changed = next(trace for trace in accuracy.traces if trace.name == "changed")
    (x, y), *_ = changed.points
    assert (x, y) == pytest.approx((0.95, 0.9127), abs=2e-3)
    assert changed.marker != next(t for t in accuracy.traces if t.name == "undecided").marker
    assert [label.text for label in accuracy.labels] == ["1", "2", "3", "4"]
    assert re.search(
        r"furthest from the line: 1: .*act:sigmoid.*; 4: ", plain(picture.caption), re.I
    )
    assert b">1</text>" in draw(picture)


def test_a_cell_has_one_number_in_all_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that is far from a line, in any metric, is named once below the picture."""
    monkeypatch.setattr(contrast, "_SHOWN", ("test_accuracy", "test_accuracy"))
    picture = agreement_picture(mixed())
    assert picture is not None
    panels = [panel for panel in picture.panels if isinstance(panel, Panel)]
    assert [[label.text for label in panel.labels] for panel in panels] == [
        ["1", "2", "3", "4"]
    ] * 2
    assert re.findall(r"(\d): ", plain(picture.caption)) == ["1", "2", "3", "4"]


def long(*axes: str) -> Item:
    cell = Cell()
    return Item(grid="attention", id="-".join(axes), cell=cell)


def test_what_names_have_in_common_is_told_once() -> None:
    """By grid; a cell that is alone keeps its name, and a minus sign begins no axis."""
    first, second = (
        long("depth:2", "bias:-0.5", "mask:none"),
        long("depth:4", "bias:-0.5", "mask:none"),
    )
    alone = Item(grid="depth", id="depth:3-act:relu", cell=Cell())
    names, common = shortened([first, alone, second])
    assert names == {
        first: "attention/depth:2",
        second: "attention/depth:4",
        alone: "depth/depth:3-act:relu",
    }
    assert common == {"attention": "bias:-0.5-mask:none"}


def test_names_break_between_axes() -> None:
    """Lines are short; what is put together again is the name."""
    name = "sequence/depth:1-arch:simple_rnn-width:16-bias:-0.5-recurrent:normal_0.5: rounding"
    lines = in_lines(name, 30).split("\n")
    assert "".join(lines) == name
    assert max(map(len, lines)) <= 30
    assert len(lines) == 4
    assert in_lines(name, 3).split("\n")[3] == "bias:-0.5-"


def width(svg: str, group: str) -> float:
    """Of a group's first path, in points."""
    path = svg.partition(f'<g id="{group}">')[2].partition('<path d="')[2].partition('"')[0]
    xs = [float(x) for x in re.findall(r"[ML] (\S+) \S+", path)]
    return max(xs) - min(xs)


def test_a_heading_is_as_wide_as_its_picture() -> None:
    """A cell's name in lines that break before an axis, a sentence in lines of words."""
    name = (
        "sequence/depth:1-arch:simple_rnn-width:16-act:tanh-init:glorot_uniform-norm:none-clip:none"
    )
    told = (
        "No step change of test accuracy in 3 measurements of any seed, as far as they were stored"
    )
    panel = Panel("", "x", "y")
    svg = draw(Picture("a.svg", f"{name}\n{told}", "", "", (panel,), 1, size=(5.0, 3.0))).decode()
    heading = [line for line in re.findall(">([^<>]+)</t", svg) if line[0].isalpha() and line[1:]]
    assert "".join(line for line in heading if ":" in line) == name
    assert " ".join(line for line in heading if ":" not in line) == told
    assert max(map(len, heading)) <= 58


@pytest.mark.parametrize("cells", [1, 4, 20])
def test_long_names_leave_the_table_its_place(cells: int) -> None:
    """Names are in short lines, and the table is as wide as its columns need."""
    shared = "-".join(["engine:fit_epochs", "init:glorot_uniform", "norm:layer"] * 3)
    items = [
        long(shared, f"recurrent:normal_0.{n}-placement:post-mask:causal") for n in range(cells)
    ]
    found = mixed()
    tested = next(j for j in found.judgements if j.comparisons)
    judged = [msgspec.structs.replace(tested, item=item) for item in items]
    picture = effects_picture(dataclasses.replace(found, judgements=judged))
    assert picture is not None
    (heat,) = picture.panels
    assert isinstance(heat, Heat)
    assert max(len(line) for row in heat.rows for line in row.split("\n")) <= 56
    assert ("has " + shared in plain(picture.caption)) == (cells > 1)
    svg = draw(picture).decode()
    assert width(svg, "axes_1") > 0.9 * 72 * len(heat.columns)
    assert ">≥ 10</text>" in svg


def test_both_sides_are_named_as_in_the_report() -> None:
    """The baseline and the run, or OLD and NEW."""
    alone = agreement_picture(mixed())
    assert alone is not None and alone.alternative.endswith("this run against the baseline")
    found = upgraded(new=side("new", other_bits))
    sides = agreement_picture(found)
    assert sides is not None and sides.alternative.endswith("NEW against OLD")


def test_one_other_cell_is_enough() -> None:
    """A diagonal is drawn where any cell is not identical; nothing on the line is named."""
    picture = agreement_picture(rejudged(identical(), 0, verdict=Verdict.ROUNDING))
    assert picture is not None
    panels = [panel for panel in picture.panels if isinstance(panel, Panel)]
    assert len(panels) == 2
    assert not any(panel.labels for panel in panels)


def test_effects_are_tinted_by_what_matters() -> None:
    """-3.73 points of accuracy are 7.46 times the half point that matters: three quarters of the
    full tint."""
    picture = effects_picture(mixed())
    assert picture is not None
    (heat,) = picture.panels
    assert isinstance(heat, Heat)
    assert heat.values == ((pytest.approx(0.746),),)
    assert heat.texts == (("-3.73 pp",),)
    assert "regressed" in heat.rows[0]
    assert effects_picture(dataclasses.replace(parted(), baseline=None)) is None
    assert b"-3.73 pp" in draw(picture)


def test_speeds_have_intervals_and_a_place_that_does_not_matter() -> None:
    """A workload that is 8 % slower, its noise beside it; one that is the same has another look."""
    found = upgraded(timings=[timed(0.08), timed(engine="xla")])
    picture = speed_picture(found)
    assert picture is not None
    (panel,) = picture.panels
    assert isinstance(panel, Panel)
    slower, same = panel.traces
    assert (slower.name, same.name) == ("slower", "same")
    ((place, value),) = slower.points
    assert (place, value) == (1.0, pytest.approx(8.3, abs=0.5))  # exp(.08) is 1.083
    (_, low, high), *_ = panel.bands[0].ranges
    assert 0 < low < 8.3 < high
    assert (panel.regions[0].low, panel.regions[0].high) == (-2.0, 2.0)
    assert b"does not matter" in draw(picture)
    assert b"rotate(-60)" not in draw(picture)  # as ticks are without room
    many = [timed(engine=engine) for engine in ("fit", "xla", "eager", "function", "in_graph")]
    crowded = speed_picture(upgraded(timings=many))
    assert crowded is not None
    narrow = dataclasses.replace(crowded, size=(3.0, 3.0))
    assert b"rotate(-60)" in draw(narrow)
    assert speed_picture(upgraded()) is None
