"""Tests of shares, correction for many tests, and how many seeds would decide.

They use ``scipy.special``, as ``scipy.stats`` takes half a second to import, and are tested against
``scipy.stats``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

#: The chance that the advised number of seeds decides: the power that is customary (Cohen 1988).
PROMISED = 0.8


def holm(p_values: Array) -> Array:
    """Adjusted p-values (Holm 1979): p_(k) times (m - k + 1), made increasing, at most 1.

    NaN stands for no test: it stays NaN and does not count in m.
    """
    adjusted = np.full(np.shape(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return adjusted


def fisher(hits_a: int, n_a: int, hits_b: int, n_b: int) -> float:
    """Two-sided exact test of two shares (Fisher 1922): the tables with the same margins that are
    at most as likely as this one."""
    total, hits = n_a + n_b, hits_a + hits_b
    k = np.arange(max(0, hits - n_b), min(n_a, hits) + 1)
    log = _log_choose(n_a, k) + _log_choose(n_b, hits - k) - _log_choose(total, np.array(hits))
    mass = np.exp(log)
    seen = mass[k == hits_a]
    return float(min(1.0, mass[mass <= seen * (1 + 1e-7)].sum()))


def _log_choose(n: int, k: Array | Any) -> Array:
    gamma = special.gammaln
    return np.asarray(gamma(n + 1.0) - gamma(k + 1.0) - gamma(n - k + 1.0), float)


def chance_of_decision(
    seeds: Array,
    *,
    change: float,
    known: float,
    variance: tuple[float, float],
    sides: tuple[int, int],
    margin: float,
    tails: tuple[float, float],
) -> Array:
    """The chance that another run with ``seeds`` seeds a side shows a difference or equivalence.

    What was seen does not fix the true change: given a change c with standard error e, the next one
    is normal around c with variance e^2 + e_n^2 (assurance: O'Hagan et al. 2005). A difference is
    shown if it exceeds the margin and z e_n, equivalence if it is below margin - z e_n, where
    e_n^2 = sides * variance / (n - z^2 / (2 sides)): the subtracted term makes up for the t
    distribution (Guenther 1981).

    Args:
        seeds: numbers n to judge.
        change: c, the change that was seen.
        known: e^2, its squared standard error.
        variance: variance of one seed, or of one pair's difference, in the test for a difference and in
            that for equivalence; likewise ``sides`` and ``tails``.
        sides: 2 for two samples, 1 for pairs.
        margin: smallest change that matters.
        tails: one-sided levels.
    """
    chance = np.zeros(np.shape(seeds))
    for index, (tail, number) in enumerate(zip(tails, sides, strict=True)):
        z = float(-special.ndtri(tail))
        effective = np.maximum(seeds - z**2 / (2 * number), 1e-9)
        error = np.sqrt(number * variance[index] / effective)
        spread = np.sqrt(known + error**2)
        limit = np.maximum(margin, z * error) if index == 0 else np.maximum(margin - z * error, 0)
        below = special.ndtr((limit - change) / spread)
        inside = below - special.ndtr((-limit - change) / spread)
        chance += 1 - inside if index == 0 else inside
    return chance


def share_seeds(first: float, second: float, tail: float) -> float:
    """Seeds a side with which two shares differ in Fisher's exact test, with probability PROMISED.

    n = [z_a sqrt(2 p q) + z_b sqrt(p1 q1 + p2 q2)]^2 / d^2, p the mean of both shares, d = |p1 - p2|,
    times (1 + sqrt(1 + 4/(n d)))^2 / 4 for the exact test (Casagrande, Pike and Smith 1978).

    Args:
        first: share on one side, not 0 and not 1.
        second: share on the other side.
        tail: one-sided level.
    """
    mean, distance = (first + second) / 2, abs(first - second)
    under_null = np.sqrt(2 * mean * (1 - mean))
    under_change = np.sqrt(first * (1 - first) + second * (1 - second))
    quantiles = -special.ndtri(tail), special.ndtri(PROMISED)
    number = ((quantiles[0] * under_null + quantiles[1] * under_change) / distance) ** 2
    return float(np.ceil(number / 4 * (1 + np.sqrt(1 + 4 / (number * distance))) ** 2))


def moments(values: Array) -> tuple[Array, Array, Array]:
    """Number, mean and squared deviations along seeds, NaN left out; a mean of nothing is NaN."""
    n = (~np.isnan(values)).sum(axis=1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=1) / n
    squares = np.nansum((values - mean[:, None]) ** 2, axis=1)
    return n, mean, squares
