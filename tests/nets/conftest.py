"""TensorFlow in this process, on made-up images, beside a float64 NumPy network of our own."""

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its notes on oneDNN say nothing here

# TensorFlow 2.12 and 2.13 import modules that newer Pythons deprecate; their own business.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow  # noqa: F401

import numpy as np
import pytest
from scipy import special

from bench.cells import initial_values
from bench.cells.cell import Cell
from bench.nets import device
from bench.nets.images import Images, on_device
from bench.nets.replica import Trainer

EPSILON = 1e-3  # Keras' default of both normalizations

# TensorFlow rounds this to float32 even where it computes in float64, and in GELU sqrt(2) or 1/sqrt(2).
SLOPE = float(np.float32(0.3))  # of Keras' LeakyReLU

#: Activation, its derivative's largest size.
ACTIVATIONS: Mapping[str, tuple[Any, float]] = {
    "relu": (lambda z: np.maximum(z, 0), 1.0),
    "leaky_relu": (lambda z: np.where(z > 0, z, SLOPE * z), 1.0),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))), 1.0),
    # Klambauer et al. 2017: lambda 1.0507010, alpha 1.6732632; lambda alpha = 1.7581
    "selu": (
        lambda z: (
            1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(np.minimum(z, 0)))
        ),
        1.7581,
    ),
    "gelu": (lambda z: z * special.ndtr(z), 1.13),
    "silu": (lambda z: z * special.expit(z), 1.1),
    "tanh": (np.tanh, 1.0),
    "sigmoid": (special.expit, 0.25),
    "softplus": (lambda z: np.logaddexp(0, z), 1.0),
}


@dataclass
class Seen:
    """A forward pass, with a first-order bound of the rounding error of each of its arrays."""

    pre_activations: list[np.ndarray] = field(default_factory=list)
    activations: list[np.ndarray] = field(default_factory=list)
    bounds: list[np.ndarray] = field(default_factory=list)
    logits: np.ndarray = field(default_factory=lambda: np.empty(0))
    logits_bound: np.ndarray = field(default_factory=lambda: np.empty(0))

    def losses(self, labels: np.ndarray) -> np.ndarray:
        """Cross-entropy of each example."""
        rows = np.arange(len(labels))
        return special.logsumexp(self.logits, axis=1) - self.logits[rows, labels]


