"""Steps in series of single measurements: planted ones, and the rate of false ones."""

from __future__ import annotations

import numpy as np
import pytest

from bench.statistics.single_steps import FEWEST, find_steps


def test_planted_steps_are_found_where_they_are() -> None:
    """Noise of a percent; up by 10 % at 12, down by 6 % at 21."""
    random = np.random.default_rng(2)
    level = np.repeat([0.0, 0.10, 0.04], [12, 9, 10])
    found = find_steps(level + random.normal(0, 0.01, level.size), floor=1e-4)
    assert found is not None
    assert [step.place for step in found] == [12, 21]
    assert [step.change for step in found] == pytest.approx([0.10, -0.06], abs=0.01)


def test_a_step_at_the_last_point_is_found() -> None:
    """Large against the noise of ten nights."""
    random = np.random.default_rng(2)
    values = random.normal(0, 0.01, 10)
    values[-1] += 0.25
    found = find_steps(values, floor=1e-4)
    assert found is not None and [step.place for step in found] == [9]


@pytest.mark.parametrize("size", [FEWEST, 12, 60])
@pytest.mark.slow
def test_false_steps_are_as_rare_as_stated(size: int) -> None:
    """2,000 series without a step at a level of 5 %: 5 % have one, give or take 1.5 %, which is three
    standard deviations of the share and of the simulated null."""
    random = np.random.default_rng(size)
    found = sum(
        bool(find_steps(random.standard_normal(size), floor=1e-9, alpha=0.05)) for _ in range(2000)
    )
    assert abs(found / 2000 - 0.05) < 0.015


def test_equal_values_have_no_step_and_few_have_none() -> None:
    assert find_steps([1.0] * 9, floor=0.01) == []
    assert find_steps([1.0] * (FEWEST - 1), floor=0.01) is None
