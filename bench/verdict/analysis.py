"""All tests of one run at once, on arrays: shape (cells, seeds) in, one entry per cell out.

The chance of any false alarm in a run is the sum of four parts of the level, whatever depends on what:

- ``TESTS``: of means, and of shares that differ in part, corrected by Holm over all cells and metrics;
- ``LEARNING``: lucky flips of cells that learn, or diverge or crash, under some seeds only
  (:mod:`bench.verdict.flips`);
- ``OTHER``: lucky flips in any other metric;
- ``SETS``: sets of flips that are too large for luck, where single ones are not. This part holds for
  runs in which nothing changed: of a set that is too large for luck, some may still be luck.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bench.verdict import statistics
from bench.verdict.flips import LEARNING, OTHER, WIDE, Flips, intervals
from bench.verdict.luck import luck
from bench.verdict.metrics import METRICS, Metric
from bench.verdict.statistics import Array, moments
from bench.verdict.variances import posteriors

CRASHED = "crashed"
DIVERGED = "diverged"

#: Share of the level: what those of flips (:mod:`bench.verdict.flips`) leave.
TESTS = 0.25

Mask = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Sides:
    """Values of a metric (or 1 for an outcome, else 0) on both sides."""

    baseline: Array
    """Shape (cells, the baseline's seeds). NaN: not defined, or no such seed."""
    run: Array
    """Shape (cells, the run's seeds)."""
    baseline_applies: Mask
    run_applies: Mask
    """Whether a value could be: the seed was measured and got as far. NaN there is an outcome."""
    pairs: Array
    """Run less baseline under the same seed, shape (cells, seeds in common). NaN where either is."""

    def only(self, cells: Mask) -> Sides:
        """The values, all NaN outside ``cells``."""
        kept = [np.where(cells[:, None], x, np.nan) for x in (self.baseline, self.run, self.pairs)]
        return dataclasses.replace(self, baseline=kept[0], run=kept[1], pairs=kept[2])


@dataclasses.dataclass(frozen=True)
class Shares:
    """How many seeds of each cell are in a state: diverged, or a metric not defined."""

    hits: tuple[Array, Array]
    seeds: tuple[Array, Array]
    exact: Array
    """Fisher's p; NaN where no seed, or every seed, is in the state on both sides."""
    lucky: Array
    """p of :class:`bench.verdict.flips.Flips` for a cell that flipped; NaN for all others."""
    mixed: Array
    """Mixed sides that this rests on."""
    adjusted: Array
    """After correction; NaN where ``exact`` is."""

    @property
    def differ(self) -> Mask:
        """Where the shares differ."""
        (a, b), (n, m) = self.hits, self.seeds
        return np.asarray((a * m != b * n) & (n > 0) & (m > 0))


@dataclasses.dataclass(frozen=True)
class Change:
    """A change of a mean, tested; every array has one entry per cell."""

    change: Array
    error: Array
    """Standard error of ``change``, from the posterior mean of the variance."""
    variance: Array
    """Of one seed, or of one pair's difference: posterior mean."""
    seeds: Array
    """Values on the side that has fewer, or pairs."""
    sides: Array
    """2 for two samples, 1 for pairs."""
    p_value: Array
    """Two-sided, that nothing changed; NaN where no test is possible."""
    equivalent: Array
    """p that the true change is at least the minimum effect either way. Two one-sided tests
    (Schuirmann 1987). Within one cell every metric must pass, which needs no correction
    (intersection-union, Berger 1982); over cells the level is each cell's own."""

    def where(self, choice: Mask, other: Change) -> Change:
        """This one in the cells of ``choice``, the other elsewhere."""
        fields = (field.name for field in dataclasses.fields(self))
        return Change(*(np.where(choice, getattr(self, f), getattr(other, f)) for f in fields))


@dataclasses.dataclass(frozen=True)
class Means:
    """A metric's mean on both sides, on the metric's scale."""

    difference: Change
    """What is tested for a difference: pairs if the metric says so and there are any, or samples."""
    equivalence: Change
    """What is tested for equivalence: pairs where there are any."""
    lucky: Array
    """p of :class:`bench.verdict.flips.Flips` where the sides do not overlap (and lie a gap apart, if
    the metric does not say whether a network learned); else NaN."""
    mixed: Array
    """Mixed sides that this rests on."""
    adjusted: Array
    """After correction, NaN where nothing was tested."""


@dataclasses.dataclass(frozen=True)
class Analysis:
    """Everything that was tested in a run."""

    shares: dict[str, Shares]
    """By metric name (not defined), ``crashed`` and ``diverged``."""
    means: dict[str, Means]
    tests: int
    """Size of the family that Holm corrected."""


def analyse(
    outcomes: Mapping[str, Sides], values: Mapping[str, Sides], *, alpha: float
) -> Analysis:
    """Tests whether each cell's outcomes and metrics are those of its baseline.

    Args:
        outcomes: 1 or 0 for each seed: ``crashed``, and ``diverged`` of those that did not crash.
        values: by metric name, on the metric's scale.
        alpha: the level; only tells which numbers of seeds can show a flip at all.
    """
    shares = {name: _shares(sides, lambda side: side == 1) for name, sides in outcomes.items()}
    means: dict[str, Means] = {}
    for metric in METRICS:
        sides = values[metric.name]
        shares[metric.name] = _shares(sides, np.isnan)
        means[metric.name] = _means(metric, sides.only(~shares[metric.name].differ))
    families = [part.exact for part in shares.values()]
    families += [part.difference.p_value for part in means.values()]
    corrected = np.minimum(1.0, statistics.holm(np.concatenate(families)) / TESTS)
    parts = np.split(corrected, len(families))
    shares = {
        name: dataclasses.replace(part, adjusted=adjusted)
        for (name, part), adjusted in zip(shares.items(), parts, strict=False)
    }
    means = {
        name: dataclasses.replace(part, adjusted=adjusted)
        for (name, part), adjusted in zip(means.items(), parts[len(shares) :], strict=True)
    }
    seeds = np.minimum(*shares[CRASHED].seeds)
    for learning in (True, False):
        _add_luck(shares, means, values, seeds, learning=learning, alpha=alpha)
    return Analysis(shares=shares, means=means, tests=int((~np.isnan(corrected)).sum()))


# Shares and means, cell by cell


def _shares(sides: Sides, state: Callable[[Array], Mask]) -> Shares:
    both = ((sides.baseline, sides.baseline_applies), (sides.run, sides.run_applies))
    a, b = ((state(values) & applies).sum(axis=1).astype(float) for values, applies in both)
    n, m = (applies.sum(axis=1).astype(float) for _, applies in both)
    exact = np.full(a.shape, np.nan)
    for cell in np.flatnonzero((a + b > 0) & (a + b < n + m) & (n > 0) & (m > 0)):
        exact[cell] = statistics.fisher(*(int(x[cell]) for x in (a, n, b, m)))
    nothing = np.full(a.shape, np.nan)
    return Shares((a, b), (n, m), exact, lucky=nothing, mixed=nothing, adjusted=exact)


def _means(metric: Metric, sides: Sides) -> Means:
    """Changes are tested as the metric says; equivalence on seed-matched pairs where there are two.

    Pairs share initial weights and batch order. Where only rounding differs, the two trainings of a
    seed stay close and a few pairs show that nothing changed, however far seeds lie apart; where
    they part, pairs are independent and their test is valid all the same, with fewer degrees of
    freedom.
    """
    pairs, samples = _pairs(metric, sides.pairs), _samples(metric, sides)
    enough = pairs.seeds >= 2
    difference = pairs.where(enough, samples) if metric.paired else samples
    nothing = np.full(enough.shape, np.nan)
    return Means(
        difference=difference,
        equivalence=pairs.where(enough, samples),
        lucky=nothing,
        mixed=nothing,
        adjusted=difference.p_value,
    )


def _pairs(metric: Metric, differences: Array) -> Change:
    n, mean, squares = moments(differences)
    floors = np.full(n.shape, metric.resolution)
    with np.errstate(divide="ignore"):
        return _change(metric, mean, squares, n - 1, floors, scale=1 / n, seeds=n, sides=1)


def _samples(metric: Metric, sides: Sides) -> Change:
    """Two samples with one variance: if nothing changed, the spread did not change either."""
    (n, mean, squares), (m, mean_run, squares_run) = moments(sides.baseline), moments(sides.run)
    floors = np.fmax(metric.floor(mean), metric.floor(mean_run))
    seeds = np.minimum(n, m)
    df = np.where(seeds >= 2, n + m - 2, 0)
    both = squares + squares_run
    with np.errstate(divide="ignore"):
        scale = 1 / n + 1 / m
    return _change(metric, mean_run - mean, both, df, floors, scale=scale, seeds=seeds, sides=2)


def _change(
    metric: Metric,
    change: Array,
    squares: Array,
    df: Array,
    floors: Array,
    *,
    scale: Array,
    seeds: Array,
    sides: int,
) -> Change:
    tested = np.flatnonzero(df > 0)
    variance, p_value, equivalent = (np.full(change.shape, np.nan) for _ in range(3))
    if tested.size:
        found = posteriors(squares[tested], df[tested], floors[tested])
        size, scales = np.abs(change[tested]), scale[tested]
        variance[tested] = found.mean
        p_value[tested] = np.minimum(1.0, 2 * found.tail(size, scales))
        equivalent[tested] = found.tail(metric.minimum_effect - size, scales)
    with np.errstate(invalid="ignore"):
        error = np.sqrt(variance * scale)
    number = np.full(change.shape, float(sides))
    return Change(change, error, variance, seeds, number, p_value, equivalent)


# Flips, over all cells


def _add_luck(
    shares: dict[str, Shares],
    means: dict[str, Means],
    values: Mapping[str, Sides],
    seeds: Array,
    *,
    learning: bool,
    alpha: float,
) -> None:
    """Judges all flips of one group of metrics, in place: their luck is one and the same.

    The numbers of seeds may differ. The bound is that of the smallest that can show a flip at all;
    cells with fewer are left out, and never named.
    """
    metrics = [metric for metric in METRICS if metric.learning == learning]
    states = [metric.name for metric in metrics] + ([CRASHED, DIVERGED] if learning else [])
    part = LEARNING if learning else OTHER
    able = np.array([luck(1, 0, int(n)) <= part * alpha for n in seeds], bool)
    fewest = int(np.min(seeds, where=able if able.any() else True, initial=np.inf))
    used = able if able.any() else np.ones(able.shape, bool)
    sizes: dict[str, Array] = {}
    apart, widest = np.zeros(seeds.shape), np.zeros((2, *seeds.shape))
    for name in states:
        flipped, mixed = _flipped(shares[name])
        sizes[f"share {name}"] = np.where(flipped, np.inf, 0.0)
        apart = np.maximum(apart, sizes[f"share {name}"])
        widest = np.where(mixed, np.inf, widest)
    noisy: collections.Counter[int] = collections.Counter()
    for metric in metrics:
        size, empty = intervals(metric, values[metric.name].baseline, values[metric.name].run)
        if metric.learning:
            noisy.update(n for n in _sizes(values[metric.name], used) if n > 1)
        sizes[metric.name] = size
        apart = np.maximum(apart, size)
        widest = np.maximum(widest, empty)
    clean = used & (apart > 0) & (widest < WIDE * apart).all(axis=0)
    flips = Flips(
        np.where(clean, apart, 0.0), widest[:, used].ravel(), fewest, part, tuple(noisy.items())
    )
    for name in states:
        part_shares = _judged(shares[name], sizes[f"share {name}"], flips, used)
        shares[name] = dataclasses.replace(
            part_shares, adjusted=np.fmin(shares[name].adjusted, part_shares.adjusted)
        )
    for metric in metrics:
        before = means[metric.name]
        after = _judged(before, sizes[metric.name], flips, used)
        adjusted = np.where(
            np.isnan(before.adjusted), np.nan, np.fmax(before.adjusted, after.adjusted)
        )
        means[metric.name] = dataclasses.replace(after, adjusted=adjusted)


_Part = TypeVar("_Part", Shares, Means)


def _judged(part: _Part, sizes: Array, flips: Flips, used: Mask) -> _Part:
    lucky, mixed, adjusted = (np.full(sizes.shape, np.nan) for _ in range(3))
    for cell in np.flatnonzero(sizes > 0):
        lucky[cell], adjusted[cell], mixed[cell] = flips.judge(float(sizes[cell]))
        if not used[cell]:
            lucky[cell] = adjusted[cell] = 1.0
    return dataclasses.replace(part, lucky=lucky, mixed=mixed, adjusted=adjusted)


def _flipped(shares: Shares) -> tuple[Mask, Mask]:
    """Cells all of whose seeds went from one state to the other, and the sides with both."""
    (a, b), (n, m) = shares.hits, shares.seeds
    flipped = (n > 0) & (m > 0) & (((a == 0) & (b == m)) | ((a == n) & (b == 0)))
    return flipped, np.stack([(a > 0) & (a < n), (b > 0) & (b < m)])


def _sizes(sides: Sides, used: Mask) -> list[int]:
    """Numbers of values of each side of these cells."""
    numbers = [(~np.isnan(side[used])).sum(axis=1) for side in (sides.baseline, sides.run)]
    return [int(number) for number in np.concatenate(numbers)]
