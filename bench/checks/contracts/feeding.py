"""Feeding: workers that load batches, epochs of given numbers of steps, weights beside the data."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.checks.contracts import linear
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import Array, Replay, batches, built, data, drawn, weights_of
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("feeding")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: Of 23 samples six, so that workers have a queue to fill.
BATCH = 4

# --- Workers


@contract(
    "py_dataset-workers:2",
    thing="keras.utils.PyDataset",
    truth="Batches that several workers load come in their order, each once an epoch.",
    tier="standard",  # each use waits five seconds for workers to end
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import KERAS_MAJOR, keras

    x, y = data(linear.SAMPLES)
    parts = batches(len(x), BATCH)
    base = getattr(keras.utils, "PyDataset", None) or keras.utils.Sequence

    class Batches(base):  # type: ignore[misc, valid-type]
        def __len__(self) -> int:
            return len(parts)

        def __getitem__(self, index: int) -> tuple[Array, Array]:
            return x[parts[index]], y[parts[index]]

    given: Any = {"workers": 2} if KERAS_MAJOR == 2 else {}
    made = (lambda: Batches()) if given else (lambda: Batches(workers=2))
    model, replay = built(), Replay()
    got = model.fit(made(), shuffle=False, verbose=0, **given).history["loss"]
    truth = linear.mean(list(replay.epoch(x, y, BATCH)))
    yield deviation("loss", lab.seen(got), truth.reshape(1))
    yield from weights_of(lab, model, replay)
    got = model.predict(made(), verbose=0, **given)
    yield deviation("predict", lab.seen(got), replay.predict(x))


@contract(
    "py_dataset-epochs",
    thing="keras.utils.PyDataset",
    truth="Every epoch has every batch, and on_epoch_end is called at the end of each.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(linear.SAMPLES)
    parts = batches(len(x), BATCH)
    base = getattr(keras.utils, "PyDataset", None) or keras.utils.Sequence
    asked: list[int] = []
    ends: list[int] = []

    class Batches(base):  # type: ignore[misc, valid-type]
        def __len__(self) -> int:
            return len(parts)

        def __getitem__(self, index: int) -> tuple[Array, Array]:
            asked.append(index)
            return x[parts[index]], y[parts[index]]

        def on_epoch_end(self) -> None:
            ends.append(len(asked))

    built().fit(Batches(), epochs=3, shuffle=False, verbose=0)
    counts = np.bincount(lab.seen(np.array(asked)), minlength=len(parts))
    # A batch may be asked for before it is known to be needed.
    yield exact("asked for each", np.minimum(counts, 3), np.full(len(parts), 3))
    yield exact("ends of epochs", np.array(len(ends)), np.array(3))


@contract(
    "py_dataset-begin",
    thing="keras.utils.PyDataset",
    truth="on_epoch_begin is over before a worker loads the first batch of the epoch.",
    keras=(3,),
    tier="standard",  # as above
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    if not hasattr(keras.utils.PyDataset, "on_epoch_begin"):
        raise AbsentError("this Keras has no on_epoch_begin")
    x, y = data(BATCH)
    events: list[float] = []

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> tuple[Array, Array]:
            events.append(float(index))
            return x, y

        def on_epoch_begin(self) -> None:
            time.sleep(0.2)  # as whoever shuffles a long list
            events.append(-1.0)

    built().fit(Batches(workers=2), shuffle=False, verbose=0)
    yield exact("first event", lab.seen(np.array(events[0])), np.array(-1.0))


#: Prints the numbers of the samples as ``predict`` returns them from a dataset of two processes.
PROCESSES = """
import os
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import numpy as np
import tensorflow as tf
utils = tf.keras.utils
base = getattr(utils, "PyDataset", None) or utils.Sequence
options = {"workers": 2, "use_multiprocessing": True}
class Batches(base):
    def __len__(self):
        return 6
    def __getitem__(self, index):
        return np.arange(4 * index, 4 * index + 4, dtype=np.float32)[:, None]
if __name__ == "__main__":
    inputs = tf.keras.Input((1,))
    model = tf.keras.Model(inputs, tf.keras.layers.Activation("linear")(inputs))
    given = {} if hasattr(utils, "PyDataset") else options
    got = model.predict(Batches() if given else Batches(**options), verbose=0, **given)
    print(*got[:, 0].tolist())
