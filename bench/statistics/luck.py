"""Luck of cells that end in one of two states: learned or not, diverged or not, from seed to seed.

A cell whose seeds fall into either state by chance is a coin. Now and then all its seeds of the
baseline fall into one state and all seeds of the run into the other, a *flip*, and no test on one cell
can tell this from a change: 3 of 3 against 0 of 3 has an exact p of .1. The other cells can, because
coins show themselves: most that do not show the same state under every seed are *mixed*, with seeds of
one side in both states.

A flip is believed if :func:`lucky` is at most :data:`bench.statistics.levels.LUCK`. Take the coins of a
run in any order, the ones with the largest distance between their states first, and for each the
largest chance, given that it shows two states at all, that it shows them as a flip (:func:`chance`).
The first flip is believed only if these chances, its own and those of all mixed coins before it, add up
to LUCK or less. Each coin that shows two states flips with its chance, so this happens with a chance
of LUCK at most (optional stopping); and if the first flip is not believed, no smaller one with as
many seeds is. Cells that truly changed are no coins, and if they are mixed only add to the sum.

With equal numbers of seeds the bound is (mixed cells + 1) chances: with three seeds a side 1/31 and
beside one mixed cell too much; with five 1/511, and sixteen mixed cells are few enough.

Looking several times (:mod:`bench.statistics.sequential`): a cell that is flipped at a later look
was so at the first, and what is mixed stays so. Hence nothing is believed later that was not
believed before, but flips beside more mixed cells than the first look allowed, each of which adds
its chance with the seeds of then. In a run of k coins all looks together believe a flip with at
most LUCK + k/524,287 where both sides begin with five seeds and double them, LUCK + k/13,506 where
the baseline keeps its five, and LUCK + k/2,047 from three seeds on both sides.

The states are those of one metric. A network that learns or does not shows that in every metric at
once, which is one flip; where some cells have states in one metric and other cells in another, LUCK is
spent on each of these metrics.
"""

from __future__ import annotations

import functools

import numpy as np

from bench.statistics.levels import LUCK
from bench.statistics.shares import Array, moments

#: Two states d apart, with a deviation v from seed to seed in each, leave d - a v empty: with five
#: seeds a side a is 1.5 (one seed in one state: the expected largest of 9 normal numbers) to 2.3 (5 in
#: either), give or take .9 v. Luck matters from d = 8 v on: nearer states are as much as the spread of
#: these cells, of which the tests know. A smaller share would count ordinary cells: with three seeds
#: a change of 5 v is significant, and 2 of 1,000 leave .6 of that empty, 7 leave half.
WIDE = 0.6

#: Two states are accepted where the interval between them is at least this many deviations of the seeds
#: in either. Ordinary cells, whatever their spread, leave as much in 2 cases of 100 with five seeds a
#: side and in 11 with three; of mixed cells with states 8 v apart 80 and 87 in 100 leave both, and of
#: those with 10 v more than 95.
CLEAR = 4.0


@functools.cache
def chance(baseline: int, run: int) -> float:
    """The chance that a coin that shows two states shows them as a flip, at most.

    With n and m seeds a side, p the probability of the first state and q = 1 - p: the maximum over p of
    (p^n q^m + p^m q^n) / (1 - p^(n+m) - q^(n+m)). With n = m it is at p = 1/2, 1/(2^(2n-1) - 1). One
    seed on a side shows no state.
    """
    n, m = baseline, run
    if min(n, m) < 2:
        return 1.0
    p = np.geomspace(1e-4, 0.5, 500)
    q = 1 - p
    return float(((p**n * q**m + p**m * q**n) / (1 - p ** (n + m) - q ** (n + m))).max())


def apart(baseline: Array, run: Array) -> Array:
    """Distance of each cell's two states, if it is mixed; else 0.

    States are divided at the widest interval that is empty of seeds, if it is at least CLEAR times as
    wide as the seeds of one state vary; mixed is a side with seeds below and above it.

    Args:
        baseline: values, shape (cells, seeds); NaN where there is none.
        run: shape (cells, the run's seeds).
    """
    values = np.sort(np.concatenate([baseline, run], axis=1), axis=1)
    gaps = np.nan_to_num(np.diff(values, axis=1))
    cells, place = np.arange(len(values)), gaps.argmax(axis=1)
    widest, below = gaps[cells, place], values[cells, place][:, None]
    states = [
        moments(np.where(choice, values, np.nan)) for choice in (values <= below, values > below)
    ]
    df, squares = states[0][0] + states[1][0] - 2, states[0][2] + states[1][2]
    clear = widest**2 * df >= CLEAR**2 * squares
    mixed = np.zeros(len(values), bool)
    for side in (baseline, run):
        mixed |= (side <= below).any(axis=1) & (side > below).any(axis=1)
    return np.asarray(np.where(mixed & clear, widest, 0.0))


def lucky(sizes: Array, states: Array, seeds: tuple[Array, Array]) -> tuple[Array, Array]:
    """The chance, at most, that luck shows a flip beside no more mixed cells than there are; and the
    number of mixed cells.

    A cell is mixed if its states lie at least WIDE times as far apart as the sides of the flip, so a
    larger change is never beside more of them. Cells with too few seeds for any flip to be believed are
    not counted.

    Args:
        sizes: size of each cell's change; infinite where no states can be nearer.
        states: distance of each cell's states, if it is mixed; else 0.
        seeds: number of seeds of each cell on both sides.
    """
    chances = np.array([chance(int(n), int(m)) for n, m in zip(*seeds, strict=True)], float)
    mixed = (states >= WIDE * sizes[:, None]) & (states > 0) & (chances <= LUCK)
    np.fill_diagonal(mixed, val=False)
    return np.minimum(1.0, chances + mixed @ chances), mixed.sum(axis=1)
