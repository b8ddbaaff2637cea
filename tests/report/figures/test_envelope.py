"""The figure of envelopes: which cells it shows, what is drawn of each, and where it is stored."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.report.figures.draw import draw
from bench.report.figures.envelope import envelope_picture, strip
from bench.report.figures.picture import Panel, Picture
from bench.report.files import write_document
from bench.report.full import full_report
from bench.results.plan import Item
from bench.results.record import Replica
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement, Verdict
from support.builders import replaced
from support.stories import as_baseline, concluded, envelope_test, identical, parted

SVG = "{http://www.w3.org/2000/svg}"
VERMILION = "#d55e00"


def picture_of(story: Conclusion) -> Picture:
    found = envelope_picture(story)
    assert found is not None
    return found


def given_strip(
    *,
    seeds: list[list[float]],
    copies: list[list[float]],
    first_step: int | None = None,
    since: int = 0,
) -> Picture:
    """One panel of given differences, from a step on before which bits are equal."""
    apart: Any = SimpleNamespace(
        parted=[since] * len(seeds),
        seeds=np.array(seeds),
        copies=np.array(copies),
        envelope=np.full(len(seeds[0]), 1e-3),
    )
    steps = since + len(seeds[0])
    test = envelope_test(
        first_step=first_step, steps=steps, sharp_steps=steps - 1, equal_until=since
    )
    panel = strip("a title", test, apart)
    return Picture("figures/rounding.svg", "heading", "", "", (panel,), columns=1)


def panels(story: Conclusion) -> list[Panel]:
    return [panel for panel in picture_of(story).panels if isinstance(panel, Panel)]


def texts(svg: bytes) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]


def test_nothing_to_show() -> None:
    """No envelope, no figure; without a baseline neither."""
    assert envelope_picture(identical()) is None
    assert envelope_picture(dataclasses.replace(parted(), baseline=None)) is None


def test_severe_then_chaotic() -> None:
    """Cells outside in the order of severity, then those whose envelope is soonest blunt."""
    depths = [panel.title.split("-")[0] for panel in panels(parted())]
    assert depths == [f"depth/depth:{depth}" for depth in (2, 3, 30, 10, 1, 0)]


def test_six_cells_at_most() -> None:
    """The seventh, the least severe, is left out."""
    story = parted()
    run, judgements = story.run, list(story.judgements)
    cell = Cell(width=4)
    records = {
        s: msgspec.structs.replace(run.records[Replica(Cell(), s)], cell=cell) for s in range(3)
    }
    copies = {
        msgspec.structs.replace(copy, cell=cell): msgspec.structs.replace(
            result, copy=msgspec.structs.replace(copy, cell=cell)
        )
        for copy, result in run.copies.items()
        if copy.cell == Cell()
    }
    more = with_item(run, Item(grid="depth", id="width:4", cell=cell))
    more = replaced(more, records={**run.records, **records}, copies={**run.copies, **copies})
    judgements.append(
        Judgement(
            item=more.plan.items[-1],
            verdict=Verdict.ROUNDING,
            reason="",
            rung="envelope",
            envelope=envelope_test(sharp_steps=2),
        )
    )
    titles = [panel.title for panel in panels(concluded(more, judgements, as_baseline(more)))]
    assert len(titles) == 6
    # sharp for 2 steps, before the cells that are sharp for 3 and for 20 of them
    assert titles[4].startswith("depth/width:4:")
    assert titles[5].startswith("depth/depth:1-")


def with_item(run: StoredRun, item: Item) -> StoredRun:
    plan = msgspec.structs.replace(run.plan, items=[*run.plan.items, item])
    return replaced(run, plan=plan)


def test_strip_holds_seeds_and_copies() -> None:
    """Three seeds over twenty steps, each with its lone points; they part by 1e-2 from step 4 on, where
    the story says so, within a rounding of the loss; twelve copies lie below the envelope."""
    panel = panels(parted())[0]
    seeds = [trace for trace in panel.traces if trace.line and trace.name != "envelope"]
    (envelope,) = (trace for trace in panel.traces if trace.name == "envelope")
    (copies,) = panel.bands
    assert [len(seed.points) for seed in seeds] == [20] * 3
    assert len(copies.ranges) == len(envelope.points) == 20
    # a loss of at most 4 has a unit in the last place of 2.4e-7
    for seed in seeds:
        values = [y or 0.0 for _, y in seed.points]
        np.testing.assert_allclose(values[4:], 1e-2, atol=2.4e-7)
        assert max(values[:4]) < 1e-6
    for (step, low, high), (x, bound) in zip(copies.ranges, envelope.points, strict=True):
        assert step == x and bound is not None
        assert low <= high <= bound


def test_what_is_drawn_can_be_read() -> None:
    """Axes, the legend and each cell's name and verdict are text."""
    found = " ".join(texts(draw(picture_of(parted()))))
    for text in (
        "step",
        "|difference of the loss|",
        "a seed",
        "copies",
        "envelope",
        "blunt from here",
    ):
        assert text in found
    assert found.count("changed") == 3
    assert found.count("regressed") == 1


