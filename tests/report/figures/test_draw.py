"""Figures as files: what is drawn, the same bytes each time, and no state left in matplotlib."""

from __future__ import annotations

import dataclasses
import importlib
import math
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib
import msgspec
import pytest

from bench.cells.cell import Cell
from bench.cells.grids import GRIDS
from bench.errors import BenchError
from bench.report.figures.curves import Curve, Line, curves_picture, pictures
from bench.report.figures.draw import begun, draw, draw_all
from bench.report.figures.picture import Picture
from bench.results import aside
from bench.results.aside import Aside
from bench.results.record import Record
from support.builders import flow, items, plan, stored, trained

SVG = "{http://www.w3.org/2000/svg}"
BLUE, VERMILION = "#0072b2", "#d55e00"


def picture_of(cells: list[Cell], records: list[Record], grid: str = "depth") -> Picture:
    return pictures(stored(plan(items(grid, cells, GRIDS[grid].axes)), records))[grid]


def texts(svg: bytes) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]


def markers(svg: bytes) -> Counter[str]:
    """How many points of each colour are drawn."""
    styles = (element.get("style", "") for element in ET.fromstring(svg).iter(f"{SVG}use"))
    found = (re.search(r"fill: (#\w+)", style) for style in styles)
    return Counter(match[1] for match in found if match)


def pair(depth: int) -> list[Cell]:
    return [Cell(depth=depth, initializer=name) for name in ("he_normal", "glorot_normal")]


def test_every_point_is_drawn() -> None:
    """One marker per measured layer and cell, in the initializer's colour, and one in the legend."""
    cells = [*pair(3), *pair(10)]
    records = [trained(cell, seed) for cell in cells for seed in range(3)]
    assert markers(draw(picture_of(cells, records))) >= Counter({BLUE: 14, VERMILION: 14})
    assert markers(draw(picture_of(cells, []))) == Counter()


def test_regions_and_axes_have_names() -> None:
    """A learner reads what is where: regions, axes, panels, initializers."""
    cells = [
        Cell(depth=10, initializer=name, activation=act)
        for name in ("he_normal", "normal_0.01")
        for act in ("relu", "tanh")
    ]
    found = texts(draw(picture_of(cells, [])))
    for text in (
        "Depth: predicted (lines) and measured (points) gradient signal at step 0",
        "vanishing",
        "critical",
        "exploding",
        "hidden layer l",
        "signal, layer l / last",
        "act:relu",
        "act:tanh",
        "he_normal",
        "normal_0.01",
    ):
        assert text in found


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e30, 1e200])
def test_any_size_of_signal(scale: float) -> None:
    """From 1e-200 to 1e200 a figure has points and a readable number of ticks."""
    cell = Cell(depth=50)
    start = msgspec.structs.replace(flow(cell), signal=[scale, *[1.0] * 49])
    svg = draw(picture_of([cell], [trained(cell, 0, start=start)]))
    assert markers(svg)[BLUE] >= 50
    ends = (e for e in ET.fromstring(svg).iter(f"{SVG}text") if "anchor: end" in e.get("style", ""))
    ticks = [(element.text or "").strip() for element in ends]
    assert "1" in ticks
    assert 3 <= len(ticks) <= 6
    assert len(set(ticks)) == len(ticks)
    assert all(re.fullmatch(r"0\.0*1|10*|1e-?\d+", tick) for tick in ticks)


def test_what_a_logarithmic_axis_cannot_hold_is_left_out() -> None:
    """A prediction of 0, infinity or next to nothing is no part of its line, and no error."""

    def drawn(first: float) -> bytes:
        lines = (Line(first, first, first), Line(0.5, 0.4, 0.6), Line(1.0, 1.0, 1.0))
        return draw(curves_picture("depth", "", {"": [Curve(Cell(), lines, ())]}))

    assert drawn(0.0) == drawn(math.inf) == drawn(5e-324)
    assert drawn(0.0) != drawn(0.25)


def test_no_band_without_a_tolerance() -> None:
    """From 0 to infinity would tint the whole panel."""

    def fills(low: float, high: float) -> int:
        lines = (Line(0.5, low, high), Line(0.7, low, high), Line(1.0, 1.0, 1.0))
        return draw(curves_picture("depth", "", {"": [Curve(Cell(), lines, ())]})).count(
            b"opacity: 0.13"
        )

    assert fills(0.4, 0.8) == 1
    assert fills(0.0, math.inf) == 0


