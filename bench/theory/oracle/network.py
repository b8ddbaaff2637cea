"""Oracle: a cell's network as a list of operations that arrays of every kind pass through."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cells import initial_values
from bench.cells.architectures import CONVOLUTIONAL, PRELU_SLOPE
from bench.cells.cell import Cell
from bench.theory.oracle import attention, convolutional, layers, operations, recurrent_network
from bench.theory.oracle.losses import LOSS
from bench.theory.oracle.operations import Operation
from bench.theory.oracle.recurrent import KINDS as RECURRENT

Arrays = Mapping[str, Any]

#: Names of what goes into the first operation and what comes out of the last.
INPUTS = "inputs"
LOGITS = "logits"

#: Ends of the names of parameters whose first values are drawn.
DRAWN = ("kernel", "embeddings")

CLASSES = 10
#: (height, width, channels) of an image, and the side of a ``cnn``'s kernels.
IMAGE = (28, 28, 1)
SIDE = 5


def same(_: Operation | None, array: Any) -> Any:
    """An array as it is."""
    return array


@dataclass(frozen=True)
class Known:
    """Tensors of a framework, from which every operation starts instead of from the oracle's, so that
    what comes out is the work of that one operation.

    Args:
        tensors: outputs of the operations, by name.
        gradients: gradients of the loss with respect to them, by name; for a backward pass.
        lift: ``lift(operation, array)`` makes of an array what the operation is given; the operation is
            None for the loss.
    """

    tensors: Arrays
    gradients: Arrays = field(default_factory=dict)
    lift: Callable[[Operation | None, Any], Any] = same


class Oracle:
    """A cell's network, forward and backward, as pure functions of arrays.

    Parameters are a list in the order of Keras' ``model.trainable_variables``; moving statistics one in
    the order of its ``non_trainable_variables``. They, and the inputs, may be float64, complex128,
    :class:`bench.theory.rounding.arrays.Bounded` or
    :class:`bench.theory.rounding.arrays.Stochastic` arrays.

    Args:
        cell: the network's cell; its optimizer and clipping do not matter here.

    Raises:
        ValueError: mixed precision, or dropout, whose mask the framework draws.

    Example:
        >>> oracle = Oracle(Cell(depth=1, width=3))
        >>> [operation.output for operation in oracle.operations]
        ['layer 1, kernel output', 'layer 1, activation', 'logits']
        >>> oracle.parameters
        ('layer 1, kernel', 'layer 1, bias', 'output layer, kernel', 'output layer, bias')
    """

    def __init__(self, cell: Cell) -> None:
        if cell.precision not in ("float32", "float64"):
            raise ValueError(
                f"precision:{cell.precision} is out of the oracle's reach; it knows float32, float64"
            )
        if cell.dropout:
            raise ValueError("the oracle has no dropout: the framework draws its masks")
        self.cell = cell
        self.operations: Sequence[Operation] = _wired(cell)
        self.parameters = tuple(
            name for operation in self.operations for name in operation.parameters
        )
        self.moving = tuple(name for operation in self.operations for name in operation.moving)
        self._loss = LOSS[cell.loss]

    # --- Values before the first step

    def initial(self, seed: int) -> list[npt.NDArray[np.float64]]:
        """Parameters before the first step, rounded to the cell's precision, as float64."""
        dtype = np.float64 if self.cell.precision == "float64" else np.float32
        values = []
        layer = 0
        for name, shape in zip(
            self.parameters, SHAPES[self.cell.architecture](self.cell), strict=True
        ):
            if name.endswith("recurrent kernel"):
                drawn = initial_values.recurrent_kernel(
                    self.cell.recurrent, shape, seed=seed, layer=layer - 1
                )
            elif name.endswith(DRAWN):
                drawn = initial_values.kernel(self.cell.initializer, shape, seed=seed, layer=layer)
                layer += 1
            elif name.endswith("bias"):
                drawn = recurrent_network.initial_bias(self.cell, name, shape)
            else:
                kinds = {"gamma": 1.0, "beta": 0.0, "slope": PRELU_SLOPE}
                drawn = np.full(shape, kinds[name.rpartition(", ")[2]])
            values.append(drawn.astype(dtype).astype(np.float64))
        return values

    def initial_moving(self) -> list[npt.NDArray[np.float64]]:
        """Moving means, 0, and variances, 1, before the first step."""
        shapes = dict(zip(self.parameters, SHAPES[self.cell.architecture](self.cell), strict=True))
        return [
            np.full(
                shapes[name.replace(name.rpartition(", ")[2], "gamma")],
                1.0 if name.endswith("variance") else 0.0,
            )
            for name in self.moving
        ]

    # --- Forward

    def forward(
        self,
        parameters: Sequence[Any],
        inputs: Any,
        *,
        training: bool = True,
        moving: Sequence[Any] | None = None,
        known: Known | None = None,
    ) -> dict[str, Any]:
        """Every operation's output by name, in order; the last is ``logits``, (batch, classes).

        Args:
            parameters: in the order of :attr:`parameters`.
            inputs: (batch, 784); (batch, 28, 28, 1) for convolutions; (batch, steps, pixels) for a
                recurrent network.
            training: whether batch normalization takes the batch's statistics or ``moving``.
            moving: in the order of :attr:`moving`; needed unless training.
            known: where each operation takes its inputs from; None for the operations before it.
        """
        lift = known.lift if known else same
        values = dict(zip(self.parameters, parameters, strict=True))
        if not training:
            values.update(zip(self.moving, moving or (), strict=True))
        outputs: dict[str, Any] = {}
        at_hand = {INPUTS: inputs, **(known.tensors if known else {})}
        for operation in self.operations:
            aside = operation.inference and not training
            names = (*operation.parameters, *(operation.moving if aside else ()))
            given = [at_hand[name] for name in operation.inputs]
            given += [values[name] for name in names]
            function = operation.inference if aside else operation.forward
            if known is not None and operation.from_known is not None:
                function = operation.from_known
                given.insert(0, known.tensors[operation.output])
            assert function is not None
            output = function(*(lift(operation, array) for array in given))
            outputs[operation.output] = output
            if known is None:
                at_hand[operation.output] = output
        return outputs

    def loss(self, logits: Any, labels: Any) -> Any:
        """The batch mean of the cell's loss, a scalar; labels are integers (batch,)."""
        return self._loss.value(logits, labels)

    def moved(
        self,
        moving: Sequence[Any],
        inputs: Any,
        tensors: Arrays,
        *,
        momentum: float = layers.MOMENTUM,
        corrected: Callable[[Operation], bool] = lambda _: False,
        lift: Callable[[Operation | None, Any], Any] = same,
    ) -> list[Any]:
        """Moving statistics after a step on a batch.

        Args:
            moving: before the step.
            inputs: of the network.
            tensors: outputs of the operations in training mode.
            momentum: share of what was.
            corrected: whether an operation's batch variance enters with Bessel's correction.
            lift: as in :class:`Known`.
        """
        before = dict(zip(self.moving, moving, strict=True))
        at_hand = {INPUTS: inputs, **tensors}
        after: list[Any] = []
        for operation in self.operations:
            if operation.moments is None:
                continue
            x = lift(operation, at_hand[operation.inputs[0]])
            mean, variance = operation.moments(x)
            if corrected(operation):
                variance = variance * layers.bessel(x.size // variance.size)
            for name, statistic in zip(operation.moving, (mean, variance), strict=True):
                old = lift(operation, before[name])
                after.append(layers.moving(old, statistic, momentum=momentum))
        return after

    # --- Backward

    def backward(
        self,
        parameters: Sequence[Any],
        inputs: Any,
        tensors: Arrays,
        labels: Any,
        *,
        known: Known | None = None,
    ) -> dict[str, Any]:
        """Gradients of the batch-mean loss in training mode, by name of operation output or parameter,
        in the order of their computation.

        Args:
            parameters: in the order of :attr:`parameters`.
            inputs: of the network.
            tensors: what :meth:`forward` returned; not looked at if ``known`` is given.
            labels: integers (batch,).
            known: where each operation takes tensors and upstream gradients from.
        """
        lift = known.lift if known else same
        at_hand = {INPUTS: inputs, **(known.tensors if known else tensors)}
        values = dict(zip(self.parameters, parameters, strict=True))
        gradients = {LOGITS: self._loss.gradient(lift(None, at_hand[LOGITS]), labels)}
        upstreams = known.gradients if known else gradients
        for operation in reversed(self.operations):
            to_inputs, to_parameters = operation.backward(
                [lift(operation, at_hand[name]) for name in operation.inputs],
                [lift(operation, values[name]) for name in operation.parameters],
                lift(operation, at_hand[operation.output]),
                lift(operation, upstreams[operation.output]),
            )
            gradients.update(zip(operation.parameters, to_parameters, strict=True))
            for name, gradient in zip(operation.inputs, to_inputs, strict=True):
                if name != INPUTS:
                    earlier = gradients.pop(name, None)  # to be behind what it waited for
                    gradients[name] = gradient if earlier is None else earlier + gradient
        return gradients

    def gradients(
        self, parameters: Sequence[Any], inputs: Any, labels: Any
    ) -> tuple[Any, list[Any]]:
        """The batch-mean loss and its gradient with respect to each parameter."""
        tensors = self.forward(parameters, inputs)
        gradients = self.backward(parameters, inputs, tensors, labels)
        return self.loss(tensors[LOGITS], labels), [gradients[name] for name in self.parameters]


def parameters(cell: Cell) -> list[str]:
    """Names of a network's parameters, in the order of Keras' ``trainable_variables``."""
    return [name for operation in _wired(cell) for name in operation.parameters]


def _wired(cell: Cell) -> list[Operation]:
    """The network's operations in order; a tensor's name says which layer made it."""
    steps = HIDDEN[cell.architecture](cell)
    signal = steps[-1].output if steps else INPUTS
    return [*steps, operations.kernel("output layer", LOGITS, signal)]


def _stacked(cell: Cell) -> list[Operation]:
    """Dense layers, convolutions before them if the cell has any."""
    steps: list[Operation] = []
    signal = INPUTS
    for number in range(1, cell.depth + 1):
        layer, skipped = f"layer {number}", signal
        convolutional = cell.architecture == "cnn" and number < 3
        steps += _hidden(cell, layer, signal, convolutional=convolutional)
        if convolutional:
            steps.append(operations.pooling(cell.pooling, f"{layer}, pooled", steps[-1].output))
            if number == 2:
                steps.append(operations.flattening("flattened", steps[-1].output))
        elif cell.architecture == "residual" and number > 1:
            if cell.branch == "scaled":
                scale = 1 / math.sqrt(cell.depth)
                branch = operations.rescaling(scale, f"{layer}, scaled branch", steps[-1].output)
                steps.append(branch)
            steps.append(operations.addition(f"{layer}, sum", (skipped, steps[-1].output)))
        signal = steps[-1].output
    return steps


def _hidden(cell: Cell, layer: str, inputs: str, *, convolutional: bool) -> Iterator[Operation]:
    """Kernel, normalization and activation of a layer."""
    kernel = operations.kernel(
        layer, f"{layer}, kernel output", inputs, convolutional=convolutional
    )
    yield kernel
    signal = kernel.output
    if cell.normalization != "none":
        signal = f"{layer}, normalized"
        yield operations.normalization(cell.normalization, layer, signal, kernel.output)
    yield operations.activation(cell.activation, f"{layer}, activation", signal)


def _stacked_shapes(cell: Cell) -> list[tuple[int, ...]]:
    """Shapes of all parameters of such a network, in order."""
    if cell.architecture == "cnn":
        places, filters = (IMAGE[0] // 4) * (IMAGE[1] // 4), cell.filters
        kernels: list[tuple[int, ...]] = [
            (SIDE, SIDE, IMAGE[2], filters),
            (SIDE, SIDE, filters, 2 * filters),
            (places * 2 * filters, 32 * filters),
            (32 * filters, CLASSES),
        ]
    else:
        sizes = [math.prod(IMAGE), *[cell.width] * cell.depth, CLASSES]
        kernels = list(itertools.pairwise(sizes))
    vectors = [1 if cell.normalization == "none" else 3] * (len(kernels) - 1) + [1]
    return [
        shape
        for kernel, count in zip(kernels, vectors, strict=True)
        for shape in (kernel, *[(kernel[-1],)] * count)
    ]


#: Architecture -> its operations in order, up to what the output layer takes.
HIDDEN: Mapping[str, Callable[[Cell], list[Operation]]] = {
    **dict.fromkeys(("mlp", "residual", "cnn"), _stacked),
    **dict.fromkeys(RECURRENT, recurrent_network.wired),
    "transformer": attention.hidden,
    **dict.fromkeys(CONVOLUTIONAL, convolutional.hidden),
}
#: Architecture -> shapes of all parameters in order, the output layer's included.
SHAPES: Mapping[str, Callable[[Cell], list[tuple[int, ...]]]] = {
    **dict.fromkeys(("mlp", "residual", "cnn"), _stacked_shapes),
    **dict.fromkeys(RECURRENT, recurrent_network.shapes),
    "transformer": attention.shapes,
    **dict.fromkeys(CONVOLUTIONAL, convolutional.shapes),
}
