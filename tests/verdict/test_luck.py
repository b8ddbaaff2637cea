"""Tests of the bound on lucky flips: no run of coins exceeds it, and the worst one reaches it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.verdict.luck import MOST_FLIPS, MOST_MIXED, luck


def test_by_hand() -> None:
    """At p = 1/2 and three seeds a coin flips in 1/32, shows nothing in 1/32, one mixed side in 12/32
    and two in 18/32. V(1, 0) = (1/32)/(31/32); V(1, 1) = (1/32 + 12/32 V(1, 0))/(31/32)."""
    assert luck(1, 0, 3) == pytest.approx(1 / 31)
    assert luck(1, 1, 3) == pytest.approx((1 + 12 / 31) / 31)
    assert luck(1, 2, 3) == pytest.approx((1 + 12 * (1 + 12 / 31) / 31 + 18 / 31) / 31)
    assert luck(2, 0, 3) == pytest.approx(1 / 31**2)
    assert luck(1, 0, 5) == pytest.approx(1 / 511)


def test_edges() -> None:
    """One seed shows nothing; beyond the table nothing is found, and large sets are as large ones."""
    assert luck(1, 0, 1) == luck(1, MOST_MIXED + 1, 12) == 1.0
    assert luck(MOST_FLIPS + 5, 3, 3) == luck(MOST_FLIPS, 3, 3)


@pytest.mark.parametrize("seeds", [2, 3, 4, 7])
def test_more_flips_are_less_lucky_and_more_mixed_sides_more(seeds: int) -> None:
    """Monotonic in both, and a probability."""
    table = np.array([[luck(k, c, seeds) for c in range(60)] for k in range(1, MOST_FLIPS + 1)])
    assert ((table >= 0) & (table <= 1)).all()
    assert (np.diff(table, axis=0) <= 0).all()
    assert (np.diff(table, axis=1) >= 0).all()


def _exact(chances: list[float], seeds: int, flips: int, mixed: int) -> float:
    """P(at least ``flips`` flips and at most ``mixed`` mixed sides) for coins of these p."""
    law = np.zeros((len(chances) + 1, 2 * len(chances) + 3))
    law[0, 0] = 1.0
    for p in chances:
        q = 1 - p
        flip, same, side = 2 * (p * q) ** seeds, p ** (2 * seeds) + q ** (2 * seeds), 0.0
        side = 1 - p**seeds - q**seeds
        after = same * law
        after[1:] += flip * law[:-1]
        after[:, 1:] += 2 * side * (1 - side) * law[:, :-1]
        after[:, 2:] += side**2 * law[:, :-2]
        law = after
    return float(law[flips:, : mixed + 1].sum())


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12),
    st.integers(2, 6),
    st.integers(1, 4),
    st.integers(0, 20),
)
def test_no_mixture_of_coins_exceeds_the_bound(
    chances: list[float], seeds: int, flips: int, mixed: int
) -> None:
    """Any number of coins with any probabilities, computed exactly."""
    assert _exact(chances, seeds, flips, mixed) <= luck(flips, mixed, seeds) + 1e-12


def test_the_bound_is_not_idle() -> None:
    """A single fair coin reaches 31/32 of it; ten come to more than half with ten mixed sides."""
    assert _exact([0.5], 3, 1, 0) / luck(1, 0, 3) == pytest.approx(31 / 32)
    assert _exact([0.5] * 7, 3, 1, 10) / luck(1, 10, 3) > 0.5
