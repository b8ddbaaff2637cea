"""What the figures of the published experiments have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.report.figures.picture import MIDDLE, Heat, Panel, Picture, Spread
from bench.results.histogram import Histogram


def published_picture(
    experiment: str,
    name: str,
    heading: str,
    alternative: str,
    caption: str,
    panels: Sequence[Panel | Heat],
    *,
    columns: int,
    size: tuple[float, float] = (4.6, 3.1),
) -> Picture:
    """A figure of one experiment.

    Args:
        experiment: ``P1`` to ``P7``.
        name: such as ``weights``; unique in its experiment.
        heading, alternative, caption, panels, columns, size: as :class:`Picture` has them.
    """
    path = f"figures/published-{experiment.lower()}-{name}.svg"
    return Picture(
        path, heading, alternative, caption, tuple(panels), columns, size, group=experiment
    )


def spread(histogram: Histogram) -> Spread:
    """A distribution that has at least one entry. Entries are taken as evenly spread over their bin, so
    that the inner part is known to a bin's width."""
    outside = (1 - MIDDLE) / 2
    return Spread(
        x=histogram.step,
        low=histogram.edges[0],
        high=histogram.edges[-1],
        inner=(_quantile(histogram, outside), _quantile(histogram, 1 - outside)),
        rms=math.sqrt(histogram.squares / sum(histogram.counts)),
    )


def _quantile(histogram: Histogram, share: float) -> float:
    """The value below which so large a share of the entries lies; ``share`` is above 0 and below 1."""
    wanted, below = share * sum(histogram.counts), 0
    edges = histogram.edges
    for number, low, high in zip(histogram.counts, edges, edges[1:], strict=False):
        if below + number >= wanted:
            return low + (high - low) * (wanted - below) / number
        below += number
    return edges[-1]
