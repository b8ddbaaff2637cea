"""The panels of a picture, drawn for :mod:`bench.report.figures.draw`, which sets matplotlib up."""

from __future__ import annotations

import functools
import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib import colormaps
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bench.report.figures.picture import (
    GREY,
    MIDDLE,
    VERMILION,
    Band,
    Heat,
    Label,
    Panel,
    Region,
    Trace,
    Upright,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Colour = str | tuple[float, float, float, float]

#: Okabe and Ito 2008: told apart by colour-blind readers too. Their yellow is left out: it is too pale
#: for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#777777")
_DASHES: tuple[str | tuple[float, tuple[float, ...]], ...] = (
    "-",
    (0, (4, 1.6)),
    (0, (1, 1.2)),
    "-.",
)
_PUBLISHED: Mapping[str, Any] = {
    "color": "black",
    "ls": "",
    "marker": "D",
    "ms": 4.5,
    "mfc": "white",
    "mew": 1.1,
}
_LEVEL: Mapping[str, Any] = {"color": "black", "lw": 0.9, "ls": ":"}
_ALL, _INNER, _RMS = "#b9d7ea", "#3f8fc4", COLOURS[VERMILION]
#: Powers of ten that an axis names at most.
_MOST_TICKS = 5
#: Share of a panel's height that the name of a region takes.
_NAME_HEIGHT = 0.09
#: Characters of a line of a panel's title.
_TITLE_WIDTH = 48
#: Inches that a character of a tick takes; one that has no room for its text is written aslant.
_TICK_CHARACTER = 0.058
#: Inches that a bar of tints is wide, and characters that stand along an inch of it.
_BAR_INCHES, _BAR_CHARACTERS = 0.13, 14
#: Luminance (sRGB) above which black is read better than white: equal contrast with both.
_PALE = 0.179


def trace_entries(panels: Iterable[Panel]) -> dict[str, Artist]:
    """Name and sample of each trace; traces of one name share their sample."""
    looks: dict[str, dict[str, Any]] = {}
    for trace in (trace for panel in panels for trace in panel.traces if trace.name):
        looks.setdefault(trace.name, {"ls": ""}).update(_look(trace))
    return {name: Line2D([], [], **look) for name, look in looks.items()}


def legend_entries(panels: Iterable[Panel]) -> dict[str, Artist]:
    """Name and sample of what the panels have, without traces of those that have a legend of their
    own."""
    shown = list(panels)
    entries = trace_entries(panel for panel in shown if not panel.legend)
    for band in (band for panel in shown for band in panel.bands if band.name):
        entries[band.name] = Patch(**_tint(band))
    for upright in (upright for panel in shown for upright in panel.uprights if upright.name):
        marker = "" if upright.dot is None else "o"
        entries[upright.name] = Line2D([], [], marker=marker, ms=4, **_upright_look(upright))
    if any(panel.marks for panel in shown):
        entries["published"] = Line2D([], [], **_PUBLISHED)
    for level in (level for panel in shown for level in panel.levels):
        entries[level.name] = Line2D([], [], **_LEVEL)
    if any(panel.spreads for panel in shown):
        entries["all entries"] = Patch(facecolor=_ALL, lw=0)
        entries[f"middle {100 * MIDDLE:.0f} %"] = Patch(facecolor=_INNER, lw=0)
        entries["± root mean square"] = Line2D([], [], color=_RMS, lw=1.2)
    for region in (region for panel in shown for region in panel.regions):
        entries[region.name] = Patch(facecolor=region.tint, edgecolor=region.ink)
    return entries


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Everything that a panel has, what matters most in front."""
    for set_scale, scale, threshold in (
        (axes.set_xscale, panel.x_scale, _first_step(panel)),
        (axes.set_yscale, panel.scale, panel.threshold),
    ):
        if scale == "symmetric":
            set_scale("symlog", linthresh=threshold, linscale=0.4 if panel.spreads else 1.0)
        else:
            set_scale(scale)
    _draw_spreads(axes, panel)
    _draw_bands(axes, panel.bands)
    for level in panel.levels:
        axes.axhline(level.value, zorder=2, **_LEVEL)
    for upright in panel.uprights:
        _draw_upright(axes, upright)
    for trace in panel.traces:
        axes.plot(
            [x for x, _ in trace.points],
            [math.nan if y is None else y for _, y in trace.points],
            alpha=0.45 if trace.faint else 1.0,
            zorder=3 if trace.faint else 4,
            **{"ls": "", **_look(trace)},
        )
    for mark in panel.marks:
        if mark.low < mark.high:
            axes.vlines([mark.x], [mark.low], [mark.high], color="black", lw=1.2, zorder=6)
        values = [mark.low, mark.high] if mark.value is None else [mark.value]
        axes.plot([mark.x] * len(values), values, zorder=7, **_PUBLISHED)
    axes.margins(x=0.03)
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
    if panel.x_limits is not None:
        axes.set_xlim(*panel.x_limits)
    _set_ticks(axes, panel)
    _draw_labels(axes, panel.labels)
    for region in panel.regions:
        _draw_region(axes, region)
    _write(axes, panel)


def _write(axes: Axes, panel: Panel) -> None:
    """Labels, title, note and legend."""
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    lines = (textwrap.wrap(line, _TITLE_WIDTH) for line in panel.title.splitlines())
    title = "\n".join(itertools.chain.from_iterable(lines))
    above = any(upright.text for upright in panel.uprights)
    axes.set_title(title, pad=15 if panel.note or above else 4)
    if panel.note:
        axes.annotate(
            panel.note,
            (0, 1),
            xytext=(0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=7,
        )
    if panel.legend:
        entries = trace_entries([panel])
        axes.legend(
            list(entries.values()),
            list(entries),
            loc="best",
            ncols=2 if len(entries) > 4 else 1,
            fontsize=5.5,
            labelspacing=0.2,
            columnspacing=1.0,
            frameon=True,
            framealpha=0.6,
        )


@functools.cache
def _colour(colour: int, shade: float | None) -> Colour:
    """The palest tenth of viridis is too pale for a line on white. Kept: matplotlib makes the map anew
    each time, which took a sixteenth of drawing."""
    return COLOURS[colour] if shade is None else colormaps["viridis"](0.9 * shade)


def _look(trace: Trace) -> dict[str, Any]:
    look: dict[str, Any] = {"color": _colour(trace.colour, trace.shade)}
    if trace.line:
        look |= {
            "ls": "-" if trace.faint else _DASHES[trace.dashes],
            "lw": 0.7 if trace.faint else trace.width,
        }
    return look | ({"marker": trace.marker, "ms": trace.size} if trace.marker else {})


def _tint(band: Band) -> dict[str, Any]:
    alpha = 0.4 if band.colour == GREY and band.shade is None else 0.13
    return {"facecolor": _colour(band.colour, band.shade), "alpha": alpha, "lw": 0}


def _draw_bands(axes: Axes, bands: Sequence[Band]) -> None:
    """One artist for all that are tinted and one for all bars: one each takes half of the time."""
    ends = [[(x, low), (x, high)] for band in bands for x, low, high in band.ranges]
    if not ends:
        return
    outlines = [
        [*((x, low) for x, low, _ in band.ranges), *((x, up) for x, _, up in band.ranges[::-1])]
        for band in bands
        if not band.bars
    ]
    looks = [_tint(band) for band in bands if not band.bars]
    tints = [to_rgba(look["facecolor"], look["alpha"]) for look in looks]
    bars = [[(x, low), (x, high)] for band in bands if band.bars for x, low, high in band.ranges]
    colours = [_colour(band.colour, band.shade) for band in bands if band.bars for _ in band.ranges]
    tinted = PolyCollection(outlines, facecolors=tints, linewidths=0, zorder=2)
    barred = LineCollection(bars, colors=colours, linewidths=0.8, zorder=4)
    for collection in (tinted, barred):
        axes.add_collection(collection, autolim=False)  # whose limits are none on these scales
    axes.update_datalim([point for pair in ends for point in pair])
    axes.autoscale(enable=None)  # type: ignore[arg-type]  # as documented: asks for it


def _upright_look(upright: Upright) -> dict[str, Any]:
    return {"color": COLOURS[upright.colour], "lw": 1.1, "ls": _DASHES[upright.dashes]}


def _draw_upright(axes: Axes, upright: Upright) -> None:
    colour = COLOURS[upright.colour]
    axes.axvline(upright.x, zorder=2, **_upright_look(upright))
    if upright.dot is not None and math.isfinite(upright.dot):
        axes.plot([upright.x], [upright.dot], ls="", marker="o", ms=5, color=colour, zorder=5)
    if upright.text:
        axes.text(
            upright.x,
            1.01,
            upright.text,
            transform=axes.get_xaxis_transform(),
            color=colour,
            fontsize=7,
            ha="center",
        )


def _draw_region(axes: Axes, region: Region) -> None:
    """Tints it, and names it if it is high enough for its name."""
    axes.axhspan(region.low, region.high, facecolor=region.tint, lw=0, zorder=0)
    bottom, top = (
        float(axes.transAxes.inverted().transform(axes.transData.transform((1.0, edge)))[1])
        for edge in (region.low, region.high)
    )
    if top - bottom >= _NAME_HEIGHT:
        axes.text(
            1.015,
            (bottom + top) / 2,
            region.name,
            transform=axes.transAxes,
            color=region.ink,
            fontsize=6.5,
            va="center",
        )


def _draw_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Beside their points, towards the middle, one further away than the other."""
    for place, label in enumerate(labels):
        at = axes.transAxes.inverted().transform(axes.transData.transform((label.x, label.y)))
        away = 14 + 10 * place
        axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(away if at[0] < 0.5 else -away, 0),
            textcoords="offset points",
            fontsize=8,
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": COLOURS[GREY]},
        )


