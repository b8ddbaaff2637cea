"""Dense layers, normalizations, convolutions, pooling and losses: values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.theory.oracle import convolution, layers, losses
from bench.theory.rounding.arrays import Bounded

#: Each number here is a few operations on numbers up to 10: far within 100 roundoffs of 10.
EXACT = {"rtol": 0.0, "atol": 1000 * 2.0**-53}


def test_dense_is_a_product_and_a_sum() -> None:
    """(1, 2) times ((1, 2), (3, 4)) is (7, 10)."""
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
    y = layers.dense(np.array([[1.0, 2.0]]), kernel, np.array([0.5, -0.5]))
    np.testing.assert_array_equal(y, [[7.5, 9.5]])
    dx, dkernel, dbias = layers.dense_backward(
        np.array([[1.0, 2.0]]), kernel, np.array([[1.0, 10.0]])
    )
    np.testing.assert_array_equal(dx, [[21.0, 43.0]])
    np.testing.assert_array_equal(dkernel, [[1.0, 10.0], [2.0, 20.0]])
    np.testing.assert_array_equal(dbias, [1.0, 10.0])


def test_batch_normalization_of_two_examples() -> None:
    """1 and 3: mean 2, variance 1, so gamma 2 and beta 5 give 5 -+ 2 / sqrt(1.001)."""
    y, mean, variance = layers.batch_norm(
        np.array([[1.0], [3.0]]), np.array([2.0]), np.array([5.0])
    )
    distance = 2 / math.sqrt(1.001)
    np.testing.assert_allclose(y, [[5 - distance], [5 + distance]], **EXACT)
    np.testing.assert_allclose(mean, [2.0], **EXACT)
    np.testing.assert_allclose(variance, [1.0], **EXACT)


def test_batch_normalization_of_images_is_over_all_places() -> None:
    """A batch of two images of 1 x 2 places is as one of four examples."""
    x = np.arange(8.0).reshape(2, 1, 2, 2) ** 2
    gamma, beta = np.array([1.0, 2.0]), np.array([0.5, 0.0])
    y, mean, variance = layers.batch_norm(x, gamma, beta)
    flat, flat_mean, flat_variance = layers.batch_norm(x.reshape(4, 2), gamma, beta)
    np.testing.assert_array_equal(y.reshape(4, 2), flat)
    np.testing.assert_array_equal((mean, variance), (flat_mean, flat_variance))
    np.testing.assert_array_equal((mean, variance), layers.batch_moments(x))


def test_inference_takes_the_given_statistics() -> None:
    """(7 - 1) / sqrt(3.999 + .001) = 3, times 2 and plus 1."""
    y = layers.batch_norm_inference(
        np.array([[7.0]]), np.array([2.0]), np.array([1.0]), np.array([1.0]), np.array([3.999])
    )
    np.testing.assert_allclose(y, [[7.0]], **EXACT)


def test_moving_statistics() -> None:
    """.99 of the old and .01 of the batch's; of three values Bessel's correction makes 3 / 2."""
    np.testing.assert_allclose(
        layers.moving(np.array([2.0]), np.array([3.0])), [0.99 * 2 + 0.01 * 3], **EXACT
    )
    np.testing.assert_allclose(
        layers.moving(np.array([2.0]), np.array([3.0]), momentum=0.5), [2.5], **EXACT
    )
    assert layers.bessel(3) == 1.5
    assert layers.bessel(1) == 1.0


def test_layer_normalization_is_per_example() -> None:
    """Each row of its own: (1, 3) and (10, 30), variances 1 and 100."""
    y = layers.layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), np.ones(2), np.zeros(2))
    first, second = 1 / math.sqrt(1.001), 10 / math.sqrt(100.001)
    np.testing.assert_allclose(y, [[-first, first], [-second, second]], **EXACT)


def test_a_convolution_is_not_turned_and_padded_with_zeros() -> None:
    """A kernel whose upper left entry is 1 moves an image down and to the right."""
    image = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    kernel = np.zeros((3, 3, 1, 1))
    kernel[0, 0] = 1.0
    y = convolution.conv2d(image, kernel, np.array([10.0]))
    np.testing.assert_array_equal(y[0, :, :, 0], [[10.0, 10.0], [10.0, 11.0]])


def test_a_convolution_needs_a_centre() -> None:
    """Even sides are refused: padding would not be symmetric."""
    with pytest.raises(ValueError, match="2 x 3 has no centre; sides must be odd"):
        convolution.conv2d(np.zeros((1, 4, 4, 1)), np.zeros((2, 3, 1, 1)), np.zeros(1))


def test_pooling_and_its_ties() -> None:
    """The largest of each window; its gradient goes to the first of equal ones. An odd last row is
    left out."""
    image = np.array([[1.0, 2.0, 7.0, 7.0], [3.0, 0.0, 7.0, 7.0], [9.0, 9.0, 9.0, 9.0]])
    image = image.reshape(1, 3, 4, 1)
    np.testing.assert_array_equal(convolution.max_pool(image)[0, :, :, 0], [[3.0, 7.0]])
    gradient = convolution.max_pool_backward(image, np.array([5.0, 6.0]).reshape(1, 1, 2, 1))
    np.testing.assert_array_equal(
        gradient[0, :, :, 0], [[0.0, 0.0, 6.0, 0.0], [5.0, 0.0, 0.0, 0.0], [0.0] * 4]
    )


def test_ties_of_pooling() -> None:
    """Where another entry of the window is as large, and only there, the choice is open."""
    image = np.array([[1.0, 2.0, 7.0, 7.0], [3.0, 0.0, 7.0, 6.0]]).reshape(1, 2, 4, 1)
    ties = convolution.max_pool_ties(image, np.array([5.0, -6.0]).reshape(1, 1, 2, 1))
    np.testing.assert_array_equal(ties[0, :, :, 0], [[0.0, 0.0, 6.0, 6.0], [0.0, 0.0, 6.0, 0.0]])


def test_pooling_rounds_nothing() -> None:
    """So that a TensorFlow that is off in one bit is out."""
    image = Bounded(np.random.default_rng(0).normal(size=(2, 4, 4, 3)))
    upstream = Bounded(np.ones((2, 2, 2, 3)))
    assert not np.any(convolution.max_pool(image).error)
    assert not np.any(convolution.max_pool_backward(image, upstream).error)


def test_losses_of_equal_logits() -> None:
    """Ten equal classes: ln 10; (.9^2 + 9 x .1^2) / 10 = .09; gradients point to the label."""
    logits, labels = np.full((2, 10), 3.0), np.array([0, 4])
    np.testing.assert_allclose(losses.cross_entropy(logits, labels), math.log(10), **EXACT)
    np.testing.assert_allclose(losses.mean_squared_error(logits, labels), 0.09, **EXACT)
    gradient = losses.cross_entropy_gradient(logits, labels)
    np.testing.assert_allclose(gradient[1, 3:6], [0.05, -0.45, 0.05], **EXACT)


def test_losses_do_not_overflow() -> None:
    """A logit of 1000 beside 0: the loss is 1000 for the wrong label and 0 for the right one."""
    logits = np.array([[1000.0, 0.0], [1000.0, 0.0]])
    np.testing.assert_allclose(losses.cross_entropy(logits, [0, 0]), 0.0)
    np.testing.assert_allclose(losses.cross_entropy(logits, [1, 1]), 1000.0)
    np.testing.assert_allclose(losses.mean_squared_error(logits, [0, 1]), 0.5)