def test_many_initializers_have_legends_of_their_own() -> None:
    """A scaled family's panel names its numbers, another one its initializers."""
    scales = ["normal_0.0001", "normal_0.01", "normal_0.1", "normal_0.3", "normal_1.0"]
    names = ["he_normal", "he_uniform", "glorot_normal", "orthogonal"]
    cells = [Cell(initializer=name) for name in [*scales, *names]]
    found = texts(draw(picture_of(cells, [], "initialization")))
    for text in ("init:normal", "init:named", "0.0001", "0.01", "0.1", "0.3", *names):
        assert text in found
    assert "normal_0.01" not in found


def test_equal_data_give_equal_bytes() -> None:
    """No date, no random ids: a figure that changed shows in a diff, one that did not does not."""
    cells = pair(3)
    picture = picture_of(cells, [trained(cell, 0) for cell in cells])
    svg = draw(picture)
    assert svg == draw(picture)
    assert b"<dc:date" not in svg
    assert svg != draw(picture_of(cells, []))


def test_users_settings_do_not_matter_and_stay() -> None:
    """Matplotlib's settings are the user's: not looked at, not changed."""
    picture = picture_of(pair(3), [])
    expected = draw(picture)
    with matplotlib.rc_context({"axes.edgecolor": "red", "svg.fonttype": "path"}):
        before = dict(matplotlib.rcParams)
        assert draw(picture) == expected
        assert dict(matplotlib.rcParams) == before


def test_png() -> None:
    """The other format is a PNG file, the same each time."""
    picture = picture_of(pair(3), [])
    png = draw(picture, "png")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png == draw(picture, "png")


def test_broken_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said as what it is, with a way out."""
    picture = picture_of(pair(3), [])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BenchError, match="no figure can be drawn: matplotlib cannot be imported"):
        draw(picture)


@pytest.mark.slow
def test_matplotlib_only_where_a_figure_is_drawn() -> None:
    """Importing all reports does not import it; drawing does, without pyplot."""
    code = """
import sys
import bench.commands.main, bench.report.files, bench.report.theory
from bench.cells.cell import Cell
from bench.report.figures.draw import draw, draw_all
from bench.report.figures.picture import Picture
assert "matplotlib" not in sys.modules
draw(bench.report.theory.theory_picture(Cell()))
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
assert "tensorflow" not in sys.modules
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("dies_of", [99, 1, 2])
def test_two_processes_draw_the_same(monkeypatch: pytest.MonkeyPatch, dies_of: int) -> None:
    """Each picture once, also if the second process dies of the first or of the second that it is
    given."""
    module = importlib.import_module("bench.report.figures.draw")
    given = [0]

    class Mortal(Aside):
        def submit(self, *request: Any) -> None:
            given[0] += 1
            if given[0] == dies_of:
                os.kill(self.pid, signal.SIGKILL)
            super().submit(*request)

    many = [trained(Cell(depth=depth), 0) for depth in (3, 4, 5, 6)]
    drawn = [
        dataclasses.replace(picture_of([record.cell], [record]), path=f"{number}.svg")
        for number, record in enumerate(many)
    ]
    expected = [(picture, draw(picture)) for picture in drawn]
    monkeypatch.setattr(aside, "_cores", lambda: 2)
    monkeypatch.setattr(module, "_MANY_PANELS", 0)
    monkeypatch.setattr(module, "Aside", Mortal)
    assert sorted(draw_all(drawn), key=lambda pair: pair[0].path) == expected
    assert given[0]


@pytest.mark.slow
@pytest.mark.parametrize("without", [3, 0, None])
def test_what_was_begun_is_drawn_once(monkeypatch: pytest.MonkeyPatch, without: int | None) -> None:
    """Also where it is not among the pictures in the end, or another one is larger."""
    module = importlib.import_module("bench.report.figures.draw")
    monkeypatch.setattr(aside, "_cores", lambda: 2)
    monkeypatch.setattr(module, "_MANY_PANELS", 0)
    whole = [
        dataclasses.replace(
            picture_of([Cell(depth=depth)], [trained(Cell(depth=depth), 0)]), path=name
        )
        for depth, name in ((3, "a.svg"), (4, "b.svg"), (5, "c.svg"), (6, "d.svg"))
    ]
    drawn = [picture for number, picture in enumerate(whole) if number != without]
    with begun(whole) as second:
        assert second is not None
        assert [*second.drawing] == whole[-1:]
        found = sorted(draw_all(drawn, second), key=lambda pair: pair[0].path)
    assert found == [(picture, draw(picture)) for picture in drawn]
