"""Truths of activations' contracts: slopes against differences, pieces against hand-worked numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.checks.contracts import functions, shapes
from bench.theory.rounding.arrays import Bounded

PAIRS = {
    **{name: (formula, slope) for name, (_, formula, slope) in functions.FUNCTIONS.items()},
    "hard_sigmoid": functions.hard_sigmoid(2.5),
    "relu": functions.relu(4.0, 0.5, 1.0),
    "elu": functions.elu(0.5),
    "gelu": (functions.gelu, functions.gelu_slope),
}


@pytest.mark.parametrize(("formula", "slope"), PAIRS.values(), ids=PAIRS)
def test_slopes_are_those_of_formulas(
    formula: Callable[[Any], Any], slope: Callable[[Any], Any]
) -> None:
    """Central differences of step h are off by h^2 / 6 of the third derivative, at most 10 here, and by
    the rounding of both values, 4 units each, over 2 h."""
    x, step = np.linspace(-5.1, 5.1, 211), 2.0**-17
    x = x[np.abs(x * 4 - np.rint(x * 4)) > 0.02]  # no kink between the two points
    below, above = formula(Bounded(x - step)).value, formula(Bounded(x + step)).value
    wanted = (above - below) / (2 * step)
    tolerance = 10 * step**2 / 6 + 4 * 2.0**-52 * (1 + np.abs(above)) / step
    assert np.all(np.abs(slope(Bounded(x)).value - wanted) <= tolerance)


@pytest.mark.parametrize(
    ("pair", "x", "wanted"),
    [
        (functions.hard_sigmoid(3.0), (-4.0, 0.0, 1.5, 9.0), (0.0, 0.5, 0.75, 1.0)),
        (functions.relu(4.0, 0.5, 1.0), (-1.0, 1.5, 5.0), (-1.0, 1.5, 4.0)),
        (functions.relu(np.inf, 0.25, 0.0), (-2.0, 5.0), (-0.5, 5.0)),
        (functions.elu(2.0), (0.5, -np.log(2.0)), (0.5, -1.0)),
    ],
)
def test_pieces(pair: Any, x: Any, wanted: Any) -> None:
    np.testing.assert_allclose(pair[0](Bounded(np.array(x))).value, wanted, rtol=1e-15)


def test_pixels_between_pixels_are_their_weighted_means() -> None:
    """Of two into four: places -1/4, 1/4, 3/4 and 5/4, the first and the last of which are ends."""
    wanted = [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    np.testing.assert_allclose(shapes.along(2, 4), wanted)
    np.testing.assert_allclose(shapes.along(6, 3).sum(1), 1.0)
