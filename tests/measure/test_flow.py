"""Gradient flow: hand-worked numbers, what is not finite, and what float32 would lose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bench.measure.flow import flow
from bench.results.flow import Flow

pytestmark = pytest.mark.filterwarnings("error")


def f32(values: Any) -> np.ndarray:
    return np.asarray(values, np.float32)


def measure(**changes: Any) -> Flow:
    """One hidden layer of two units on two examples of two pixels, three classes."""
    arrays: dict[str, Any] = {
        "signals": [f32([[1, 2], [3, 4]])],
        "activations": [f32([[0, 2], [4, 6]])],
        "gradients": [
            f32([[1, 3], [5, 7]]),  # hidden kernel
            f32([1, 5]),  # hidden bias
            f32([[3, -4, 0], [0, 0, 12]]),  # output kernel
            f32([0, 0, 2]),  # output bias
        ],
        "clipped": None,
        "dead_units": [np.array([True, False])],
    }
    return flow(**{**arrays, **changes})


def test_hand_worked() -> None:
    """Every field, with its arithmetic."""
    measured = measure()
    assert measured.signal == [7.5]  # (1 + 4 + 9 + 16) / 4
    assert measured.kernel_gradient == [5.0]  # mean 4, deviations 3 1 1 3: (9 + 1 + 1 + 9) / 4
    assert measured.bias_gradient == [4.0]  # mean 3, deviations 2 2
    assert measured.activation_mean == [3.0]  # (0 + 2 + 4 + 6) / 4
    assert measured.activation_variance == [5.0]  # deviations 3 1 1 3
    assert measured.dead_units == [0.5]
    # 1 + 9 + 25 + 49 = 84; 1 + 25 = 26; 9 + 16 + 144 = 169; 4: together 283
    assert measured.gradient_norm == pytest.approx(math.sqrt(283), rel=1e-15)
    assert measured.kernel_gradient_peak == 12.0


def test_without_clipping_what_is_applied_is_the_gradient() -> None:
    """The clipped fields then say what the gradient itself is."""
    measured = measure()
    assert measured.clipped_norm == measured.gradient_norm
    assert measured.clipped_peak == 12.0
    assert measured.clipped_variable_norm == 13.0  # sqrt(9 + 16 + 144), the output kernel
    assert measured.clip_error == 0.0


def test_with_clipping_both_are_reported() -> None:
    """Clipped by value at 4, by hand."""
    clipped = [f32([[1, 3], [4, 4]]), f32([1, 4]), f32([[3, -4, 0], [0, 0, 4]]), f32([0, 0, 2])]
    measured = measure(clipped=clipped)
    assert measured.gradient_norm == pytest.approx(math.sqrt(283), rel=1e-15)
    # 1 + 9 + 16 + 16 = 42; 17; 9 + 16 + 16 = 41; 4: together 104
    assert measured.clipped_norm == pytest.approx(math.sqrt(104), rel=1e-15)
    assert measured.clipped_peak == 4.0
    assert measured.clipped_variable_norm == pytest.approx(math.sqrt(42), rel=1e-15)
    assert measured.clip_error == pytest.approx(8 / 12, rel=1e-15)  # 12 became 4
    assert measured.kernel_gradient == [5.0]  # of the gradient, not of what is applied


def test_layers_are_told_apart_by_the_shapes_of_gradients() -> None:
    """Kernels have 2 or 4 dimensions, other variables of a layer 1; the last kernel is the output's."""
    kernels = [np.full((5, 5, 1, 2), 1.0), np.full((4, 3), 2.0), np.full((3, 10), 9.0)]
    kernels[0][0, 0, 0, 0] = 51.0  # 1 of 50 differs by 50: variance 50^2 (1/50) (49/50) = 49
    kernels[1][0, 0] = 14.0  # 1 of 12 differs by 12: 144 (1/12) (11/12) = 11
    gradients = [
        *(kernels[0], np.array([0.0, 2.0]), np.array([5.0, 9.0]), np.array([7.0, 7.0])),
        *(kernels[1], np.array([0.0, 3.0, 6.0])),
        *(kernels[2], np.zeros(10)),
    ]
    measured = measure(gradients=gradients)
    assert measured.kernel_gradient == pytest.approx([49.0, 11.0])
    assert measured.bias_gradient == [1.0, 6.0]  # not the normalization's gamma (variance 4)
    assert measured.kernel_gradient_peak == 51.0


