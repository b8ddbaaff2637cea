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
        rows = [line.split(";") for line in path.read_text().splitlines()]
    columns = np.array(rows[0] == ["epoch", "score"])
    yield exact("names of columns", lab.seen(columns), np.ones((), bool))
    numbers = np.array([[float(one) for one in row] for row in rows[1:] if columns])
    yield exact("epochs and losses", numbers, np.array([[0, SCRIPT[0]], [1, SCRIPT[1]]]))
