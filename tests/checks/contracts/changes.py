"""Changes that a fault of one public part needs; each stands in the place of a function or method."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import numpy as np
import tensorflow as tf

from tests.checks.contracts.planting import SLIGHTLY, Wrapper


def stale() -> Wrapper:
    kept: list[Any] = []

    def wrapper(original: Any, *arguments: Any, **given: Any) -> Any:
        kept.append(original(*arguments, **given))
        return kept[0]

    return wrapper


def first_arguments(number: int) -> Wrapper:
    """Only the first samples of x and y are used."""
    return lambda original, self, x, y, *rest, **given: original(
        self, x[:number], y[:number], *rest, **given
    )


def shifted(original: Any, self: Any, step: Any, *rest: Any, **given: Any) -> Any:
    return original(self, step + 1, *rest, **given)


def unweighted(original: Any, self: Any, values: Any, *_: Any, **__: Any) -> Any:
    return original(self, values)


def history(original: Any, *arguments: Any, **given: Any) -> Any:
    history = original(*arguments, **given)
    for name, told in history.history.items():
        history.history[name] = [value * SLIGHTLY for value in told]
    return history


def once(original: Any, self: Any, *arguments: Any, **given: Any) -> None:
    if not getattr(self, "compiled", False):
        original(self, *arguments, **given)


def keeping_best(original: Any, self: Any, logs: Any = None) -> None:
    best = getattr(self, "best", None)
    original(self, logs)
    self.best = best


def later(original: Any, self: Any, schedule: Any, *rest: Any, **given: Any) -> None:
    original(self, lambda epoch, rate: schedule(epoch + 1, rate), *rest, **given)


def nan_alone(original: Any, self: Any, batch: int, logs: Any = None) -> None:
    if not np.isinf((logs or {}).get("loss", 0.0)):
        original(self, batch, logs)


def rate(original: Any, self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
    return original(self, gradient, variable, rate * 1.01)


def dense(original: Any, self: Any, gradient: Any, variable: Any, rate: Any) -> Any:
    return original(self, tf.convert_to_tensor(gradient), variable, rate)


def zeros(original: Any, self: Any, pairs: Any, *rest: Any, **given: Any) -> Any:
    filled = [(tf.zeros(v.shape) if g is None else g, v) for g, v in pairs]
    return original(self, filled, *rest, **given)


def seed_0_is_none(original: Any, self: Any, *arguments: Any, **given: Any) -> None:
    if given.get("seed") == 0:
        given["seed"] = None
    original(self, *arguments, **given)


def half_seeded(original: Any, seed: int) -> None:
    original(seed)
    np.random.seed(random.SystemRandom().randrange(2**32))  # noqa: NPY002 - what the seed is for


def bare(original: Any, self: Any, y: Any, p: Any, *weights: Any, **given: Any) -> Any:
    return original(self, y, tf.identity(p), *weights, **given)


def rounded(value: Any) -> Any:
    return tf.cast(tf.cast(value, tf.float16), value.dtype)


@tf.custom_gradient
def steeper(x: Any) -> Any:
    return tf.identity(x), lambda g: g * SLIGHTLY


def bessel(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
    outputs = original(self, *arguments, **given)
    if given.get("training"):
        self.moving_variance.assign((self.moving_variance - 0.5) * (4.0 / 3.0) + 0.5)
    return outputs


def by_sample(original: Any, self: Any, inputs: Any) -> Any:
    del original
    return tf.reduce_sum(inputs[..., None] * self.kernel, -2) + self.bias


def kernels(original: Any, self: Any, inputs: Any) -> Any:
    """A kernel for each sample, without an effect on the outputs."""
    copies = tf.stack([tf.convert_to_tensor(self.kernel)] * inputs.shape[0])
    return original(self, inputs) + 0.0 * tf.reduce_sum(copies)


def traced_anew(name: str) -> Wrapper:
    """A model's function for steps of a kind is made again by each call."""

    def wrapper(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
        setattr(self, f"{name}_function", None)
        return original(self, *arguments, **given)

    return wrapper


def saved_without(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
    """The last weight is saved as zeros."""
    self.weights[-1].assign(tf.zeros(self.weights[-1].shape))
    return original(self, *arguments, **given)


def saved_exchanged(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
    """The last two matrices of equal shapes are saved in each other's place."""
    weights = [each for each in getattr(self, "model", self).weights[::-1] if len(each.shape) == 2]
    one, other = next(pair for pair in combinations(weights, 2) if pair[0].shape == pair[1].shape)
    value = np.array(one)
    one.assign(np.array(other))
    other.assign(value)
    return original(self, *arguments, **given)


def out_of_step(original: Any, self: Any, x: Any, *rest: Any, **given: Any) -> Any:
    """The last of several inputs is a row behind the others."""
    return original(self, [*x[:-1], np.roll(x[-1], 1, 0)], *rest, **given)


def swapped(original: Any, self: Any, *arguments: Any, metrics: Any, **given: Any) -> Any:
    if isinstance(metrics, dict):
        metrics = {"ab"["ba".index(name)]: each for name, each in metrics.items()}
    return original(
        self, *arguments, metrics=metrics[::-1] if isinstance(metrics, list) else metrics, **given
    )


def exchanged(
    original: Any,
    self: Any,
    *arguments: Any,
    metrics: Any = None,
    weighted_metrics: Any = None,
    **given: Any,
) -> Any:
    return original(self, *arguments, metrics=weighted_metrics, weighted_metrics=metrics, **given)


def naive(name: str, logits: bool) -> Wrapper:
    def wrapper(original: Any, self: Any, y: Any, p: Any) -> Any:
        del original, self
        if name == "binary":
            p = 1.0 / (1.0 + tf.exp(-p)) if logits else p
            return -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p), -1)
        if logits:
            p = tf.exp(p) / tf.reduce_sum(tf.exp(p), -1, keepdims=True)
        if name == "sparse":
            y = tf.one_hot(tf.cast(y, tf.int32), p.shape[-1])
        return -tf.reduce_sum(y * tf.math.log(p), -1)

    return wrapper


def without_weights(original: Any, self: Any, dataset: Any, **given: Any) -> Any:
    """The third of a dataset's parts is left out."""
    return original(self, dataset.map(lambda x, y, _: (x, y)), **given)


def twice(original: Any, *arguments: Any, **given: Any) -> Any:
    original(*arguments, **given)
    return original(*arguments, **given)


def without_last(original: Any, self: Any, data: Any, **given: Any) -> Any:
    """The last row of an array is left out."""
    return original(self, data[:-1] if isinstance(data, np.ndarray) else data, **given)
