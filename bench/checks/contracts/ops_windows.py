"""Functions of ``keras.ops`` that move windows: convolutions, pools, and what rearranges blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from bench.checks.contracts.operation import Call, Operation, apart, call
from bench.checks.contracts.tensors import whole

Array = Any


# --- Windows


def _each(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _table(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Array:
    """The places of each window, (windows, kernel), -1 outside. Of "same" padding the larger half is
    behind."""
    reach = (kernel - 1) * dilation + 1
    if padding == "same":
        windows = -(-size // stride)
        before = max((windows - 1) * stride + reach - size, 0) // 2
    else:
        windows, before = (size - reach) // stride + 1, 0
    places = np.arange(windows)[:, None] * stride + np.arange(kernel) * dilation - before
    return np.where((places >= 0) & (places < size), places, -1)


def windows_of(x: Array, tables: Sequence[Array], outside: float) -> Array:
    """(batch, windows along each axis, places along each axis, channels)"""
    rank = len(tables)
    for axis, table in enumerate(tables):
        edge = [(0, 0)] * x.ndim
        edge[1 + 2 * axis] = (0, 1)
        x = np.take(np.pad(x, edge, constant_values=outside), table, 1 + 2 * axis)
    behind = [1 + 2 * axis for axis in range(rank)] + [2 + 2 * axis for axis in range(rank)]
    return x.transpose(0, *behind, 2 * rank + 1)


def _last(truth: Callable[..., Array]) -> Callable[..., Array]:
    """A truth for channels last, for either format."""

    def either(x: Array, *more: Any, data_format: Any = None, **options: Any) -> Array:
        if data_format == "channels_first":
            return np.moveaxis(truth(np.moveaxis(x, 1, -1), *more, **options), -1, 1)
        return truth(x, *more, **options)

    return either


def tables_of(
    x: Array, kernel: Sequence[int], strides: Any, dilation: Any, padding: str
) -> list[Array]:
    """The places of the windows along each axis."""
    rank = x.ndim - 2
    sizes = zip(x.shape[1:-1], kernel, _each(strides, rank), _each(dilation, rank), strict=True)
    return [_table(*each, padding) for each in sizes]


@_last
def _conv(
    x: Array, kernel: Array, strides: Any = 1, padding: str = "valid", dilation_rate: Any = 1
) -> Array:
    rank = x.ndim - 2
    windows = windows_of(x, tables_of(x, kernel.shape[:rank], strides, dilation_rate, padding), 0.0)
    return np.tensordot(windows, kernel, rank + 1)


@_last
def _depthwise(
    x: Array, kernel: Array, strides: Any = 1, padding: str = "valid", dilation_rate: Any = 1
) -> Array:
    rank = x.ndim - 2
    windows = windows_of(x, tables_of(x, kernel.shape[:rank], strides, dilation_rate, padding), 0.0)
    rows = windows.reshape(*windows.shape[: rank + 1], -1, x.shape[-1])
    sums = np.einsum("...pc,pcm->...cm", rows, kernel.reshape(-1, *kernel.shape[-2:]))
    return sums.reshape(*sums.shape[:-2], -1)


@_last
def _separable(x: Array, kernel: Array, pointwise: Array, **options: Any) -> Array:
    return _depthwise(x, kernel, **options) @ pointwise.reshape(pointwise.shape[-2:])


@_last
def _transposed(x: Array, kernel: Array, strides: Any = 1, padding: str = "valid") -> Array:
    """Adds to each place what the windows around it give: the gradient of a convolution."""
    rank = x.ndim - 2
    sizes = [
        size * stride + (max(k - stride, 0) if padding == "valid" else 0)
        for size, k, stride in zip(x.shape[1:-1], kernel.shape, _each(strides, rank), strict=False)
    ]
    result = np.zeros((len(x), *sizes, kernel.shape[-2]))
    tables = tables_of(result, kernel.shape[:rank], strides, 1, padding)
    for window in itertools.product(*map(range, x.shape[1:-1])):
        for place in itertools.product(*map(range, kernel.shape[:rank])):
            to = [t[w, p] for t, w, p in zip(tables, window, place, strict=True)]
            if min(to) >= 0:
                result[(slice(None), *to)] += x[(slice(None), *window)] @ kernel[place].T
    return result


def _pooled(fold: Callable[..., Array]) -> Callable[..., Array]:
    @_last
    def truth(x: Array, pool_size: Any, strides: Any = None, padding: str = "valid") -> Array:
        rank = x.ndim - 2
        size = _each(pool_size, rank)
        tables = tables_of(x, size, size if strides is None else strides, 1, padding)
        windows = windows_of(x, tables, np.nan)
        return fold(windows, tuple(range(rank + 1, 2 * rank + 1)))

    return truth


def _adaptive(fold: Callable[..., Array]) -> Callable[..., Array]:
    @_last
    def truth(x: Array, output_size: Any) -> Array:
        """Of each part of an axis, which reaches over all places that it touches."""
        for axis, bins in enumerate(_each(output_size, x.ndim - 2), 1):
            size = x.shape[axis]
            parts = [slice(b * size // bins, -(-(b + 1) * size // bins)) for b in range(bins)]
            moved = np.moveaxis(x, axis, 0)
            x = np.moveaxis(np.stack([fold(moved[part], 0) for part in parts]), 0, axis)
        return x

    return truth


# --- Calls

_SIZES = {1: (9,), 2: (7, 6), 3: (5, 4, 4)}
_KERNEL = {1: (3,), 2: (3, 2), 3: (2, 2, 3)}


def _images(rank: int, *, first: bool = False) -> Array:
    x = whole("inputs", 2, *_SIZES[rank], 3)
    return np.moveaxis(x, -1, 1).copy() if first else x


def _kernel(rank: int, inputs: int = 3, filters: int = 4) -> Array:
    return whole("kernel", *_KERNEL[rank], inputs, filters)


def _settings(rank: int) -> Iterable[dict[str, Any]]:
    yield from ({}, {"strides": 2, "padding": "same"}, {"dilation_rate": 2, "padding": "same"})
    yield {"strides": (2,) * rank}


_FIRST = {"data_format": "channels_first"}


def _convs(rank: int) -> Iterable[Operation]:
    says = "sums of products over the windows"
    yield Operation(
        f"conv-{rank}d",
        lambda: [call(_images(rank), _kernel(rank), **one) for one in _settings(rank)],
        _conv,
        says,
    )
    yield Operation(
        f"conv-{rank}d_first",
        lambda: [call(_images(rank, first=True), _kernel(rank), padding="same", **_FIRST)],
        _conv,
        f"{says}, channels first",
    )
    yield Operation(
        f"conv_transpose-{rank}d",
        lambda: [
            call(_images(rank), _kernel(rank, 4, 3), **one)
            for one in ({"strides": 1}, {"strides": 2, "padding": "same"}, {"strides": 3})
        ],
        _transposed,
        "sums of what the windows around a place give",
    )


def _thin(name: str, truth: Callable[..., Array], rank: int) -> Iterable[Operation]:
    """Convolutions that keep channels apart."""

    def calls(*settings: dict[str, Any], first: bool = False) -> list[Call]:
        weights = [whole("kernel", *_KERNEL[rank], 3, 2), whole("point", *(1,) * rank, 6, 4)]
        given = (_images(rank, first=first), *weights[: 1 + (name == "separable_conv")])
        return [call(*given, **one) for one in settings]

    says = "sums of products over the windows of each channel"
    wide, far = {"strides": 2, "padding": "same"}, {"dilation_rate": 2, "padding": "same"}
    yield Operation(f"{name}-{rank}d", lambda: calls({}, wide, far), truth, says)
    yield Operation(
        f"{name}-{rank}d_strides_dilation",
        lambda: calls({**wide, **far}),
        truth,
        f"{says}, with strides and dilation",
    )
    yield Operation(
        f"{name}-{rank}d_first",
        lambda: calls(_FIRST, {**far, **_FIRST}, first=True),
        truth,
        f"{says}, channels first",
    )


def _empty(filters: int) -> list[Call]:
    kernels = ((rank, _kernel(rank, 3, filters)) for rank in (1, 2))
    return [call(_images(rank)[:0], kernel, padding="same") for rank, kernel in kernels]


_RARE = (
    Operation(
        "conv-strides_dilation",
        lambda: [
            call(_images(2), _kernel(2), strides=2, dilation_rate=2, padding=padding)
            for padding in ("same", "valid")
        ],
        _conv,
        "sums of products over the windows, with strides and dilation",
    ),
    Operation("conv-empty", lambda: _empty(3), _conv, "nothing of a batch of 0"),
    Operation("conv-empty_filters", lambda: _empty(4), _conv, "nothing of a batch of 0"),
)


def _pool(name: str, fold: Callable[..., Array], rank: int) -> Operation:
    return Operation(
        f"{name}_pool-{rank}d",
        lambda: [
            call(_images(rank), 2),
            call(_images(rank), _KERNEL[rank], strides=(2, 1, 1)[:rank], padding="same"),
            call(_images(rank, first=True), 2, padding="same", **_FIRST),
        ],
        _pooled(fold),
        f"the {name} of each window",
    )


def _pools(name: str, fold: Callable[..., Array]) -> Iterable[Operation]:
    for rank in (1, 2, 3):
        yield _pool(name, fold, rank)
    adaptive = Operation(
        f"adaptive_{name}_pool",
        lambda: [
            call(_images(1), (4,)),
            call(_images(2), (4, 2)),
            call(_images(3, first=True), (2, 3, 2), **_FIRST),
        ],
        _adaptive(fold),
        f"the {name} of each part",
    )
    yield from apart(adaptive, "symbols")
    # At once, where a window is larger than the input, TensorFlow's maximum ends the process.
    yield Operation(
        f"adaptive_{name}_pool-one",
        lambda: [call(_images(2), (1, 1))],
        _adaptive(fold),
        f"the {name} of everything",
        ways=("graph",),
    )


# --- Blocks


@_last
def _depth(x: Array, block_size: int) -> Array:
    batch, rows, columns, channels = x.shape
    size = block_size
    blocks = x.reshape(batch, rows // size, size, columns // size, size, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows // size, columns // size, -1)


@_last
def _space(x: Array, block_size: int) -> Array:
    batch, rows, columns, channels = x.shape
    size = block_size
    blocks = x.reshape(batch, rows, columns, size, size, channels // size**2)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * size, columns * size, -1)


def _places(
    size: Sequence[int], kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> Array:
    """Of each place of the kernel and each block, where it is in the padded image."""
    (k, d, p, s) = (_each(value, 2) for value in (kernel_size, dilation, padding, stride))
    along = [
        np.arange(kernel)[:, None] * dilated
        + np.arange(0, side + 2 * pad - (kernel - 1) * dilated, step)
        for kernel, dilated, pad, step, side in zip(k, d, p, s, size, strict=True)
    ]
    width = size[1] + 2 * p[1]
    places = along[0][:, None, :, None] * width + along[1][None, :, None, :]
    return places.reshape(math.prod(k), -1)


def _framed(x: Array, padding: Any) -> Array:
    rows, columns = _each(padding, 2)
    return np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))


def _unfold(
    x: Array, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Array:
    places = _places(x.shape[2:], kernel_size, dilation, padding, stride)
    flat = _framed(x, padding).reshape(*x.shape[:2], -1)
    return flat[..., places].reshape(len(x), -1, places.shape[1])


def _fold(
    x: Array,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Array:
    """Adds up what blocks have for one place."""
    size = _each(output_size, 2)
    places = _places(size, kernel_size, dilation, padding, stride)
    channels = x.shape[1] // len(places)
    frame = _framed(np.zeros((len(x), channels, *size), x.dtype), padding)
    flat = frame.reshape(len(x), channels, -1)
    at: Any = (..., places)
    np.add.at(flat, at, x.reshape(len(x), channels, *places.shape))
    (top, left), full = _each(padding, 2), flat.reshape(frame.shape)
    return full[:, :, top : top + size[0], left : left + size[1]]


_BLOCKS = (
    Operation(
        "space_to_depth",
        lambda: [
            call(whole("image", 2, 4, 6, 3), 2),
            call(whole("image", 2, 3, 4, 6), 2, data_format="channels_first"),
        ],
        _depth,
        "blocks side by side become channels",
        rounds=False,
    ),
    Operation(
        "depth_to_space",
        lambda: [
            call(whole("image", 2, 2, 3, 8), 2),
            call(whole("image", 2, 8, 2, 3), 2, data_format="channels_first"),
        ],
        _space,
        "channels become blocks side by side",
        rounds=False,
    ),
    Operation(
        "unfold",
        lambda: [
            call(whole("image", 2, 3, 6, 5), 2),
            call(whole("image", 2, 3, 6, 5), (3, 2), padding=(1, 2), stride=(2, 1)),
            call(whole("image", 2, 3, 6, 5), 2, dilation=2, stride=2),
        ],
        _unfold,
        "each block's entries, channel by channel",
        rounds=False,
    ),
    Operation(
        "fold",
        lambda: [call(whole("blocks", 2, 8, 16), (6, 5), 2, padding=(1, 0), stride=(2, 1))],
        _fold,
        "sums of what blocks have for one place",
        rounds=False,
        ways=("eager", "symbols"),
    ),
)

_MEANS: dict[str, Any] = {"average": np.nanmean, "max": np.nanmax}
OPERATIONS = (
    *itertools.chain(*map(_convs, (1, 2, 3))),
    *itertools.chain(*(_thin("depthwise_conv", _depthwise, rank) for rank in (1, 2))),
    *itertools.chain(*(_thin("separable_conv", _separable, rank) for rank in (1, 2))),
    *_RARE,
    *itertools.chain(*(_pools(*each) for each in _MEANS.items())),
    *_BLOCKS,
)
