"""All tests of one run at once, on arrays: shape (cells, seeds) in, one entry per cell out.

Two kinds of error, each with a part of the level (:mod:`bench.statistics.levels`): tests of means
and of shares, corrected by Holm over all cells and metrics, and lucky flips
(:mod:`bench.statistics.luck`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from bench.statistics import shares as statistics
from bench.statistics.levels import TESTS
from bench.statistics.luck import apart, lucky
from bench.statistics.shares import Array, moments
from bench.statistics.variances import posteriors
from bench.verdict.metrics import METRICS, Metric

CRASHED = "crashed"
DIVERGED = "diverged"

Mask = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Sides:
    """Values of a metric (or 1 for an outcome, else 0) on both sides, shape (cells, seeds). A seed that
    is on both sides of a cell has the same column on both."""

    baseline: Array
    """NaN: not defined, or no such seed."""
    run: Array
    baseline_applies: Mask
    run_applies: Mask
    """Whether a value could be: the seed was measured and got as far. NaN there is an outcome."""

    def only(self, cells: Mask) -> Sides:
        """The values, all NaN outside ``cells``."""
        kept = [np.where(cells[:, None], side, np.nan) for side in (self.baseline, self.run)]
        return dataclasses.replace(self, baseline=kept[0], run=kept[1])


@dataclasses.dataclass(frozen=True)
class Shares:
    """How many seeds of each cell are in a state: diverged, or a metric not defined."""

    hits: tuple[Array, Array]
    seeds: tuple[Array, Array]
    exact: Array
    """Fisher's p; NaN where no seed, or every seed, is in the state on both sides."""
    adjusted: Array
    """After correction; NaN where ``exact`` is."""
    luck: Array
    """Bound on luck (:func:`bench.statistics.luck.lucky`) of a cell that flipped; NaN of all others."""
    mixed: Array
    """Mixed cells that this rests on."""

    @functools.cached_property
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
    adjusted: Array
    """After correction, NaN where nothing was tested."""
    luck: Array
    """Bound on luck, should the change be a flip; 0 where seeds start from the same numbers."""
    mixed: Array
    """Mixed cells that this rests on."""


@dataclasses.dataclass(frozen=True)
class Analysis:
    """Everything that was tested in a run."""

    shares: dict[str, Shares]
    """By metric name (not defined), ``crashed`` and ``diverged``."""
    means: dict[str, Means]
    tests: int
    """Size of the family that Holm corrected."""


def analyse(outcomes: Mapping[str, Sides], values: Mapping[str, Sides]) -> Analysis:
    """Tests whether each cell's outcomes and metrics are those of its baseline.

    Args:
        outcomes: 1 or 0 for each seed: ``crashed``, and ``diverged`` of those that did not crash.
        values: by metric name, on the metric's scale.
    """
    shares = {name: _shares(sides, lambda side: side == 1) for name, sides in outcomes.items()}
    means: dict[str, Means] = {}
    for metric in METRICS:
        sides = values[metric.name]
        shares[metric.name] = _shares(sides, np.isnan)
        means[metric.name] = _means(metric, sides.only(~shares[metric.name].differ))
    raw = [part.exact for part in shares.values()]
    raw += [part.difference.p_value for part in means.values()]
    corrected = np.minimum(1.0, statistics.holm(np.concatenate(raw)) / TESTS)
    adjusted = iter(np.split(corrected, len(raw)))
    return Analysis(
        shares={k: dataclasses.replace(v, adjusted=next(adjusted)) for k, v in shares.items()},
        means={k: dataclasses.replace(v, adjusted=next(adjusted)) for k, v in means.items()},
        tests=int((~np.isnan(corrected)).sum()),
    )


def _shares(sides: Sides, state: Callable[[Array], Mask]) -> Shares:
    both = ((sides.baseline, sides.baseline_applies), (sides.run, sides.run_applies))
    a, b = ((state(values) & applies).sum(axis=1).astype(float) for values, applies in both)
    n, m = (applies.sum(axis=1).astype(float) for _, applies in both)
    exact = np.full(a.shape, np.nan)
    for cell in np.flatnonzero((a + b > 0) & (a + b < n + m) & (n > 0) & (m > 0)):
        exact[cell] = statistics.fisher(*(int(x[cell]) for x in (a, n, b, m)))
    flipped = (n > 0) & (m > 0) & (((a == 0) & (b == m)) | ((a == n) & (b == 0)))
    mixed = ((a > 0) & (a < n)) | ((b > 0) & (b < m))
    luck, beside = lucky(np.full(a.shape, np.inf), np.where(mixed, np.inf, 0.0), (n, m))
    return Shares((a, b), (n, m), exact, exact, np.where(flipped, luck, np.nan), beside)


def _means(metric: Metric, sides: Sides) -> Means:
    """Changes are tested as the metric says; equivalence on seed-matched pairs where there are two.

    Pairs share initial weights and batch order. Where only rounding differs, the two trainings of a
    seed stay close and a few pairs show that nothing changed, however far seeds lie apart; where
    they part, pairs are independent and their test is valid all the same, with fewer degrees of
    freedom.
    """
    pairs, samples = _pairs(metric, sides.run - sides.baseline), _samples(metric, sides)
    enough = pairs.seeds >= 2
    difference = pairs.where(enough, samples) if metric.paired else samples
    luck, mixed = np.zeros(enough.shape), np.zeros(enough.shape)
    if not metric.paired:
        both = (sides.baseline, sides.run)
        seeds = tuple((~np.isnan(side)).sum(axis=1).astype(float) for side in both)
        luck, mixed = lucky(np.abs(samples.change), apart(*both), (seeds[0], seeds[1]))
    equivalence = pairs.where(enough, samples)
    return Means(difference, equivalence, difference.p_value, luck, mixed)


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
