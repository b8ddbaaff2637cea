"""Whether a result lies where rounding may have carried it: Monte Carlo arithmetic.

A bound that grows with each operation says nothing after ten training steps. Instead the same steps
are computed K times with a random rounding after every operation
(:class:`bench.theory.rounding.arrays.Stochastic`; Parker 1997). Each draw is off the exact result r
by a vector e_k. To first order such a vector is linear in very many independent roundings, so it is
normal with mean 0 and some covariance S. A sound implementation is off by e with the same S or a
smaller one. Then::

    T = |e|^2 / mean of |e_k|^2

is a ratio of two sums of squares. With S of rank 1, where errors share a direction, it is distributed
as F(1, K); with more directions both sums vary less, and large T are rarer. So T above the quantile
of F(1, K) at 1 - level has at most probability ``level``. Of n tensors that are compared each gets
level / n (Bonferroni).

That S is no larger than the draws' is by construction: a draw's rounding is uniform over +-u, of
variance u^2 / 3; rounding to nearest is within u / 2 .. u of relative size, uniformly, of variance at
most the same; and sums are drawn with as many roundings as they have terms, which a blocked sum never
has. A constant that is rounded is no such draw: it moves every run alike, and is the caller's business.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.results.check import Deviation

#: Chance that any of a check's tensors is called out although only rounding differs.
FALSE_ALARM = 1e-6


def reach(draws: int, level: float) -> float:
    """Largest error, in root mean squares of the draws: the root of F(1, K)'s quantile.

    Args:
        draws: K, at least 1.
        level: probability that a sound error is larger.

    Example:
        >>> round(reach(16, 1e-6), 1)  # a normal distribution's own is 4.9
        7.6
    """
    return float(np.sqrt(stats.f.isf(level, 1, draws)))


def spread(
    tensor: str,
    got: npt.ArrayLike,
    truth: npt.ArrayLike,
    draws: Sequence[npt.ArrayLike],
    *,
    level: float,
    exact: npt.ArrayLike | None = None,
) -> Deviation:
    """The root mean square error of a tensor, in units of what rounding may make of it.

    Args:
        tensor: its name, for people.
        got: result computed in the format.
        truth: without rounding, of the same shape.
        draws: K results of Monte Carlo arithmetic.
        level: probability that rounding alone is called out.
        exact: centre of the draws, if that is not the truth.

    Raises:
        ValueError: no draws.
    """
    if not draws:
        raise ValueError("no draws: nothing to compare with")
    truth = np.asarray(truth, np.float64)
    centre = truth if exact is None else np.asarray(exact, np.float64)
    actual = np.asarray(got, np.float64)
    if actual.shape != truth.shape:
        evidence = f"shape {actual.shape}, expected {truth.shape}"
        return Deviation(tensor=tensor, excess=None, evidence=evidence)
    squares = [np.sum(np.square(np.asarray(draw, np.float64) - centre)) for draw in draws]
    scale = float(np.sqrt(np.mean(squares)))
    error = float(np.sqrt(np.sum(np.square(actual - truth))))
    allowed = reach(len(draws), level) * scale
    evidence = f"error {error:.3g}; rounding makes {scale:.3g}, at most {allowed:.3g}"
    if error == 0.0:
        return Deviation(tensor=tensor, excess=0.0, evidence=evidence)
    if not np.isfinite(error) or not 0.0 < allowed < np.inf:
        return Deviation(tensor=tensor, excess=None, evidence=evidence)
    return Deviation(tensor=tensor, excess=error / allowed, evidence=evidence)
