"""A cell's training steps as a graph-and-session program: placeholders, ``feed_dict``, v1 optimizers.

What ``tf.compat.v1`` offers wherever it still exists: nothing of Keras takes part. Supported are plain
and residual MLPs without normalization and dropout, in float32 and float64, with every activation,
loss and clipping of a cell, of the optimizers SGD, momentum and Adam without weight decay.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells import initial_values
from bench.cells.cell import Cell
from bench.nets.builder import variable_dtype
from bench.nets.network import CLASSES
from bench.nets.optimizers import clipped

v1 = tf.compat.v1
Array = npt.NDArray[Any]

_ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "relu": tf.nn.relu,
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, alpha=0.3),
    "elu": tf.nn.elu,
    "selu": tf.nn.selu,
    "gelu": tf.nn.gelu,
    "silu": tf.nn.silu,
    "tanh": tf.nn.tanh,
    "sigmoid": tf.nn.sigmoid,
    "softplus": tf.nn.softplus,
}


def supports(cell: Cell) -> bool:
    """Whether :func:`train` knows the cell's network."""
    return (
        cell.architecture in ("mlp", "residual")
        and cell.normalization == "none"
        and cell.optimizer in ("sgd", "momentum", "adam")
        and not (cell.dropout or cell.weight_decay)
        and cell.precision in ("float32", "float64")
    )


def train(cell: Cell, seed: int, *, inputs: Array, labels: Array) -> tuple[Array, list[Array]]:
    """Trains from the cell's initial weights.

    Args:
        cell: what is trained.
        seed: of the initial weights.
        inputs: of each step, (steps, batch, 784), in the cell's precision.
        labels: integers (steps, batch).

    Returns:
        The loss before each step, (steps,), and kernel and bias of each layer after the last one.

    Raises:
        ValueError: a cell that is not supported.
    """
    if not supports(cell):
        raise ValueError(f"{cell.id()}: a session trains MLPs without normalization and dropout")
    with tf.Graph().as_default():
        images = v1.placeholder(variable_dtype(cell), [None, inputs.shape[-1]])
        classes = v1.placeholder(tf.int32, [None])
        variables = _variables(cell, seed, inputs.shape[-1])
        loss = _loss(cell, classes, _logits(cell, images, variables))
        step = _step(cell, loss, variables)
        losses = []
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            for batch, truth in zip(inputs, labels, strict=True):
                fed = {images: batch, classes: truth}
                losses.append(session.run([loss, step], feed_dict=fed)[0])
            return np.array(losses), list(session.run(variables))


def _variables(cell: Cell, seed: int, features: int) -> list[Any]:
    """Kernel and bias of each layer, by turns."""
    made = []
    sizes = [features, *[cell.width] * cell.depth, CLASSES]
    for layer, shape in enumerate(itertools.pairwise(sizes)):
        kernel = initial_values.kernel(cell.initializer, shape, seed=seed, layer=layer)
        for name, value in (("kernel", kernel), ("bias", np.full(shape[1], cell.bias))):
            made.append(
                v1.get_variable(
                    f"{name}_{layer}",
                    initializer=tf.constant(value, variable_dtype(cell)),
                    trainable=True,
                )
            )
    return made


def _logits(cell: Cell, images: Any, variables: Sequence[Any]) -> Any:
    signal = images
    for layer in range(cell.depth):
        product = tf.matmul(signal, variables[2 * layer])
        branch = _ACTIVATIONS[cell.activation](tf.nn.bias_add(product, variables[2 * layer + 1]))
        if cell.architecture == "residual" and layer:
            if cell.branch == "scaled":
                branch = branch * tf.constant(1 / math.sqrt(cell.depth), branch.dtype)
            branch = signal + branch
        signal = branch
    return tf.nn.bias_add(tf.matmul(signal, variables[-2]), variables[-1])


def _loss(cell: Cell, classes: Any, logits: Any) -> Any:
    if cell.loss == "crossentropy":
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=logits)
        )
    targets = tf.one_hot(classes, CLASSES, dtype=logits.dtype)
    return tf.reduce_mean(tf.square(tf.nn.softmax(logits) - targets))


def _step(cell: Cell, loss: Any, variables: Sequence[Any]) -> Any:
    optimizer = {
        "sgd": lambda: v1.train.GradientDescentOptimizer(cell.learning_rate),
        "momentum": lambda: v1.train.MomentumOptimizer(cell.learning_rate, 0.9),
        # Version 1 has 1e-8 where Keras has 1e-7.
        "adam": lambda: v1.train.AdamOptimizer(cell.learning_rate, epsilon=1e-7),
    }[cell.optimizer]()
    pairs = optimizer.compute_gradients(loss, var_list=list(variables))
    cut = clipped(*cell.clipping_rule, [gradient for gradient, _ in pairs])
    return optimizer.apply_gradients(zip(cut, variables, strict=True))
