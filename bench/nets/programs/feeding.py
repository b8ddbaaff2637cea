"""What the program of a trial is fed: initial values, the examples of every step. NumPy alone.

Both forms of a program take the same, so that they differ in nothing but TensorFlow's interface.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bench.cells import initial_values
from bench.cells.recipe import Recipe

Array = npt.NDArray[Any]

#: Edges of the digits and of the classes.
SIDE, CLASSES = 28, 10

#: Edge of a convolution's window, and of the pooling behind it.
WINDOW, POOL = 5, 2


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One training's initial values and examples.

    ``values``: of every trainable variable by name, in the order of :attr:`Recipe.names`. ``inputs``:
    of the task ``identity``, one number for each step. ``indices`` and ``bounds``: of the task
    ``digits``; step i trains on the images ``indices[bounds[i] : bounds[i + 1]]``.
    """

    values: Mapping[str, Array]
    inputs: Array
    indices: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int32]
    precision: Literal["float32", "float64"]

    def batch(self, step: int) -> npt.NDArray[np.int32]:
        """Which images a step trains on."""
        return self.indices[self.bounds[step] : self.bounds[step + 1]]


def feed(
    recipe: Recipe,
    seed: int,
    *,
    examples: int,
    precision: Literal["float32", "float64"] = "float32",
) -> Feed:
    """All that one training is fed.

    Args:
        recipe: what is trained.
        seed: of everything that is drawn.
        examples: images of the training set, those held out included.
        precision: of all values; published programs are trained in float32.

    Raises:
        ValueError: the recipe holds out all images.
    """
    inputs: Array = np.zeros(0)
    indices, bounds = np.zeros(0, np.int32), np.zeros(1, np.int32)
    if recipe.task == "identity":
        bits = initial_values.stream(seed, "inputs")
        inputs = 2.0 * initial_values.uniform(bits, recipe.steps * recipe.batch) - 1.0
        inputs = inputs.reshape(recipe.steps, recipe.batch, 1)
    else:
        indices, bounds = _order(recipe, seed, examples)
    return Feed(
        values={name: value.astype(precision) for name, value in _values(recipe, seed).items()},
        inputs=inputs.astype(precision),
        indices=indices,
        bounds=bounds,
        precision=precision,
    )


def kernel_shapes(recipe: Recipe) -> list[tuple[int, ...]]:
    """Shapes of all kernels in order: (height, width, in, out) of convolutions, then (in, out)."""
    filters = [1, *recipe.convolutions]
    shapes: list[tuple[int, ...]] = [
        (WINDOW, WINDOW, *pair) for pair in itertools.pairwise(filters)
    ]
    side = SIDE
    for _ in recipe.convolutions:
        side //= POOL
    identity = recipe.task == "identity"
    features = 1 if identity else side * side * filters[-1]
    units = [features, *recipe.hidden, 1 if identity else CLASSES]
    return [*shapes, *itertools.pairwise(units)]


def _values(recipe: Recipe, seed: int) -> dict[str, Array]:
    values: dict[str, Array] = {}
    for layer, shape in enumerate(kernel_shapes(recipe)):
        width = shape[-1:]
        drawn = {
            "w": initial_values.kernel(recipe.initializer, shape, seed=seed, layer=layer),
            "b": _bias(recipe, width, seed=seed, layer=layer),
            "gamma": np.ones(width),
            "beta": np.zeros(width),
        }
        values |= {f"{kind}{layer + 1}": value for kind, value in drawn.items()}
    return {name: values[name] for name in recipe.names}


def _bias(recipe: Recipe, width: tuple[int, ...], *, seed: int, layer: int) -> Array:
    if not isinstance(recipe.bias, str):
        return np.full(width, recipe.bias)
    return initial_values.kernel(recipe.bias, (1, *width), seed=seed, layer=layer, role="bias")[0]


def _order(
    recipe: Recipe, seed: int, examples: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Indices of the images of all steps, one behind another, and where each step begins."""
    first, batch, steps = recipe.held_out, recipe.batch, recipe.steps
    if first >= examples:
        raise ValueError(f"{first} of {examples} images are held out: none is left to train on")
    if recipe.shuffled:
        order = initial_values.batch_order(
            seed, examples=examples - first, batch=batch, steps=steps
        )
        return (order + np.int32(first)).reshape(-1), np.arange(steps + 1, dtype=np.int32) * batch
    epoch = np.arange(first, examples, dtype=np.int32)
    epochs = math.ceil(steps / math.ceil(len(epoch) / batch))
    starts = np.arange(0, len(epoch), batch, dtype=np.int32)
    bounds = np.concatenate([starts + np.int32(i * len(epoch)) for i in range(epochs)])
    bounds = np.append(bounds, np.int32(epochs * len(epoch)))[: steps + 1]
    return np.tile(epoch, epochs)[: bounds[-1]], bounds
