"""Tests of statistics against scipy.stats and hand-worked numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.verdict import statistics
from bench.verdict.statistics import KNOWN, MOST_BORROWED, Difference, Prior


def _samples(seed: int, cells: int = 50) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scale = np.exp(random.normal(size=(cells, 1)))
    return scale * random.normal(size=(cells, 3)), 0.7 * scale * random.normal(
        size=(cells, 5)
    ) + 0.2


def test_welch_is_scipys() -> None:
    """Change, p and degrees of freedom are those of scipy.stats.ttest_ind with unequal variances."""
    a, b = _samples(1)
    ours = statistics.welch(
        a.mean(1), a.var(1, ddof=1), np.full(50, 3.0), b.mean(1), b.var(1, ddof=1), np.full(50, 5.0)
    )
    theirs = stats.ttest_ind(b, a, axis=1, equal_var=False)
    np.testing.assert_allclose(ours.change / ours.error, theirs.statistic, rtol=1e-10)
    np.testing.assert_allclose(ours.p_value, theirs.pvalue, rtol=1e-8)


def test_paired_t_is_scipys() -> None:
    """The p-value is that of scipy.stats.ttest_rel."""
    a, b = _samples(2)
    d = b[:, :3] - a
    ours = statistics.paired_t(d.mean(1), d.var(1, ddof=1), np.full(50, 3.0))
    np.testing.assert_allclose(ours.p_value, stats.ttest_rel(b[:, :3], a, axis=1).pvalue, rtol=1e-8)


@pytest.mark.parametrize(("change", "p"), [(0.0, 1.0), (1e-9, 0.0), (-1e-9, 0.0)])
def test_no_spread_is_equality_or_a_certain_difference(change: float, p: float) -> None:
    """Without spread, p is 1 for exactly equal means and 0 for any other, and nothing warns."""
    zero, three = np.zeros(1), np.full(1, 3.0)
    two = statistics.welch(zero, zero, three, zero + change, zero, three)
    one = statistics.paired_t(zero + change, zero, three)
    assert two.p_value[0] == one.p_value[0] == p


def test_extreme_differences_have_no_warning_and_no_nan() -> None:
    """A t of 1e12 at any degrees of freedom gives a p in [0, 1e-6]."""
    df = np.array([1.0, 2.0, 8.0, KNOWN, np.inf])
    p = statistics.paired_t(np.full(5, 1e6), np.full(5, 3e-12), np.full(5, 3.0), df=df).p_value
    assert np.all((p >= 0) & (p < 1e-6))


@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=1, max_size=30))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    """adjusted_(k) = max over j <= k of min(1, (m - j + 1) p_(j)); NaN does not count."""
    tested = sorted(p for p in p_values if p == p)
    m, expected, running = len(tested), {}, 0.0
    for k, p in enumerate(tested):
        running = max(running, min(1.0, (m - k) * p))
        expected.setdefault(p, []).append(running)
    adjusted = statistics.holm(np.array(p_values))
    for p, q in zip(p_values, adjusted, strict=True):
        assert np.isnan(q) if p != p else any(q == pytest.approx(e) for e in expected[p])


def test_holm_by_hand() -> None:
    """.01 x 3 = .03; .02 x 2 = .04; .04 x 1 = .04."""
    np.testing.assert_allclose(statistics.holm(np.array([0.04, 0.01, 0.02])), [0.04, 0.03, 0.04])


def test_equivalence_is_the_confidence_interval() -> None:
    """p <= .05 exactly if the 90 % confidence interval lies within the margin."""
    random = np.random.default_rng(3)
    difference = Difference(
        change=random.normal(0, 0.5, 200),
        error=random.uniform(0.05, 0.5, 200),
        df=random.uniform(2, 20, 200),
        p_value=np.zeros(200),
    )
    half = stats.t.ppf(0.95, difference.df) * difference.error
    inside = (difference.change - half > -1) & (difference.change + half < 1)
    np.testing.assert_array_equal(statistics.equivalence(difference, 1.0) <= 0.05, inside)
    assert 0 < inside.sum() < 200


@given(st.integers(0, 8), st.integers(1, 8), st.integers(0, 8), st.integers(1, 8))
def test_fisher_is_scipys(a: int, n: int, b: int, m: int) -> None:
    """p is that of scipy.stats.fisher_exact."""
    a, b = min(a, n), min(b, m)
    theirs = stats.fisher_exact([[a, n - a], [b, m - b]])[1]
    assert statistics.fisher(a, n, b, m) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_flips_per_mixed_side_bounds_every_probability(n: int) -> None:
    """2 p^n q^n / (1 - p^n - q^n) is below it for every p, and reaches it at 1/2."""
    p = np.linspace(0.001, 0.999, 999)
    quotient = 2 * (p * (1 - p)) ** n / (1 - p**n - (1 - p) ** n)
    assert quotient.max() == pytest.approx(statistics.flips_per_mixed_side(n))


def test_luck_by_hand() -> None:
    """One flip of three seeds, no mixed side: 1 - exp(-1/48); seldom luck. With two it may be."""
    rate = statistics.flips_per_mixed_side(3)
    assert rate == pytest.approx(1 / 24)
    assert statistics.luck(1, 0.0, rate) == pytest.approx(1 - np.exp(-1 / 48))
    assert statistics.luck(1, 2.0, rate) == pytest.approx(1 - np.exp(-2.5 / 24))
    assert statistics.luck(5, 10.0, rate) == pytest.approx(stats.poisson.sf(4, 10.5 / 24))
    assert statistics.luck(0, 0.0, rate) == 1.0
    assert statistics.luck(1, 0.0, statistics.flips_per_mixed_side(1)) == 1.0


def test_variance_prior_recovers_what_was_drawn() -> None:
    """From 4,000 sample variances: d0 = 6 and s0^2 = 9 within a tenth and a fifth."""
    random = np.random.default_rng(4)
    truth = 9 * 6 / random.chisquare(6, 4000)
    sample = truth * random.chisquare(4, 4000) / 4
    prior = statistics.variance_prior(sample, np.full(4000, 4.0))
    assert prior.variance == pytest.approx(9, rel=0.1)
    assert prior.df == pytest.approx(6, rel=0.2)


def test_variance_prior_of_equal_variances_is_known() -> None:
    """Variances that differ by less than chance have a prior of infinitely many degrees."""
    prior = statistics.variance_prior(np.full(30, 4.0), np.full(30, 2.0))
    assert np.isinf(prior.df)


def test_few_cells_lend_nothing() -> None:
    """Nine sides tell nothing about how variances vary."""
    assert statistics.variance_prior(np.full(9, 4.0), np.full(9, 2.0)).df == 0


def test_moderated_variance_by_hand() -> None:
    """(d0 s0^2 + d s^2)/(d0 + d): (4 x 10 + 2 x 4)/6 = 8, in floors of .5: 4."""
    half = np.full(1, 0.5)
    moderated, df = statistics.moderate(np.full(1, 2.0), np.full(1, 2.0), half, Prior(4.0, 10.0))
    assert (moderated[0], df[0]) == (pytest.approx(4.0), 6.0)


def test_moderated_variance_is_never_below_its_floor_nor_an_outlier_shrunk() -> None:
    """Ties get the floor; a variance far above all others keeps itself and its own degrees."""
    own = np.array([0.0, 1000.0])
    prior = Prior(df=np.inf, variance=1.0)
    moderated, df = statistics.moderate(own, np.full(2, 2.0), np.ones(2), prior)
    assert moderated.tolist() == [1.0, 1000.0]
    assert df.tolist() == [MOST_BORROWED + 2, 2.0]


def test_without_a_prior_a_cell_has_its_own_variance() -> None:
    """d0 = 0: nothing is borrowed."""
    moderated, df = statistics.moderate(
        np.full(1, 7.0), np.full(1, 2.0), np.ones(1), Prior(df=0.0, variance=1.0)
    )
    assert (moderated[0], df[0]) == (7.0, 2.0)


def test_seeds_to_decide_reach_their_level() -> None:
    """The advised number makes the same t significant, and two seeds fewer do not."""
    change, variance, tail = 1.0, 1.0, 0.001
    n = int(statistics.seeds_to_decide(change, variance, tail))

    def p(seeds: int) -> float:
        return float(stats.t.sf(change / np.sqrt(2 * variance / seeds), 2 * seeds - 2))

    assert p(n) <= tail * 1.15
    assert p(n - 2) > tail
