"""Figures of predicted and measured gradient signal: each cell's, layer by layer, arranged in panels.

Everything here is about step 0 and relative to the last hidden layer: g_l / g_L with
g_l = E[(dC/dz_l)^2]. Below 1 the signal vanishes on its way back, above 1 it explodes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.cells.cell import AXES, SCALED_INITIALIZERS, Cell
from bench.cells.grids import GRIDS
from bench.cells.numbers import split_number
from bench.errors import count
from bench.report.figures.picture import (
    HUGE,
    MOST_COLOURS,
    TINY,
    Band,
    Panel,
    Picture,
    Points,
    Ranges,
    Region,
    Ticks,
    Trace,
)
from bench.report.text import grouped
from bench.results.columns import signals
from bench.results.plan import Item
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.theory.signal.meanfield import predict
from bench.theory.signal.predicted import SIGMAS, exp, log_tolerance

#: Grids whose cells differ in what decides the signal at step 0. (The clipping grid's do not.)
SHOWN = ("depth", "activation", "initialization", "normalization")

#: A signal that changes by less than a factor e over the whole network is called critical: the
#: network is then shallower than the depth 1 / |ln chi| over which gradients change e-fold
#: (Schoenholz et al. 2017, section 4).
CRITICAL = math.e

#: Panels in one figure: six rows of four still fit a page.
MOST_PANELS = 24
#: Curves of one panel: more are a tint.
MOST_CURVES = 36
#: Decades that a panel shows at least, around 1.
_LEAST = (-1.0, 1.0)
_TINTS = {
    "vanishing": ("#e8effa", "#2b5797"),
    "critical": ("#eef6ea", "#3d7a2a"),
    "exploding": ("#fbe9e4", "#a03a1c"),
}

#: The family of the initializers that have no number behind their name.
NAMED = "named"

#: Axes that act after step 0, and those that a panel shows by other means.
_NOT_PANELS = frozenset({"depth", "init", "clip", "opt", "lr", "steps"})


_DEFAULT = Cell()


@dataclass(frozen=True)
class Measured:
    """Measured g_l / g_L of one layer over the seeds: geometric mean, smallest and largest."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """Predicted g_l / g_L of one layer, and where the seeds' geometric mean has to lie.

    NaN where the signal is 0 in every layer; from 0 to infinity where theory gives no tolerance.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """One cell, layer by layer, first hidden layer first."""

    cell: Cell
    predicted: tuple[Line, ...]
    """Empty where theory has no prediction."""
    measured: tuple[Measured | None, ...]
    """None for a layer where any seed's value is not finite or is 0. Empty if nothing was
    measured."""


def pictures(run: StoredRun) -> dict[str, Picture]:
    """One figure per grid of :data:`SHOWN` of which there is something to draw, by grid."""
    drawn = {grid: _picture(run, grid, items) for grid, items in run.plan.grids().items()}
    return {grid: picture for grid, picture in drawn.items() if picture is not None}


def _picture(run: StoredRun, grid: str, items: Sequence[Item]) -> Picture | None:
    if grid not in SHOWN:
        return None
    deep = [item.cell for item in items if item.cell.depth >= 2]
    curves = [curve_of(cell, run.of(cell)) for cell in deep]
    drawn = [curve for curve in curves if _says_something(curve)]
    panels = _panels(grid, drawn)
    if not panels:
        return None
    distinct = {title: _distinct(panel) for title, panel in list(panels.items())[:MOST_PANELS]}
    shown = {title: panel[:MOST_CURVES] for title, panel in distinct.items()}
    heading = (
        f"{GRIDS[grid].title}: predicted (lines) and measured (points) gradient signal at step 0"
    )
    remarks = [
        _remark(len(items) - len(deep), "with fewer than two hidden layers: no ratio"),
        _remark(len(curves) - len(drawn), "with neither a prediction nor a signal above 0"),
        _remark(
            sum(not any(curve.measured) for curve in drawn),
            "without points: not measured, or the signal is 0 or not finite",
        ),
        _remark(
            sum(any(curve.measured) and None in curve.measured for curve in drawn),
            "with layers left out: the signal there is 0 or not finite",
        ),
        _remark(
            sum(map(len, list(panels.values())[MOST_PANELS:])),
            f"not drawn: a figure has at most {MOST_PANELS} panels",
        ),
        _remark(
            sum(len(panels[title]) - len(panel) for title, panel in distinct.items()),
            "not drawn: the curve of another cell, which differs only behind step 0",
        ),
        _remark(
            sum(len(panel) - len(shown[title]) for title, panel in distinct.items()),
            f"not drawn: a panel has at most {MOST_CURVES} curves",
        ),
    ]
    return curves_picture(grid, heading, shown, caption=" ".join(filter(None, remarks)))


