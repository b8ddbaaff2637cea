"""The figure of rounding envelopes. Called by :mod:`bench.report.figures.draw`, which sets
matplotlib up."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.report.figures.envelope import EnvelopePicture, Strip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito 2008, without the black of the envelope and the vermilion of the mark.
_SEEDS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#777777")
_MARK = "#D55E00"
#: Steps that are named on the axis, where a trajectory is that long.
_STEPS = (0, 1, 3, 10, 30, 100, 300, 1000)
_COLUMNS = 3
#: Inches.
_WIDTH, _HEIGHT, _HEAD = 3.6, 2.6, 0.75


def drawn(picture: EnvelopePicture) -> Figure:
    """A panel per cell: |difference of the loss| against the step, both logarithmic."""
    from matplotlib.figure import Figure

    columns = min(len(picture.strips), _COLUMNS)
    rows = math.ceil(len(picture.strips) / columns)
    width, height = _WIDTH * max(columns, 2), _HEAD + _HEIGHT * rows
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        left=0.7 / width,
        right=1 - 0.15 / width,
        top=1 - (_HEAD + 0.35) / height,
        bottom=0.45 / height,
        wspace=0.3,
        hspace=0.5,
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(picture.strips):
            axes.set_axis_off()
            continue
        _strip(axes, picture.strips[place])
        if place % columns == 0:
            axes.set_ylabel("|difference of the loss|", fontsize=8)
        if place + columns >= len(picture.strips):
            axes.set_xlabel("step", fontsize=8)
    figure.text(0.2 / width, 1 - 0.12 / height, picture.heading, fontsize=11, va="top")
    _legend(figure, x=0.2 / width, y=1 - 0.36 / height)
    return figure


def _strip(axes: Axes, strip: Strip) -> None:
    test, shown = strip.test, strip.shown
    places = np.arange(shown.envelope.size) + 1.0  # a logarithmic axis has no place for step 0
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = _limits(strip)
    axes.set_ylim(low, high)
    axes.set_xlim(0.9, places[-1] * 1.1)
    axes.fill_between(
        places,
        np.clip(shown.copies.min(axis=0), low, high),
        np.clip(shown.copies.max(axis=0), low, high),
        facecolor="#cccccc",
        lw=0,
        zorder=1,
    )
    for index, seed in enumerate(shown.seeds):
        colour = _SEEDS[index % len(_SEEDS)]
        values = _positive(seed)
        axes.plot(places, values, color=colour, lw=0.8, zorder=3)
        alone = _alone(values)
        axes.plot(places[alone], values[alone], color=colour, ls="", marker=".", ms=1.8, zorder=3)
    axes.plot(places, _positive(shown.envelope), color="black", lw=1.3, zorder=4)
    if test.sharp_steps < test.steps:
        axes.axvline(test.sharp_steps + 1, color="black", lw=0.9, ls=":", zorder=2)
    if test.first_step is not None:
        axes.axvline(test.first_step + 1, color=_MARK, lw=1.1, zorder=2)
        apart = shown.seeds[:, test.first_step]
        out = apart[np.isfinite(apart) & (apart > shown.envelope[test.first_step])]
        if out.size:
            place = test.first_step + 1
            axes.plot([place], [out.min()], ls="", marker="o", ms=5, color=_MARK, zorder=5)
    steps = [step for step in _STEPS if step < shown.envelope.size]
    axes.set_xticks([step + 1.0 for step in steps], [str(step) for step in steps])
    axes.set_xticks([], minor=True)
    axes.tick_params(labelsize=7, length=2)
    axes.set_title("\n".join(textwrap.wrap(strip.title, 52)), fontsize=7, loc="left", pad=3)


def _limits(strip: Strip) -> tuple[float, float]:
    """Whole decades that hold the envelope and every difference that can be drawn."""
    shown = strip.shown
    known = np.concatenate([a.ravel() for a in (shown.seeds, shown.copies, shown.envelope)])
    known = known[np.isfinite(known) & (known > 0)]
    if not known.size:
        return 0.1, 10.0
    return (
        float(10.0 ** math.floor(math.log10(known.min()))),
        float(10.0 ** math.ceil(math.log10(known.max()) + 1e-9)),
    )


def _positive(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What a logarithmic axis has a place for, NaN elsewhere."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _alone(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Values between two that are not drawn: a line does not show them."""
    absent = np.isnan(np.concatenate([[np.nan], values, [np.nan]]))
    return np.asarray(~absent[1:-1] & absent[:-2] & absent[2:])


def _legend(figure: Figure, *, x: float, y: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=_SEEDS[0], lw=0.9, marker=".", ms=3, label="a seed"),
        Patch(facecolor="#cccccc", label="copies"),
        Line2D([], [], color="black", lw=1.3, label="envelope"),
        Line2D([], [], color=_MARK, lw=1.1, marker="o", ms=4, label="first step outside"),
        Line2D([], [], color="black", lw=0.9, ls=":", label="blunt from here"),
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(x, y),
        borderaxespad=0.0,
        borderpad=0.0,
        ncols=len(handles),
        frameon=False,
        fontsize=8,
    )
