"""Tests on arrays of cells: one call for a whole run.

They use ``scipy.special``, as ``scipy.stats`` takes half a second to import, and are tested against
``scipy.stats``.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

#: Fewer groups than this tell nothing about how variances are distributed.
FEWEST_GROUPS = 10

#: Degrees of freedom that stand for a variance that is known.
KNOWN = 1e6

#: A variance that the prior gives less than this probability borrows nothing from it. Chosen by
#: simulation of 150 cells under three seeds: where cells' spreads differ fiftyfold, 7 % of runs
#: raise a false alarm at .1 and 5 % at .2, and the power to see a drop of 2 points (seeds' standard
#: deviation .2 points) is .98 and .94.
OUTLIER = 0.2

#: No prior counts for more degrees of freedom than this, however alike cells look; see
#: :func:`moderate`.
MOST_BORROWED = 8.0


@dataclasses.dataclass(frozen=True)
class Difference:
    """A tested difference of means; every array has one entry per cell."""

    change: Array
    error: Array
    """Standard error of ``change``."""
    df: Array
    p_value: Array
    """Two-sided, that the true change is zero; NaN where no test is possible."""


def welch(
    mean_a: Array,
    var_a: Array,
    n_a: Array,
    mean_b: Array,
    var_b: Array,
    n_b: Array,
    *,
    df_a: Array | None = None,
    df_b: Array | None = None,
) -> Difference:
    """Two samples of unequal variance (Welch 1947), from their means, variances and sizes.

    t = (mean_b - mean_a) / sqrt(v_a + v_b) with v = var/n, on
    (v_a + v_b)^2 / (v_a^2/df_a + v_b^2/df_b) degrees of freedom (Satterthwaite 1946).

    Without any spread on either side p is 1 if the means are the same number and else 0: whether
    that may be believed is for a floor under the variances to say, see :func:`moderate`.

    Args:
        mean_a: means of the first side, one per cell, as all arguments.
        var_a: its sample variances.
        n_a: its numbers of values.
        mean_b: means of the second side.
        var_b: its sample variances.
        n_b: its numbers of values.
        df_a: degrees of freedom behind ``var_a``; n_a - 1 if None.
        df_b: degrees of freedom behind ``var_b``; n_b - 1 if None.
    """
    first, second = np.asarray(var_a / n_a, float), np.asarray(var_b / n_b, float)
    df_a = np.asarray(n_a - 1 if df_a is None else df_a, float)
    df_b = np.asarray(n_b - 1 if df_b is None else df_b, float)
    square = first + second
    with np.errstate(divide="ignore", invalid="ignore"):
        df = square**2 / (first**2 / df_a + second**2 / df_b)
    df = np.where(square > 0, df, df_a + df_b)
    return _tested(np.asarray(mean_b - mean_a, float), np.sqrt(square), df)


def paired_t(mean: Array, var: Array, n: Array, *, df: Array | None = None) -> Difference:
    """Differences of pairs: t = mean / sqrt(var/n) on ``df`` (n - 1 if None) degrees of freedom.

    Without any spread p is 1 for a mean of exactly zero, and else 0; see :func:`welch`.
    """
    df = np.asarray(n - 1 if df is None else df, float)
    return _tested(np.asarray(mean, float), np.sqrt(var / n), df)


def _tested(change: Array, error: Array, df: Array) -> Difference:
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(change == 0, 0.0, np.abs(change) / error)
    p = np.where(df > 0, 2 * _upper_tail(df, t), np.nan)
    return Difference(change=change, error=error, df=df, p_value=p)


def _upper_tail(df: Array, t: Array) -> Array:
    """P(T >= t) of Student's t; t may be infinite."""
    safe = np.clip(np.nan_to_num(df, nan=1.0), 1e-3, KNOWN)
    finite = np.clip(t, -1e300, 1e300)
    return np.where(np.isnan(t), np.nan, special.stdtr(safe, -finite))


def equivalence(difference: Difference, margin: float | Array) -> Array:
    """p that the true change is at least ``margin`` either way.

    Two one-sided tests (Schuirmann 1987):

    p = P(T >= (margin - |change|) / error): at most .05 if and only if the 90 % confidence interval
    of the change lies within the margin. Within one cell every metric must pass, which needs no
    correction (intersection-union, Berger 1982); over cells the level is each cell's own.
    """
    room = margin - np.abs(difference.change)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(difference.error > 0, room / difference.error, np.sign(room) * np.inf)
    return np.where(difference.df > 0, _upper_tail(difference.df, t), np.nan)


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


@dataclasses.dataclass(frozen=True)
class Prior:
    """How variances are distributed over cells, in units of each cell's floor."""

    df: float
    """0: cells tell nothing about each other. Infinite: all have the same variance."""
    variance: float


