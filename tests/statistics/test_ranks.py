"""Exact tests: against enumeration, SciPy and hand-worked numbers; their levels by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.statistics.ranks import concordance, falls, lower, majority, welch_lower

small = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=4)


class TestLower:
    @settings(max_examples=60, deadline=None)
    @given(small, small)
    def test_is_the_share_of_choices(self, low: list[float], high: list[float]) -> None:
        """The p-value is the share of ways to choose the first sample whose rank sum is no larger."""
        ranks = stats.rankdata([*low, *high])
        seen = ranks[: len(low)].sum()
        sums = [sum(chosen) for chosen in itertools.combinations(ranks, len(low))]
        assert lower(low, high) == pytest.approx(np.mean(np.array(sums) <= seen + 1e-9))

    def test_three_apart(self) -> None:
        """All of three below all of three: one of C(6, 3) = 20 ways."""
        assert lower([1, 2, 3], [4, 5, 6]) == pytest.approx(1 / 20)
        assert lower([4, 5, 6], [1, 2, 3]) == 1

    def test_as_scipy(self) -> None:
        """Ten a side agree with SciPy's exact Mann-Whitney test."""
        random = np.random.default_rng(1)
        low, high = random.normal(size=10), random.normal(0.7, size=10)
        expected = stats.mannwhitneyu(low, high, alternative="less", method="exact").pvalue
        assert lower(list(low), list(high)) == pytest.approx(expected)

    def test_nothing(self) -> None:
        """An empty sample is an error."""
        with pytest.raises(ValueError, match="an empty sample has no ranks"):
            lower([], [1.0])


class TestFalls:
    @pytest.mark.parametrize("size", [2, 5, 12])
    def test_monotonous(self, size: int) -> None:
        """A series that falls throughout is one of n! orders, and every order falls no more."""
        down, up = falls(list(range(size, 0, -1)))
        assert down == pytest.approx(1 / np.prod(np.arange(1.0, size + 1)))
        assert up == pytest.approx(1)

    def test_all_orders(self) -> None:
        """Over all orders of five values, p-values are at most x in a share x of them or less."""
        p_values = np.array([falls(order)[0] for order in itertools.permutations(range(5))])
        for level in np.unique(p_values):
            assert np.mean(p_values <= level) == pytest.approx(level)

    def test_ties_say_nothing(self) -> None:
        """A constant series neither falls nor rises."""
        assert falls([1.0] * 6) == pytest.approx((1.0, 1.0))

    def test_long(self) -> None:
        """140 looks of noise agree with SciPy's test of Kendall's tau."""
        values = np.random.default_rng(3).normal(size=140) - np.linspace(0, 0.3, 140)
        expected = stats.kendalltau(np.arange(140), values, alternative="less", method="exact")
        assert falls(list(values))[0] == pytest.approx(expected.pvalue, rel=1e-6)


def test_majority() -> None:
    """Five of five: 1/32; nine of ten: 11/1024; none of so many: certain."""
    assert majority(5, 5) == pytest.approx(1 / 32)
    assert majority(9, 10) == pytest.approx(11 / 1024)
    assert majority(0, 5) == 1


class TestConcordance:
    TIERS = (("a", "b"), ("c", "d", "e"), ("f",))

    def test_in_order(self) -> None:
        """Perfect order is one of 6! / (2! 3! 1!) = 60 deals."""
        values = dict(zip("abcdef", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], strict=True))
        rises, descends = concordance(values, self.TIERS)
        assert rises == pytest.approx(1 / 60)
        assert descends == 1

    def test_reverse(self) -> None:
        """The reverse order mirrors it."""
        values = dict(zip("abcdef", [6.0, 5.0, 4.0, 3.0, 2.0, 1.0], strict=True))
        assert concordance(values, self.TIERS) == (1, pytest.approx(1 / 60))

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(0, 2).map(float), min_size=6, max_size=6))
    def test_mirrored(self, numbers: list[float]) -> None:
        """Tiers the other way round exchange both p-values, with ties too."""
        values = dict(zip("abcdef", numbers, strict=True))
        there = concordance(values, self.TIERS)
        assert concordance(values, self.TIERS[::-1]) == pytest.approx(there[::-1])

    def test_equal(self) -> None:
        """Equal values say nothing."""
        assert concordance(dict.fromkeys("abcdef", 1.0), self.TIERS) == (1, 1)


class TestWelch:
    def test_as_scipy(self) -> None:
        """It is SciPy's test for unequal variances."""
        low, high = [0.1, 0.4, 0.2], [0.5, 0.9, 1.4, 1.1]
        expected = stats.ttest_ind(low, high, equal_var=False, alternative="less").pvalue
        assert welch_lower(low, high) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("low", "high", "p"), [([1, 1], [2, 2], 0.0), ([2, 2], [1, 1], 1.0), ([1, 1], [1, 1], 0.5)]
    )
    def test_no_spread(self, low: list[float], high: list[float], p: float) -> None:
        """Constant samples are told apart with certainty, or not at all."""
        assert welch_lower(low, high) == p
