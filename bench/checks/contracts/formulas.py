"""Formulas of Keras' losses as its documentation gives them, which losses and metrics are held against.

Each takes targets and predictions and takes up their last axis. Where Keras computes otherwise than
the formula reads, but to the same end, its way is written down: the bound on rounding belongs to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts.linear import drawn
from bench.theory.rounding.arrays import Bounded

Array = npt.NDArray[Any]
#: Bounded arrays, whose operations NumPy's annotations do not know.
Numbers = Any
Formula = Callable[[Array, Numbers], Numbers]

#: The fuzz factor, ``keras.config.epsilon()``: numbers may be moved by it before a logarithm or a
#: division.
EPSILON = 1e-7
SMOOTHING = 0.25


# --- Inputs


def real(role: str, *shape: int) -> Array:
    """Normal numbers."""
    return drawn(role, *shape)


def positive(role: str, *shape: int) -> Array:
    """Between .125 and 4.125."""
    return np.float32(0.125) + np.minimum(np.abs(drawn(role, *shape)), np.float32(4.0))


def probabilities(role: str, *shape: int) -> Array:
    """Between .03 and .97."""
    return (0.5 + 0.47 * np.tanh(drawn(role, *shape).astype(np.float64))).astype(np.float32)


def distribution(role: str, *shape: int) -> Array:
    """Positive, with the sum 1 in the last axis."""
    sizes = np.exp(drawn(role, *shape).astype(np.float64))
    return (sizes / sizes.sum(-1, keepdims=True)).astype(np.float32)


def binary(role: str, *shape: int) -> Array:
    """0 or 1."""
    return (drawn(role, *shape) > 0).astype(np.float32)


def signs(role: str, *shape: int) -> Array:
    """-1 or 1."""
    return 2 * binary(role, *shape) - 1


def one_hot(role: str, *shape: int) -> Array:
    """1 in one place of the last axis, else 0."""
    return np.eye(shape[-1], dtype=np.float32)[classes(role, *shape)]


def classes(role: str, *shape: int) -> Array:
    """Numbers of classes, for predictions of the shape: without the last axis."""
    return np.argmax(drawn(role, *shape), -1).astype(np.int32)


def float32(values: Any) -> Array:
    """An array of them."""
    return np.array(values, np.float32)


# --- Regression


def mse(y: Array, p: Numbers) -> Numbers:
    """Mean squared error."""
    return np.square(p - y).mean(-1)


def mse_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`mse`."""
    return (p - y) * (2.0 / y.shape[-1])


def mae(y: Array, p: Numbers) -> Numbers:
    """Mean absolute error."""
    return np.abs(p - y).mean(-1)


def mae_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`mae`."""
    return Bounded(np.sign(p.value - y)) / y.shape[-1]


def mape(y: Array, p: Numbers) -> Numbers:
    """Mean absolute error in percent of the target."""
    return np.abs((p - y) / y).mean(-1) * 100.0


def mape_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`mape`."""
    return Bounded(np.sign(p.value - y)) / y * (100.0 / y.shape[-1])


def _log1p(x: Numbers) -> Numbers:
    return np.log(x + 1.0)


def msle(y: Array, p: Numbers) -> Numbers:
    """Mean squared difference of logarithms of 1 + x."""
    return np.square(_log1p(p) - _log1p(Bounded(y))).mean(-1)


def msle_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`msle`."""
    return (_log1p(p) - _log1p(Bounded(y))) / (p + 1.0) * (2.0 / y.shape[-1])


def cosine(y: Array, p: Numbers) -> Numbers:
    """The negative cosine of the angle."""
    return -(_unit(Bounded(y)) * _unit(p)).sum(-1)


def _unit(x: Numbers) -> Numbers:
    return x / np.sqrt(np.square(x).sum(-1, keepdims=True))


def huber(delta: float) -> Formula:
    """Quadratic up to ``delta``, linear beyond."""

    def formula(y: Array, p: Numbers) -> Numbers:
        error = p - y
        linear = np.abs(error) * delta - 0.5 * delta**2
        return np.where(np.abs(error.value) <= delta, np.square(error) * 0.5, linear).mean(-1)

    return formula


def huber_slope(delta: float) -> Formula:
    """The slope of :func:`huber`."""
    return lambda y, p: np.minimum(np.maximum(p - y, -delta), delta) / y.shape[-1]


def _softplus(x: Numbers) -> Numbers:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def log_cosh(y: Array, p: Numbers) -> Numbers:
    """Logarithm of the hyperbolic cosine; Keras computes x + softplus(-2x) - log 2."""
    error = p - y
    return (error + _softplus(error * -2.0) - float(np.log(2.0))).mean(-1)


def log_cosh_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`log_cosh`, by way of 1 - 2 sigmoid(-2x)."""
    return (1.0 - sigmoid((p - y) * -2.0) * 2.0) / y.shape[-1]


