"""Tests of the search for steps: its rate of false alarms, its power, and what equal digests mean."""

from __future__ import annotations

import numpy as np
import pytest

from bench.statistics.steps import ALPHA, Measured, Step, find_steps

SEEDS = 3


def series(
    random: np.random.Generator,
    length: int,
    *,
    steps: dict[int, float] | None = None,
    repeats: float = 0.0,
) -> list[Measured]:
    """Normal seeds of variance 1; steps in standard errors of a point's mean. A point repeats the one
    before, bit for bit, with the chance ``repeats``, except where a step is."""
    found: list[Measured] = []
    level = 0.0
    for place in range(length):
        level += (steps or {}).get(place, 0.0) / SEEDS**0.5
        if found and place not in (steps or {}) and random.random() < repeats:
            found.append(found[-1])
            continue
        values = level + random.standard_normal(SEEDS)
        found.append({seed: (f"{place}", float(value)) for seed, value in enumerate(values)})
    return found


def find(points: list[Measured], *, paired: bool = False, floor: float = 0.0) -> list[Step]:
    found = find_steps(points, floor=floor, paired=paired)
    assert found is not None
    return found


@pytest.mark.parametrize(("length", "repeats"), [(2, 0.0), (5, 0.0), (20, 0.0), (20, 0.7)])
@pytest.mark.slow
def test_false_alarms_are_rare(length: int, repeats: float) -> None:
    """A series without a step shows one with a chance of :data:`ALPHA` at most.

    The number of alarms in N series is binomial; it is above N a + 4 sqrt(N a (1 - a)) with a chance
    below 1.1e-3 (exact: N = 400, more than 11.96: 8.6e-4; N = 200, more than 7.6: 1.0e-3).
    """
    random = np.random.default_rng([length, round(10 * repeats)])
    number = 400 if not repeats else 200  # each pattern of repeats has a null of its own
    alarms = sum(bool(find(series(random, length, repeats=repeats))) for _ in range(number))
    assert alarms <= number * ALPHA + 4 * (number * ALPHA * (1 - ALPHA)) ** 0.5


@pytest.mark.parametrize("place", [5, 10, 15])
def test_a_step_of_three_standard_errors_is_found(place: int) -> None:
    """In a series of 20, right within one point, in at least 85 of 100 series.

    Mid-series the difference is 3 / sqrt(1/10 + 1/10) = 6.7 standard errors, at a quarter 5.8, and
    the largest of 19 places without a step exceeds 3.6 with a chance of .01 (simulated). The place
    is then that of the largest of a walk: more than one point off in about 6 % (measured in 300
    series: 3 % mid-series, 6 % at a quarter); 85 of 100 is 3.8 standard deviations below 94.
    """
    random = np.random.default_rng(place)
    right = 0
    for _ in range(100):
        found = find(series(random, 20, steps={place: 3.0}))
        right += any(abs(step.place - place) <= 1 for step in found)
    assert right >= 85


def test_two_steps_are_found_with_their_sizes() -> None:
    """Up by 10 and down by 6: both places, and changes within 4 standard errors of these."""
    found = find(series(np.random.default_rng(1), 30, steps={10: 10.0, 20: -6.0}))
    assert [step.place for step in found] == [10, 20]
    error = (1 / 10 + 1 / 10) ** 0.5 / SEEDS**0.5
    for step, change in zip(found, (10.0, -6.0), strict=True):
        assert step.change == pytest.approx(change / SEEDS**0.5, abs=4 * error)
        assert 0 < step.p_value <= ALPHA


def test_equal_digests_are_one_draw() -> None:
    """Twenty bit-identical runs of two releases whose rounding differs are two draws: no step, where
    twenty draws with the same means would be one."""
    values = {0: 0.0, 1: 0.3, 2: -0.3}, {0: 0.5, 1: 0.1, 2: 0.6}
    a, b = (
        {seed: (name, v) for seed, v in side.items()}
        for name, side in zip("ab", values, strict=True)
    )
    assert find([a] * 10 + [b] * 10) == []
    fresh = [
        {seed: (f"{n}", v) for seed, (_, v) in (a if n < 10 else b).items()} for n in range(20)
    ]
    assert [step.place for step in find(fresh)] == [10]


def test_a_step_is_never_between_equal_points() -> None:
    """However the noise falls: runs with equal digests are on one side."""
    random = np.random.default_rng(5)
    for _ in range(50):
        points = series(random, 12, steps={6: 8.0}, repeats=0.6)
        for step in find(points):
            assert points[step.place] != points[step.place - 1]


def test_what_seeds_start_from_is_no_noise_where_they_are_paired() -> None:
    """Seeds ten apart, each moved by .1 from the fourth point on: seen if paired, else not."""
    random = np.random.default_rng(2)
    points: list[Measured] = [
        {
            seed: (f"{n}", 10.0 * seed + 0.1 * (n >= 3) + 0.01 * random.standard_normal())
            for seed in range(SEEDS)
        }
        for n in range(6)
    ]
    assert [step.place for step in find(points, paired=True)] == [3]
    assert find(points) == []
    points[2] = {7: ("other", 70.0)}
    assert find_steps(points, floor=0.0, paired=True) is None


def test_paired_false_alarms_are_rare() -> None:
    """As without pairs; the bound is that of the test above."""
    random = np.random.default_rng(11)
    alarms = 0
    for _ in range(400):
        points = [
            {seed: (d, value + 10 * seed) for seed, (d, value) in point.items()}
            for point in series(random, 6)
        ]
        alarms += bool(find(points, paired=True))
    assert alarms <= 12


def test_differences_below_the_floor_are_no_steps() -> None:
    """Seeds that agree to 1e-9 would make a step of every rounding; the floor is what is believed."""
    points: list[Measured] = [
        {seed: (f"{n}", 1e-6 * (n >= 5) + 1e-9 * seed) for seed in range(SEEDS)} for n in range(10)
    ]
    assert len(find(points)) == 1
    assert find(points, floor=1e-6) == []


def test_without_spread_nothing_is_claimed() -> None:
    """One seed a point leaves the noise unknown; no points, or one, have no step."""
    single: list[Measured] = [{0: (f"{n}", float(n))} for n in range(9)]
    assert find_steps(single, floor=1e-6, paired=False) is None
    assert find_steps([], floor=1e-6, paired=True) is None
    one: list[Measured] = [{0: ("a", 1.0), 1: ("b", 2.0)}]
    assert find(one) == []
    assert find(one * 5) == []
