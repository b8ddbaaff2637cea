"""Control chart: limits by hand, and how often a new measurement lies outside of them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.statistics.chart import limits


def test_limits_by_hand() -> None:
    """Two levels, (0, 2) and (9, 10, 11): squares 2 + 2, degrees of freedom 1 + 2, so s^2 = 4/3. The
    last level has 3: s sqrt(1 + 1/3) = 4/3. t(3, .975) = 3.18245, so 10 -+ 4.24326."""
    found = limits([[0.0, 2.0], [9.0, 10.0, 11.0]], 0.05)
    assert found is not None
    assert found == pytest.approx((10.0, 10 - 4.24326, 10 + 4.24326, 3), abs=1e-4)


def test_a_spread_must_be_known() -> None:
    assert limits([[1.0], [2.0]], 0.05) is None
    assert limits([[1.0], [2.0, 2.5]], 0.05) is not None


@pytest.mark.parametrize("sizes", [(5,), (20,), (4, 1), (6, 9, 2)])
def test_false_alarms_are_those_that_are_stated(sizes: tuple[int, ...]) -> None:
    """4,000 charts, each with one further measurement: 5 % lie outside, give or take 1.1 % (3.2
    standard deviations of a share of 5 % in 4,000)."""
    random = np.random.default_rng(7)
    outside = 0
    for _ in range(4000):
        means = random.normal(0, 50, len(sizes))
        levels = [random.normal(mean, 2.0, size) for mean, size in zip(means, sizes, strict=True)]
        found = limits(levels, 0.05)
        assert found is not None
        outside += not found.low <= random.normal(means[-1], 2.0) <= found.high
    assert abs(outside / 4000 - 0.05) < 0.011
