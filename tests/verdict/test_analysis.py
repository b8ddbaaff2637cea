"""Tests of what is tested at once: which cells count, and how large the family is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.verdict.advice import MOST_SEEDS, seeds_against_luck, seeds_for_means, seeds_for_shares
from bench.verdict.analysis import (
    CRASHED,
    DIVERGED,
    TESTS,
    Analysis,
    Sides,
    analyse,
)
from bench.verdict.flips import LEARNING, OTHER, SETS
from bench.verdict.luck import luck
from bench.verdict.metrics import BY_NAME, METRICS
from bench.verdict.statistics import Array

CELLS, SEEDS, ALPHA = 12, 4, 0.05


def _sides(a: Array, b: Array) -> Sides:
    """All seeds measured, and matched where there are as many on both sides."""
    pairs = b - a if a.shape == b.shape else np.full((len(a), 1), np.nan)
    return Sides(a, b, np.ones(a.shape, bool), np.ones(b.shape, bool), pairs)


def _analyse(seeds: int = SEEDS, **values: tuple[Array, Array]) -> Analysis:
    flat = np.zeros((CELLS, seeds))
    outcomes = {name: _sides(*values.pop(name, (flat, flat))) for name in (CRASHED, DIVERGED)}
    sides = {metric.name: _sides(flat, flat) for metric in METRICS}
    sides |= {name: _sides(*pair) for name, pair in values.items()}
    return analyse(outcomes, sides, alpha=ALPHA)


def test_the_parts_of_the_level_add_up() -> None:
    """Four parts, one level; and three seeds can show a flip at .05, as 1/31 < .65 x .05."""
    assert pytest.approx(1) == LEARNING + OTHER + SETS + TESTS
    assert luck(1, 0, 3) <= LEARNING * ALPHA < luck(1, 0, 2)


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
    assert np.isnan(shares.lucky[3])


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


def test_a_flip_is_judged_by_the_mixed_sides_of_the_run() -> None:
    """4 of 4 learn, then none: V(1, 0) at four seeds = 1/127. One of another cell's four seeds does
    not learn: V(1, 1)."""
    before = np.full((CELLS, SEEDS), 0.9) + 0.001 * np.arange(SEEDS)
    after = before.copy()
    after[3] = 0.1
    flip = _analyse(test_accuracy=(before, after)).means["test_accuracy"]
    assert (flip.mixed[3], flip.lucky[3]) == (0, pytest.approx(1 / 127))
    assert flip.adjusted[3] == pytest.approx(1 / 127 / LEARNING)
    after[4, 0] = 0.1
    flip = _analyse(test_accuracy=(before, after)).means["test_accuracy"]
    assert (flip.mixed[3], flip.lucky[3]) == (1, pytest.approx(luck(1, 1, 4)))
    assert np.isnan(flip.lucky[5])


def test_what_is_mixed_in_any_metric_that_shows_learning_counts() -> None:
    """A seed that diverged is in another state than one that trained; a ratio's luck is apart."""
    before, after = np.full((CELLS, SEEDS), 0.9), np.full((CELLS, SEEDS), 0.9)
    after[3] = 0.1
    some = np.zeros((CELLS, SEEDS))
    some[7, 0] = 1
    means = _analyse(test_accuracy=(before, after), diverged=(some, some)).means["test_accuracy"]
    assert means.mixed[3] == 2
    means = _analyse(test_accuracy=(before, after), signal_ratio_end=(9 * some, 9 * some)).means[
        "test_accuracy"
    ]
    assert means.mixed[3] == 0


def test_a_set_of_flips_is_too_large_for_luck() -> None:
    """Five cells flip by much the same beside six mixed sides: each is named, though none would be
    alone."""
    before = np.full((CELLS, SEEDS), 0.9) + 0.001 * np.arange(SEEDS)
    after = before.copy()
    after[:5] -= 0.8 - 0.01 * np.arange(5)[:, None]
    before[6:9, 0] = after[6:9, 1] = 0.1
    flips = _analyse(test_accuracy=(before, after)).means["test_accuracy"]
    assert (flips.lucky[:5] > LEARNING * ALPHA / 2).all()
    assert (flips.adjusted[:5] <= ALPHA).all()
    # All five at the smallest one's size: half of SETS / 2^4 is theirs.
    of_five = 2 * luck(5, 6, SEEDS) * 2**4 / SETS
    of_two = 2 * luck(2, 6, SEEDS) * 2 / SETS
    assert of_five <= flips.adjusted[4] <= of_two < 1
    after[1:5] = before[1:5]
    assert _analyse(test_accuracy=(before, after)).means["test_accuracy"].adjusted[0] > ALPHA / 2


def test_cells_with_fewer_seeds_are_not_named_and_hide_none() -> None:
    """A cell of two seeds cannot show a flip; that of four is judged as if it were alone."""
    before, after = np.full((CELLS, SEEDS), 0.9), np.full((CELLS, SEEDS), 0.9)
    after[[3, 4]] = 0.1
    crashed = np.zeros((CELLS, SEEDS))
    sides = {m.name: _sides(np.zeros_like(before), np.zeros_like(before)) for m in METRICS}
    sides["test_accuracy"] = _sides(before, after)
    measured = np.ones((CELLS, SEEDS), bool)
    measured[4, 2:] = False
    seen = Sides(crashed, crashed, measured, measured, crashed)
    means = analyse({CRASHED: seen, DIVERGED: seen}, sides, alpha=ALPHA).means["test_accuracy"]
    assert means.lucky[3] == pytest.approx(luck(1, 0, 4))
    assert (means.lucky[4], means.adjusted[4]) == (1.0, 1.0)


def test_a_lone_cell_is_tested_by_students_t() -> None:
    """One cell: Student's two-sample t, and Schuirmann's two tests on pairs, by scipy.stats."""
    random = np.random.default_rng(2)
    a, b = random.normal(0.5, 0.1, (1, 5)), random.normal(0.6, 0.1, (1, 5))
    flat = np.zeros((1, 5))
    sides = {m.name: _sides(flat, flat) for m in METRICS} | {"test_accuracy": _sides(a, b)}
    outcomes = {CRASHED: _sides(flat, flat), DIVERGED: _sides(flat, flat)}
    means = analyse(outcomes, sides, alpha=ALPHA).means["test_accuracy"]
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
    """More seeds than there are; with c mixed sides the first number whose V(1, c) is low enough."""
    before, after = np.zeros((CELLS, SEEDS)), np.zeros((CELLS, SEEDS))
    after[3, :2] = 1
    analysis = _analyse(diverged=(before, after))
    assert SEEDS < seeds_for_shares(analysis, DIVERGED, 3, alpha=ALPHA) < 100
    assert seeds_against_luck(0, LEARNING * ALPHA) == 3
    assert luck(1, 5, 4) <= LEARNING * ALPHA < luck(1, 5, 3)
    assert seeds_against_luck(5, LEARNING * ALPHA) == 4
