"""Dense layers and normalizations, forward and backward, as formulas.

Written with operations that every kind of array in :mod:`bench.theory.rounding.arrays` knows, so
one formula gives a float64 value, a complex-step derivative and a bound on rounding. Sums are
written in the order that rounds worst among those in use, so that the bound covers the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Keras' defaults of its normalization layers.
EPSILON = 1e-3
MOMENTUM = 0.99

Axes = tuple[int, ...]


def dense(x: Any, kernel: Any, bias: Any) -> Any:
    """x W + b: (.., inputs), (inputs, units), (units,) -> (.., units)."""
    return x @ kernel + bias


def dense_backward(x: Any, kernel: Any, upstream: Any) -> tuple[Any, Any, Any]:
    """Gradients with respect to x, kernel and bias, from that of the output."""
    inputs, units = kernel.shape
    rows, flat = x.reshape((-1, inputs)), upstream.reshape((-1, units))
    return upstream @ kernel.T, rows.T @ flat, flat.sum(axis=0)


def batch_norm(x: Any, gamma: Any, beta: Any, *, epsilon: float = EPSILON) -> tuple[Any, Any, Any]:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta (Ioffe and Szegedy 2015, algorithm 1).

    Args:
        x: (.., units); mean and variance are over all axes but the last, without Bessel's correction.
        gamma: (units,).
        beta: (units,).
        epsilon: added to the variance.

    Returns:
        The output, shaped as x, and the batch's mean and variance, (units,).
    """
    output, mean, variance = _normalize(x, gamma, beta, _all_but_last(x), epsilon)
    return output, mean.reshape(-1), variance.reshape(-1)


def batch_moments(x: Any) -> tuple[Any, Any]:
    """Mean and variance, (units,), of x over all axes but the last, without Bessel's correction."""
    mean, variance = _moments(x, _all_but_last(x))
    return mean.reshape(-1), variance.reshape(-1)


def batch_norm_inference(
    x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, *, epsilon: float = EPSILON
) -> Any:
    """:func:`batch_norm` with a given mean and variance, (units,)."""
    return _scaled(x, gamma, beta, mean, _inverse(variance, epsilon))


def batch_norm_backward(
    x: Any, gamma: Any, upstream: Any, *, epsilon: float = EPSILON
) -> tuple[Any, Any, Any]:
    """Gradients of :func:`batch_norm` with respect to x, gamma and beta."""
    return _normalize_backward(x, gamma, upstream, _all_but_last(x), epsilon)


def moving(moving_value: Any, batch_value: Any, *, momentum: float = MOMENTUM) -> Any:
    """A moving statistic after a step: momentum * old + (1 - momentum) * the batch's.

    The variance that goes in is the batch's own, as Keras documents; TensorFlow's fused kernel, which
    Keras 2 takes for images, gives it n / (n - 1) times: see :func:`bessel`.
    """
    return moving_value * momentum + batch_value * (1.0 - momentum)


def bessel(count: int) -> float:
    """n / (n - 1): what makes the variance of n values an unbiased estimate; 1 of a lone value."""
    return count / max(count - 1, 1)


def layer_norm(x: Any, gamma: Any, beta: Any, *, epsilon: float = EPSILON) -> Any:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta over the units of each place (Ba et al. 2016,
    eq. 3).

    Args:
        x: (.., units); mean and variance are over the last axis, without Bessel's correction.
        gamma: (units,).
        beta: (units,).
        epsilon: added to the variance.
    """
    output, _, _ = _normalize(x, gamma, beta, (x.ndim - 1,), epsilon)
    return output


def layer_norm_backward(
    x: Any, gamma: Any, upstream: Any, *, epsilon: float = EPSILON
) -> tuple[Any, Any, Any]:
    """Gradients of :func:`layer_norm` with respect to x, gamma and beta."""
    return _normalize_backward(x, gamma, upstream, (x.ndim - 1,), epsilon)


def _all_but_last(x: Any) -> Axes:
    return tuple(range(x.ndim - 1))


def _moments(x: Any, axes: Axes) -> tuple[Any, Any]:
    """Mean and variance in two passes, as TensorFlow's moments and its fused kernels take them;
    E[x^2] - E[x]^2 would cancel."""
    mean = x.mean(axis=axes, keepdims=True)
    return mean, np.square(x - mean).mean(axis=axes, keepdims=True)


def _inverse(variance: Any, epsilon: float) -> Any:
    """1 / standard deviation."""
    return 1.0 / np.sqrt(variance + epsilon)


def _scaled(x: Any, gamma: Any, beta: Any, mean: Any, inverse: Any) -> Any:
    """x s + (beta - mean s), as Keras writes it, which rounds worse than (x - mean) s + beta."""
    scale = inverse * gamma
    return x * scale + (beta - mean * scale)


def _normalize(x: Any, gamma: Any, beta: Any, axes: Axes, epsilon: float) -> tuple[Any, Any, Any]:
    mean, variance = _moments(x, axes)
    return _scaled(x, gamma, beta, mean, _inverse(variance, epsilon)), mean, variance


def _normalize_backward(
    x: Any, gamma: Any, upstream: Any, axes: Axes, epsilon: float
) -> tuple[Any, Any, Any]:
    """The chain rule through y = x s + (beta - mean s) with s = gamma r and r = 1 / sqrt(variance +
    epsilon), operation by operation, as automatic differentiation of that form takes it (Ioffe and
    Szegedy 2015, section 3, is the same in exact arithmetic).

    The gradient of s is the sum of upstream * x minus upstream's sum times the mean, which cancels
    where the mean is large: its bound holds for the sum of upstream * (x - mean) as well.
    """
    mean, variance = _moments(x, axes)
    inverse = _inverse(variance, epsilon)
    scale = inverse * gamma
    # Where statistics are per unit, s is too, and its gradient is summed before anything else.
    pooled = axes != (x.ndim - 1,)
    passed = upstream.sum(axis=axes, keepdims=True) if pooled else upstream
    products = (upstream * x).sum(axis=axes, keepdims=True) if pooled else upstream * x
    scale_gradient = products - passed * mean
    gamma_gradient = (scale_gradient * inverse).sum(axis=_all_but_last(x))
    to_mean = passed * scale
    to_inverse = scale_gradient * gamma
    if not pooled:
        to_mean = to_mean.sum(axis=axes, keepdims=True)
        to_inverse = to_inverse.sum(axis=axes, keepdims=True)
    count = float(x.size // mean.size)
    to_variance = to_inverse * (inverse * inverse * inverse) * -0.5
    dx = upstream * scale - to_mean / count + to_variance * (x - mean) * (2.0 / count)
    return dx, gamma_gradient, upstream.sum(axis=_all_but_last(x))