def _distinct(curves: Sequence[Curve]) -> list[Curve]:
    """The first of each that are drawn alike."""
    found: dict[object, Curve] = {}
    for curve in curves:
        found.setdefault((curve.cell.initializer, curve.predicted, curve.measured), curve)
    return list(found.values())


def _remark(cells: int, what: str) -> str:
    return f"{count(cells, 'cell')} {what}." if cells else ""


def curve_of(cell: Cell, records: Sequence[Record]) -> Curve:
    """A cell's prediction, for as many seeds as were measured, beside its measurement."""
    flows = [record.start for record in records if record.start is not None]
    measured: tuple[Measured | None, ...] = ()
    if flows:
        values = signals(flows)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            measured = tuple(map(_points, (values / values[:, -1:]).T))
    return Curve(cell, predicted_lines(cell, seeds=max(len(flows), 1)), measured)


def predicted_lines(cell: Cell, *, seeds: int) -> tuple[Line, ...]:
    """What theory expects of the geometric mean over ``seeds`` seeds, and where that has to lie.

    The band at the first layer is the tolerance of the claim; at the others it is the same for the
    network that begins there. Without a bound on the prediction's error it is from 0 to infinity.
    """
    prediction = predict(cell)
    if prediction is None:
        return ()
    lines = []
    for layer, signal in enumerate(prediction.signal):
        expected = signal * exp(prediction.log_bias[layer])
        std, error = prediction.log_std[layer], prediction.log_error[layer]
        reach = log_tolerance(
            SIGMAS, std, error, max(prediction.step_std[layer:], default=0.0), seeds
        )
        lines.append(Line(expected, expected * exp(-reach), expected * exp(reach)))
    return tuple(lines)


def _says_something(curve: Curve) -> bool:
    """Whether there is a point or a predicted value; that of zero weights is 0/0."""
    return any(curve.measured) or any(line.mean > 0 for line in curve.predicted[:-1])


def _points(seeds: NDArray[np.float64]) -> Measured | None:
    """A logarithmic axis has no place for 0, and a mean over the other seeds would mislead."""
    if not (np.isfinite(seeds) & (seeds != 0)).all():
        return None
    return Measured(float(np.exp(np.log(seeds).mean())), float(seeds.min()), float(seeds.max()))


# --- Panels -------------------------------------------------------------------------------------

Panels = Mapping[str, Sequence[Curve]]


def _panels(grid: str, curves: Sequence[Curve]) -> Panels:
    """Small multiples: curves by title, a panel per combination of the axes that vary, depth and
    initializer aside.

    Where that leaves more initializers than colours, the named ones and each scaled family get
    panels of their own.
    """
    varying = [
        axis
        for axis in AXES
        if axis not in _NOT_PANELS and len({curve.cell.value(axis) for curve in curves}) > 1
    ]

    def title(curve: Curve) -> str:
        return " ".join(
            f"{axis}:{curve.cell.value(axis)}"
            for axis in varying
            if axis in GRIDS[grid].axes or curve.cell.value(axis) != _DEFAULT.value(axis)
        )

    panels = grouped((title(curve), curve) for curve in curves)
    if all(len(_initializers(panel)) <= MOST_COLOURS for panel in panels.values()):
        return panels
    return grouped(
        (f"{title} init:{family(curve.cell.initializer)}".strip(), curve)
        for title, panel in panels.items()
        for curve in panel
    )


def _initializers(curves: Iterable[Curve]) -> list[str]:
    return list(dict.fromkeys(curve.cell.initializer for curve in curves))


def family(initializer: str) -> str:
    """``normal``, ``truncated_normal``, ``uniform``, or :data:`NAMED` for one without a number."""
    name, scale = split_number(initializer)
    return name if scale is not None and name in SCALED_INITIALIZERS else NAMED


# --- The picture --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Look:
    """How the curves of an initializer are shown."""

    name: str
    colour: int = 0
    shade: float | None = None


def curves_picture(name: str, heading: str, panels: Panels, *, caption: str = "") -> Picture:
    """Lines with bands for what is predicted, points with bars for what was measured.

    Args:
        name: of its file.
        heading: of the figure.
        panels: curves by title; at least one panel.
        caption: what is not shown.
    """
    looks = _looks(_initializers(curve for curves in panels.values() for curve in curves))
    drawn = [
        _panel(title, curves, looks or _looks(_initializers(curves)), legend=not looks)
        for title, curves in panels.items()
    ]
    cells = sum(map(len, panels.values()))
    number = len(drawn)
    return Picture(
        path=f"figures/{re.sub('[^A-Za-z0-9_.-]+', '-', name)}.svg",
        heading=heading,
        alternative=f"{heading}, layer by layer: {count(cells, 'cell')}",
        caption=caption,
        panels=tuple(drawn),
        columns=number if number < 4 else min((4, 3), key=lambda columns: -number % columns),
        size=(6.6 if number == 1 else 3.3, 2.5),
    )