@dataclass
class Oracle:
    """A dense network in float64, from the formulas of its layers (Glorot and Bengio 2010; He et al.
    2016; Ioffe and Szegedy 2015; Ba et al. 2016).

    ``u`` is the unit roundoff of the arithmetic that it bounds. A sum of n products is off by at
    most 4 sqrt(n) u times the sum of their sizes, in any order, with a probability of failure below
    1e-3 of 1 % (Higham and Mary 2019, theorem 2.4, lambda = 4).
    """

    cell: Cell
    seed: int
    u: float = 2.0**-24
    shifts: dict[int, np.ndarray] = field(default_factory=dict)
    kernels: list[np.ndarray] = field(init=False)
    biases: list[np.ndarray] = field(init=False)
    moving: list[tuple[np.ndarray, np.ndarray]] | None = None

    def __post_init__(self) -> None:
        cell = self.cell
        sizes = [784, *[cell.width] * cell.depth, 10]
        dtype = np.float64 if cell.precision == "float64" else np.float32
        self.kernels = [
            initial_values.kernel(cell.initializer, (rows, columns), seed=self.seed, layer=layer)
            .astype(dtype)
            .astype(np.float64)
            for layer, (rows, columns) in enumerate(itertools.pairwise(sizes))
        ]
        self.biases = [np.full(size, float(dtype(cell.bias))) for size in sizes[1:]]

    def __call__(self, inputs: np.ndarray) -> Seen:
        seen = Seen()
        signal, bound = inputs, np.zeros_like(inputs)
        for index in range(self.cell.depth):
            z, error = self._dense(index, signal, bound)
            if self.cell.normalization != "none":
                z, error = self._normalized(index, z, error)
            z = z + self.shifts.get(index, 0.0)
            function, slope = ACTIVATIONS[self.cell.activation]
            branch = function(z)
            # The function itself: 8 units in the last place of the larger of 1 and its argument.
            own = 2.0**-24 if self.cell.activation == "gelu" else self.u
            error = slope * error + 8 * own * np.maximum(1, np.abs(z))
            seen.pre_activations.append(z)
            seen.activations.append(branch)
            seen.bounds.append(error)
            if self.cell.architecture == "residual" and index > 0:
                scaled = self.cell.branch == "scaled"
                scale = float(np.float32(1 / math.sqrt(self.cell.depth))) if scaled else 1.0
                branch = signal + scale * branch
                error = bound + scale * error + 4 * self.u * (np.abs(signal) + np.abs(branch))
            signal, bound = branch, error
        seen.logits, seen.logits_bound = self._dense(self.cell.depth, signal, bound)
        return seen

    def _dense(
        self, index: int, signal: np.ndarray, bound: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        kernel, bias = self.kernels[index], self.biases[index]
        sizes = np.abs(signal) @ np.abs(kernel) + np.abs(bias)
        error = bound @ np.abs(kernel) + 4 * math.sqrt(len(kernel) + 1) * self.u * sizes
        return signal @ kernel + bias, error

    def _normalized(
        self, index: int, z: np.ndarray, error: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """y = (z - mean) / s, s^2 = variance + epsilon. With every z off by at most D, mean and s
        are off by at most D and 2 D (Cauchy and Schwarz), so y by (2 D + 2 D |y|) / s; the sums add
        their own rounding, at worst that of E[z^2] - mean^2."""
        axis = 0 if self.cell.normalization == "batch" else 1
        if self.moving is not None and axis == 0:
            mean, variance = self.moving[index]
        else:
            mean = z.mean(axis, keepdims=True)
            variance = z.var(axis, keepdims=True)
        s = np.sqrt(variance + EPSILON)
        y = (z - mean) / s
        count = z.shape[axis]
        largest = error.max(axis, keepdims=True)
        largest = largest + 4 * math.sqrt(count) * self.u * np.abs(z).max(axis, keepdims=True)
        square = np.mean(z**2, axis, keepdims=True) / s**2
        own = (4 * math.sqrt(count) + 8) * self.u * (1 + square) * (1 + np.abs(y))
        return y, 2 * largest * (1 + np.abs(y)) / s + own


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    device.configure("cpu", threads=1)


@pytest.fixture(scope="session")
def data() -> SimpleNamespace:
    """2,000 and 500 images in MNIST's form: of each class a pattern of strokes, a fifth of the
    pixels, noisy enough that a network has something to learn."""
    random = np.random.default_rng(20240229)
    patterns = (random.random((10, 28, 28)) < 0.2) * random.integers(100, 256, (10, 28, 28))

    def images(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = random.permutation(np.arange(count) % 10).astype(np.uint8)
        kept = random.random((count, 28, 28)) < 0.5
        noise = random.integers(0, 200, (count, 28, 28)) * (random.random((count, 28, 28)) < 0.1)
        pixels = np.maximum(patterns[labels] * kept, noise)
        return pixels.astype(np.uint8), labels

    train_images, train_labels = images(2000)
    test_images, test_labels = images(500)
    return SimpleNamespace(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        fingerprint="0" * 64,
        source="made up",
    )


@pytest.fixture(scope="session")
def images(data: Any) -> Images:
    return on_device(data, "cpu")


@pytest.fixture(scope="session")
def trainer(data: Any) -> Trainer:
    """One for all tests, as a training process has it: cells of one graph share its trace."""
    return Trainer(data, "cpu", "made-up")


@pytest.fixture
def fresh_trainer(data: Any) -> Trainer:
    """With nothing compiled yet."""
    return Trainer(data, "cpu", "made-up")


@pytest.fixture(scope="session")
def oracle() -> type[Oracle]:
    """``oracle(cell, seed)(inputs)``: a forward pass in float64."""
    return Oracle


def _pixels(cell: Cell, images: np.ndarray) -> np.ndarray:
    dtype = np.float64 if cell.precision == "float64" else np.float32
    floats = images.reshape(len(images), 784).astype(dtype) * dtype(cell.input_scale / 255)
    return floats.astype(np.float64)


@pytest.fixture(scope="session")
def pixels() -> Any:
    """``pixels(cell, images)``: what the cell's network is fed, rounded as it is, in float64."""
    return _pixels
