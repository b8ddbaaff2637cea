"""Recurrent networks as cells: what there is of them, and what fits together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.cells.cell import Cell

#: Architecture -> Keras' class of its layers.
CLASSES = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
ARCHITECTURES = tuple(CLASSES)
DIRECTIONS = ("forward", "bidirectional")
#: Axes that no other network has, and their defaults.
AXES: Mapping[str, Any] = {"direction": "forward", "recurrent": "orthogonal", "pixels": 28}


def check(cell: Cell) -> None:
    """Raises ValueError unless a recurrent network can be built from a cell."""
    plain = cell.architecture == "simple_rnn"
    fits = {
        "depth": cell.depth > 0,
        "act": cell.activation in ("tanh", "relu"),
        "norm": cell.normalization in ("none", "layer"),
        "recurrent": plain or cell.recurrent.partition("_")[0] != "identity",
        "pixels": 784 % cell.pixels == 0,
    }
    for axis, well in fits.items():
        if not well:
            raise ValueError(
                f"{axis}:{cell.value(axis)} does not fit arch:{cell.architecture}: recurrent networks "
                "have depth from 1, act:tanh or act:relu, norm:none or norm:layer, pixels that divide "
                "784, and recurrent:identity with arch:simple_rnn alone"
            )


def steps(cell: Cell) -> int:
    """Steps in which a cell reads an image."""
    return 784 // cell.pixels


def directions(cell: Cell) -> int:
    """Recurrent layers at each depth, which read the image from one end each."""
    return 2 if cell.direction == "bidirectional" else 1
