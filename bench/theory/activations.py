"""Activations and their slopes, as formulas: NumPy in, NumPy out, no TensorFlow.

Written with operations that every kind of array in :mod:`bench.theory` knows, so one formula gives a
float64 value, a complex-step derivative and a bound on float32 rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.theory.rounding.arrays import decide, erf

#: Slope of Keras' LeakyReLU layer below 0. (``keras.activations.leaky_relu`` has .2.)
LEAKY_SLOPE = 0.3
#: SELU's fixed point (Klambauer et al. 2017, eq. 14).
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
#: SELU is this times (e^x - 1) below 0: scale times alpha, which the rounded numbers above do not give
#: to the last place.
SELU_BELOW = 1.7580993408473768599402175208123


@dataclass(frozen=True)
class Activation:
    """An activation phi and its slope phi', elementwise.

    Both take and return arrays of any shape. ``slope`` is what TensorFlow differentiates: where phi has
    a kink, at 0, it is the slope from below, but selu's from above.
    """

    value: Callable[[Any], Any]
    slope: Callable[[Any], Any]


def _relu(x: Any) -> Any:
    return np.where(decide(x) > 0, x, 0.0)


def _relu_slope(x: Any) -> Any:
    return np.where(decide(x) > 0, 1.0, 0.0)


def _leaky(x: Any) -> Any:
    return np.where(decide(x) > 0, x, LEAKY_SLOPE * x)


def _leaky_slope(x: Any) -> Any:
    return np.where(decide(x) > 0, 1.0, LEAKY_SLOPE)


def _below(x: Any) -> Any:
    """x where it is negative, else 0: exponentials of the other branch must not overflow."""
    return np.where(decide(x) < 0, x, 0.0)


def _elu(x: Any) -> Any:
    """Clevert et al. 2016, eq. 15, alpha = 1."""
    return np.where(decide(x) > 0, x, np.expm1(_below(x)))


def _elu_slope(x: Any) -> Any:
    return np.where(decide(x) > 0, 1.0, np.exp(_below(x)))


def _selu(x: Any) -> Any:
    return SELU_SCALE * np.where(decide(x) > 0, x, SELU_ALPHA * np.expm1(_below(x)))


def _selu_slope(x: Any) -> Any:
    return SELU_SCALE * np.where(decide(x) >= 0, 1.0, SELU_ALPHA * np.exp(_below(x)))


def _sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x) through exp(-|x|), which cannot overflow."""
    positive = decide(x) >= 0
    small = np.exp(np.where(positive, -x, x))
    return np.where(positive, 1.0, small) / (1.0 + small)


def _sigmoid_slope(x: Any) -> Any:
    """phi (1 - phi), with 1 - phi(x) = phi(-x)."""
    return _sigmoid(x) * _sigmoid(-x)


def _tanh_slope(x: Any) -> Any:
    return 1.0 - np.square(np.tanh(x))


def _softplus(x: Any) -> Any:
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)."""
    positive = decide(x) >= 0
    small = np.exp(np.where(positive, -x, x))
    return np.where(positive, x, 0.0) + np.log1p(small)


def _normal_cdf(x: Any) -> Any:
    return 0.5 * (1.0 + erf(x / math.sqrt(2.0)))


def _gelu(x: Any) -> Any:
    """x N(x), the exact form (Hendrycks and Gimpel 2016, eq. 1): Keras' default."""
    return x * _normal_cdf(x)


def _gelu_slope(x: Any) -> Any:
    return _normal_cdf(x) + x * np.exp(-0.5 * np.square(x)) / math.sqrt(2.0 * math.pi)


def _silu(x: Any) -> Any:
    return x * _sigmoid(x)


def _silu_slope(x: Any) -> Any:
    return _sigmoid(x) * (1.0 + x * _sigmoid(-x))


#: Activations by the name that a cell calls them.
ACTIVATION: Mapping[str, Activation] = {
    "relu": Activation(_relu, _relu_slope),
    "leaky_relu": Activation(_leaky, _leaky_slope),
    "elu": Activation(_elu, _elu_slope),
    "selu": Activation(_selu, _selu_slope),
    "gelu": Activation(_gelu, _gelu_slope),
    "silu": Activation(_silu, _silu_slope),
    "tanh": Activation(np.tanh, _tanh_slope),
    "sigmoid": Activation(_sigmoid, _sigmoid_slope),
    "softplus": Activation(_softplus, _sigmoid),
}