"""


@contract(
    "py_dataset-multiprocessing",
    thing="keras.utils.PyDataset",
    truth="Batches that several processes load come in their order, and the process ends.",
    tier="standard",
)
def _(lab: Lab) -> Iterator[Deviation]:
    command = [sys.executable, "-c", PROCESSES]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=120, text=True)
    except subprocess.TimeoutExpired:
        yield Deviation(tensor="process", excess=None, evidence="not ended after 120 s")
        return
    yield exact("exit status", lab.seen(float(done.returncode)), np.zeros(()))
    numbers = [float(word) for word in done.stdout.split()]
    yield exact("order of samples", lab.seen(np.array(numbers)), np.arange(24.0))


# --- Epochs of a given number of steps


def _sources() -> dict[str, Callable[[Array, Array], Any]]:
    """Data of six batches, as endless as each kind is."""
    from bench.nets.api import tf

    def endless(x: Array, y: Array) -> Iterator[tuple[Array, Array]]:
        while True:
            yield from ((x[part], y[part]) for part in batches(len(x), BATCH))

    def dataset(x: Array, y: Array) -> Any:
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)

    return {
        "generator": endless,
        "dataset": dataset,
        "dataset-repeated": lambda x, y: dataset(x, y).repeat(),
    }


def _steps_per_epoch(kind: str) -> None:
    @contract(
        f"steps_per_epoch-{kind}",
        thing="keras.Model.fit",
        truth="Each epoch has steps_per_epoch steps: as many as the data have batches, all of them.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x, y = data(linear.SAMPLES)
        model, replay = built(), Replay()
        got = model.fit(
            _sources()[kind](x, y),
            steps_per_epoch=len(batches(len(x), BATCH)),
            epochs=3,
            shuffle=False,
            verbose=0,
        ).history["loss"]
        yield exact("epochs", lab.seen(len(got)), np.array(3))
        for epoch, loss in enumerate(got):
            truth = linear.mean(list(replay.epoch(x, y, BATCH)))
            yield deviation(f"epoch {epoch}, loss", lab.seen(loss), truth)
        yield from weights_of(lab, model, replay)


for _kind in ("generator", "dataset", "dataset-repeated"):
    _steps_per_epoch(_kind)


@contract(
    "validation_steps",
    thing="keras.Model.fit",
    truth="Every epoch is validated on the same first validation_steps batches of a dataset.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(linear.SAMPLES)
    model, replay = built(), Replay()
    held = _sources()["dataset-repeated"](x, y)
    got = model.fit(
        *(x[:BATCH], y[:BATCH]),
        batch_size=BATCH,
        epochs=3,
        validation_data=held,
        validation_steps=2,
        shuffle=False,
        verbose=0,
    ).history["val_loss"]
    for epoch, loss in enumerate(got):
        replay.step(x[:BATCH], y[:BATCH])
        truth = linear.over(replay.losses(x[: 2 * BATCH], y[: 2 * BATCH]))
        yield deviation(f"epoch {epoch}, validation loss", lab.seen(loss), truth)


@contract(
    "validation_freq",
    thing="keras.Model.fit",
    truth="With validation_freq n every n-th epoch is validated, and no other.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(2 * BATCH)
    model, replay = built(), Replay()
    held = (x[BATCH:], y[BATCH:])
    got = model.fit(
        *(x[:BATCH], y[:BATCH]),
        batch_size=BATCH,
        epochs=5,
        validation_data=held,
        validation_freq=2,
        verbose=0,
    ).history["val_loss"]
    yield exact("validations", lab.seen(len(got)), np.array(2))
    for epoch in range(5):
        replay.step(x[:BATCH], y[:BATCH])
        if epoch % 2:
            loss = lab.seen(got[epoch // 2])
            truth = linear.over(replay.losses(*held))
            yield deviation(f"epoch {epoch}, validation loss", loss, truth)


# --- Weights of classes and samples in a dataset


def _class_weight(subject: str, weight: dict[int, float], keras: tuple[int, ...] = (2, 3)) -> None:
    @contract(
        f"class_weight-{subject}",
        keras=keras,
        thing="keras.Model.fit",
        truth="Class weights train the same whether data are arrays or a dataset; a class that is left"
        " out counts once.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras, tf

        x = drawn("inputs", 24, linear.FEATURES)
        classes = np.arange(24, dtype=np.int64)[:, None] % 3
        by_sample = np.array([weight.get(int(label), 1.0) for label in classes[:, 0]], np.float32)

        def fitted(*given: Any, **arguments: Any) -> list[Array]:
            inputs = keras.Input((linear.FEATURES,))
            model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
            model.set_weights([drawn("kernel", linear.FEATURES, 3), drawn("bias", 3)])
            model.compile(keras.optimizers.SGD(linear.RATE), "sparse_categorical_crossentropy")
            model.fit(*given, shuffle=False, verbose=0, **arguments)
            return list(model.get_weights())

        truths = fitted(x, classes, sample_weight=by_sample, batch_size=8)
        dataset = tf.data.Dataset.from_tensor_slices((x, classes)).batch(8)
        for kind, got in (
            ("arrays", fitted(x, classes, class_weight=weight, batch_size=8)),
            ("dataset", fitted(dataset, class_weight=weight)),
        ):
            for name, found, truth in zip(("kernel", "bias"), got, truths, strict=True):
                yield exact(f"{kind}, {name}", lab.seen(found), truth)


_class_weight("whole", {0: 0.5, 1: 2.0, 2: 4.0})
_class_weight("one_left_out", {0: 0.5, 2: 4.0}, keras=(3,))  # Keras 2 asks for all


@contract(
    "sample_weight-dataset",
    thing="keras.Model.fit",
    truth="The third of a dataset's parts weights samples in fit and evaluate.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, y = data(2 * BATCH)
    weights = np.resize(np.array([0.25, 0.5, 0.0, 2.0], np.float32), len(x))
    model, replay = built(), Replay()
    dataset = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(2 * BATCH)
    got = model.fit(dataset, verbose=0).history["loss"]
    yield deviation("loss", lab.seen(got), replay.loss(x, y, weights).reshape(1))
    replay.step(x, y, weights)
    yield from weights_of(lab, model, replay)
    got = model.evaluate(dataset, verbose=0)
    yield deviation("evaluate", lab.seen(got), replay.loss(x, y, weights))


@contract(
    "evaluate-fixed_batches",
    thing="keras.Model.evaluate",
    truth="A dataset of batches of one fixed size is evaluated as the arrays in it are.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    x, y = data(3 * BATCH)
    error = keras.metrics.MeanAbsoluteError(name="error")
    model, replay = built(metrics=[error]), Replay()
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH, drop_remainder=True)
    for call in range(2):
        got = model.evaluate(dataset, verbose=0)
        truths = linear.over(replay.losses(x, y)), linear.over(replay.errors(x, y))
        for name, found, truth in zip(("loss", "metric"), got, truths, strict=True):
            yield deviation(f"call {call}, {name}", lab.seen(found), truth)


@contract(
    "weights-on_batch",
    thing="keras.Model.test_on_batch",
    truth="Class weights of train_on_batch and sample weights of test_on_batch scale the losses.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    classes = np.arange(BATCH) % 2
    p = np.array([[0.5, 0.25], [0.25, 0.5], [0.125, 0.75], [0.75, 0.125]], np.float32)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    model.compile("sgd", "mse")
    y = np.eye(2, dtype=np.float32)[classes]
    losses = np.square(p - y).mean(-1)  # exact
    weights = np.array([0.5, 2.0], np.float32)
    got = model.train_on_batch(p, y, class_weight=dict(enumerate(weights.tolist())))
    yield exact("train_on_batch", lab.seen(got), (losses * weights[classes]).mean())
    model.reset_metrics()
    by_sample = np.array([1.0, 0.0, 4.0, 0.5], np.float32)
    got = model.test_on_batch(p, y, sample_weight=by_sample, return_dict=True)
    yield exact("test_on_batch", lab.seen(got["loss"]), (losses * by_sample).mean())


@contract(
    "validation_freq-list",
    thing="keras.Model.fit",
    truth="validation_freq may name the epochs, counted from 1; validation_steps is a number of batches"
    " of arrays, too; the history names its epochs.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(3 * BATCH)
    model, replay = built(optimizer=keras.optimizers.SGD(0.0)), Replay()
    validated: list[int] = []

    def look(epoch: int, logs: Any) -> None:
        validated.extend([epoch] * ("val_loss" in logs))

    watch = keras.callbacks.LambdaCallback(on_epoch_end=look)
    history = model.fit(
        *(x[:BATCH], y[:BATCH]),
        epochs=4,
        validation_data=(x, y),
        validation_batch_size=BATCH,
        validation_steps=2,
        validation_freq=[2, 3],
        verbose=0,
        callbacks=[watch],
    )
    yield exact("epochs validated", lab.seen(np.array(validated)), np.array([1, 2]))
    truth = linear.over(replay.losses(x[: 2 * BATCH], y[: 2 * BATCH]))
    for at, got in enumerate(history.history["val_loss"]):
        yield deviation(f"validation {at}", lab.seen(got), truth)
    yield exact("history", np.array(history.epoch), np.arange(4))
