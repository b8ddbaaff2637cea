"""The clipping rules: hand-worked numbers, exact properties, and what is not finite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.theory.oracle import clipping
from bench.theory.rounding.arrays import Bounded

RULES = ("value", "norm", "global_norm")
#: Squares of these neither overflow nor lose digits.
SIZES = st.floats(-1e100, 1e100).map(lambda x: x if abs(x) > 1e-100 else 0.0)
GRADIENTS = st.lists(arrays(np.float64, st.integers(1, 5), elements=SIZES), min_size=1, max_size=3)
THRESHOLDS = st.floats(1e-50, 1e50)
#: A norm of at most 15 entries and the scale: each of the 15 squares, sums, root, quotient and
#: product is off by at most 2^-53 of its value; twice, since the test computes a norm as well.
ROUNDING = 2 * 20 * 2.0**-53


def test_by_value_limits_each_entry() -> None:
    """Beyond the threshold is the threshold, with the entry's sign; all else stays."""
    (clipped,) = clipping.by_value([np.array([-3.0, -0.5, 0.0, 0.5, 3.0])], 0.75)
    assert clipped.tolist() == [-0.75, -0.5, 0.0, 0.5, 0.75]


def test_by_norm_scales_each_gradient_by_its_own_norm() -> None:
    """(3, 4) has norm 5 and is scaled by 2/5; (1, 0) is below 2."""
    long, short = clipping.by_norm([np.array([3.0, 4.0]), np.array([1.0, 0.0])], 2.0)
    assert long == pytest.approx([1.2, 1.6], rel=ROUNDING)
    assert short.tolist() == [1.0, 0.0]


def test_by_global_norm_scales_all_alike() -> None:
    """(2, 4) and (4) have the norm sqrt(4 + 16 + 16) = 6 and are scaled by 3/6."""
    first, second = clipping.by_global_norm([np.array([2.0, 4.0]), np.array([4.0])], 3.0)
    assert first.tolist() == [1.0, 2.0]
    assert second.tolist() == [2.0]


@given(GRADIENTS, THRESHOLDS)
def test_by_value_bounds_every_entry_and_touches_no_other(gradients, threshold) -> None:
    """The largest entry is at most the threshold; what was within it is as it was."""
    for before, after in zip(gradients, clipping.by_value(gradients, threshold), strict=True):
        within = np.abs(before) <= threshold
        assert np.array_equal(after[within], before[within])
        assert np.array_equal(after[~within], np.copysign(threshold, before[~within]))


@given(GRADIENTS, THRESHOLDS)
def test_a_norm_becomes_the_lesser_of_itself_and_the_threshold(gradients, threshold) -> None:
    """norm = min(norm, threshold), of each gradient and of all together."""
    for before, after in zip(gradients, clipping.by_norm(gradients, threshold), strict=True):
        least = min(np.linalg.norm(before), threshold)
        assert np.linalg.norm(after) == pytest.approx(least, rel=ROUNDING, abs=1e-160)
    whole = np.linalg.norm(np.concatenate(gradients))
    after = np.concatenate(clipping.by_global_norm(gradients, threshold))
    assert np.linalg.norm(after) == pytest.approx(min(whole, threshold), rel=ROUNDING, abs=1e-160)


@given(GRADIENTS, THRESHOLDS)
def test_norms_keep_the_direction(gradients, threshold) -> None:
    """Every entry is multiplied by one number in [0, 1], per gradient or over all."""
    singly = zip(gradients, clipping.by_norm(gradients, threshold), strict=True)
    whole = np.concatenate(gradients)
    together = np.concatenate(clipping.by_global_norm(gradients, threshold))
    for before, after in [*singly, (whole, together)]:
        largest = np.argmax(np.abs(before))
        if before[largest]:
            factor = after[largest] / before[largest]
            assert 0.0 <= factor <= 1.0
            assert after == pytest.approx(factor * before, rel=ROUNDING, abs=1e-160)


@given(GRADIENTS)
def test_below_the_threshold_nothing_changes(gradients) -> None:
    """All rules are the identity there, in every bit: the scale is threshold / threshold."""
    above = 2.0 * float(np.linalg.norm(np.concatenate(gradients))) + 1.0
    for rule in RULES:
        for before, after in zip(gradients, clipping.clip(rule, gradients, above), strict=True):
            assert np.array_equal(before, after)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("value", [[1.0, 0.5], [0.5]]),
        ("norm", [[np.nan, 0.0], [0.5]]),
        ("global_norm", [[np.nan, np.nan], [np.nan]]),
    ],
)
def test_an_infinity(rule, expected) -> None:
    """By value it is the threshold; by norm x / inf = 0 and inf / inf = NaN; globally all are NaN."""
    gradients = [np.array([np.inf, 0.5]), np.array([0.5])]
    for got, right in zip(clipping.clip(rule, gradients, 1.0), expected, strict=True):
        np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("value", [[np.nan, 1.0], [0.5]]),
        ("norm", [[np.nan, np.nan], [0.5]]),
        ("global_norm", [[np.nan, np.nan], [np.nan]]),
    ],
)
def test_a_nan(rule, expected) -> None:
    """By value it stays alone; it makes the norm that it is part of NaN."""
    gradients = [np.array([np.nan, 5.0]), np.array([0.5])]
    for got, right in zip(clipping.clip(rule, gradients, 1.0), expected, strict=True):
        np.testing.assert_array_equal(got, right)


def test_squares_beyond_float32_make_the_norm_infinite() -> None:
    """1e30 squared is above 3.4e38: scaled by 1 / inf, or NaN; in float64 the norm is finite."""
    bounded = [Bounded(np.array([1e30, 0.0]))]
    assert clipping.by_norm(bounded, 1.0)[0].value.tolist() == [0.0, 0.0]
    assert np.isnan(clipping.by_global_norm(bounded, 1.0)[0].value).all()
    (plain,) = clipping.by_norm([np.array([1e30, 0.0])], 1.0)
    assert plain == pytest.approx([1.0, 0.0], rel=ROUNDING)


def test_unknown_rules_are_refused() -> None:
    """The message lists the rules."""
    with pytest.raises(ValueError, match="rules are none and, with a threshold, value, norm"):
        clipping.clip("length", [np.ones(1)], 1.0)
    with pytest.raises(ValueError, match="threshold None"):
        clipping.clip("norm", [np.ones(1)], None)


def test_none_changes_nothing() -> None:
    """Even what is not finite."""
    (clipped,) = clipping.clip("none", [np.array([np.inf, 1.0])], None)
    assert clipped.tolist() == [np.inf, 1.0]


def test_the_bound_holds_for_either_order_of_scaling() -> None:
    """(g T) / max(norm, T), and g times T min(1 / norm, 1 / T), in float32, are within the bound."""
    random = np.random.default_rng(0)
    single = np.float32
    threshold = single(0.3)
    for size in (0.1, 0.3, 0.3 + 1e-7, 3.0):
        drawn = random.normal(size=50)
        g = (drawn * size / np.linalg.norm(drawn)).astype(single)
        (truth,) = clipping.by_norm([Bounded(g)], 0.3)
        norm = np.sqrt(np.sum(np.square(g), dtype=single))
        first = g * threshold / np.maximum(norm, threshold)
        second = g * (threshold * np.minimum(single(1) / norm, single(1) / threshold))
        for computed in (first, second):
            assert computed.dtype == single
            assert np.all(np.abs(computed - truth.value) <= truth.error)
