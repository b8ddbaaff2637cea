"""The original's form of a published program: ``tf.compat.v1``'s graph, placeholders and session.

Nothing of Keras takes part. ``tf.compat.v1.layers`` is gone where Keras 3 is, so layers are written
with the operations of ``tf.nn``, and batch normalization as ``tf.layers`` had it: update operations
in the collection ``UPDATE_OPS``, on which the training step depends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bench.cells.numbers import split_number
from bench.cells.recipe import Recipe
from bench.mnist import Mnist
from bench.nets.optimizers import clipped
from bench.nets.programs.feeding import CLASSES, POOL, SIDE, Feed
from bench.nets.programs.program import (
    CHUNK,
    Array,
    Part,
    Stretch,
    dead_share,
    held_out_images,
    of_gradients,
    watches,
)
from bench.results.trial import Trial

v1 = tf.compat.v1

#: Epsilon of ``tf.layers.batch_normalization``.
BATCH_EPSILON = 1e-3

_ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "relu": tf.nn.relu,
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, alpha=0.01),
    "elu": tf.nn.elu,
    "tanh": tf.nn.tanh,
    "sigmoid": tf.nn.sigmoid,
}

#: What the programs take from ``tf.compat.v1``.
_NEEDED = (
    "Session",
    "placeholder",
    "placeholder_with_default",
    "get_variable",
    "global_variables_initializer",
    "assign_sub",
    "add_to_collection",
    "get_collection",
    "GraphKeys",
    "train.GradientDescentOptimizer",
    "train.AdamOptimizer",
)


def absent() -> str:
    """Why this TensorFlow has no such programs; empty if it has."""
    for name in _NEEDED:
        owner = getattr(tf, "compat", None)
        for part in ("v1", *name.split(".")):
            owner = getattr(owner, part, None)
            if owner is None:
                return f"TensorFlow {tf.__version__} has no tf.compat.v1.{name}"
    return ""


class SessionProgram:
    """A trial's training; see :class:`bench.nets.programs.program.Program`.

    Args:
        trial: what is trained and watched.
        feed: its initial values and examples.
        data: the images, which it feeds batch by batch.
    """

    def __init__(self, trial: Trial, feed: Feed, data: Mnist) -> None:
        self._recipe, self._feed, self._data = trial.recipe, feed, data
        graph = tf.Graph()
        with graph.as_default():
            self._graph = _Graph(trial.recipe, feed, seed=trial.seed + 1)
            self._step = self._graph.step(watched=watches(trial, "norms"))
            initialize = v1.global_variables_initializer()
        self._session = v1.Session(graph=graph)
        self._session.run(initialize)

    def train(self, start: int, stop: int) -> Stretch:
        fetched = [self._run(index, self._step[:2]) for index in range(start, stop)]
        losses, numbers = zip(*fetched, strict=True)
        return Stretch(np.array(losses, np.float32), np.array(numbers))

    def step(self, index: int) -> tuple[Stretch, Sequence[Array]]:
        loss, numbers, gradients = self._run(index, self._step)
        return Stretch(np.array([loss], np.float32), numbers[None]), gradients

    def _run(self, index: int, fetches: Sequence[Any]) -> Any:
        """A step, and what it shows: ``fetches`` and the update are one ``run``."""
        graph = self._graph
        if self._recipe.task == "identity":
            inputs = targets = self._feed.inputs[index]
        else:
            chosen = self._feed.batch(index)
            inputs = self._scaled(self._data.train_images[chosen])
            targets = self._data.train_labels[chosen]
        fed = {
            graph.inputs: inputs,
            graph.targets: targets,
            graph.training: True,
            graph.dropped: self._recipe.dropout,
        }
        return self._session.run([*fetches, graph.update], feed_dict=fed)[:-1]

    def _scaled(self, images: Array) -> Array:
        recipe, dtype = self._recipe, np.dtype(self._feed.precision).type
        floats = images.astype(dtype) * dtype(recipe.pixel_scale)
        shape = (-1, SIDE, SIDE, 1) if recipe.convolutions else (-1, SIDE * SIDE)
        return floats.reshape(shape)

    def evaluate(self, part: Part) -> tuple[float, float]:
        graph = self._graph
        images, labels = held_out_images(self._data, self._recipe, part)
        right, total = 0, 0.0
        for start in range(0, len(labels), CHUNK):
            targets = labels[start : start + CHUNK]
            fed = {
                graph.inputs: self._scaled(images[start : start + CHUNK]),
                graph.targets: targets,
            }
            correct, loss = self._session.run([graph.correct, graph.loss], feed_dict=fed)
            right, total = right + int(correct), total + float(loss) * len(targets)
        return right / len(labels), total / len(labels)

    def dead_share(self) -> float:
        fed = {self._graph.inputs: self._scaled(self._data.test_images[:CHUNK])}
        return dead_share(self._session.run(self._graph.hidden, feed_dict=fed))

    def variables(self) -> Mapping[str, Array]:
        return dict(self._session.run({**self._graph.trainable, **self._graph.moving}))

    def close(self) -> None:
        """Ends the session."""
        self._session.close()


class _Graph:
    """A recipe's graph in the default one: placeholders, network, loss, update."""

    def __init__(self, recipe: Recipe, feed: Feed, *, seed: int) -> None:
        self._recipe, self._dtype = recipe, tf.as_dtype(feed.precision)
        identity = recipe.task == "identity"
        self.trainable = {
            name: v1.get_variable(name, initializer=tf.constant(value))
            for name, value in feed.values.items()
        }
        self.moving: dict[str, Any] = {}
        self.hidden: list[Any] = []
        images = (SIDE, SIDE, 1) if recipe.convolutions else (SIDE * SIDE,)
        self.inputs = v1.placeholder(self._dtype, [None, *((1,) if identity else images)])
        self.targets = (
            v1.placeholder(self._dtype, [None, 1]) if identity else v1.placeholder(tf.int32, [None])
        )
        self.training = v1.placeholder_with_default(tf.constant(value=False), [])
        self.dropped = v1.placeholder_with_default(tf.zeros([], self._dtype), [])
        outputs = self._outputs(seed)
        self.loss = self._loss(outputs)
        best = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        self.correct = (
            tf.zeros([], tf.int32)
            if identity
            else tf.reduce_sum(tf.cast(tf.equal(best, self.targets), tf.int32))
        )

    def step(self, *, watched: bool) -> tuple[Any, Any, Sequence[Any]]:
        """Loss, numbers of the gradients, gradients; :attr:`update` then trains."""
        recipe = self._recipe
        optimizer = (
            # Its defaults are the recipe's: beta .9 and .999, epsilon 1e-8.
            v1.train.AdamOptimizer(recipe.learning_rate)
            if recipe.optimizer == "adam"
            else v1.train.GradientDescentOptimizer(recipe.learning_rate)
        )
        variables = list(self.trainable.values())
        pairs = optimizer.compute_gradients(self.loss, var_list=variables)
        gradients = [gradient for gradient, _ in pairs]
        cut = clipped(*split_number(recipe.clipping), gradients)
        numbers = of_gradients(gradients, cut) if watched else tf.zeros([0, 0], tf.float64)
        # The fetched numbers are those before the update.
        seen = [self.loss, numbers, *v1.get_collection(v1.GraphKeys.UPDATE_OPS)]
        with tf.control_dependencies(seen):
            self.update = optimizer.apply_gradients(list(zip(cut, variables, strict=True)))
        return self.loss, numbers, gradients

    def _outputs(self, seed: int) -> Any:
        recipe, signal = self._recipe, self.inputs
        for layer in range(1, len(recipe.convolutions) + 1):
            product = tf.nn.conv2d(signal, self.trainable[f"w{layer}"], strides=1, padding="SAME")
            signal = self._activated(self._biased(product, layer), layer)
            signal = tf.nn.max_pool2d(signal, ksize=POOL, strides=POOL, padding="VALID")
        convolutions = len(recipe.convolutions)
        if convolutions:
            signal = tf.reshape(signal, [-1, int(np.prod(signal.shape[1:]))])
        for number in range(len(recipe.hidden)):
            layer = convolutions + number + 1
            outputs = self._activated(self._dense(signal, layer), layer)
            signal = signal + outputs if recipe.skips and number else outputs
        if recipe.dropout:
            signal = tf.nn.dropout(signal, rate=self.dropped, seed=seed)
        last = convolutions + len(recipe.hidden) + 1
        outputs = self._dense(signal, last)
        return self._normalized(outputs, last) if recipe.normalized_logits else outputs

    def _dense(self, signal: Any, layer: int) -> Any:
        return self._biased(tf.matmul(signal, self.trainable[f"w{layer}"]), layer)

    def _biased(self, product: Any, layer: int) -> Any:
        return tf.nn.bias_add(product, self.trainable[f"b{layer}"])

    def _activated(self, signal: Any, layer: int) -> Any:
        if self._recipe.normalization == "batch":
            signal = self._normalized(signal, layer)
        self.hidden.append(_ACTIVATIONS[self._recipe.activation](signal))
        return self.hidden[-1]

    def _normalized(self, signal: Any, layer: int) -> Any:
        moments = tf.nn.moments(signal, list(range(len(signal.shape) - 1)))
        moving = []
        for kind, start, now in zip(("mean", "variance"), (0.0, 1.0), moments, strict=True):
            first = tf.fill(now.shape, tf.constant(start, self._dtype))
            kept = v1.get_variable(f"moving_{kind}_{layer}", initializer=first, trainable=False)
            share = 1.0 - self._recipe.momentum
            update = v1.assign_sub(kept, (kept - now) * tf.constant(share, self._dtype))
            v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
            self.moving[f"moving {kind} {layer}"] = kept
            moving.append(kept)
        mean, variance = tf.cond(
            self.training,
            lambda: (moments[0], moments[1]),
            lambda: (tf.identity(moving[0]), tf.identity(moving[1])),
        )
        return tf.nn.batch_normalization(
            signal,
            mean,
            variance,
            offset=self.trainable[f"beta{layer}"],
            scale=self.trainable[f"gamma{layer}"],
            variance_epsilon=BATCH_EPSILON,
        )

    def _loss(self, outputs: Any) -> Any:
        if self._recipe.task == "identity":
            return tf.reduce_mean(tf.square(self.targets - 2.0 * outputs))
        if self._recipe.loss == "crossentropy":
            return tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=self.targets, logits=outputs)
            )
        classes = tf.one_hot(self.targets, CLASSES, dtype=self._dtype)
        return tf.reduce_mean(tf.square(outputs - classes))
