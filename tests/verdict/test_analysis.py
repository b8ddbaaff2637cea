"""Tests of what is tested at once: which cells count, and how large the family is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.statistics.levels import TESTS
from bench.statistics.shares import Array
from bench.verdict.advice import MOST_SEEDS, seeds_against_luck, seeds_for_means, seeds_for_shares
from bench.verdict.analysis import CRASHED, DIVERGED, Analysis, Sides, analyse
from bench.verdict.metrics import BY_NAME, METRICS

CELLS, SEEDS, ALPHA = 12, 4, 0.05


def _sides(a: Array, b: Array) -> Sides:
    """All seeds measured, and matched where there are as many on both sides."""
    applies = np.ones(a.shape, bool), np.ones(b.shape, bool)
    if a.shape != b.shape:
        a, b = (
            np.concatenate([a, np.full_like(b, np.nan)], axis=1),
            np.concatenate([np.full_like(a, np.nan), b], axis=1),
        )
        applies = ~np.isnan(a), ~np.isnan(b)
    return Sides(a, b, *applies)


def _analyse(seeds: int = SEEDS, **values: tuple[Array, Array]) -> Analysis:
    flat = np.zeros((CELLS, seeds))
    outcomes = {name: _sides(*values.pop(name, (flat, flat))) for name in (CRASHED, DIVERGED)}
    sides = {metric.name: _sides(flat, flat) for metric in METRICS}
    sides |= {name: _sides(*pair) for name, pair in values.items()}
    return analyse(outcomes, sides)


def test_the_family_is_every_cell_and_metric_that_could_be_tested() -> None:
    """12 cells of each metric; one cell without any value of one metric is not tested on it."""
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


@pytest.mark.parametrize("outcome", [CRASHED, DIVERGED])
def test_shares_that_differ_in_part_are_corrected_too(outcome: str) -> None:
    """2 of 4 against 0 of 4: Fisher 2 x 15/70 = 3/7; one test more in the family."""
    before, after = np.zeros((CELLS, SEEDS)), np.zeros((CELLS, SEEDS))
    after[3, :2] = 1
    analysis = _analyse(**{outcome: (before, after)})
    shares = analysis.shares[outcome]
    assert analysis.tests == CELLS * len(METRICS) + 1
    assert (shares.exact[3], shares.adjusted[3]) == (pytest.approx(3 / 7), 1.0)
    assert np.isnan(shares.luck[3])


def test_the_smallest_p_is_corrected_by_hand() -> None:
    """The smallest of a family: p times its size, over the part of the level that tests have."""
    before = np.full((CELLS, SEEDS), 0.9) + 0.001 * np.arange(SEEDS)
    after = before.copy()
    after[3] -= 0.006
    analysis = _analyse(test_accuracy=(before, after))
    means = analysis.means["test_accuracy"]
    expected = means.difference.p_value[3] * analysis.tests / TESTS
    assert 0 < expected < 1
    assert means.adjusted[3] == pytest.approx(expected)


def test_a_flip_is_judged_by_the_mixed_cells_of_the_run() -> None:
    """4 of 4 learn, then none: 1/127. One of another cell's four seeds does not learn: twice that; in a
    cell whose states lie a third as far apart it does not matter."""
    before = np.full((CELLS, SEEDS), 0.9) + 0.001 * np.arange(SEEDS)
    after = before.copy()
    after[3] = 0.1
    flip = _analyse(test_accuracy=(before, after)).means["test_accuracy"]
    assert (flip.mixed[3], flip.luck[3]) == (0, pytest.approx(1 / 127))
    for low, mixed in ((0.1, 1), (0.6, 0)):
        after[4, 0] = low
        flip = _analyse(test_accuracy=(before, after)).means["test_accuracy"]
        assert (flip.mixed[3], flip.luck[3]) == (mixed, pytest.approx((mixed + 1) / 127))


def test_an_outcome_of_every_seed_is_judged_by_cells_that_have_both() -> None:
    """4 of 4 diverge, then none; two other cells do both. Of those nothing is said."""
    before, after = np.zeros((CELLS, SEEDS)), np.zeros((CELLS, SEEDS))
    after[3] = after[4, 0] = before[5, 1:] = 1
    shares = _analyse(diverged=(before, after)).shares[DIVERGED]
    assert (shares.mixed[3], shares.luck[3]) == (2, pytest.approx(3 / 127))
    assert np.isnan(shares.luck[[0, 4, 5]]).all()


def test_what_starts_from_the_same_numbers_is_never_luck() -> None:
    """Ratios of the first step differ by seed, and not by chance from side to side."""
    before = np.arange(CELLS * SEEDS, dtype=float).reshape(CELLS, SEEDS) % 7
    means = _analyse(signal_ratio_start=(before, before + 1)).means["signal_ratio_start"]
    assert not means.luck.any()


def test_a_lone_cell_is_tested_by_students_t() -> None:
    """One cell: Student's two-sample t, and Schuirmann's two tests on pairs, by scipy.stats."""
    random = np.random.default_rng(2)
    a, b = random.normal(0.5, 0.1, (1, 5)), random.normal(0.6, 0.1, (1, 5))
    flat = np.zeros((1, 5))
    sides = {m.name: _sides(flat, flat) for m in METRICS} | {"test_accuracy": _sides(a, b)}
    outcomes = {CRASHED: _sides(flat, flat), DIVERGED: _sides(flat, flat)}
    means = analyse(outcomes, sides).means["test_accuracy"]
    assert means.difference.p_value[0] == pytest.approx(
        stats.ttest_ind(a[0], b[0]).pvalue, rel=0.01
    )
    d = (b - a)[0]
    t = (0.005 - abs(d.mean())) / (d.std(ddof=1) / math.sqrt(5))
    assert means.equivalence.equivalent[0] == pytest.approx(stats.t.sf(t, 4), rel=0.01)


def test_seeds_that_do_not_match_are_two_samples() -> None:
    """Three against five: no pairs, so equivalence and differences are of two samples."""
    before, after = np.full((CELLS, 3), 0.9), np.full((CELLS, 5), 0.9)
    means = _analyse(test_accuracy=(before, after)).means["test_accuracy"]
    assert set(means.equivalence.sides) == {2.0}
    assert set(means.difference.seeds) == {3.0}
    start = _analyse(signal_ratio_start=(before, after)).means["signal_ratio_start"]
    assert set(start.difference.sides) == {2.0}
    matched = _analyse(signal_ratio_start=(before, before)).means["signal_ratio_start"]
    assert set(matched.difference.sides) == {1.0}


def test_one_seed_is_not_tested() -> None:
    """Neither one a side nor one against four."""
    for n, m in ((1, 1), (1, 4), (4, 1)):
        means = _analyse(test_accuracy=(np.zeros((CELLS, n)), np.zeros((CELLS, m)))).means
        assert np.isnan(means["test_accuracy"].adjusted).all()
        assert np.isnan(means["test_accuracy"].equivalence.equivalent).all()


@pytest.mark.parametrize("change", [0.0, 0.002, 0.0049])
def test_the_advised_number_of_seeds_grows_with_the_spread(change: float) -> None:
    """It is more than there are, and more for cells whose seeds are twice as far apart."""
    metric = BY_NAME["test_accuracy"]
    wave = 0.002 * np.where(np.arange(SEEDS) % 2, 1.0, -1.0)
    advised = []
    for times in (1, 2):
        before = np.full((CELLS, SEEDS), 0.9) + times * wave
        analysis = _analyse(test_accuracy=(before, 1.8 - before - change))
        advised.append(seeds_for_means(metric, analysis, 0, alpha=ALPHA))
    assert SEEDS < advised[0] < advised[1] <= MOST_SEEDS


def test_advice_on_shares_and_luck() -> None:
    """More seeds than there are; beside c mixed cells the first number with (c + 1) chances low enough:
    6/127 is too much, 6/511 not."""
    before, after = np.zeros((CELLS, SEEDS)), np.zeros((CELLS, SEEDS))
    after[3, :2] = 1
    analysis = _analyse(diverged=(before, after))
    assert SEEDS < seeds_for_shares(analysis, DIVERGED, 3, alpha=ALPHA) < 100
    assert [seeds_against_luck(mixed) for mixed in (0, 3, 5, 16, 17)] == [3, 4, 5, 5, 6]
