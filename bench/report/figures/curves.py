"""What a figure shows, as data: each cell's gradient signal layer by layer, arranged in panels.

Everything here is about step 0 and relative to the last hidden layer: g_l / g_L with
g_l = E[(dC/dz_l)^2]. Below 1 the signal vanishes on its way back, above 1 it explodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.cells.cell import AXES, SCALED_INITIALIZERS, Cell, split_number
from bench.cells.grids import GRIDS
from bench.report.text import count
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
#: Initializers in one panel: more colours cannot be told apart.
MOST_COLOURS = 8

#: The family of the initializers that have no number behind their name.
NAMED = "named"

#: Axes that act after step 0, and those that a panel shows by other means.
_NOT_PANELS = frozenset({"depth", "init", "clip", "opt", "lr", "steps"})


_DEFAULT = Cell()


@dataclass(frozen=True)
class Points:
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
    measured: tuple[Points | None, ...]
    """None for a layer where any seed's value is not finite or is 0. Empty if nothing was
    measured."""


@dataclass(frozen=True)
class Panel:
    """The curves of all cells that differ in depth and initializer alone."""

    title: str
    curves: tuple[Curve, ...]

    @property
    def initializers(self) -> tuple[str, ...]:
        """Those of its cells, in their order."""
        return tuple(dict.fromkeys(curve.cell.initializer for curve in self.curves))


@dataclass(frozen=True)
class Picture:
    """One grid's figure."""

    grid: str
    heading: str
    panels: tuple[Panel, ...]
    remarks: tuple[str, ...]
    """What is not shown, counted: its caption."""

    @property
    def path(self) -> str:
        """Where it is stored, from the run's folder."""
        return f"figures/{self.grid}.svg"

    @property
    def alternative(self) -> str:
        """For those who cannot see it."""
        cells = sum(len(panel.curves) for panel in self.panels)
        return f"{self.heading}, layer by layer: {count(cells, 'cell')}"


def pictures(run: StoredRun) -> dict[str, Picture]:
    """One figure per grid of :data:`SHOWN` of which there is something to draw, by grid."""
    found = (_picture(run, grid, items) for grid, items in run.plan.grids().items())
    return {picture.grid: picture for picture in found if picture is not None}


def _picture(run: StoredRun, grid: str, items: Sequence[Item]) -> Picture | None:
    if grid not in SHOWN:
        return None
    deep = [item.cell for item in items if item.cell.depth >= 2]
    curves = [curve_of(cell, run.of(cell)) for cell in deep]
    drawn = [curve for curve in curves if _says_something(curve)]
    panels = _panels(grid, drawn)
    if not panels:
        return None
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
            sum(len(panel.curves) for panel in panels[MOST_PANELS:]),
            f"not drawn: a figure has at most {MOST_PANELS} panels",
        ),
    ]
    return Picture(grid, heading, tuple(panels[:MOST_PANELS]), tuple(filter(None, remarks)))


def _remark(cells: int, what: str) -> str:
    return f"{count(cells, 'cell')} {what}." if cells else ""


def curve_of(cell: Cell, records: Sequence[Record]) -> Curve:
    """A cell's prediction, for as many seeds as were measured, beside its measurement."""
    ratios = [_relative(record.start.signal) for record in records if record.start is not None]
    measured = tuple(_points(layer) for layer in zip(*ratios, strict=True))
    return Curve(cell, predicted_lines(cell, seeds=max(len(ratios), 1)), measured)


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


def _relative(signal: Sequence[float | None]) -> list[float | None]:
    last = signal[-1] if signal else None
    return [None if value is None or not last else value / last for value in signal]


def _points(seeds: Iterable[float | None]) -> Points | None:
    """A logarithmic axis has no place for 0, and a mean over the other seeds would mislead."""
    values = []
    for value in seeds:
        if not value or not math.isfinite(value):
            return None
        values.append(value)
    mean = math.exp(fmean(map(math.log, values)))
    return Points(mean, min(values), max(values))


# --- Panels -------------------------------------------------------------------------------------


def _panels(grid: str, curves: Sequence[Curve]) -> list[Panel]:
    """Small multiples: a panel per combination of the axes that vary, depth and initializer aside.

    Where that leaves more initializers than colours, the named ones and each scaled family get
    panels of their own.
    """
    varying = [
        axis
        for axis in AXES
        if axis not in _NOT_PANELS and len({curve.cell.value(axis) for curve in curves}) > 1
    ]
    own = GRIDS[grid].axes
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        title = " ".join(
            f"{axis}:{curve.cell.value(axis)}"
            for axis in varying
            if axis in own or curve.cell.value(axis) != _DEFAULT.value(axis)
        )
        groups.setdefault(title, []).append(curve)
    panels = [Panel(title, tuple(group)) for title, group in groups.items()]
    if all(len(panel.initializers) <= MOST_COLOURS for panel in panels):
        return panels
    return [part for panel in panels for part in _by_family(panel)]


def _by_family(panel: Panel) -> list[Panel]:
    families: dict[str, list[Curve]] = {}
    for curve in panel.curves:
        families.setdefault(family(curve.cell.initializer), []).append(curve)
    return [
        Panel(f"{panel.title} init:{name}".strip(), tuple(curves))
        for name, curves in families.items()
    ]


def family(initializer: str) -> str:
    """``normal``, ``truncated_normal``, ``uniform``, or :data:`NAMED` for one without a number."""
    name, scale = split_number(initializer)
    return name if scale is not None and name in SCALED_INITIALIZERS else NAMED
