"""A cell's optimizer and clipping as Keras' class and arguments, to build or to write into a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.cells.cell import KERAS_OPTIMIZERS, Cell

#: Optimizer, as ids and checks name it -> Keras' class.
CLASSES: Mapping[str, str] = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "adamax": "Adamax",
    "nadam": "Nadam",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "ftrl": "Ftrl",
    "lion": "Lion",
    "lamb": "Lamb",
    "adafactor": "Adafactor",
}

#: Clipping rule -> argument of a Keras optimizer. Keras 3 takes at most one of them; Keras 2 would
#: silently ignore one of lower priority.
_CLIPPING = {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}


def clipping_arguments(cell: Cell) -> dict[str, float]:
    """The optimizer's keyword argument for the cell's clipping; empty without clipping."""
    rule, threshold = cell.clipping_rule
    return {} if threshold is None else {_CLIPPING[rule]: threshold}


def optimizer_arguments(cell: Cell) -> tuple[str, dict[str, Any]]:
    """Name of Keras' class of the cell's optimizer, and all keyword arguments that it gets.

    Example:
        >>> optimizer_arguments(Cell(optimizer="momentum", clipping="norm_0.5"))
        ('SGD', {'learning_rate': 0.1, 'momentum': 0.9, 'clipnorm': 0.5})
    """
    kind, constants = KERAS_OPTIMIZERS[cell.optimizer]
    decay = {"weight_decay": cell.weight_decay} if cell.weight_decay else {}
    return kind, {
        "learning_rate": cell.learning_rate,
        **constants,
        **decay,
        **clipping_arguments(cell),
    }
