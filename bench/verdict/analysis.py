"""All tests of one run at once, on arrays: shape (cells, seeds) in, one entry per cell out.

Two families share the level, so that the chance of any false alarm in a run stays at the stated
one: tests of means, and of shares that differ in part, corrected by Holm over all
cells and metrics; and flips, cells that change their state with every seed
(:func:`bench.verdict.statistics.luck`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from bench.verdict import statistics
from bench.verdict.metrics import METRICS, Metric
from bench.verdict.statistics import Array, Difference

DIVERGED = "diverged"

#: Each family's level is alpha over this: 1/2 and 1/4. The rest is a reserve. Under three seeds a lone
#: cell that is a coin flips in 1/32 of all runs, which is more than the .025 that flips are given at
#: .05: no other cell shows what it is. Measured with both halves given away: 6.3 % of such runs.
FLIPS, MEANS = 2, 4

Mask = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Sides:
    """Values of a metric (or 1 for diverged, else 0) on both sides, shape (cells, seeds) each."""

    baseline: Array
    run: Array
    """NaN: not defined, or no such seed."""
    baseline_applies: Mask
    run_applies: Mask
    """Whether a value could be: the seed was measured and got as far. NaN there is an outcome."""

    def only(self, cells: Mask) -> tuple[Array, Array]:
        """The values, all NaN outside ``cells``."""
        keep = cells[:, None]
        return np.where(keep, self.baseline, np.nan), np.where(keep, self.run, np.nan)


@dataclasses.dataclass(frozen=True)
class Shares:
    """How many seeds of each cell are in a state: diverged, or a metric not defined."""

    hits: tuple[Array, Array]
    seeds: tuple[Array, Array]
    exact: Array
    """Fisher's p; NaN where no seed, or every seed, is in the state on both sides."""
    lucky: Array
    """p of :func:`statistics.luck` for a cell that flipped; NaN for all others."""
    mixed: float
    """Sides with both states, the mean of the two sides' counts."""
    adjusted: Array
    """After correction; NaN where ``exact`` is."""

    @property
    def differ(self) -> Mask:
        """Where the shares differ."""
        (a, b), (n, m) = self.hits, self.seeds
        return np.asarray((a * m != b * n) & (n > 0) & (m > 0))


@dataclasses.dataclass(frozen=True)
class Means:
    """A metric's mean on both sides, on the metric's scale."""

    difference: Difference
    """``p_value`` is NaN where nothing could be tested."""
    equivalent: Array
    """p of :func:`statistics.equivalence` within the metric's minimum effect, of matched seeds."""
    pair_variance: Array
    """Of one pair's difference, as equivalence used it."""
    seeds: Array
    """Values on the side that has fewer (pairs, where paired)."""
    variance: Array
    """Of one seed (one pair), moderated, averaged over the sides."""
    lucky: Array
    """p of :func:`statistics.luck` for a change as large as the metric's gap; else NaN."""
    mixed: Array
    """Sides that show both states of such a change, the mean of the two sides' counts."""
    adjusted: Array
    """After correction, NaN where nothing was tested."""


@dataclasses.dataclass(frozen=True)
class Analysis:
    """Everything that was tested in a run."""

    shares: dict[str, Shares]
    """By metric name (not defined), and ``diverged``."""
    means: dict[str, Means]
    tests: int
    """Size of the family that Holm corrected."""


def analyse(diverged: Sides, values: Mapping[str, Sides]) -> Analysis:
    """Tests whether each cell's outcomes and metrics are those of its baseline.

    Args:
        diverged: 1 or 0 for each seed.
        values: by metric name, on the metric's scale.
    """
    shares = {DIVERGED: _shares(diverged, lambda side: side == 1)}
    means: dict[str, Means] = {}
    for metric in METRICS:
        sides = values[metric.name]
        undefined = _shares(sides, np.isnan)
        shares[metric.name] = undefined
        means[metric.name] = _means(metric, *sides.only(~undefined.differ))
    families = [part.exact for part in shares.values()]
    families += [part.difference.p_value for part in means.values()]
    corrected = np.minimum(1.0, MEANS * statistics.holm(np.concatenate(families)))
    parts = iter(np.split(corrected, len(families)))
    shares = {
        name: dataclasses.replace(part, adjusted=_either(next(parts), part.lucky))
        for name, part in shares.items()
    }
    means = {
        name: dataclasses.replace(part, adjusted=_both(next(parts), part.lucky))
        for name, part in means.items()
    }
    return Analysis(shares=shares, means=means, tests=int((~np.isnan(corrected)).sum()))


