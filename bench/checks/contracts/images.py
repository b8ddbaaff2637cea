"""Images: ``tf.image``, from resizing to boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.shapes import along
from bench.checks.contracts.tensors import whole
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

Array = npt.NDArray[Any]

catalogue = Catalogue("images")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _weights(
    kernel: Any, size: int, target: int, *, reach: float, antialias: bool = False
) -> Array:
    """How each of ``target`` pixels is made of ``size`` ones, (target, size): those whose centers lie
    within the kernel's reach, which grows as the image shrinks where that is asked for, and of these
    what lies inside the image, rescaled to a sum of 1."""
    scale = size / target
    wider = max(scale, 1.0) if antialias else 1.0
    centers = (np.arange(target) + 0.5) * scale
    distances = (np.arange(size) + 0.5 - centers[:, None]) / wider
    weights = np.where(np.abs(distances) < reach, kernel(np.abs(distances)), 0.0)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _triangle(x: Array) -> Array:
    return 1.0 - x


def _cubic(x: Array) -> Array:
    """Keys' cubic with a = -1/2 (1981, equation 4)."""
    near = (1.5 * x - 2.5) * x * x + 1.0
    return np.where(x < 1.0, near, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0)


def _resized(x: Array, rows: Array, columns: Array) -> Bounded:
    """Weights are computed in float32, too, within a few ulps of what they are."""
    sums = np.einsum("tr,nrkc,sk->ntsc", rows, x.astype(float), columns)
    size = np.einsum("tr,nrkc,sk->ntsc", np.abs(rows), np.abs(x.astype(float)), np.abs(columns))
    # Distances of centers up to 8 have 8 u of error, the cubic's slope is below 2 and its terms add
    # up to 9; then normalized, multiplied and summed twice: 64 u hold it all.
    return Bounded(sums, 64 * 2.0**-24 * np.maximum(size, np.abs(x).max()))


