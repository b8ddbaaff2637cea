"""Tests of statistics against scipy.stats and hand-worked numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.statistics import shares
from bench.statistics.shares import PROMISED


@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=1, max_size=30))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    """adjusted_(k) = max over j <= k of min(1, (m - j + 1) p_(j)); NaN does not count."""
    tested = sorted(p for p in p_values if p == p)
    m, expected, running = len(tested), {}, 0.0
    for k, p in enumerate(tested):
        running = max(running, min(1.0, (m - k) * p))
        expected.setdefault(p, []).append(running)
    adjusted = shares.holm(np.array(p_values))
    for p, q in zip(p_values, adjusted, strict=True):
        assert np.isnan(q) if p != p else any(q == pytest.approx(e) for e in expected[p])


def test_holm_by_hand() -> None:
    """.01 x 3 = .03; .02 x 2 = .04; .04 x 1 = .04."""
    np.testing.assert_allclose(shares.holm(np.array([0.04, 0.01, 0.02])), [0.04, 0.03, 0.04])


@given(st.integers(0, 8), st.integers(1, 8), st.integers(0, 8), st.integers(1, 8))
def test_fisher_is_scipys(a: int, n: int, b: int, m: int) -> None:
    """p is that of scipy.stats.fisher_exact."""
    a, b = min(a, n), min(b, m)
    theirs = stats.fisher_exact([[a, n - a], [b, m - b]])[1]
    assert shares.fisher(a, n, b, m) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("first", "second"), [(0.1, 0.6), (0.5, 0.9), (0.25, 0.4)])
@pytest.mark.slow
def test_share_seeds_have_the_promised_power(first: float, second: float) -> None:
    """With the advised number the exact test finds the difference about as often as promised.

    Exactly computed; the formula's error is known to be small (at most .02 in its paper's tables), and
    one seed more or less moves the power by as much.
    """
    tail = 0.025
    n = int(shares.share_seeds(first, second, tail))
    k = np.arange(n + 1)
    found = np.array([[shares.fisher(a, n, b, n) <= 2 * tail for b in k] for a in k])
    power = stats.binom.pmf(k, n, first) @ found @ stats.binom.pmf(k, n, second)
    assert power == pytest.approx(PROMISED, abs=0.04)


def _chance(seeds: float, change: float, **options: float) -> float:
    known, sides = options.get("known", 0.0), int(options.get("sides", 2))
    chances = shares.chance_of_decision(
        np.array([seeds]),
        change=change,
        variance=(1.0, 1.0),
        known=known,
        sides=(sides, sides),
        margin=1.0,
        tails=(0.001, 0.05),
    )
    return float(chances[0])


@pytest.mark.parametrize("change", [0.0, 0.4, 2.0, -3.0])
def test_the_chance_of_a_decision_is_simulations(change: float) -> None:
    """Twelve seeds a side: t-tests at .001 (and beyond the margin) or two one-sided ones at .05.

    Of 4,000 simulated comparisons; the approximation by a normal distribution is allowed .03, and the
    simulation four of its standard deviations, 4 x .5/sqrt(4000) = .03.
    """
    random, runs, n = np.random.default_rng(1), 4000, 12
    a, b = random.normal(size=(runs, n)), random.normal(change, 1, (runs, n))
    difference = b.mean(1) - a.mean(1)
    error = np.sqrt((a.var(1, ddof=1) + b.var(1, ddof=1)) / n)
    df = 2 * n - 2
    shown = (abs(difference) / error >= stats.t.isf(0.001, df)) & (abs(difference) > 1)
    within = (1 - abs(difference)) / error >= stats.t.isf(0.05, df)
    assert _chance(n, change) == pytest.approx(float((shown | within).mean()), abs=0.06)


def test_a_change_that_is_not_known_is_decided_less_surely() -> None:
    """A true change of zero is shown to be none; one that is only estimated may be anything."""
    assert _chance(50, 0.0) > 0.99
    assert _chance(50, 0.0, known=0.25) < 0.95
    assert _chance(20, 0.0, sides=1) > _chance(20, 0.0)
