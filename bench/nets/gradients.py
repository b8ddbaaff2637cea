"""Every tensor of one forward and backward pass, as NumPy arrays for :mod:`bench.theory.invariants`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cell import Cell
from bench.initial import stream, uniform
from bench.nets.network import Network, build
from bench.nets.optimizers import ClippedGradients, loss
from bench.nets.parts import keras_generation
from bench.theory.invariants import Layer, Normalization, Trace
from bench.theory.rounding import Format

keras = tf.keras
Array = npt.NDArray[Any]


class Probe:
    """A cell's network, looked at in eager mode: nothing is compiled, one build serves all its cells.

    Args:
        cell: the network; its initial values and clipping are named later.
        form: the format in which its hidden layers compute.
        output_form: that of its logits and variables.
        seen: takes every array that TensorFlow gives, and gives it back.
    """

    def __init__(
        self, cell: Cell, *, form: Format, output_form: Format, seen: Callable[[Any], Array]
    ) -> None:
        self.cell = cell
        self._form, self._output_form, self._seen = form, output_form, seen
        self._network: Network = build(cell)
        self._loss = loss(cell)
        model = self._network.model
        parametric = [layer for layer in model.layers if hasattr(layer, "kernel")]
        self._norms = [layer for layer in model.layers if hasattr(layer, "gamma")]
        depth = cell.hidden_layers
        inner = self._network.view.outputs
        self._probe = keras.Model(
            model.inputs,
            [
                *[layer.input for layer in parametric[1:]],
                *[layer.output for layer in parametric[:-1]],
                *inner[: 2 * depth],
                model.outputs[0],
            ],
        )
        self._spare: Sequence[Any] = ()

    def reset(self, cell: Cell, seed: int) -> None:
        """Initial values of (cell, seed); scales and shifts of normalizations are drawn from 0.5..1.5
        and -0.5..0.5, because at Keras' 1 and 0 a layer that forgot them would pass."""
        self._network.reset(cell, seed)
        for index, norm in enumerate(self._norms):
            units = norm.gamma.shape[0]
            bits = stream(seed, "scale and shift", index)
            norm.gamma.assign((0.5 + uniform(bits, units)).astype(np.float32))
            norm.beta.assign((uniform(bits, units) - 0.5).astype(np.float32))

    def look(self, pixels: Array, labels: Array, factors: Sequence[float] = (1.0,)) -> list[Trace]:
        """One forward pass, and a backward pass from the mean loss times each of ``factors``.

        Args:
            pixels: (n, 784), values that the format has.
            labels: integers (n,).
        """
        inputs = self._inputs(pixels)
        variables = self._network.model.trainable_variables
        depth = self.cell.hidden_layers
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            outputs = self._probe(inputs, training=True)
            outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
            value = self._loss(tf.constant(labels), outputs[-1])
            losses = [value * tf.constant(factor, value.dtype) for factor in factors]
        forward = [self._array(tensor) for tensor in (inputs, *outputs)]
        traces = []
        for scaled in losses:
            found = tape.gradient(scaled, [outputs, list(variables)])
            backward = [None, *map(self._array, found[0])]
            by_variable = {
                id(variable): self._array(gradient)
                for variable, gradient in zip(variables, found[1], strict=True)
            }
            traces.append(
                Trace(
                    layers=[
                        self._layer(index, forward, backward, by_variable)
                        for index in range(depth + 1)
                    ],
                    activation=self.cell.activation,
                    loss=float(self._seen(value.numpy()).reshape(())),
                    gradients=[by_variable[id(variable)] for variable in variables],
                )
            )
        return traces

    def clip(self, cell: Cell, gradients: Sequence[Array]) -> list[Array]:
        """What the cell's optimizer makes of gradients, given in the order of the variables."""
        if not self._spare:
            self._spare = build(self.cell).model.trainable_variables
        dtype = self._network.start[0].dtype
        given = [tf.constant(np.asarray(gradient, dtype)) for gradient in gradients]
        clipped = ClippedGradients(cell, self._spare)(given)
        return [self._seen(array).astype(np.float64) for array in clipped]

    def _inputs(self, pixels: Array) -> Any:
        inputs = tf.constant(np.asarray(pixels, self._network.start[0].dtype))
        return tf.reshape(inputs, (-1, 28, 28, 1)) if self.cell.architecture == "cnn" else inputs

    def _array(self, tensor: Any) -> Array:
        """float64; the bits are noted before."""
        return self._seen(tensor.numpy()).astype(np.float64)

    def _layer(
        self,
        index: int,
        forward: Sequence[Array],
        backward: Sequence[Array | None],
        by_variable: dict[int, Array],
    ) -> Layer:
        """Positions follow the probe's outputs: L inputs, L pre-normalization, L z, L a, logits; the
        inputs of the first layer come before them."""
        depth = self.cell.hidden_layers
        hidden = index < depth
        last = 4 * depth + 1
        at_output = 1 + depth + index if hidden else last
        kernel, bias = self._network.kernels[index], self._network.biases[index]
        norm = None
        if hidden and self._norms:
            layer = self._norms[index]
            batch = self.cell.normalization == "batch"
            # Keras 2 scales and shifts what layer norm gives in 16 bits; all else is in float32.
            low = not batch and keras_generation() == 2
            norm = Normalization(
                axis=0 if batch else 1,
                epsilon=float(layer.epsilon),
                scale=self._used(layer.gamma, hidden=low),
                shift=self._used(layer.beta, hidden=low),
                scale_gradient=by_variable[id(layer.gamma)],
                shift_gradient=by_variable[id(layer.beta)],
                low=low,
            )
        return Layer(
            form=self._form if hidden else self._output_form,
            kernel=self._used(kernel, hidden=hidden),
            bias=self._used(bias, hidden=hidden),
            kernel_gradient=by_variable[id(kernel)],
            bias_gradient=by_variable[id(bias)],
            inputs=forward[index],
            inputs_gradient=backward[index],
            outputs=forward[at_output],
            outputs_gradient=_given(backward[at_output]),
            norm=norm,
            z=forward[1 + 2 * depth + index] if hidden else None,
            z_gradient=backward[1 + 2 * depth + index] if hidden else None,
            a=forward[1 + 3 * depth + index] if hidden else None,
            a_gradient=backward[1 + 3 * depth + index] if hidden else None,
            skip=hidden and index > 0 and self.cell.architecture == "residual",
            branch_scale=1 / math.sqrt(depth) if self.cell.branch == "scaled" and index else 1.0,
            pooled=self.cell.architecture == "cnn" and index < 2,
        )

    def _used(self, variable: Any, *, hidden: bool) -> Array:
        """The variable as its layer computes with it: mixed precision casts it first."""
        value = tf.convert_to_tensor(variable)
        name = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}
        low = name.get(self.cell.precision)
        return self._array(tf.cast(value, low) if hidden and low is not None else value)


def _given(gradient: Array | None) -> Array:
    if gradient is None:
        raise ValueError("TensorFlow has no gradient for a layer's outputs: is it disconnected?")
    return gradient
