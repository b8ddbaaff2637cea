"""The figure of a metric over time: the values of each point's seeds, their mean, and the steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.errors import count
from bench.report.figures.picture import GREY, VERMILION, Panel, Picture, Trace, Upright

#: Ticks with a date and a version that fit side by side.
_MOST_LABELS = 24


@dataclass(frozen=True)
class Dot:
    """One point of a series: the values of its seeds, raw, and their mean."""

    label: str
    values: tuple[float, ...]
    """Empty where no seed has one; its place stays empty."""
    mean: float
    accepted: bool
    """Whether it became part of a baseline."""


@dataclass(frozen=True)
class Series:
    """A metric of one cell over time."""

    heading: str
    unit: str
    logarithmic: bool
    dots: tuple[Dot, ...]
    steps: tuple[tuple[int, str], ...]
    """The first point after each step, and what it changed by."""


def series_picture(series: Series) -> Picture:
    """The figure of a series of at least one dot."""
    dots = list(enumerate(series.dots))
    values = tuple((float(x), value) for x, dot in dots for value in dot.values)
    traces = [Trace("", values, GREY, line=False, marker="_", size=6)]
    for name, accepted, colour, marker in (
        ("stored run", False, 0, "o"),
        ("acceptance", True, 2, "s"),
    ):
        means = tuple((float(x), d.mean) for x, d in dots if d.accepted is accepted and d.values)
        traces.append(Trace(name, means, colour, line=False, marker=marker, size=5))
    every = math.ceil(len(dots) / _MOST_LABELS)
    panel = Panel(
        "",
        "",
        series.unit,
        tuple(traces),
        scale="log" if series.logarithmic else "linear",
        uprights=tuple(
            Upright("", place - 0.5, VERMILION, dashes=1, text=text) for place, text in series.steps
        ),
        # An empty place for each point without a value, whose tick says why.
        x_limits=(-0.7, len(dots) - 0.3),
        x_ticks=tuple((float(x), dot.label) for x, dot in dots[::every]),
    )
    return Picture(
        path="figures/history.svg",
        heading=series.heading,
        alternative=f"{series.heading}: {count(len(dots), 'measurement')}",
        caption="",
        panels=(panel,),
        columns=1,
        size=(min(max(5.0, 1.6 + 0.28 * len(dots)), 16.0), 3.4),
    )
