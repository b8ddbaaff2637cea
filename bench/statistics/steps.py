"""Step changes in a short series of measurements, each a mean over a few seeds.

The method is binary segmentation (Scott and Knott 1974; Vostrikova 1981) with the likelihood ratio
for one change of a normal mean at an unknown place (Sen and Srivastava 1975; Hawkins 1977): of all
places the one where the means before and after differ most against the standard error of that
difference. It is a step if the maximum over all places is beyond what draws without a step give, and
each side is then searched in turn.

The series here decide the choice:

- They are short, 5 to 50 points. Methods that compare with permutations of the points (E-divisive,
  Matteson and James 2014; on performance series, Daly et al. 2020) cannot be significant there: five
  points with a step after the second have 10 arrangements, and so p >= .1.
- The noise is known from the seeds of each point, and need not be found from the points.
- Equal digests are the same draw, not another one. Ten runs of one release and ten of the next, all
  bit-identical within, are two draws and not twenty; a method that takes them for independent sees
  a step in every rounding. So variances are those of the distinct draws, and a step is never placed
  between equal points.
- Penalized methods (PELT, Killick et al. 2012) have no rate of false alarms but by choice of the
  penalty.

The null distribution of the maximum has no closed form with repeated draws: it is simulated, normal
draws with the very same repetitions, and the p-value is that of a Monte Carlo test (Davison and
Hinkley 1997, eq. 4.11), which holds its level exactly for normal noise. A series without any step has
one found with a chance of at most :data:`ALPHA`. Three seeds whose noise is far from normal
(exponential, or t with 3 degrees of freedom) double or treble that.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Chance of any step in a series that has none.
ALPHA = 0.01

#: Simulated series. The estimate of a p-value of .01 then has a standard deviation of
#: sqrt(.01 * .99 / 9999) = .001.
SIMULATIONS = 9999

#: A measurement: by seed, the digest and the value on the metric's scale.
Measured = Mapping[int, tuple[str, float]]


class Step(NamedTuple):
    """A change of the mean."""

    place: int
    """The first point after it."""
    change: float
    """Mean from here to the next step, minus mean from the step before to here."""
    p_value: float
    """Chance of as large a maximum over all places of its stretch without a step."""


def find_steps(
    series: Sequence[Measured], *, floor: float, paired: bool, alpha: float = ALPHA
) -> list[Step] | None:
    """The steps of a series, in order of place.

    Args:
        series: points in the order of time, each with at least one seed.
        floor: smallest variance over seeds that is believed.
        paired: whether a seed starts from the same numbers in every point, so that what seeds differ
            by is no noise; seeds that some point lacks are then left out.
        alpha: chance of any step in a series that has none.

    Returns:
        None if the noise is not known: no two seeds to tell it from, or no seed that all points
        share where they are paired.
    """
    points = _shared(series) if paired else list(series)
    noise = _noise(points, paired=paired)
    if noise is None:
        return None
    variance, freedom = noise
    draws = _Draws(points, variance=max(variance, floor), freedom=freedom)
    return _search(draws, len(points), alpha)


def _search(draws: _Draws, size: int, alpha: float) -> list[Step]:
    """Binary segmentation of ``size`` points."""
    p_values: dict[int, float] = {}
    stretches = [(0, size)]
    while stretches:
        start, stop = stretches.pop()
        place, p_value = draws.largest(start, stop)
        if place and p_value <= alpha:
            p_values[place] = p_value
            stretches += [(start, place), (place, stop)]
    edges = [0, *sorted(p_values), size]
    means = [float(np.mean(draws.means[a:b])) for a, b in itertools.pairwise(edges)]
    return [
        Step(place, after - before, p_values[place])
        for place, before, after in zip(edges[1:-1], means[:-1], means[1:], strict=True)
    ]


class _Draws:
    """Points as weights of distinct draws: of a seed and a digest."""

    def __init__(self, points: Sequence[Measured], *, variance: float, freedom: int) -> None:
        names = dict.fromkeys(
            (seed, digest) for point in points for seed, (digest, _) in point.items()
        )
        index = {name: number for number, name in enumerate(names)}
        self._weights = np.zeros((len(points), len(index)))
        for row, point in zip(self._weights, points, strict=True):
            for seed, (digest, _) in point.items():
                row[index[seed, digest]] = 1 / len(point)
        self.means = np.array([np.mean([value for _, value in p.values()]) for p in points])
        self._variance, self._freedom = variance, freedom

    def largest(self, start: int, stop: int) -> tuple[int, float]:
        """Place where the two sides of a stretch differ most, and its p-value; 0 if there is none."""
        weights = self._weights[start:stop]
        size = stop - start
        after = np.arange(size) >= np.arange(1, size)[:, None]  # (size - 1, size)
        contrasts = after / after.sum(1, keepdims=True) - ~after / (~after).sum(1, keepdims=True)
        changes = np.any(weights[1:] != weights[:-1], axis=1)
        contrasts = contrasts[changes]
        by_draw = contrasts @ weights
        lengths = np.sqrt(np.sum(by_draw**2, axis=1))
        usable = lengths > 1e-12  # both sides may be the same draws in other order
        if not usable.any():
            return 0, 1.0
        places = np.flatnonzero(changes)[usable] + 1
        by_draw = by_draw[usable] / lengths[usable, None]
        differences = contrasts[usable] @ self.means[start:stop]
        sizes = np.abs(differences) / lengths[usable] / np.sqrt(self._variance)
        # Two draws in turn give the same size everywhere: then where the sides are furthest apart.
        ties = np.flatnonzero(sizes >= sizes.max() * (1 - 1e-9))
        best = ties[np.argmax(np.abs(differences[ties]))]
        used = by_draw[:, np.any(by_draw != 0, axis=0)]
        null = _null(used.tobytes(), used.shape[1], self._freedom)
        reached = np.count_nonzero(null >= sizes[best])
        return int(places[best]) + start, float((1 + reached) / (1 + SIMULATIONS))


@functools.lru_cache(maxsize=64)
def _null(contrasts: bytes, draws: int, freedom: int) -> Array:
    """The largest size without a step, :data:`SIMULATIONS` times; the same each time.

    Args:
        contrasts: float64 (places, draws), rows of length 1.
        draws: number of draws.
        freedom: degrees of freedom of the variance.
    """
    rows = np.frombuffer(contrasts).reshape(-1, draws)
    random = np.random.default_rng(rows.shape)
    normal = random.standard_normal((SIMULATIONS, draws))
    scale = np.sqrt(random.chisquare(freedom, SIMULATIONS) / freedom)
    return np.asarray(np.abs(normal @ rows.T).max(axis=1) / scale)


def _shared(series: Sequence[Measured]) -> list[Measured]:
    """The points, each with the seeds that all of them have; empty if there is none."""
    common = set.intersection(*(set(point) for point in series)) if series else set()
    return [{seed: point[seed] for seed in sorted(common)} for point in series] if common else []


def _noise(points: Sequence[Measured], *, paired: bool) -> tuple[float, int] | None:
    """Variance of one draw and its degrees of freedom, from what distinct draws spread by within a
    point, so that no step enters it; None if there are no degrees of freedom.

    Paired: residual of the two-way layout without interaction of points and seeds (Scheffe 1959,
    section 4.2), in which neither points nor seeds are noise.
    """
    squares, freedom = 0.0, 0
    seen: set[tuple[int, str]] = set()
    distinct: list[list[float]] = []
    for point in points:
        fresh = [value for seed, (d, value) in point.items() if (seed, d) not in seen]
        seen.update((seed, digest) for seed, (digest, _) in point.items())
        if paired:
            distinct += [[value for _, value in point.values()]] if fresh else []
        elif fresh:
            squares += float(np.var(fresh) * len(fresh))
            freedom += len(fresh) - 1
    if paired and distinct:
        table = np.array(distinct)
        residual = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        squares = float(np.sum(residual**2))
        freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return (squares / freedom, freedom) if freedom else None
