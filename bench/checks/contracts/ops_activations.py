"""Activations of ``keras.ops``, and what is made of exponentials and the error function."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from bench.checks.contracts.formulas import float32
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Operation, apart, call
from bench.checks.contracts.tensors import whole

Array = Any
_INF = np.inf


def _spread() -> Array:
    """Numbers from -8 to 8, among them whole ones, 0 and both sides of every kink."""
    return (whole("numbers", 4, 6) + np.round(drawn("rest", 4, 6)) / 4).astype(np.float32)


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _gelu(x: Array, *, approximate: bool = True) -> Array:
    if approximate:
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _celu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha))


def _selu(x: Array) -> Array:
    return 1.0507009873554805 * _elu(x, 1.6732632423543772)


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x / 6.0 + 0.5, 0.0, 1.0)


def _soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0.0)


def _hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    return np.where(np.abs(x) > threshold, x, 0.0)


def _sparse_plus(x: Array) -> Array:
    return np.where(x >= 1.0, x, np.where(x > -1.0, np.square(x + 1.0) / 4.0, 0.0))


def _sparsemax(x: Array, axis: int = -1) -> Array:
    """The nearest point of the simplex: the entries less what makes the positive ones add up to 1."""
    rows = np.moveaxis(x, axis, -1)
    ordered = -np.sort(-rows, -1)
    excess = (np.cumsum(ordered, -1) - 1.0) / np.arange(1, rows.shape[-1] + 1)
    last = (ordered > excess).sum(-1, keepdims=True) - 1
    return np.moveaxis(np.maximum(rows - np.take_along_axis(excess, last, -1), 0.0), -1, axis)


def _glu(x: Array, axis: int = -1) -> Array:
    value, gate = np.split(x, 2, axis)
    return value * sigmoid(gate)


def softmax(x: Array, axis: Any = -1) -> Array:
    """Probabilities that add up to 1 over the axes."""
    return np.exp(log_softmax(x, axis))


def log_softmax(x: Array, axis: Any = -1) -> Array:
    """Their logarithms."""
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def logsumexp(x: Array, axis: Any = None, *, keepdims: bool = False) -> Array:
    """The logarithm of the sum of exp(x)."""
    largest = x.max(axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        result = np.log(np.exp(x - largest).sum(axis, keepdims=True)) + largest
    if keepdims:
        return result
    return result.reshape(()) if axis is None else np.squeeze(result, axis)


def _activation(
    name: str, truth: Callable[..., Array], says: str, *settings: dict[str, Any]
) -> Operation:
    return Operation(
        name, lambda: [call(_spread(), **options) for options in ({}, *settings)], truth, says
    )


def _softmaxes(subject: str, truth: Callable[..., Array], axes: Iterable[Any]) -> Operation:
    return Operation(
        subject,
        lambda: [call(drawn("logits", 2, 3, 4) * np.float32(2.0), axis=axis) for axis in axes],
        truth,
        "probabilities over these axes, or their logarithms",
    )


def _inverted(function: Callable[[Array], Array], y: Array) -> Array:
    """Where an increasing function has these values, by bisection."""
    low, high = np.full(y.shape, -6.0), np.full(y.shape, 6.0)
    for _ in range(60):
        middle = (low + high) / 2.0
        below = function(middle) < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


_ALPHA = {"alpha": 0.5}
OPERATIONS = (
    _activation("relu", lambda x: np.maximum(x, 0.0), "the positive part"),
    _activation("relu6", lambda x: np.clip(x, 0.0, 6.0), "the positive part up to 6"),
    _activation("sigmoid", sigmoid, "1 / (1 + exp(-x))"),
    *(_activation(name, lambda x: x * sigmoid(x), "x sigmoid(x)") for name in ("silu", "swish")),
    _activation("gelu", _gelu, "x times the normal distribution", {"approximate": False}),
    _activation("elu", _elu, "alpha (exp(x) - 1) below 0", _ALPHA),
    _activation("selu", _selu, "the scaled exponential linear unit"),
    _activation("celu", _celu, "alpha (exp(x / alpha) - 1) below 0", _ALPHA),
    _activation(
        "leaky_relu",
        lambda x, negative_slope=0.2: np.where(x > 0, x, negative_slope * x),
        "x, less steep below 0",
        {"negative_slope": 0.5},
    ),
    _activation("hard_sigmoid", _hard_sigmoid, "x / 6 + 1/2 from 0 to 1"),
    *(
        _activation(name, lambda x: x * _hard_sigmoid(x), "x hard_sigmoid(x)")
        for name in ("hard_silu", "hard_swish")
    ),
    _activation("hard_tanh", lambda x: np.clip(x, -1.0, 1.0), "x from -1 to 1"),
    _activation("hard_shrink", _hard_shrink, "0 up to a threshold", {"threshold": 1.0}),
    _activation("soft_shrink", _soft_shrink, "nearer to 0 by a threshold", {"threshold": 1.0}),
    _activation("tanh_shrink", lambda x: x - np.tanh(x), "x - tanh(x)"),
    _activation("log_sigmoid", lambda x: -np.logaddexp(0.0, -x), "log(sigmoid(x))"),
    _activation("softplus", lambda x: np.logaddexp(0.0, x), "log(1 + exp(x))"),
    _activation("softsign", lambda x: x / (1.0 + np.abs(x)), "x / (1 + |x|)"),
    _activation(
        "squareplus",
        lambda x, b=4: (x + np.sqrt(x * x + b)) / 2.0,
        "(x + sqrt(x^2 + b)) / 2",
        {"b": 1},
    ),
    _activation("sparse_plus", _sparse_plus, "a quadratic between two lines"),
    _activation(
        "sparse_sigmoid", lambda x: np.clip((x + 1.0) / 2.0, 0.0, 1.0), "(x + 1) / 2 from 0 to 1"
    ),
    _activation("sparsemax", _sparsemax, "the nearest distribution", {"axis": 0}, {"axis": -2}),
    Operation(
        "threshold",
        lambda: [call(_spread(), 0.5, -3.0), call(_spread(), threshold=-1.0, default_value=7.0)],
        lambda x, threshold, default_value: np.where(x > threshold, x, default_value),
        "another number up to a threshold",
    ),
    Operation(
        "glu",
        lambda: [call(drawn("values", 2, 4, 6), **at) for at in ({}, {"axis": 1}, {"axis": 0})],
        _glu,
        "one half gated by the other",
    ),
    _softmaxes("softmax", softmax, (-1, 0, 1, -2)),
    _softmaxes("softmax-axes", softmax, ((1, 2), (0, 2), (0, 1), (2, 0))),
    _softmaxes("softmax-axes_negative", softmax, ((-1, -2), (0, -1))),
    _softmaxes("softmax-flat", softmax, (None,)),
    _softmaxes("log_softmax", log_softmax, (-1, 0, 1, -2)),
    _softmaxes("log_softmax-axes", log_softmax, ((1, 2), (0, 2), (0, 1), (2, 0))),
    _softmaxes("log_softmax-axes_negative", log_softmax, ((-1, -2), (0, -1))),
    _softmaxes("log_softmax-flat", log_softmax, (None,)),
    Operation(
        "logsumexp",
        lambda: [
            call(drawn("values", 2, 3, 4), axis=axis, keepdims=keepdims)
            for axis, keepdims in itertools.product((None, (0, 2), (1, -1), (-1,)), (False, True))
        ],
        logsumexp,
        "log(sum(exp(x)))",
    ),
    Operation(
        "logsumexp-axis",
        lambda: [call(drawn("values", 2, 3, 4), axis=axis) for axis in (0, 1, -1)],
        logsumexp,
        "log(sum(exp(x))) along one axis",
    ),
    *apart(
        Operation(
            "logsumexp-wide",
            lambda: [call(drawn("values", 2, 3).astype(np.float64), axis=(1,))],
            logsumexp,
            "log(sum(exp(x))) of float64",
        ),
        "symbols",
    ),
    Operation(
        "logsumexp-ends",
        lambda: [
            call(float32([[1e4, 1e4], [-1e4, -1e4], [-_INF, 2.0], [-_INF, -_INF]]), axis=(1,))
        ],
        logsumexp,
        "log(sum(exp(x))) where exp overflows, vanishes or is 0",
    ),
    Operation(
        "erfinv",
        lambda: [call(_erf(drawn("values", 4, 6) / 2.0).astype(np.float32))],
        lambda x: _inverted(_erf, x),
        "the inverse of the error function",
    ),
)
