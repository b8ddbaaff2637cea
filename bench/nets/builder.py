"""Builder: adds layers to a network under construction, and remembers those that are looked at."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.cells.architectures import GROUPS, PRELU_SLOPE
from bench.cells.cell import Cell

keras = tf.keras

#: ``rule(cell, seed)``: a variable's value before the first step.
Rule = Callable[[Cell, int], npt.NDArray[np.float64]]


class Builder:
    """Adds layers and remembers those that are looked at later."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.kernels: list[Any] = []
        self.biases: list[Any] = []
        self.hidden_kernels: list[tuple[Any, Any]] = []
        self.drawn: list[tuple[Any, Rule]] = []
        self.cells: list[list[Any]] = []
        self.pre_activations: list[str] = []
        self.activations: list[str] = []
        self.inside: dict[str, Any] = {}
        self.variables: dict[str, Any] = {}
        self.normalizations: dict[str, Any] = {}

    def parametric(self, layer: Any, inputs: Any, *, name: str) -> Any:
        outputs = layer(inputs)
        if hasattr(layer, "depthwise_kernel"):
            self.kernel(f"{name}, depthwise kernel", layer.depthwise_kernel)
            self.kernel(f"{name}, pointwise kernel", layer.pointwise_kernel)
        else:
            self.kernel(f"{name}, kernel", layer.kernel)
        self.bias(f"{name}, bias", layer.bias)
        return outputs

    def kernel(self, name: str, variable: Any) -> None:
        """Notes a variable that the cell's initializer draws."""
        self.kernels.append(variable)
        self.variables[name] = variable

    def bias(self, name: str, variable: Any) -> None:
        """Notes a variable that starts at the cell's bias."""
        self.biases.append(variable)
        self.variables[name] = variable

    def hidden(self, layer: Any, inputs: Any) -> Any:
        """Kernel, normalization, activation."""
        name = f"layer {len(self.activations) + 1}"
        signal = self.noted(f"{name}, kernel output", self.parametric(layer, inputs, name=name))
        if self.cell.normalization != "none":
            signal = self.normalized(name, signal)
        return self.activated(name, signal)

    def activated(self, name: str, signal: Any) -> Any:
        """The activation of a hidden layer, whose kernel is the last one noted."""
        self.hidden_kernels.append((self.kernels[-1], self.biases[-1]))
        self.pre_activations.append(next(reversed(self.inside)))
        layer = activation(self.cell)
        signal = self.noted(f"{name}, activation", layer(signal))
        if self.cell.activation == "prelu":
            self.variables[f"{name}, slope"] = layer.alpha
        self.activations.append(next(reversed(self.inside)))
        return signal

    def noted(self, name: str, tensor: Any) -> Any:
        self.inside[name] = tensor
        return tensor

    def normalized(self, name: str, signal: Any) -> Any:
        """The cell's normalization of a layer."""
        batch, group = (self.cell.normalization == kind for kind in ("batch", "group"))
        kind = keras.layers.BatchNormalization if batch else keras.layers.LayerNormalization
        if group:
            kind = functools.partial(keras.layers.GroupNormalization, groups=GROUPS)
        layer = kind(dtype=self.cell.precision)
        outputs = layer(signal)
        self.normalizations[name] = layer
        self.variables |= {f"{name}, gamma": layer.gamma, f"{name}, beta": layer.beta}
        if batch:
            self.variables |= {
                f"{name}, moving mean": layer.moving_mean,
                f"{name}, moving variance": layer.moving_variance,
            }
        return self.noted(f"{name}, normalized", outputs)


def activation(cell: Cell) -> Any:
    """The layer of an activation. Leaky ReLU's slope is the layer's default, .3 in Keras 2 and 3."""
    if cell.activation == "leaky_relu":
        return keras.layers.LeakyReLU(dtype=cell.precision)
    if cell.activation == "prelu":
        slope = keras.initializers.Constant(PRELU_SLOPE)
        return keras.layers.PReLU(slope, shared_axes=[1, 2], dtype=cell.precision)
    function = tf.nn.silu if cell.activation == "silu" else cell.activation
    return keras.layers.Activation(function, dtype=cell.precision)


def variable_dtype(cell: Cell) -> str:
    """Type of variables, inputs and logits: mixed precision computes only hidden layers low."""
    return "float64" if cell.precision == "float64" else "float32"
