"""Functions of ``keras.ops`` for networks: normalizations, losses and codes of classes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.checks.contracts.formulas import float32
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Call, Operation, apart, call, int32
from bench.checks.contracts.ops_activations import log_softmax, sigmoid, softmax
from bench.checks.contracts.tensors import whole

Array = Any


# --- Normalizations

_EPSILON = 1e-7


def _normalized(x: Array, axis: Any = -1, order: int = 2, epsilon: float = _EPSILON) -> Array:
    length = (np.abs(x) ** order).sum(axis, keepdims=True) ** (1.0 / order)
    return x / np.maximum(length, epsilon)


def _layered(
    x: Array, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float = _EPSILON
) -> Array:
    axes = tuple(at % x.ndim for at in ([axis] if isinstance(axis, int) else axis))
    shape = [size if at in axes else 1 for at, size in enumerate(x.shape)]
    normal = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    scaled = normal if gamma is None else normal * np.reshape(gamma, shape)
    return scaled if beta is None else scaled + np.reshape(beta, shape)


def _rms(x: Array, scale: Any = None, axis: Any = -1, epsilon: float = _EPSILON) -> Array:
    normal = x / np.sqrt(np.square(x).mean(axis, keepdims=True) + epsilon)
    return normal if scale is None else normal * scale


def _batch_normalized(
    x: Array,
    mean: Array,
    variance: Array,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Array:
    shape = [1] * x.ndim
    shape[axis] = -1
    factor = (1.0 if scale is None else scale) / np.sqrt(variance + epsilon)
    shift = (0.0 if offset is None else offset) - mean * factor
    return x * factor.reshape(shape) + shift.reshape(shape)


def _batches(axis: int) -> Iterable[Call]:
    x = drawn("values", 2, 3, 4)
    role = functools.partial(lambda name: drawn(name, x.shape[axis]))
    moments = role("mean"), np.abs(role("variance")) + np.float32(0.5), axis
    yield call(x, *moments)
    yield call(x, *moments, offset=role("offset"), scale=role("scale"), epsilon=0.125)


def _moments(x: Array, axes: Any, *, keepdims: bool = False) -> tuple[Array, Array]:
    axes = tuple(axes)
    return x.mean(axes, keepdims=keepdims), x.var(axes, keepdims=keepdims)


def _norms(subject: str, *settings: dict[str, Any]) -> Operation:
    return Operation(
        subject,
        lambda: [call(drawn("values", 3, 4, 2), **options) for options in settings],
        _normalized,
        "x / max(norm(x), epsilon)",
    )


_NORMALIZATIONS = (
    _norms("normalize", {}, {"axis": 1}, {"axis": 0}, {"epsilon": 2.0}),
    _norms("normalize-axes", {"axis": (0, 1)}),
    _norms("normalize-order", {"order": 1}, {"order": 3, "axis": 1}),
    Operation(
        "normalize-zeros",
        lambda: [call(float32([[0, 0], [3, 4]]), **of) for of in ({}, {"order": 1})],
        _normalized,
        "zeros stay",
    ),
    Operation(
        "layer_normalization",
        lambda: [
            call(drawn("values", 2, 3, 4)),
            call(drawn("values", 2, 3, 4), drawn("scale", 4), drawn("shift", 4)),
            call(drawn("values", 2, 3, 4), drawn("scale", 3, 4), axis=[1, 2], epsilon=0.125),
            call(drawn("values", 2, 3, 4), drawn("scale", 3), drawn("shift", 3), axis=1),
        ],
        _layered,
        "mean 0 and variance 1, scaled and shifted",
        ways=("eager", "graph"),
    ),
    Operation(
        "layer_normalization-all",
        lambda: [
            call(drawn("values", 2, 3, 4), drawn("scale", 4), drawn("shift", 4)),
            call(drawn("values", 2, 3), drawn("scale", 2), drawn("shift", 2), axis=0),
        ],
        _layered,
        "scaled and shifted, also for symbols",
    ),
    Operation(
        "rms_normalization",
        lambda: [
            call(drawn("values", 2, 3, 4)),
            call(drawn("values", 2, 3, 4), drawn("scale", 4), epsilon=0.125),
            call(drawn("values", 2, 3, 4), axis=1),
            call(drawn("values", 2, 3, 4), axis=(1, 2)),
        ],
        _rms,
        "x / sqrt(mean(x^2) + epsilon), scaled",
    ),
    Operation(
        "batch_normalization",
        lambda: itertools.chain(*map(_batches, (-1, 1, 2))),
        _batch_normalized,
        "(x - mean) / sqrt(variance + epsilon), scaled and shifted",
    ),
    Operation(
        "moments",
        lambda: [
            call(drawn("values", 2, 3, 4), axes, **keep)
            for axes, keep in itertools.product(([0], [0, 1], [-1, 0]), ({}, {"keepdims": True}))
        ],
        _moments,
        "means and variances",
    ),
)


# --- Losses and classes


def _logits(*shape: int) -> Array:
    return drawn("logits", *shape)


def _probabilities(*shape: int, axis: int = -1) -> Array:
    return softmax(_logits(*shape).astype(np.float64), axis).astype(np.float32)


def _binary(target: Array, output: Array, *, from_logits: bool = False) -> Array:
    if from_logits:
        return np.logaddexp(0.0, output) - target * output
    inside = np.clip(output, _EPSILON, 1.0 - _EPSILON)
    return -target * np.log(inside) - (1.0 - target) * np.log1p(-inside)


def _categorical(
    target: Array, output: Array, *, from_logits: bool = False, axis: int = -1
) -> Array:
    if from_logits:
        return -(target * log_softmax(output, axis)).sum(axis)
    share = output / output.sum(axis, keepdims=True)
    return -(target * np.log(np.clip(share, _EPSILON, 1.0 - _EPSILON))).sum(axis)


def _sparse(target: Array, output: Array, *, from_logits: bool = False, axis: int = -1) -> Array:
    if target.ndim == output.ndim:
        target = np.squeeze(target, axis)
    one_hot = np.moveaxis(np.eye(output.shape[axis])[target], -1, axis)
    return _categorical(one_hot, output, from_logits=from_logits, axis=axis)


def _classes(role: str, count: int, *shape: int) -> Array:
    return (np.abs(whole(role, *shape)) % count).astype(np.int32)


def _one_hot(x: Array, num_classes: int, axis: int = -1, dtype: str = "float32") -> Array:
    """Of what is out of range, zeros."""
    hot = (x[..., None] == np.arange(num_classes)).astype(dtype)
    return np.moveaxis(hot, -1, axis)


def _multi_hot(x: Array, num_classes: int, dtype: str = "float32") -> Array:
    return _one_hot(x, num_classes, -1, dtype).max(-2)


def _top(targets: Array, predictions: Array, k: int) -> Array:
    score = np.take_along_axis(predictions, targets[..., None], -1)
    return (predictions > score).sum(-1) < k


_CLASSES = (
    Operation(
        "binary_crossentropy",
        lambda: [
            call(_probabilities(3, 4), sigmoid(_logits(3, 4)).astype(np.float32)),
            call(_probabilities(3, 4), _logits(3, 4), from_logits=True),
            call(float32([0, 1, 1]), float32([0, 1, 0.5])),
            call(float32([0, 1, 1]), float32([50, 50, -50]), from_logits=True),
        ],
        _binary,
        "-y log(p) - (1 - y) log(1 - p)",
    ),
    Operation(
        "categorical_crossentropy",
        lambda: [
            call(_probabilities(2, 3, 4), _probabilities(2, 3, 4)[::-1] * np.float32(3.0)),
            call(_probabilities(2, 3, 4), _logits(2, 3, 4), from_logits=True),
        ],
        _categorical,
        "-sum(y log(p / sum(p)))",
    ),
    *apart(
        Operation(
            "categorical_crossentropy-axis",
            lambda: [
                call(_probabilities(2, 3, 4, axis=1), _logits(2, 3, 4), from_logits=True, axis=1),
                call(_probabilities(2, 3, 4, axis=1), np.exp(_logits(2, 3, 4)), axis=1),
            ],
            _categorical,
            "-sum(y log(p / sum(p))) along an axis",
        ),
        "symbols",
    ),
    Operation(
        "sparse_categorical_crossentropy",
        lambda: [
            call(_classes("classes", 4, 2, 3), _probabilities(2, 3, 4)),
            call(_classes("classes", 4, 2, 3), _logits(2, 3, 4), from_logits=True),
            call(_classes("classes", 4, 3, 1), _logits(3, 4), from_logits=True),
        ],
        _sparse,
        "-log(p) of the class",
    ),
    Operation(
        "one_hot",
        lambda: (
            [
                call(_classes("classes", 3, 2, 4), 3, **options)
                for options in ({}, {"axis": 0}, {"axis": 1}, {"dtype": "int32"})
            ]
            + [
                call(int32([2, -1, 5, 0]), 3),
                call(np.array([[1], [2]], np.int64), 3),
                call(np.array([0, 2], np.uint8), 3),
            ]
        ),
        _one_hot,
        "1 at the class; zeros for numbers that are none",
        rounds=False,
    ),
    Operation(
        "one_hot-bool",
        lambda: [call(int32([2, -1, 5, 0]), 3, dtype="bool")],
        _one_hot,
        "truth at the class",
        rounds=False,
    ),
    *apart(
        Operation(
            "multi_hot",
            lambda: [
                call(_classes("classes", 5, 2, 3), 5),
                call(_classes("classes", 5, 3), 5),
                call(int32([[2, -1, 7], [0, 0, 1]]), 4, dtype="float32"),
            ],
            _multi_hot,
            "1 at each class",
            rounds=False,
        ),
        "symbols",
    ),
    Operation(
        "multi_hot-bool",
        lambda: [call(int32([[2, -1, 7], [0, 0, 1]]), 4, dtype="bool")],
        _multi_hot,
        "truth at each class",
        rounds=False,
        ways=("eager", "graph"),
    ),
    Operation(
        "in_top_k",
        lambda: [call(_classes("classes", 5, 6), _logits(6, 5), k) for k in (1, 3)],
        _top,
        "whether fewer than k are larger",
        rounds=False,
    ),
    Operation(
        "in_top_k-ranks",
        lambda: [call(_classes("classes", 5, 2, 3), _logits(2, 3, 5), 2)],
        _top,
        "whether fewer than k are larger, of any rank",
        rounds=False,
    ),
    Operation(
        "psnr",
        lambda: [call(drawn("image", 2, 3, 3, 1), drawn("other", 2, 3, 3, 1), 2.0)],
        lambda x, y, top: np.asarray(20 * np.log10(top) - 10 * np.log10(np.square(x - y).mean())),
        "decibels of the largest number over the mean squared error",
    ),
)

OPERATIONS = (*_NORMALIZATIONS, *_CLASSES)
