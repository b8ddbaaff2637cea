"""Tests of the recursion at unequal widths, against wide random networks and against a cell's own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.cells.cell import ACTIVATIONS, Cell
from bench.cells.initial_values import variance
from bench.theory.activations import ACTIVATION
from bench.theory.signal.meanfield import predict
from bench.theory.signal.unequal import recursion

WIDTHS = (500, 900, 300, 700)
GAINS = (1.5, 0.8, 1.3)
SQUARED_NORM, BIAS_VARIANCE = 120.0, 0.05


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_against_random_networks(activation: str) -> None:
    """Means of 30 networks: within four standard errors, and what leading order in 1/n leaves out.

    That is a relative 2/n of q, and of a logarithm of a ratio at most the variance that an example's
    signal gains per layer, 5/n for ReLU and below 15/n for all.
    """
    variances = [gain / fan_in for gain, fan_in in zip(GAINS, WIDTHS, strict=False)]
    expected = recursion(
        activation, WIDTHS, variances, squared_norm=SQUARED_NORM, bias_variance=BIAS_VARIANCE
    )
    random = np.random.default_rng(3)
    seen = np.array([simulated(activation, variances, random) for _ in range(30)])
    true = np.concatenate([expected.pre_activation, np.log(expected.signal[:-1])])
    error = seen.std(0, ddof=1) / np.sqrt(len(seen))
    slack = np.concatenate([2 * true[:3] / min(WIDTHS), np.full(2, 5 * 3 / min(WIDTHS))])
    assert np.all(np.abs(seen.mean(0) - true) <= 4 * error + slack)


def simulated(activation: str, variances: list[float], random: np.random.Generator) -> np.ndarray:
    """Mean squares of pre-activations, then ln of the first layers' signals over the last one's."""
    phi = ACTIVATION[activation]
    h = random.standard_normal(WIDTHS[0])
    h *= np.sqrt(SQUARED_NORM) / np.linalg.norm(h)
    kernels, inner = [], []
    for layer, s2 in enumerate(variances):
        shape = (WIDTHS[layer], WIDTHS[layer + 1])
        kernels.append(np.sqrt(s2) * random.standard_normal(shape))
        bias = np.sqrt(BIAS_VARIANCE) * random.standard_normal(shape[1])
        inner.append(h @ kernels[-1] + bias)
        h = phi.value(inner[-1])
    delta = random.standard_normal(WIDTHS[-1]) * phi.slope(inner[-1])
    signal = [np.mean(delta**2)]
    for layer in (1, 0):
        delta = phi.slope(inner[layer]) * (kernels[layer + 1] @ delta)
        signal.insert(0, np.mean(delta**2))
    return np.array([*(np.mean(z**2) for z in inner), *np.log(np.array(signal[:-1]) / signal[-1])])


def test_equal_widths_are_a_cell() -> None:
    """ReLU with He's initialization: as a cell of depth 5 predicts for one length of images."""
    cell = Cell(depth=5, initializer="glorot_normal")
    predicted = predict(cell, squared_norms=[100.0])
    assert predicted is not None
    widths = (784, *[cell.width] * 5)
    shapes = itertools.pairwise(widths)
    variances = [variance(cell.initializer, shape) for shape in shapes]
    made = recursion("relu", widths, variances, squared_norm=100.0)
    assert made.pre_activation == pytest.approx(predicted.pre_activation)
    assert made.signal == pytest.approx(predicted.signal)
    assert made.kernel_gradient == pytest.approx(predicted.kernel_gradient)


def test_widths_and_variances_must_fit() -> None:
    """One variance per hidden layer."""
    with pytest.raises(ValueError, match="2 variances of 3 hidden layers"):
        recursion("relu", (10, 10, 10, 10), (1.0, 1.0), squared_norm=1.0)
