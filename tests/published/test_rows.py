"""The table 'published / ours / within its noise?': texts, intervals by hand, level by simulation."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from scipy import stats

from bench.published.experiments import P1, P3, P4, Published, trials
from bench.published.replay import replay
from bench.published.rows import compared, rows
from bench.results.trial import Curve, Form, TrialResult
from support.trials import crashed, ended, result, trial, variant_results


def p3(accuracies: Sequence[float], form: Form = "keras") -> list[TrialResult]:
    return variant_results("P3", {"batch norm": accuracies}, form=form)


def test_a_row() -> None:
    """One for each published number and form, with both sides as text."""
    (row,) = rows(p3((0.9641, 0.9652, 0.963, 0.9637, 0.9645)))
    assert (row.experiment, row.variant, row.form, row.quantity) == (
        "P3",
        "batch norm",
        "keras",
        "test accuracy",
    )
    assert row.published == "0.9644 / 0.963 / 0.9649"
    assert row.ours == "0.9641 ± 0.0008, 5 seeds"
    assert row.within is True
    # Pooled std .000904; t(6, .995) = 3.707; sqrt(1/5 + 1/3) = .730; rounding (.00005 * 2 + .0005) / 3.
    assert row.why == "difference -0.0000, allowed 0.0026 (99 %, 6 degrees of freedom)"


@pytest.mark.parametrize(
    ("shift", "within"), [(0.0023, True), (-0.0022, True), (-0.0031, False), (0.0031, False)]
)
def test_by_hand(shift: float, within: bool) -> None:
    """The bound is SciPy's interval of Student's two samples, plus half of the last printed digit."""
    theirs = np.array(P3.published[0].values)
    ours = np.array([-0.001, 0, 0.001, 0.0005, -0.0005]) + theirs.mean() + shift
    pooled = stats.ttest_ind(ours, theirs)
    low, high = pooled.confidence_interval(0.99)
    rounding = (0.00005 + 0.0005 + 0.00005) / 3
    assert bool(max(low, -high) <= rounding) is within
    assert compared(P3.published[0], p3(list(map(float, ours))))[0] is within


def test_spread_without_revisions() -> None:
    """A mean with a standard deviation counts as two revisions."""
    published = P4.published[1]
    ours = np.array([0.9785, 0.9792, 0.979, 0.9783, 0.9788])
    theirs = 0.9787 + np.array([-1, 1]) * 0.0004 / np.sqrt(2)
    assert np.std(theirs, ddof=1) == pytest.approx(0.0004)
    low, high = stats.ttest_ind(ours, theirs).confidence_interval(0.99)
    fake = msgspec.structs.replace
    results = [
        fake(each, numbers={"validation accuracy": float(value)})
        for each, value in zip(variant_results("P4", {"leaky ReLU": [0.5] * 5}), ours, strict=True)
    ]
    allowed = (high - low) / 2 + 0.00005
    assert f"allowed {allowed:.4f} (99 %, 5 degrees of freedom)" in compared(published, results)[1]


def test_one_published_run() -> None:
    """Of one published number it is the prediction interval for it: t s sqrt(1 + 1/n)."""
    published = Published("batch norm", "test accuracy", (0.9500,))
    ours = (0.96, 0.961, 0.959, 0.9605, 0.9595)
    # repr(.95) has two digits: half of the last is .005.
    allowed = 0.005 + stats.t.isf(0.005, 4) * np.std(ours, ddof=1) * np.sqrt(1.2)
    within, why = compared(published, p3(ours))
    assert allowed < 0.01
    assert within is False
    assert f"allowed {allowed:.4f}" in why


@pytest.mark.parametrize(("seeds", "needed"), [(1, 2), (2, None)])
def test_too_few_seeds(seeds: int, needed: int | None) -> None:
    """Three published runs need two seeds of ours, one published run four."""
    within, why = compared(P3.published[0], p3([0.9641, 0.9652][:seeds]))
    if needed is None:
        assert within
    else:
        assert (within, why) == (None, f"1 seed: {needed} are needed")
    one = Published("batch norm", "test accuracy", (0.96,))
    assert compared(one, p3([0.96, 0.961, 0.962])) == (None, "3 seeds: 4 are needed")


def variances(values: Sequence[float]) -> list[TrialResult]:
    return [
        result(trial("P1", "two layers", seed=seed), numbers={"variance w1": value})
        for seed, value in enumerate(values)
    ]


def test_variances_are_held_against_a_replay() -> None:
    """The mean of their logarithms lies where a thousand replayed seeds have it; 0 lies nowhere."""
    values = [1.2e-6, 2.0e-6, 2.6e-6, 3.5e-6, 1.6e-6]
    (row,) = rows(variances(values))
    assert row.published == "2.4e-06 (mean of 20 replays)"
    assert row.quantity == "variance of w1's gradient, first 1,000 steps"
    assert row.ours == "2.2e-06 ± 9e-07, 5 seeds"
    assert row.within
    assert row.why.startswith("geometric mean 2e-06, a replay gives ")
    for factor in (0.2, 5.0):
        (row,) = rows(variances([factor * value for value in values]))
        assert row.within is False
    (row,) = rows(variances([0.0, *values[1:]]))
    assert (row.within, row.why) == (False, "exactly 0")


@pytest.mark.parametrize("variant", P1.variants)
@pytest.mark.slow
def test_level_of_replayed_rows(variant: str) -> None:
    """Five sound seeds lie outside in 1 % of the cases: within four standard deviations."""
    seen = replay(P1.variants[variant], seeds=500, first=3).variance.reshape(100, 5)
    published = Published(variant, "variance w1", (1.0,))
    outside = sum(
        not compared(
            published,
            [result(trial("P1", variant, seed=0), numbers={"variance w1": v}) for v in five],
        )[0]
        for five in seen.tolist()
    )
    assert outside <= 1 + 4 * np.sqrt(1)


def test_equal_numbers() -> None:
    """Seeds that all have the published number are within noise, though they have none."""
    (row,) = rows(variant_results("P5", {"hidden layer, zeros": [0.1135] * 5}))
    assert row.within
    (row,) = rows(variant_results("P5", {"hidden layer, zeros": [0.1028] * 5}))
    assert row.within is False


def test_what_is_not_measured() -> None:
    """A crash, a form that is absent, a divergence: the reason stands in the row."""
    results = p3((0.9641, 0.9652, 0.963))
    (row,) = rows([crashed(results[0].trial), *results[1:]])
    assert (row.within, row.why) == (None, "crashed: P3/batch norm/keras/seed 0")
    absent = TrialResult(trial=results[0].trial, outcome="absent", absent="no sessions")
    (row,) = rows([absent])
    assert (row.within, row.why, row.ours) == (None, "no sessions", "–")
    (row,) = rows([msgspec.structs.replace(results[0], outcome="diverged"), *results[1:]])
    assert (row.within, row.why) == (False, "diverged")
    curve = {"test accuracy": Curve([0, 5500], [0.1, None])}
    infinite = [result(each.trial, curves=curve) for each in results]
    (row,) = rows(infinite)
    assert (row.within, row.why) == (False, "not finite")
    (row,) = rows([result(each.trial) for each in results])
    assert (row.within, row.why) == (None, "not measured")


def test_whole_experiments_only() -> None:
    """Few epochs give no row; all forms of a tier's whole experiments do."""
    few = variant_results("P3", {"batch norm": [0.8] * 3}, tier="quick")
    assert rows(few) == []
    assert rows([*few[1:], *p3((0.9641,))]) == []
    found = rows([ended(each, 0.96) for each in trials("standard", ["P3", "P4", "P5"])])
    assert len(found) == 2 * (1 + 2 + 2)


def test_level() -> None:
    """Three revisions and five seeds from one distribution are said to differ with a probability of
    .01: within four standard deviations; what rounding adds is a fiftieth of the spread."""
    random = np.random.default_rng(6)
    outside = 0
    for _ in range(2000):
        theirs = tuple(round(float(value), 4) for value in random.normal(0.96, 0.0025, 3))
        ours = [float(value) for value in random.normal(0.96, 0.0025, 5)]
        published = Published("batch norm", "test accuracy", theirs)
        outside += not compared(published, _five(ours))[0]
    assert outside <= 20 + 4 * np.sqrt(20)
    assert outside >= 5


def _five(values: Sequence[float]) -> list[TrialResult]:
    return [
        result(trial_, numbers={"test accuracy": value})
        for trial_, value in zip(_TRIALS, values, strict=True)
    ]


_TRIALS = [trial("P3", "batch norm", seed=seed) for seed in range(5)]
