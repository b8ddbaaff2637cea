"""Lines of a reproducer that build transformers and stacks of convolutions."""

from __future__ import annotations

from bench.cells.architectures import (
    CONVOLUTIONAL,
    FEED_FORWARD,
    GROUPS,
    PATCH,
    PRELU_SLOPE,
    TOKENS,
    halving,
)
from bench.cells.cell import Cell

#: Columns of a line of these, which stand in a loop.
_MOST_COLUMNS = 96
#: Adds a vector of its own to each patch.
POSITIONS = """\
class Positions(tf.keras.layers.Layer):
    build = lambda self, of: setattr(self, "t", self.add_weight(name="kernel", shape=of[1:]))
    call = lambda self, tokens: tokens + self.t"""


def hidden_layers(cell: Cell, activation: str, options: str) -> list[str]:
    """Lines from ``inputs`` to the ``signal`` that the output layer takes; empty for other networks.

    Args:
        cell: the network.
        activation: expression of its activation layer.
        options: further arguments of layers with a kernel, with a comma before each.
    """
    if cell.architecture == "transformer":
        return _transformer(cell, activation, options)
    return _convolutions(cell, activation, options) if cell.architecture in CONVOLUTIONAL else []


def _transformer(cell: Cell, activation: str, options: str) -> list[str]:
    width, side, pre = cell.width, 28 // PATCH, cell.placement == "pre"
    shape = f"({side}, {PATCH}, {side}, {PATCH})"
    causal = ", use_causal_mask=True" if cell.mask == "causal" else ""
    attention = f"layers.MultiHeadAttention({cell.heads}, {width // cell.heads}{options})"
    wide = f"layers.Dense({FEED_FORWARD * width}{options})(branch)"
    attended = f"{attention}(branch, branch{causal})"
    fed = f"layers.Dense({width}{options})({activation}({wide}))"
    branch = [f"    branch = ({attended} if attends else", f"        {fed})"]
    if max(map(len, branch)) > _MOST_COLUMNS:
        branch = [
            f"    wide = {activation}({wide})",
            f"    branch = ({attended}",
            f"        if attends else layers.Dense({width}{options})(wide))",
        ]
    total = "layers.Add()([signal, branch])"
    mean = "layers.GlobalAveragePooling1D()"
    return [
        f"signal = layers.Permute((1, 3, 2, 4))(layers.Reshape({shape})(inputs))",
        f"signal = layers.Dense({width}{options})(layers.Reshape(({TOKENS}, {PATCH**2}))(signal))",
        "signal = layers.LayerNormalization()(Positions()(signal))",
        f"for attends in (True, False) * {cell.depth}:",
        f"    branch = {'layers.LayerNormalization()(signal)' if pre else 'signal'}",
        *branch,
        f"    signal = {total if pre else f'layers.LayerNormalization()({total})'}",
        f"signal = {mean}({'layers.LayerNormalization()(signal)' if pre else 'signal'})",
    ]


def _convolutions(cell: Cell, activation: str, options: str) -> list[str]:
    strided, halves = cell.pooling == "strided", [number - 1 for number in halving(cell)]
    kind = "Conv2D"
    if cell.convolution == "separable":
        kind = "SeparableConv2D"
        zeros = 'kernel_initializer="zeros"'
        options = options.replace(zeros, zeros.replace("kernel", "depthwise"))
    stride = f"1 + (layer in {halves})" if strided else "1"
    normalization = {
        "none": "",
        "group": f"layers.GroupNormalization({GROUPS})",
    }.get(cell.normalization, f"layers.{cell.normalization.title()}Normalization()")
    made = f'layers.{kind}({cell.filters}, 3, {stride}, "same"{options})(signal)'
    lines = [
        f"for layer in range({cell.depth}):",
        f"    branch = {made}",
        *([f"    branch = {normalization}(branch)"] if normalization else []),
        f"    branch = {activation}(branch)",
    ]
    skips = f"layer and layer not in {halves}" if strided else "layer"
    if cell.architecture == "conv_residual":
        lines.append(f"    signal = layers.Add()([signal, branch]) if {skips} else branch")
    else:
        lines.append("    signal = branch")
    if not strided:
        pooling = "Average" if cell.pooling == "average" else "Max"
        lines += [
            f"    if layer in {halves}:",
            f"        signal = layers.{pooling}Pooling2D(2)(signal)",
        ]
    return [*lines, "signal = layers.GlobalAveragePooling2D()(signal)"]


def prelu() -> str:
    """Expression of the layer of PReLU, a slope for each channel."""
    slope = f"tf.keras.initializers.Constant({PRELU_SLOPE})"
    return f"layers.PReLU({slope}, shared_axes=[1, 2])"
