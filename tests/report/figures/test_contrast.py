"""Figures of both sides: what lies on the line, what is named, what is tinted."""

from __future__ import annotations

import dataclasses

import pytest

from bench.report.figures.contrast import agreement_picture, effects_picture
from bench.report.figures.draw import draw
from bench.report.figures.picture import Heat, Panel
from bench.report.figures.speeds import speed_picture
from bench.verdict.judgement import Verdict
from support.stories import identical, mixed, new, parted, rejudged
from support.upgraded import timed, upgraded


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
    assert any("act:sigmoid" in label.text for label in accuracy.labels)
    assert b"act:sigmoid" in draw(picture)


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
    assert speed_picture(upgraded()) is None