@contract(
    "resize",
    thing="tf.image.resize",
    truth="Larger and smaller, by the nearest pixel, linear and cubic interpolation about centers, and"
    " areas; with antialias, kernels grow as the image shrinks.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("image", 2, 6, 8, 3)
    for target in ((12, 4), (3, 16), (6, 8), (9, 5)):
        to = dict(zip((6, 8), target, strict=True))
        for method, kernel, reach in (("bilinear", _triangle, 1.0), ("bicubic", _cubic, 2.0)):
            for antialias in (False, True):
                if (method, antialias, target) == ("bicubic", False, (9, 5)):
                    continue  # its weights come from a table of 1,024 distances
                pair = [
                    _weights(kernel, size, to[size], reach=reach, antialias=antialias)
                    if antialias or method == "bicubic"
                    else along(size, to[size])
                    for size in (6, 8)
                ]
                got = tf.image.resize(x, target, method, antialias=antialias)
                name = f"{method} to {target}{', antialias' * antialias}"
                yield deviation(name, lab.seen(got), _resized(x, *pair))
        rows, columns = ((np.arange(to[n]) + 0.5) * n / to[n] for n in (6, 8))
        nearest = x[:, rows.astype(int)][:, :, columns.astype(int)]
        got = tf.image.resize(x, target, "nearest")
        yield exact(f"nearest to {target}", lab.seen(got), nearest)
    quarters = whole("quarters", 1, 4, 4, 1)
    area = tf.image.resize(quarters, [2, 2], "area")
    truth = quarters.reshape(1, 2, 2, 2, 2, 1).mean((2, 4))
    yield exact("areas", lab.seen(area), truth)


@contract(
    "crop-pad",
    thing="tf.image.resize_with_crop_or_pad",
    truth="Cut and padded about the center or at an offset, and patches in their order; an odd pixel is"
    " at the end.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("image", 1, 5, 6, 2)
    for name, got, truth in (
        (
            "cut and padded",
            tf.image.resize_with_crop_or_pad(x, 2, 9),
            np.pad(x[:, 1:3], ((0, 0), (0, 0), (1, 2), (0, 0))),
        ),
        ("center", tf.image.central_crop(x, 0.5), x[:, 1:4, 1:5]),
        ("box", tf.image.crop_to_bounding_box(x, 1, 2, 3, 4), x[:, 1:4, 2:6]),
        (
            "padded",
            tf.image.pad_to_bounding_box(x, 1, 2, 8, 9),
            np.pad(x, ((0, 0), (1, 2), (2, 1), (0, 0))),
        ),
        ("left and right", tf.image.flip_left_right(x), x[:, :, ::-1]),
        ("up and down", tf.image.flip_up_down(x), x[:, ::-1]),
        ("turned", tf.image.rot90(x, 3), np.rot90(x, 3, (1, 2))),
        ("transposed", tf.image.transpose(x), x.transpose(0, 2, 1, 3)),
    ):
        yield exact(name, lab.seen(got), truth)
    patches = tf.image.extract_patches(x, [1, 2, 3, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
    at = [[x[0, r : r + 2, c : c + 3].ravel() for c in (0, 2)] for r in (0, 2)]
    yield exact("patches", lab.seen(patches), [at])
    boxes, which = [[0.25, 0.0, 0.75, 1.0], [1.0, 1.0, 0.0, 0.0]], [0, 0]
    cropped = tf.image.crop_and_resize(x[:, :, :5], boxes, which, [3, 5])
    yield exact("a part", lab.seen(cropped)[0], x[0, 1:4, :5])
    yield exact("turned part", lab.seen(cropped)[1], x[0, ::-1, :5][::2, ::-1])


@contract(
    "colors",
    thing="tf.image.adjust_contrast",
    truth="Brightness, contrast, gamma and gray by their formulas; hue, saturation and value as"
    " colorsys has them, and back.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    import colorsys

    from bench.nets.api import tf

    # Whole 256ths, no two channels of a pixel alike: the largest one is no matter of rounding.
    order = np.argsort(drawn("order", 4, 5, 3), -1)
    x = ((order * 80 + 20 + np.abs(whole("steps", 4, 5, 1))) / 256).astype(np.float32)
    bounded = Bounded(x)
    gray = bounded[..., :1] * 0.2989 + bounded[..., 1:2] * 0.587 + bounded[..., 2:] * 0.114
    mean = bounded.mean((0, 1), keepdims=True)
    for name, got, truth in (
        ("brightness", tf.image.adjust_brightness(x, 0.25), bounded + 0.25),
        ("contrast", tf.image.adjust_contrast(x, 2.0), (bounded - mean) * 2.0 + mean),
        ("gray", tf.image.rgb_to_grayscale(tf.constant(x)), gray),
        ("gamma", tf.image.adjust_gamma(tf.constant(x), 2.0, 0.5), np.square(bounded) * 0.5),
    ):
        yield deviation(name, lab.seen(got), truth)
    yield exact(
        "from gray",
        lab.seen(tf.image.grayscale_to_rgb(tf.constant(x[..., :1]))),
        np.repeat(x[..., :1], 3, -1),
    )
    flat = x.reshape(-1, 3).astype(float)
    hsv = np.array([colorsys.rgb_to_hsv(*pixel) for pixel in flat]).reshape(x.shape)
    # Each step divides numbers below 6 by a range of at least 60 / 256: 32 u of 6.
    bound = np.full(x.shape, 6 * 32 * 2.0**-24)
    yield deviation("HSV", lab.seen(tf.image.rgb_to_hsv(x)), Bounded(hsv, bound))
    back = tf.image.hsv_to_rgb(hsv.astype(np.float32))
    yield deviation("back", lab.seen(back), Bounded(x.astype(float), bound))
    paler = [colorsys.hsv_to_rgb(h, s * 0.5, v) for h, s, v in hsv.reshape(-1, 3)]
    got = tf.image.adjust_saturation(x, 0.5)
    yield deviation("saturation", lab.seen(got), Bounded(np.reshape(paler, x.shape), bound))
    turned = [colorsys.hsv_to_rgb((h + 0.25) % 1.0, s, v) for h, s, v in hsv.reshape(-1, 3)]
    got = tf.image.adjust_hue(x, 0.25)
    yield deviation("hue", lab.seen(got), Bounded(np.reshape(turned, x.shape), bound))


@contract(
    "standardization",
    thing="tf.image.per_image_standardization",
    truth="Less the mean, over the deviation, which is at least that of one pixel in N; types are"
    " converted to their ranges and limited to them.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("image", 2, 4, 5, 3)
    bounded = Bounded(x)
    mean = bounded.mean((1, 2, 3), keepdims=True)
    size = np.sqrt(np.square(bounded - mean).mean((1, 2, 3), keepdims=True))
    got = tf.image.per_image_standardization(x)
    yield deviation("standardized", lab.seen(got), (bounded - mean) / size)
    faint = np.full((4, 4, 1), 3.0, np.float32)
    faint[0, 0] += 0.5  # a deviation of .12, below 1/4
    got = tf.image.per_image_standardization(faint)
    truth = (Bounded(faint) - Bounded(faint).mean((0, 1, 2), keepdims=True)) * 4.0
    yield deviation("nearly flat", lab.seen(got), truth)
    bytes_ = np.array([0, 1, 128, 255], np.uint8)
    scaled = tf.image.convert_image_dtype(bytes_, tf.float32)
    yield deviation("to float", lab.seen(scaled), Bounded(bytes_.astype(float)) * (1.0 / 255))
    back = tf.image.convert_image_dtype([0.0, 0.5, 1.0, 1.5, -1.0], tf.uint8, saturate=True)
    yield exact("to bytes", lab.seen(back), [0, 127, 255, 255, 0])  # of 255.5
    wide = tf.image.convert_image_dtype(bytes_, tf.uint16)
    yield exact("to 16 bits", lab.seen(wide), [0, 256, 128 * 256, 255 * 256])


@contract(
    "comparison",
    thing="tf.image.psnr",
    truth="Ratio of peak to error in decibels, structural similarity, variation and edges by their"
    " formulas.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("image", 2, 12, 13, 1)
    y = x + np.float32(2.0)
    decibels = np.log(Bounded(np.full(2, 8.0**2 / 4))) * (10 / np.log(10.0))
    yield deviation("psnr", lab.seen(tf.image.psnr(tf.constant(x), tf.constant(y), 8.0)), decibels)
    ones = tf.ones([1, 12, 12, 1])
    # Of two flat images only the luminance counts (Wang et al. 2004, equation 6), with K1 = .01.
    similar = (2 * 1 * 3 + 0.01**2 * 16) / (1 + 9 + 0.01**2 * 16)
    # The variances, 0, are differences of squares of at most 9, each within some u; C2 is .0144.
    bound = np.full(1, 16 * 9 * 2.0**-24 / 0.0144)
    yield deviation("ssim", lab.seen(tf.image.ssim(ones, 3 * ones, 4.0)), Bounded([similar], bound))
    yield deviation("ssim of one", lab.seen(tf.image.ssim(ones, ones, 4.0)), Bounded([1.0], bound))
    truth = np.abs(np.diff(x, axis=1)).sum((1, 2, 3)) + np.abs(np.diff(x, axis=2)).sum((1, 2, 3))
    yield exact("variation", lab.seen(tf.image.total_variation(tf.constant(x))), truth)
    edges = lab.seen(tf.image.sobel_edges(tf.constant(x)))[:, 1:-1, 1:-1, 0]
    down = x[:, 2:, :, 0] - x[:, :-2, :, 0]
    across = x[:, :, 2:, 0] - x[:, :, :-2, 0]
    yield exact(
        "edges down", edges[..., 0], down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    )
    yield exact("edges across", edges[..., 1], across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:])


@contract(
    "boxes",
    thing="tf.image.non_max_suppression",
    truth="Boxes are kept by their score unless they overlap one kept before by more than is allowed.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    # Box 1 shares 3/4 with box 0 (a ratio of .6), box 2 half a box (1/3), box 3 nothing.
    boxes = np.array([[0, 0, 4, 4], [0, 1, 4, 5], [2, 0, 6, 4], [9, 9, 5, 5]], np.float32)
    scores = np.array([0.5, 0.75, 0.625, 0.25], np.float32)
    for allowed, truth in ((0.5, [1, 2, 3]), (0.7, [1, 2, 0, 3]), (0.1, [1, 3])):
        got = tf.image.non_max_suppression(boxes, scores, 4, iou_threshold=allowed)
        yield exact(f"overlap of {allowed}", lab.seen(got), truth)
    few = tf.image.non_max_suppression(boxes, scores, 4, iou_threshold=0.5, score_threshold=0.5)
    yield exact("with a score", lab.seen(few), [1, 2])
    padded, count = tf.image.non_max_suppression_padded(
        boxes, scores, 4, iou_threshold=0.5, pad_to_max_output_size=True
    )
    yield exact("padded", lab.seen(padded), [1, 2, 3, 0])
    yield exact("how many", lab.seen(count), 3)
    combined = tf.image.combined_non_max_suppression(
        boxes[None, :, None] / 8,
        np.stack([scores, scores[::-1]], -1)[None],
        2,
        2,
        0.5,
        clip_boxes=False,
    )
    yield exact("of all classes", lab.seen(combined[1]), [[0.75, 0.75]])
    yield exact("their classes", np.sort(lab.seen(combined[2])), [[0, 1]])


@contract(
    "random",
    thing="tf.image.stateless_random_crop",
    truth="The same under one seed, different under others; each crop is part of the image, and about"
    " half of all images are flipped.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = np.arange(63.0, dtype=np.float32).reshape(7, 9, 1)
    starts = set()
    for seed in range(12):
        cut = lab.seen(tf.image.stateless_random_crop(x, [3, 4, 1], [seed, 1]))
        row, column = divmod(int(cut[0, 0, 0]), 9)
        starts.add((row, column))
        yield exact(f"cut {seed}", cut, x[row : row + 3, column : column + 4])
    # 12 places out of 30, all the same but once in 10^16.
    yield exact("several places", np.array(len(starts) > 1), np.ones((), bool))
    images = np.broadcast_to(x, (200, 7, 9, 1))
    flipped = [
        int(lab.seen(tf.image.stateless_random_flip_left_right(x, [seed, 7]))[0, 0, 0]) != 0
        for seed in range(200)
    ]
    # 100 of 200; 46 off is 6.5 standard deviations: 8e-11.
    yield exact("flips off", np.array(abs(sum(flipped) - 100) > 46), np.zeros((), bool))
    again = tf.image.stateless_random_contrast(images[:2], 0.5, 1.5, [3, 4])
    same = tf.image.stateless_random_contrast(images[:2], 0.5, 1.5, [3, 4])
    yield exact("the same seed", lab.seen(same), np.asarray(again))
