"""Logs: what callbacks are told of batches, and what they write down for readers and TensorBoard."""

from __future__ import annotations

import csv
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.checks.contracts import linear
from bench.checks.contracts.callbacks import SCRIPT, played, scripted
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import Array, Replay, batches, built, data
from bench.checks.lab import AbsentError, Lab
from bench.results.check import NOT_INSTALLED, Deviation
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("logs")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: Of 23 samples three, the last one short.
BATCH = 8


@contract(
    "batches",
    thing="keras.callbacks.Callback.on_train_batch_end",
    truth="After a batch of fit or evaluate logs are means over all samples of the epoch so far.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(linear.SAMPLES)
    told: dict[str, list[Any]] = {"fit": [], "evaluate": []}

    class Notes(keras.callbacks.Callback):
        def on_train_batch_end(self, _: int, logs: Any = None) -> None:
            told["fit"].append(dict(logs))

        def on_test_batch_end(self, _: int, logs: Any = None) -> None:
            told["evaluate"].append(dict(logs))

    error = keras.metrics.MeanAbsoluteError(name="error")
    model = built(optimizer=keras.optimizers.SGD(0.0), metrics=[error])
    given: Any = {"batch_size": BATCH, "verbose": 0, "callbacks": [Notes()]}
    model.fit(x, y, shuffle=False, **given)
    model.evaluate(x, y, **given)
    replay = Replay()
    for call, logs in told.items():
        yield exact(f"{call}, batches", lab.seen(np.array(len(logs))), np.array(3))
        for at, (one, part) in enumerate(zip(logs, batches(len(x), BATCH), strict=False)):
            until = slice(part.stop)
            for name, truth in (("loss", replay.losses), ("error", replay.errors)):
                wanted = linear.over(truth(x[until], y[until]))
                yield deviation(f"{call}, batch {at}, {name}", lab.seen(one[name]), wanted)


def _predicted(model: Any, x: Array) -> list[Any]:
    """The outputs of each batch that a callback is told of."""
    from bench.nets.api import keras

    outputs: list[Any] = []

    class Notes(keras.callbacks.Callback):
        def on_predict_batch_end(self, _: int, logs: Any = None) -> None:
            outputs.append(np.asarray(logs["outputs"]))

    model.predict(x, batch_size=BATCH, verbose=0, callbacks=[Notes()])
    return outputs


@contract(
    "predictions",
    thing="keras.callbacks.Callback.on_predict_batch_end",
    truth="After a batch of predict its outputs are in the logs, and params tell an epoch's steps.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(linear.SAMPLES)
    model = built()
    outputs = _predicted(model, x)
    yield exact("batches", np.array(len(outputs)), np.array(3))
    yield deviation("outputs", lab.seen(np.concatenate(outputs)), Replay().predict(x))
    watch = keras.callbacks.LambdaCallback()
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, callbacks=[watch])
    for name, number in (("epochs", 2), ("steps", 3), ("verbose", 0)):
        yield exact(name, lab.seen(np.array(watch.params[name])), np.array(number))


@contract(
    "csv_logger-validation_freq",
    thing="keras.callbacks.CSVLogger",
    truth="What is validated in some epochs alone has its column, and its number in their lines.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(linear.SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        told = built().fit(
            *(x, y),
            epochs=4,
            validation_data=(x, y),
            validation_freq=2,
            verbose=0,
            callbacks=[keras.callbacks.CSVLogger(str(path), separator=";")],
        )
        rows = list(csv.DictReader(path.read_text().splitlines(), delimiter=";"))
    yield exact("lines", lab.seen(np.array(len(rows))), np.array(4))
    for name, lines in (("loss", rows), ("val_loss", rows[1::2])):
        got = np.array([float(row[name]) for row in lines])
        yield exact(name, lab.seen(got), np.array(told.history[name]))


@contract(
    "csv_logger-reused",
    thing="keras.callbacks.CSVLogger",
    truth="One object that is used for a second fit writes the file anew, with that fit's columns.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        logger = keras.callbacks.CSVLogger(str(path))
        played(scripted(SCRIPT[:3], name="first"), [logger], epochs=3)
        played(scripted(SCRIPT[3:5], name="second"), [logger], epochs=2)
        rows = list(csv.DictReader(path.read_text().splitlines()))
    got = np.array([float(row.get("second", np.nan)) for row in rows])
    yield exact("second", lab.seen(got), np.array(SCRIPT[3:5]))


# --- TensorBoard


def _scalars(folder: str) -> dict[str, list[tuple[int, float]]]:
    """Steps and numbers of each scalar, in the order of steps, by ``train/epoch_loss``."""
    from bench.nets.api import tf

    # A public name of it is in a package that reads event files, which nothing here needs.
    from tensorflow.core.util.event_pb2 import Event  # isort: skip

    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(Path(folder).glob("*/events*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.HasField("tensor") and not value.tensor.tensor_shape.dim:
                    number = float(np.asarray(tf.make_ndarray(value.tensor), np.float64))
                    name = f"{path.parent.name}/{value.tag}"
                    found.setdefault(name, []).append((event.step, number))
    return {name: sorted(pairs) for name, pairs in found.items()}


def _watched(**options: Any) -> tuple[dict[str, list[tuple[int, float]]], Any]:
    """The scalars that TensorBoard writes of two epochs of three batches, and the history.

    Raises:
        AbsentError: TensorBoard is not installed.
    """
    from bench.nets.api import keras

    if importlib.util.find_spec("tensorboard") is None:
        raise AbsentError(f"TensorBoard{NOT_INSTALLED}")
    x, y = data(linear.SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        board = keras.callbacks.TensorBoard(folder, write_graph=False, **options)
        told = built().fit(
            *(x, y),
            batch_size=BATCH,
            epochs=2,
            validation_data=(x, y),
            verbose=0,
            callbacks=[board],
        )
        return _scalars(folder), told.history


@contract(
    "tensorboard-epochs",
    thing="keras.callbacks.TensorBoard",
    truth="Every epoch's loss and validation loss are written under the epoch's number.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    scalars, history = _watched()
    for name, tag in (("loss", "train/epoch_loss"), ("val_loss", "validation/epoch_loss")):
        pairs = scalars.get(tag, [])
        yield exact(f"{tag}, steps", np.array([step for step, _ in pairs]), np.arange(2))
        wanted = np.array(history[name], np.float32)
        yield exact(tag, lab.seen(np.array([number for _, number in pairs])), wanted)


@contract(
    "tensorboard-batches",
    thing="keras.callbacks.TensorBoard",
    truth="With update_freq=1 every batch's loss is written under a step of its own.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    scalars, _ = _watched(update_freq=1)
    steps = [step for step, _ in scalars.get("train/batch_loss", [])]
    yield exact("losses of batches", lab.seen(np.array(len(steps))), np.array(6))
    yield exact("steps", lab.seen(np.array(len(set(steps)))), np.array(6))
