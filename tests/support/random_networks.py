"""Random networks in NumPy, float64, written out: what mean-field theory is held against.

Nothing of it comes from bench but activations and the initial kernels' distribution.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from bench.cells.cell import Cell
from bench.cells.initial_values import variance
from bench.theory.activations import ACTIVATION
from bench.theory.signal.images import (
    COSINE_OTHER_CLASS,
    COSINE_SAME_CLASS,
    COVARIANCE_EIGENVALUES,
    COVARIANCE_TRACE,
    MNIST_SQUARED_NORMS,
)

EPSILON = 1e-3  # Keras' default
INPUTS, CLASSES = 784, 10


def images(cell: Cell, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images (batch, 784) and labels with MNIST's lengths and angles, or its variances for a batch
    norm."""
    labels = random.integers(0, CLASSES, cell.batch)
    if cell.normalization == "batch":
        rest = (COVARIANCE_TRACE - sum(COVARIANCE_EIGENVALUES)) / (INPUTS - 40)
        stds = np.sqrt([*COVARIANCE_EIGENVALUES, *[rest] * (INPUTS - 40)])
        return random.standard_normal((cell.batch, INPUTS)) * stds, labels
    common, own = random.standard_normal(INPUTS), random.standard_normal((cell.batch, INPUTS))
    digits = random.standard_normal((CLASSES, INPUTS))
    pixels = (
        math.sqrt(COSINE_OTHER_CLASS) * common
        + math.sqrt(COSINE_SAME_CLASS - COSINE_OTHER_CLASS) * digits[labels]
        + math.sqrt(1 - COSINE_SAME_CLASS) * own
    )
    lengths = np.sqrt(random.choice(MNIST_SQUARED_NORMS, (cell.batch, 1)))
    return pixels / np.linalg.norm(pixels, axis=1, keepdims=True) * lengths, labels


def kernel(cell: Cell, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Normal, or orthonormal rows or columns."""
    if cell.initializer == "orthogonal":
        tall = random.standard_normal((max(shape), min(shape)))
        q, r = np.linalg.qr(tall)
        q = q * np.sign(np.diag(r))
        return q if shape[0] >= shape[1] else q.T
    return random.standard_normal(shape) * math.sqrt(variance(cell.initializer, shape))


def signals(cell: Cell, seed: int) -> np.ndarray:
    """Per hidden layer the mean over batch and units of (dC/dz)^2, C each example's cross-entropy."""
    random = np.random.default_rng([seed, cell.depth, cell.width])
    stream, labels = images(cell, random)
    phi = ACTIVATION[cell.activation]
    skips = cell.architecture == "residual"
    branch = 1 / math.sqrt(cell.depth) if cell.branch == "scaled" else 1.0
    axis = {"none": None, "batch": 0, "layer": 1}[cell.normalization]
    sizes = [INPUTS, *[cell.width] * cell.depth]
    kernels, inputs, divisors = [], [], []
    for layer, shape in enumerate(itertools.pairwise(sizes)):
        kernels.append(kernel(cell, shape, random))
        z = stream @ kernels[-1] + cell.bias
        divisor = 1.0
        if axis is not None:
            z = z - z.mean(axis, keepdims=True)
            divisor = np.sqrt(np.mean(z**2, axis, keepdims=True) + EPSILON)
            z = z / divisor
        inputs.append(z)
        divisors.append(divisor)
        added = branch * phi.value(z) if skips and layer else phi.value(z)
        stream = stream + added if skips and layer else added
    output = kernel(cell, (cell.width, CLASSES), random)
    odds = np.exp(stream @ output - np.max(stream @ output, 1, keepdims=True))
    error = odds / odds.sum(1, keepdims=True)
    error[np.arange(cell.batch), labels] -= 1
    back = error @ output.T
    found = []
    for layer in range(cell.depth - 1, -1, -1):
        z = inputs[layer]
        delta = (branch if skips and layer else 1.0) * phi.slope(z) * back
        found.append(np.mean(delta**2))
        if axis is not None:
            delta = (
                delta
                - delta.mean(axis, keepdims=True)
                - z * np.mean(delta * z, axis, keepdims=True)
            )
            delta = delta / divisors[layer]
        below = delta @ kernels[layer].T if layer else 0.0
        back = back + below if skips else below
    return np.array(found[::-1])
