"""P1 in NumPy, float64, many seeds at once: the range that its claims are held against.

One input x ~ U(-1, 1) a step, layers of 16 ReLUs, one linear output o, loss (x - 2 o)^2, so that
dC/do = -4 (x - 2 o); plain gradient descent with every entry of a gradient cut at +-4.5. One seed is
one network with inputs of its own. As in the trials, the variants share the inputs of a seed, and the
draws of the layers that they have in common.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.cells import initial_values
from bench.cells.numbers import split_number
from bench.cells.recipe import Recipe

Array = npt.NDArray[np.float64]

#: Steps over which a trial's ``variance w1`` is taken.
STEPS = 1000

#: The last of them whose mean loss is compared: a trial looks every 50 steps until 1,000.
WINDOW = 50

#: Seeds that are replayed. What their number adds to the variance of a prediction for the mean of n
#: trials is n / SEEDS of it: .5 % for five.
SEEDS = 1000


@dataclass(frozen=True)
class Replay:
    """Measurements of a replay, each of shape (seeds,)."""

    variance: Array
    """Variance of the entries of the first kernel's gradient, before clipping, over all steps."""
    loss: Array
    """Mean loss of the last WINDOW steps."""


@functools.lru_cache(maxsize=16)
def replay(recipe: Recipe, *, seeds: int = SEEDS, steps: int = STEPS, first: int = 0) -> Replay:
    """Trains a recipe of P1 under many seeds.

    Args:
        recipe: one of the task ``identity``, with ``value`` clipping and gradient descent.
        seeds: number of seeds.
        steps: number of steps.
        first: seed of the streams from which all seeds are drawn.

    Raises:
        ValueError: a recipe of another kind.
    """
    limit = split_number(recipe.clipping)[1]
    if recipe.task != "identity" or recipe.optimizer != "sgd" or limit is None:
        raise ValueError(f"no program of P1: {recipe}")
    inputs = (
        2.0 * initial_values.uniform(initial_values.stream(first, "replayed inputs"), seeds * steps)
        - 1.0
    )
    kernels, biases = _start(recipe, seeds, first)
    total, squares, loss = np.zeros(seeds), np.zeros(seeds), np.zeros(seeds)
    for step, x in enumerate(inputs.reshape(steps, seeds)):
        error, gradients = _gradients(x, kernels, biases)
        total += gradients[0][0].sum(axis=(1, 2))
        squares += (gradients[0][0] ** 2).sum(axis=(1, 2))
        loss += error**2 * (step >= steps - WINDOW)
        for kernel, bias, (of_kernel, of_bias) in zip(kernels, biases, gradients, strict=True):
            kernel -= recipe.learning_rate * np.clip(of_kernel, -limit, limit)
            bias -= recipe.learning_rate * np.clip(of_bias, -limit, limit)
    count = steps * kernels[0][0].size
    return Replay(squares / count - (total / count) ** 2, loss / min(WINDOW, steps))


def _start(recipe: Recipe, seeds: int, first: int) -> tuple[list[Array], list[Array]]:
    """Kernels of shape (seeds, in, out) and biases of shape (seeds, 1, out)."""
    widths = (1, *recipe.hidden, 1)
    kernels, biases = [], []
    for layer, shape in enumerate(itertools.pairwise(widths)):
        kernels.append(_drawn(recipe.initializer, shape, "kernel", seeds, first, layer))
        biases.append(
            _drawn(recipe.bias, (1, shape[1]), "bias", seeds, first, layer)
            if isinstance(recipe.bias, str)
            else np.full((seeds, 1, shape[1]), recipe.bias)
        )
    return kernels, biases


def _drawn(
    initializer: str, shape: tuple[int, int], role: str, seeds: int, first: int, layer: int
) -> Array:
    bits = initial_values.stream(first, f"replayed {role}", layer)
    name, scale = split_number(initializer)
    count = seeds * math.prod(shape)
    if name == "normal" and scale is not None:
        flat = scale * initial_values.standard_normal(bits, count)
    elif name == "glorot_uniform":
        limit = math.sqrt(3.0 * initial_values.variance(initializer, shape))
        flat = limit * (2.0 * initial_values.uniform(bits, count) - 1.0)
    else:
        raise ValueError(f"no initializer of P1: {initializer}")
    return flat.reshape(seeds, *shape)


def _gradients(
    x: Array, kernels: list[Array], biases: list[Array]
) -> tuple[Array, list[tuple[Array, Array]]]:
    """x - 2 o, of shape (seeds,), and each layer's gradients of kernel and bias."""
    inputs = [x[:, None, None]]
    for kernel, bias in zip(kernels, biases, strict=True):
        inputs.append(np.maximum(inputs[-1] @ kernel + bias, 0.0))
    output = inputs[-2] @ kernels[-1] + biases[-1]  # without ReLU
    error = x - 2.0 * output[:, 0, 0]
    signal = -4.0 * error[:, None, None]
    gradients = [(np.swapaxes(inputs[-2], 1, 2) * signal, signal)]
    for layer in range(len(kernels) - 2, -1, -1):
        signal = signal @ np.swapaxes(kernels[layer + 1], 1, 2) * (inputs[layer + 1] > 0)
        gradients.insert(0, (np.swapaxes(inputs[layer], 1, 2) * signal, signal))
    return error, gradients


def predicted(logs: Array, *, trials: int, level: float) -> tuple[float, float]:
    """Interval of the mean of new seeds' logarithms, which it misses with a probability of ``level``.

    m + z s sqrt(1/n + 1/R) with z a quantile of Student's t on R - 1 degrees of freedom is the
    prediction interval for the mean of n further draws from one normal distribution (Hahn and Meeker
    1991, section 4.7). Logarithms of gradients are somewhat skewed and heavy-tailed, so z is corrected
    by the third and fourth cumulant of the mean, g = skewness / sqrt(n) and k = excess kurtosis / n of
    the replayed seeds (Cornish and Fisher 1938)::

        z + (z^2 - 1) g / 6 + (z^3 - 3 z) k / 24 - (2 z^3 - 5 z) g^2 / 36

    Args:
        logs: logarithms of R replayed seeds.
        trials: n.
        level: probability of both sides together.
    """
    scaled = (logs - logs.mean()) / logs.std()
    g = float((scaled**3).mean()) / math.sqrt(trials)
    k = (float((scaled**4).mean()) - 3.0) / trials
    error = float(logs.std(ddof=1)) * math.sqrt(1.0 / trials + 1.0 / logs.size)
    quantile = float(special.stdtrit(logs.size - 1, 1.0 - level / 2.0))
    low, high = (
        z + (z**2 - 1) * g / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * g**2 / 36
        for z in (-quantile, quantile)
    )
    return float(logs.mean()) + low * error, float(logs.mean()) + high * error
