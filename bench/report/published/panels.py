"""What a figure of the published experiments is made of, as data; nothing of matplotlib."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from bench.results.histogram import Histogram

#: x and y, in the order of x; None: a gap.
Points = tuple[tuple[float, float | None], ...]

#: ``symmetric``: linear between -threshold and threshold, logarithmic beyond.
Scale = Literal["linear", "log", "symmetric"]

#: Share of the entries that lies within the inner part of a distribution: what a normal distribution
#: has within a standard deviation of its mean.
MIDDLE = 0.683


@dataclass(frozen=True)
class Trace:
    """A line."""

    name: str
    """In the legend, where traces of one name and look stand once; empty: not there."""
    points: Points
    colour: int = 0
    """Number in the figure's palette."""
    faint: bool = False
    """One seed's, behind the mean."""
    dashes: int = 0
    """0: solid, 1: dashed, 2: dotted, 3: both."""


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
    """Lines, published values and distributions over one axis."""

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


@dataclass(frozen=True)
class PublishedPicture:
    """A figure of one experiment."""

    experiment: str
    name: str
    """Such as ``weights``; unique in its experiment."""
    heading: str
    alternative: str
    """For those who cannot see it."""
    caption: str
    """What to see, in Markdown."""
    panels: tuple[Panel | Heat, ...]
    columns: int
    ordered: bool = False
    """Colours run from dark to light, as they stand for sizes."""
    size: tuple[float, float] = (4.6, 3.1)
    """Of a panel with its labels, in inches: width and height."""

    @property
    def path(self) -> str:
        """Where it is stored, from the run's folder."""
        return f"figures/published-{self.experiment.lower()}-{self.name}.svg"


def spread(found: Histogram) -> Spread:
    """A distribution that has at least one entry. Entries are taken as evenly spread over their bin, so
    that the inner part is known to a bin's width."""
    outside = (1 - MIDDLE) / 2
    return Spread(
        x=found.step,
        low=found.edges[0],
        high=found.edges[-1],
        inner=(_quantile(found, outside), _quantile(found, 1 - outside)),
        rms=math.sqrt(found.squares / sum(found.counts)),
    )


def _quantile(found: Histogram, share: float) -> float:
    """The value below which so large a share of the entries lies; ``share`` is above 0 and below 1."""
    wanted, below = share * sum(found.counts), 0
    for number, low, high in zip(found.counts, found.edges, found.edges[1:], strict=False):
        if below + number >= wanted:
            return low + (high - low) * (wanted - below) / number
        below += number
    return found.edges[-1]
