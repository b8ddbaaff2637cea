"""Tests of what is tested at once: which cells count, and how large the family is."""

from __future__ import annotations

import numpy as np
import pytest

from bench.verdict.analysis import DIVERGED, Analysis, Sides, analyse, seeds_needed
from bench.verdict.metrics import BY_NAME, METRICS
from bench.verdict.statistics import Array

CELLS, SEEDS = 12, 4


def _sides(a: Array, b: Array) -> Sides:
    return Sides(a, b, np.ones(a.shape, bool), np.ones(b.shape, bool))


def _analyse(**values: tuple[Array, Array]) -> Analysis:
    flat = np.zeros((CELLS, SEEDS))
    sides = {metric.name: _sides(flat, flat) for metric in METRICS}
    diverged = _sides(*values.pop(DIVERGED, (flat, flat)))
    return analyse(diverged, sides | {name: _sides(*pair) for name, pair in values.items()})


def test_the_family_is_every_cell_and_metric_that_could_be_tested() -> None:
    """12 cells of 5 metrics; one cell without any value of one metric is not tested on it."""
    assert _analyse().tests == CELLS * len(METRICS)
    nowhere = np.zeros((CELLS, SEEDS))
    nowhere[3] = np.nan
    assert _analyse(dead_share_end=(nowhere, nowhere)).tests == CELLS * len(METRICS) - 1


def test_a_metric_undefined_more_often_on_one_side_is_tested_for_that_alone() -> None:
    """The means of what is left are a selection: the share is tested in their place."""
    before, after = np.zeros((CELLS, SEEDS)), np.zeros((CELLS, SEEDS))
    after[3, :2] = np.nan
    analysis = _analyse(signal_ratio_end=(before, after))
    assert analysis.tests == CELLS * len(METRICS)
    assert np.isnan(analysis.means["signal_ratio_end"].adjusted[3])
    assert analysis.shares["signal_ratio_end"].exact[3] == pytest.approx(3 / 7)


def test_shares_that_differ_in_part_are_corrected_too() -> None:
    """2 of 4 against 0 of 4: Fisher 2 x 15/70 = 3/7; one test more in the family."""
    before, after = np.zeros((CELLS, SEEDS)), np.zeros((CELLS, SEEDS))
    after[3, :2] = 1
    analysis = _analyse(diverged=(before, after))
    shares = analysis.shares[DIVERGED]
    assert analysis.tests == CELLS * len(METRICS) + 1
    assert (shares.exact[3], shares.adjusted[3]) == (pytest.approx(3 / 7), 1.0)
    assert np.isnan(shares.lucky[3])
    assert shares.mixed == 0.5


def test_lucky_flips_are_those_without_a_seed_in_between() -> None:
    """4 of 4 learn, then none: a flip. Where one of four still learns it is a mixed side."""
    before = np.full((CELLS, SEEDS), 0.9) + 0.001 * np.arange(SEEDS)
    after = before.copy()
    after[3] = 0.1
    flip = _analyse(test_accuracy=(before, after)).means["test_accuracy"]
    assert flip.mixed[3] == 0.0
    assert flip.lucky[3] < 0.025
    after[4, 0] = 0.1
    mixed = _analyse(test_accuracy=(before, after)).means["test_accuracy"]
    assert mixed.mixed[3] == 0.5
    assert mixed.lucky[3] > flip.lucky[3]
    assert np.isnan(mixed.lucky[5])


def test_the_advised_number_of_seeds_decides() -> None:
    """With as many seeds as advised, the same change and spread are decided; now they are not."""
    metric = BY_NAME["test_accuracy"]

    def sides(seeds: int) -> tuple[Array, Array]:
        wave = 0.004 * np.where(np.arange(seeds) % 2, 1.0, -1.0)
        before = np.full((CELLS, seeds), 0.9) + wave
        return before, before + np.where(np.arange(CELLS) == 3, -0.007, 0.0)[:, None]

    def analysis(seeds: int) -> Analysis:
        flat = np.zeros((CELLS, seeds))
        parts = {m.name: _sides(flat, flat) for m in METRICS}
        return analyse(_sides(flat, flat), parts | {metric.name: _sides(*sides(seeds))})

    few = analysis(4)
    assert few.means[metric.name].adjusted[3] > 0.05
    needed = int(seeds_needed(metric, few, 3, alpha=0.05))
    assert 4 < needed < 100
    enough = analysis(needed + needed % 2)
    assert enough.means[metric.name].adjusted[3] <= 0.06
