"""Shapes: layers that pad, cut, repeat and reorder, and resize images. They move numbers, exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import Array, made
from bench.checks.contracts.linear import drawn
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("shapes")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _moved(
    subject: str,
    thing: str,
    truth: str,
    *cases: tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...], Callable[[Array], Array]],
) -> None:
    """A contract of layers, each with its arguments, the shape of its inputs and what NumPy makes of
    them; the gradient is the same of numbers that tell where each came from."""

    @contract(subject, thing=f"keras.layers.{thing}", truth=truth)
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        for name, arguments, options, shape, formula in cases:
            x = drawn(f"moved {len(shape)}", *shape)
            tensor = tf.constant(x)
            layer = made(name, *arguments, **options)
            with tf.GradientTape() as tape:
                tape.watch(tensor)
                got = layer(tensor)
            what = " ".join([name, *map(str, arguments), *map(str, options.values())])
            yield exact(what, lab.seen(got), formula(x))
            upstream = np.rint(drawn("upstream", *got.shape) * 8)  # sums of these are exact
            places = formula(np.arange(1, x.size + 1).reshape(shape)).astype(int)
            wanted = np.bincount(places.ravel(), upstream.ravel(), x.size + 1)[1:].reshape(shape)
            slope = tape.gradient(got, tensor, output_gradients=tf.constant(upstream))
            yield exact(f"gradient of {what}", lab.seen(slope), wanted)


def _repeated(*axes: int, times: int = 2) -> Callable[[Array], Array]:
    def formula(x: Array) -> Array:
        for axis in axes:
            x = np.repeat(x, times, axis)
        return x

    return formula


_moved(
    "upsampling",
    "UpSampling2D",
    "Every entry is repeated along each axis of space.",
    ("UpSampling1D", (2,), {}, (2, 3, 2), _repeated(1)),
    ("UpSampling2D", (2,), {}, (2, 3, 2, 2), _repeated(1, 2)),
    ("UpSampling2D", ((1, 3),), {}, (2, 3, 2, 2), _repeated(2, times=3)),
    ("UpSampling3D", (2,), {}, (2, 2, 3, 2, 2), _repeated(1, 2, 3)),
)
_moved(
    "zero_padding",
    "ZeroPadding2D",
    "Zeros are put before and behind each axis of space, as many as are asked for.",
    ("ZeroPadding1D", ((1, 2),), {}, (2, 3, 2), lambda x: np.pad(x, ((0, 0), (1, 2), (0, 0)))),
    (
        "ZeroPadding2D",
        (((1, 2), (0, 3)),),
        {},
        (2, 3, 2, 2),
        lambda x: np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0))),
    ),
    (
        "ZeroPadding3D",
        (1,),
        {},
        (2, 2, 3, 2, 2),
        lambda x: np.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0))),
    ),
)
_moved(
    "cropping",
    "Cropping2D",
    "What is asked for is cut off before and behind each axis of space.",
    ("Cropping1D", ((1, 2),), {}, (2, 5, 2), lambda x: x[:, 1:-2]),
    ("Cropping2D", (((1, 0), (0, 2)),), {}, (2, 3, 4, 2), lambda x: x[:, 1:, :-2]),
    ("Cropping3D", (1,), {}, (2, 3, 4, 5, 2), lambda x: x[:, 1:-1, 1:-1, 1:-1]),
)
_moved(
    "reordered",
    "Reshape",
    "Reshape and Flatten keep the order of a sample's entries, Permute exchanges its axes, RepeatVector"
    " puts a sample's vector behind itself.",
    ("Reshape", ((4, -1),), {}, (2, 6, 2), lambda x: x.reshape(2, 4, 3)),
    ("Flatten", (), {}, (2, 3, 2, 2), lambda x: x.reshape(2, -1)),
    ("Permute", ((3, 1, 2),), {}, (2, 3, 2, 4), lambda x: x.transpose(0, 3, 1, 2)),
    ("RepeatVector", (3,), {}, (2, 4), lambda x: np.repeat(x[:, None], 3, 1)),
)


def along(size: int, into: int) -> Array:
    """Weights (into, size) of linear interpolation between the centres of pixels, ends repeated."""
    at = np.clip((np.arange(into) + 0.5) * size / into - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    weights = np.zeros((into, size))
    weights[np.arange(into), low] += 1 - (at - low)
    weights[np.arange(into), np.minimum(low + 1, size - 1)] += at - low
    return weights


@contract(
    "resizing",
    thing="keras.layers.Resizing",
    truth="Bilinear: each pixel is the mean of the four around its place, by nearness; nearest: the one"
    " that its place falls on.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("images", 2, 4, 6, 3)
    for height, width in ((8, 12), (6, 9), (2, 3)):
        rows, columns = along(4, height), along(6, width)
        got = lab.seen(made("Resizing", height, width)(tf.constant(x)))
        truth = np.einsum("hi,wj,nijc->nhwc", rows, columns, x)
        # Three interpolations, each of weights with an error of a unit and of two products.
        error = 12 * 2.0**-24 * np.einsum("hi,wj,nijc->nhwc", rows, columns, np.abs(x))
        wide = (
            2.0**-21 * np.abs(x).max()
        )  # places are computed in float32, of numbers up to the size
        yield deviation(f"bilinear, {height} x {width}", got, Bounded(truth, error + wide))
    layer = made("Resizing", 8, 3, interpolation="nearest")
    wanted = np.repeat(x, 2, 1)[:, :, 1::2]
    yield exact("nearest", lab.seen(layer(tf.constant(x))), wanted)


@contract(
    "center_crop",
    thing="keras.layers.CenterCrop",
    truth="The middle of each image is kept.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("images", 2, 6, 5, 3)
    got = made("CenterCrop", 4, 3)(tf.constant(x))
    yield exact("outputs", lab.seen(got), x[:, 1:5, 1:4])


@contract(
    "channels_first",
    thing="keras.layers.UpSampling2D",
    truth="With channels first the same is done to each of them as with channels last.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("images", 2, 4, 5, 3)
    for name, arguments, options in (
        ("UpSampling2D", (2,), {"interpolation": "bilinear"}),
        ("UpSampling2D", (2,), {}),
        ("ZeroPadding2D", (1,), {}),
        ("Cropping2D", (1,), {}),
        ("GlobalAveragePooling2D", (), {"keepdims": True}),
        ("GlobalMaxPooling2D", (), {"keepdims": True}),
    ):
        first, last = (
            made(name, *arguments, data_format=f"channels_{where}", **options)
            for where in ("first", "last")
        )
        got = np.moveaxis(lab.seen(first(np.moveaxis(x, -1, 1))), 1, -1)
        truth = lab.seen(last(x))
        what = f"{name}{', bilinear' if options.get('interpolation') else ''}"
        # Means may be summed in another order: 20 numbers, each rounding within their largest.
        room = 20 * np.spacing(np.abs(x).max()) if "Average" in name or "bilin" in what else 0.0
        yield deviation(what, got, Bounded(truth, room))


def _fixed(
    subject: str, name: str, truth: str, options: Any, formula: Callable[[Array], Array]
) -> None:
    """A layer that changes images at random, between two bounds that are one."""

    @contract(subject, thing=f"keras.layers.{name}", truth=truth)
    def _(lab: Lab) -> Iterator[Deviation]:
        x = drawn("images", 2, 8, 8, 3)
        layer = made(name, interpolation="nearest", **options)
        yield exact("outputs", lab.seen(layer(x, training=True)), formula(x))


def _shifted(x: Array) -> Array:
    moved = np.full_like(x, 0.5)
    moved[:, 4:, :-2] = x[:, :-4, 2:]
    return moved


_fixed(
    "random_translation",
    "RandomTranslation",
    "A height_factor above 0 moves images down, a width_factor below 0 to the left, by that share of"
    " their size; what comes in is fill_value.",
    {
        "height_factor": (0.5, 0.5),
        "width_factor": (-0.25, -0.25),
        "fill_mode": "constant",
        "fill_value": 0.5,
    },
    _shifted,
)
_fixed(
    "random_rotation",
    "RandomRotation",
    "A factor of 1/4 turns images counterclockwise by 90 degrees.",
    {"factor": (0.25, 0.25), "fill_mode": "nearest"},
    lambda x: np.rot90(x, 1, (1, 2)),
)
_fixed(
    "random_zoom",
    "RandomZoom",
    "A height_factor of -1/2 shows the middle half of the rows, twice as large, and of the columns, too"
    " unless there is a width_factor.",
    {"height_factor": (-0.5, -0.5), "fill_mode": "nearest"},
    lambda x: x[:, 2:6, 2:6].repeat(2, 1).repeat(2, 2),
)


@contract(
    "random_brightness",
    thing="keras.layers.RandomBrightness",
    truth="The factor's share of the range of values is added, and what leaves the range is clipped.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = np.clip(drawn("images", 2, 4, 4, 3), -1.0, 1.0) * np.float32(0.5) + np.float32(0.5)
    layer = made("RandomBrightness", (0.25, 0.25), value_range=(0.0, 1.0))
    truth = np.clip(x.astype(np.float64) + 0.25, 0.0, 1.0)
    # Two roundings, of numbers within 2.
    yield deviation("outputs", lab.seen(layer(x, training=True)), Bounded(truth, 2.0**-22))
