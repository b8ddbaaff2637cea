"""Fitting: weights, validation and batches of ``fit``, and fits that are taken up again."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.checks.contracts import linear
from bench.checks.contracts.callbacks import played, scripted
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import (
    BATCH,
    SAMPLES,
    Array,
    Replay,
    built,
    data,
    mean,
    over,
    weights_of,
)
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("fitting")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: Powers of two: products with them are exact.
_OF_CLASS = {0: 0.5, 1: 2.0, 2: 4.0}


def _weights(samples: int) -> Array:
    """Of samples: powers of two and a zero."""
    return np.resize(np.array([0.25, 2.0, 0.0, 1.0, 4.0], np.float32), samples)


@contract(
    "weights-both",
    thing="keras.Model.fit",
    truth="Weights of classes and of samples that are given together are multiplied, or refused with an"
    " error; none is left out in silence.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    classes = np.arange(BATCH) % 3
    y = np.eye(4, dtype=np.float32)[classes]
    p = np.resize(np.array([0.5, 0.25, 0.125, 0.75, 1.0], np.float32), y.shape)
    weights = _weights(BATCH)
    products = np.array([_OF_CLASS[int(one)] for one in classes]) * weights
    truth = (np.square(p - y).mean(-1) * products).mean()  # exact
    dataset = tf.data.Dataset.from_tensor_slices((p, y, weights)).batch(BATCH)
    for what, given, more in (
        ("arrays", (p, y), {"sample_weight": weights, "batch_size": BATCH}),
        ("dataset", (dataset,), {}),
    ):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
        model.compile("sgd", "mse")
        try:
            told = model.fit(*given, class_weight=_OF_CLASS, verbose=0, **more).history["loss"][0]
        except ValueError as error:
            refused = np.array("sample_weight" in str(error))
            yield exact(f"{what}, an error that names them", lab.seen(refused), np.ones((), bool))
        else:
            yield exact(f"{what}, loss", lab.seen(told), truth)


@contract(
    "weights-validation_split",
    thing="keras.Model.fit",
    truth="validation_split takes the last samples with their weights, which count in the validation"
    " loss and its weighted metrics.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(20)
    weights = _weights(20)
    error = keras.metrics.MeanAbsoluteError(name="error")
    model, replay = built(weighted_metrics=[error]), Replay()
    given: dict[str, Any] = {"sample_weight": weights, "batch_size": 15, "verbose": 0}
    told = model.fit(x, y, validation_split=0.25, shuffle=False, **given).history
    replay.step(x[:15], y[:15], weights[:15])
    yield from weights_of(lab, model, replay)
    held = slice(15, 20)
    truth = replay.loss(x[held], y[held], weights[held])
    yield deviation("validation loss", lab.seen(told["val_loss"][0]), truth)
    errors = np.abs(replay.predict(x[held]) - y[held]).mean(-1) * weights[held]
    truth = errors.sum() / weights[held].sum()
    yield deviation("validation metric", lab.seen(told["val_error"][0]), truth)


@contract(
    "validation_batch_size",
    thing="keras.Model.fit",
    truth="Validation is in batches of validation_batch_size, or of batch_size where that is not given,"
    " which changes neither its loss nor its metrics.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(SAMPLES)
    for size, batches in ((None, 3), (5, 5), (SAMPLES, 1)):
        error = keras.metrics.MeanAbsoluteError(name="error")
        model, replay = built(metrics=[error], run_eagerly=True), Replay()
        seen: list[int] = []
        watch = keras.callbacks.LambdaCallback()
        watch.on_test_batch_end = lambda batch, logs=None, seen=seen: seen.append(batch)  # noqa: ARG005
        given: dict[str, Any] = {"validation_data": (x, y), "validation_batch_size": size}
        told = model.fit(
            *(x, y), batch_size=BATCH, shuffle=False, verbose=0, callbacks=[watch], **given
        ).history
        for _ in replay.epoch(x, y, BATCH):
            pass
        what = f"validation_batch_size {size}"
        yield exact(f"{what}, batches", lab.seen(np.array(seen)), np.arange(batches))
        for name, truth in (("loss", replay.losses(x, y)), ("error", replay.errors(x, y))):
            yield deviation(f"{what}, {name}", lab.seen(told[f"val_{name}"][0]), over(truth))


@contract(
    "validation-leaves_training",
    thing="keras.Model.fit",
    truth="Validation between epochs changes nothing of how a model is trained, and what is told of"
    " training is of training alone.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(SAMPLES)
    told, ends = [], []
    for held in (None, (2.0 * x, y + 1.0)):
        error = keras.metrics.MeanAbsoluteError(name="error")
        model = built(optimizer=keras.optimizers.Adam(0.125), metrics=[error], run_eagerly=True)
        fitted = model.fit(
            *(x, y), batch_size=BATCH, epochs=3, shuffle=False, verbose=0, validation_data=held
        )
        told.append([fitted.history[name] for name in ("loss", "error")])
        ends.append(model.get_weights())
    yield exact("history", lab.seen(np.array(told[1])), np.array(told[0]))
    for name, got, truth in zip(("kernel", "bias"), ends[1], ends[0], strict=True):
        yield exact(name, lab.seen(got), truth)


@contract(
    "batch_size-default",
    thing="keras.Model.fit",
    truth="Arrays are taken in batches of 32 where no size is given, in fit, evaluate and predict.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    seen: dict[str, int] = {}

    class Counts(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            del logs
            seen["fit"] = batch + 1

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            del logs
            seen["evaluate"] = batch + 1

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            del logs
            seen["predict"] = batch + 1

    x, y = data(65)
    model, counts = built(run_eagerly=True), Counts()
    model.fit(x, y, verbose=0, callbacks=[counts])
    model.evaluate(x, y, verbose=0, callbacks=[counts])
    model.predict(x, verbose=0, callbacks=[counts])
    for call in ("fit", "evaluate", "predict"):
        yield exact(f"batches of {call}", lab.seen(np.array(seen.get(call, 0))), np.array(3))


@contract(
    "loss_weights-one_output",
    thing="keras.Model.compile",
    truth="The weight of the loss of an only output scales what trains.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(BATCH)
    for form, given in (("number", 0.5), ("list", [0.5])):
        model, replay = built(loss_weights=given), Replay()
        told = model.fit(x, y, batch_size=BATCH, verbose=0).history["loss"][0]
        truth = replay.loss(x, y) * 0.5
        yield deviation(f"{form}, loss", lab.seen(told), truth)
        replay.step(x, y, rate=linear.RATE * 0.5)
        yield from weights_of(lab, model, replay, f", {form}")


@contract(
    "loss-function_of_own",
    thing="keras.Model.compile",
    truth="A loss that is a function of one's own is averaged over samples, weighted by them, and its"
    " gradient trains.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, y = data(SAMPLES)
    weights = _weights(SAMPLES)

    def squares(y_true: Any, y_pred: Any) -> Any:
        return tf.reduce_mean(tf.square(y_true - y_pred), -1)

    model, replay = built(loss=squares), Replay()
    given: dict[str, Any] = {"sample_weight": weights, "batch_size": SAMPLES, "verbose": 0}
    told = model.fit(x, y, shuffle=False, **given).history["loss"][0]
    yield deviation("loss", lab.seen(told), mean([(replay.loss(x, y, weights), SAMPLES)]))
    replay.step(x, y, weights)
    yield from weights_of(lab, model, replay)


# --- BackupAndRestore


@contract(
    "backup-delete_checkpoint",
    thing="keras.callbacks.BackupAndRestore",
    truth="A backup is deleted once fit has ended, or kept where that is asked for, and a later fit"
    " goes on from it.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    for delete, rest in ((True, 5), (False, 2)):
        with tempfile.TemporaryDirectory() as folder:
            backup = Path(folder) / "backup"
            for call, (epochs, trained) in enumerate(((3, 3), (5, rest))):
                try:
                    saver = keras.callbacks.BackupAndRestore(str(backup), delete_checkpoint=delete)
                except TypeError as error:
                    raise AbsentError(str(error)) from error
                model = scripted((1.0,))
                what = f"delete_checkpoint {delete}, fit {call}"
                got = played(model, [saver], epochs=epochs)
                yield exact(f"{what}, epochs", lab.seen(got), np.array(trained))
                kept = any(path.is_file() for path in backup.rglob("*"))
                yield exact(f"{what}, files", np.array(kept), np.array(not delete))


@contract(
    "backup-continued",
    thing="keras.callbacks.BackupAndRestore",
    truth="A fit that was interrupted and taken up again ends with the weights and the state of the"
    " optimizer that it would have had.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    def interrupt(epoch: int, _: Any = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    x, y = linear.data(linear.SAMPLES)

    def fitted(*callbacks: Any) -> Any:
        model = built(optimizer=keras.optimizers.Adam(0.125), run_eagerly=True)
        with contextlib.suppress(KeyboardInterrupt):
            model.fit(
                *(x, y), batch_size=8, epochs=4, shuffle=False, verbose=0, callbacks=list(callbacks)
            )
        return model

    with tempfile.TemporaryDirectory() as folder:
        backup = str(Path(folder) / "backup")
        saver = keras.callbacks.BackupAndRestore
        fitted(saver(backup), keras.callbacks.LambdaCallback(on_epoch_begin=interrupt))
        again = fitted(saver(backup))
    whole = fitted()
    steps = [int(np.asarray(model.optimizer.iterations)) for model in (again, whole)]
    yield exact("iterations", lab.seen(steps[0]), np.array(steps[1]))
    pairs = zip(again.get_weights(), whole.get_weights(), strict=True)
    for name, (got, truth) in zip(("kernel", "bias"), pairs, strict=True):
        yield exact(name, lab.seen(got), truth)
