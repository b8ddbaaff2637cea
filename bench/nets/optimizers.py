"""Keras optimizers and losses of a cell, clipping and weight decay included."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells.cell import KERAS_OPTIMIZERS, Cell
from bench.cells.keras_arguments import clipping_arguments, optimizer_arguments
from bench.nets.keras_version import keras_version

keras = tf.keras


def absent(cell: Cell) -> str:
    """Why this Keras cannot train the cell, as it has no such optimizer; empty if it can."""
    kind, _ = KERAS_OPTIMIZERS[cell.optimizer]
    if hasattr(keras.optimizers, kind):
        return ""
    return f"Keras {keras_version()} has no optimizer {kind}"


def optimizer(cell: Cell, variables: Sequence[Any]) -> Any:
    """The cell's optimizer, built for ``variables``; its learning rate is set by :func:`reset`.

    Raises:
        LookupError: this Keras has none of that name; see :func:`absent`.
    """
    if missing := absent(cell):
        raise LookupError(missing)
    kind, arguments = optimizer_arguments(cell)
    built = getattr(keras.optimizers, kind)(**arguments)
    built.build(variables)
    return built


def snapshot(built: Any) -> list[Any]:
    """Values of all that an optimizer keeps from step to step."""
    return [variable.numpy() for variable in _state(built)]


def reset(built: Any, initial: Sequence[Any], learning_rate: float) -> None:
    """Puts back a :func:`snapshot`, then sets the learning rate."""
    put_back(built, initial)
    built.learning_rate = learning_rate


def put_back(built: Any, initial: Sequence[Any]) -> None:
    """Puts back a :func:`snapshot`."""
    for variable, value in zip(_state(built), initial, strict=True):
        variable.assign(value)
    if hasattr(
        built, "_u_product_counter"
    ):  # Keras 2's Nadam counts steps in Python as well, from 1
        built._u_product_counter = 1


def _state(built: Any) -> list[Any]:
    """The optimizer's variables, and those that it does not list: Nadam's product of momenta."""
    listed = list(built.variables)
    known = {id(variable) for variable in listed}
    kinds = (tf.Variable, getattr(keras, "Variable", tf.Variable))
    unlisted = [value for value in vars(built).values() if isinstance(value, kinds)]
    return [*listed, *(variable for variable in unlisted if id(variable) not in known)]


def loss(cell: Cell) -> Any:
    """``loss(labels, logits)``: the batch mean as a scalar tensor; labels are integers (batch,), of
    whatever type and shape ``fit`` hands them on: Keras makes floats of them."""
    options = loss_options(cell.precision)
    if cell.loss == "crossentropy":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)
    squared = keras.losses.MeanSquaredError(**options)

    def mean_squared_error(labels: Any, logits: Any) -> Any:
        classes = tf.reshape(tf.cast(labels, tf.int32), [-1])
        targets = tf.one_hot(classes, logits.shape[-1], dtype=logits.dtype)
        return squared(targets, tf.nn.softmax(logits))

    return mean_squared_error


def loss_options(precision: str) -> dict[str, str]:
    """Arguments of a loss, without which Keras 3 (Keras 2 never) rounds float64 logits to float32."""
    known = "dtype" in inspect.signature(keras.losses.MeanSquaredError.__init__).parameters
    return {"dtype": precision} if known and precision == "float64" else {}


def variable(value: npt.NDArray[Any]) -> Any:
    """A variable as Keras' layers make them: Keras 3 has its own kind."""
    make: Callable[..., Any] = getattr(keras, "Variable", tf.Variable)
    return make(value, dtype=value.dtype.name)


def clipped(rule: str, threshold: float | None, gradients: Sequence[Any]) -> Sequence[Any]:
    """Gradients after TensorFlow's operation for a rule of a cell's clipping."""
    if threshold is None:
        return gradients
    if rule == "value":
        return [tf.clip_by_value(gradient, -threshold, threshold) for gradient in gradients]
    if rule == "norm":
        return [tf.clip_by_norm(gradient, threshold) for gradient in gradients]
    return list(tf.clip_by_global_norm(gradients, threshold)[0])


class ClippedGradients:
    """What the optimizer makes of gradients before it applies them, seen through its public API.

    Plain SGD with rate 1 moves a variable that is 0 to minus its clipped gradient, exactly.

    Args:
        cell: whose clipping is looked at.
        variables: whose shapes and types the gradients have; they are left alone.
    """

    def __init__(self, cell: Cell, variables: Sequence[Any]) -> None:
        self._variables = [
            variable(np.zeros(tuple(like.shape), tf.as_dtype(like.dtype).as_numpy_dtype))
            for like in variables
        ]
        self._optimizer = keras.optimizers.SGD(learning_rate=1.0, **clipping_arguments(cell))
        self._optimizer.build(self._variables)

    def __call__(self, gradients: Sequence[Any]) -> list[Any]:
        """The clipped gradients as NumPy arrays, in the order of ``gradients``."""
        return [tensor.numpy() for tensor in self.tensors(gradients)]

    def tensors(self, gradients: Sequence[Any]) -> list[Any]:
        """The same as tensors, in a ``tf.function``, too."""
        for variable in self._variables:
            variable.assign(tf.zeros_like(variable))
        # AutoGraph of TensorFlow 2.12 knows no zip(strict=True).
        self._optimizer.apply_gradients(list(zip(gradients, self._variables)))  # noqa: B905
        return [-tf.convert_to_tensor(variable) for variable in self._variables]
