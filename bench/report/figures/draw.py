"""Figures as SVG or PNG. Only this module, :mod:`bench.report.figures.strips` and
:mod:`bench.report.published.drawing`, which it calls, import matplotlib, and only while they draw.

No state of matplotlib's is used or left behind: no pyplot, a canvas of its own, default settings
whatever the user's are. Equal data give equal bytes under one version of matplotlib.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.cells.cell import split_number
from bench.errors import BenchError
from bench.report.figures.curves import CRITICAL, NAMED, Curve, Line, Panel, Picture, family
from bench.report.figures.envelope import EnvelopePicture
from bench.report.figures.series import Series
from bench.report.published.panels import PublishedPicture

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = str | tuple[float, float, float, float]

FORMATS = ("svg", "png")

#: Okabe and Ito 2008: told apart by colour-blind readers too. Their yellow is left out: it is too
#: pale for a line on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#777777")
_REGIONS = {"exploding": "#fbe9e4", "critical": "#eef6ea", "vanishing": "#e8effa"}
_WORDS = {"exploding": "#a03a1c", "critical": "#3d7a2a", "vanishing": "#2b5797"}

#: Inches.
_PANEL_WIDTH, _PANEL_HEIGHT, _HEAD = 3.3, 2.3, 0.6
#: Decades that a panel shows at least, around 1.
_LEAST = (-1.0, 1.0)
_TICKS = 5
#: Values beyond are not drawn: a logarithmic axis has no place for 0 and infinity.
_TINY, _HUGE = 1e-300, 1e300
#: Share of a panel's height that the name of a region takes.
_NAME_HEIGHT = 0.09


def draw(
    picture: Picture | Series | EnvelopePicture | PublishedPicture, form: str = "svg"
) -> bytes:
    """The file's content.

    Args:
        picture: what to draw; has at least one panel, or one point.
        form: one of :data:`FORMATS`.

    Raises:
        BenchError: matplotlib cannot be imported.
    """
    with _matplotlib():
        if isinstance(picture, EnvelopePicture):
            from bench.report.figures.strips import drawn

            figure = drawn(picture)
        elif isinstance(picture, PublishedPicture):
            from bench.report.published.drawing import drawn as published

            figure = published(picture)
        else:
            figure = _series(picture) if isinstance(picture, Series) else _figure(picture)
        stream = io.BytesIO()
        figure.savefig(stream, format=form, metadata=_METADATA[form], dpi=110)
    return stream.getvalue()


def _figure(picture: Picture) -> Figure:
    from matplotlib.figure import Figure

    count = len(picture.panels)
    columns = count if count < 4 else min((4, 3), key=lambda columns: -count % columns)
    rows = math.ceil(count / columns)
    width, height = _PANEL_WIDTH * max(columns, 2), _HEAD + _PANEL_HEIGHT * rows
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        left=0.65 / width,
        right=1 - 0.6 / width,
        top=1 - (_HEAD + 0.3) / height,
        bottom=0.42 / height,
        wspace=0.4,
        hspace=0.36,
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    colours = _colours(picture.panels)
    for place, axes in enumerate(grid.flat):
        if place >= count:
            axes.set_axis_off()
            continue
        panel = picture.panels[place]
        _panel(axes, panel, colours or _colours([panel]))
        if not colours:
            _panel_legend(axes, _colours([panel]))
        if place % columns == 0:
            axes.set_ylabel("signal, layer l / last", fontsize=8)
        if place + columns >= count:
            axes.set_xlabel("hidden layer l", fontsize=8)
    figure.text(0.2 / width, 1 - 0.12 / height, picture.heading, fontsize=11, va="top")
    _legend(figure, colours, x=0.2 / width, y=1 - 0.34 / height)
    return figure


#: No date and no version: they would differ between two equal figures.
_METADATA: Mapping[str, dict[str, str | None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@contextmanager
def _matplotlib() -> Iterator[None]:
    """Matplotlib's own defaults, whatever the user's settings say, and none of them kept."""
    try:
        import matplotlib
    except (ImportError, ValueError, OSError) as error:  # ValueError: a backend that is none
        raise BenchError(
            f"no figure can be drawn: matplotlib cannot be imported: {error}",
            hint="unset MPLBACKEND, or python -m pip install --force-reinstall matplotlib",
        ) from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Text as text: a quarter of the size, and it can be searched.
        matplotlib.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none"})
        yield


def _colours(panels: Sequence[Panel]) -> dict[str, Colour]:
    """A colour per initializer: scales of one family by size, from dark to light.

    Empty where there are more than can be told apart: each panel then has colours of its own.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.initializers))
    families = {family(name) for name in names}
    if len(families) == 1 and families != {NAMED} and len(names) > 1:
        from matplotlib import colormaps

        names.sort(key=lambda name: split_number(name)[1] or 0.0)
        shades = (0.9 * index / (len(names) - 1) for index in range(len(names)))
        return {
            name: colormaps["viridis"](shade) for name, shade in zip(names, shades, strict=True)
        }
    if len(names) > len(_COLOURS):
        return {}
    return dict(zip(names, _COLOURS[: len(names)], strict=True))


