"""Network: a cell's Keras model, with a view of its inner signals.

Built from public Keras layers, which are the thing under test; the same code runs on Keras 2 and 3.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells import initial_values
from bench.cells import recurrent as recurrence
from bench.cells.architectures import CONVOLUTIONAL
from bench.cells.cell import Cell
from bench.nets import attention, convolutional, recurrent
from bench.nets.builder import Builder, Rule, variable_dtype

keras = tf.keras

CLASSES = 10

#: Entries of the largest kernel that is kept. As many as are kept take 80 MB at most; those of a
#: network of depth 50 under two initializers, 102 of them, take 10 MB.
LARGEST_KEPT = 784 * 100


@dataclass(frozen=True)
class Network:
    """A cell's model and what can be seen inside it.

    ``model`` maps images to logits; ``view`` maps them to ``[z_1, .., z_L, a_1, .., a_L, logits]``
    through the same layers: z_l is the input of hidden activation l and a_l its output. ``inside`` has
    every tensor from the first kernel's output to the logits by name, in order, and
    ``pre_activations`` and ``activations`` name the z_l and a_l among them; ``variables`` every
    variable, trainable or moving, by name; ``normalizations`` the layers between kernels and
    activations by name; ``hidden_kernels`` kernel and bias before each activation; ``drawn`` variables
    that have a rule of their own for their first value.

    Of a recurrent layer z_l and a_l are both its outputs at all steps; ``cells`` has Keras' cells of
    each such layer, and ``head`` is the output layer.
    """

    cell: Cell
    model: Any
    view: Any
    kernels: Sequence[Any]
    biases: Sequence[Any]
    drawn: Sequence[tuple[Any, Rule]]
    cells: Sequence[Sequence[Any]]
    head: Any
    start: Sequence[npt.NDArray[Any]]
    inside: Mapping[str, Any]
    pre_activations: Sequence[str]
    activations: Sequence[str]
    variables: Mapping[str, Any]
    normalizations: Mapping[str, Any]
    hidden_kernels: Sequence[tuple[Any, Any]]

    def reset(self, cell: Cell, seed: int) -> None:
        """Sets every variable to its value before the first step of (cell, seed).

        ``cell`` may differ from the network's own in what its graph does not contain.
        """
        dtype = self.start[0].dtype
        values = {
            id(variable): value
            for variable, value in zip(self.model.variables, self.start, strict=True)
        }
        for layer, variable in enumerate(self.kernels):
            drawn = _drawn(cell.initializer, tuple(variable.shape), seed, layer)
            values[id(variable)] = drawn.astype(dtype)
        for variable in self.biases:
            values[id(variable)] = np.full(tuple(variable.shape), cell.bias, dtype)
        for variable, rule in self.drawn:
            values[id(variable)] = rule(cell, seed).astype(dtype)
        for variable in self.model.variables:
            variable.assign(values[id(variable)])

    def values(self) -> list[npt.NDArray[Any]]:
        """All variables as they are, in the order of the model's. Later steps leave them alone."""
        return [
            np.asarray(tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype))
            for variable in self._tensorflow_variables
        ]

    @property
    def hidden_places(self) -> list[tuple[int, int]]:
        """Places of kernel and bias of each hidden layer among the trainable variables; of a
        bidirectional layer those of the one that reads forward."""
        places = {id(v): at for at, v in enumerate(self.model.trainable_variables)}
        return [(places[id(kernel)], places[id(bias)]) for kernel, bias in self.hidden_kernels]

    def named_values(self) -> dict[str, npt.NDArray[Any]]:
        """The same by the names of :attr:`variables`."""
        values = dict(zip(map(id, self.model.variables), self.values(), strict=True))
        return {name: values[id(variable)] for name, variable in self.variables.items()}

    @functools.cached_property
    def _tensorflow_variables(self) -> Sequence[Any]:
        """What is read directly takes a quarter of the time that the variables' own methods need."""
        return [tensorflow_variable(variable) for variable in self.model.variables]


def tensorflow_variable(variable: Any) -> Any:
    """TensorFlow's variable: Keras 2's own, or the one behind a variable of Keras 3."""
    return variable if isinstance(variable, tf.Variable) else variable.value


def _drawn(
    initializer: str, shape: tuple[int, ...], seed: int, layer: int
) -> npt.NDArray[np.float64]:
    """A layer's initial kernel; one that is not large is kept, since the next network may have it."""
    draw = _kept if math.prod(shape) <= LARGEST_KEPT else _fresh
    return draw(initializer, shape, seed, layer)


