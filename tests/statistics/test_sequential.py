"""Tests of looks and levels. That error rates hold is tests/verdict/test_error_rates.py's."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics.sequential import levels, looks


@given(st.integers(1, 20), st.integers(0, 500))
def test_looks_double_up_to_the_limit(first: int, more: int) -> None:
    """Each is twice the one before; the last is within the limit, and twice the last is not."""
    found = looks(first, first + more)
    assert found[0] == first
    assert all(b == 2 * a for a, b in itertools.pairwise(found))
    assert found[-1] <= first + more < 2 * found[-1]


@given(st.integers(1, 9), st.integers(0, 300), st.floats(1e-6, 0.5))
def test_levels_add_up(first: int, more: int, alpha: float) -> None:
    """Each look has a positive level, and together they are alpha: that is the error control."""
    found = levels(looks(first, first + more), alpha)
    assert sum(found) == pytest.approx(alpha)
    assert all(level > 0 for level in found)


def test_levels_by_hand() -> None:
    """ln(1 + (e - 1)/2) = .6201 of the level at half of the seeds, the rest at the end; a single look
    has all of it."""
    assert levels([3, 6], 0.05) == pytest.approx([0.05 * 0.62011, 0.05 * 0.37989], rel=1e-4)
    assert levels([7], 0.05) == pytest.approx([0.05])
    assert math.isclose(levels([3, 6, 12, 24], 1.0)[0], math.log1p((math.e - 1) / 8))


@pytest.mark.parametrize(("first", "limit"), [(0, 3), (4, 3), (-1, 5)])
def test_no_look_is_an_error(first: int, limit: int) -> None:
    """A first look without seeds or beyond the limit is a mistake of the caller."""
    with pytest.raises(ValueError, match=re.escape(f"and at most {limit}: {first}")):
        looks(first, limit)


@pytest.mark.parametrize("at", [[], [3, 3], [6, 3], [0, 3]])
def test_numbers_that_do_not_increase_are_an_error(at: list[int]) -> None:
    """Seeds are only ever added."""
    with pytest.raises(ValueError, match=re.escape(f"increase from look to look: {at}")):
        levels(at, 0.05)
