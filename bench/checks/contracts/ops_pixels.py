"""Functions of ``keras.ops.image`` on pixels, edges, patches and places."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.formulas import float32
from bench.checks.contracts.operation import Call, Operation, call
from bench.checks.contracts.ops_images import FIRST, first, image, last, rounded, weights_of
from bench.checks.contracts.ops_windows import tables_of, windows_of

Array = Any


@last
def _blurred(
    x: Array, kernel_size: tuple[int, int] = (3, 3), sigma: tuple[float, float] = (1.0, 1.0)
) -> Array:
    """Zeros beyond the edges; the larger half of an even kernel is behind."""
    images = x if x.ndim == 4 else x[None]
    kernels = []
    for size, width in zip(kernel_size, sigma, strict=True):
        kernel = np.exp(-0.5 * np.square((np.arange(size) - (size - 1) / 2) / width))
        kernels.append(kernel / kernel.sum())
    windows = windows_of(images, tables_of(images, kernel_size, 1, 1, "same"), 0.0)
    return np.einsum("nrcijk,i,j->nrck", windows, *kernels).reshape(x.shape)


def _by_pixel(function: Callable[..., tuple[float, ...]]) -> Callable[..., Array]:
    return last(lambda x: np.apply_along_axis(lambda pixel: function(*pixel), -1, x))


@last
def _patches(
    x: Array, size: Any, strides: Any = None, dilation_rate: Any = 1, padding: str = "valid"
) -> Array:
    """Of each place, row by row, all channels."""
    images = x if x.ndim == 4 else x[None]
    size = (size, size) if isinstance(size, int) else size
    tables = tables_of(images, size, size if strides is None else strides, dilation_rate, padding)
    windows = windows_of(images, tables, 0.0)
    flat = windows.reshape(*windows.shape[:3], -1)
    return flat if x.ndim == 4 else flat[0]


def _edges(x: Array, kind: str, options: dict[str, int]) -> Iterator[tuple[int, int, int]]:
    """Of height and width: the axis, and what is before and behind, or what the target leaves."""
    for axis, name, sides in ((-3, "height", ("top", "bottom")), (-2, "width", ("left", "right"))):
        before, behind = (options.get(f"{side}_{kind}") for side in sides)
        more = abs(options.get(f"target_{name}", 0) - x.shape[axis])
        before = more - (behind or 0) if before is None else before
        yield axis, before, more - before if behind is None else behind


@last
def _padded(x: Array, **options: int) -> Array:
    edges = [edge for _, *edge in _edges(x, "padding", options)]
    return np.pad(x, [*[(0, 0)] * (x.ndim - 3), *edges, (0, 0)])


@last
def _cropped(x: Array, **options: int) -> Array:
    for axis, before, behind in _edges(x, "cropping", options):
        x = np.take(x, np.arange(before, x.shape[axis] - behind), axis)
    return x


def _framed(
    name: str, kind: str, truth: Callable[..., Array], height: int, width: int
) -> Operation:
    def calls() -> Iterable[Call]:
        top, left, bottom, right = (f"{side}_{kind}" for side in ("top", "left", "bottom", "right"))
        target = {"target_height": height, "target_width": width}
        yield call(image(), **{top: 1, left: 2, bottom: 0, right: 1})
        yield call(image()[0], **{top: 1, left: 2, **target})
        yield call(image(), **{bottom: 1, right: 0, **target})
        yield call(first(image()), **{top: 1, left: 2, bottom: 0, right: 1}, **FIRST)
        yield call(
            first(image()[0]), **{top: 1, left: 0, right: 2, "target_height": height}, **FIRST
        )

    says = "so many rows and columns, or as many as the size needs"
    return Operation(f"image.{name}_images", calls, truth, says, rounds=False)


def _colors(subject: str, function: Callable[..., Any]) -> Operation:
    def calls() -> Iterable[Call]:
        x = (0.5 + np.arctan(image()) / math.pi).astype(np.float32)
        x[0, 0, :2] = [[0.5, 0.5, 0.5], [0, 0, 0]]
        yield from (call(x), call(x[0]), call(first(x), **FIRST), call(first(x[0]), **FIRST))

    return Operation(f"image.{subject}", calls, _by_pixel(function), "color by color")


def _scaled(
    x: Array,
    output_shape: tuple[int, ...],
    scale: Array,
    translation: Array,
    spatial_dims: tuple[int, ...],
    method: str,
    *,
    antialias: bool = True,
) -> Array:
    result = x.astype(np.float64)
    for axis, factor, shift in zip(spatial_dims, scale, translation, strict=True):
        sizes = x.shape[axis], output_shape[axis]
        weights = weights_of(method, *sizes, factor, shift, antialias=antialias)
        result = np.moveaxis(np.tensordot(weights, result, (1, axis)), 0, axis)
    return rounded(result, x.dtype)


OPERATIONS = (
    Operation(
        "image.scale_and_translate",
        lambda: [
            call(image(), (2, 8, 3, 3), float32(by), float32(to), (1, 2), method, **options)
            for by, to, method, options in (
                ([2.0, 0.5], [1.5, -0.25], "linear", {}),
                ([2.0, 0.5], [1.5, 0.0], "cubic", {"antialias": False}),
                ([1.5, 0.75], [-1.0, 0.25], "lanczos3", {}),
            )
        ],
        _scaled,
        "where each pixel comes from, by linear, cubic and Lanczos' kernels",
    ),
    Operation(
        "image.gaussian_blur",
        lambda: [
            call(image()),
            call(image()[0], (5, 5), (0.75, 0.75)),
            call(first(image()), **FIRST),
        ],
        _blurred,
        "means with normal weights, zeros beyond the edges",
    ),
    Operation(
        "image.gaussian_blur-even", lambda: [call(image(), (4, 4))], _blurred, "of even size"
    ),
    Operation(
        "image.gaussian_blur-sizes",
        lambda: [call(image(), (3, 5))],
        _blurred,
        "of another height than width",
    ),
    Operation(
        "image.gaussian_blur-sigma",
        lambda: [call(image(), (3, 3), (0.5, 2.0))],
        _blurred,
        "of another deviation along the height than along the width",
    ),
    _colors("rgb_to_hsv", colorsys.rgb_to_hsv),
    _colors("hsv_to_rgb", colorsys.hsv_to_rgb),
    _colors("rgb_to_grayscale", lambda r, g, b: (0.2989 * r + 0.5870 * g + 0.1140 * b,)),
    Operation(
        "image.extract_patches",
        lambda: [
            call(image(), (2, 3)),
            call(image()[0], 2),
            call(image(), (3, 2), strides=(1, 2), padding="same"),
            call(image(), 2, strides=1, dilation_rate=2),
        ],
        _patches,
        "patches, row by row",
        rounds=False,
    ),
    Operation(
        "image.extract_patches-first",
        lambda: [call(first(image()), (2, 3), **FIRST), call(first(image()[0]), 2, **FIRST)],
        _patches,
        "patches, channels first",
        rounds=False,
    ),
    _framed("pad", "padding", _padded, 6, 9),
    _framed("crop", "cropping", _cropped, 2, 3),
)
