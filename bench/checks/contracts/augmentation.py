"""Augmentation: layers that change images at random, where their factors leave no choice.

A factor given as a range of one number, or a chance of 0 or 1, makes each of them a formula. Images are
whole levels from 0 to 255.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import made
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import SHARE
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("augmentation")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

Array = Any
#: The highest level.
TOP = 255.0
#: Levels that interpolation and colour spaces may be off by, of numbers up to TOP.
LEVELS = SHARE * TOP
#: Of red, green and blue in luminance (ITU-R BT.601).
LUMINANCE = np.array([0.2989, 0.5870, 0.1140])


def images(*shape: int) -> Array:
    """Levels, by default of four images of 8 by 8 in three colours."""
    x = drawn("levels", *(shape or (4, 8, 8, 3)))
    return np.rint(TOP * (0.5 + np.arctan(x) / np.pi)).astype(np.float32)


def _near(name: str, got: Array, truth: Array) -> Deviation:
    return deviation(name, got, Bounded(truth, np.full(np.shape(truth), LEVELS)))


def _formula(
    subject: str,
    layer: str,
    options: Mapping[str, Any],
    truth: Callable[[Array], Array],
    says: str,
    *,
    where: Collection[str] = ("a batch", "one image", "in a pipeline"),
) -> None:
    """Adds the contract of a layer whose factors leave no choice. Without training it does nothing."""

    @contract(subject, thing=f"keras.layers.{layer}", truth=says, keras=(3,))
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        x = images()
        one = made(layer, **options)
        if "a batch" in where:
            yield _near("a batch", lab.seen(one(x, training=True)), truth(x))
        if "one image" in where:
            yield _near("one image", lab.seen(one(x[0], training=True)), truth(x[:1])[0])
        if "in a pipeline" in where:
            data = tf.data.Dataset.from_tensors(x).map(lambda y: one(y, training=True))
            yield _near("in a pipeline", lab.seen(next(iter(data))), truth(x))
        yield exact("shape told", one.compute_output_shape(x.shape), truth(x).shape)
        if layer.startswith("Random"):
            yield exact("without training", lab.seen(one(x, training=False)), x)


def _same(x: Array) -> Array:
    return x


def _moved_down(x: Array) -> Array:
    """By a quarter of the height, 7 above."""
    return np.concatenate([np.full_like(x[:, :2], 7), x[:, :6]], axis=1)


def _moved_right(x: Array) -> Array:
    return np.concatenate([np.full_like(x[:, :, :2], 7), x[:, :, :6]], axis=2)


def _grey(x: Array) -> Array:
    return np.repeat((x * LUMINANCE).sum(-1, keepdims=True), 3, axis=-1)


def _without_saturation(x: Array) -> Array:
    return np.repeat(x.max(-1, keepdims=True), 3, axis=-1)


def _stretched(x: Array) -> Array:
    low, high = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
    return np.clip((x - low) * TOP / (high - low), 0, TOP)


def _equalized(x: Array) -> Array:
    """Each channel's levels by how many pixels have at most them, the lowest at 0."""
    found = np.empty_like(x)
    for image, channel in np.ndindex(x.shape[0], x.shape[3]):
        levels = x[image, :, :, channel].astype(int)
        sums = np.cumsum(np.bincount(levels.ravel(), minlength=256))
        lowest = sums[levels.min()]
        step = (sums - lowest) * TOP / max(sums[-1] - lowest, 1)
        found[image, :, :, channel] = np.rint(np.clip(step, 0, TOP))[levels]
    return found


_shift = {"fill_mode": "constant", "fill_value": 7.0, "interpolation": "nearest"}

for _name, _options in (
    ("RandomContrast", {"factor": 0.0}),
    ("RandomTranslation", {"height_factor": 0.0, "width_factor": 0.0}),
    ("RandomRotation", {"factor": 0.0}),
    ("RandomZoom", {"height_factor": 0.0}),
    ("RandomShear", {"x_factor": 0.0, "y_factor": 0.0}),
    ("RandomHue", {"factor": (0.0, 0.0)}),
    ("RandomSaturation", {"factor": (0.5, 0.5)}),
    ("RandomColorDegeneration", {"factor": (0.0, 0.0)}),
    ("RandomGrayscale", {"factor": 0.0}),
    ("RandomInvert", {"factor": 0.0}),
    ("RandomGaussianBlur", {"factor": 0.0}),
    ("RandomErasing", {"factor": 0.0}),
    ("RandomPerspective", {"factor": 0.0}),
    ("RandomElasticTransform", {"factor": 0.0}),
):
    _formula(
        *(f"nothing-{_name}", _name, _options, _same, "a factor that changes nothing"),
        where=("a batch", "one image"),
    )

