"""Tests of comparisons: samples in, verdicts and reasons out."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.verdict.baselines.samples import Sample
from bench.verdict.comparison import Pair, compare
from bench.verdict.judgement import Comparison, Verdict

CELLS = 20


def _sample(seed: int, accuracy: float | None, *, outcome: Any = "trained", **more: Any) -> Sample:
    metrics = {} if outcome == "crashed" else {"test_accuracy": accuracy, **more}
    return Sample(
        seed=seed, outcome=outcome, digest="" if outcome == "crashed" else "d", metrics=metrics
    )


def _side(*accuracies: float | None, first: int = 0, **more: Any) -> list[Sample]:
    return [_sample(first + i, value, **more) for i, value in enumerate(accuracies)]


FINE = _side(0.94, 0.942, 0.938)
OTHERS = [Pair(baseline=FINE, run=_side(0.941, 0.939, 0.94))] * (CELLS - 1)


def _compare(baseline: list[Sample], run: list[Sample]) -> list[Comparison]:
    """Of the first cell, among others that did not change."""
    return compare([Pair(baseline=baseline, run=run), *OTHERS], alpha=0.05)[0]


def test_nothing_to_compare() -> None:
    """No pair, no comparison; no metric on either side, none either."""
    assert compare([], alpha=0.05) == []
    nothing = [_sample(s, None, outcome="crashed") for s in range(3)]
    assert _compare(nothing, nothing) == []


@pytest.mark.parametrize(
    ("outcome", "baseline", "run", "verdict"),
    [
        ("diverged", 0, 6, Verdict.REGRESSED),
        ("diverged", 6, 0, Verdict.IMPROVED),
        ("crashed", 0, 6, Verdict.REGRESSED),
        ("crashed", 6, 0, Verdict.IMPROVED),
        ("crashed", 0, 1, Verdict.INCONCLUSIVE),
    ],
)
def test_outcomes_are_compared_as_shares(
    outcome: str, baseline: int, run: int, verdict: Verdict
) -> None:
    """Six of six against none is a finding, in its direction; one of six is not."""

    def side(ended: int) -> list[Sample]:
        return [
            _sample(s, None, outcome=outcome) if s < ended else _sample(s, 0.94) for s in range(6)
        ]

    told = _compare(side(baseline), side(run))
    found = next(c for c in told if c.metric == outcome)
    assert found.verdict is verdict
    assert found.reason.startswith(f"{outcome} under {run} of 6 seeds, baseline {baseline} of 6: ")
    assert found.change == pytest.approx((run - baseline) / 6)


def test_a_crash_leaves_a_finding_even_if_the_survivors_are_equal() -> None:
    """Half the seeds crash: that is told first, beside what the survivors show."""
    run = [_sample(s, None, outcome="crashed") if s < 2 else _sample(s, 0.94) for s in range(4)]
    told = _compare(_side(0.94, 0.941, 0.94, 0.939), run)
    assert [c.metric for c in told] == ["crashed", "test_accuracy"]
    assert told[0].verdict is Verdict.INCONCLUSIVE
    assert re.search(r"about \d+ seeds would decide", told[0].reason)


def test_a_crashed_seed_is_not_one_that_did_not_diverge() -> None:
    """One of four crashes and one diverges: one of three, as nobody knows what the crash hid."""
    run = [
        _sample(0, None, outcome="crashed"),
        _sample(1, None, outcome="diverged"),
        *_side(0.94, 0.94, first=2),
    ]
    told = {c.metric: c for c in _compare(_side(0.94, 0.941, 0.94, 0.939), run)}
    assert told["diverged"].reason.startswith("diverged under 1 of 3 seeds, baseline 0 of 4: ")
    assert told["crashed"].reason.startswith("crashed under 1 of 4 seeds, baseline 0 of 4: ")


def test_a_diverged_seed_still_has_its_first_step() -> None:
    """Ratios of the first step are compared under all seeds that did not crash, matched by seed."""
    run = [
        _sample(0, None, outcome="diverged", signal_ratio_start=1.0),
        _sample(1, 0.94, signal_ratio_start=2.0),
        _sample(2, None, outcome="crashed"),
    ]
    before = [_sample(s, 0.94, signal_ratio_start=float(s + 1)) for s in range(3)]
    told = {c.metric: c for c in _compare(before, run)}
    assert "n = 2" in told["signal_ratio_start"].reason
    assert told["signal_ratio_start"].verdict is Verdict.EQUIVALENT


def test_steps_that_never_reach_the_level_are_an_outcome_and_worse() -> None:
    """Reached under six seeds, then under none: regressed. And the other way: improved."""
    fast = [_sample(s, 0.94, steps_to_half_loss=50.0 + s) for s in range(6)]
    never = [_sample(s, 0.94, steps_to_half_loss=None) for s in range(6)]
    for run, before, verdict in (
        (never, fast, Verdict.REGRESSED),
        (fast, never, Verdict.IMPROVED),
    ):
        told = {c.metric: c for c in _compare(before, run)}["steps_to_half_loss"]
        assert told.verdict is verdict
        assert "does not get there in the first steps under" in told.reason


def test_what_a_baseline_has_not_measured_is_left_out() -> None:
    """A metric that is younger than the baseline was not measured, which is no outcome."""
    run = [_sample(s, 0.94, test_loss=0.2) for s in range(3)]
    assert [c.metric for c in _compare(FINE, run)] == ["test_accuracy"]


def test_seeds_are_matched_by_number_not_by_order() -> None:
    """The same seeds in another order are the same comparison."""
    before = [_sample(s, 0.9 + 0.01 * s, signal_ratio_start=10.0**s) for s in range(4)]
    run = [_sample(s, 0.9 + 0.01 * s, signal_ratio_start=10.0**s * 1.0001) for s in range(4)]
    told = _compare(before, run)
    again = _compare(before[::-1], [run[i] for i in (2, 0, 3, 1)])
    assert [c.p_value for c in told] == pytest.approx([c.p_value for c in again])
    assert [c.verdict for c in told] == [c.verdict for c in again]
    assert {c.verdict for c in told} == {Verdict.EQUIVALENT}


def test_seeds_that_differ_are_all_used() -> None:
    """Two seeds in common of four and three: accuracy of all, first-step ratios of the pairs."""
    before = [_sample(s, 0.94 + 0.001 * s, signal_ratio_start=2.0**s) for s in range(4)]
    run = [_sample(s, 0.94 + 0.001 * s, signal_ratio_start=2.0**s) for s in range(2, 5)]
    told = {c.metric: c for c in _compare(before, run)}
    accuracy, start = told["test_accuracy"], told["signal_ratio_start"]
    assert accuracy.baseline_mean == pytest.approx(0.9415)
    assert accuracy.mean == pytest.approx(0.943)
    assert "n = 3" in accuracy.reason
    assert "n = 2" in start.reason
    assert start.verdict is Verdict.EQUIVALENT


def test_no_seed_in_common_is_two_samples() -> None:
    """Everything is compared; first-step ratios, which vary by seed, cannot be shown equivalent."""
    before = [_sample(s, 0.94, signal_ratio_start=2.0**s) for s in range(3)]
    run = [_sample(s, 0.94, signal_ratio_start=2.0 ** (s - 10)) for s in range(10, 13)]
    told = {c.metric: c.verdict for c in _compare(before, run)}
    assert told["test_accuracy"] is Verdict.EQUIVALENT
    assert told["signal_ratio_start"] is Verdict.INCONCLUSIVE


def test_a_seed_twice_is_an_error() -> None:
    """It would count as two."""
    with pytest.raises(ValueError, match="a side of a pair has a seed twice"):
        _compare([*FINE, FINE[0]], FINE)


def test_one_seed_is_inconclusive() -> None:
    """On either side; the reason says what is needed."""
    for before, run in ((FINE[:1], FINE), (FINE, FINE[:1]), (FINE[:1], FINE[:1])):
        (told,) = _compare(before, run)
        assert told.verdict is Verdict.INCONCLUSIVE
        assert told.reason.endswith("one seed shows no spread: at least 2 are needed")
        assert told.p_value is None


def test_no_spread_at_all() -> None:
    """The same number everywhere is equivalent; two numbers six points apart are a regression."""
    assert _compare(_side(0.94, 0.94), _side(0.94, 0.94))[0].verdict is Verdict.EQUIVALENT
    assert _compare(_side(*[0.94] * 3), _side(*[0.88] * 3))[0].verdict is Verdict.REGRESSED


_VALUES = st.one_of(st.none(), st.floats(1e-9, 1.0))


@st.composite
def _any_side(draw: st.DrawFn) -> list[Sample]:
    seeds = draw(st.lists(st.integers(0, 8), min_size=1, max_size=5, unique=True))
    outcomes = st.sampled_from(["trained", "trained", "diverged", "crashed"])
    found = []
    for seed in seeds:
        outcome = draw(outcomes)
        accuracy = draw(_VALUES) if outcome == "trained" else None
        more = {"signal_ratio_end": draw(_VALUES)} if draw(st.booleans()) else {}
        found.append(_sample(seed, accuracy, outcome=outcome, **more))
    return found


@given(st.lists(st.tuples(_any_side(), _any_side()), min_size=1, max_size=6))
def test_any_samples_are_compared(sides: list[tuple[list[Sample], list[Sample]]]) -> None:
    """Any outcomes, seeds, gaps and ties: a verdict and a reason each, and no NaN or warning."""
    pairs = [Pair(baseline=a, run=b) for a, b in sides]
    for told in compare(pairs, alpha=0.05):
        for found in told:
            assert found.reason
            for value in (found.p_value, found.adjusted_p):
                assert value is None or (math.isfinite(value) and value >= 0)


@given(st.permutations(range(5)))
@pytest.mark.slow
def test_the_order_of_cells_does_not_matter(order: list[int]) -> None:
    """All cells are tested together, and each is told the same wherever it stands."""
    random = np.random.default_rng(7)
    pairs = [
        Pair(
            baseline=_side(*(0.9 + 0.01 * random.normal(size=4))),
            run=_side(*(0.9 + 0.01 * random.normal(size=4))),
        )
        for _ in range(5)
    ]
    straight = compare(pairs, alpha=0.05)
    for place, told in zip(order, compare([pairs[i] for i in order], alpha=0.05), strict=True):
        for one, other in zip(straight[place], told, strict=True):
            assert one.verdict is other.verdict
            assert one.p_value == pytest.approx(other.p_value)
