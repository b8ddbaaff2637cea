"""Functions of ``keras.ops.image`` that sample: resized, warped and looked up."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from bench.checks.contracts.formulas import float32
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Call, Operation, call
from bench.checks.contracts.tensors import whole

Array = Any
FIRST = {"data_format": "channels_first"}


def last(truth: Callable[..., Array]) -> Callable[..., Array]:
    """A truth for channels last, for either format."""

    def either(x: Array, *more: Any, data_format: Any = None, **options: Any) -> Array:
        if data_format == "channels_first":
            return np.moveaxis(truth(np.moveaxis(x, -3, -1), *more, **options), -1, -3)
        return truth(x, *more, **options)

    return either


def first(x: Array) -> Array:
    """Channels first."""
    return np.moveaxis(x, -1, -3).copy()


def image(rows: int = 4, columns: int = 6, channels: int = 3) -> Array:
    """Two of them."""
    return drawn("image", 2, rows, columns, channels)


def _bytes(rows: int = 4, columns: int = 6) -> Array:
    """Whole numbers from 0 to 255, both ends among them."""
    return np.clip(128 + 24 * whole("bytes", 2, rows, columns, 3), 0, 255).astype(np.uint8)


# --- Sampling along axes


def _triangle(x: Array) -> Array:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _cubic(x: Array) -> Array:
    """Keys' cubic with a = -1/2 (1981, equation 4)."""
    x = np.abs(x)
    far = np.where(x < 2.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0, 0.0)
    return np.where(x < 1.0, (1.5 * x - 2.5) * x * x + 1.0, far)


def _lanczos(radius: int) -> Callable[[Array], Array]:
    return lambda x: np.where(np.abs(x) < radius, np.sinc(x) * np.sinc(x / radius), 0.0)


