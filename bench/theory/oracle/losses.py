"""Losses of a batch, from logits, and their gradients.

Written with operations that every kind of array in :mod:`bench.theory.rounding.arrays` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Loss:
    """A loss and its gradient with respect to the logits.

    Both take logits (batch, classes) and labels, integers (batch,). ``value`` is the batch mean, a
    scalar; ``gradient`` is that of the batch mean, (batch, classes).
    """

    value: Callable[[Any, Any], Any]
    gradient: Callable[[Any, Any], Any]


def softmax(logits: Any) -> Any:
    """exp(z_i) / sum of exp(z_j), with the largest logit taken off, which cannot overflow."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def one_hot(labels: Any, classes: int) -> Any:
    """(batch,) integers -> (batch, classes) of 0 and 1, which leave the type of what they meet."""
    return np.eye(classes, dtype=np.int8)[np.asarray(labels)]


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Mean over the batch of ln(sum of exp(z_j)) - z_label."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    label = shifted[np.arange(len(labels)), np.asarray(labels)]
    return (np.log(np.exp(shifted).sum(axis=1)) - label).mean(axis=0)


def cross_entropy_gradient(logits: Any, labels: Any) -> Any:
    """(softmax - one-hot) / batch."""
    difference = softmax(logits) - one_hot(labels, logits.shape[1])
    return difference / float(len(labels))


def mean_squared_error(logits: Any, labels: Any) -> Any:
    """Mean over the batch of the mean over classes of (softmax - one-hot)^2."""
    difference = softmax(logits) - one_hot(labels, logits.shape[1])
    return np.square(difference).mean(axis=1).mean(axis=0)


def mean_squared_error_gradient(logits: Any, labels: Any) -> Any:
    """p_i (d_i - sum of d_j p_j), with the softmax p and d = 2 (p - one-hot) / classes / batch."""
    batch, classes = logits.shape
    probabilities = softmax(logits)
    upstream = (probabilities - one_hot(labels, classes)) * (2.0 / classes) / float(batch)
    weighted = (upstream * probabilities).sum(axis=1, keepdims=True)
    return probabilities * (upstream - weighted)


#: Losses by the name that a cell calls them.
LOSS: Mapping[str, Loss] = {
    "crossentropy": Loss(cross_entropy, cross_entropy_gradient),
    "mse": Loss(mean_squared_error, mean_squared_error_gradient),
}
