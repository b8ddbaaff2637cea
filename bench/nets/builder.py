"""Builder: adds layers to a network under construction, and remembers those that are looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells.cell import Cell

keras = tf.keras

#: ``rule(cell, seed)``: a variable's value before the first step.
Rule = Callable[[Cell, int], npt.NDArray[np.float64]]


class Builder:
    """Adds layers and remembers those that are looked at later."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.layers: list[Any] = []
        self.drawn: list[tuple[Any, Rule]] = []
        self.cells: list[list[Any]] = []
        self.pre_activations: list[str] = []
        self.activations: list[str] = []
        self.inside: dict[str, Any] = {}
        self.variables: dict[str, Any] = {}
        self.normalizations: dict[str, Any] = {}

    def parametric(self, layer: Any, inputs: Any, *, name: str) -> Any:
        outputs = layer(inputs)
        self.layers.append(layer)
        self.variables |= {f"{name}, kernel": layer.kernel, f"{name}, bias": layer.bias}
        return outputs

    def hidden(self, layer: Any, inputs: Any) -> Any:
        """Kernel, normalization, activation."""
        name = f"layer {len(self.activations) + 1}"
        signal = self.noted(f"{name}, kernel output", self.parametric(layer, inputs, name=name))
        if self.cell.normalization != "none":
            signal = self.noted(f"{name}, normalized", self.normalized(name, signal))
        self.pre_activations.append(next(reversed(self.inside)))
        signal = self.noted(f"{name}, activation", activation(self.cell)(signal))
        self.activations.append(next(reversed(self.inside)))
        return signal

    def noted(self, name: str, tensor: Any) -> Any:
        self.inside[name] = tensor
        return tensor

    def normalized(self, name: str, signal: Any) -> Any:
        """The cell's normalization of a layer."""
        batch = self.cell.normalization == "batch"
        kind = keras.layers.BatchNormalization if batch else keras.layers.LayerNormalization
        layer = kind(dtype=self.cell.precision)
        outputs = layer(signal)
        self.normalizations[name] = layer
        self.variables |= {f"{name}, gamma": layer.gamma, f"{name}, beta": layer.beta}
        if batch:
            self.variables |= {
                f"{name}, moving mean": layer.moving_mean,
                f"{name}, moving variance": layer.moving_variance,
            }
        return outputs


def activation(cell: Cell) -> Any:
    """The layer of an activation. Leaky ReLU's slope is the layer's default, .3 in Keras 2 and 3."""
    if cell.activation == "leaky_relu":
        return keras.layers.LeakyReLU(dtype=cell.precision)
    function = tf.nn.silu if cell.activation == "silu" else cell.activation
    return keras.layers.Activation(function, dtype=cell.precision)


def variable_dtype(cell: Cell) -> str:
    """Type of variables, inputs and logits: mixed precision computes only hidden layers low."""
    return "float64" if cell.precision == "float64" else "float32"