def _either(adjusted: Array, lucky: Array) -> Array:
    """A flip is significant by either family: each one's level is its own."""
    return np.fmin(adjusted, np.minimum(1.0, FLIPS * lucky))


def _both(adjusted: Array, lucky: Array) -> Array:
    """A change between two states must pass as a difference and not be luck."""
    return np.where(np.isnan(adjusted), np.nan, np.fmax(adjusted, np.minimum(1.0, FLIPS * lucky)))


def _shares(sides: Sides, state: Callable[[Array], Mask]) -> Shares:
    pairs = ((sides.baseline, sides.baseline_applies), (sides.run, sides.run_applies))
    a, b = ((state(values) & applies).sum(axis=1).astype(float) for values, applies in pairs)
    n, m = (applies.sum(axis=1).astype(float) for _, applies in pairs)
    exact = np.full(a.shape, np.nan)
    for cell in np.flatnonzero((a + b > 0) & (a + b < n + m) & (n > 0) & (m > 0)):
        exact[cell] = statistics.fisher(*(int(x[cell]) for x in (a, n, b, m)))
    flipped = (n > 0) & (m > 0) & (((a == 0) & (b == m)) | ((a == n) & (b == 0)))
    mixed = float(((a > 0) & (a < n)).sum() + ((b > 0) & (b < m)).sum()) / 2
    lucky = np.full(a.shape, np.nan)
    for cell in np.flatnonzero(flipped):
        rate = statistics.flips_per_mixed_side(int(min(n[cell], m[cell])))
        lucky[cell] = statistics.luck(int(flipped.sum()), mixed, rate)
    return Shares(hits=(a, b), seeds=(n, m), exact=exact, lucky=lucky, mixed=mixed, adjusted=exact)


def _means(metric: Metric, baseline: Array, run: Array) -> Means:
    """Changes are tested as the metric says; equivalence always on seed-matched pairs.

    Pairs share initial weights and batch order. Where only rounding differs, the two trainings of a
    seed stay close and a few pairs show that nothing changed, however far seeds lie apart; where
    they part, pairs are independent and their test is valid all the same, with fewer degrees of
    freedom. Their own spread is used alone: cells differ in it by orders of magnitude, so that
    there is nothing to pool.
    """
    if metric.paired:
        difference, n, variance = _paired(metric, run - baseline)
        pairs, pair_variance = difference, variance
    else:
        difference, n, variance = _two_samples(metric, baseline, run)
        number, mean, pair_variance = _moments(run - baseline)
        with np.errstate(invalid="ignore", divide="ignore"):
            pairs = statistics.paired_t(mean, pair_variance, number)
    lucky, mixed = _luck_of_changes(metric, baseline, run, difference, n)
    return Means(
        difference=difference,
        equivalent=statistics.equivalence(pairs, metric.minimum_effect),
        pair_variance=pair_variance,
        seeds=n,
        variance=variance,
        lucky=lucky,
        mixed=mixed,
        adjusted=difference.p_value,
    )


def _paired(metric: Metric, differences: Array) -> tuple[Difference, Array, Array]:
    n, mean, variance = _moments(differences)
    tested = n >= 2
    floors = np.asarray(metric.floor(mean), float)
    own = np.where(tested, variance, np.nan)
    prior = statistics.variance_prior((own / floors)[tested], (n - 1)[tested])
    moderated, df = statistics.moderate(own, n - 1, floors, prior)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = statistics.paired_t(np.where(tested, mean, np.nan), moderated, n, df=df)
    return difference, n, moderated


