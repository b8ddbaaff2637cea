"""Simulated nights: what trips is decided side by side, and what is decided is right."""

from __future__ import annotations

import numpy as np
import pytest

from verdict.speed_nights import WORLDS, World, simulated_year


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_nights_without_a_slowdown(world: World) -> None:
    """Sixty nights: with at most 5 % of trips on a quiet machine 7 or fewer (binomial, 2.5 % upwards,
    1 - 10^-4), and no false verdict, of which a year may have one."""
    year = simulated_year(world, np.random.default_rng(3), nights=60)
    assert year.false == 0
    if world.name == "quiet":
        assert year.trips <= 7


def test_a_planted_slowdown_is_called_one() -> None:
    """So the test above can fail. Ten nights, the last five of them slower by 10 %."""
    year = simulated_year(World("quiet"), np.random.default_rng(4), slow_on=5, nights=10)
    assert year.false == 5