for _row in (
    ("brightness", "RandomBrightness", {"factor": (0.25, 0.25)},
     lambda x: np.clip(x + 0.25 * TOP, 0, TOP),
     "adds the factor times the range of values, within the range"),
    ("translation-down", "RandomTranslation",
     {"height_factor": (0.25, 0.25), "width_factor": 0.0, **_shift}, _moved_down,
     "a positive factor of the height moves down, and the fill value comes in"),
    ("translation-right", "RandomTranslation",
     {"height_factor": 0.0, "width_factor": (0.25, 0.25), **_shift}, _moved_right,
     "a positive factor of the width moves right, and the fill value comes in"),
    ("rotation", "RandomRotation", {"factor": (0.25, 0.25), **_shift},
     lambda x: np.rot90(x, 1, (1, 2)), "a quarter of a turn, counter-clockwise"),
    ("grayscale", "RandomGrayscale", {"factor": 1.0}, _grey, "luminance in all three channels"),
    ("color_degeneration", "RandomColorDegeneration", {"factor": (1.0, 1.0)}, _grey,
     "luminance in all three channels"),
    ("invert", "RandomInvert", {"factor": (1.0, 1.0)}, lambda x: TOP - x, "255 - x"),
    ("saturation", "RandomSaturation", {"factor": (0.0, 0.0)}, _without_saturation,
     "without saturation all channels have the largest of them"),
    ("solarization", "Solarization", {}, lambda x: TOP - x, "255 - x"),
    ("solarization-threshold", "Solarization", {"threshold_factor": (0.5, 0.5), "seed": 1},
     lambda x: np.where(x < 0.5 * TOP, x, TOP - x), "255 - x from the threshold on"),
    ("auto_contrast", "AutoContrast", {}, _stretched, "each channel from 0 to 255"),
):  # fmt: skip
    _formula(*_row)

for _subject, _where in (("equalization", "one image"), ("equalization-batch", "a batch")):
    _formula(
        *(_subject, "Equalization", {}, _equalized),
        "each image's levels by how many of its pixels have at most them",
        where=(_where,),
    )


# --- Images with what belongs to them


def _labelled() -> dict[str, Array]:
    return {"images": images(), "labels": np.eye(4, dtype=np.float32)}


