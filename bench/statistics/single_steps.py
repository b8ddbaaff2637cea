"""Step changes in a series with one measurement a point, such as a speed night by night.

Binary segmentation as in :mod:`bench.statistics.steps`, whose points have several draws and so know
their noise. Here it comes from successive differences: 1.4826 times the median of their sizes, over the
root of 2. It is consistent for normal noise, and a few steps do not move it, as they are a few of the
differences. The null distribution of the largest contrast over this spread depends on the numbers of
points alone, and is simulated: a Monte Carlo test (Davison and Hinkley 1997, eq. 4.11), exact for
normal noise.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.statistics.steps import ALPHA, SIMULATIONS, Step

Array = npt.NDArray[np.float64]

#: Fewer points have fewer differences than a median says anything of.
FEWEST = 6


def find_steps(values: Sequence[float], *, floor: float, alpha: float = ALPHA) -> list[Step] | None:
    """The steps of a series, in order of place.

    Args:
        values: in the order of time.
        floor: smallest standard deviation that is believed, above 0.
        alpha: chance of any step in a series that has none.

    Returns:
        None if there are fewer than :data:`FEWEST` values.
    """
    series = np.asarray(values, float)
    if series.size < FEWEST:
        return None
    spread = max(float(_spread(series[None])[0]), floor)
    p_values: dict[int, float] = {}
    stretches = [(0, series.size)]
    while stretches:
        start, stop = stretches.pop()
        if stop - start < 2:
            continue
        sizes = np.abs(_contrasts(stop - start) @ series[start:stop]) / spread
        place = start + 1 + int(np.argmax(sizes))
        reached = np.count_nonzero(_null(stop - start, series.size) >= sizes.max())
        p_value = float((1 + reached) / (1 + SIMULATIONS))
        if p_value <= alpha:
            p_values[place] = p_value
            stretches += [(start, place), (place, stop)]
    edges = [0, *sorted(p_values), series.size]
    means = [float(series[a:b].mean()) for a, b in itertools.pairwise(edges)]
    return [
        Step(place, after - before, p_values[place])
        for place, before, after in zip(edges[1:-1], means[:-1], means[1:], strict=True)
    ]


def _spread(rows: Array) -> Array:
    """Standard deviation of each row's noise, from its successive differences."""
    return 1.4826 / np.sqrt(2) * np.median(np.abs(np.diff(rows, axis=1)), axis=1)


@functools.lru_cache(maxsize=256)
def _contrasts(size: int) -> Array:
    """Mean behind less mean before each place, over the length of that contrast; (size - 1, size)."""
    after = np.arange(size) >= np.arange(1, size)[:, None]
    contrasts = after / after.sum(1, keepdims=True) - ~after / (~after).sum(1, keepdims=True)
    return np.asarray(contrasts / np.sqrt(np.sum(contrasts**2, axis=1, keepdims=True)))


@functools.lru_cache(maxsize=64)
def _null(stretch: int, size: int) -> Array:
    """The largest size in a stretch of a series without a step, :data:`SIMULATIONS` times; the same
    each time."""
    random = np.random.default_rng((stretch, size))
    rows = random.standard_normal((SIMULATIONS, size))
    sizes = np.abs(rows[:, :stretch] @ _contrasts(stretch).T).max(axis=1)
    return np.asarray(sizes / _spread(rows))
