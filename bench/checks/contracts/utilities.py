"""Utilities that prepare data: classes, padding, windows of series, files of images, parts of sets."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import made
from bench.checks.contracts.linear import Array, drawn
from bench.checks.contracts.operation import SHARE
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("utilities")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


@contract(
    "to_categorical",
    thing="keras.utils.to_categorical",
    truth="Each class becomes a row that is 1 at its place; a last axis of one is dropped.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    classes = np.array([[1, 0, 2], [3, 3, 0]])
    wanted = np.eye(4)[classes]
    yield exact("rank 2", lab.seen(keras.utils.to_categorical(classes)), wanted)
    column = keras.utils.to_categorical(classes.reshape(-1, 1))
    yield exact("a column", lab.seen(column), wanted.reshape(-1, 4))
    more = keras.utils.to_categorical([0, 2], num_classes=5)
    yield exact("more classes", lab.seen(more), np.eye(5)[[0, 2]])


@contract(
    "pad_sequences",
    thing="keras.utils.pad_sequences",
    truth="Sequences get one length: padded and cut before, or behind where that is asked for.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    given = [[1], [2, 3], [4, 5, 6, 7]]
    pad = keras.utils.pad_sequences
    yield exact("default", lab.seen(pad(given)), [[0, 0, 0, 1], [0, 0, 2, 3], [4, 5, 6, 7]])
    yield exact("three", lab.seen(pad(given, maxlen=3)), [[0, 0, 1], [0, 2, 3], [5, 6, 7]])
    behind = pad(given, maxlen=3, padding="post", truncating="post", value=9)
    yield exact("behind", lab.seen(behind), [[1, 9, 9], [2, 3, 9], [4, 5, 6]])
    floats = pad([[0.5], [1.5, 2.5]], dtype="float32")
    yield exact("floats", lab.seen(floats), [[0.0, 0.5], [1.5, 2.5]])


@contract(
    "normalize",
    thing="keras.utils.normalize",
    truth="Along the axis vectors get the length 1; zeros stay.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x = drawn("vectors", 4, 3)
    x[1] = 0.0
    for order, size in (
        (2, np.sqrt(np.square(Bounded(x)).sum(-1))),
        (1, np.abs(Bounded(x)).sum(-1)),
    ):
        kept = size.value > 0
        got = lab.seen(keras.utils.normalize(x, axis=-1, order=order))
        truth = Bounded(x[kept]) / size[kept].reshape(-1, 1)
        yield deviation(f"order {order}", got[kept], truth)
        yield exact(f"order {order}, zeros", got[~kept], x[~kept])


@contract(
    "normalize-axis:0",
    thing="keras.utils.normalize",
    truth="Along the first axis columns get the length 1.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x = drawn("vectors", 3, 3)
    truth = Bounded(x) / np.sqrt(np.square(Bounded(x)).sum(0))
    yield deviation("columns", lab.seen(keras.utils.normalize(x, axis=0)), truth)


def _collected(dataset: Any) -> list[list[Array]]:
    """Batches of a data set, each with its parts."""
    return [
        [np.asarray(part) for part in (batch if isinstance(batch, tuple) else (batch,))]
        for batch in dataset
    ]


@contract(
    "timeseries_dataset",
    thing="keras.utils.timeseries_dataset_from_array",
    truth="Windows of a series start a stride apart, take every so many steps, and have the target of"
    " their start; none reaches beyond the end.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = drawn("series", 20, 2), drawn("targets", 20)
    for length, stride, rate in ((4, 1, 1), (3, 2, 1), (3, 1, 2)):
        got = _collected(
            keras.utils.timeseries_dataset_from_array(
                x,
                y,
                sequence_length=length,
                sequence_stride=stride,
                sampling_rate=rate,
                batch_size=4,
            )
        )
        starts = range(0, 20 - (length - 1) * rate, stride)
        windows = np.stack([x[start : start + length * rate : rate] for start in starts])
        what = f"length {length}, stride {stride}, rate {rate}"
        yield exact(f"{what}, windows", lab.seen(np.concatenate([b[0] for b in got])), windows)
        yield exact(f"{what}, targets", lab.seen(np.concatenate([b[1] for b in got])), y[starts])


@contract(
    "split_dataset",
    thing="keras.utils.split_dataset",
    truth="The parts hold every sample once, in order unless shuffled, in the sizes asked for.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    x, y = drawn("inputs", 10, 2), np.arange(10.0, dtype=np.float32)
    for kind, data in (
        ("arrays", (x, y)),
        ("tf.data", tf.data.Dataset.from_tensor_slices((x, y))),
    ):
        left, right = keras.utils.split_dataset(data, left_size=0.7)
        parts = [
            [np.stack([batch[at] for batch in _collected(part)]) for at in (0, 1)]
            for part in (left, right)
        ]
        yield exact(f"{kind}, left", lab.seen(parts[0][0]), x[:7])
        yield exact(f"{kind}, right", lab.seen(parts[1][0]), x[7:])
        yield exact(f"{kind}, targets", lab.seen(parts[1][1]), y[7:])
        shuffled = keras.utils.split_dataset(data, left_size=6, right_size=4, shuffle=True, seed=1)
        left, right = (np.array([float(b[1]) for b in _collected(part)]) for part in shuffled)
        numbers = lab.seen(np.concatenate([left, right]))
        yield exact(f"{kind}, sizes", np.array([left.size, right.size]), np.array([6, 4]))
        yield exact(f"{kind}, shuffled", np.sort(numbers), y)
        yield exact(f"{kind}, in order", np.array((numbers == y).all()), np.zeros((), bool))


@contract(
    "image_dataset",
    thing="keras.utils.image_dataset_from_directory",
    truth="Images come with the place of their folder among the sorted ones; parts for training and"
    " validation share none and hold all.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    with tempfile.TemporaryDirectory(prefix="bench-contract-") as folder:
        # Each image is of one shade: ten times its number.
        for number in range(6):
            where = Path(folder, "second" if number % 2 else "first")
            where.mkdir(exist_ok=True)
            image = tf.fill([4, 5, 3], tf.constant(10 * number, tf.uint8))
            tf.io.write_file(str(where / f"{number}.png"), tf.io.encode_png(image))
        options = {"image_size": (4, 5), "batch_size": 4}
        given = keras.utils.image_dataset_from_directory(folder, shuffle=False, **options)
        images, labels = (
            np.concatenate([batch[at] for batch in _collected(given)]) for at in (0, 1)
        )
        shades = np.array([0, 20, 40, 10, 30, 50], np.float32)
        wanted = np.broadcast_to(shades[:, None, None, None], (6, 4, 5, 3))
        yield exact("images", lab.seen(images), wanted)
        yield exact("labels", lab.seen(labels), np.array([0, 0, 0, 1, 1, 1]))
        parts = [
            keras.utils.image_dataset_from_directory(
                folder, validation_split=0.34, subset=subset, seed=3, **options
            )
            for subset in ("training", "validation")
        ]
        seen = [np.concatenate([b[0][:, 0, 0, 0] for b in _collected(part)]) for part in parts]
        yield exact("sizes", np.array([each.size for each in seen]), np.array([4, 2]))
        yield exact("all of them", np.sort(lab.seen(np.concatenate(seen))), np.sort(shades))


@contract(
    "text_dataset",
    thing="keras.utils.text_dataset_from_directory",
    truth="Texts come with the place of their folder among the sorted ones, or as one-hot; cut where"
    " that is asked for.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    with tempfile.TemporaryDirectory(prefix="bench-contract-") as folder:
        for number in range(5):
            where = Path(folder, "second" if number % 2 else "first")
            where.mkdir(exist_ok=True)
            where.joinpath(f"{number}.txt").write_text("x" * (number + 1))
        read = keras.utils.text_dataset_from_directory
        for name, options, truth in (
            ("labels", {}, [0, 0, 0, 1, 1]),
            ("one-hot", {"label_mode": "categorical"}, np.eye(2)[[0, 0, 0, 1, 1]]),
            ("cut", {"max_length": 2}, [0, 0, 0, 1, 1]),
        ):
            dataset = read(folder, shuffle=False, batch_size=3, **options)
            texts, labels = (
                np.concatenate([batch[at] for batch in _collected(dataset)]) for at in (0, 1)
            )
            lengths = np.minimum([1, 3, 5, 2, 4], 2 if name == "cut" else 9)
            got = [len(text) for text in texts]
            yield exact(f"lengths, {name}", lab.seen(got), lengths)
            yield exact(name, lab.seen(labels), truth)


@contract(
    "timeseries_dataset-range",
    thing="keras.utils.timeseries_dataset_from_array",
    truth="start_index and end_index bound the series; shuffled, each window comes once with its"
    " target, in an order that the seed gives again.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x = np.arange(20, dtype=np.float32)

    def windows(**options: Any) -> tuple[Any, Any]:
        dataset = keras.utils.timeseries_dataset_from_array(
            *(x, 10 * x), sequence_length=3, batch_size=4, start_index=2, end_index=15, **options
        )
        parts = _collected(dataset)
        return np.concatenate([b[0] for b in parts]), np.concatenate([b[1] for b in parts])

    truth = np.arange(2, 13)[:, None] + np.arange(3)
    got, targets = windows()
    yield exact("windows", lab.seen(got), truth)
    first = windows(shuffle=True, seed=3)
    again = windows(shuffle=True, seed=3)
    yield exact("the same seed", lab.seen(first[0]), again[0])
    yield exact("each once", np.sort(first[0][:, 0]), truth[:, 0])
    # Targets are those of the starts, within the range or in the whole, but the same in both.
    offsets = targets - 10 * got[:, 0]
    yield exact("targets", offsets, np.full(len(truth), offsets[0]))
    yield exact("targets, shuffled", first[1] - 10 * first[0][:, 0], offsets)


@contract(
    "stft_spectrogram",
    thing="keras.layers.STFTSpectrogram",
    truth="Magnitudes of the Fourier transforms of frames under a Hann window.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    sound = drawn("sound", 2, 64)
    options = {"frame_length": 16, "frame_step": 8, "fft_length": 16, "scaling": None}
    frames = np.stack([sound[:, at : at + 16] for at in range(0, 49, 8)], axis=1)
    truth = np.abs(np.fft.rfft(frames * np.hanning(16)))
    got = lab.seen(made("STFTSpectrogram", mode="magnitude", **options)(sound[..., None]))
    yield deviation("magnitudes", got, Bounded(truth, np.full(truth.shape, SHARE * truth.max())))