def variance_prior(ratios: Array, df: Array) -> Prior:
    """A scaled inverse chi-square prior by moments of logs (Smyth 2004, section 6.2).

    With z = log s^2 and e = z - psi(d/2) + log(d/2):
    trigamma(d0/2) = var(e) - mean(trigamma(d/2)) and log s0^2 = mean(e) + psi(d0/2) - log(d0/2).

    Args:
        ratios: sample variances over floors, shape (groups,); below 1 they count as 1.
        df: their degrees of freedom, same shape.
    """
    if ratios.size < FEWEST_GROUPS:
        return Prior(df=0.0, variance=1.0)
    half = df / 2
    e = np.log(np.maximum(ratios, 1.0)) - special.psi(half) + np.log(half)
    excess = float(np.var(e, ddof=1) - np.mean(special.polygamma(1, half)))
    if excess <= 0:
        return Prior(df=np.inf, variance=float(np.exp(np.mean(e))))
    prior = 2 * _inverse_trigamma(excess)
    shift = float(special.psi(prior / 2)) - np.log(prior / 2)
    return Prior(df=prior, variance=float(np.exp(np.mean(e) + shift)))


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value; Newton's iteration as in Smyth (2004, appendix)."""
    if value > 1e7:
        return float(value**-0.5)
    x = 0.5 + 1 / value
    for _ in range(50):
        tri = float(special.polygamma(1, x))
        step = tri * (1 - tri / value) / float(special.polygamma(2, x))
        x += step
        if -step / x < 1e-10:
            break
    return x


def moderate(variances: Array, df: Array, floors: Array, prior: Prior) -> tuple[Array, Array]:
    """Variances that borrow from all cells, never below their floor, and their degrees of freedom.

    s~^2 = max(floor, (d0 s0^2 + d s^2) / (d0 + d)) on d0 + d degrees of freedom (Smyth 2004). Three
    seeds that agree by luck have a variance of zero, and a t-test on it believes anything.

    A variance too large for the prior (F-test at level OUTLIER) borrows nothing: it keeps its own
    degrees of freedom, for else the cells that vary most would be judged by those that do not
    (Phipson et al. 2016).
    """
    own = variances / floors
    d0 = min(prior.df, MOST_BORROWED)
    with np.errstate(invalid="ignore"):
        outlier = special.fdtrc(df, min(prior.df, KNOWN) or 1.0, own / prior.variance) < OUTLIER
    lends = np.where(outlier, 0.0, d0)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (lends * prior.variance + df * own) / (lends + df)
    return floors * np.maximum(1.0, pooled), lends + df


def seeds_to_decide(distance: Any, variance: Any, tail: Any, *, sides: int = 2) -> Any:
    """Seeds a side at which a change of the same size and spread would be decided.

    n = sides * variance * (z/distance)^2 + z^2/(2 sides), z the normal quantile of ``tail``; the
    second term makes up for the t distribution (Guenther 1981).

    Args:
        distance: from what is to be excluded: the change itself (a difference is shown), or the
            margin less the change (equivalence is shown).
        variance: of one seed (of one pair for ``sides`` = 1).
        tail: one-sided level.
        sides: 2 for two samples, 1 for pairs.
    """
    z = -special.ndtri(tail)
    with np.errstate(divide="ignore"):
        return np.ceil(sides * variance * (z / np.abs(distance)) ** 2 + z**2 / (2 * sides))


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


def flips_per_mixed_side(n: int) -> float:
    """How many lucky flips go with each side that is seen to be mixed, at most.

    A seed of a cell ends in one of two states with probabilities p and q. Of ``n`` seeds a side,
    both sides are pure and differ with 2 p^n q^n, and a side is mixed with 1 - p^n - q^n. The
    quotient is largest at p = 1/2: 2^(1-2n) / (1 - 2^(1-n)). With three seeds that is 1/24, with
    five 1/480. It is infinite for one seed, whose side is never mixed.
    """
    return float(2.0 ** (1 - 2 * n) / (1 - 2.0 ** (1 - n))) if n > 1 else float("inf")


def luck(flips: int, mixed: float, rate: float) -> float:
    """p that so many cells go from one state to the other with every seed if nothing changed.

    With three seeds no test on one cell can tell: 3 against 0 of 3 has an exact p of .1, and a cell
    that learns under half the seeds does it once in 32. The other cells can: such cells show
    themselves, as they are far more often mixed within a side. From ``mixed`` sides (the mean of
    both sides' counts) at most (mixed + 1/2) * rate lucky flips are expected, and
    p = P(Poisson(that) >= flips). The half stands for what no mixed side shows (Jeffreys' prior).
    It is a statement about all flips together: of a set that is too large for luck, some may still
    be luck.
    """
    expected = min((mixed + 0.5) * rate, 1e6)
    return float(special.gammainc(flips, expected)) if flips > 0 else 1.0