def kl_divergence(y: Array, p: Numbers) -> Numbers:
    """The Kullback-Leibler divergence of two distributions."""
    return (np.log(Bounded(y) / fuzzy(p)) * y).sum(-1)


def kl_divergence_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`kl_divergence`, by way of the slopes of a logarithm and of a ratio."""
    return Bounded(y) / (y / fuzzy(p)) * (-(y / fuzzy(p)) / fuzzy(p))


def poisson(y: Array, p: Numbers) -> Numbers:
    """Prediction less target times the prediction's logarithm."""
    return (p - np.log(fuzzy(p)) * y).mean(-1)


def poisson_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`poisson`."""
    return (1.0 - y / fuzzy(p)) / y.shape[-1]


def fuzzy(x: Numbers) -> Numbers:
    """The number, known up to the fuzz factor."""
    return Bounded(x.value, x.error + 2.0 * EPSILON, x.form)


# --- Hinges


def _margin(y: Array, p: Numbers) -> Numbers:
    signed = 2.0 * y - 1.0 if np.isin(y, (0, 1)).all() else y
    return np.maximum(1.0 - p * signed, 0.0)


def hinge(y: Array, p: Numbers) -> Numbers:
    """The hinge loss of labels -1 and 1; 0 and 1 stand for them."""
    return _margin(y, p).mean(-1)


def hinge_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`hinge` with labels -1 and 1."""
    return Bounded(np.where(_margin(y, p).value > 0, -y, 0.0)) / y.shape[-1]


def squared_hinge(y: Array, p: Numbers) -> Numbers:
    """The squared hinge loss of labels -1 and 1; 0 and 1 stand for them."""
    return np.square(_margin(y, p)).mean(-1)