def _two_samples(metric: Metric, baseline: Array, run: Array) -> tuple[Difference, Array, Array]:
    (n, mean, variance), (m, mean_run, variance_run) = _moments(baseline), _moments(run)
    tested = (n >= 2) & (m >= 2)
    floors = metric.floor(np.concatenate([mean, mean_run]))
    own = np.where(np.tile(tested, 2), np.concatenate([variance, variance_run]), np.nan)
    df_own = np.concatenate([n, m]) - 1
    both = np.tile(tested, 2)
    prior = statistics.variance_prior((own / floors)[both], df_own[both])
    moderated, df = statistics.moderate(own, df_own, floors, prior)
    first, second = np.split(moderated, 2)
    df_first, df_second = np.split(df, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = statistics.welch(
            mean, first, n, mean_run, second, m, df_a=df_first, df_b=df_second
        )
    return difference, np.minimum(n, m), (first + second) / 2


def _moments(values: Array) -> tuple[Array, Array, Array]:
    """Number, mean and sample variance along seeds, NaN left out; NaN where there are too few."""
    n = (~np.isnan(values)).sum(axis=1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=1) / n
        variance = np.nansum((values - mean[:, None]) ** 2, axis=1) / (n - 1)
    return n, mean, variance


def _luck_of_changes(
    metric: Metric, baseline: Array, run: Array, difference: Difference, n: Array
) -> tuple[Array, Array]:
    """Luck of each change that is as large as the gap, and the mixed sides behind it.

    The two states of a change end a quarter of it from its lower and from its higher mean. A side
    is mixed if it has seeds in both; a cell flips if one side is all in one state and the other all
    in the other.
    """
    cells = difference.change.size
    lucky, mixed = np.full(cells, np.nan), np.full(cells, np.nan)
    large = np.flatnonzero(np.abs(difference.change) >= metric.gap)
    if not large.size:
        return lucky, mixed
    lowest = np.stack([np.fmin.reduce(side, axis=1) for side in (baseline, run)])
    highest = np.stack([np.fmax.reduce(side, axis=1) for side in (baseline, run)])
    means = np.stack([_moments(side)[1] for side in (baseline, run)])
    for cell in large:
        low, high = means[:, cell].min(), means[:, cell].max()
        bottom, top = low + (high - low) / 4, high - (high - low) / 4
        mixed[cell] = ((lowest <= bottom) & (highest >= top)).sum() / 2
        down, up = highest <= bottom, lowest >= top
        flips = int(((down[0] & up[1]) | (down[1] & up[0])).sum())
        rate = statistics.flips_per_mixed_side(int(n[cell]))
        lucky[cell] = statistics.luck(max(flips, 1), float(mixed[cell]), rate)
    return lucky, mixed


def seeds_needed(metric: Metric, analysis: Analysis, cell: int, *, alpha: float) -> float:
    """Seeds a side that would decide an undecided cell, if change and spread stay what they are.

    Infinite for a change that is exactly the minimum effect.
    """
    means = analysis.means[metric.name]
    change = abs(float(means.difference.change[cell]))
    if change > metric.minimum_effect:
        tail = alpha / MEANS / 2 / max(analysis.tests, 1)
        variance, sides = float(means.variance[cell]), 1 if metric.paired else 2
        needed = float(statistics.seeds_to_decide(change, variance, tail, sides=sides))
    else:
        room = metric.minimum_effect - change
        variance = float(means.pair_variance[cell])
        needed = float(statistics.seeds_to_decide(room, variance, alpha, sides=1))
    if not math.isnan(means.lucky[cell]):
        needed = max(needed, seeds_against_luck(float(means.mixed[cell]), alpha / FLIPS))
    return max(needed, float(means.seeds[cell]) + 1)


def seeds_against_luck(mixed: float, level: float) -> float:
    """The fewest seeds a side with which one flip is not luck."""
    seeds = 2
    while statistics.luck(1, mixed, statistics.flips_per_mixed_side(seeds)) > level:
        seeds += 1
    return float(seeds)