_KERNELS = {
    "linear": _triangle,
    "bilinear": _triangle,
    "cubic": _cubic,
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


def weights_of(
    method: str, size: int, target: int, scale: float, translation: float, *, antialias: bool
) -> Array:
    """How each of ``target`` pixels is made of ``size`` ones, (target, size): those whose centers lie
    within the kernel's reach, which grows as the image shrinks where that is asked for, rescaled to a
    sum of 1; of pixels beyond the image, nothing."""
    centers = (np.arange(target) + 0.5 - translation) / scale
    distances = np.arange(size) + 0.5 - centers[:, None]
    if method == "nearest":
        return np.floor(centers)[:, None] == np.arange(size)
    weights = _KERNELS[method](distances * (min(scale, 1.0) if antialias else 1.0))
    inside = (centers >= 0.0) & (centers <= size)
    return np.where(inside[:, None], weights / weights.sum(1, keepdims=True), 0.0)


def _sampled(x: Array, axis: int, weights: Array) -> Array:
    return np.moveaxis(np.tensordot(weights / weights.sum(1, keepdims=True), x, (1, axis)), 0, axis)


def rounded(x: Array, kind: Any) -> Array:
    """In the type of the image that was given."""
    if kind.kind == "f":
        return x
    limits = np.iinfo(kind)
    return np.clip(np.rint(x), limits.min, limits.max).astype(kind)


@last
def _resize(
    x: Array,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    *,
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_value: float = 0.0,
) -> Array:
    kind, (rows, columns) = x.dtype, x.shape[-3:-1]
    if crop_to_aspect_ratio:
        to = min(rows, columns * size[0] // size[1]), min(columns, rows * size[1] // size[0])
        top, left = (rows - to[0]) // 2, (columns - to[1]) // 2
        x = x[..., top : top + to[0], left : left + to[1], :]
    if pad_to_aspect_ratio:
        to = max(rows, columns * size[0] // size[1]), max(columns, rows * size[1] // size[0])
        top, left = (to[0] - rows) // 2, (to[1] - columns) // 2
        edges = [(0, 0)] * (x.ndim - 3) + [(top, top), (left, left), (0, 0)]
        x = np.pad(x, edges, constant_values=fill_value)
    result = x.astype(np.float64)
    for axis, target in zip((-3, -2), size, strict=True):
        have = x.shape[axis]
        weights = weights_of(interpolation, have, target, target / have, 0.0, antialias=antialias)
        result = _sampled(result, axis, weights)
    return rounded(result, kind)


def _resized(
    subject: str, says: str, calls: Callable[[], Iterable[Call]], **more: Any
) -> Operation:
    return Operation(f"image.resize{subject}", calls, _resize, says, **more)


_TO = ((8, 3), (2, 12))
_PATHS = (
    _resized(
        "",
        "the nearest pixel, linear and cubic interpolation about centers",
        lambda: [
            call(image(), to, interpolation=method)
            for method, to in itertools.product(("nearest", "bilinear", "bicubic"), _TO)
        ],
    ),
    _resized(
        "-lanczos",
        "Lanczos' kernels",
        lambda: [call(image(), (8, 3), interpolation=f"lanczos{radius}") for radius in (3, 5)],
    ),
    _resized(
        "-antialias",
        "kernels grow as the image shrinks",
        lambda: [
            call(image(), to, interpolation=method, antialias=True)
            for method, to in itertools.product(("bilinear", "bicubic"), _TO)
        ],
    ),
    _resized(
        "-ranks",
        "one image or several, in either format",
        lambda: [
            call(image()[0], (8, 3)),
            call(first(image()), (8, 3), **FIRST),
            call(first(image()[0]), (8, 3), **FIRST),
        ],
    ),
    _resized(
        "-uint8",
        "rounded to whole numbers within the type's range",
        lambda: [
            call(_bytes(), (8, 3), interpolation=method)
            for method in ("nearest", "bilinear", "bicubic")
        ],
        rounds=False,
    ),
    _resized(
        "-crop",
        "the largest part about the center that has the proportions",
        lambda: [
            call(image(4, 8), (4, 4), crop_to_aspect_ratio=True),
            call(image(8, 4)[0], (2, 2), crop_to_aspect_ratio=True),
            call(first(image(4, 8)), (2, 8), crop_to_aspect_ratio=True, **FIRST),
        ],
    ),
    _resized(
        "-pad",
        "about the center of the smallest frame that has the proportions",
        lambda: [
            call(x, to, pad_to_aspect_ratio=True, fill_value=0.5)
            for x, to in ((image(4, 8), (4, 4)), (image(8, 4)[0], (8, 8)))
        ],
    ),
    _resized(
        "-pad_uint8",
        "about the center of the smallest frame that has the proportions, whole numbers",
        lambda: [call(_bytes(4, 8), (8, 8), pad_to_aspect_ratio=True)],
        rounds=False,
    ),
)


# --- Sampling anywhere


def _inside(index: Array, size: int, mode: str) -> Array:
    """Where in an axis a place beyond its ends is found."""
    if mode == "mirror":
        index = np.abs((index + size - 1) % (2 * size - 2) - (size - 1))
    if mode == "reflect":
        turn = index % (2 * size)
        index = np.where(turn < size, turn, 2 * size - 1 - turn)
    return index % size if mode == "wrap" else np.clip(index, 0, size - 1)


def _at(
    x: Array, coordinates: Array, order: int, fill_mode: str = "constant", fill_value: Any = 0
) -> Array:
    """Each neighbour is looked up, or filled, by itself."""
    low = np.rint(coordinates) if order == 0 else np.floor(coordinates)
    total = np.zeros(coordinates.shape[1:])
    for step in itertools.product(*[(0, 1) if order else (0,)] * x.ndim):
        places = low.astype(int) + np.reshape(step, (-1, *(1,) * (coordinates.ndim - 1)))
        weight = np.prod(1.0 - np.abs(coordinates - places), 0) if order else 1.0
        found = x[tuple(_inside(p, n, fill_mode) for p, n in zip(places, x.shape, strict=True))]
        if fill_mode == "constant":
            sizes = np.reshape(x.shape, (-1, *(1,) * (coordinates.ndim - 1)))
            found = np.where(((places >= 0) & (places < sizes)).all(0), found, fill_value)
        total = total + weight * found
    return rounded(total, x.dtype)


def _warped(x: Array, transforms: Array, order: int, fill_mode: str, fill_value: float) -> Array:
    """Looks up, for each pixel (x, y), the place that its transform gives."""
    images = x if x.ndim == 4 else x[None]
    rows, columns = np.indices(images.shape[1:3])
    result = np.empty(images.shape)
    for one, t, to in zip(
        images, np.broadcast_to(transforms, (len(images), 8)), result, strict=True
    ):
        depth = t[6] * columns + t[7] * rows + 1.0
        places = np.stack(
            [t[3] * columns + t[4] * rows + t[5], t[0] * columns + t[1] * rows + t[2]]
        )
        for channel in range(one.shape[-1]):
            to[..., channel] = _at(one[..., channel], places / depth, order, fill_mode, fill_value)
    return result.reshape(x.shape)


@last
def _affine(
    x: Array,
    transform: Array,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Array:
    return _warped(x, transform, int(interpolation == "bilinear"), fill_mode, fill_value)


@last
def _perspective(
    x: Array, start: Array, end: Array, interpolation: str = "bilinear", fill_value: float = 0.0
) -> Array:
    """The projection that takes end points to start points, as the output is looked up."""

    def projection(froms: Array, to: Array) -> Array:
        rows, values = [], []
        for (u, v), (x1, y1) in zip(froms, to, strict=True):
            rows += [[u, v, 1, 0, 0, 0, -x1 * u, -x1 * v], [0, 0, 0, u, v, 1, -y1 * u, -y1 * v]]
            values += [x1, y1]
        return np.linalg.solve(rows, values)

    pairs = zip(end.reshape(-1, 4, 2), start.reshape(-1, 4, 2), strict=True)
    transforms = np.stack([projection(*pair) for pair in pairs])
    return _warped(x, transforms, int(interpolation == "bilinear"), "constant", fill_value)


_SHIFTS = float32([[1, 0, -2, 0, 1, 1, 0, 0], [1, 0, 3, 0, 1, -2, 0, 0]])
_HALF = float32([0.5, 0, 0.25, 0, 0.5, 0.75, 0, 0])
_CORNERS = float32([[0, 0], [0, 4], [6, 0], [6, 4]])


def _places(*, beyond: bool) -> Array:
    """Quarters inside a 4x6 image, and, where asked for, whole numbers up to 5 beyond."""
    if beyond:
        return np.stack([whole("rows", 12) % 14 - 5, whole("columns", 12) % 16 - 5])
    inside = np.abs(whole("rows", 2, 12) * 3 + 1) % float32([[12], [20]])
    return (inside / 4 + np.float32(1 / 16)).astype(np.float32)


def _beyond(mode: str) -> Operation:
    return Operation(
        f"image.affine_transform-{mode}",
        lambda: [
            call(image(), _SHIFTS, interpolation, fill_mode=mode, fill_value=0.5)
            for interpolation in ("nearest", "bilinear")
        ],
        _affine,
        "pixels are looked up where the transform says, and beyond the edges",
    )


def _mapped(mode: str) -> Operation:
    def calls() -> list[Call]:
        given = drawn("values", 4, 6), _places(beyond=True)
        return [call(*given, order, fill_mode=mode, fill_value=0.5) for order in (0, 1)]

    return Operation(f"image.map_coordinates-{mode}", calls, _at, "what is found beyond the ends")


_WARPS = (
    *map(_beyond, ("constant", "nearest", "wrap", "reflect")),
    Operation(
        "image.affine_transform",
        lambda: [
            call(image(), _HALF),
            call(image()[0], _HALF, interpolation="nearest"),
            call(first(image()), _HALF, **FIRST),
            call(first(image()[0]), _HALF, **FIRST),
        ],
        _affine,
        "pixels are looked up where the transform says",
    ),
    Operation(
        "image.perspective_transform",
        lambda: [
            call(
                image(),
                np.stack([_CORNERS] * 2),
                np.stack([_CORNERS + 1, _CORNERS * 2 + np.float32(0.5)]),
                "nearest",
            ),
            call(
                image()[0],
                _CORNERS,
                _CORNERS + float32([1.25, -2.25]),
                "nearest",
                fill_value=0.5,
            ),
            call(first(image()), _CORNERS, _CORNERS - float32([2, 1]), **FIRST),
        ],
        _perspective,
        "the projection that takes start points to end points",
    ),
    Operation(
        "image.map_coordinates",
        lambda: [
            call(drawn("values", 4, 6), _places(beyond=False), order, fill_mode=mode)
            for order, mode in itertools.product((0, 1), ("constant", "nearest"))
        ],
        _at,
        "the nearest entry, or linear interpolation",
    ),
    Operation(
        "image.map_coordinates-uint8",
        lambda: [call(_bytes()[0, ..., 0], _places(beyond=False), 1)],
        _at,
        "rounded to whole numbers",
        rounds=False,
    ),
    *map(_mapped, ("constant", "nearest", "wrap", "mirror", "reflect")),
)

OPERATIONS = (*_PATHS, *_WARPS)
