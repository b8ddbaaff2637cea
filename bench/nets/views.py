"""Looking into a network: gradients and signals on a batch, accuracy and dead units on the test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells import recurrent
from bench.cells.cell import Cell
from bench.measure.tensors import BATCH_LOGITS
from bench.nets.images import Images, scaled
from bench.nets.network import Network, dense, listed

Arrays = Sequence[npt.NDArray[Any]]

#: Test images per forward pass: large enough to be fast, small enough for 50 layers of activations.
CHUNK = 1000
#: States of a recurrent layer, over all steps and images of a pass: what 112 steps of 100 units have,
#: 45 MB in float32. TensorFlow holds about ten such arrays at a time.
MOST_STATES = CHUNK * 112 * 100


@dataclass(frozen=True)
class Signals:
    """One batch seen from inside, as NumPy arrays.

    ``signals`` and ``activations`` have an array (batch, .., units) per hidden layer; ``signals`` are
    derivatives of each example's own loss. ``gradients`` has one array per trainable variable, of the
    batch's mean loss. ``tensors`` has the tensors of the pass by name, in the order of the
    computation: forward as in :attr:`Network.inside`, the logits in inference mode where that
    differs, and backward the gradients of the mean loss. A kernel's output that an activation takes
    as it is, is left out: TensorFlow fuses the two, unless somebody looks in between, and then
    computes other bits.
    """

    signals: Arrays
    activations: Arrays
    gradients: Arrays
    tensors: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Evaluation:
    """The test set seen in inference mode. ``dead_units``: per hidden layer a bool per unit;
    ``logits``: (images, classes)."""

    accuracy: float
    loss: float
    dead_units: Arrays
    logits: npt.NDArray[Any]


class BatchView:
    """Forward and backward pass in training mode that leaves the network as it was."""

    def __init__(self, network: Network, loss: Callable[..., Any], images: Images) -> None:
        self._network = network
        self._variables = list(network.model.trainable_variables)
        self._states = network.model.non_trainable_variables
        names = list(network.inside)
        view = tf.keras.Model(network.model.inputs, list(network.inside.values()))
        modes_differ = network.cell.normalization == "batch" or network.cell.dropout > 0
        fused = [name for name in network.pre_activations if name.endswith("kernel output")]

        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.float64)]
        )
        def look(indices: Any, pixel_scale: Any) -> Any:
            inputs = scaled(network.cell, tf.gather(images.train_images, indices), pixel_scale)
            labels = tf.gather(images.train_labels, indices)
            inference = network.model(inputs, training=False) if modes_differ else None
            with tf.GradientTape() as tape:
                inside = dict(zip(names, listed(view(inputs, training=True))))  # noqa: B905 - AutoGraph of 2.12
                value = loss(labels, inside[names[-1]])
            hidden = [inside[name] for name in network.pre_activations]
            for name in fused:
                del inside[name]
            of_hidden, of_variables = tape.gradient(value, [hidden, self._variables])
            return inside, inference, (of_hidden, [dense(gradient) for gradient in of_variables])

        self._look = look

    def __call__(self, indices: npt.NDArray[np.int32], pixel_scale: Any) -> Signals:
        """Looks at the training examples ``indices``, int32 (batch,)."""
        network = self._network
        before = [state.numpy() for state in self._states]
        inside, inference, (of_hidden, of_variables) = self._look(tf.constant(indices), pixel_scale)
        for state, value in zip(self._states, before, strict=True):
            state.assign(value)
        forward = {name: np.asarray(inside[name]) for name in network.inside if name in inside}
        signals = dict(zip(network.pre_activations, _numpy(of_hidden), strict=True))
        gradients = _numpy(of_variables)
        by_variable = {
            id(variable): gradient
            for variable, gradient in zip(self._variables, gradients, strict=True)
        }
        backward = signals | {
            name: by_variable[id(variable)]
            for name, variable in network.variables.items()
            if id(variable) in by_variable
        }
        return Signals(
            signals=[
                signal * np.asarray(len(indices), signal.dtype) for signal in signals.values()
            ],
            activations=[forward[name] for name in network.activations],
            gradients=gradients,
            tensors={
                **forward,
                **({} if inference is None else {BATCH_LOGITS: np.asarray(inference)}),
                **{f"{name}, gradient": backward[name] for name in reversed(backward)},
            },
        )


def images_at_once(cell: Cell, count: int) -> int:
    """How many of ``count`` images a pass takes: a divisor of it, and so few of a long reading that
    they fit into the memory of a worker."""
    most = min(CHUNK, count)
    if cell.architecture in recurrent.ARCHITECTURES:
        states = recurrent.steps(cell) * recurrent.directions(cell) * cell.width
        most = max(min(most, MOST_STATES // states), 1)
    return next(size for size in range(most, 0, -1) if count % size == 0)


class TestView:
    """Forward pass over the test set in inference mode."""

    __test__ = False  # pytest: not a test class

    def __init__(self, network: Network, loss: Callable[..., Any], images: Images) -> None:
        depth = network.cell.depth
        units = [output.shape[-1] for output in network.view.outputs[depth:-1]]
        count = int(images.test_labels.shape[0])
        chunk = images_at_once(network.cell, count)
        self._count = count

        @tf.function(input_signature=[tf.TensorSpec([], tf.float64)])
        def look(pixel_scale: Any) -> Any:
            correct = tf.zeros([], tf.int32)
            total = tf.zeros([], tf.float64)
            alive = [tf.zeros([width], tf.bool) for width in units]
            logits = tf.TensorArray(network.view.outputs[-1].dtype, size=count // chunk)
            for start in tf.range(0, count, chunk):
                pixels = images.test_images[start : start + chunk]
                labels = images.test_labels[start : start + chunk]
                outputs = listed(
                    network.view(scaled(network.cell, pixels, pixel_scale), training=False)
                )
                best = tf.argmax(outputs[-1], axis=-1, output_type=labels.dtype)
                correct += tf.reduce_sum(tf.cast(best == labels, tf.int32))
                total += tf.cast(loss(labels, outputs[-1]), tf.float64) * chunk
                logits = logits.write(start // chunk, outputs[-1])
                alive = [
                    before | tf.reduce_any(now != 0, axis=list(range(len(now.shape) - 1)))
                    for before, now in zip(alive, outputs[depth:-1])  # noqa: B905 - AutoGraph of 2.12
                ]
            return correct, total, alive, logits.concat()

        self._look = look

    def __call__(self, pixel_scale: Any) -> Evaluation:
        """Evaluates the network as it is."""
        correct, total, alive, logits = self._look(pixel_scale)
        return Evaluation(
            accuracy=int(correct) / self._count,
            loss=float(total) / self._count,
            dead_units=[~units for units in _numpy(alive)],
            logits=np.asarray(logits),
        )


def _numpy(tensors: Sequence[Any]) -> list[npt.NDArray[Any]]:
    return [np.asarray(tensor) for tensor in tensors]