def _legend(figure: Figure, colours: Mapping[str, Colour], *, x: float, y: float) -> None:
    """The regions' tints, and the initializers' colours where they are the same in all panels."""
    from matplotlib.patches import Patch

    handles: list[Artist] = [_sample(colour) for colour in colours.values()]
    handles += [Patch(facecolor=tint, edgecolor=_WORDS[name]) for name, tint in _REGIONS.items()]
    figure.legend(
        handles,
        [*colours, *_REGIONS],
        loc="upper left",
        bbox_to_anchor=(x, y),
        borderaxespad=0.0,
        borderpad=0.0,
        ncols=len(handles),
        frameon=False,
        fontsize=8,
    )


def _panel_legend(axes: Axes, colours: Mapping[str, Colour]) -> None:
    """Within the panel, where its colours are its own; a scaled family's numbers suffice."""
    names = list(colours)
    if NAMED not in map(family, names):
        names = [f"{split_number(name)[1]:g}" for name in names]
    low, high = axes.get_ylim()
    axes.legend(
        [_sample(colour) for colour in colours.values()],
        names,
        # All curves end at 1 on the right: the longer way from there is the emptier corner.
        loc="upper right" if low * high >= 0.5 else "lower right",
        ncols=2 if len(names) > 4 else 1,
        fontsize=5.5,
        labelspacing=0.2,
        columnspacing=1.0,
        framealpha=0.6,
        borderpad=0.3,
    )


def _sample(colour: Colour) -> Artist:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker="o", ms=3, lw=1.1)


def _panel(axes: Axes, panel: Panel, colours: Mapping[str, Colour]) -> None:
    low, high = _decades(panel.curves)
    depth = max(curve.cell.depth for curve in panel.curves)
    axes.set_yscale("log")
    axes.set_ylim(10**low, 10**high)
    axes.set_xlim(0.4, depth + 0.6)
    _regions(axes, low, high)
    names = panel.initializers
    for curve in panel.curves:
        # Curves that lie on one another are drawn side by side, each with its points.
        place = names.index(curve.cell.initializer) - (len(names) - 1) / 2
        _curve(
            axes, curve, colours[curve.cell.initializer], shift=place * min(0.1, 0.6 / len(names))
        )
    exponents = range(math.ceil(low), math.floor(high) + 1)
    step = math.ceil(len(exponents) / _TICKS)
    ticks = [exponent for exponent in exponents if exponent % step == 0]
    axes.set_yticks([10.0**exponent for exponent in ticks], [_power(e) for e in ticks])
    axes.set_yticks([], minor=True)
    axes.set_xticks(_layers(depth))
    axes.tick_params(labelsize=7, length=2)
    axes.set_title("\n".join(textwrap.wrap(panel.title, 44)), fontsize=8, loc="left", pad=3)


def _layers(depth: int) -> list[int]:
    """Ticks: the first layer, the last one and round numbers between."""
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, depth) if depth / step <= 6)
    return sorted(
        {1, depth, *(n for n in range(step, depth, step) if depth - n > step / 2 and n > 1)}
    )


def _power(exponent: int) -> str:
    return "1" if exponent == 0 else "10" if exponent == 1 else f"1e{exponent}"


