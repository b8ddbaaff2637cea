"""Advice: how many seeds would decide what a comparison left open."""

from __future__ import annotations

import numpy as np

from bench.statistics import shares as statistics
from bench.statistics.levels import LUCK, TESTS
from bench.statistics.luck import chance
from bench.verdict.analysis import Analysis
from bench.verdict.metrics import Metric

#: More seeds than this are no advice.
MOST_SEEDS = 1000


def seeds_for_means(metric: Metric, analysis: Analysis, cell: int, *, alpha: float) -> float:
    """Seeds a side with which a comparison of the whole run anew would decide this cell and metric.

    It decides, either way, with probability :data:`bench.statistics.shares.PROMISED`, given what
    this comparison shows of change and spread (:func:`bench.statistics.shares.chance_of_decision`).
    Infinite beyond MOST_SEEDS.
    """
    means = analysis.means[metric.name]
    tests = (means.difference, means.equivalence)
    surest = min(tests, key=lambda test: float(test.error[cell]))
    number = np.arange(2.0, MOST_SEEDS + 1)
    chances = statistics.chance_of_decision(
        number,
        change=float(surest.change[cell]),
        known=float(surest.error[cell]) ** 2,
        variance=(float(tests[0].variance[cell]), float(tests[1].variance[cell])),
        sides=(int(tests[0].sides[cell]), int(tests[1].sides[cell])),
        margin=metric.minimum_effect,
        tails=(alpha * TESTS / 2 / max(analysis.tests, 1), alpha),
    )
    enough = number[(chances >= statistics.PROMISED) & (number > tests[0].seeds[cell])]
    return float(enough[0]) if enough.size else float("inf")


def seeds_for_shares(analysis: Analysis, name: str, cell: int, *, alpha: float) -> float:
    """Seeds a side with which shares like these would differ, with probability PROMISED.

    A share of k in n is taken for (k + 1/2)/(n + 1) (Jeffreys): none in three is not never.
    """
    shares = analysis.shares[name]
    first, second = (
        (float(hits[cell]) + 0.5) / (float(seeds[cell]) + 1)
        for hits, seeds in zip(shares.hits, shares.seeds, strict=True)
    )
    tail = alpha * TESTS / 2 / max(analysis.tests, 1)
    if first == second:
        return float("inf")
    most = max(float(seeds[cell]) for seeds in shares.seeds)
    return max(statistics.share_seeds(first, second, tail), most + 1)


def seeds_against_luck(mixed: int) -> float:
    """The fewest seeds a side with which a flip beside so many mixed cells is not luck."""
    return float(next(n for n in range(2, MOST_SEEDS) if (mixed + 1) * chance(n, n) <= LUCK))
