"""Stacks of 3 x 3 convolutions, plain and with skips, full and separable.

Images are halved by the first layer and by that in the middle: by pooling behind the activation, or
by the convolution's own steps (``strided``), around which there is no skip. The mean over all places
goes to the output layer.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bench.cells.architectures import halving
from bench.nets.builder import Builder

keras = tf.keras

SIDE = 3


def hidden(builder: Builder, signal: Any) -> Any:
    """Everything from the images to what the output layer takes."""
    cell, precision = builder.cell, builder.cell.precision
    for number in range(1, cell.depth + 1):
        name, half = f"layer {number}", number in halving(cell)
        strided = half and cell.pooling == "strided"
        made = builder.hidden(_convolution(builder, 2 if strided else 1), signal)
        if cell.architecture == "conv_residual" and number > 1 and not strided:
            total = keras.layers.Add(dtype=precision)([signal, made])
            made = builder.noted(f"{name}, sum", total)
        if half and not strided:
            average = cell.pooling == "average"
            pooling = keras.layers.AveragePooling2D if average else keras.layers.MaxPooling2D
            made = builder.noted(f"{name}, pooled", pooling(2, dtype=precision)(made))
        signal = made
    mean = keras.layers.GlobalAveragePooling2D(dtype=precision)(signal)
    return builder.noted("mean of places", mean)


def _convolution(builder: Builder, steps: int) -> Any:
    cell = builder.cell
    options = {"strides": steps, "padding": "same", "dtype": cell.precision}
    if cell.convolution == "full":
        return keras.layers.Conv2D(cell.filters, SIDE, kernel_initializer="zeros", **options)
    zeros = dict.fromkeys(("depthwise_initializer", "pointwise_initializer"), "zeros")
    return keras.layers.SeparableConv2D(cell.filters, SIDE, **zeros, **options)