def _looks(names: Sequence[str]) -> dict[str, _Look]:
    """Looks of each initializer; scales of one family by size, from dark to pale.

    Empty where there are more than can be told apart: each panel then has looks of its own, and a
    scaled family's numbers suffice as names.
    """
    families = {family(name) for name in names}
    if len(families) == 1 and families != {NAMED} and len(names) > 1:
        ordered = sorted(names, key=_scale)
        return {
            name: _Look(f"{_scale(name):g}", shade=place / (len(names) - 1))
            for place, name in enumerate(ordered)
        }
    if len(names) > MOST_COLOURS:
        return {}
    return {name: _Look(name, colour) for colour, name in enumerate(names)}


def _scale(initializer: str) -> float:
    return split_number(initializer)[1] or 0.0


def _panel(
    title: str, curves: Sequence[Curve], looks: Mapping[str, _Look], *, legend: bool
) -> Panel:
    low, high = _decades(curves)
    depth = max(curve.cell.depth for curve in curves)
    names = _initializers(curves)
    traces: list[Trace] = []
    bands: list[Band] = []
    for curve in curves:
        # Curves that lie on one another are drawn side by side, each with its points.
        place = names.index(curve.cell.initializer) - (len(names) - 1) / 2
        look = looks[curve.cell.initializer]
        lines, tints = _drawn(curve, look, shift=place * min(0.1, 0.6 / len(names)))
        traces += lines
        bands += tints
    inner = math.log10(CRITICAL)
    edges = {"vanishing": (low, -inner), "critical": (-inner, inner), "exploding": (inner, high)}
    return Panel(
        title,
        "hidden layer l",
        "signal, layer l / last",
        tuple(traces),
        scale="log",
        limits=(10**low, 10**high),
        bands=tuple(bands),
        regions=tuple(
            Region(name, 10**bottom, 10**top, *_TINTS[name])
            for name, (bottom, top) in edges.items()
        ),
        x_limits=(0.4, depth + 0.6),
        x_ticks=_layers(depth),
        legend=legend,
    )


def _drawn(curve: Curve, look: _Look, *, shift: float) -> tuple[list[Trace], list[Band]]:
    """What can be drawn of a curve: a logarithmic axis has no place for 0 and infinity."""
    colour, shade = look.colour, look.shade
    lines: Points = tuple(
        (layer + shift, line.mean if TINY < line.mean < HUGE else None)
        for layer, line in enumerate(curve.predicted, start=1)
    )
    band = tuple((layer + shift, low, high) for layer, low, high in _band(curve))
    measured = [(n + shift, p) for n, p in enumerate(curve.measured, start=1) if p is not None]
    traces, bands = [], []
    if lines:
        traces.append(Trace(look.name, lines, colour, shade, width=1.1))
    if band:
        bands.append(Band("", band, colour, shade))
    if measured:
        points: Points = tuple((x, p.mean) for x, p in measured)
        bars: Ranges = tuple((x, p.low, p.high) for x, p in measured)
        traces.append(Trace(look.name, points, colour, shade, line=False, marker="o"))
        bands.append(Band("", bars, colour, shade, bars=True))
    return traces, bands


def _band(curve: Curve) -> Ranges:
    """Where measured points have to lie, by layer; empty where theory gives no tolerance."""
    lines = [(n, p) for n, p in enumerate(curve.predicted, start=1) if TINY < p.mean < HUGE]
    if any(line.high == math.inf for _, line in lines):
        return ()
    return tuple((layer, max(line.low, TINY), min(line.high, HUGE)) for layer, line in lines)


def _layers(depth: int) -> Ticks:
    """The first layer, the last one and round numbers between."""
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, depth) if depth / step <= 6)
    between = (n for n in range(step, depth, step) if depth - n > step / 2 and n > 1)
    return tuple((layer, str(layer)) for layer in sorted({1, depth, *between}))


def _decades(curves: Sequence[Curve]) -> tuple[float, float]:
    """Exponents of the panel's lower and upper edge."""
    values = [line.mean for curve in curves for line in curve.predicted]
    for curve in curves:
        values += [edge for p in curve.measured if p is not None for edge in (p.low, p.high)]
        values += [edge for _, low, high in _band(curve) for edge in (low, high)]
    logs = [math.log10(value) for value in values if TINY < value < HUGE]
    low, high = min([*logs, _LEAST[0]]), max([*logs, _LEAST[1]])
    margin = 0.04 * (high - low)
    return low - margin, high + margin
