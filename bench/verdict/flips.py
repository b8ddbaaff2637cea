"""Flips of one run: cells whose seeds all went from one state to another, and whether luck may do that.

Which states a metric has is not told: values lie apart, and how far says whether it is a flip. What the
other cells show of coins says how much luck can do (:mod:`bench.verdict.luck`).
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from scipy import special

from bench.verdict.luck import MOST_FLIPS, luck
from bench.verdict.metrics import Metric
from bench.verdict.statistics import Array, moments

#: Shares of the level. The smallest luck that three seeds can show is 1/31 = .0323, .645 of the usual
#: level .05: LEARNING is that, rounded up. Tests of means and shares
#: (:data:`bench.verdict.analysis.TESTS`) get the larger part of the rest: divided among a thousand
#: comparisons, a quarter of the level (a normal quantile of 4.37 for 4.06) costs one fourteenth of the
#: change that can be detected.
LEARNING, OTHER, SETS = 0.65, 0.05, 0.05

#: Two states d apart, each with a seed-to-seed deviation v, leave d - a v empty: a is .6 (2 and 1
#: seeds: the expected largest of 2 normal numbers) to 1.7 (3 and 3 seeds, a flip: twice that of 3),
#: give or take 1.3 v. A mixed side therefore leaves at least as much as a flip in the mean, and with
#: d = 10 v three quarters as much in 99 of 100 cases. A smaller share would count ordinary sides as
#: mixed: of 3 normal seeds .1 % leave 4 v empty, one in a million 6 v.
WIDE = 0.75


def part_of(metric: Metric | None) -> float:
    """Share of the level for lucky flips of a metric, or (None) of an outcome."""
    return LEARNING if metric is None or metric.learning else OTHER


@dataclasses.dataclass(frozen=True)
class Flips:
    """What all cells show of coins, in any metric or outcome of a group. Sizes are in units of each
    metric's noise or gap, and infinite for shares, whose states cannot be nearer."""

    apart: Array
    """How far the two sides of each cell lie apart, if it flipped: each side in one state; else 0."""
    widest: Array
    """Widest empty interval between neighbouring seeds of each side, shape (2 cells,)."""
    seeds: int
    """Of the cell that has the fewest."""
    part: float
    """Share of the level for single flips."""
    noisy: tuple[tuple[int, int], ...]
    """Numbers of seeds, and how many sides have as many values in units of noise."""

    def judge(self, size: float) -> tuple[float, float, int]:
        """p of a change of this size, adjusted p, and the mixed sides that it rests on.

        A side is mixed if it leaves an interval empty that is at least WIDE times as wide as the one
        between the sides of the flip. As many sides as normal noise of the median cell lets expect are
        not counted. A flip belongs to every set of flips that are at least as large as some smaller
        one, and there every side counts. On sets of k flips SETS / 2^(k-1) is spent, so that all sets
        spend SETS; each group half of it.
        """
        noise = sum(sides * _leaves(seeds, WIDE * size) for seeds, sides in self.noisy)
        mixed = max(0, math.ceil(self._mixed(size) - noise))
        p = luck(1, mixed, self.seeds)
        adjusted = p / self.part
        for least in np.unique(self.apart[(self.apart > 0) & (self.apart <= size)]):
            flips, beside = int((self.apart >= least).sum()), self._mixed(float(least))
            for number in range(2, min(flips, MOST_FLIPS) + 1):
                of_set = 2 * luck(number, beside, self.seeds) * 2 ** (number - 1) / SETS
                adjusted = min(adjusted, of_set)
        return p, min(1.0, adjusted), mixed

    def _mixed(self, size: float) -> int:
        return int((self.widest >= WIDE * size).sum())


def _leaves(seeds: int, width: float) -> float:
    """The chance that so many standard normal numbers leave an interval of this width empty."""
    return float(1 - np.searchsorted(_drawn(seeds), width) / _DRAWS)


_DRAWS = 100_000


@functools.lru_cache(maxsize=32)
def _drawn(seeds: int) -> Array:
    """Widest empty intervals between this many standard normal numbers, drawn and sorted."""
    drawn = np.sort(np.random.default_rng(seeds).normal(size=(_DRAWS, seeds)), axis=1)
    return np.sort(np.diff(drawn, axis=1).max(axis=1))


def intervals(metric: Metric, baseline: Array, run: Array) -> tuple[Array, Array]:
    """What lies between the two sides of each cell, 0 where they overlap; and the widest interval
    between neighbouring seeds of each side, shape (2, cells), 0 of one seed.

    Metrics that say whether a network learned may have states at any distance, told in units of their
    noise; others only in regimes of their own, at least a gap apart, told in gaps.

    Args:
        metric: what is measured.
        baseline: values, shape (cells, the baseline's seeds); NaN where there is none.
        run: shape (cells, the run's seeds).
    """
    both = (baseline, run)
    unit = _noise(metric, both) if metric.learning else metric.gap
    low, high = (
        [reach(side, axis=1) for side in both] for reach in (np.fmin.reduce, np.fmax.reduce)
    )
    between = np.fmax(low[0] - high[1], low[1] - high[0])
    between = np.where(between >= (0.0 if metric.learning else unit), between, 0.0)
    widest = np.zeros((2, len(between)))
    for side, values in zip(widest, both, strict=True):
        if values.shape[1] > 1:
            side[:] = np.nan_to_num(np.fmax.reduce(np.diff(np.sort(values), axis=1), axis=1))
    return np.nan_to_num(between) / unit, widest / unit


def _noise(metric: Metric, both: tuple[Array, Array]) -> float:
    """Deviation from seed to seed of the median cell, as most cells are no coins."""
    found = [moments(side) for side in both]
    n, mean, squares = (np.concatenate(parts) for parts in zip(*found, strict=True))
    several = n >= 2
    if not several.any():
        return metric.resolution**0.5
    df = n[several] - 1
    variance = np.median(squares[several] / special.chdtri(df, 0.5))
    floor = np.median(metric.floor(mean[several]))
    return float(np.sqrt(max(variance, floor)))
