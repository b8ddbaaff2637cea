"""Exact tests for few seeds: they assume no distribution, only that equal programs are exchangeable."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]


def lower(low: Sequence[float], high: Sequence[float]) -> float:
    """One-sided p-value that ``low`` comes from a lower distribution than ``high``.

    The sum of the ranks of ``low`` (Wilcoxon 1945; Mann and Whitney 1947), its distribution over all
    choices of so many ranks counted out (the shift algorithm: Streitberg and Roehmel 1986), so that it
    is exact with ties too, which have the mean of their ranks. Two samples of three have at least 1/20.

    Raises:
        ValueError: an empty sample.

    Example:
        >>> lower([1, 2, 3], [4, 5, 6])
        0.05
    """
    if not low or not high:
        raise ValueError("an empty sample has no ranks")
    pooled = np.array([*low, *high])
    # Twice the mean rank is an integer.
    below = (pooled[:, None] > pooled).sum(axis=1)
    doubled = below + (pooled[:, None] >= pooled).sum(axis=1) + 1
    size = len(low)
    ways = np.zeros((size + 1, int(doubled.sum()) + 1))
    ways[0, 0] = 1.0
    for rank in doubled:
        for chosen in range(size, 0, -1):
            ways[chosen, rank:] += ways[chosen - 1, : ways.shape[1] - rank]
    seen = int(doubled[:size].sum())
    return float(ways[size, : seen + 1].sum() / ways[size].sum())


def falls(values: Sequence[float]) -> tuple[float, float]:
    """One-sided p-values that a series falls, and that it rises.

    The number of pairs whose later value is smaller (Mann 1945), against its distribution over all
    orders (Kendall 1938). Pairs that tie speak for neither.

    Example:
        >>> falls([4.0, 3.0, 2.0, 1.0])[0] * 24
        1.0
    """
    series = np.asarray(values)
    earlier, later = np.triu_indices(series.size, 1)
    descents = int((series[later] < series[earlier]).sum())
    ascents = int((series[later] > series[earlier]).sum())
    chances = _inversions(series.size)
    return float(chances[descents:].sum()), float(chances[ascents:].sum())


@functools.lru_cache(maxsize=64)
def _inversions(size: int) -> Array:
    """P(a random order of ``size`` values has so many inversions): the k-th value adds 0 .. k-1 of
    them with equal probability."""
    chances = np.ones(1)
    for count in range(2, size + 1):
        chances = np.convolve(chances, np.full(count, 1.0 / count))
    return chances


def majority(hits: int, of: int) -> float:
    """P(at least ``hits`` of ``of`` fair coins): p-value of the sign test that most seeds are hits.

    Example:
        >>> majority(5, 5)
        0.03125
    """
    return float(special.bdtrc(hits - 1, of, 0.5)) if hits > 0 else 1.0


def concordance(values: Mapping[str, float], tiers: Sequence[Sequence[str]]) -> tuple[float, float]:
    """One-sided p-values that values rise from tier to tier, and that they fall.

    The number of pairs from two tiers that stand in their tiers' order, a tie for one half (Jonckheere
    1954), against all ways to deal the values to tiers of these sizes.

    Args:
        values: one for each name.
        tiers: names, lowest tier first.
    """
    seen = _concordant([[values[name] for name in tier] for tier in tiers])
    names = tuple(name for tier in tiers for name in tier)
    dealt = [
        _concordant([[values[name] for name in tier] for tier in deal])
        for deal in _deals(names, [len(tier) for tier in tiers])
    ]
    return (
        sum(count >= seen for count in dealt) / len(dealt),
        sum(count <= seen for count in dealt) / len(dealt),
    )


def _concordant(tiers: Sequence[Sequence[float]]) -> float:
    """Number of pairs from two tiers in their tiers' order, a tie for one half."""
    return sum(
        (first < second) + 0.5 * (first == second)
        for below, above in itertools.combinations(tiers, 2)
        for first in below
        for second in above
    )


def _deals(names: Sequence[str], sizes: Sequence[int]) -> Iterator[list[Sequence[str]]]:
    """All ways to deal names to tiers of these sizes."""
    if not sizes:
        yield []
        return
    for tier in itertools.combinations(names, sizes[0]):
        for rest in _deals([name for name in names if name not in tier], sizes[1:]):
            yield [tier, *rest]


def welch_lower(low: Sequence[float], high: Sequence[float]) -> float:
    """One-sided p-value that the mean of ``low`` is below that of ``high``, for unequal variances.

    Welch 1947. It needs two values a side, but is no rank test: with three seeds a side it can succeed
    among many comparisons, where ranks cannot.
    """
    squares = [float(np.var(sample, ddof=1)) / len(sample) for sample in (low, high)]
    distance = float(np.mean(high) - np.mean(low))
    error = math.sqrt(sum(squares))
    if error == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    df = sum(squares) ** 2 / sum(
        square**2 / (len(sample) - 1) for square, sample in zip(squares, (low, high), strict=True)
    )
    return float(special.stdtr(df, -distance / error))