def test_peak_counts_size_not_sign_and_kernels_only() -> None:
    """The output bias moves even where every kernel is dead."""
    zero = [np.zeros((2, 2)), np.zeros(2), np.zeros((2, 3)), f32([-5, 0, 0])]
    measured = measure(gradients=zero)
    assert measured.kernel_gradient_peak == 0.0
    assert measured.clipped_peak == 5.0
    assert measured.kernel_gradient == [0.0]


def test_a_network_without_hidden_layers_has_empty_lists() -> None:
    """Softmax regression: one kernel and one bias."""
    measured = measure(
        signals=[], activations=[], dead_units=[], gradients=[f32([[3, 4]]), f32([0, 0])]
    )
    assert measured.signal == measured.kernel_gradient == measured.bias_gradient == []
    assert measured.gradient_norm == 5.0
    assert measured.dead_share is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_what_is_not_finite_is_none(bad: float, place: int) -> None:
    """Whichever variable it stands in: NaN must not hide behind a larger one's finite value."""
    gradients = [f32([[1, 3], [5, 7]]), f32([1, 5]), f32([[3, -4, 0], [0, 0, 12]]), f32([0, 0, 2])]
    gradients[place].flat[0] = bad
    measured = measure(gradients=gradients)
    assert measured.gradient_norm is None
    assert measured.clipped_norm is None
    assert measured.clipped_peak is None
    assert measured.clipped_variable_norm is None
    assert measured.kernel_gradient == [None if place == 0 else 5.0]
    assert measured.bias_gradient == [None if place == 1 else 4.0]
    assert measured.kernel_gradient_peak == (None if place in (0, 2) else 12.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_signals_and_activations_that_are_not_finite_are_none(bad: float) -> None:
    """In their own layer only."""
    arrays = [f32([[1, 2], [3, 4]]), f32([[1, bad], [3, 4]])]
    measured = measure(signals=arrays, activations=arrays)
    assert measured.signal == [7.5, None]
    assert measured.activation_mean == [2.5, None]
    assert measured.activation_variance == [1.25, None]


@pytest.mark.parametrize("made_of_it", [math.nan, 1.0])
def test_clipping_that_breaks_zero_gradients_is_no_exception(made_of_it: float) -> None:
    """0 times threshold over a norm of 0 is a classical mistake: a result, not a crash."""
    zero = [np.zeros((2, 2)), np.zeros(2), np.zeros((2, 3)), np.zeros(3)]
    broken = [*zero[:3], np.full(3, made_of_it)]
    measured = measure(gradients=zero, clipped=broken)
    assert measured.clip_error is None
    assert measured.clipped_peak == (None if math.isnan(made_of_it) else 1.0)


def test_tiny_values_do_not_underflow() -> None:
    """(1e-30)^2 = 1e-60 is 0 in float32, whose smallest number is 1.4e-45. 50 sigmoid layers shrink
    signals that far."""
    tiny = f32([[1e-30, -1e-30], [1e-30, -1e-30]])
    measured = measure(
        signals=[tiny],
        activations=[tiny],
        gradients=[tiny, tiny[0], tiny, tiny[0]],
    )
    assert measured.signal == [pytest.approx(1e-60, rel=1e-6, abs=0)]
    assert measured.activation_variance == [pytest.approx(1e-60, rel=1e-6, abs=0)]
    assert measured.kernel_gradient == [pytest.approx(1e-60, rel=1e-6, abs=0)]
    assert measured.gradient_norm == pytest.approx(math.sqrt(12) * 1e-30, rel=1e-6, abs=0)


def test_large_values_do_not_overflow() -> None:
    """(1e30)^2 is infinite in float32."""
    large = f32([[1e30, -1e30], [1e30, -1e30]])
    measured = measure(signals=[large], activations=[large], gradients=[large, large[0]] * 2)
    assert measured.signal == [pytest.approx(1e60, rel=1e-6)]
    assert measured.activation_variance == [pytest.approx(1e60, rel=1e-6)]
    assert measured.clipped_norm == pytest.approx(math.sqrt(12) * 1e30, rel=1e-6)


def test_sums_are_in_float64() -> None:
    """A mean of 1 + 2^-20 alternating with 1 has variance 2^-42: float32 sums of 2^16 entries miss
    it by more than a thousandth."""
    values = np.ones((256, 256), np.float32)
    values[:, ::2] += np.float32(2**-20)
    measured = measure(activations=[values])
    assert measured.activation_variance == [pytest.approx(2.0**-42, rel=1e-9, abs=0)]
    assert measured.activation_mean == [pytest.approx(1 + 2.0**-21, rel=1e-15)]