def test_first_step_outside_is_marked() -> None:
    """A line and a point in its own colour, apart from those in the legend: where the seed that strays
    least is outside, also where another seed does not differ. No point for an infinite difference,
    and neither for a cell inside."""
    strays, still, far = [1e-6] * 3 + [1e-2] * 5, [0.0] * 8, [1e-6] * 3 + [math.inf] * 5

    def marks(seeds: list[list[float]], step: int | None) -> tuple[int, int]:
        svg = draw(given_strip(seeds=seeds, copies=[[1e-6] * 8], first_step=step)).decode()
        kinds = ("<path d", "<use")
        lines, points = (len(re.findall(f"{kind}[^>]*{VERMILION}", svg)) for kind in kinds)
        return lines, points

    assert marks([strays], None) == (0, 0)
    assert marks([strays], 3) == marks([strays, still], 3) == (2, 2)  # with the legend's
    assert marks([far], 3) == (2, 0)


def test_what_parts_late_is_counted_from_there() -> None:
    """Bits are equal for 150 steps, and the second step after that is outside."""
    seeds, copies = [[1e-6, 1e-2, 1e-2, 1e-2]], [[1e-6] * 4]
    (panel,) = given_strip(seeds=seeds, copies=copies, first_step=151, since=150).panels
    assert isinstance(panel, Panel)
    assert panel.x_label == "step since bits part, at step 150"
    marks = {upright.name: (upright.x, upright.dot) for upright in panel.uprights}
    assert marks == {"blunt from here": (4, None), "first step outside": (2, 1e-2)}


def test_equal_data_equal_bytes() -> None:
    """A report that is written again is the same file."""
    picture = given_strip(seeds=[[1e-6, 1e-5]], copies=[[1e-6, 1e-6]])
    assert draw(picture) == draw(picture)
    assert draw(picture, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("seeds", "copies"),
    [
        ([[0.0] * 5], [[0.0] * 5]),
        ([[math.inf] * 5], [[0.0] * 5]),
        ([[0.0, 1e-7, 0.0, math.inf, 1e30]], [[math.inf] * 5]),
        ([[1e-7]], [[1e-8]]),
    ],
)
@pytest.mark.slow
def test_extremes_are_drawn(seeds: list[list[float]], copies: list[list[float]]) -> None:
    """Differences of 0 and of infinity have no place on a logarithmic axis, and one step is a figure:
    no warning, no error, whole XML."""
    for first_step in (None, 0):
        assert "a title" in texts(
            draw(given_strip(seeds=seeds, copies=copies, first_step=first_step))
        )


def test_lone_differences_are_points() -> None:
    """A difference between two of 0 is drawn as a point, as no line shows it."""
    lone, none = (
        draw(given_strip(seeds=[values], copies=[[1e-6] * 5])).decode()
        for values in ([0.0, 1e-5, 0.0, 0.0, 0.0], [1e-5] * 5)
    )
    assert lone.count("<use") == none.count("<use") + 1


@pytest.mark.slow
def test_report_embeds_the_stored_figure(tmp_path: Path) -> None:
    """``report.md`` names ``figures/rounding.svg``, and the file is there; no figure without
    envelopes."""
    path = write_document(full_report(parted()), tmp_path / "a")
    assert "step by step: 6 cells](figures/rounding.svg)" in path.read_text()
    assert texts((tmp_path / "a/figures/rounding.svg").read_bytes())
    path = write_document(full_report(identical()), tmp_path / "b")
    assert "rounding.svg" not in path.read_text()
    assert not (tmp_path / "b/figures/rounding.svg").exists()
