"""Draws the figures of the published experiments. Called by :mod:`bench.report.figures.draw`, which
sets matplotlib up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bench.report.published.panels import MIDDLE, Heat, Panel, PublishedPicture, Trace

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = str | tuple[float, float, float, float]

#: Okabe and Ito 2008: told apart by colour-blind readers too. The last one is for seeds.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_DASHES: tuple[str | tuple[float, tuple[float, ...]], ...] = (
    "-",
    (0, (4, 1.6)),
    (0, (1, 1.2)),
    "-.",
)
_PUBLISHED = "black"
_MARKER: Mapping[str, Any] = {
    "color": _PUBLISHED,
    "ls": "",
    "marker": "D",
    "ms": 4.5,
    "mfc": "white",
    "mew": 1.1,
}
_ALL, _INNER, _RMS = "#b9d7ea", "#3f8fc4", "#D55E00"
#: Inches: the heading, a row of the legend, what lies around a panel.
_HEAD, _LEGEND_ROW = 0.4, 0.17
_LEFT, _RIGHT, _BELOW, _ABOVE = 0.68, 0.18, 0.5, 0.3
#: Inches that a character takes in the legend, and what stands before each name.
_CHARACTER, _SAMPLE = 0.068, 0.6
#: Luminance (sRGB) above which black is read better than white: equal contrast with both.
_PALE = 0.179


def drawn(picture: PublishedPicture) -> Figure:
    """The panels, row by row, below a heading and one legend."""
    from matplotlib.figure import Figure

    columns = picture.columns
    rows = math.ceil(len(picture.panels) / columns)
    panel_width, panel_height = picture.size
    width = panel_width * columns
    entries = _entries(picture)
    across = _across(list(entries), width)
    head = _HEAD + _LEGEND_ROW * math.ceil(len(entries) / across) if entries else _HEAD
    height = head + panel_height * rows
    figure = Figure(figsize=(width, height))
    colours = _palette(picture)
    for place, panel in enumerate(picture.panels):
        row, column = divmod(place, columns)
        # Heat maps have long names on their left, and a bar on their right.
        left, right = (2.2, 0.9) if isinstance(panel, Heat) else (_LEFT, _RIGHT)
        bottom = panel_height * (rows - 1 - row) + _BELOW
        axes = figure.add_axes(
            (
                (panel_width * column + left) / width,
                bottom / height,
                (panel_width - left - right) / width,
                (panel_height - _BELOW - _ABOVE) / height,
            )
        )
        if isinstance(panel, Heat):
            _heat(figure, axes, panel)
        else:
            _panel(axes, panel, colours)
    figure.text(0.2 / width, 1 - 0.1 / height, picture.heading, fontsize=11, va="top")
    if entries:
        figure.legend(
            list(entries.values()),
            list(entries),
            loc="upper left",
            bbox_to_anchor=(0.2 / width, 1 - 0.36 / height),
            borderaxespad=0.0,
            borderpad=0.0,
            labelspacing=0.35,
            ncols=across,
            frameon=False,
            fontsize=8,
            handlelength=2.6,
        )
    return figure


def _palette(picture: PublishedPicture) -> tuple[Colour, ...]:
    if not picture.ordered:
        return _COLOURS
    from matplotlib import colormaps

    last = max(trace.colour for trace in _traces(picture))
    # The palest tenth of viridis is too pale for a line on white.
    return tuple(colormaps["viridis"](0.9 * place / max(last, 1)) for place in range(last + 1))


def _traces(picture: PublishedPicture) -> list[Trace]:
    return [t for panel in picture.panels if isinstance(panel, Panel) for t in panel.traces]


def _entries(picture: PublishedPicture) -> Mapping[str, Artist]:
    """The legend: name and sample of what the panels have."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colours, found = _palette(picture) if _traces(picture) else (), dict[str, "Artist"]()
    for trace in _traces(picture):
        if trace.name:
            style = _DASHES[trace.dashes]
            found[trace.name] = Line2D([], [], color=colours[trace.colour], ls=style, lw=1.5)
    panels = [panel for panel in picture.panels if isinstance(panel, Panel)]
    if any(panel.marks for panel in panels):
        found["published"] = Line2D([], [], **_MARKER)
    for level in (level for panel in panels for level in panel.levels):
        found[level.name] = Line2D([], [], color=_PUBLISHED, lw=0.9, ls=":")
    if any(panel.spreads for panel in panels):
        found["all entries"] = Patch(facecolor=_ALL, lw=0)
        found[f"middle {100 * MIDDLE:.0f} %"] = Patch(facecolor=_INNER, lw=0)
        found["± root mean square"] = Line2D([], [], color=_RMS, lw=1.2)
    return found


def _across(names: list[str], width: float) -> int:
    """Columns of the legend: as many as fit, each as wide as its longest name."""
    for columns in range(len(names), 1, -1):
        # Names go down the columns, the first of which have one more where they do not come out even.
        least, more = divmod(len(names), columns)
        starts = [column * least + min(column, more) for column in range(columns + 1)]
        longest = (max(map(len, names[a:b])) for a, b in pairwise(starts))
        if sum(_SAMPLE + _CHARACTER * length for length in longest) <= width - 0.3:
            return columns
    return 1


