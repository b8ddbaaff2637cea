"""Today's form of a published program: Keras layers, a Keras optimizer, all steps in one graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf

from bench.cells.cell import Cell
from bench.cells.keras_arguments import clipping_arguments
from bench.cells.recipe import Recipe
from bench.nets import optimizers
from bench.nets.images import Images
from bench.nets.network import listed
from bench.nets.optimizers import ClippedGradients
from bench.nets.programs.feeding import CLASSES, POOL, SIDE, WINDOW, Feed
from bench.nets.programs.program import (
    CHUNK,
    NUMBERS,
    Array,
    Part,
    Stretch,
    dead_share,
    of_gradients,
    watches,
)
from bench.results.trial import Trial

keras = tf.keras

#: ``tf.train.AdamOptimizer`` has it; Keras' own default is 1e-7.
ADAM_EPSILON = 1e-8

#: Slope of the sources' leaky ReLU.
SLOPE = 0.01


@dataclass
class Network:
    """A Keras model, its hidden activations' outputs, its variables by the recipe's names."""

    model: Any
    hidden: Sequence[Any]
    trainable: Mapping[str, Any]
    moving: Mapping[str, Any]


def network(recipe: Recipe, *, precision: str, seed: int) -> Network:
    """Builds a recipe's network with all kernels zero; ``seed`` is dropout's."""
    return _Builder(recipe, precision).build(seed)


class _Builder:
    def __init__(self, recipe: Recipe, precision: str) -> None:
        self._recipe = recipe
        self._options = {"dtype": precision}
        self._layer = 0
        self._hidden: list[Any] = []
        self._variables: dict[str, Any] = {}
        self._moving: dict[str, Any] = {}

    def build(self, seed: int) -> Network:
        recipe, layers = self._recipe, keras.layers
        identity = recipe.task == "identity"
        images = (SIDE, SIDE, 1) if recipe.convolutions else (SIDE * SIDE,)
        inputs = signal = keras.Input((1,) if identity else images, **self._options)
        for filters in recipe.convolutions:
            signal = self._activated(self._kernel(signal, filters, convolution=True))
            signal = layers.MaxPooling2D(POOL, **self._options)(signal)
        if recipe.convolutions:
            signal = layers.Flatten(**self._options)(signal)
        for number, units in enumerate(recipe.hidden):
            outputs = self._activated(self._kernel(signal, units))
            skips = recipe.skips and number > 0
            signal = layers.Add(**self._options)([signal, outputs]) if skips else outputs
        if recipe.dropout:
            signal = layers.Dropout(recipe.dropout, seed=seed, **self._options)(signal)
        outputs = self._kernel(signal, 1 if identity else CLASSES)
        if recipe.normalized_logits:
            outputs = self._normalized(outputs)
        return Network(
            model=keras.Model(inputs, outputs),
            hidden=self._hidden,
            trainable={name: self._variables[name] for name in recipe.names},
            moving=self._moving,
        )

    def _kernel(self, signal: Any, units: int, *, convolution: bool = False) -> Any:
        if convolution:
            layer = keras.layers.Conv2D(
                units, WINDOW, padding="same", kernel_initializer="zeros", **self._options
            )
        else:
            layer = keras.layers.Dense(units, kernel_initializer="zeros", **self._options)
        outputs = layer(signal)
        self._layer += 1
        self._variables |= {f"w{self._layer}": layer.kernel, f"b{self._layer}": layer.bias}
        return outputs

    def _normalized(self, signal: Any) -> Any:
        layer = keras.layers.BatchNormalization(momentum=self._recipe.momentum, **self._options)
        outputs = layer(signal)
        number = self._layer
        self._variables |= {f"gamma{number}": layer.gamma, f"beta{number}": layer.beta}
        self._moving |= {
            f"moving mean {number}": layer.moving_mean,
            f"moving variance {number}": layer.moving_variance,
        }
        return outputs

    def _activated(self, signal: Any) -> Any:
        if self._recipe.normalization == "batch":
            signal = self._normalized(signal)
        name = self._recipe.activation
        # Keras 2 calls the slope alpha, Keras 3 negative_slope.
        layer = (
            keras.layers.LeakyReLU(SLOPE, **self._options)
            if name == "leaky_relu"
            else keras.layers.Activation(name, **self._options)
        )
        self._hidden.append(layer(signal))
        return self._hidden[-1]


class _Graph:
    """All that is traced for a recipe, whatever its number of steps.

    Args:
        recipe: what is trained.
        precision: of all values.
        specs: of the tensors that batches are made of.
        seed: dropout's.
        watched: whether each step gives the numbers of its gradients.
    """

    def __init__(
        self,
        recipe: Recipe,
        precision: str,
        specs: tuple[Any, ...],
        *,
        seed: int,
        watched: bool,
    ) -> None:
        self.network = network(recipe, precision=precision, seed=seed)
        self._start = {name: each.numpy() for name, each in self.network.moving.items()}
        variables = list(self.network.trainable.values())
        self._learning_rate = recipe.learning_rate
        self._optimizer = _optimizer(recipe, variables)
        self._optimizer_start = optimizers.snapshot(self._optimizer)
        step = _step(
            self.network.model,
            variables,
            batch=_batch(recipe, precision),
            loss=_loss(recipe, precision),
            optimizer=self._optimizer,
            clipped=_clipped(recipe, variables) if watched else None,
        )
        index = tf.TensorSpec([], tf.int32)
        loop = _in_graph(step, numbers=len(variables) if watched else 0)
        self.loop = tf.function(loop, input_signature=[index, index, specs])
        self.one = tf.function(step, input_signature=[index, specs])
        self.evaluation = _evaluation(self.network.model, recipe, precision)

    def reset(self, feed: Feed) -> None:
        """Sets everything to its value before the first step."""
        for name, variable in self.network.trainable.items():
            variable.assign(feed.values[name])
        for name, variable in self.network.moving.items():
            variable.assign(self._start[name])
        optimizers.reset(self._optimizer, self._optimizer_start, self._learning_rate)


#: Tracing a network of 50 layers takes as long as training it, and trials differ in their seeds: each
#: of the variants of an experiment is traced once. There are at most 21.
_kept = functools.lru_cache(maxsize=24)(_Graph)


class KerasProgram:
    """A trial's training; see :class:`bench.nets.programs.program.Program`.

    Args:
        trial: what is trained and watched.
        feed: its initial values and examples.
        images: on the device; None for the task ``identity``.
    """

    def __init__(self, trial: Trial, feed: Feed, images: Images | None) -> None:
        recipe = trial.recipe
        self._recipe, self._images, self._precision = recipe, images, feed.precision
        self._material = _material(feed, images)
        specs = tuple(tf.TensorSpec([None, *each.shape[1:]], each.dtype) for each in self._material)
        # The random state of dropout is the framework's: only a new network starts it anew.
        make = _Graph if recipe.dropout else _kept
        # Some older generators take a seed of 0 for none.
        seed = trial.seed + 1 if recipe.dropout else 1
        any_length = msgspec.structs.replace(recipe, steps=1)
        graph = make(any_length, feed.precision, specs, seed=seed, watched=watches(trial, "norms"))
        graph.reset(feed)
        self._network, self._evaluation = graph.network, graph.evaluation
        self._loop, self._one = graph.loop, graph.one

    def train(self, start: int, stop: int) -> Stretch:
        losses, gradients = self._loop(tf.constant(start), tf.constant(stop), self._material)
        return Stretch(losses.numpy(), gradients.numpy())

    def step(self, index: int) -> tuple[Stretch, Sequence[Array]]:
        loss, numbers, gradients = self._one(tf.constant(index), self._material)
        stretch = Stretch(loss.numpy()[None], numbers.numpy()[None])
        return stretch, [gradient.numpy() for gradient in gradients]

    def evaluate(self, part: Part) -> tuple[float, float]:
        assert self._images is not None
        pixels, labels = self._images.test_images, self._images.test_labels
        if part == "validation":
            held_out = self._recipe.held_out
            pixels = self._images.train_images[:held_out]
            labels = self._images.train_labels[:held_out]
        correct, total = self._evaluation(pixels, labels)
        count = int(labels.shape[0])
        return int(correct) / count, float(total) / count

    def dead_share(self) -> float:
        assert self._images is not None
        if not self._network.hidden:
            return 0.0
        view = keras.Model(self._network.model.inputs, list(self._network.hidden))
        inputs = _scaled(self._recipe, self._images.test_images[:CHUNK], self._precision)
        return dead_share([np.asarray(output) for output in listed(view(inputs, training=False))])

    def variables(self) -> Mapping[str, Array]:
        named = {**self._network.trainable, **self._network.moving}
        return {name: variable.numpy() for name, variable in named.items()}

    def close(self) -> None:
        """Nothing outlives the object."""


def _optimizer(recipe: Recipe, variables: Sequence[Any]) -> Any:
    arguments = {"learning_rate": recipe.learning_rate, **_clipping(recipe)}
    if recipe.optimizer == "adam":
        built = keras.optimizers.Adam(epsilon=ADAM_EPSILON, **arguments)
    else:
        built = keras.optimizers.SGD(**arguments)
    built.build(variables)
    return built


def _clipping(recipe: Recipe) -> dict[str, float]:
    return clipping_arguments(Cell(clipping=recipe.clipping))


def _clipped(recipe: Recipe, variables: Sequence[Any]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """What the optimizer makes of gradients: a second one of the same clipping shows it."""
    if recipe.clipping == "none":
        return lambda gradients: gradients
    return ClippedGradients(Cell(clipping=recipe.clipping), variables).tensors


def _loss(recipe: Recipe, precision: str) -> Callable[[Any, Any], Any]:
    """``loss(targets, outputs)``: the batch mean; targets are classes, or inputs of ``identity``."""
    options = optimizers.loss_options(precision)
    if recipe.task == "digits" and recipe.loss == "crossentropy":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)
    squared = keras.losses.MeanSquaredError(**options)
    if recipe.task == "identity":
        return lambda inputs, outputs: squared(inputs, 2.0 * outputs)
    return lambda classes, outputs: squared(tf.one_hot(classes, CLASSES, dtype=precision), outputs)


def _scaled(recipe: Recipe, pixels: Any, precision: str) -> Any:
    """Bytes (n, 784) as the model takes them."""
    floats = tf.cast(pixels, precision) * tf.constant(recipe.pixel_scale, precision)
    return tf.reshape(floats, (-1, SIDE, SIDE, 1)) if recipe.convolutions else floats


#: Tensors that batches are made of: images, labels, indices and bounds of all steps; or the inputs
#: of ``identity``. Arguments of a graph, not part of it: Keras' optimizers keep every graph alive
#: that they were traced in, until the process ends.
Material = tuple[Any, ...]

Batch = Callable[[Any, Material], tuple[Any, Any]]
Step = Callable[[Any, Material], tuple[Any, Any, Sequence[Any]]]


def _material(feed: Feed, images: Images | None) -> Material:
    if images is None:
        return (tf.constant(feed.inputs),)
    order = tf.constant(feed.indices), tf.constant(feed.bounds)
    return (images.train_images, images.train_labels, *order)


def _batch(recipe: Recipe, precision: str) -> Batch:
    """``batch(step, material)``: inputs and targets, gathered on the device."""

    def number(step: Any, material: Material) -> tuple[Any, Any]:
        return material[0][step], material[0][step]

    def digits(step: Any, material: Material) -> tuple[Any, Any]:
        images, labels, indices, bounds = material
        chosen = indices[bounds[step] : bounds[step + 1]]
        return _scaled(recipe, tf.gather(images, chosen), precision), tf.gather(labels, chosen)

    return number if recipe.task == "identity" else digits


def _step(
    model: Any,
    variables: Sequence[Any],
    *,
    batch: Batch,
    loss: Callable[[Any, Any], Any],
    optimizer: Any,
    clipped: Callable[[Sequence[Any]], Sequence[Any]] | None,
) -> Step:
    """``step(index, material)``: trains; gives the loss, the numbers of its gradients (none without
    ``clipped``), the gradients."""

    def step(index: Any, material: Material) -> tuple[Any, Any, Sequence[Any]]:
        inputs, targets = batch(index, material)
        with tf.GradientTape() as tape:
            value = loss(targets, model(inputs, training=True))
        gradients = tape.gradient(value, variables)
        numbers = tf.zeros([0, 0], tf.float64)
        if clipped is not None:
            numbers = of_gradients(gradients, clipped(gradients))
        optimizer.apply_gradients(list(zip(gradients, variables)))  # noqa: B905 - AutoGraph of 2.12
        return tf.cast(value, tf.float32), numbers, gradients

    return step


def _in_graph(step: Step, *, numbers: int) -> Callable[[Any, Any, Material], tuple[Any, Any]]:
    """``loop(start, stop, material)``: losses of those steps, and their numbers for so many
    gradients."""

    def loop(start: Any, stop: Any, material: Material) -> tuple[Any, Any]:
        losses = tf.TensorArray(tf.float32, size=stop - start, element_shape=[])
        for index in tf.range(start, stop):
            losses = losses.write(index - start, step(index, material)[0])
        return losses.stack(), tf.zeros([stop - start, 0, 0], tf.float64)

    def watched(start: Any, stop: Any, material: Material) -> tuple[Any, Any]:
        losses = tf.TensorArray(tf.float32, size=stop - start, element_shape=[])
        seen = tf.TensorArray(tf.float64, size=stop - start, element_shape=[NUMBERS, numbers])
        for index in tf.range(start, stop):
            value, found, _ = step(index, material)
            losses = losses.write(index - start, value)
            seen = seen.write(index - start, found)
        return losses.stack(), seen.stack()

    return watched if numbers else loop


def _evaluation(
    model: Any, recipe: Recipe, precision: str
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """``evaluate(pixels, labels)``: how many are right, and the sum of their losses."""
    loss = _loss(recipe, precision)

    @tf.function(reduce_retracing=True)
    def evaluate(pixels: Any, labels: Any) -> tuple[Any, Any]:
        correct, total = tf.zeros([], tf.int32), tf.zeros([], tf.float64)
        for start in tf.range(0, tf.shape(labels)[0], CHUNK):
            targets = labels[start : start + CHUNK]
            outputs = model(
                _scaled(recipe, pixels[start : start + CHUNK], precision), training=False
            )
            best = tf.argmax(outputs, axis=-1, output_type=targets.dtype)
            correct += tf.reduce_sum(tf.cast(best == targets, tf.int32))
            count = tf.cast(tf.shape(targets)[0], tf.float64)
            total += tf.cast(loss(targets, outputs), tf.float64) * count
        return correct, total

    return evaluate
