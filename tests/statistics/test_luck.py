"""Tests of the bound on lucky flips: no run of coins exceeds it, and the worst one reaches it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.statistics.levels import ALPHA, ENVELOPES, LUCK, TESTS
from bench.statistics.luck import WIDE, apart, chance, lucky
from bench.statistics.sequential import levels, looks


def test_the_parts_of_the_level_add_up() -> None:
    """Luck, tests and envelopes; and three seeds a side can show a flip."""
    assert pytest.approx(ALPHA) == LUCK + ALPHA * (TESTS + ENVELOPES)
    assert chance(3, 3) <= LUCK < chance(2, 2)
    assert sum(levels(looks(5, 20), ALPHA)) * (TESTS + ENVELOPES) + LUCK == pytest.approx(ALPHA)


def test_by_hand() -> None:
    """At p = 1/2 and three seeds a side a coin flips in 2/64 and shows one state in 2/64."""
    assert chance(3, 3) == pytest.approx(1 / 31)
    assert chance(5, 5) == pytest.approx(1 / 511)
    assert chance(0, 5) == chance(5, 1) == 1.0


def test_three_against_many_by_hand() -> None:
    """p^3 q^m over 1 - q^m with x = m p small against m: (x/m)^3 / (e^x - 1), largest at x = 2.82."""
    x = 2.8214
    assert chance(3, 200) == pytest.approx((x / 200) ** 3 / math.expm1(x), rel=0.05)


@given(st.integers(2, 30), st.integers(2, 30), st.floats(0.0, 1.0))
def test_no_coin_flips_more_often(n: int, m: int, p: float) -> None:
    """Given that it shows two states; either side's number lowers it."""
    q = 1 - p
    shown = 1 - p ** (n + m) - q ** (n + m)
    flip = p**n * q**m + p**m * q**n
    assert flip <= chance(n, m) * shown * (1 + 1e-4) + 1e-15
    assert chance(n + 1, m) <= chance(n, m) == chance(m, n)


Coin = tuple[float, int, int]


def _believed(coins: list[Coin]) -> float:
    """P(any flip is believed) in a run of coins of these p, with these seeds, in states equally far
    apart, over all that may be seen: nothing, a flip, a mixed cell."""
    seeds = tuple(np.array([coin[i] for coin in coins], float) for i in (1, 2))
    total = 0.0
    for seen in itertools.product(range(3), repeat=len(coins)):
        weight = 1.0
        for what, (p, n, m) in zip(seen, coins, strict=True):
            nothing = p ** (n + m) + (1 - p) ** (n + m)
            flip = p**n * (1 - p) ** m + p**m * (1 - p) ** n
            weight *= (nothing, flip, 1 - nothing - flip)[what]
        states = np.array(seen)
        flips = np.where(states == 1, 1.0, np.nan)
        luck, _ = lucky(flips, np.where(states == 2, 1.0, 0.0), (seeds[0], seeds[1]))
        total += weight * bool((luck[states == 1] <= LUCK).any())
    return total


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(0.0, 1.0), st.integers(2, 6), st.integers(2, 6)),
        min_size=1,
        max_size=5,
    )
)
def test_no_mixture_of_coins_is_believed_more_often(coins: list[Coin]) -> None:
    """Any probabilities and numbers of seeds, computed exactly."""
    assert _believed(coins) <= LUCK + 1e-9


def test_the_bound_is_not_idle() -> None:
    """A fair coin flips in 1/32 under three seeds, nearly all of the level; so do three under four."""
    assert _believed([(0.5, 3, 3)]) == pytest.approx(1 / 32)
    assert _believed([(0.5, 4, 4)] * 4) > 0.8 * LUCK


def test_mixed_cells_by_hand() -> None:
    """Five seeds a side, chances of 1/511 each: of itself and of the cells that are mixed at .6 of
    its size or more, two, one or none; a cell does not stand beside itself."""
    states = np.array([0.0, 0.0, 0.59, 0.61, 3.0])
    seeds = (np.full(5, 5.0), np.full(5, 5.0))
    luck, mixed = lucky(np.array([1.0, 2.0, 6.0, 1.0, np.nan]), states, seeds)
    assert mixed.tolist() == [2, 1, 0, 1, 0]
    np.testing.assert_allclose(luck, np.array([3, 2, 1, 2, 1]) / 511)


def test_cells_of_too_few_seeds_are_not_believed_and_hide_none() -> None:
    """Two seeds a side: 1/7. Beside it, three of three are judged as if they were alone."""
    seeds = np.array([2.0, 3.0])
    luck, mixed = lucky(np.array([1.0, 1.0]), np.array([5.0, 0.0]), (seeds, seeds))
    assert luck[0] == pytest.approx(1 / 7) and luck[1] == pytest.approx(1 / 31)
    assert mixed.tolist() == [0, 0]


def test_states_by_hand() -> None:
    """Told at the widest interval: mixed if one side has seeds below and above it, not if it lies
    between the sides; .5 is not 4 times what .1 and .4 vary by, sqrt(.045); a seed may be missing."""
    gone = np.nan
    baseline = np.array([[0.1, 0.9, 0.9], [0.7, 0.9, 0.9], [0.1, 0.9, gone], [gone] * 3, [0.5] * 3])
    run = np.array(
        [[0.9, 0.8, 0.9], [0.1, 0.1, 0.2], [0.4, gone, gone], [0.1, 0.9, gone], [0.5] * 3]
    )
    np.testing.assert_allclose(apart(baseline, run), [0.7, 0.0, 0.0, 0.8, 0.0])


@pytest.mark.parametrize("seeds", [3, 5])
def test_mixed_cells_are_seen_and_others_are_not(seeds: int) -> None:
    """Of two states 8 deviations of their seeds apart nearly four in five; of ordinary cells at any
    distance 2 in 100 under five seeds, 11 under three."""
    random = np.random.default_rng(4)
    shape = (2, 20_000, seeds)
    noise, falls = random.normal(size=shape), random.random(shape) < 0.5
    mixed = (falls.any(axis=2) & ~falls.all(axis=2)).any(axis=0)
    assert (apart(*(noise - 8 * falls))[mixed] >= WIDE * 8).mean() >= 0.79
    assert (apart(*noise) > 0).mean() <= {3: 0.12, 5: 0.02}[seeds]
