"""Every tensor inside a network on one batch: forward, backward, and what the step leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.nets.images import scaled
from bench.nets.network import Network, dense, listed

keras = tf.keras

Arrays = Mapping[str, npt.NDArray[Any]]

INPUTS = "inputs"


@dataclass(frozen=True)
class Inside:
    """One batch seen from inside, as NumPy arrays by name.

    Args:
        tensors: in training mode, in order: ``inputs``, then as in :attr:`Network.inside`.
        loss: the batch's mean loss, a scalar.
        gradients: of that loss with respect to every tensor but the inputs and to every trainable
            variable.
        inference: tensors in inference mode, with the moving statistics as they were before the step.
        variables: as they were before the step, trainable and moving.
        moved: moving statistics after the step, by the variable's name.
        corrected: layers whose batch variance entered them with Bessel's correction.
    """

    tensors: Arrays
    loss: npt.NDArray[Any]
    gradients: Arrays
    inference: Arrays
    variables: Arrays
    moved: Arrays
    corrected: frozenset[str]


class InsideView:
    """Forward and backward pass in training mode, and a forward pass in inference mode, compiled into
    one graph each; the network is left as it was.

    Args:
        network: whose tensors.
        loss: ``loss(labels, logits)``, the batch mean.
    """

    def __init__(self, network: Network, loss: Callable[..., Any]) -> None:
        self._network = network
        names = list(network.inside)
        view = keras.Model(network.model.inputs, list(network.inside.values()))
        trainable = {id(variable) for variable in network.model.trainable_variables}
        parameters = {
            name: variable
            for name, variable in network.variables.items()
            if id(variable) in trainable
        }

        def outputs(inputs: Any, *, training: bool) -> dict[str, Any]:
            made = listed(view(inputs, training=training))
            return dict(zip(names, made))  # noqa: B905 - AutoGraph of 2.12

        @tf.function
        def look(pixels: Any, labels: Any, pixel_scale: Any) -> Any:
            inputs = scaled(network.cell, pixels, pixel_scale)
            with tf.GradientTape() as tape:
                tape.watch(inputs)  # what comes before all variables has a gradient, too
                tensors = outputs(inputs, training=True)
                value = loss(labels, tensors[names[-1]])
            found = tape.gradient(value, {**tensors, **parameters})
            gradients = {name: dense(gradient) for name, gradient in found.items()}
            return {INPUTS: inputs, **tensors}, value, gradients

        @tf.function
        def infer(pixels: Any, pixel_scale: Any) -> Any:
            return outputs(scaled(network.cell, pixels, pixel_scale), training=False)

        batch = (tf.TensorSpec([None, 784], tf.uint8), tf.TensorSpec([None], tf.int32))
        scalar = tf.TensorSpec([], tf.float64)
        self._look = look.get_concrete_function(*batch, scalar)
        self._infer = infer.get_concrete_function(batch[0], scalar)

    def __call__(self, pixels: Any, labels: Any, pixel_scale: Any) -> Inside:
        """Looks at one batch.

        Args:
            pixels: bytes (batch, 784).
            labels: integers (batch,).
            pixel_scale: as for :func:`bench.nets.images.scaled`.
        """
        network = self._network
        pixels = tf.constant(np.asarray(pixels, np.uint8))
        labels = tf.constant(np.asarray(labels, np.int32))
        before = _numpy(network.variables)
        inference = _numpy(self._infer(pixels, pixel_scale))
        tensors, loss, gradients = self._look(pixels, labels, pixel_scale)
        moving = {name: value for name, value in network.variables.items() if "moving" in name}
        moved = _numpy(moving)
        for name, variable in moving.items():
            variable.assign(before[name])
        order = [INPUTS, *network.inside]
        return Inside(
            tensors=_numpy({name: tensors[name] for name in order}),
            loss=np.asarray(loss),
            gradients=_numpy(gradients),
            inference=_numpy({name: inference[name] for name in network.inside}),
            variables=before,
            moved=moved,
            corrected=frozenset(
                name for name, layer in network.normalizations.items() if _corrects(layer)
            ),
        )


def _corrects(layer: Any) -> bool:
    """Keras 2 gives images to TensorFlow's fused kernel, whose batch variance, as it leaves the kernel,
    is divided by n - 1; Keras 3 never does."""
    moving = getattr(layer, "moving_variance", None) is not None
    return moving and bool(getattr(layer, "fused", False))


def _numpy(tensors: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Variables of Keras 3 become arrays through their own method, tensors through NumPy's."""
    return {
        name: np.asarray(value.numpy() if hasattr(value, "numpy") else value)
        for name, value in tensors.items()
    }