def _panel(axes: Axes, panel: Panel, colours: tuple[Colour, ...]) -> None:
    from matplotlib.ticker import MaxNLocator

    if panel.scale == "log":
        axes.set_yscale("log")
    elif panel.scale == "symmetric":
        axes.set_yscale("symlog", linthresh=panel.threshold)
    _bars(axes, panel)
    for level in panel.levels:
        axes.axhline(level.value, color=_PUBLISHED, lw=0.9, ls=":", zorder=2)
    for trace in panel.traces:
        _trace(axes, trace, colours[trace.colour])
    for mark in panel.marks:
        if mark.low < mark.high:
            axes.vlines([mark.x], [mark.low], [mark.high], color=_PUBLISHED, lw=1.2, zorder=6)
        shown = [mark.low, mark.high] if mark.value is None else [mark.value]
        axes.plot([mark.x] * len(shown), shown, zorder=7, **_MARKER)
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
    if panel.scale == "symmetric":
        _symmetric_ticks(axes, panel)
    elif panel.scale == "log":
        _log_ticks(axes)
    axes.margins(x=0.03)
    axes.grid(visible=True, color="#e6e6e6", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=7, length=2)
    if not panel.spreads:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel(panel.x_label, fontsize=8)
    axes.set_ylabel(panel.y_label, fontsize=8)
    axes.set_title(panel.title, fontsize=8.5, loc="left", pad=15 if panel.note else 4)
    if panel.note:
        axes.annotate(
            panel.note,
            (0, 1),
            xytext=(0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=7,
        )


def _trace(axes: Axes, trace: Trace, colour: Colour) -> None:
    axes.plot(
        [x for x, _ in trace.points],
        [math.nan if y is None else y for _, y in trace.points],
        color=colour,
        ls="-" if trace.faint else _DASHES[trace.dashes],
        lw=0.7 if trace.faint else 1.5,
        alpha=0.45 if trace.faint else 1.0,
        zorder=3 if trace.faint else 4,
    )


def _bars(axes: Axes, panel: Panel) -> None:
    """A bar for each look, over logarithmic steps; the look at step 0 stands a little to the left."""
    if not panel.spreads:
        return
    xs = [found.x for found in panel.spreads]
    first = min((x for x in xs if x > 0), default=1.0)
    axes.set_xscale("symlog", linthresh=first, linscale=0.4)
    lows, highs = [s.low for s in panel.spreads], [s.high for s in panel.spreads]
    axes.vlines(xs, lows, highs, color=_ALL, lw=3, zorder=2)
    inner = [found.inner for found in panel.spreads]
    axes.vlines(
        xs, [low for low, _ in inner], [high for _, high in inner], color=_INNER, lw=3, zorder=3
    )
    for sign in (-1, 1):
        axes.plot(xs, [sign * found.rms for found in panel.spreads], color=_RMS, lw=1.2, zorder=4)
    last = math.floor(math.log10(max(*xs, 10.0)))
    ticks = [0.0, *(10.0**power for power in range(math.ceil(math.log10(first)), last + 1))]
    axes.set_xticks(ticks)
    axes.set_xticks([], minor=True)


def _symmetric_ticks(axes: Axes, panel: Panel) -> None:
    """0, and at most four powers of ten on either side."""
    low = round(math.log10(panel.threshold))
    high = math.floor(math.log10(max(map(abs, axes.get_ylim()))))
    step = max(1, math.ceil((high - low + 1) / 4))
    powers = list(range(high, low - 1, -step))
    values = [*(-(10.0**power) for power in powers), 0.0, *(10.0**power for power in powers[::-1])]
    names = [*(f"−{_power(p)}" for p in powers), "0", *(_power(p) for p in powers[::-1])]
    axes.set_yticks(values, names)
    axes.set_yticks([], minor=True)


def _log_ticks(axes: Axes) -> None:
    """Powers of ten and, where they are few, 2 and 5 times them."""
    low, high = axes.get_ylim()
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    ticks = [10.0**power for power in range(first, last + 1)]
    if len(ticks) > 6:
        step = math.ceil(len(ticks) / 6)
        ticks = [
            tick
            for tick, power in zip(ticks, range(first, last + 1), strict=True)
            if not power % step
        ]
    elif len(ticks) < 3:
        ticks = [
            factor * 10.0**power
            for power in range(first - 1, last + 1)
            for factor in (1, 2, 5)
            if low <= factor * 10.0**power <= high
        ]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks([], minor=True)


def _power(exponent: int) -> str:
    return f"{10.0**exponent:g}" if -3 <= exponent <= 3 else f"1e{exponent}"


def _heat(figure: Figure, axes: Axes, heat: Heat) -> None:
    """Cividis is read alike with and without colour blindness (Nunez et al. 2018), and prints grey."""
    from matplotlib import colormaps

    colours = colormaps["cividis"].with_extremes(bad="#eeeeee")
    values = [[math.nan if value is None else value for value in row] for row in heat.values]
    image = axes.imshow(values, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for y, (row, texts) in enumerate(zip(heat.values, heat.texts, strict=True)):
        for x, (value, text) in enumerate(zip(row, texts, strict=True)):
            red, green, blue, _ = colours(math.nan if value is None else value)
            colour = legible(red, green, blue)
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(heat.columns)), heat.columns)
    axes.set_yticks(range(len(heat.rows)), heat.rows)
    axes.tick_params(labelsize=8, length=0)
    axes.set_xlabel(heat.x_label, fontsize=8)
    axes.set_title(heat.title, fontsize=8.5, loc="left", pad=4)
    bar = figure.colorbar(image, ax=None, cax=axes.inset_axes((1.03, 0, 0.03, 1)))
    bar.ax.tick_params(labelsize=7, length=2)
    bar.set_label(heat.bar, fontsize=8)


def legible(red: float, green: float, blue: float) -> str:
    """The colour of words on this sRGB colour."""
    return "black" if luminance(red, green, blue) > _PALE else "white"


def luminance(red: float, green: float, blue: float) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    linear = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    )
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
