"""Recurrent networks as operations: layers of :mod:`bench.theory.oracle.recurrent`, both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.cells.cell import Cell
from bench.cells.recurrent import directions
from bench.theory.oracle import operations
from bench.theory.oracle.operations import Operation
from bench.theory.oracle.recurrent import KINDS, Array, backward, forward
from bench.theory.oracle.recurrent_steps import Weights, split


def layer(
    name: str, activation: str, output: str, inputs: str, of_each: Sequence[str]
) -> Operation:
    """A recurrent layer that gives its outputs at all steps.

    Args:
        name: of :data:`KINDS`.
        activation: of :data:`bench.theory.activations.ACTIVATION`.
        output: name of the outputs, (batch, steps, units of all directions).
        inputs: name of the inputs, (batch, steps, ..).
        of_each: names of one layer that reads forward, and perhaps one that reads backward, whose
            outputs are put behind the first one's, in the order of the inputs.
    """
    count = len(of_each)

    def parts(parameters: Sequence[Any]) -> list[Weights]:
        return [Weights(*parameters[3 * place : 3 * place + 3]) for place in range(count)]

    def run(x: Any, parameters: Sequence[Any], known: Any = None) -> Any:
        start = [None] * count if known is None else split(known, count)
        outputs = []
        for place, (weights, states) in enumerate(zip(parts(parameters), start, strict=True)):
            at_hand = None if states is None else _turned(states, place)
            found, _, _ = forward(name, activation, _turned(x, place), weights, at_hand)
            outputs.append(_turned(found, place))
        return outputs[0] if count == 1 else np.concatenate(outputs, axis=-1)

    def back(
        x: Sequence[Any], parameters: Sequence[Any], output: Any, upstream: Any
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        total: Any = None
        gradients: list[Any] = []
        for place, (weights, states, arrived) in enumerate(
            zip(parts(parameters), split(output, count), split(upstream, count), strict=True)
        ):
            turned = [_turned(array, place) for array in (x[0], states, arrived)]
            dx, of_weights = backward(name, activation, turned[0], weights, *turned[1:])
            gradients += of_weights
            total = _turned(dx, place) if total is None else total + _turned(dx, place)
        return (total,), gradients

    return Operation(
        output=output,
        inputs=(inputs,),
        parameters=tuple(
            f"{each}, {kind}" for each in of_each for kind in ("kernel", "recurrent kernel", "bias")
        ),
        forward=lambda x, *parameters: run(x, parameters),
        backward=back,
        from_known=lambda known, x, *parameters: run(x, parameters, known),
    )


def _turned(array: Any, backward: int) -> Any:
    """(batch, steps, ..) in the order in which a layer takes the steps."""
    return array[:, ::-1] if backward else array


def final_state(output: str, inputs: str, count: int) -> Operation:
    """What a layer knows when it has read all: its output at the last step, and of a layer that reads
    backward that at the first."""

    def ahead(x: Any) -> Any:
        if count == 1:
            return x[:, -1]
        forward, backward = split(x, 2)
        return np.concatenate([forward[:, -1], backward[:, 0]], axis=-1)

    def back(
        x: Sequence[Any], _p: Any, _y: Any, upstream: Any
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        batch, others = x[0].shape[0], x[0].shape[1] - 1
        placed = [
            np.pad(
                part.reshape((batch, 1, part.shape[-1])),
                ((0, 0), ((0, others) if place else (others, 0)), (0, 0)),
            )
            for place, part in enumerate(split(upstream, count))
        ]
        return (placed[0] if count == 1 else np.concatenate(placed, axis=-1),), ()

    return Operation(output=output, inputs=(inputs,), forward=ahead, backward=back)


def wired(cell: Cell) -> list[Operation]:
    """Operations of a recurrent network, up to what its output layer takes."""
    steps: list[Operation] = []
    signal, count = "inputs", directions(cell)
    for number in range(1, cell.depth + 1):
        name, inputs, signal = f"layer {number}", signal, f"layer {number}, states"
        of_each = [name] if count == 1 else [f"{name}, forward", f"{name}, backward"]
        steps.append(layer(cell.architecture, cell.activation, signal, inputs, of_each))
        if cell.normalization != "none":
            output = f"{name}, normalized"
            steps.append(operations.normalization(cell.normalization, name, output, signal))
            signal = output
    return [*steps, final_state("final state", signal, count)]


def shapes(cell: Cell) -> list[tuple[int, ...]]:
    """Shapes of all parameters of a recurrent network, in order."""
    found: list[tuple[int, ...]] = []
    columns, count = KINDS[cell.architecture].gates * cell.width, directions(cell)
    inputs, outputs = cell.pixels, count * cell.width
    for _ in range(cell.depth):
        bias = (2, columns) if cell.architecture == "gru" else (columns,)
        found += [(inputs, columns), (cell.width, columns), bias] * count
        if cell.normalization != "none":
            found += [(outputs,)] * 2
        inputs = outputs
    return [*found, (outputs, 10), (10,)]


def initial_bias(cell: Cell, name: str, shape: tuple[int, ...]) -> Array:
    """First value of a bias: the cell's, and 1 more at LSTM's forget gate (Jozefowicz et al. 2015,
    section 2.2), Keras' ``unit_forget_bias``."""
    bias = np.full(shape, cell.bias)
    if cell.architecture == "lstm" and not name.startswith("output"):
        bias[cell.width : 2 * cell.width] += 1.0
    return bias