def _fresh(
    initializer: str, shape: tuple[int, ...], seed: int, layer: int
) -> npt.NDArray[np.float64]:
    return initial_values.kernel(initializer, shape, seed=seed, layer=layer)


_kept = functools.lru_cache(maxsize=128)(_fresh)


def input_shape(cell: Cell) -> tuple[int, ...]:
    """Shape of one example as the cell's model takes it."""
    shape = INPUT_SHAPE.get(cell.architecture)
    return shape(cell) if shape else (784,)


def build(cell: Cell) -> Network:
    """Builds a cell's network with all kernels zero; :meth:`Network.reset` sets them."""
    builder = Builder(cell)
    inputs = keras.Input(input_shape(cell), dtype=variable_dtype(cell))
    hidden = HIDDEN[cell.architecture](builder, inputs)
    if cell.dropout:
        hidden = keras.layers.Dropout(cell.dropout, seed=1, dtype=cell.precision)(hidden)
    head = keras.layers.Dense(CLASSES, kernel_initializer="zeros", dtype=variable_dtype(cell))
    logits = builder.parametric(head, hidden, name="output layer")
    builder.noted("logits", logits)
    model = keras.Model(inputs, logits)
    return Network(
        cell=cell,
        model=model,
        view=keras.Model(
            inputs,
            [
                *(builder.inside[name] for name in builder.pre_activations),
                *(builder.inside[name] for name in builder.activations),
                logits,
            ],
        ),
        kernels=builder.kernels,
        biases=builder.biases,
        drawn=builder.drawn,
        cells=builder.cells,
        head=head,
        start=[variable.numpy() for variable in model.variables],
        inside=builder.inside,
        pre_activations=builder.pre_activations,
        activations=builder.activations,
        variables=builder.variables,
        normalizations=builder.normalizations,
        hidden_kernels=builder.hidden_kernels,
    )


def _dense(builder: Builder, signal: Any) -> Any:
    cell = builder.cell
    for index in range(cell.depth):
        layer = keras.layers.Dense(cell.width, kernel_initializer="zeros", dtype=cell.precision)
        branch = builder.hidden(layer, signal)
        if cell.architecture == "residual" and index > 0:
            if cell.branch == "scaled":
                scaling = keras.layers.Rescaling(1 / math.sqrt(cell.depth), dtype=cell.precision)
                branch = builder.noted(f"layer {index + 1}, scaled branch", scaling(branch))
            total = keras.layers.Add(dtype=cell.precision)([signal, branch])
            branch = builder.noted(f"layer {index + 1}, sum", total)
        signal = branch
    return signal


def _convolutions(builder: Builder, signal: Any) -> Any:
    """The MNIST tutorial's network: 5x5x32, pool, 5x5x64, pool, dense 1024; or a narrower one."""
    precision, filters = builder.cell.precision, builder.cell.filters
    average = builder.cell.pooling == "average"
    pooling = keras.layers.AveragePooling2D if average else keras.layers.MaxPooling2D
    for number in (1, 2):
        layer = keras.layers.Conv2D(
            number * filters, 5, padding="same", kernel_initializer="zeros", dtype=precision
        )
        signal = builder.hidden(layer, signal)
        pooled = pooling(2, dtype=precision)(signal)
        signal = builder.noted(f"layer {number}, pooled", pooled)
    signal = builder.noted("flattened", keras.layers.Flatten(dtype=precision)(signal))
    return builder.hidden(
        keras.layers.Dense(32 * filters, kernel_initializer="zeros", dtype=precision), signal
    )


def dense(gradient: Any) -> Any:
    """A gradient as a tensor: that of an embedding comes as slices."""
    return tf.convert_to_tensor(gradient)


def listed(outputs: Any) -> list[Any]:
    """A model's outputs: Keras returns a lone one bare."""
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


#: Architecture -> what adds its hidden layers to the inputs, and returns the last one's output.
HIDDEN: Mapping[str, Callable[[Builder, Any], Any]] = {
    "mlp": _dense,
    "residual": _dense,
    "cnn": _convolutions,
    **dict.fromkeys(recurrence.ARCHITECTURES, recurrent.layers),
    "transformer": attention.hidden,
    **dict.fromkeys(CONVOLUTIONAL, convolutional.hidden),
}
#: Architecture -> shape of one example of a cell, where it is not (784,).
INPUT_SHAPE: Mapping[str, Callable[[Cell], tuple[int, ...]]] = {
    **dict.fromkeys(("cnn", *CONVOLUTIONAL), lambda _: (28, 28, 1)),
    **dict.fromkeys(recurrence.ARCHITECTURES, recurrent.input_shape),
}
