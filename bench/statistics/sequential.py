"""Decisions in several looks: seeds are added to inconclusive cells only, and every look is a test.

A cell that is tested again and again until something is found is found in the end. So the level is
spent: each look gets a part of it, the parts add up to the whole, and the chance of an error at any
look is at most their sum (Bonferroni), whatever cells go on and however looks depend on each other.

For this to hold every look compares *all* cells of the run, those that are decided with the seeds
that they have. Then the correction for many tests counts all of them at each look, and an error in a
cell that was chosen for being inconclusive is an error among all cells. A verdict other than
``inconclusive`` stands from the look that gave it; only open cells take the new one.

The same parts are each cell's levels for ``equivalent``: a change as large as the margin is called
equivalent at any of the looks with at most the chance that the level states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def looks(first: int, limit: int) -> list[int]:
    """Numbers of seeds at which cells are judged: first, 2 first, 4 first, ... and not above the limit.

    Each look doubles what is known, so a cell never trains on more than twice the seeds that it needed.

    Example:
        >>> looks(3, 24)
        [3, 6, 12, 24]
        >>> looks(3, 20)
        [3, 6, 12]

    Raises:
        ValueError: ``first`` is below 1, or above the limit.
    """
    if not 1 <= first <= limit:
        raise ValueError(f"the first look has 1 seed or more, and at most {limit}: {first}")
    return [first * 2**number for number in range((limit // first).bit_length())]


def levels(at: Sequence[int], alpha: float) -> list[float]:
    """The level of each look; they add up to ``alpha``.

    With t = n / n_last the share of the seeds that are seen, alpha ln(1 + (e - 1) t) is spent up to
    then: the spending function that resembles Pocock's boundaries (Lan and DeMets 1983). It spends
    early (O'Brien and Fleming's spends almost nothing before the end), which is what is wanted
    here: each look costs as many seeds as all before it, and most cells can be decided at the first.

    Args:
        at: numbers of seeds, increasing.
        alpha: the whole level.

    Example:
        >>> [round(level, 4) for level in levels([3, 6, 12, 24], 0.05)]
        [0.0097, 0.0081, 0.0131, 0.019]

    Raises:
        ValueError: there is no look, or one that is not larger than the one before it.
    """
    if not at or any(after <= before for before, after in zip((0, *at), at, strict=False)):
        raise ValueError(f"numbers of seeds increase from look to look: {list(at)}")
    spent = [alpha * math.log1p((math.e - 1) * seeds / at[-1]) for seeds in at]
    return [after - before for before, after in zip((0.0, *spent), spent, strict=False)]
