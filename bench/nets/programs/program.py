"""Program: what training and looking need of either form; the watched numbers of gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells.recipe import Recipe
from bench.mnist import Mnist
from bench.results.trial import Trial, Watched

Array = npt.NDArray[Any]
Part = Literal["test", "validation"]

#: Images of one forward pass in an evaluation, and those that tell which units are dead.
CHUNK = 1000

#: Numbers of each gradient and step, in this order: the sums of squares before and after clipping, the
#: product with the clipped one, the mean, the largest absolute entry.
SQUARES, CLIPPED_SQUARES, PRODUCT, MEAN, LARGEST = range(5)
NUMBERS = 5


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps: the loss of each, float32 (steps,), and if norms are watched the numbers of
    :func:`of_gradients`, float64 (steps, 5, variables); otherwise (steps, 0, 0)."""

    losses: npt.NDArray[np.float32]
    gradients: npt.NDArray[np.float64]


class Program(Protocol):
    """One training in one form."""

    def train(self, start: int, stop: int) -> Stretch:
        """The steps from ``start`` to the one before ``stop``."""

    def step(self, index: int) -> tuple[Stretch, Sequence[Array]]:
        """One step, with the gradient of every trainable variable before clipping."""

    def evaluate(self, part: Part) -> tuple[float, float]:
        """Accuracy and loss over the test images, or over those that are held out."""

    def dead_share(self) -> float:
        """Share of hidden units that give at most 0 for each of the first 1,000 test images; NaN if
        outputs are not finite."""

    def variables(self) -> Mapping[str, Array]:
        """All values by name: trainable ones as the recipe names them, then moving statistics."""

    def close(self) -> None:
        """Gives back what the program holds."""


def of_gradients(gradients: Sequence[Any], clipped: Sequence[Any]) -> Any:
    """Tensor (5, variables) of what is watched of a step's gradients. In float64, so that what is
    said of clipping is not the rounding of the sums."""
    columns = []
    for before, after in zip(gradients, clipped):  # noqa: B905 - AutoGraph of 2.12
        wide, cut = tf.cast(before, tf.float64), tf.cast(after, tf.float64)
        columns.append(
            tf.stack(
                [
                    tf.reduce_sum(wide * wide),
                    tf.reduce_sum(cut * cut),
                    tf.reduce_sum(wide * cut),
                    tf.reduce_mean(wide),
                    tf.reduce_max(tf.abs(wide)),
                ]
            )
        )
    return tf.stack(columns, axis=1)


def dead_share(outputs: Sequence[Array]) -> float:
    """Share of units that give at most 0 everywhere; 0 without hidden units, NaN if an output is not
    finite: such a unit is neither dead nor alive.

    Args:
        outputs: of the hidden activations, a unit's along the last axis.
    """
    if not all(np.isfinite(each).all() for each in outputs):
        return math.nan
    dead = [(each <= 0).reshape(-1, each.shape[-1]).all(axis=0) for each in outputs]
    return float(np.concatenate(dead).mean()) if dead else 0.0


def held_out_images(data: Mnist, recipe: Recipe, part: Part) -> tuple[Array, Array]:
    """Bytes (n, 28, 28) and labels (n,) that are not trained on."""
    if part == "test":
        return data.test_images, data.test_labels
    return data.train_images[: recipe.held_out], data.train_labels[: recipe.held_out]


def watches(trial: Trial, what: Watched) -> bool:
    """Whether a trial is watched for something that its program has: the task ``identity`` has no
    images, and where none are held out, none are for validation."""
    if what not in trial.watched:
        return False
    if what in ("test", "validation", "dead") and trial.recipe.task == "identity":
        return False
    return what != "validation" or trial.recipe.held_out > 0
