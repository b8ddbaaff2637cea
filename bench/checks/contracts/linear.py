"""A linear model that NumPy replays: the sample input of contracts on loops, callbacks and optimizers.

One dense layer without activation, mean squared error and plain SGD: everything that a loop returns
follows from its data in a few lines of float64, with the bound on rounding that
:class:`bench.theory.rounding.arrays.Bounded` carries along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cells import initial_values
from bench.checks.contracts.contract import SEED
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation

Array = npt.NDArray[np.float32]

FEATURES, OUTPUTS = 4, 2
#: Of its weights, by their roles.
SHAPES = {"kernel": (FEATURES, OUTPUTS), "bias": (OUTPUTS,)}
#: 23 samples in batches of 8: the last one is short.
SAMPLES, BATCH = 23, 8
RATE = 0.125


def drawn(role: str, *shape: int) -> Array:
    """Standard normal numbers, the same for the same role, shape and seed of the check."""
    size = int(np.prod(shape))
    stream = initial_values.stream(SEED.get(), f"contract {role}", 0)
    values = initial_values.standard_normal(stream, size)
    return values.reshape(shape).astype(np.float32)


def data(samples: int) -> tuple[Array, Array]:
    """Inputs (samples, FEATURES) and targets (samples, OUTPUTS)."""
    return drawn("inputs", samples, FEATURES), drawn("targets", samples, OUTPUTS)


def built(**compilation: Any) -> Any:
    """A compiled Keras model with the weights of a fresh :class:`Replay`.

    Args:
        compilation: arguments of ``compile``; SGD and mse unless given.
    """
    from bench.nets.api import keras

    inputs = keras.Input((FEATURES,))
    model = keras.Model(inputs, keras.layers.Dense(OUTPUTS)(inputs))
    model.set_weights([np.asarray(each.value, np.float32) for each in Replay().weights])
    settings = {"optimizer": keras.optimizers.SGD(RATE), "loss": "mse", **compilation}
    model.compile(**settings)
    return model


class Replay:
    """The same model in float64, with bounds for float32."""

    def __init__(self) -> None:
        self.kernel, self.bias = (Bounded(drawn(role, *shape)) for role, shape in SHAPES.items())

    @property
    def weights(self) -> list[Bounded]:
        return [self.kernel, self.bias]

    def predict(self, x: Array) -> Bounded:
        """(samples, OUTPUTS)"""
        return Bounded(x) @ self.kernel + self.bias

    def losses(self, x: Array, y: Array) -> Bounded:
        """Mean squared error of each sample, (samples,)."""
        return np.square(self.predict(x) - y).mean(-1)

    def loss(self, x: Array, y: Array, weights: Array | None = None) -> Bounded:
        """Mean over the samples; weighted ones are divided by their number, not by their weights."""
        losses = self.losses(x, y)
        return (losses if weights is None else losses * weights).mean()

    def errors(self, x: Array, y: Array) -> Bounded:
        """The mean absolute error."""
        return np.abs(self.predict(x) - y).mean()

    def step(self, x: Array, y: Array, weights: Array | None = None, rate: float = RATE) -> None:
        """One update by SGD."""
        gradient = (self.predict(x) - y) * (2.0 / (OUTPUTS * len(x)))
        if weights is not None:
            gradient = gradient * weights[:, None]
        self.kernel = self.kernel - (Bounded(x).T @ gradient) * rate
        self.bias = self.bias - gradient.sum(0) * rate

    def epoch(
        self, x: Array, y: Array, batch: int, weights: Array | None = None
    ) -> Iterator[tuple[Bounded, int]]:
        """Trains over the data once; yields each batch's loss before its step, and its size."""
        for part in batches(len(x), batch):
            weighted = None if weights is None else weights[part]
            yield self.loss(x[part], y[part], weighted), len(x[part])
            self.step(x[part], y[part], weighted)


def batches(samples: int, batch: int) -> list[slice]:
    """Batches in order, the last one short where it does not fill."""
    return [slice(start, min(start + batch, samples)) for start in range(0, samples, batch)]


def mean(parts: Sequence[tuple[Bounded, int]]) -> Bounded:
    """Over all samples, of means over batches and their sizes."""
    total = sum((loss * size for loss, size in parts), start=Bounded(np.float64(0.0)))
    return total / sum(size for _, size in parts)


def weights_of(lab: Lab, model: Any, replay: Replay, when: str = "") -> Iterator[Deviation]:
    """Kernel and bias after training."""
    for name, got, truth in zip(
        ("kernel", "bias"), model.get_weights(), replay.weights, strict=True
    ):
        yield deviation(f"{name}{when}", lab.seen(got), truth)


def over(losses: Bounded) -> Bounded:
    """A mean that may be taken in any order and over batches of any size: their sizes, up to 2^8, are
    exact in float32, and each partial mean is rounded twice more."""
    total = losses.mean() if losses.ndim else losses
    return Bounded(total.value, total.error + 4 * SAMPLES * np.spacing(np.float32(total.value)))
