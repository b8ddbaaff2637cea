"""Formulas of layers, forwards: NumPy's notation on :class:`bench.theory.oracle.tape.Traced` arrays.

Sequences are (batch, time, features), images (batch, .., channels), kernels as Keras keeps them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.theory.oracle import recurrent_steps
from bench.theory.oracle.recurrent_steps import Step, Weights, split
from bench.theory.oracle.tape import Traced, joined, stacked, where
from bench.theory.rounding.arrays import decide

Array = npt.NDArray[Any]
Cell = Callable[[Traced, Sequence[Any], Sequence[Traced]], Sequence[Traced]]


def einsum(equation: str, a: Traced, b: Traced) -> Traced:
    """``np.einsum`` of two arrays without repeated labels; ``...`` stands for leading axes."""
    inputs, output = equation.split("->")
    left, right = inputs.split(",")
    if "..." in equation:
        lead = "ABCDEF"[: a.ndim - len(left) + 3]
        left, right, output = (part.replace("...", lead) for part in (left, right, output))
    summed = [label for label in left if label not in output]
    labels = [*output, *summed]

    def aligned(x: Traced, own: str) -> Traced:
        moved = x.transpose(*(own.index(label) for label in labels if label in own))
        sizes = dict(zip(own, x.shape, strict=True))
        return moved.reshape(*(sizes.get(label, 1) for label in labels))

    product = aligned(a, left) * aligned(b, right)
    return product.sum(tuple(range(len(output), len(labels)))) if summed else product


def _dtype(x: Traced) -> Any:
    """Type of constants that go with an array: float32 arrays stay float32."""
    return decide(x.array).dtype


# --- Convolution and pooling


def taken(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Array:
    """Which input an output reads through an entry of the kernel, (outputs, kernel); -1: none."""
    reach = (kernel - 1) * dilation + 1
    before, outputs = 0, (size - reach) // stride + 1
    if padding == "same":
        outputs = math.ceil(size / stride)
        before = max((outputs - 1) * stride + reach - size, 0) // 2
    elif padding == "causal":
        outputs, before = math.ceil(size / stride), reach - 1
    at = np.arange(outputs)[:, None] * stride + np.arange(kernel) * dilation - before
    return np.where((at >= 0) & (at < size), at, -1)


def given(size: int, kernel: int, stride: int, padding: str, more: int | None = None) -> Array:
    """The same of a transposed convolution: input i goes to outputs i stride + k - before.

    With ``more``, Keras' ``output_padding``, there are (size - 1) stride + kernel + more outputs, less
    ``kernel // 2`` at both ends if padding is "same"; without, as many as a convolution makes ``size``
    of.
    """
    spare = max(kernel - stride, 0)
    outputs = size * stride + (0 if padding == "same" else spare)
    if more is not None:
        cut = kernel // 2 if padding == "same" else 0
        outputs = (size - 1) * stride + kernel - 2 * cut + more
    before = max((size - 1) * stride + kernel - outputs, 0) // 2 if padding == "same" else 0
    at = np.arange(outputs)[:, None] + before - np.arange(kernel)
    valid = (at >= 0) & (at % stride == 0) & (at // stride < size)
    return np.where(valid, at // stride, -1)


def windows(x: Traced, tables: Sequence[Array], outside: float = 0.0) -> Traced:
    """(batch, *outputs, *kernel, channels): what each output sees, by a table per axis."""
    for axis in range(1, len(tables) + 1):
        edge = np.full([1 if a == axis else n for a, n in enumerate(x.shape)], outside, _dtype(x))
        x = joined([x, edge], axis)
    rank = len(tables)
    shaped = []
    for axis, table in enumerate(tables):
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = table.shape
        shaped.append(table.reshape(shape))
    return x[(slice(None), *shaped, slice(None))]


def correlated(x: Traced, kernel: Traced, tables: Sequence[Array], groups: int = 1) -> Traced:
    """Windows times kernel, (*kernel, channels of a group, filters)."""
    seen = windows(x, tables)
    places, rank = seen.shape[: len(tables) + 1], len(tables)
    inputs, filters = kernel.shape[rank], kernel.shape[-1] // groups
    parts = []
    for group in range(groups):
        mine = seen[..., group * inputs : (group + 1) * inputs].reshape(math.prod(places), -1)
        cut = kernel[..., group * filters : (group + 1) * filters].reshape(-1, filters)
        parts.append(mine @ cut)
    return joined(parts, 1).reshape(*places, -1) if groups > 1 else parts[0].reshape(*places, -1)


def depthwise(x: Traced, kernel: Traced, tables: Sequence[Array]) -> Traced:
    """Each channel by kernels of its own: (*kernel, channels, multiplier)."""
    rank = len(tables)
    seen = windows(x, tables)
    product = seen.reshape(*seen.shape, 1) * kernel
    summed = product.sum(tuple(range(rank + 1, 2 * rank + 1)))
    return summed.reshape(*summed.shape[:-2], -1)


def pooled(x: Traced, tables: Sequence[Array], *, largest: bool) -> Traced:
    """Maximum or mean of each window, of what lies inside."""
    rank = len(tables)
    seen = windows(x, tables, -1e30 if largest else 0.0)
    flat = seen.reshape(*seen.shape[: rank + 1], -1, seen.shape[-1])
    if largest:
        return flat.max(rank + 1)
    counts = np.ones(())
    for table in tables:
        counts = np.multiply.outer(counts, (table >= 0).sum(1))
    return flat.sum(rank + 1) / counts[None, ..., None].astype(_dtype(x))


# --- Recurrent layers


def _by_tape(step: Step) -> Cell:
    """A step with tanh, the sigmoid and their slopes as the tape has them."""

    def cell(x: Traced, states: Sequence[Any], weights: Sequence[Traced]) -> Sequence[Traced]:
        after, _ = step(x, tuple(states), Weights(*weights), Traced.tanh, Traced.sigmoid)
        return after

    return cell


#: ``cell(x, states, weights)`` -> the states after a step, by the names of Keras' layers.
CELLS = {
    "SimpleRNN": _by_tape(recurrent_steps.simple_rnn),
    "LSTM": _by_tape(recurrent_steps.lstm),
    "GRU": _by_tape(recurrent_steps.gru),
}


def gru_reset_before(
    x: Traced, states: Sequence[Any], weights: Sequence[Traced]
) -> Sequence[Traced]:
    """Cho et al. 2014: the state is reset before the product."""
    kernel, recurrent, bias = weights
    units = recurrent.shape[0]
    z, r, h = split(x @ kernel + bias, 3)
    both = states[0] @ recurrent[:, : 2 * units]
    update, reset = ((a + b).sigmoid() for a, b in zip((z, r), split(both, 2), strict=True))
    candidate = (h + (states[0] * reset) @ recurrent[:, 2 * units :]).tanh()
    return [update * states[0] + (1.0 - update) * candidate]


def unrolled(
    cell: Cell,
    x: Traced,
    weights: Sequence[Traced],
    *,
    states: Sequence[Any] | None = None,
    mask: Array | None = None,
    backwards: bool = False,
) -> tuple[Traced, list[Any]]:
    """Outputs of every step, (batch, time, units), and the last states.

    A step that is masked repeats the output and the states before it.
    """
    batch, time, _ = x.shape
    units = weights[1].shape[0]
    if states is None:
        states = [Traced(np.zeros((batch, units), _dtype(x)))] * (2 if cell is CELLS["LSTM"] else 1)
    outputs: list[Any] = []
    for step in reversed(range(time)) if backwards else range(time):
        new = cell(x[:, step], states, weights)
        if mask is not None:
            kept = np.broadcast_to(mask[:, step, None], (batch, units))
            new = [where(kept, a, b) for a, b in zip(new, states, strict=True)]
        states = new
        outputs.append(states[0])
    return stacked(outputs, 1), list(states)


# --- Attention


def softmax(x: Traced) -> Traced:
    """Over the last axis."""
    raised = (x - decide(x.array).max(-1, keepdims=True)).exp()
    return raised / raised.sum(-1, keepdims=True)


def attention(
    query: Traced, value: Traced, key: Traced, weights: Sequence[Traced], mask: Array | None
) -> tuple[Traced, Traced]:
    """Multi-head attention (Vaswani et al. 2017): outputs and scores, (batch, heads, T, S).

    Args:
        query: (batch, T, features); value and key: (batch, S, features).
        weights: kernel (features, heads, size) and bias (heads, size) of query, key and value, and
            those of the outputs, (heads, size, features) and (features,).
        mask: (batch, T, S), true where a query may look.
    """
    q, k, v = (
        einsum("bti,ihd->bhtd", x, weights[2 * at]) + weights[2 * at + 1].reshape(-1, 1, size)
        for at, (x, size) in enumerate((x, weights[1].shape[1]) for x in (query, key, value))
    )
    logits = einsum("bhtd,bhsd->bhts", q * (1.0 / math.sqrt(q.shape[-1])), k)
    if mask is not None:
        logits = where(np.broadcast_to(mask[:, None], logits.shape), logits, -1e9)
    scores = softmax(logits)
    heads = einsum("bhts,bhsd->bthd", scores, v)
    return einsum("bthd,hdo->bto", heads, weights[6]) + weights[7], scores


# --- Normalization


def normalized(
    x: Traced, axes: tuple[int, ...], gamma: Traced, beta: Traced, *, epsilon: float
) -> Traced:
    """x s + (beta - mean s), as Keras writes it; gamma and beta have axes for broadcasting."""
    mean = x.mean(axes, keepdims=True)
    variance = (x - mean).square().mean(axes, keepdims=True)
    scale = (variance + epsilon).power(-0.5) * gamma
    return x * scale + (beta - mean * scale)


def group_normalized(
    x: Traced, gamma: Traced, beta: Traced, *, groups: int, epsilon: float
) -> Traced:
    """Mean and variance over all places of an example and a group of channels (Wu and He 2018, eq. 7).

    Args:
        x: (batch, .., channels).
        gamma: (channels,), as is beta.
        groups: of neighbouring channels, all of one size.
        epsilon: added to the variance.
    """
    cut = (groups, x.shape[-1] // groups)
    axes = (*range(1, x.ndim - 1), x.ndim)
    scale, shift = gamma.reshape(*cut), beta.reshape(*cut)
    made = normalized(x.reshape(*x.shape[:-1], *cut), axes, scale, shift, epsilon=epsilon)
    return made.reshape(*x.shape)


def root_mean_square(x: Traced, axes: tuple[int, ...], scale: Traced, *, epsilon: float) -> Traced:
    """x / sqrt(mean x^2 + epsilon) times a scale (Zhang and Sennrich 2019)."""
    return x * (x.square().mean(axes, keepdims=True) + epsilon).power(-0.5) * scale


def unit(x: Traced, axes: tuple[int, ...]) -> Traced:
    """x over its Euclidean length."""
    return x * x.square().sum(axes, keepdims=True).power(-0.5)


def prelu(x: Traced, slope: Traced) -> Traced:
    """max(x, 0) + slope min(x, 0) (He et al. 2015, eq. 1), at 0 with gradient 0, as frameworks have it;
    what ``slope`` lacks of the shape is shared."""
    sign = decide(x.array)
    return where(sign > 0.0, x, 0.0) + where(sign < 0.0, x * slope, 0.0)


def grid(sizes: Sequence[int], kernel: Sequence[int], **options: Any) -> list[Array]:
    """Tables of :func:`taken` for each axis; options hold one number, or one per axis."""
    per_axis = {
        name: value if isinstance(value, (tuple, list)) else itertools.repeat(value)
        for name, value in {"stride": 1, "dilation": 1, "padding": "valid", **options}.items()
    }
    return [
        taken(size, k, **dict(zip(per_axis, values, strict=True)))
        for size, k, *values in zip(sizes, kernel, *per_axis.values(), strict=False)
    ]
