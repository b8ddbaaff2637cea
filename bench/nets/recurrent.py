"""Recurrent layers over an image's pixels, and the gradients that go back through their steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells import initial_values
from bench.cells.cell import Cell
from bench.cells.recurrent import CLASSES, steps
from bench.nets.builder import Builder, Rule
from bench.nets.keras_version import keras_generation
from bench.results.flow import Products, finite_list
from bench.theory.oracle.recurrent import Through, forward
from bench.theory.oracle.recurrent_steps import Weights
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.formats import OF_PRECISION, Format

keras = tf.keras

#: Keras 3 gives a recurrent layer a variable for its dropout, a random one unless it gets a seed.
SEEDED = {"seed": 1} if keras_generation() == 3 else {}

FINAL_STATE = "final state"


def input_shape(cell: Cell) -> tuple[int, int]:
    """Steps, and pixels in each."""
    return steps(cell), cell.pixels


def layers(builder: Builder, signal: Any) -> Any:
    """Recurrent layers, each with a normalization behind it if the cell has any, and what the last one
    knows when it has read all: of a layer that reads backward that is its output at the first step."""
    cell = builder.cell
    for number in range(1, cell.depth + 1):
        name = f"layer {number}"
        signal = builder.noted(f"{name}, states", _layer(builder, name, signal))
        builder.pre_activations.append(f"{name}, states")
        builder.activations.append(f"{name}, states")
        first = builder.cells[-1][0]
        builder.hidden_kernels.append((first.kernel, first.bias))
        if cell.normalization != "none":
            signal = builder.normalized(name, signal)
    ends = [signal[:, -1, : cell.width]]
    if cell.direction == "bidirectional":
        ends.append(signal[:, 0, cell.width :])
        return builder.noted(FINAL_STATE, keras.layers.Concatenate(dtype=cell.precision)(ends))
    return builder.noted(FINAL_STATE, ends[0])


def _layer(builder: Builder, name: str, inputs: Any) -> Any:
    asked = builder.cell
    layer = getattr(keras.layers, CLASSES[asked.architecture])(
        asked.width,
        activation=asked.activation,
        return_sequences=True,
        kernel_initializer="zeros",
        recurrent_initializer="zeros",
        dtype=asked.precision,
        **SEEDED,
    )
    if asked.direction == "forward":
        outputs = layer(inputs)
        builder.cells.append([layer.cell])
        _noted(builder, name, layer.cell)
        return outputs
    both = keras.layers.Bidirectional(layer, dtype=asked.precision)
    outputs = both(inputs)
    builder.cells.append([both.forward_layer.cell, both.backward_layer.cell])
    for direction, cell in zip(("forward", "backward"), builder.cells[-1], strict=True):
        _noted(builder, f"{name}, {direction}", cell)
    return outputs


def _noted(builder: Builder, name: str, cell: Any) -> None:
    place = len(builder.kernels)
    builder.kernel(f"{name}, kernel", cell.kernel)
    builder.variables[f"{name}, recurrent kernel"] = cell.recurrent_kernel
    builder.bias(f"{name}, bias", cell.bias)
    shape = tuple(cell.recurrent_kernel.shape)
    builder.drawn += [
        (cell.recurrent_kernel, _kernel_rule(shape, place)),
        (cell.bias, _bias_rule(np.asarray(cell.bias.numpy(), np.float64))),
    ]


def _kernel_rule(shape: tuple[int, ...], place: int) -> Rule:
    return lambda cell, seed: initial_values.recurrent_kernel(
        cell.recurrent, shape, seed=seed, layer=place
    )


def _bias_rule(of_keras: npt.NDArray[np.float64]) -> Rule:
    """Keras' own first values, 1 of LSTM's forget gate (Jozefowicz et al. 2015) and else 0, are under
    test, and the cell's are added."""
    return lambda cell, _: of_keras + cell.bias


# --- Gradients over time ------------------------------------------------------------------------


@dataclass(frozen=True)
class Walk:
    """A cell's way through all steps, in the order in which it takes them.

    Args:
        cell: Keras' cell.
        inputs: (batch, steps, inputs).
        outputs: (batch, steps, units).
    """

    cell: Any
    inputs: npt.NDArray[Any]
    outputs: npt.NDArray[Any]


@dataclass(frozen=True)
class OverTime:
    """What :class:`TimeView` saw.

    Args:
        gradients: of each layer, in each direction, of each example's loss with respect to the state
            after each step: float64 (batch, steps, entries of the state), steps in the order in which
            the layer takes them.
        last: the last layer, in each direction.
    """

    gradients: Sequence[Sequence[npt.NDArray[np.float64]]]
    last: Sequence[Walk]

    def products(self, cell: Cell) -> Products | None:
        """The last layer's gradients by products of Jacobians, at the last :data:`MOST_STEPS` steps;
        None where rounding to 16 bits is not followed.

        Of the last layer only the last state enters the loss, so that all that arrives at an earlier
        one has gone through the Jacobians between the two.
        """
        if cell.precision.startswith("mixed"):
            return None
        form = OF_PRECISION[cell.precision]
        seen = [gradient[:EXAMPLES] for gradient in self.gradients[-1]]
        sums = [
            _by_products(cell, walk, form, gradient)
            for walk, gradient in zip(self.last, seen, strict=True)
        ]
        product, error = np.mean(sums, axis=0)
        measured = np.mean([np.square(gradient).mean(axis=(0, 2)) for gradient in seen], axis=0)
        return Products(
            measured=finite_list(measured[-MOST_STEPS:]),
            product=finite_list(product),
            error=finite_list(error),
        )


