"""The stacks of convolutions of :mod:`bench.nets.convolutional` as operations."""

from __future__ import annotations

from collections.abc import Iterator

from bench.cells.architectures import halving
from bench.cells.cell import Cell
from bench.theory.oracle import formulas, operations
from bench.theory.oracle.operations import Operation
from bench.theory.oracle.tape import Traced

CLASSES = 10
SIDE = 3


def hidden(cell: Cell) -> list[Operation]:
    """All operations up to what the output layer takes."""
    steps: list[Operation] = []
    signal = "inputs"
    for number in range(1, cell.depth + 1):
        steps += _layer(cell, number, signal)
        signal = steps[-1].output
    return [*steps, operations.taped("mean of places", (signal,), lambda x: x.mean((1, 2)))]


def _layer(cell: Cell, number: int, signal: str) -> Iterator[Operation]:
    layer, half = f"layer {number}", number in halving(cell)
    strided = half and cell.pooling == "strided"
    last = f"{layer}, kernel output"
    yield _convolution(cell, layer, last, signal, 2 if strided else 1)
    if cell.normalization != "none":
        before, last = last, f"{layer}, normalized"
        yield operations.normalization(cell.normalization, layer, last, before)
    before, last = last, f"{layer}, activation"
    yield operations.activation(cell.activation, last, before)
    if cell.architecture == "conv_residual" and number > 1 and not strided:
        before, last = last, f"{layer}, sum"
        yield operations.addition(last, (signal, before))
    if half and not strided:
        yield operations.pooling(cell.pooling, f"{layer}, pooled", last)


def _convolution(cell: Cell, layer: str, output: str, inputs: str, steps: int) -> Operation:
    if cell.convolution == "full" and steps == 1:
        return operations.kernel(layer, output, inputs, convolutional=True)

    def full(x: Traced, kernel: Traced, bias: Traced) -> Traced:
        return formulas.correlated(x, kernel, _tables(x, steps)) + bias

    def separable(x: Traced, depthwise: Traced, pointwise: Traced, bias: Traced) -> Traced:
        seen = formulas.depthwise(x, depthwise, _tables(x, steps))
        return seen @ pointwise.reshape(*pointwise.shape[-2:]) + bias

    formula, kernels = (
        (full, ("kernel",))
        if cell.convolution == "full"
        else (separable, ("depthwise kernel", "pointwise kernel"))
    )
    parameters = tuple(f"{layer}, {kind}" for kind in (*kernels, "bias"))
    return operations.taped(output, (inputs,), formula, parameters)


def _tables(x: Traced, steps: int) -> list[formulas.Array]:
    return formulas.grid(x.shape[1:3], (SIDE, SIDE), stride=steps, padding="same")


def shapes(cell: Cell) -> list[tuple[int, ...]]:
    """Shapes of all parameters, in order."""
    made: list[tuple[int, ...]] = []
    for number in range(cell.depth):
        inputs, filters = cell.filters if number else 1, (cell.filters,)
        if cell.convolution == "full":
            made.append((SIDE, SIDE, inputs, *filters))
        else:
            made += [(SIDE, SIDE, inputs, 1), (1, 1, inputs, *filters)]
        made += [filters] * (1 if cell.normalization == "none" else 3)
        made += [(1, 1, *filters)] if cell.activation == "prelu" else []
    return [*made, (cell.filters, CLASSES), (CLASSES,)]
