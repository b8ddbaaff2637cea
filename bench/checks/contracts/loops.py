"""Loops: what ``fit``, ``evaluate``, ``predict`` and their ``on_batch`` kin compute and return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts import linear
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import (
    BATCH,
    SAMPLES,
    Array,
    Replay,
    batches,
    built,
    data,
    mean,
    over,
    weights_of,
)
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("loops")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

# --- One batch at a time


@contract(
    "train_on_batch-returns:loss",
    thing="keras.Model.train_on_batch",
    truth="Returns the loss of the batch that it is given, whatever came before.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    for call, part in enumerate(batches(SAMPLES, BATCH)):
        got = model.train_on_batch(x[part], y[part])
        yield deviation(f"call {call}, loss", lab.seen(got), replay.loss(x[part], y[part]))
        replay.step(x[part], y[part])
    yield from weights_of(lab, model, replay)


@contract(
    "train_on_batch-returns:metrics",
    thing="keras.Model.train_on_batch",
    truth="Returns the loss and the metrics of the batch that it is given, as a list and as a dict.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(metrics=[_mean_absolute_error()]), Replay()
    for call, part in enumerate(batches(SAMPLES, BATCH)):
        got = model.train_on_batch(x[part], y[part], return_dict=call % 2 == 1)
        loss, error = (got["loss"], got["error"]) if call % 2 else got
        yield deviation(f"call {call}, loss", lab.seen(loss), replay.loss(x[part], y[part]))
        yield deviation(f"call {call}, metric", lab.seen(error), replay.errors(x[part], y[part]))
        replay.step(x[part], y[part])


@contract(
    "train_on_batch-reset_metrics:false",
    thing="keras.Model.train_on_batch",
    truth="With reset_metrics=False it returns the mean over all samples since the last reset.",
    keras=(2,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    seen = []
    for call, (truth, size) in enumerate(replay.epoch(x, y, BATCH)):
        seen.append((truth, size))
        part = batches(SAMPLES, BATCH)[call]
        got = model.train_on_batch(x[part], y[part], reset_metrics=False)
        yield deviation(f"call {call}, loss", lab.seen(got), mean(seen))


@contract(
    "test_on_batch-returns:loss",
    thing="keras.Model.test_on_batch",
    truth="Returns the loss of the batch that it is given, whatever came before, and changes nothing.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    for call, part in enumerate(batches(SAMPLES, BATCH)):
        got = model.test_on_batch(x[part], y[part])
        yield deviation(f"call {call}, loss", lab.seen(got), replay.loss(x[part], y[part]))
    yield from weights_of(lab, model, replay)


@contract(
    "train_on_batch-sample_weight",
    thing="keras.Model.train_on_batch",
    truth="The loss is the sum of weighted losses over the number of samples, and its gradient trains.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(BATCH)
    weights = _sample_weights(BATCH)
    model, replay = built(), Replay()
    got = model.train_on_batch(x, y, sample_weight=weights)
    yield deviation("loss", lab.seen(got), replay.loss(x, y, weights))
    replay.step(x, y, weights)
    yield from weights_of(lab, model, replay)


@contract(
    "predict_on_batch",
    thing="keras.Model.predict_on_batch",
    truth="Returns the outputs of the batch, in its order.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, _ = data(SAMPLES)
    model, replay = built(), Replay()
    for part in batches(SAMPLES, BATCH):
        yield deviation(
            "outputs", lab.seen(model.predict_on_batch(x[part])), replay.predict(x[part])
        )


# --- Whole data


@contract(
    "fit-history:loss",
    thing="keras.Model.fit",
    truth="An epoch's loss is the mean over its samples, each as its batch was before its step.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    history = model.fit(x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0).history
    for epoch, got in enumerate(history["loss"]):
        truth = mean(list(replay.epoch(x, y, BATCH)))
        yield deviation(f"epoch {epoch}, loss", lab.seen(got), truth)
    yield from weights_of(lab, model, replay)


@contract(
    "fit-history:metrics",
    thing="keras.Model.fit",
    truth="An epoch's metric is its value over all samples of the epoch, a short last batch included.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(metrics=[_mean_absolute_error()]), Replay()
    history = model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0).history
    for epoch, got in enumerate(history["error"]):
        parts = []
        for part in batches(SAMPLES, BATCH):
            parts.append((replay.errors(x[part], y[part]), len(x[part])))
            replay.step(x[part], y[part])
        yield deviation(f"epoch {epoch}, metric", lab.seen(got), mean(parts))


@contract(
    "fit-sample_weight",
    thing="keras.Model.fit",
    truth="Sample weights scale losses; a batch's loss is divided by its number of samples.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    weights = _sample_weights(SAMPLES)
    model, replay = built(), Replay()
    model.fit(x, y, sample_weight=weights, batch_size=BATCH, shuffle=False, verbose=0)
    for _ in replay.epoch(x, y, BATCH, weights):
        pass
    yield from weights_of(lab, model, replay)


@contract(
    "fit-class_weight",
    thing="keras.Model.fit",
    truth="Class weights scale the loss of each sample by the weight of its class.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    classes = np.arange(SAMPLES) % 3
    x, _ = data(SAMPLES)
    weight = {0: 0.5, 1: 1.0, 2: 4.0}

    def fitted(**arguments: Any) -> list[Any]:
        inputs = keras.Input((linear.FEATURES,))
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
        model.set_weights([linear.drawn("kernel", linear.FEATURES, 3), linear.drawn("bias", 3)])
        model.compile(keras.optimizers.SGD(linear.RATE), "sparse_categorical_crossentropy")
        model.fit(x, classes, batch_size=BATCH, shuffle=False, verbose=0, **arguments)
        return list(model.get_weights())

    by_sample = np.array([weight[int(label)] for label in classes], np.float32)
    pairs = zip(fitted(class_weight=weight), fitted(sample_weight=by_sample), strict=True)
    for name, (got, truth) in zip(("kernel", "bias"), pairs, strict=True):
        yield exact(name, lab.seen(got), truth)


@contract(
    "evaluate-returns",
    thing="keras.Model.evaluate",
    truth="Returns loss and metrics over all samples, the same whatever the batch size and how often.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(metrics=[_mean_absolute_error()]), Replay()
    for size in (SAMPLES, BATCH, 1, BATCH):
        loss, error = model.evaluate(x, y, batch_size=size, verbose=0)
        yield deviation(f"batches of {size}, loss", lab.seen(loss), over(replay.losses(x, y)))
        yield deviation(f"batches of {size}, metric", lab.seen(error), over(replay.errors(x, y)))


@contract(
    "predict-order",
    thing="keras.Model.predict",
    truth="Returns the outputs of all samples in their order, a short last batch included.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, _ = data(SAMPLES)
    model, replay = built(), Replay()
    for size in (BATCH, 1, SAMPLES):
        got = lab.seen(model.predict(x, batch_size=size, verbose=0))
        yield deviation(f"batches of {size}", got, replay.predict(x))


@contract(
    "fit-validation_split",
    thing="keras.Model.fit",
    truth="Validates after each epoch on the last share of the samples, taken before shuffling.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(20)
    model, replay = built(), Replay()
    history = model.fit(
        x, y, batch_size=8, validation_split=0.25, shuffle=False, epochs=2, verbose=0
    ).history
    for epoch, got in enumerate(history["val_loss"]):
        for _ in replay.epoch(x[:15], y[:15], 8):
            pass
        truth = over(replay.losses(x[15:], y[15:]))
        yield deviation(f"epoch {epoch}, validation loss", lab.seen(got), truth)
    yield from weights_of(lab, model, replay)


@contract(
    "fit-validation_data-sample_weight",
    thing="keras.Model.fit",
    truth="The third of validation_data weights the samples of the validation loss.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(16)
    weights = _sample_weights(8)
    model, replay = built(), Replay()
    history = model.fit(
        *(x[:8], y[:8]),
        batch_size=8,
        validation_data=(x[8:], y[8:], weights),
        validation_batch_size=8,
        verbose=0,
        shuffle=False,
    ).history
    replay.step(x[:8], y[:8])
    truth = replay.loss(x[8:], y[8:], weights)
    yield deviation("validation loss", lab.seen(history["val_loss"]), truth.reshape(1))


@contract(
    "fit-shuffle",
    thing="keras.Model.fit",
    truth="Shuffling shows every sample once in an epoch, in another order than without.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    shown: list[int] = []

    class Watched(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.weight = self.add_weight(shape=(), initializer="zeros", name="weight")

        def call(self, inputs: Any) -> Any:
            tf.py_function(lambda values: shown.extend(map(int, values)), [inputs[:, 0]], [])
            return inputs * self.weight

    numbers = np.arange(64, dtype=np.float32)[:, None]
    keras.utils.set_random_seed(1)
    model = Watched()
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    model.fit(numbers, numbers, batch_size=10, epochs=1, verbose=0)
    lab.seen(np.array(sorted(shown)))
    yield exact("samples seen in an epoch", np.array(sorted(shown)), np.arange(64))
    yield exact("in order", np.array(shown == sorted(shown)), np.zeros((), bool))


@contract(
    "fit-initial_epoch",
    thing="keras.Model.fit",
    truth="Trains the epochs from initial_epoch on, below epochs, and callbacks see these numbers.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(BATCH)
    seen: list[int] = []
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: seen.append(epoch))
    model, replay = built(), Replay()
    model.fit(
        x,
        y,
        batch_size=BATCH,
        initial_epoch=2,
        epochs=5,
        shuffle=False,
        verbose=0,
        callbacks=[watch],
    )
    for _ in range(3):
        replay.step(x, y)
    yield exact("epochs that callbacks saw", lab.seen(seen), np.array([2, 3, 4]))
    yield from weights_of(lab, model, replay)


@contract(
    "fit-twice",
    thing="keras.Model.fit",
    truth="A second fit goes on from the weights of the first, with losses of its own.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    for call in range(2):
        got = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"]
        truth = mean(list(replay.epoch(x, y, BATCH)))
        yield deviation(f"fit {call}, loss", lab.seen(got), truth.reshape(1))
    yield from weights_of(lab, model, replay)


@contract(
    "compile-again",
    thing="keras.Model.compile",
    truth="Compiling again keeps the weights; the new loss and rate count from then on.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(BATCH)
    model, replay = built(), Replay()
    model.train_on_batch(x, y)
    replay.step(x, y)
    model.compile(keras.optimizers.SGD(linear.RATE / 2), "mse")
    got = model.train_on_batch(x, y)
    yield deviation("loss", lab.seen(got), replay.loss(x, y))
    replay.step(x, y, rate=linear.RATE / 2)
    yield from weights_of(lab, model, replay)


def _mean_absolute_error() -> Any:
    from bench.nets.api import keras

    return keras.metrics.MeanAbsoluteError(name="error")


def _sample_weights(samples: int) -> Array:
    """Powers of two from .25 to 4, and a zero."""
    return np.resize(np.array([0.25, 0.5, 0.0, 1.0, 2.0, 4.0], np.float32), samples)


@contract(
    "fit-class_weight-validation",
    thing="keras.Model.fit",
    truth="Class weights count in training alone, not in validation.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    p = np.array([[0.5, 0.25], [0.25, 0.5], [0.125, 0.75], [0.75, 0.125]], np.float32)
    y = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    given = {"class_weight": {0: 0.5, 1: 2.0}, "validation_data": (p, y), "batch_size": 4}
    told = model.fit(p, y, verbose=0, **given).history
    losses = np.square(p - y).mean(-1)  # exact
    weighted = (losses * np.array([0.5, 2.0, 0.5, 2.0])).mean()
    yield exact("loss", lab.seen(told["loss"][0]), weighted)
    yield exact("validation loss", lab.seen(told["val_loss"][0]), losses.mean())
