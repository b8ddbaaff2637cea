"""Monte Carlo arithmetic: honest about rounding, sharp about faults."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.theory.rounding import montecarlo
from bench.theory.rounding.arrays import Stochastic

LEVEL = 0.01


def steps(weights, inputs, targets, rate=0.1):
    """Eight steps of a tanh network with squared loss, in the arithmetic of its arguments."""
    first, second = weights
    for _ in range(8):
        hidden = np.tanh(inputs @ first)
        error = hidden @ second - targets
        back = (error @ second.T) * (1.0 - np.square(hidden))
        second = second - rate * (hidden.T @ error) / 16.0
        first = first - rate * (inputs.T @ back) / 16.0
    return first


def problem(seed):
    random = np.random.default_rng(seed)
    shapes = ((16, 12), (12, 8), (8, 3), (16, 3))
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


def judged(seed, computed):
    inputs, first, second, targets = (array.astype(np.float64) for array in problem(seed))
    truth = steps((first, second), inputs, targets)
    draws = []
    for each in np.random.SeedSequence(seed).spawn(8):
        generator = np.random.default_rng(each)
        drawn = steps([Stochastic(w, generator) for w in (first, second)], inputs, targets)
        draws.append(drawn.value)
    return montecarlo.spread("w", computed, truth, draws, level=LEVEL)


def in_float32(seed, rate=0.1):
    inputs, first, second, targets = problem(seed)
    found = steps((first, second), inputs, targets, np.float32(rate))
    assert found.dtype == np.float32
    return found


@pytest.mark.slow
def test_float32_is_called_out_no_more_often_than_promised() -> None:
    """100 networks at level 1 %: more than 5 have probability .0005 at most."""
    out = sum(judged(seed, in_float32(seed)).out for seed in range(100))
    assert out <= stats.binom.isf(0.0005, 100, LEVEL)


@pytest.mark.parametrize("seed", range(5))
def test_a_rate_off_by_one_part_in_ten_thousand_is_out(seed: int) -> None:
    """Eight steps move these weights by about their own size."""
    assert judged(seed, in_float32(seed, rate=0.1 * (1 + 1e-4))).out


def test_reach_is_students_quantile() -> None:
    """F(1, K) is the square of Student's t with K degrees of freedom."""
    assert montecarlo.reach(16, 1e-6) == pytest.approx(stats.t.isf(5e-7, 16))
    assert montecarlo.reach(4, 1e-3) > montecarlo.reach(16, 1e-3)


@pytest.mark.slow
def test_errors_in_one_direction_have_the_level_that_is_stated() -> None:
    """The worst case: every error along one vector. 4,000 errors at 5 % have a std of .35 %."""
    random = np.random.default_rng(0)
    direction = np.array([3.0, 4.0])
    out = 0
    for _ in range(4000):
        draws = [direction * random.normal() for _ in range(4)]
        got = direction * random.normal()
        out += montecarlo.spread("x", got, np.zeros(2), draws, level=0.05).out
    assert out / 4000 == pytest.approx(0.05, abs=4 * 0.0035)


def test_what_cannot_be_judged_is_out() -> None:
    """Another shape, a NaN, an error where rounding makes none or any; an exact agreement is in."""
    zeros, draws = np.zeros(2), [np.zeros(2)] * 4
    for got in (np.zeros(3), np.array([np.nan, 0.0]), np.array([1.0, 0.0])):
        assert montecarlo.spread("x", got, zeros, draws, level=0.1).out
    overflowed = [np.array([np.inf, 0.0])] * 4
    assert montecarlo.spread("x", np.ones(2), zeros, overflowed, level=0.1).out
    assert montecarlo.spread("x", zeros, zeros, draws, level=0.1).excess == 0.0
    with pytest.raises(ValueError, match="no draws"):
        montecarlo.spread("x", zeros, zeros, [], level=0.1)
