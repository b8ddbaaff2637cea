"""Monitors: callbacks that infer whether more or less is better, and when files are written."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.checks.contracts import linear
from bench.checks.contracts.callbacks import (
    RATE,
    SCRIPT,
    plateaus,
    played,
    rates_of,
    scripted,
    stops,
    weight_of,
)
from bench.checks.contracts.contract import Catalogue
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("monitors")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: A quantity that a model compiled with it tells, and whether more of it is worse.
QUANTITIES = {"accuracy": -1.0, "mean_squared_error": 1.0, "val_loss": 1.0}
#: Falls, rises for two epochs, falls below, and rises.
NUMBERS = SCRIPT[:6]


def _told(quantity: str, numbers: Sequence[float], callback: Any) -> tuple[Any, list[float]]:
    """Fits a model whose epochs tell these numbers of a quantity and leave their own, counted from 1,
    in the bias.

    Returns:
        The model, and the optimizer's rate after each epoch.
    """
    from bench.nets.api import keras

    x, y = linear.data(4)
    model = linear.built(
        optimizer=keras.optimizers.SGD(RATE),
        run_eagerly=True,
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.MeanSquaredError(name="mean_squared_error"),
        ],
    )
    kernel, bias = model.get_weights()
    rates: list[float] = []

    def tell(epoch: int, logs: Any) -> None:
        logs[quantity] = numbers[epoch]
        model.set_weights([kernel, np.full_like(bias, epoch + 1.0)])

    def look(*_: Any, **__: Any) -> None:
        rates.append(float(np.asarray(model.optimizer.learning_rate)))

    watch = [keras.callbacks.LambdaCallback(on_epoch_end=each) for each in (tell, look)]
    model.fit(
        *(x, y),
        epochs=len(numbers),
        verbose=0,
        callbacks=[watch[0], callback, watch[1]],
    )
    return model, rates


_Numbers = Sequence[float]


def _early_stopping(quantity: str, numbers: _Numbers, **about: Any) -> None:
    @contract(f"early_stopping-auto:{quantity}", thing="keras.callbacks.EarlyStopping", **about)
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        expected, best = stops(NUMBERS, patience=2)
        early = keras.callbacks.EarlyStopping(
            monitor=quantity, patience=2, restore_best_weights=True
        )
        model, rates = _told(quantity, numbers, early)
        yield exact("epochs", lab.seen(len(rates)), np.array(expected))
        yield exact("bias", lab.seen(model.get_weights()[1]), np.full(linear.OUTPUTS, best))


def _reduce_lr_on_plateau(quantity: str, numbers: _Numbers, **about: Any) -> None:
    @contract(
        f"reduce_lr_on_plateau-auto:{quantity}", thing="keras.callbacks.ReduceLROnPlateau", **about
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        reduce = keras.callbacks.ReduceLROnPlateau(monitor=quantity, factor=0.5, patience=2)
        _, rates = _told(quantity, numbers, reduce)
        expected = plateaus(NUMBERS, factor=0.5, patience=2, cooldown=0, min_lr=0.0)
        yield exact("rates", lab.seen(np.array(rates)), np.array(expected))


def _model_checkpoint(quantity: str, numbers: _Numbers, **about: Any) -> None:
    @contract(f"model_checkpoint-auto:{quantity}", thing="keras.callbacks.ModelCheckpoint", **about)
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "best.weights.h5")
            saver = keras.callbacks.ModelCheckpoint(
                path, monitor=quantity, save_best_only=True, save_weights_only=True
            )
            _told(quantity, numbers, saver)
            other = linear.built()
            other.load_weights(path)
        best = np.full(linear.OUTPUTS, 1.0 + np.argmin(NUMBERS))
        yield exact("bias in the file", lab.seen(other.get_weights()[1]), best)


for _quantity, _sign in QUANTITIES.items():
    for _inferring in (_early_stopping, _reduce_lr_on_plateau, _model_checkpoint):
        _inferring(
            _quantity,
            [_sign * value for value in NUMBERS],
            truth="With mode='auto' an accuracy is to rise, a loss or an error is to fall.",
            tier="standard" if _quantity == "mean_squared_error" else "quick",
        )


@contract(
    "early_stopping-baseline",
    thing="keras.callbacks.EarlyStopping",
    truth="Stops after patience epochs none of which was better than the baseline, and goes on where"
    " one was.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    for losses, epochs in (((1.0,) * 5, 2), ((0.5, 1.0, 0.25, 1.0, 1.0), 5)):
        early = keras.callbacks.EarlyStopping("score", mode="min", patience=2, baseline=0.6)
        got = played(scripted(losses), [early], epochs=len(losses))
        yield exact(f"epochs of {losses}", lab.seen(got), np.array(epochs))


@contract(
    "model_checkpoint-save_freq:3",
    thing="keras.callbacks.ModelCheckpoint",
    truth="With save_freq n a file is written after every n-th batch, counted over epochs.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    written: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "now.weights.h5"
        saver = keras.callbacks.ModelCheckpoint(str(path), save_weights_only=True, save_freq=3)
        model = scripted((1.0,) * 8, batches=4)

        def look(*_: Any, **__: Any) -> None:
            if path.exists():
                written.append(model.played)
                path.unlink()

        watch = keras.callbacks.LambdaCallback(on_train_batch_end=look)
        played(model, [saver, watch], epochs=2, batches=4)
    yield exact("batches after which it was written", lab.seen(written), np.array([3, 6]))


@contract(
    "model_checkpoint-initial_value_threshold",
    thing="keras.callbacks.ModelCheckpoint",
    truth="With initial_value_threshold only what is better than it is the best so far.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    for threshold, best in ((0.3, 5), (0.2, 0)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "best.weights.h5"
            saver = keras.callbacks.ModelCheckpoint(
                str(path),
                monitor="score",
                mode="min",
                save_best_only=True,
                save_weights_only=True,
                initial_value_threshold=threshold,
            )
            played(scripted(NUMBERS), [saver], epochs=len(NUMBERS))
            held = 0.0
            if path.exists():
                other = scripted(SCRIPT)
                other.load_weights(str(path))
                held = weight_of(other)
        yield exact(f"epoch in the file, {threshold}", lab.seen(held), np.array(float(best)))


@contract(
    "rate-in-logs",
    thing="keras.callbacks.LearningRateScheduler",
    truth="History tells the rate that each epoch was trained with.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import KERAS_MAJOR, keras

    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, _: RATE / 2**epoch)
    model = scripted((1.0,) * 3)
    played(model, [schedule], epochs=3)
    name = "learning_rate" if KERAS_MAJOR == 3 else "lr"
    got = lab.seen(np.array(model.history.history.get(name, [np.nan])))
    yield exact("rates", got, RATE / 2.0 ** np.arange(3))


@contract(
    "stop_training",
    thing="keras.Model.stop_training",
    truth="A callback that sets stop_training at the end of an epoch makes it the last one.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    model = scripted((1.0,) * 12, batches=3)

    def stop(epoch: int, _: Any = None) -> None:
        model.stop_training = epoch == 1

    calls: list[str] = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=stop, on_train_end=lambda *_: calls.append("end")
    )
    played(model, [watch], epochs=4, batches=3)
    yield exact("batches", lab.seen(model.played), np.array(6))
    yield exact("on_train_end", np.array(len(calls)), np.array(1))
    played(model, [], epochs=1, batches=3)
    yield exact("batches of a fit after", lab.seen(model.played), np.array(9))


@contract(
    "progress-bar",
    thing="keras.Model.fit",
    truth="The bar shows the numbers that callbacks are told: means over the epoch so far.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    told: list[float] = []

    class Slowly(keras.callbacks.Callback):
        def on_train_batch_end(self, _: int, logs: Any = None) -> None:
            told.append(logs["loss"])
            time.sleep(0.06)  # a bar that was drawn less than 0.05 s ago is not drawn anew

    x, y = linear.data(linear.SAMPLES)
    model, printed = linear.built(), io.StringIO()
    with contextlib.redirect_stdout(printed):
        model.fit(x, y, batch_size=4, shuffle=False, verbose=1, callbacks=[Slowly()])
    shown = np.array(re.findall(r"loss: ([-+.0-9e]+)", printed.getvalue()), float)
    place = 0
    yield exact("drawn more than once", np.array(shown.size > 1), np.ones((), bool))
    for at, number in enumerate(lab.seen(shown)):
        place += int(np.argmin(np.abs(np.array(told[place:]) - number)))
        rounded = Bounded(np.float64(told[place]), 0.5001e-4)  # it has four decimals
        yield deviation(f"number {at}", number, rounded)
    yield exact("place of the last", np.array(place), np.array(len(told) - 1))


@contract(
    "swap_ema",
    thing="keras.callbacks.SwapEMAWeights",
    truth="Moving averages are in the weights' place while an epoch is validated, and training goes on"
    " from the weights themselves.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    if not hasattr(keras.callbacks, "SwapEMAWeights"):
        raise AbsentError("this Keras has no SwapEMAWeights")
    x, y = linear.data(linear.SAMPLES)
    sgd = keras.optimizers.SGD(linear.RATE, use_ema=True, ema_momentum=0.5)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=False)
    model, replay = linear.built(optimizer=sgd), linear.Replay()
    given: Any = {"batch_size": linear.SAMPLES, "epochs": 3, "verbose": 0, "callbacks": [swap]}
    told = model.fit(x, y, validation_data=(x, y), **given).history["val_loss"]
    averages: list[Bounded] = []
    for epoch, got in enumerate(told):
        replay.step(x, y)
        # The first step's weights are the first average.
        averages = [
            old * 0.5 + new * 0.5
            for old, new in zip(averages or replay.weights, replay.weights, strict=True)
        ]
        averaged = linear.Replay()
        averaged.kernel, averaged.bias = averages
        truth = linear.over(averaged.losses(x, y))
        yield deviation(f"epoch {epoch}, validation loss", lab.seen(got), truth)


@contract(
    "reduce_lr_on_plateau-min_delta",
    thing="keras.callbacks.ReduceLROnPlateau",
    truth="What improves by less than min_delta counts as no improvement.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    losses = (1.0, 0.75, 0.5, 0.25, 0.0)
    for min_delta, reductions in ((0.3, (0, 1, 1, 2, 2)), (0.2, (0, 0, 0, 0, 0))):
        given: dict[str, Any] = {"patience": 1, "factor": 0.5, "min_delta": min_delta}
        reduce = keras.callbacks.ReduceLROnPlateau(monitor="score", mode="min", **given)
        truth = RATE / 2.0 ** np.array(reductions)
        yield exact(f"rates, min_delta {min_delta}", rates_of(lab, reduce, losses), truth)
