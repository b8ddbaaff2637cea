"""Batch normalization in mean-field theory: a whole batch at a time. NumPy and SciPy only.

A wide layer sees of a batch only its Gram matrix (Yang et al. 2019, section 3), so a layer maps one
batch x batch matrix to the next, forward for the signals and backward for the gradients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.theory.activations import ACTIVATION
from bench.theory.oracle.layers import EPSILON
from bench.theory.signal.images import COVARIANCE_EIGENVALUES, COVARIANCE_TRACE
from bench.theory.signal.moments import Array, legendre, moments, to_last

#: Units that stand for infinitely many. The result is then as noisy as the mean over UNITS / width
#: networks, which the claim's tolerance counts.
UNITS = 1000
#: Layers after which chi is taken as settled, and layers below the output that see its classes.
_HEAD, _TAIL = 12, 4


@lru_cache(maxsize=256)
def batch_norm_ratio(activation: str, batch: int | None = None) -> float:
    """chi at the fixed point: the signal's growth per layer behind batch normalization.

    Infinite batch: D(1) / Var[phi(z)] (Yang et al. 2019, theorems 8-9; pi / (pi - 1) for ReLU). In a
    batch of B the centred pre-activations of a unit point in a uniform direction of d = B - 1
    dimensions (the symmetric fixed point, section 3.1 there), so z = sqrt(d) t_1 for one example and
    the pair of two examples follows from two coordinates of that direction. With
    D' = E[phi'(z) phi'(z')], X = E[(z phi')^2], X' = E[z phi' z' phi'], C = E[phi(z) phi(z')] and the
    backward pass of the layer, which takes out the mean and the part along z,

        chi = B / (d - 2) [D - (D - D' + X - X') / B] / (F - C).

    Raises:
        ValueError: a batch below 6, of which the last factor has no second moment or quadrature.
    """
    phi = ACTIVATION[activation]
    if batch is None:
        m = moments(activation, 1.0)
        return m.slope / (m.second - m.mean**2)
    if batch < 6:
        raise ValueError(f"batch {batch}: the fixed point is known from 6 examples on")
    d = batch - 1
    t, wt = _sphere_rule(d)
    u, wu = _sphere_rule(d - 1)
    z = math.sqrt(d) * t
    second = -z[:, None] / d + math.sqrt(1 - 1 / d**2) * np.sqrt(d - z**2)[:, None] * u[None, :]
    value, slope = phi.value(z), phi.slope(z)
    f, s = np.sum(wt * value**2), np.sum(wt * slope**2)
    x = np.sum(wt * (z * slope) ** 2)
    slopes = phi.slope(second)
    c = np.sum(wt * value * (phi.value(second) @ wu))
    ss = np.sum(wt * slope * (slopes @ wu))
    xx = np.sum(wt * z * slope * ((second * slopes) @ wu))
    return float(batch / (d - 2) * (s - (s - ss + x - xx) / batch) / (f - c))


def _sphere_rule(dimensions: int) -> tuple[Array, Array]:
    """Nodes and weights of one coordinate of a uniform direction: density (1 - t^2)^((d - 3) / 2).

    Legendre nodes on both sides of 0, where activations have their kink, in t = sin(angle).
    """
    nodes, weights = legendre(200)
    reach = min(0.5 * math.pi, 12.0 / math.sqrt(dimensions))
    angle = 0.5 * reach * (nodes + 1.0)
    mass = weights * np.cos(angle) ** (dimensions - 2)
    half = mass / (2.0 * mass.sum())
    return np.concatenate([-np.sin(angle), np.sin(angle)]), np.concatenate([half, half])


# --- From the images to the fixed point ---------------------------------------------------------


@dataclass(frozen=True)
class BatchFlow:
    """Arrays with an entry per hidden layer; ``spread`` has one less."""

    pre_activation: Array
    """Mean square of the activation's input."""
    activation: Array
    """Second moment of its output."""
    signal: Array
    """Relative to the last layer's."""
    spread: Array
    """n Var of ln(signal_l / signal_(l+1)) at width n: the relative variances over units of a unit's
    share in the signal, in the gradient that it hands down, and in the next layer's variance, as if all
    three were independent."""
    noise: Array
    """Standard deviation of ln(signal) for the :data:`UNITS` that stand for infinitely many."""


@lru_cache(maxsize=512)
def batch_flow(activation: str, depth: int, batch: int, first: float, gain: float) -> BatchFlow:
    """Signals of a batch of images behind batch normalization, layer by layer. Cached: do not write.

    The images enter as normal vectors with the covariance of MNIST (batch normalization takes out
    their mean), the output errors as those of uniform labels before uniform predictions. Real images
    and labels give the same to within the noise of :data:`UNITS`. Between the first layers, where
    the images' few directions still show, and the last, where the classes do, chi is constant.

    Args:
        first: Var(W) of the first kernel times the square of the inputs' scale.
        gain: sigma_w^2 = n Var(W) of the other kernels.
    """
    if depth > _HEAD + _TAIL:
        return _stretched(
            batch_flow(activation, _HEAD + _TAIL, batch, first, gain), depth - _HEAD - _TAIL
        )
    random = np.random.default_rng([depth, batch])
    phi = ACTIVATION[activation]
    images = _images(random, batch)
    gram = first * images @ images.T
    inputs: list[Array] = []
    scales: list[Array] = []
    second_moments, values = [], []
    for _ in range(depth):
        h = _draw(random, gram)
        h -= h.mean(1, keepdims=True)
        scales.append(1 / np.sqrt(np.mean(h**2, 1, keepdims=True) + EPSILON))
        inputs.append(h * scales[-1])
        value = phi.value(inputs[-1])
        second_moments.append(np.mean(value**2))
        values.append(np.var(value, 1))
        gram = gain * value.T @ value / UNITS
    errors = np.eye(10)[random.integers(0, 10, batch)] - 0.1
    back = _draw(random, errors @ errors.T)
    signal, spread = np.empty(depth), np.empty(depth)
    for layer in reversed(range(depth)):
        z = inputs[layer]
        delta = phi.slope(z) * back
        per_unit = np.mean(delta**2, 1)
        signal[layer] = per_unit.mean()
        h = delta - delta.mean(1, keepdims=True) - z * np.mean(delta * z, 1, keepdims=True)
        h *= scales[layer]
        through = np.mean(h**2, 1)
        shares = (per_unit, through, values[layer])
        spread[layer] = sum(float(np.var(x) / np.mean(x) ** 2) for x in shares)
        back = _draw(random, gain * h.T @ h / UNITS)
    return BatchFlow(
        pre_activation=np.array([np.mean(z**2) for z in inputs]),
        activation=np.array(second_moments),
        signal=signal / signal[-1],
        spread=spread[:-1],
        noise=np.sqrt(to_last(spread[:-1] / UNITS)),
    )


def _draw(random: np.random.Generator, gram: Array) -> Array:
    """UNITS normal vectors over the batch with a covariance that may be singular."""
    lifted = gram + 1e-12 * np.trace(gram) * np.eye(len(gram))
    return np.asarray(random.standard_normal((UNITS, len(gram))) @ np.linalg.cholesky(lifted).T)


def _images(random: np.random.Generator, batch: int) -> Array:
    """Normal vectors with the images' largest variances, and the rest spread over 300 directions."""
    rest = (COVARIANCE_TRACE - sum(COVARIANCE_EIGENVALUES)) / 300
    variances = np.array([*COVARIANCE_EIGENVALUES, *[rest] * 300])
    return np.asarray(random.standard_normal((batch, len(variances))) * np.sqrt(variances))


def _stretched(flow: BatchFlow, extra: int) -> BatchFlow:
    """Flow with ``extra`` settled layers between head and tail: chi there is the mean of the head's
    last eight, whose error is the same in all layers put in."""
    logs = -np.diff(np.log(flow.signal))

    def with_layers(values: Array, settled: float) -> Array:
        return np.insert(values, _HEAD, np.full(extra, settled))

    per_layer = math.sqrt(flow.spread[_HEAD - 1] / (8 * UNITS))
    layers_ahead = np.append(np.full(_HEAD, extra), np.arange(extra, 0, -1))
    noise = with_layers(flow.noise, flow.noise[_HEAD])
    noise[: _HEAD + extra] = np.hypot(noise[: _HEAD + extra], layers_ahead * per_layer)
    return BatchFlow(
        pre_activation=with_layers(flow.pre_activation, flow.pre_activation[_HEAD - 1]),
        activation=with_layers(flow.activation, flow.activation[_HEAD - 1]),
        signal=np.exp(to_last(with_layers(logs, float(np.mean(logs[_HEAD - 8 : _HEAD]))))),
        spread=with_layers(flow.spread, flow.spread[_HEAD - 1]),
        noise=noise,
    )
