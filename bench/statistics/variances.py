"""Posterior of a cell's variance from its few seeds, given the variances of all cells of the run.

Three seeds that agree by luck have a variance of zero, and a t-test on it believes anything; three
seeds alone have so few degrees of freedom that no test over a thousand comparisons can succeed. So
cells learn from each other: empirical partially Bayes tests (Ignatiadis and Sen 2025), whose prior of
variances is not of a given form but estimated as a whole. A few cells that vary far more than the
others are then part of the prior, and no cell is judged by the others more than the likelihood of
its own spread allows.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

#: Distance of the prior's support points, in log variance. The likelihood of a variance on d degrees of
#: freedom is sqrt(trigamma(d/2)) wide: .26 on 30, 1.3 on 2.
SPACING = 0.125

#: The support ends at this multiple of the largest variance seen: there the likelihood on 2 degrees of
#: freedom is 1/this of its peak.
BEYOND = 1e4

#: The estimate of the prior has converged when the log-likelihood of all cells together is within this
#: of its largest value: a likelihood ratio of e, which no data tell apart.
CONVERGED = 1.0


@dataclasses.dataclass(frozen=True)
class Variances:
    """Posterior of each cell's variance."""

    support: Array
    """Variances in units of the floor, shape (points,)."""
    weights: Array
    """Probability of each, shape (cells, points)."""
    floors: Array
    """Shape (cells,)."""

    @property
    def mean(self) -> Array:
        """Posterior mean of each cell's variance."""
        return np.asarray(self.weights @ self.support * self.floors)

    def tail(self, distance: Array, scale: Array) -> Array:
        """P(Z sigma sqrt(scale) >= distance), Z standard normal, over the posterior of sigma.

        Args:
            distance: one per cell; may be negative or NaN, which stays NaN.
            scale: variance of the difference in units of one seed's (or one pair's): 1/n + 1/m.
        """
        deviation = np.sqrt(np.multiply.outer(self.floors * scale, self.support))
        with np.errstate(over="ignore"):
            chances = special.ndtr(-distance[:, None] / deviation)
        return np.asarray(np.minimum((self.weights * chances).sum(axis=1), 1.0))


def posteriors(squares: Array, df: Array, floors: Array) -> Variances:
    """Posterior of each cell under a prior that all other cells give.

    The prior is the nonparametric maximum likelihood estimate (Kiefer and Wolfowitz 1956) of a
    distribution on a grid of variances, s^2 | sigma^2 ~ sigma^2 chi^2_d / d, by expectation
    maximization, to which one more, imagined cell is added that may have any variance with equal
    probability of its logarithm: the rule of succession for what no cell has shown yet (a Dirichlet
    process of strength one; Ferguson 1973). A cell's own share in the prior is taken out, so
    that a cell that is alone is judged by Student's t.

    Args:
        squares: sums of squared deviations, shape (cells,).
        df: their degrees of freedom.
        floors: least variances that are believed.
    """
    ratios = squares / floors
    largest = float(
        np.max(np.divide(ratios, df, out=np.ones_like(ratios), where=df > 0), initial=1)
    )
    points = 2 + math.ceil(math.log(max(largest, 1.0) * BEYOND) / SPACING)
    support = np.exp(SPACING * np.arange(points))
    log = -0.5 * (df[:, None] * np.log(support) + ratios[:, None] / support)
    likelihood = np.exp(log - log.max(axis=1, keepdims=True, initial=-np.inf))
    prior, shares = _estimate(likelihood)
    others = np.maximum((len(ratios) + 1) * prior - shares, 0.0)
    weights = others * likelihood
    return Variances(support, weights / weights.sum(axis=1, keepdims=True), floors)


def _estimate(likelihood: Array) -> tuple[Array, Array]:
    """Prior on the support, and each cell's share in it (rows add up to 1).

    One step of expectation maximization multiplies the prior by the gradient of the log-likelihood
    over (cells + 1). The log-likelihood is concave, so its distance from the maximum is at most the
    largest such factor, less one, times (cells + 1).
    """
    cells, points = likelihood.shape
    prior = np.full(points, 1 / points)
    while True:
        joint = likelihood * prior
        shares = joint / joint.sum(axis=1, keepdims=True)
        after = (shares.sum(axis=0) + 1 / points) / (cells + 1)
        if (float((after / prior).max()) - 1) * (cells + 1) <= CONVERGED:
            return after, shares
        prior = after
