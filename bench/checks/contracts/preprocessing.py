"""Preprocessing: layers that scale, cut into bins, look up and encode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import made
from bench.checks.contracts.linear import Array, drawn
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("preprocessing")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _normalized(x: Array, mean: Bounded, variance: Bounded) -> Bounded:
    return (Bounded(x) - mean) / np.sqrt(variance)


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
    # Moments of batches are put together from means and squares of means: a few roundings of each
    # batch's variance and squared mean.
    room = 2.0**-20 * (variance.value + 4.0 * np.square(x).mean(0))
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