def squared_hinge_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`squared_hinge` with labels -1 and 1."""
    return _margin(y, p) * y * (-2.0 / y.shape[-1])


def categorical_hinge(y: Array, p: Numbers) -> Numbers:
    """The largest wrong score less the right one, plus 1."""
    wrong = (p * (1.0 - y)).max(-1)
    return np.maximum(wrong - (p * y).sum(-1) + 1.0, 0.0)


# --- Crossentropies


def sigmoid(x: Numbers) -> Numbers:
    """1 / (1 + exp(-x)), in the form that does not overflow."""
    power = np.exp(-np.abs(x))
    return np.where(x.value >= 0, 1.0 / (power + 1.0), power / (power + 1.0))


def softmax(x: Numbers) -> Numbers:
    """Along the last axis."""
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def binary_crossentropy(y: Array, p: Numbers) -> Numbers:
    """Binary crossentropy of probabilities."""
    return _binary_crossentropies(y, p).mean(-1)


def _binary_crossentropies(y: Array, p: Numbers) -> Numbers:
    return -(np.log(fuzzy(p)) * y + np.log(fuzzy(1.0 - p)) * (1.0 - y))


def binary_crossentropy_slope(y: Array, p: Numbers) -> Numbers:
    """The slope of :func:`binary_crossentropy`."""
    return ((1.0 - y) / fuzzy(1.0 - p) - y / fuzzy(p)) / y.shape[-1]


def binary_crossentropy_logits(y: Array, x: Numbers) -> Numbers:
    """Binary crossentropy of logits, in the form that does not overflow."""
    return (np.maximum(x, 0.0) - x * y + np.log1p(np.exp(-np.abs(x)))).mean(-1)


def binary_crossentropy_logits_slope(y: Array, x: Numbers) -> Numbers:
    """The slope of :func:`binary_crossentropy_logits`."""
    return (sigmoid(x) - y) / y.shape[-1]


def binary_focal(gamma: float, alpha: float | None = None) -> Formula:
    """The binary focal loss of probabilities (Lin et al. 2018); ``alpha`` balances the classes."""

    def formula(y: Array, p: Numbers) -> Numbers:
        right = p * y + (1.0 - p) * (1.0 - y)
        focal = np.power(1.0 - right, gamma) * _binary_crossentropies(y, p)
        if alpha is not None:
            focal = focal * (Bounded(y) * alpha + Bounded(1.0 - y) * (1.0 - alpha))
        return focal.mean(-1)

    return formula


def crossentropy(y: Array, p: Numbers) -> Numbers:
    """Crossentropy of probabilities; Keras divides them by their sum, which is 1 up to rounding."""
    return -(np.log(fuzzy(p / p.sum(-1, keepdims=True))) * y).sum(-1)


def crossentropy_logits(y: Array, x: Numbers) -> Numbers:
    """Crossentropy of logits, in the form that does not overflow."""
    shifted = x - x.max(-1, keepdims=True)
    return ((np.log(np.exp(shifted).sum(-1, keepdims=True)) - shifted) * y).sum(-1)


def crossentropy_logits_slope(y: Array, x: Numbers) -> Numbers:
    """The slope of :func:`crossentropy_logits`, of targets whose sum is 1."""
    return softmax(x) - y


def categorical_focal(y: Array, p: Numbers, alpha: float = 0.25, gamma: float = 2.0) -> Numbers:
    """The categorical focal loss of probabilities (Lin et al. 2018)."""
    share = fuzzy(p / p.sum(-1, keepdims=True))
    return (np.power(1.0 - share, gamma) * alpha * (np.log(share) * -y)).sum(-1)


def sparse(formula: Formula) -> Formula:
    """The loss of numbers of classes instead of one-hot targets."""
    return lambda y, p: formula(np.eye(p.shape[-1])[y], p)


def smoothed_binary(formula: Formula) -> Formula:
    """A binary loss of labels moved towards one half."""
    return lambda y, p: formula(y * (1.0 - SMOOTHING) + 0.5 * SMOOTHING, p)


def smoothed(formula: Formula) -> Formula:
    """A loss of labels moved towards the same for every class: 1 / classes, rounded to float32."""
    return lambda y, p: formula(
        y * (1.0 - SMOOTHING) + float(np.float32(SMOOTHING / y.shape[-1])), p
    )


# --- Losses of sets, pairs and sequences


def dice(y: Array, p: Numbers) -> Numbers:
    """One less twice the overlap over both sizes."""
    return 1.0 - (p * y).sum(-1) * 2.0 / fuzzy(Bounded(y).sum(-1) + p.sum(-1))


def tversky(y: Array, p: Numbers, alpha: float = 0.5, beta: float = 0.5) -> Numbers:
    """One less the overlap over itself, alpha times false positives and beta times false negatives."""
    overlap = (p * y).sum(-1)
    errors = (p * (1.0 - y)).sum(-1) * alpha + ((1.0 - p) * y).sum(-1) * beta
    return 1.0 - overlap / fuzzy(overlap + errors)


def generalized(q: float) -> Formula:
    """Generalized crossentropy of numbers of classes (Zhang and Sabuncu 2018)."""
    return lambda y, p: (1.0 - np.power((p * np.eye(p.shape[-1])[y]).sum(-1), q)) / q


def circle(gamma: float, margin: float) -> Formula:
    """The circle loss of labels and embeddings of length 1 (Sun et al. 2020)."""

    def formula(y: Array, p: Numbers) -> Numbers:
        distance = np.maximum(1.0 - p @ p.T, 0.0)
        same, other = y[:, None] == y[None, :], y[:, None] != y[None, :]
        same = same & ~np.eye(len(y), dtype=bool)
        near = np.maximum(distance + margin, 0.0) * (margin - distance) * -gamma
        far = np.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance) * gamma
        return _softplus(_log_sum(near, same) + _log_sum(far, other))

    return formula


def _log_sum(x: Numbers, chosen: Array) -> Numbers:
    """Logarithm of the sum of exponentials of the chosen entries, along the last axis."""
    low = np.where(chosen, x, -1e30)
    most = low.max(-1, keepdims=True)
    powers = np.where(chosen, np.exp(low - most), 0.0)
    return np.log(powers.sum(-1)) + most[..., 0]


def ctc(y: Array, x: Numbers) -> Numbers:
    """By all alignments, of labels padded with 0 and logits (samples, steps, classes)."""
    shifted = x - x.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    _, steps, number = x.shape
    paths = np.array(list(itertools.product(range(number), repeat=steps)))
    losses = []
    for sample, labels in enumerate(y):
        wanted = [int(label) for label in labels if label]
        fits = np.array([_collapsed(path) == wanted for path in paths])
        each = np.stack([logs[sample, step][paths[fits][:, step]] for step in range(steps)], -1)
        losses.append(-_log_sum(each.sum(-1), np.ones(int(fits.sum()), bool)))
    return np.stack(losses)


def _collapsed(path: Array) -> list[int]:
    """An alignment without repetitions, then without blanks."""
    return [int(label) for label, _ in itertools.groupby(path) if label]
