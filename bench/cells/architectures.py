"""Architectures beyond multilayer perceptrons: their sizes, and what fits them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.cells.cell import Cell

#: Stacks of 3 x 3 convolutions of one width, plain and with skips; the mean over all places goes to the
#: output layer (He et al. 2016, section 4.2, with stages of one width).
CONVOLUTIONAL = ("conv", "conv_residual")
ARCHITECTURES = ("transformer", *CONVOLUTIONAL)
#: Values of axes that others have, too: a slope below 0 that is learned, another normalization, and
#: convolutions that halve images themselves, by steps of 2.
ACTIVATIONS, NORMALIZATIONS, POOLINGS = ("prelu",), ("group",), ("strided",)
CONVOLUTIONS = ("full", "separable")
PLACEMENTS = ("pre", "post")
MASKS = ("none", "causal")
#: Groups of channels of group normalization.
GROUPS = 2
#: First slope of PReLU, a channel's own (He et al. 2015, section 2.1).
PRELU_SLOPE = 0.25

#: Side of a transformer's patches in pixels, and how many an image of 28 x 28 has.
PATCH = 7
TOKENS = (28 // PATCH) ** 2
#: Width of the feed-forward layer, in widths of the stream (Vaswani et al. 2017, section 3.3).
FEED_FORWARD = 4

#: Axes of these architectures alone: their default, and which they are.
AXES: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "conv": ("full", CONVOLUTIONAL),
    "placement": ("pre", ("transformer",)),
    "heads": (2, ("transformer",)),
    "mask": ("none", ("transformer",)),
}
DEFAULTS = {axis: default for axis, (default, _) in AXES.items()}
#: Axis -> its values that :data:`CONVOLUTIONAL` alone have.
_VALUES = {"act": ACTIVATIONS, "norm": NORMALIZATIONS, "pool": POOLINGS}


def halving(cell: Cell) -> tuple[int, ...]:
    """Layers of a stack of convolutions that halve the images: the first, and that in the middle."""
    return tuple(dict.fromkeys((1, cell.depth // 2 + 1)))


def sides(cell: Cell) -> list[int]:
    """Side of the images that each layer's convolution gives, before it is pooled."""
    side, made = 28, []
    for number in range(1, cell.depth + 1):
        half = number in halving(cell)
        if half and cell.pooling == "strided":
            side //= 2
        made.append(side)
        if half and cell.pooling != "strided":
            side //= 2
    return made


def misfit(cell: Cell) -> str:
    """Why an architecture cannot have other values of a cell; empty if it can."""
    if cell.architecture == "cnn" and cell.depth != 3:
        return "arch:cnn has depth:3 (two convolutions and one dense hidden layer)"
    if cell.architecture != "residual" and cell.branch != "plain":
        return f"branch:{cell.branch} needs arch:residual"
    for axis, values in _VALUES.items():
        if cell.value(axis) in values and cell.architecture not in CONVOLUTIONAL:
            return f"{axis}:{cell.value(axis)} needs arch:{' or arch:'.join(CONVOLUTIONAL)}"
    fits: dict[str, bool] = {}
    has = ""
    if cell.architecture == "transformer":
        has = "norm:layer and a width that heads divide"
        fits = {"norm": cell.normalization == "layer", "heads": cell.width % cell.heads == 0}
    elif cell.architecture in CONVOLUTIONAL:
        has = f"behind norm:group filters that {GROUPS} divides"
        fits = {"filters": cell.normalization != "group" or cell.filters % GROUPS == 0}
    if has:
        fits["depth"] = cell.depth > 0
    wrong = next((axis for axis, fit in fits.items() if not fit), None)
    if wrong is None:
        return ""
    return (
        f"{wrong}:{cell.value(wrong)} does not fit arch:{cell.architecture}, which has a depth from 1, "
        f"{has}"
    )
