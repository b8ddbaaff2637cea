"""Normalization under stress: the truth against other formulas, and that planted faults show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.checks.contracts import stress
from bench.checks.contracts.stress import KINDS, Normalized, inputs, truth
from bench.theory.oracle import layers
from tests.checks.contracts.judging import LAB, judged

SUBJECTS = [check.subject for check in stress.checks("quick")]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_tensorflow_holds(subject: str) -> None:
    found = judged(stress, subject)
    assert not found.fails, found.reason


@pytest.mark.parametrize("ratio", [0, 1000])
def test_truth_is_that_of_the_oracle(ratio: int) -> None:
    """The oracle of the grids writes the same layer another way; float64 leaves 1e-9 at mean 1000."""
    x = inputs(KINDS["batch-inputs:dense"], ratio)
    upstream = np.cos(np.arange(x.size)).reshape(x.shape)
    ours = Normalized(x, (0,))
    units = np.ones(24)
    output, mean, variance = layers.batch_norm(x.astype(float), units, 0.0 * units)
    gradient, gamma, beta = layers.batch_norm_backward(x.astype(float), units, upstream)
    to_gamma, to_beta = ours.parameter_gradients(upstream, (0,))
    for found, wanted in (
        (ours.output, output),
        (ours.mean.reshape(-1), mean),
        (ours.variance.reshape(-1), variance),
        (ours.gradient(upstream), gradient),
        (to_gamma, gamma),
        (to_beta, beta),
    ):
        np.testing.assert_allclose(found.value, wanted, rtol=1e-8, atol=1e-8)


def test_spread_by_hand() -> None:
    """Of 1, 3: deviation 1, over sqrt(1 + .001)."""
    spread = Normalized(np.array([[1.0], [3.0]], np.float32), (0,)).spread
    assert spread.value.item() == pytest.approx(1 / np.sqrt(1.001))


def test_bounds_do_not_grow_with_the_square_of_the_mean() -> None:
    kind = KINDS["batch-inputs:dense"]
    at_10, at_1000 = (
        truth(kind, inputs(kind, ratio), LAB).output.error.max() for ratio in (10, 1000)
    )
    assert at_1000 < 150 * at_10


def _unstable(x: Any, axes: Any, *_: Any, keepdims: bool = False, **__: Any) -> Any:
    mean = tf.reduce_mean(x, axes, keepdims=keepdims)
    return mean, tf.reduce_mean(tf.square(x), axes, keepdims=keepdims) - tf.square(mean)


def _constant_mean(x: Any, axes: Any, *_: Any, keepdims: bool = False, **__: Any) -> Any:
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.square(x - mean), axes, keepdims=keepdims)
    return tf.stop_gradient(mean if keepdims else tf.reshape(mean, variance.shape)), variance


def _bessel(x: Any, axes: Any, *_: Any, keepdims: bool = False, **__: Any) -> Any:
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.square(x - mean), axes, keepdims=keepdims)
    count = tf.size(x) / tf.size(variance)
    factor = tf.cast(count / (count - 1), x.dtype)
    return (mean if keepdims else tf.reshape(mean, variance.shape)), variance * factor


@pytest.mark.parametrize(
    ("fault", "subject", "tensor"),
    [
        (_unstable, "batch-inputs:dense-outputs", "mean 10"),
        (_unstable, "batch-inputs:dense-moving", "mean 10"),
        (_unstable, "layer-inputs:dense-outputs", "mean 100"),
        (_unstable, "group-inputs:image-outputs", "mean 100"),
        (_constant_mean, "batch-inputs:dense-gradients", "mean 0"),
        (_constant_mean, "layer-inputs:image-gradients", "mean 0"),
        (_bessel, "batch-images:4-moving_variance:keras3", "outputs"),
    ],
)
def test_faults_show(
    fault: Any, subject: str, tensor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Keras takes TensorFlow's moments, which Keras 2's fused kernels do not."""
    called = []

    def planted(*arguments: Any, **options: Any) -> Any:
        called.append(True)
        return fault(*arguments, **options)

    monkeypatch.setattr(tf.nn, "moments", planted)
    found = judged(stress, subject)
    if not called:
        pytest.skip("this Keras does not take tf.nn.moments here")
    assert found.fails
    assert any(tensor in one.tensor for one in found.deviations if one.out), found.reason


def test_ids_are_unique_and_select_nothing_by_accident() -> None:
    assert len(set(SUBJECTS)) == len(SUBJECTS) == 14
    assert not [subject for subject in SUBJECTS if set(subject) & set(" ,=[]()")]
