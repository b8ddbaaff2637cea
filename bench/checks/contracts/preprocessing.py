"""Preprocessing: layers that scale, cut into bins, look up, encode, and change images at random."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import made
from bench.checks.contracts.linear import Array, drawn
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("preprocessing")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _normalized(x: Array, mean: Bounded, variance: Bounded) -> Bounded:
    return (Bounded(x) - mean) / np.sqrt(variance)


def _room(x: Array, variance: Any, axes: Any) -> Any:
    """Rounding of moments: those of batches are put together from means and squares of means, with a
    few roundings of each batch's variance and squared mean."""
    return 2.0**-20 * (variance + 4.0 * np.square(x).mean(axes))


@contract(
    "normalization-given",
    thing="keras.layers.Normalization",
    truth="(x - mean) / sqrt(variance), of one number each or of one for each feature; inverted, the"
    " other way round.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("features", 5, 3)
    for what, mean, variance in (
        ("scalar", 2.0, 4.0),
        ("by feature", np.array([1.0, -2.0, 0.5]), np.array([4.0, 0.25, 9.0])),
    ):
        axis = None if what == "scalar" else -1
        layer = made("Normalization", axis=axis, mean=mean, variance=variance)
        truth = _normalized(x, Bounded(np.asarray(mean)), Bounded(np.asarray(variance)))
        yield deviation(what, lab.seen(layer(x)), truth)
        back = made("Normalization", axis=axis, mean=mean, variance=variance, invert=True)
        truth = Bounded(x) * np.sqrt(Bounded(np.asarray(variance))) + mean
        yield deviation(f"{what}, inverted", lab.seen(back(x)), truth)


@contract(
    "normalization-adapted",
    thing="keras.layers.Normalization",
    truth="adapt takes the mean and the variance of all data, from an array or from batches.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("features", 10, 3)
    mean = Bounded(x).mean(0)
    variance = np.square(Bounded(x) - mean).mean(0)
    room = _room(x, variance.value, 0)
    for what, data in (
        ("array", x),
        ("batches", tf.data.Dataset.from_tensor_slices(x).batch(4)),
    ):
        layer = made("Normalization")
        layer.adapt(data)
        got = lab.seen(np.reshape(layer.mean, -1))
        yield deviation(f"{what}, mean", got, Bounded(mean.value, mean.error + room))
        got = lab.seen(np.reshape(layer.variance, -1))
        yield deviation(f"{what}, variance", got, Bounded(variance.value, variance.error + room))


@contract(
    "discretization",
    thing="keras.layers.Discretization",
    truth="A number is in the bin whose left boundary is the last that it reaches.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    boundaries = [0.0, 1.0, 2.5]
    x = np.array([[-1.5, 0.0, 0.5], [1.0, 2.49, 2.5], [-0.0, 99.0, -99.0]], np.float32)
    layer = made("Discretization", bin_boundaries=boundaries)
    expected = np.searchsorted(boundaries, x, side="right")
    yield exact("bins", lab.seen(layer(x)), expected)


@contract(
    "category_encoding",
    thing="keras.layers.CategoryEncoding",
    truth="one_hot marks each sample's number, multi_hot all of its numbers, count how often each"
    " comes, weighted if weights are given.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    numbers = np.array([[0, 2, 2], [1, 1, 3]])
    weights = np.array([[0.5, 0.25, 2.0], [1.0, 4.0, 0.125]], np.float32)
    count, weighted = np.zeros((2, 4)), np.zeros((2, 4))
    for row, column in np.ndindex(numbers.shape):
        count[row, numbers[row, column]] += 1.0
        weighted[row, numbers[row, column]] += weights[row, column]

    def encoded(mode: str) -> Any:
        return made("CategoryEncoding", num_tokens=4, output_mode=mode)

    got = lab.seen(encoded("one_hot")(np.array([3, 0, 1])))
    yield exact("one_hot", got, np.eye(4)[[3, 0, 1]])
    yield exact("multi_hot", lab.seen(encoded("multi_hot")(numbers)), count > 0)
    yield exact("count", lab.seen(encoded("count")(numbers)), count)
    got = lab.seen(encoded("count")(numbers, count_weights=weights))
    yield exact("count, weighted", got, weighted)


@contract(
    "lookup",
    thing="keras.layers.StringLookup",
    truth="What is in the vocabulary has its place in it, counted from 1; anything else is 0; inverted,"
    " the other way round.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    words = ["cat", "dog", "owl"]
    layer = made("StringLookup", vocabulary=words)
    got = layer(tf.constant([["owl", "cat"], ["eel", "dog"]]))
    yield exact("words", lab.seen(got), np.array([[3, 1], [0, 2]]))
    back = made("StringLookup", vocabulary=words, invert=True)
    told = [word.decode() for word in np.asarray(back(tf.constant([3, 1, 2]))).tolist()]
    yield exact("words again", np.array(told == ["owl", "cat", "dog"]), np.ones((), bool))
    numbers = made("IntegerLookup", vocabulary=[12, 36, 1138])
    yield exact("numbers", lab.seen(numbers(np.array([1138, 7, 12]))), np.array([3, 0, 1]))


@contract(
    "rescaling",
    thing="keras.layers.Rescaling",
    truth="x scale + offset, of one number each or of one for each channel.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("pixels", 2, 3, 3, 2)
    for what, scale, offset in (
        ("scalar", 0.1, -1.0),
        ("by channel", [0.1, 2.0], [0.5, -0.25]),
    ):
        layer = made("Rescaling", scale, offset=offset)
        # The scale is rounded to float32 before anything is multiplied by it.
        truth = Bounded(x) * np.asarray(scale, np.float32) + np.asarray(offset, np.float32)
        yield deviation(what, lab.seen(layer(x)), truth)


@contract(
    "normalization-axes",
    thing="keras.layers.Normalization",
    truth="There is one mean and one variance for each place along the axes that are kept: along a"
    " middle one, two, or none, given and adapted.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("places", 5, 3, 2)
    mean, variance = np.array([1.0, -2.0, 0.5]), np.array([4.0, 0.25, 9.0])
    layer = made("Normalization", axis=1, mean=mean, variance=variance)
    truth = _normalized(x, Bounded(mean[:, None]), Bounded(variance[:, None]))
    yield deviation("given, axis 1", lab.seen(layer(x)), truth)
    for kept, others in ((1, (0, 2)), ((1, 2), (0,)), (None, (0, 1, 2))):
        layer = made("Normalization", axis=kept)
        layer.adapt(x)
        middle = Bounded(x).mean(others)
        spread = np.square(Bounded(x) - Bounded(x).mean(others, keepdims=True)).mean(others)
        room = _room(x, spread.value, others)
        for name, got, wanted in (
            ("mean", layer.mean, middle),
            ("variance", layer.variance, spread),
        ):
            seen = np.reshape(lab.seen(got), wanted.shape)
            yield deviation(
                f"adapted, axis {kept}, {name}", seen, Bounded(wanted.value, wanted.error + room)
            )


@contract(
    "discretization-modes",
    thing="keras.layers.Discretization",
    truth="one_hot marks the bin of each number, multi_hot all bins of a sample, count how many of its"
    " numbers are in each.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    def binned(mode: str) -> Any:
        return made("Discretization", bin_boundaries=[0.0, 1.0], output_mode=mode)

    x = np.array([[-1.0, 0.5, 0.75], [1.0, -2.0, 5.0]], np.float32)
    count = np.array([[1, 2, 0], [1, 0, 2]])
    got = lab.seen(binned("one_hot")(np.array([[-1.0], [0.5], [2.0]], np.float32)))
    yield exact("one_hot", got, np.eye(3))
    yield exact("multi_hot", lab.seen(binned("multi_hot")(x)), count > 0)
    yield exact("count", lab.seen(binned("count")(x)), count)


@contract(
    "discretization-adapted",
    thing="keras.layers.Discretization",
    truth="adapt with num_bins finds bins that hold equal shares of the data, up to epsilon.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    numbers = np.argsort(drawn("order", 400)).astype(np.float32)  # 0 to 399, shuffled
    layer = made("Discretization", num_bins=4, epsilon=0.01)
    layer.adapt(numbers[:, None])
    bins = lab.seen(layer(numbers[:, None]))
    shares = np.bincount(bins.astype(int).ravel(), minlength=4) / len(numbers)
    # Each boundary is off by epsilon at most; a bin has two.
    yield deviation("shares", shares, Bounded(np.full(4, 0.25), 0.02))


@contract(
    "lookup-adapted",
    thing="keras.layers.StringLookup",
    truth="adapt puts what comes most often first, behind the places for a mask and for what is"
    " unknown; counts and marks have the same places.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    words = tf.constant(["owl", "cat", "owl", "dog", "dog", "dog"])
    layer = made("StringLookup")
    layer.adapt(words)
    got = layer(tf.constant(["cat", "dog", "owl", "eel"]))
    yield exact("words", lab.seen(got), np.array([3, 1, 2, 0]))
    layer = made("StringLookup", output_mode="one_hot")
    layer.adapt(words)
    yield exact("one_hot", lab.seen(layer(tf.constant(["owl", "eel"]))), np.eye(4)[[2, 0]])
    given = ["cat", "dog"]
    layer = made("StringLookup", vocabulary=given, output_mode="count")
    got = layer(tf.constant([["cat", "cat", "eel"]]))
    yield exact("count", lab.seen(got), np.array([[1, 2, 0]]))
    layer = made("StringLookup", vocabulary=given, num_oov_indices=2, mask_token="")
    got = layer(tf.constant(["", "dog", "cat"]))
    yield exact("mask and two unknown", lab.seen(got), np.array([0, 4, 3]))
    numbers = made("IntegerLookup")
    numbers.adapt(np.array([5, 7, 7, 9, 9, 9]))
    yield exact("numbers", lab.seen(numbers(np.array([9, 7, 5, 1]))), np.array([1, 2, 3, 0]))


@contract(
    "text_vectorization",
    thing="keras.layers.TextVectorization",
    truth="Text loses its capitals and punctuation and is split at spaces; words are numbered from 2 by"
    " how often they come, 1 is for unknown ones, 0 for padding.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    layer = made("TextVectorization", output_sequence_length=4)
    layer.adapt(tf.constant(["a b b c", "B c, C! c"]))
    got = layer(tf.constant(["B b zz", "c a"]))
    yield exact("words", lab.seen(got), np.array([[3, 3, 1, 0], [2, 4, 0, 0]]))

    def counted(vocabulary: list[str], **options: Any) -> Any:
        return made("TextVectorization", vocabulary=vocabulary, output_mode="count", **options)

    got = counted(["a", "b"])(tf.constant(["a a q"]))
    yield exact("count", lab.seen(got), np.array([[1, 2, 0]]))
    got = counted(["a", "a b"], ngrams=2)(tf.constant(["a b"]))
    yield exact("pairs of words", lab.seen(got), np.array([[1, 1, 1]]))
    layer = made("TextVectorization", standardize=None, split="character", vocabulary=["a", "B"])
    yield exact("characters", lab.seen(layer(tf.constant(["aBb"]))), np.array([[2, 3, 1]]))


@contract(
    "hashing",
    thing="keras.layers.Hashing",
    truth="What is hashed falls in the bins of the documentation's examples; a mask in the first.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    letters = tf.constant([["A"], ["B"], ["C"], ["D"], ["E"]])
    got = made("Hashing", num_bins=3)(letters)
    yield exact("bins", lab.seen(got)[:, 0], np.array([1, 0, 1, 1, 2]))
    letters = tf.constant([["A"], ["B"], [""], ["C"], ["D"]])
    got = made("Hashing", num_bins=3, mask_value="")(letters)
    yield exact("bins with a mask", lab.seen(got)[:, 0], np.array([1, 1, 0, 2, 2]))
    pair = tf.constant(["A", "B", "A", "B", "A"]), tf.constant([101, 101, 101, 102, 102])
    got = made("HashedCrossing", num_bins=5)(pair)
    yield exact("bins of pairs", lab.seen(got), np.array([1, 4, 1, 1, 3]))


#: Layers that change images in training, by their arguments.
_AUGMENTING = {
    "RandomFlip": (),
    "RandomRotation": (0.25,),
    "RandomZoom": (0.25,),
    "RandomTranslation": (0.25, 0.25),
    "RandomContrast": (0.25,),
    "RandomBrightness": (0.25,),
}


@contract(
    "random-inference",
    thing="keras.layers.RandomFlip",
    truth="Layers that change images at random leave them as they are at inference.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("images", 2, 6, 6, 3)
    for name, arguments in _AUGMENTING.items():
        yield exact(name, lab.seen(made(name, *arguments)(x, training=False)), x)


@contract(
    "random_crop",
    thing="keras.layers.RandomCrop",
    truth="In training a window of the given size, somewhere in the image; at inference the largest one"
    " of that shape, resized to it.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = np.arange(48, dtype=np.float32).reshape(1, 6, 8, 1)
    layer = made("RandomCrop", 4, 4)
    got = lab.seen(layer(x, training=True))
    yield exact("size in training", np.array(got.shape), np.array([1, 4, 4, 1]))
    corner = got[:, :1, :1]
    window = np.arange(4)[:, None] * 8 + np.arange(4)
    yield exact("window in training", (got - corner)[0, ..., 0], window)
    got = lab.seen(made("RandomCrop", 3, 3)(x, training=False))
    yield exact("size at inference", np.array(got.shape), np.array([1, 3, 3, 1]))
    # The largest square is the middle six columns; halved, each pixel is the mean of four.
    truth = x[:, :, 1:7].reshape(1, 3, 2, 3, 2, 1).mean((2, 4))
    yield deviation("window at inference", got, Bounded(truth, 2.0**-20 * truth))


@contract(
    "random_flip",
    thing="keras.layers.RandomFlip",
    truth="In training some images are mirrored and others are not, each as a whole.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("images", 30, 4, 4, 1)
    for mode, mirrored in (("horizontal", x[:, :, ::-1]), ("vertical", x[:, ::-1])):
        got = lab.seen(made("RandomFlip", mode, seed=1)(x, training=True))
        same, turned = ((got == each).all((1, 2, 3)) for each in (x, mirrored))
        yield exact(f"{mode}, whole images", same | turned, np.ones(30, bool))
        # All are alike once in 2^29 seeds.
        yield exact(f"{mode}, both", np.array([same.any(), turned.any()]), np.ones(2, bool))


@contract(
    "lookup-options",
    thing="keras.layers.StringLookup",
    truth="max_tokens keeps the most frequent ones and pads to their number, idf_weights weigh counts,"
    " and invert turns numbers into words.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    layer = made("StringLookup", max_tokens=3, output_mode="multi_hot", pad_to_max_tokens=True)
    layer.adapt(tf.constant(["owl", "cat", "owl", "dog", "dog", "dog"]))
    yield exact("two words kept", lab.seen(layer(tf.constant([["cat", "dog"]]))), [[1, 1, 0]])
    weights = [0.25, 2.0]
    layer = made("StringLookup", vocabulary=["a", "b"], idf_weights=weights, output_mode="tf_idf")
    got = layer(tf.constant([["a", "b", "b", "q"]]))
    yield exact("weighted counts", lab.seen(got), [[1.125, 0.25, 4.0]])  # of unknown ones: the mean
    words = made("StringLookup", vocabulary=["a", "b"], oov_token="?", invert=True)  # noqa: S106
    got = [word.decode() for word in np.asarray(words(tf.constant([2, 1, 0]))).tolist()]
    alike = np.array([one == truth for one, truth in zip(got, "ba?", strict=True)])
    yield exact(f"words: {got}", lab.seen(alike), np.ones(3, bool))


@contract(
    "feature_space",
    thing="keras.utils.FeatureSpace",
    truth="Columns of a table become what is asked of each: normalized, or one of its words; all"
    " together in the order of their names, or one by one.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    space = getattr(keras.utils, "FeatureSpace", None)
    if space is None:
        raise AbsentError("this Keras has no FeatureSpace")
    sizes = np.array([1.0, 3.0, 1.0, 3.0], np.float32)
    table = {"size": sizes, "color": np.array(["red", "blue", "red", "red"])}
    features = {"size": "float_normalized", "color": "string_categorical"}
    rows = tf.data.Dataset.from_tensor_slices(table)
    given = {name: tf.constant(column) for name, column in table.items()}
    # Normalized: a mean of 2 and a deviation of 1. Words: unknown, red, blue.
    words = np.array([[0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0]])
    normal = np.array([[-1.0], [1.0], [-1.0], [1.0]])
    for mode in ("concat", "dict"):
        made_of = space(features=features, output_mode=mode)
        made_of.adapt(rows)
        got = made_of(given)
        if mode == "concat":
            yield exact("together", lab.seen(got), np.concatenate([words, normal], 1))
        else:
            yield exact("words", lab.seen(got["color"]), words)
            yield exact("sizes", lab.seen(got["size"]), normal)