def _first_step(panel: Panel) -> float:
    return min((spread.x for spread in panel.spreads if spread.x > 0), default=1.0)


def _draw_spreads(axes: Axes, panel: Panel) -> None:
    """A bar for each look, over logarithmic steps; the look at step 0 stands a little to the left."""
    if not panel.spreads:
        return
    xs = [spread.x for spread in panel.spreads]
    lows, highs = [s.low for s in panel.spreads], [s.high for s in panel.spreads]
    axes.vlines(xs, lows, highs, color=_ALL, lw=3, zorder=2)
    lows, highs = [s.inner[0] for s in panel.spreads], [s.inner[1] for s in panel.spreads]
    axes.vlines(xs, lows, highs, color=_INNER, lw=3, zorder=3)
    for sign in (-1, 1):
        axes.plot(xs, [sign * s.rms for s in panel.spreads], color=_RMS, lw=1.2, zorder=4)


def _set_ticks(axes: Axes, panel: Panel) -> None:
    if panel.scale == "symmetric":
        _name(axes.set_yticks, _symmetric_ticks(panel.threshold, max(map(abs, axes.get_ylim()))))
    elif panel.scale == "log":
        _name(axes.set_yticks, _log_ticks(*axes.get_ylim()))
    if panel.x_ticks is not None:
        _name(axes.set_xticks, panel.x_ticks)
        longest = max(
            (len(line) for _, text in panel.x_ticks for line in text.split("\n")), default=0
        )
        room = axes.get_window_extent().width / axes.figure.dpi / max(len(panel.x_ticks), 1)
        if longest * _TICK_CHARACTER > room:
            axes.tick_params("x", rotation=60)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
    elif panel.x_scale == "symmetric":
        last = math.floor(math.log10(max(*(spread.x for spread in panel.spreads), 10.0)))
        powers = range(math.ceil(math.log10(_first_step(panel))), last + 1)
        steps = [0.0, *(10.0**power for power in powers)]
        _name(axes.set_xticks, [(step, f"{step:,.0f}") for step in steps])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _name(set_ticks: Any, ticks: Iterable[tuple[float, str]]) -> None:
    """These ticks, and no smaller ones between them."""
    named = list(ticks)
    set_ticks([place for place, _ in named], [text for _, text in named])
    set_ticks([], minor=True)


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Powers of ten and, where they are few, 2 and 5 times them."""
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    if len(powers) >= 3:
        step = math.ceil(len(powers) / _MOST_TICKS)
        return [(10.0**power, _power(power)) for power in powers if power % step == 0]
    return [
        (value, f"{value:g}")
        for power in range(powers.start - 1, powers.stop)
        for factor in (1, 2, 5)
        if low <= (value := factor * 10.0**power) <= high
    ]


def _symmetric_ticks(threshold: float, reach: float) -> list[tuple[float, str]]:
    """0, and at most four powers of ten on either side."""
    low, high = round(math.log10(threshold)), math.floor(math.log10(reach))
    step = max(1, math.ceil((high - low + 1) / 4))
    powers = range(high, low - 1, -step)
    above = [(10.0**power, _power(power)) for power in powers]
    return [*((-value, f"−{text}") for value, text in above), (0.0, "0"), *above[::-1]]


def _power(exponent: int) -> str:
    return f"{10.0**exponent:g}" if -3 <= exponent <= 3 else f"1e{exponent}"


def draw_heat(axes: Axes, heat: Heat) -> None:
    """Cividis is read alike with and without colour blindness (Nunez et al. 2018), and prints grey."""
    colours = colormaps["cividis"].with_extremes(bad="#eeeeee")
    values = [[math.nan if value is None else value for value in row] for row in heat.values]
    image = axes.imshow(values, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for y, (row, texts) in enumerate(zip(values, heat.texts, strict=True)):
        for x, (value, text) in enumerate(zip(row, texts, strict=True)):
            red, green, blue, _ = colours(value)
            colour = legible(red, green, blue)
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(heat.columns)), heat.columns)
    axes.set_yticks(range(len(heat.rows)), heat.rows)
    axes.grid(visible=False)
    axes.tick_params(labelsize=8, length=0)
    axes.set_xlabel(heat.x_label)
    axes.set_title(heat.title)
    height = axes.get_window_extent().height / axes.figure.dpi
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, aspect=max(6.0, height / _BAR_INCHES))
    bar.set_ticks([place for place, _ in heat.ticks], labels=[text for _, text in heat.ticks])
    bar.set_label("\n".join(textwrap.wrap(heat.bar, max(12, int(height * _BAR_CHARACTERS)))))


def legible(red: float, green: float, blue: float) -> str:
    """The colour of words on this sRGB colour."""
    return "black" if luminance(red, green, blue) > _PALE else "white"


def luminance(red: float, green: float, blue: float) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    linear = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    )
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
