"""What a figure is made of, as data; :mod:`bench.report.figures.draw` draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: x and y, in the order of x; None: a gap.
Points = tuple[tuple[float, float | None], ...]
#: x, and the lower and the upper end of what lies there.
Ranges = tuple[tuple[float, float, float], ...]
#: Positions on an axis and what is written there.
Ticks = tuple[tuple[float, str], ...]
#: ``symmetric``: linear between -threshold and threshold, logarithmic beyond.
Scale = Literal["linear", "log", "symmetric"]

#: Values beyond are not drawn: a logarithmic axis has no place for 0 and infinity.
TINY, HUGE = 1e-300, 1e300
#: Colours of one picture that can be told apart, black and grey included.
MOST_COLOURS = 8
VERMILION, BLACK, GREY = 1, 6, 7

#: Share of the entries that lies within the inner part of a distribution: what a normal distribution
#: has within a standard deviation of its mean.
MIDDLE = 0.683


@dataclass(frozen=True)
class Trace:
    """A line, or points, or both."""

    name: str
    """In the legend, where traces of one name stand once; empty: not there."""
    points: Points
    colour: int = 0
    """Number in the palette."""
    shade: float | None = None
    """In place of the colour, for what has an order: from 0, dark, to 1, pale."""
    faint: bool = False
    """One seed's, behind the mean."""
    dashes: int = 0
    """0: solid, 1: dashed, 2: dotted, 3: both."""
    line: bool = True
    marker: str = ""
    """Matplotlib's name of what stands at each point."""
    size: float = 2.4
    """Of the marker, in points."""
    width: float = 1.5
    """Of the line, in points."""


@dataclass(frozen=True)
class Band:
    """What lies between two lines, tinted; or, ``bars``, at each x for itself."""

    name: str
    ranges: Ranges
    colour: int = 0
    shade: float | None = None
    bars: bool = False


@dataclass(frozen=True)
class Mark:
    """A published value, or the range of several."""

    x: float
    value: float | None
    """None: only the range is known."""
    low: float
    high: float


@dataclass(frozen=True)
class Level:
    """A value that does not change."""

    name: str
    value: float


@dataclass(frozen=True)
class Upright:
    """A line at one x."""

    name: str
    x: float
    colour: int = BLACK
    dashes: int = 2
    dot: float | None = None
    """A value on it that is marked."""
    text: str = ""
    """Above the panel."""


@dataclass(frozen=True)
class Label:
    """A few letters beside a point."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Region:
    """Values that have a name in common; it stands beside the panel where there is room."""

    name: str
    low: float
    high: float
    tint: str
    ink: str


@dataclass(frozen=True)
class Spread:
    """Distribution of a tensor's entries at one step."""

    x: float
    low: float
    high: float
    """Smallest and largest entry."""
    inner: tuple[float, float]
    """The middle :data:`MIDDLE` lies between."""
    rms: float
    """Root of the mean square."""


@dataclass(frozen=True)
class Panel:
    """Lines, values and distributions over one axis."""

    title: str
    x_label: str
    y_label: str
    traces: tuple[Trace, ...] = ()
    marks: tuple[Mark, ...] = ()
    levels: tuple[Level, ...] = ()
    spreads: tuple[Spread, ...] = ()
    scale: Scale = "linear"
    threshold: float = 1.0
    limits: tuple[float, float] | None = None
    """Of the vertical axis; None: whatever the data need."""
    note: str = ""
    """Below the title."""
    bands: tuple[Band, ...] = ()
    uprights: tuple[Upright, ...] = ()
    regions: tuple[Region, ...] = ()
    labels: tuple[Label, ...] = ()
    x_scale: Scale = "linear"
    x_limits: tuple[float, float] | None = None
    x_ticks: Ticks | None = None
    """None: whole numbers; those whose text has no room beside its neighbours' are written aslant."""
    legend: bool = False
    """Its traces have a legend within the panel, since colours mean something else in the next one."""


@dataclass(frozen=True)
class Heat:
    """A table whose cells are tinted by their value, from 0 to 1."""

    title: str
    x_label: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    """By row; None: nothing was measured."""
    texts: tuple[tuple[str, ...], ...]
    bar: str
    """What the tints mean."""
    ticks: Ticks = ((0.0, "0"), (0.5, "0.5"), (1.0, "1"))


@dataclass(frozen=True)
class Picture:
    """A figure."""

    path: str
    """Where it is stored, from the report's folder."""
    heading: str
    alternative: str
    """What it shows, for those who cannot see it."""
    caption: str
    """What to see in it, inline text."""
    panels: tuple[Panel | Heat, ...]
    columns: int
    size: tuple[float, float] = (4.6, 3.1)
    """Of a panel with its labels, in inches: width and height."""
    group: str = ""
    """The experiment that it belongs to."""
