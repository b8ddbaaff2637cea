"""Every tensor of one forward and backward pass, as NumPy arrays for :mod:`bench.theory.invariants`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells.cell import Cell
from bench.cells.initial_values import stream, uniform
from bench.nets.keras_version import keras_generation
from bench.nets.network import Network, build, listed
from bench.nets.optimizers import ClippedGradients, loss
from bench.theory.invariants import Layer, Normalization, Trace
from bench.theory.rounding.formats import Format

keras = tf.keras
Array = npt.NDArray[Any]

#: The loss, the probe's outputs, and the gradients of outputs and variables.
Pass = tuple[Any, list[Any], Any]


class Probe:
    """A cell's network, of which one build serves all its cells.

    It is run eagerly, operation by operation, unless ``traced``: TensorFlow takes as long to trace and
    optimize it as for the eager passes of three starts (depth 3) to five (depth 50 with batch norm),
    and then a pass costs next to nothing.

    Args:
        cell: the network; its initial values and clipping are named later.
        form: the format in which its hidden layers compute.
        output_form: that of its logits and variables.
        seen: takes every array that TensorFlow gives, and gives it back.
        traced: whether passes run as one ``tf.function``.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        form: Format,
        output_form: Format,
        seen: Callable[[Any], Array],
        traced: bool = False,
    ) -> None:
        self.cell = cell
        self._form, self._output_form, self._seen = form, output_form, seen
        self._network: Network = build(cell)
        self._loss = loss(cell)
        model = self._network.model
        parametric = [layer for layer in model.layers if hasattr(layer, "kernel")]
        self._norms = [layer for layer in model.layers if hasattr(layer, "gamma")]
        depth = cell.depth
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
        self._held: dict[tuple[int, bool], tuple[Array, Array]] = {}
        self._trace: Any = self._traceable() if traced else None

    def reset(self, cell: Cell, seed: int) -> None:
        """Initial values of (cell, seed); scales and shifts of normalizations are drawn from 0.5..1.5
        and -0.5..0.5, because at Keras' 1 and 0 a layer that forgot them would pass."""
        self._held.clear()
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
        inputs, labels = self._inputs(pixels), tf.constant(np.asarray(labels, np.int32))
        variables = self._network.model.trainable_variables
        passes = self._traced_passes if self._trace is not None else self._eager_passes
        traces: list[Trace] = []
        forward: list[Array] = []
        before = None
        for value, outputs, found in passes(inputs, labels, factors):
            if outputs is not before:  # the first is noted; that others agree, the checks see to
                take = self._seen if before is None else np.asarray
                forward = [_wide(take(tensor.numpy())) for tensor in (inputs, *outputs)]
                before = outputs
            backward = [None, *map(self._array, found[0])]
            by_variable = {
                id(variable): self._array(gradient)
                for variable, gradient in zip(variables, found[1], strict=True)
            }
            traces.append(
                Trace(
                    layers=[
                        self._layer(index, forward, backward, by_variable)
                        for index in range(self.cell.depth + 1)
                    ],
                    activation=self.cell.activation,
                    loss=float(self._seen(value.numpy()).reshape(())),
                    gradients=[by_variable[id(variable)] for variable in variables],
                )
            )
        return traces

    def _eager_passes(self, inputs: Any, labels: Any, factors: Sequence[float]) -> Iterator[Pass]:
        """One forward pass, and as many backward ones as there are factors."""
        variables = list(self._network.model.trainable_variables)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            outputs = self._outputs(inputs)
            value = self._loss(labels, outputs[-1])
            losses = [value * tf.constant(factor, value.dtype) for factor in factors]
        for scaled in losses:
            yield value, outputs, tape.gradient(scaled, [outputs, variables])

    def _traced_passes(self, inputs: Any, labels: Any, factors: Sequence[float]) -> Iterator[Pass]:
        """Both passes for each of the factors."""
        for factor in factors:
            yield self._trace(inputs, labels, tf.constant(factor, inputs.dtype))

    def _traceable(self) -> Any:
        """Both passes as a ``tf.function``, traced once for batches of all sizes."""
        variables = list(self._network.model.trainable_variables)
        (pixels,) = self._network.model.inputs
        signature = [
            tf.TensorSpec(pixels.shape, pixels.dtype),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([], pixels.dtype),
        ]

        @tf.function(input_signature=signature, autograph=False)
        def trace(inputs: Any, labels: Any, factor: Any) -> Pass:
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = self._outputs(inputs)
                value = self._loss(labels, outputs[-1])
                scaled = value * factor
            return value, outputs, tape.gradient(scaled, [outputs, variables])

        return trace

    def _outputs(self, inputs: Any) -> list[Any]:
        return listed(self._probe(inputs, training=True))

    def clip(self, cell: Cell, gradients: Sequence[Array]) -> list[Array]:
        """What the cell's optimizer makes of gradients, given in the order of the variables."""
        dtype = self._network.start[0].dtype
        given = [tf.constant(np.asarray(gradient, dtype)) for gradient in gradients]
        clipped = ClippedGradients(cell, self._network.model.trainable_variables)(given)
        return [self._seen(array).astype(np.float64) for array in clipped]

    def _inputs(self, pixels: Array) -> Any:
        inputs = tf.constant(np.asarray(pixels, self._network.start[0].dtype))
        return tf.reshape(inputs, (-1, 28, 28, 1)) if self.cell.architecture == "cnn" else inputs

    def _array(self, tensor: Any) -> Array:
        """float64; the bits are noted before."""
        return _wide(self._seen(tensor.numpy()))

    def _layer(
        self,
        index: int,
        forward: Sequence[Array],
        backward: Sequence[Array | None],
        by_variable: dict[int, Array],
    ) -> Layer:
        """Positions follow the probe's outputs: L inputs, L pre-normalization, L z, L a, logits; the
        inputs of the first layer come before them."""
        depth = self.cell.depth
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
        """The variable as its layer computes with it: mixed precision casts it first.

        Passes change no variable, so each is read once after a :meth:`reset`.
        """
        key = id(variable), hidden
        if key not in self._held:
            low = _LOW.get(self.cell.precision) if hidden else None
            value = tf.convert_to_tensor(variable)
            bits = (value if low is None else tf.cast(value, low)).numpy()
            self._held[key] = bits, _wide(bits)
        bits, wide = self._held[key]
        self._seen(bits)
        return wide


#: Types in which mixed precision computes.
_LOW = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}


def _wide(array: Array) -> Array:
    return array.astype(np.float64)


def _given(gradient: Array | None) -> Array:
    if gradient is None:
        raise ValueError("TensorFlow has no gradient for a layer's outputs: is it disconnected?")
    return gradient
