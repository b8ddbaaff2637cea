"""The report of a cell's history: what is said of it, and what its figure shows."""

from __future__ import annotations

import csv
import io
import json
import math
from xml.etree import ElementTree as ET

import msgspec
import pytest

from bench.report.figures.draw import draw
from bench.report.figures.series import series_picture
from bench.report.history import history_series, history_text
from bench.results.run import StoredRun
from bench.verdict.baselines.history import History, history_of
from bench.verdict.metrics import BY_NAME
from support.builders import CLASS, crashed, diverged, on_day, replaced

SVG = "{http://www.w3.org/2000/svg}"


def history(runs: list[StoredRun], metric: str = "test_accuracy") -> History:
    item = on_day(1, "any").plan.items[0]
    place = (item.grid, item.id)
    return history_of(place, BY_NAME[metric], None, runs, environment_class=CLASS)


def stepping(metric: str = "test_accuracy") -> History:
    """Six runs of new bits each: from the fourth on less accurate, with another signal."""
    return history(
        [
            on_day(
                day,
                f"run{day}",
                salt=f"{day}",
                accuracy=0.95 if day < 4 else 0.85,
                ratio=0.5 if day < 4 else 0.2,
            )
            for day in range(1, 7)
        ],
        metric,
    )


@pytest.mark.parametrize("metric", BY_NAME)
@pytest.mark.parametrize("form", ["markdown", "csv", "json"])
@pytest.mark.slow
def test_every_metric_has_every_form(metric: str, form: str) -> None:
    """One line per run, whatever the scale and whether it is defined at all."""
    text = history_text(stepping(metric), BY_NAME[metric], form=form)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    if form == "csv":
        assert len(list(csv.DictReader(io.StringIO(text)))) == 6
    if form == "json":
        assert len(json.loads(text)["points"]) == 6
    if form == "markdown":
        assert sum(f"run{day}" in text for day in range(1, 7)) == 6
        assert f"of {BY_NAME[metric].title} in 6 measurements" in text


def test_a_step_is_marked_at_its_row_with_its_size() -> None:
    """Ten points down from the fourth run on, and a factor for a ratio."""
    for metric, size in (("test_accuracy", "-10.00 pp"), ("signal_ratio_start", "x 0.4")):
        lines = history_text(stepping(metric), BY_NAME[metric]).splitlines()
        marked = [line for line in lines if "**step" in line]
        assert len(marked) == 1
        assert "run4" in marked[0]
        assert size in marked[0]
        assert any(line.startswith("**1 step change of") for line in lines)


def test_failures_and_digests_are_told() -> None:
    """Counts of diverged and crashed seeds, equal digests and differing ones, and no step."""
    first, second, third = on_day(1, "a"), on_day(2, "b"), on_day(3, "c")
    cell = first.plan.items[0].cell
    records = {**second.records, 0: diverged(cell, 0), 1: crashed(cell, 1)}
    found = history([first, replaced(second, records=records), third])
    text = history_text(found, BY_NAME["test_accuracy"], warnings=["results/x: is | odd"])
    assert "1 diverged, 1 crashed" in text
    assert "1 of 2 equal" in text
    assert "No step change of test accuracy in 3 measurements" in text
    assert "> **Warning**: results/x: is \\| odd" in text
    rows = list(
        csv.DictReader(io.StringIO(history_text(found, BY_NAME["test_accuracy"], form="csv")))
    )
    assert [(row["diverged"], row["crashed"]) for row in rows] == [
        ("0", "0"),
        ("1", "1"),
        ("0", "0"),
    ]


def test_rows_of_other_terms_are_told() -> None:
    """An older recipe is not compared with the last row, and the row says so."""
    old = on_day(1, "a", accuracy=0.5)
    records = {key: msgspec.structs.replace(r, recipe=0) for key, r in old.records.items()}
    found = history([replaced(old, records=records), on_day(2, "b"), on_day(3, "c")])
    text = history_text(found, BY_NAME["test_accuracy"])
    assert "not comparable with the last row: another recipe" in text
    assert "**step" not in text


def test_the_figure_shows_seeds_means_and_steps() -> None:
    """A mark per seed and per mean, a line per step before its point, and equal bytes each time."""
    metric = BY_NAME["test_accuracy"]
    series = history_series(stepping(), metric)
    assert [place for place, _ in series.steps] == [3]
    assert [len(dot.values) for dot in series.dots] == [3] * 6
    assert all(min(dot.values) <= dot.mean <= max(dot.values) for dot in series.dots)
    svg = draw(series_picture(series))
    assert svg == draw(series_picture(series))
    root = ET.fromstring(svg)
    texts = ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]
    for text in ("-10.00 pp", "stored run", "acceptance", "2026-11-04 TF 2.21.0"):
        assert text in texts
    # 18 seeds, 6 means, and one mark in the legend for each of the two kinds.
    used = [e for e in root.iter(f"{SVG}use") if "stroke" in (e.get("style") or "")]
    assert len(used) >= 18 + 6
    assert draw(series_picture(series), "png").startswith(b"\x89PNG")


def test_the_figure_of_nothing_defined_and_of_many_points() -> None:
    """Crashes leave an empty place with its reason; sixty points still have readable labels."""
    metric = BY_NAME["test_accuracy"]
    run = on_day(1, "a")
    dead = replaced(run, records={key: crashed(key.cell, key.seed) for key in run.records})
    series = history_series(history([dead]), metric)
    assert math.isnan(series.dots[0].mean)
    assert "3 crashed" in draw(series_picture(series)).decode()
    many = [on_day(1 + n % 28, f"{n}", salt=f"{n}") for n in range(60)]
    svg = draw(series_picture(history_series(history(many), metric))).decode()
    assert 15 <= svg.count("2026-11-") <= 24


@pytest.mark.parametrize("metric", BY_NAME)
@pytest.mark.slow
def test_every_metric_can_be_drawn(metric: str) -> None:
    """On its own scale."""
    series = history_series(stepping(metric), BY_NAME[metric])
    assert series.logarithmic == (BY_NAME[metric].scale == "log")
    assert b"<svg" in draw(series_picture(series))
