"""Control chart: does a new measurement lie where earlier ones say that it will?

Earlier measurements form levels: within a level they are independent, normal and around one mean;
between levels the mean may be another one, the variance is the same. Limits are those of a prediction
interval for one further measurement of the last level (Hahn 1970, "Additional factors for calculating
prediction intervals for samples from a normal distribution", J. Am. Stat. Assoc. 65, 1668), with the
variance pooled over levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special


class Limits(NamedTuple):
    """Where the next measurement lies."""

    centre: float
    """Mean of the last level."""
    low: float
    high: float
    size: int
    """Measurements of the last level."""


def limits(levels: Sequence[Sequence[float]], alpha: float) -> Limits | None:
    """Limits outside of which a further measurement of the last level lies with the chance ``alpha``.

    Args:
        levels: measurements of each, the last one not empty.
        alpha: above 0, below 1; half of it on either side.

    Returns:
        None if no level has two measurements, from which alone the spread is known.

    Example:
        >>> found = limits([[1.0, 2.0, 3.0]], 0.05)  # 2 -+ 4.303 * sqrt(4/3)
        >>> [round(value, 3) for value in found]
        [2.0, -2.968, 6.968, 3]
    """
    freedom = sum(len(level) - 1 for level in levels)
    if freedom < 1:
        return None
    squares = sum(float(np.var(level)) * len(level) for level in levels)
    last = levels[-1]
    centre = float(np.mean(last))
    reach = -float(special.stdtrit(freedom, alpha / 2))
    half = reach * math.sqrt(squares / freedom * (1 + 1 / len(last)))
    return Limits(centre, centre - half, centre + half, len(last))
