"""The transformer of :mod:`bench.nets.attention` as operations.

Dosovitskiy et al. 2021 on patches of 7 x 7 pixels, with layer normalization where a cell places it:
before each branch (Pre-LN) or after each sum (Post-LN), as Xiong et al. 2020 name them in figure 1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cells.architectures import FEED_FORWARD, PATCH, TOKENS
from bench.cells.cell import Cell
from bench.theory.oracle import formulas, operations
from bench.theory.oracle.operations import Operation
from bench.theory.oracle.tape import Traced

CLASSES = 10


def hidden(cell: Cell) -> list[Operation]:
    """All operations up to what the output layer takes."""
    steps = [
        operations.taped("patches", ("inputs",), _patches),
        operations.kernel("patch embedding", "patch embedding, output", "patches"),
        operations.taped(
            "positions, sum",
            ("patch embedding, output",),
            lambda x, table: x + table,
            ("positions, embeddings",),
        ),
        operations.normalization("layer", "embedding", "embedding, normalized", "positions, sum"),
    ]
    for number in range(1, cell.depth + 1):
        steps += _block(cell, f"block {number}", steps[-1].output)
    if cell.placement == "pre":
        last = steps[-1].output
        steps.append(operations.normalization("layer", "final", "final, normalized", last))
    mean = operations.taped("mean of tokens", (steps[-1].output,), lambda x: x.mean(1))
    return [*steps, mean]


def _block(cell: Cell, block: str, signal: str) -> Iterator[Operation]:
    """Attention and feed-forward layers, each around a skip."""
    for branch in ("attention", "feed-forward"):
        name, inputs = f"{block}, {branch}", signal
        if cell.placement == "pre":
            inputs = f"{name}, normalized"
            yield operations.normalization("layer", name, inputs, signal)
        yield from (_attention if branch == "attention" else _feed_forward)(cell, name, inputs)
        yield operations.addition(f"{name}, sum", (signal, f"{name}, output"))
        signal = f"{name}, sum"
        if cell.placement == "post":
            yield operations.normalization("layer", name, f"{name}, normalized", signal)
            signal = f"{name}, normalized"


def _attention(cell: Cell, name: str, inputs: str) -> Iterator[Operation]:
    looks = mask(cell)

    def formula(x: Traced, *weights: Traced) -> Traced:
        return formulas.attention(x, x, x, weights, looks)[0]

    layers = (f"{name}, query", f"{name}, key", f"{name}, value", f"{name}, output")
    parameters = tuple(f"{layer}, {kind}" for layer in layers for kind in ("kernel", "bias"))
    # Keras makes float32 of 1 / sqrt(size).
    yield operations.taped(f"{name}, output", (inputs,), formula, parameters, constant=True)


def _feed_forward(cell: Cell, name: str, inputs: str) -> Iterator[Operation]:
    yield operations.kernel(name, f"{name}, kernel output", inputs)
    activated = f"{name}, activation"
    yield operations.activation(cell.activation, activated, f"{name}, kernel output")
    yield operations.kernel(f"{name}, output", f"{name}, output", activated)


@functools.lru_cache(maxsize=2)
def _looks_back() -> npt.NDArray[np.bool_]:
    return np.tril(np.ones((1, TOKENS, TOKENS), bool))


def mask(cell: Cell) -> npt.NDArray[np.bool_] | None:
    """Which token, (.., looking, looked at), may look at which; None if each may look at all."""
    return _looks_back() if cell.mask == "causal" else None


def _patches(images: Traced) -> Traced:
    """(batch, 784) -> (batch, tokens, pixels), by rows of patches and, within them, of pixels."""
    side = 28 // PATCH
    cut = images.reshape(-1, side, PATCH, side, PATCH).transpose(0, 1, 3, 2, 4)
    return cut.reshape(-1, TOKENS, PATCH * PATCH)


def shapes(cell: Cell) -> list[tuple[int, ...]]:
    """Shapes of all parameters, in order."""
    width, wide, heads = cell.width, FEED_FORWARD * cell.width, cell.heads
    size = width // heads
    norm: list[Any] = [(width,), (width,)]
    attention = [
        *[(width, heads, size), (heads, size)] * 3,
        *[(heads, size, width), (width,)],
    ]
    feed_forward = [(width, wide), (wide,), (wide, width), (width,)]
    parts = (attention, feed_forward)
    block = [
        shape
        for part in parts
        for shape in ([*norm, *part] if cell.placement == "pre" else [*part, *norm])
    ]
    start = [(PATCH * PATCH, width), (width,), (TOKENS, width), *norm]
    end = norm if cell.placement == "pre" else []
    return [*start, *block * cell.depth, *end, (width, CLASSES), (CLASSES,)]