def _decades(curves: Sequence[Curve]) -> tuple[float, float]:
    """Exponents of the panel's lower and upper edge."""
    values = [line.mean for curve in curves for line in curve.predicted]
    for curve in curves:
        values += [edge for p in curve.measured if p is not None for edge in (p.low, p.high)]
    logs = [math.log10(value) for value in values if _TINY < value < _HUGE]
    low, high = min([*logs, _LEAST[0]]), max([*logs, _LEAST[1]])
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _regions(axes: Axes, low: float, high: float) -> None:
    """Tints the regions and names those that are high enough for their name.

    Args:
        axes: with a logarithmic scale.
        low, high: exponents of the edges.
    """
    inner = math.log10(CRITICAL)
    edges = {"vanishing": (low, -inner), "critical": (-inner, inner), "exploding": (inner, high)}
    for name, (bottom, top) in edges.items():
        axes.axhspan(10**bottom, 10**top, facecolor=_REGIONS[name], lw=0, zorder=0)
        if (top - bottom) / (high - low) >= _NAME_HEIGHT:
            axes.text(
                1.015,
                (bottom - low + top - low) / 2 / (high - low),
                name,
                transform=axes.transAxes,
                color=_WORDS[name],
                fontsize=6.5,
                va="center",
            )


def _curve(axes: Axes, curve: Curve, colour: Colour, *, shift: float) -> None:
    nowhere = Line(math.nan, math.nan, math.nan)
    drawn = [line if _drawable(line) else nowhere for line in curve.predicted]
    if drawn:
        xs = [layer + shift for layer in range(1, len(drawn) + 1)]
        axes.plot(xs, [line.mean for line in drawn], color=colour, lw=1.1, zorder=3)
        if all(line.high < math.inf for line in drawn if line is not nowhere):
            axes.fill_between(
                xs,
                [max(line.low, _TINY) for line in drawn],
                [min(line.high, _HUGE) for line in drawn],
                facecolor=colour,
                lw=0,
                alpha=0.13,
                zorder=2,
            )
    points = [
        (layer + shift, p) for layer, p in enumerate(curve.measured, start=1) if p is not None
    ]
    if points:
        xs = [x for x, _ in points]
        low, high = [p.low for _, p in points], [p.high for _, p in points]
        axes.vlines(xs, low, high, color=colour, lw=0.8, zorder=4)
        means = [p.mean for _, p in points]
        axes.plot(xs, means, color=colour, ls="", marker="o", ms=2.4, zorder=5)


def _drawable(line: Line) -> bool:
    """A logarithmic axis has no place for 0 and infinity."""
    return _TINY < line.mean < _HUGE


# --- A series over time -------------------------------------------------------------------------

#: Ticks with a date and a version that fit side by side.
_MOST_LABELS = 24


def _series(series: Series) -> Figure:
    from matplotlib.figure import Figure

    width, height = max(5.0, 1.6 + 0.28 * len(series.dots)), 3.9
    figure = Figure(figsize=(min(width, 16.0), height))
    figure.subplots_adjust(
        left=0.75 / width if width <= 16 else 0.05, right=0.98, top=1 - 0.62 / height, bottom=0.31
    )
    axes = figure.subplots()
    if series.logarithmic:
        axes.set_yscale("log")
    for place, text in series.steps:
        axes.axvline(place - 0.5, color=_COLOURS[1], lw=1.2, ls="--", zorder=1)
        axes.text(
            place - 0.5,
            1.01,
            text,
            transform=axes.get_xaxis_transform(),
            color=_COLOURS[1],
            fontsize=7,
            ha="center",
        )
    # An empty place for each point without a value, whose tick says why.
    axes.set_xlim(-0.7, len(series.dots) - 0.3)
    for accepted, marker, name in ((False, "o", "stored run"), (True, "s", "acceptance")):
        chosen = [(x, d) for x, d in enumerate(series.dots) if d.accepted is accepted and d.values]
        xs = [x for x, dot in chosen for _ in dot.values]
        axes.plot(
            xs,
            [value for _, dot in chosen for value in dot.values],
            ls="",
            marker="_",
            ms=6,
            color=_COLOURS[7],
            zorder=2,
        )
        axes.plot(
            [x for x, _ in chosen],
            [dot.mean for _, dot in chosen],
            ls="",
            marker=marker,
            ms=5,
            color=_COLOURS[2 if accepted else 0],
            label=name,
            zorder=3,
        )
    step = math.ceil(len(series.dots) / _MOST_LABELS)
    ticks = range(0, len(series.dots), step)
    axes.set_xticks(list(ticks), [series.dots[n].label for n in ticks], rotation=60, ha="right")
    axes.tick_params(labelsize=6.5, length=2)
    axes.set_ylabel(series.unit, fontsize=8)
    figure.text(0.01, 0.985, series.heading, fontsize=10, va="top")
    axes.legend(loc="best", fontsize=7, framealpha=0.6)
    return figure