@contract(
    "mix_up",
    thing="keras.layers.MixUp",
    truth="Each image is mixed with another one as its label is mixed with that one's.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    given = _labelled()
    got = made("MixUp", alpha=0.5, seed=1)(given, training=True)
    labels, mixed = (lab.seen(got[name]) for name in ("labels", "images"))
    yield _near("labels' sums", labels.sum(-1), np.ones(4))
    truth = np.tensordot(labels, given["images"], 1)  # labels were those of one image each
    yield _near("images", mixed, truth)


@contract(
    "cut_mix",
    thing="keras.layers.CutMix",
    truth="A rectangle of each image comes of one other, whose label it is given in part.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    levels = np.repeat(np.arange(4, dtype=np.float32), 8 * 8 * 3).reshape(4, 8, 8, 3)
    got = made("CutMix", seed=1)({**_labelled(), "images": levels}, training=True)
    labels, mixed = (lab.seen(got[name]) for name in ("labels", "images"))
    yield _near("labels' sums", labels.sum(-1), np.ones(4))
    foreign = (mixed != levels).all(-1)
    rows, columns = foreign.any(2), foreign.any(1)
    yield exact("rectangles", foreign, rows[:, :, None] & columns[:, None, :])
    strange = [set(np.unique(mixed[one])) - set(np.flatnonzero(labels[one])) for one in range(4)]
    yield exact("images without a label", [len(each) for each in strange], np.zeros(4))


@contract(
    "erasing",
    thing="keras.layers.RandomErasing",
    truth="A rectangle of the given value; all else stays.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = images() % 200.0
    layer = made("RandomErasing", factor=(1.0, 1.0), scale=(0.25, 0.25), fill_value=222.0, seed=3)
    got = lab.seen(layer(x, training=True))
    erased = (got == 222.0).all(-1)
    yield exact("the rest", np.where(erased[..., None], 0, got), np.where(erased[..., None], 0, x))
    rows, columns = erased.any(2), erased.any(1)
    yield exact("rectangles", erased, rows[:, :, None] & columns[:, None, :])
    yield exact("any", erased.any((1, 2)), np.ones(4, bool))


def _boxed() -> dict[str, Any]:
    boxes = np.array([[[1.0, 2.0, 5.0, 6.0], [0.0, 0.0, 8.0, 4.0]]] * 2, np.float32)
    return {
        "images": images(2, 8, 8, 3),
        "bounding_boxes": {"boxes": boxes, "labels": np.array([[1.0, 2.0]] * 2, np.float32)},
    }


def _knowing_boxes(layer: str, **options: Any) -> Any:
    """A layer whose boxes are (left, top, right, bottom). Raises AbsentError if it knows none."""
    try:
        return made(layer, **options, bounding_box_format="xyxy")
    except (TypeError, ValueError) as error:
        raise AbsentError(f"{layer} knows no boxes in this Keras") from error


def _with_boxes(layer: Any) -> Any:
    """What a layer makes of new :func:`_boxed`. Raises AbsentError if it cannot yet."""
    try:
        return layer(_boxed(), training=True)
    except NotImplementedError as error:
        raise AbsentError(f"{type(layer).__name__} moves no boxes in this Keras") from error


def _boxes(subject: str, layer: str, options: Mapping[str, Any], truth: Any, says: str) -> None:
    """Adds the contract of what becomes of boxes."""

    @contract(subject, thing=f"keras.layers.{layer}", truth=says, keras=(3,))
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        one, boxes = _knowing_boxes(layer, **options), _boxed()["bounding_boxes"]
        expected = np.stack(truth(*np.moveaxis(boxes["boxes"], -1, 0)), axis=-1)
        got = _with_boxes(one)["bounding_boxes"]
        yield _near("boxes", lab.seen(got["boxes"]), expected)
        yield exact("their labels", lab.seen(got["labels"]), boxes["labels"])
        data = tf.data.Dataset.from_tensors(_boxed()).map(lambda each: one(each, training=True))
        got = next(iter(data))["bounding_boxes"]
        yield _near("boxes in a pipeline", lab.seen(got["boxes"]), expected)


_boxes(
    "boxes-translation",
    "RandomTranslation",
    {"height_factor": (0.25, 0.25), "width_factor": 0.0},
    lambda left, top, right, bottom: (
        *(left, np.minimum(top + 2, 8)),
        *(right, np.minimum(bottom + 2, 8)),
    ),
    "boxes move along, and end where the image does",
)
_boxes(
    "boxes-resizing",
    "Resizing",
    {"height": 16, "width": 4},
    lambda left, top, right, bottom: (left / 2, top * 2, right / 2, bottom * 2),
    "boxes are scaled along",
)
_boxes(
    "boxes-center_crop",
    "CenterCrop",
    {"height": 4, "width": 4},
    lambda *sides: [np.clip(side - 2, 0, 4) for side in sides],
    "boxes are cut along",
)


@contract(
    "boxes-flip",
    thing="keras.layers.RandomFlip",
    truth="Boxes are mirrored where their image is.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    given = _boxed()
    layer = _knowing_boxes("RandomFlip", mode="horizontal", seed=1)
    got = _with_boxes(layer)
    turned = (lab.seen(got["images"]) == given["images"][:, :, ::-1]).all((1, 2, 3))
    boxes = given["bounding_boxes"]["boxes"]
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)
    mirrored = np.stack([8 - right, top, 8 - left, bottom], axis=-1)
    truth = np.where(turned[:, None, None], mirrored, boxes)
    yield _near("boxes", lab.seen(got["bounding_boxes"]["boxes"]), truth)


def _masks(name: str, options: Mapping[str, Any], x: Array) -> tuple[Array, Array]:
    """Images and masks, which were equal, after a layer. Raises AbsentError if it knows no masks."""
    layer = made(name, **options)
    if not hasattr(layer, "transform_segmentation_masks"):
        raise AbsentError(f"{name} knows no masks in this Keras")
    got = layer({"images": x, "segmentation_masks": x}, training=True)
    return got["images"], got["segmentation_masks"]


@contract(
    "masks",
    thing="keras.layers.RandomRotation",
    truth="Segmentation masks are mirrored, moved, turned and scaled as their images are.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = images()
    for name, options in (
        ("RandomFlip", {}),
        ("RandomTranslation", {"height_factor": 0.25, "width_factor": 0.25, **_shift}),
        ("RandomRotation", {"factor": 0.25, **_shift}),
        ("RandomZoom", {"height_factor": (0.2, 0.4), **_shift}),
    ):
        turned, masks = _masks(name, options, x)
        yield exact(name, lab.seen(masks), lab.seen(turned))


@contract(
    "masks-interpolation",
    thing="keras.layers.RandomRotation",
    truth="Where images are interpolated, masks have labels of before and no others.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = np.float32(10.0) * (images() > 100.0)
    for name, options in (
        ("RandomRotation", {"factor": (0.1, 0.1)}),
        ("RandomZoom", {"height_factor": (0.3, 0.3)}),
        ("RandomTranslation", {"height_factor": (0.1, 0.1), "width_factor": 0.0}),
        ("RandomShear", {"x_factor": (0.2, 0.2)}),
    ):
        masks = lab.seen(_masks(name, options, x)[1])
        yield exact(name, np.isin(masks, [0.0, 10.0]), np.ones(masks.shape, bool))


@contract(
    "pipeline",
    thing="keras.layers.Pipeline",
    truth="Its layers, one after the other.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    steps = [made("Rescaling", 0.5), made("CenterCrop", 4, 4), made("Rescaling", 2.0, 1.0)]
    x = images()
    yield exact("a batch", lab.seen(made("Pipeline", steps)(x)), x[:, 2:6, 2:6] + 1)


@contract(
    "max_num_bounding_boxes",
    thing="keras.layers.MaxNumBoundingBoxes",
    truth="As many boxes as given: the first ones, or filled up with -1.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    boxes = _boxed()["bounding_boxes"]["boxes"]
    for most in (1, 3):
        layer = _knowing_boxes("MaxNumBoundingBoxes", max_number=most)
        got = lab.seen(layer(_boxed(), training=True)["bounding_boxes"]["boxes"])
        truth = np.concatenate([boxes, np.full_like(boxes[:, :1], -1)], axis=1)[:, :most]
        yield exact(f"{most} boxes", got, truth)
