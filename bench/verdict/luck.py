"""Luck of cells that end in one of two states: learned or not, diverged or not, from seed to seed.

A cell whose seeds fall into either state by chance is a coin. Now and then all its seeds of the
baseline fall into one state and all seeds of the run into the other, a *flip*, and no test on one cell
can tell this from a change: 3 of 3 against 0 of 3 has an exact p of .1. The other cells can, because
coins show themselves: a side that has seeds in both states is *mixed*, and there are many of these for
each flip.
"""

from __future__ import annotations

import functools

import numpy as np

#: A set of more flips is judged as one of this many, which is valid: it has that many, too.
MOST_FLIPS = 6

#: More mixed sides than this are not told apart: no finding rests on it.
MOST_MIXED = 400


def luck(flips: int, mixed: int, seeds: int) -> float:
    """The chance to see this many flips before more than this many mixed sides, at most.

    The largest probability over all runs without a change: any number of coins, each with its own
    probability p of the first state, q = 1 - p. With n seeds a side a coin

    - flips with f = 2 (pq)^n,
    - shows one mixed side with 2 u (1-u) and two with u^2, where u = 1 - p^n - q^n,
    - else shows nothing, s = p^(2n) + q^(2n).

    Go through the coins in any order, for instance the ones with the largest gap between their states
    first. V(k, c), the probability to meet k flips before more than c mixed sides, is for the worst
    sequence of coins the solution of

        V(k, c) = max over p of [f V(k-1, c) + 2u(1-u) V(k, c-1) + u^2 V(k, c-2)] / (1 - s),

    V(0, c) = 1, V(k, c < 0) = 0 (dynamic programming, Bellman 1957): the maximum is taken anew at each
    coin, so it bounds all mixtures of coins. V(1, 0) = 1/31 with three seeds and 1/511 with five.

    A cell that truly changed only adds mixed sides, never a flip of a coin: V(1, c) bounds the chance
    that any coin is named in a run where other cells changed, too. With more seeds on one side than
    on the other, the smaller number gives the bound: a subset of a flip's seeds is a flip, and a side
    with a mixed subset is mixed.

    Args:
        flips: 1 or more.
        mixed: mixed sides in the whole run, of both sides.
        seeds: on the side that has fewer.
    """
    if seeds < 2 or mixed > MOST_MIXED:
        return 1.0
    return float(_table(seeds)[min(flips, MOST_FLIPS)][mixed])


@functools.lru_cache(maxsize=64)
def _table(seeds: int) -> list[list[float]]:
    """V(k, c) for k = 0..MOST_FLIPS and c = 0..MOST_MIXED."""
    flip, one, two = _chances(seeds)
    table = [[1.0] * (MOST_MIXED + 1)]
    for fewer in range(MOST_FLIPS):
        row: list[float] = []
        for mixed, before in enumerate(table[fewer]):
            last = row[mixed - 1] if mixed > 0 else 0.0
            last_but_one = row[mixed - 2] if mixed > 1 else 0.0
            row.append(min(1.0, float((flip * before + one * last + two * last_but_one).max())))
        table.append(row)
    return table


def _chances(seeds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a flip, one and two mixed sides, given that the coin shows any of these; by p."""
    p = np.linspace(0.001, 0.5, 500)
    q = 1 - p
    mixed = 1 - p**seeds - q**seeds
    shown = np.array([2 * (p * q) ** seeds, 2 * mixed * (1 - mixed), mixed**2])
    flip, one, two = shown / shown.sum(axis=0)
    return flip, one, two
