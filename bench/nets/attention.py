"""Transformer: a small vision transformer of Keras' layers.

Images are cut into patches of 7 x 7 pixels, which are embedded, told where they lie, and normalized
(so that all tokens start at variance 1, as Xiong et al. 2020 assume). Each block adds attention and a
feed-forward layer to the stream, with layer normalization before the branch or after the sum. Behind
``pre`` the last sum is normalized, too. The mean of all tokens goes to the output layer.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bench.cells.architectures import FEED_FORWARD, PATCH, TOKENS
from bench.nets.builder import Builder

keras = tf.keras


class Positions(tf.keras.layers.Layer):
    """Adds a vector of its own, which is learned, to each token; as in Keras' example of a vision
    transformer."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.embedding = keras.layers.Embedding(
            TOKENS, width, embeddings_initializer="zeros", **options
        )

    def build(self, _: Any) -> None:
        self.embedding.build((TOKENS,))
        self.built = True

    def call(self, tokens: Any) -> Any:
        return tokens + self.embedding(tf.range(TOKENS))


def hidden(builder: Builder, signal: Any) -> Any:
    """Everything from the pixels to what the output layer takes."""
    cell, side = builder.cell, 28 // PATCH
    layers, options = keras.layers, {"dtype": builder.cell.precision}
    signal = layers.Reshape((side, PATCH, side, PATCH), **options)(signal)
    signal = layers.Permute((1, 3, 2, 4), **options)(signal)
    signal = builder.noted("patches", layers.Reshape((TOKENS, PATCH * PATCH), **options)(signal))
    signal = _embedded(builder, signal, "patch embedding", "patch embedding, output")
    positions = Positions(cell.width, **options)
    signal = builder.noted("positions, sum", positions(signal))
    builder.kernel("positions, embeddings", positions.embedding.embeddings)
    signal = builder.normalized("embedding", signal)
    for number in range(1, cell.depth + 1):
        for branch in (_attention, _feed_forward):
            signal = _around(builder, branch, number, signal)
    if cell.placement == "pre":
        signal = builder.normalized("final", signal)
    mean = layers.GlobalAveragePooling1D(**options)(signal)
    return builder.noted("mean of tokens", mean)


def _around(builder: Builder, branch: Any, number: int, signal: Any) -> Any:
    """A skip around a branch, and layer normalization."""
    name = f"block {number}, {'attention' if branch is _attention else 'feed-forward'}"
    pre = builder.cell.placement == "pre"
    made = branch(builder, name, builder.normalized(name, signal) if pre else signal)
    total = keras.layers.Add(dtype=builder.cell.precision)([signal, made])
    signal = builder.noted(f"{name}, sum", total)
    return signal if pre else builder.normalized(name, signal)


def _attention(builder: Builder, name: str, signal: Any) -> Any:
    cell = builder.cell
    layer = keras.layers.MultiHeadAttention(
        cell.heads, cell.width // cell.heads, kernel_initializer="zeros", dtype=cell.precision
    )
    made = layer(signal, signal, use_causal_mask=cell.mask == "causal")
    variables = iter(layer.trainable_variables)
    for part in ("query", "key", "value", "output"):
        builder.kernel(f"{name}, {part}, kernel", next(variables))
        builder.bias(f"{name}, {part}, bias", next(variables))
    return builder.noted(f"{name}, output", made)


def _feed_forward(builder: Builder, name: str, signal: Any) -> Any:
    layer = _dense(builder, FEED_FORWARD * builder.cell.width)
    wide = builder.noted(f"{name}, kernel output", builder.parametric(layer, signal, name=name))
    signal = builder.activated(name, wide)
    return _embedded(builder, signal, f"{name}, output", f"{name}, output")


def _embedded(builder: Builder, signal: Any, name: str, output: str) -> Any:
    """A dense layer onto the stream's width."""
    layer = _dense(builder, builder.cell.width)
    return builder.noted(output, builder.parametric(layer, signal, name=name))


def _dense(builder: Builder, units: int) -> Any:
    return keras.layers.Dense(units, kernel_initializer="zeros", dtype=builder.cell.precision)
