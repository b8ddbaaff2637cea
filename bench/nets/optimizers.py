"""Keras optimizers and losses of a cell, clipping and weight decay included."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras as installed_keras
import tensorflow as tf

from bench.cell import Cell

keras = tf.keras

#: Clipping rule -> argument of a Keras optimizer. Keras 3 takes at most one of them; Keras 2 would
#: silently ignore one of lower priority.
_CLIPPING = {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}


def clipping_arguments(cell: Cell) -> dict[str, float]:
    """The optimizer's keyword argument for the cell's clipping; empty without clipping."""
    rule, threshold = cell.clipping_rule
    return {} if threshold is None else {_CLIPPING[rule]: threshold}


#: Name of a cell's optimizer -> Keras' class, and the arguments besides its defaults.
_OPTIMIZERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {}),
    "amsgrad": ("Adam", {"amsgrad": True}),
    "adamw": ("AdamW", {}),
    "adamax": ("Adamax", {}),
    "nadam": ("Nadam", {}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop_centered": ("RMSprop", {"centered": True}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {}),
    "ftrl": ("Ftrl", {}),
    "lion": ("Lion", {}),
    "lamb": ("Lamb", {}),
    "adafactor": ("Adafactor", {}),
}


def absent(cell: Cell) -> str:
    """Why this Keras cannot train the cell, as it has no such optimizer; empty if it can."""
    kind, _ = _OPTIMIZERS[cell.optimizer]
    if hasattr(keras.optimizers, kind):
        return ""
    return f"Keras {keras_version()} has no optimizer {kind}"


def keras_version() -> str:
    """Of the Keras behind ``tf.keras``."""
    return str(getattr(keras, "__version__", None) or installed_keras.__version__)


def optimizer(cell: Cell, variables: Sequence[Any]) -> Any:
    """The cell's optimizer, built for ``variables``; its learning rate is set by :func:`reset`.

    Raises:
        LookupError: this Keras has none of that name; see :func:`absent`.
    """
    if missing := absent(cell):
        raise LookupError(missing)
    kind, constants = _OPTIMIZERS[cell.optimizer]
    decay = {"weight_decay": cell.weight_decay} if cell.weight_decay else {}
    built = getattr(keras.optimizers, kind)(
        learning_rate=cell.learning_rate, **constants, **decay, **clipping_arguments(cell)
    )
    built.build(variables)
    return built


def snapshot(built: Any) -> list[Any]:
    """Values of all that an optimizer keeps from step to step."""
    return [variable.numpy() for variable in _state(built)]


def reset(built: Any, initial: Sequence[Any], learning_rate: float) -> None:
    """Puts back a :func:`snapshot`, then sets the learning rate."""
    for variable, value in zip(_state(built), initial, strict=True):
        variable.assign(value)
    if hasattr(
        built, "_u_product_counter"
    ):  # Keras 2's Nadam counts steps in Python as well, from 1
        built._u_product_counter = 1
    built.learning_rate = learning_rate


def _state(built: Any) -> list[Any]:
    """The optimizer's variables, and those that it does not list: Nadam's product of momenta."""
    listed = list(built.variables)
    known = {id(variable) for variable in listed}
    kinds = (tf.Variable, getattr(keras, "Variable", tf.Variable))
    unlisted = [value for value in vars(built).values() if isinstance(value, kinds)]
    return [*listed, *(variable for variable in unlisted if id(variable) not in known)]


def loss(cell: Cell) -> Any:
    """``loss(labels, logits)``: the batch mean as a scalar tensor; labels are integers."""
    precision = _loss_precision(cell)
    if cell.loss == "crossentropy":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **precision)
    squared = keras.losses.MeanSquaredError(**precision)

    def mean_squared_error(labels: Any, logits: Any) -> Any:
        return squared(
            tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype), tf.nn.softmax(logits)
        )

    return mean_squared_error


def _loss_precision(cell: Cell) -> dict[str, str]:
    """Keras 3 rounds logits to float32 unless told otherwise; Keras 2 takes them as they are."""
    told = "dtype" in inspect.signature(keras.losses.MeanSquaredError.__init__).parameters
    return {"dtype": "float64"} if told and cell.precision == "float64" else {}


class ClippedGradients:
    """What the optimizer makes of gradients before it applies them, seen through its public API.

    Plain SGD with rate 1 moves a variable that is 0 to minus its clipped gradient, exactly.

    Args:
        cell: whose clipping is looked at.
        variables: Keras variables of the right shapes that nothing else uses.
    """

    def __init__(self, cell: Cell, variables: Sequence[Any]) -> None:
        self._variables = list(variables)
        self._optimizer = keras.optimizers.SGD(learning_rate=1.0, **clipping_arguments(cell))
        self._optimizer.build(self._variables)

    def __call__(self, gradients: Sequence[Any]) -> list[Any]:
        """The clipped gradients as NumPy arrays, in the order of ``gradients``."""
        for variable in self._variables:
            variable.assign(tf.zeros_like(variable))
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        return [-variable.numpy() for variable in self._variables]