#: Examples, and most steps, of products of Jacobians: their number grows as the square of the steps.
#: A reading of 112 steps, seven pixels each, is followed to its first.
EXAMPLES, MOST_STEPS = 4, 112


def _by_products(
    cell: Cell, walk: Walk, form: Format, gradient: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Mean squares over examples and entries after each of the last steps, and bounds on the distance
    of measured ones: if entries p are off by at most e, their mean square is by at most
    mean(2 |p| e + e^2)."""
    bounded = [
        Bounded(np.asarray(array, np.float64), 0.0, form)
        for array in (
            walk.inputs[:EXAMPLES],
            walk.outputs[:EXAMPLES],
            *(variable.numpy() for variable in _variables(walk.cell)),
        )
    ]
    weights = Weights(*bounded[2:])
    _, states, kept = forward(
        cell.architecture, cell.activation, bounded[0], weights, known=bounded[1]
    )
    upstream = np.zeros_like(walk.outputs[:EXAMPLES], dtype=np.float64)
    upstream[:, -1] = gradient[:, -1, : weights.units]
    through = Through(cell.architecture, cell.activation, weights, states, kept)
    found = []
    for arrived in itertools.islice(through.arriving(Bounded(upstream, 0.0, form)), MOST_STEPS):
        value = np.concatenate([part.value for part in arrived], axis=-1)
        error = np.concatenate(
            [np.broadcast_to(part.error, part.shape) for part in arrived], axis=-1
        )
        found.append((np.square(value).mean(), (2 * np.abs(value) * error + error**2).mean()))
    return np.array(found[::-1]).T


def _variables(cell: Any) -> tuple[Any, Any, Any]:
    return cell.kernel, cell.recurrent_kernel, cell.bias


class TimeView:
    """Gradients of each example's loss with respect to the state after each step.

    A layer shows its states, but not what goes back from one to the next. So its cell is called step by
    step here, and zeros are added to each new state: the gradient with respect to these is what arrives
    there, from the loss and from all later steps. It runs eagerly, which is sooner done than traced.

    Args:
        cells: of each layer one cell, or one that reads forward and one that reads backward.
        normalizations: behind each layer, if there is one.
        head: makes logits of the last layer's final state.
        loss: ``loss(labels, logits)``, the batch mean.
    """

    def __init__(
        self,
        cells: Sequence[Sequence[Any]],
        normalizations: Sequence[Any],
        head: Callable[[Any], Any],
        loss: Callable[..., Any],
    ) -> None:
        self._cells = cells
        self._normalizations = normalizations
        self._head = head
        self._loss = loss

    def __call__(self, inputs: Any, labels: Any) -> OverTime:
        """Looks at one batch.

        Args:
            inputs: (batch, steps, pixels).
            labels: integers (batch,).
        """
        zeros: list[list[list[Any]]] = []
        signal = inputs
        with tf.GradientTape() as tape:
            for number, layer in enumerate(self._cells):
                outputs, last = [], []
                zeros.append([])
                for backward, cell in enumerate(layer):
                    read = tf.reverse(signal, [1]) if backward else signal
                    states, probes = _unrolled(cell, read, tape)
                    zeros[-1].append(probes)
                    last.append(Walk(cell, np.asarray(read), np.asarray(states)))
                    outputs.append(tf.reverse(states, [1]) if backward else states)
                signal = tf.concat(outputs, -1)
                if self._normalizations:
                    signal = self._normalizations[number](signal)
            width = outputs[0].shape[-1]
            ends = [signal[:, -1, :width], signal[:, 0, width:]]
            value = self._loss(labels, self._head(tf.concat(ends[: len(outputs)], -1)))
        found = tape.gradient(value, zeros)
        gradients = [
            [np.stack(direction, axis=1).astype(np.float64) * len(inputs) for direction in layer]
            for layer in found
        ]
        return OverTime(gradients, last)


def _unrolled(cell: Any, inputs: Any, tape: Any) -> tuple[Any, list[Any]]:
    """The cell's outputs, (batch, steps, units), and the zeros that were added to its state after each
    step."""
    sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
    low = cell.compute_dtype  # a state's, which mixed precision casts inputs to
    states = [tf.zeros([inputs.shape[0], size], low) for size in sizes]
    outputs, probes = [], []
    for read in tf.unstack(inputs, axis=1):  # whose gradient is one tensor, not one for each step
        _, states = cell(read, list(states))
        probes.append(tf.zeros([inputs.shape[0], sum(sizes)], low))
        tape.watch(probes[-1])
        added = tf.split(probes[-1], sizes, axis=-1)
        states = [state + zero for state, zero in zip(states, added, strict=True)]
        outputs.append(states[0])
    return tf.stack(outputs, axis=1), probes
