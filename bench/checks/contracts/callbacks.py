"""Callbacks: what they do on a script of losses, one object used for one fit and for several.

A model without arithmetic plays the script: in epoch n it reports the n-th loss and holds n + 1 in its
one weight, so that a restored or saved weight says of which epoch it is.
"""

from __future__ import annotations

import contextlib
import csv
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("callbacks")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: Falls, rises for two epochs, falls below, and rises for good.
SCRIPT = (1.0, 0.5, 0.75, 0.75, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
RATE = 0.125


def scripted(losses: Sequence[float], *, batches: int = 1, name: str = "score") -> Any:
    """A model that reports these losses, epoch by epoch, and counts its epochs in its weight.

    Args:
        losses: of each epoch, or of each batch where an epoch has several.
        batches: of an epoch.
        name: of the loss in the logs; Keras 3 has a number of its own by the name "loss".
    """
    from bench.nets.api import KERAS_MAJOR, keras

    class Scripted(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.mark = self.add_weight(shape=(), initializer="zeros", name="mark")
            self.played = 0
            # Keras 3.0 takes logs from metrics alone, whatever a step returns; in Keras 2 a metric's
            # variables are weights.
            told = KERAS_MAJOR == 3 and name != "loss"
            self.told = keras.metrics.Mean(name) if told else None

        def call(self, inputs: Any) -> Any:
            return inputs * self.mark

        def train_step(self, data: Any) -> Mapping[str, Any]:
            del data
            loss = losses[min(self.played, len(losses) - 1)]
            self.played += 1
            self.mark.assign(float(-(-self.played // batches)))
            if self.told is not None:
                self.told.reset_state()
                self.told.update_state(loss)
            return {name: np.float32(loss)}

    model = Scripted()
    model(np.zeros((1, 1), np.float32))
    model.compile(keras.optimizers.SGD(RATE), "mse", run_eagerly=True)
    return model


def played(
    model: Any, callbacks: Sequence[Any], *, epochs: int, batches: int = 1, **fit: Any
) -> int:
    """Fits a scripted model; how many epochs it trained."""
    data = np.zeros((batches, 1), np.float32)
    before = model.played
    model.fit(
        *(data, data), batch_size=1, epochs=epochs, verbose=0, callbacks=list(callbacks), **fit
    )
    return -(-(model.played - before) // batches)


def weight_of(model: Any) -> float:
    """The weight, which names an epoch, counted from 1."""
    return float(np.asarray(model.get_weights()[0]))


# --- EarlyStopping


def stops(
    losses: Sequence[float],
    *,
    patience: int,
    min_delta: float = 0.0,
    start_from_epoch: int = 0,
    baseline: float | None = None,
    sign: float = 1.0,
) -> tuple[int, int]:
    """What the documentation says: how many epochs are trained, and which one was best, counted from 1.

    Training stops once ``patience`` epochs in a row brought no improvement, which is a loss below the
    best one by more than ``min_delta``; one that does not beat ``baseline`` is none.
    """
    best, best_epoch, wait = math.inf, 0, 0
    for epoch, loss in enumerate(losses):
        if epoch < start_from_epoch:
            continue
        wait += 1
        value = sign * loss
        if value < best - min_delta or best_epoch == 0:
            best, best_epoch = value, epoch + 1
            if baseline is None or value < sign * baseline - min_delta:
                wait = 0
                continue
        if wait >= patience and epoch > 0:
            return epoch + 1, best_epoch
    return len(losses), best_epoch


def _early(name: str, losses: Sequence[float] = SCRIPT, **arguments: Any) -> None:
    sign = -1.0 if arguments.get("mode") == "max" else 1.0
    rules = {k: v for k, v in arguments.items() if k != "mode"}

    @contract(
        f"early_stopping-{name}",
        thing="keras.callbacks.EarlyStopping",
        truth="Stops after patience epochs without improvement and restores the best epoch's weights.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        expected, best = stops(losses, sign=sign, **rules)
        for restore in (False, True):
            early = keras.callbacks.EarlyStopping(
                **{"monitor": "score", "mode": "min", "restore_best_weights": restore, **arguments}
            )
            model = scripted(losses)
            what = ", restoring" if restore else ""
            epochs = played(model, [early], epochs=len(losses))
            yield exact(f"epochs{what}", lab.seen(epochs), np.array(expected))
            kept = best if restore and expected < len(losses) else expected
            yield exact(f"weight{what}", lab.seen(weight_of(model)), np.array(float(kept)))


_early("patience:2", patience=2)
_early("patience:3", patience=3)
# Falls by .125 an epoch.
_early("min_delta", (1.0, 0.875, 0.75, 0.625, 0.5), patience=2, min_delta=0.3)
# Rises from the third epoch on, so that each epoch to start from stops at another one.
_early("start_from_epoch", (1.0, 0.5, 0.25, 0.5, 0.75, 1.0, 1.25), patience=1, start_from_epoch=3)
_early("mode:max", tuple(-loss for loss in SCRIPT), patience=2, mode="max")


@contract(
    "early_stopping-reused",
    thing="keras.callbacks.EarlyStopping",
    truth="One object that is used for a second fit starts anew.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    early = keras.callbacks.EarlyStopping(
        monitor="score", mode="min", patience=2, restore_best_weights=True
    )
    for use, losses in enumerate(((0.125, 0.5, 0.5, 0.5), (1.0, 0.875, 0.75, 0.625, 0.5))):
        model = scripted(losses)
        expected, best = stops(losses, patience=2)
        got = played(model, [early], epochs=len(losses))
        yield exact(f"fit {use}, epochs", lab.seen(got), np.array(expected))
        kept = float(best if expected < len(losses) else len(losses))
        yield exact(f"fit {use}, weight", lab.seen(weight_of(model)), np.array(kept))


# --- ReduceLROnPlateau and LearningRateScheduler


def plateaus(
    losses: Sequence[float], *, factor: float, patience: int, cooldown: int, min_lr: float
) -> list[float]:
    """What the documentation says: the learning rate after each epoch."""
    rate, best, wait, cooling = RATE, math.inf, 0, 0
    rates = []
    for loss in losses:
        if cooling > 0:
            cooling -= 1
            wait = 0
        if loss < best - 1e-4:
            best, wait = loss, 0
        elif cooling <= 0:
            wait += 1
            if wait >= patience and rate > min_lr:
                rate = max(rate * factor, min_lr)
                cooling, wait = cooldown, 0
        rates.append(rate)
    return rates


def rates_of(lab: Lab, callback: Any, losses: Sequence[float]) -> Any:
    """The optimizer's rate at the end of each epoch."""
    from bench.nets.api import keras

    rates: list[float] = []
    model = scripted(losses)
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: rates.append(float(np.asarray(model.optimizer.learning_rate)))
    )
    played(model, [callback, watch], epochs=len(losses))
    return lab.seen(np.array(rates))


def _plateau(name: str, **arguments: Any) -> None:
    @contract(
        f"reduce_lr_on_plateau-{name}",
        thing="keras.callbacks.ReduceLROnPlateau",
        truth="Multiplies the rate after patience epochs without improvement, down to min_lr.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        rules = {"factor": 0.5, "patience": 2, "cooldown": 0, "min_lr": 0.0, **arguments}
        reduce = keras.callbacks.ReduceLROnPlateau(monitor="score", mode="min", **rules)
        truth = np.array(plateaus(SCRIPT, **rules))
        for use in range(2):
            yield exact(f"fit {use}, rates", rates_of(lab, reduce, SCRIPT), truth)


_plateau("patience:2")
_plateau("patience:1-cooldown:2", patience=1, cooldown=2)
_plateau("min_lr", patience=1, min_lr=RATE / 4)


@contract(
    "learning_rate_scheduler",
    thing="keras.callbacks.LearningRateScheduler",
    truth="Sets the rate of each epoch from its number and the rate before.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    schedule: Callable[[int, float], float] = lambda epoch, rate: rate / 2 if epoch % 2 else rate  # noqa: E731
    got = rates_of(lab, keras.callbacks.LearningRateScheduler(schedule), (1.0,) * 5)
    yield exact("rates", got, RATE * np.array([1, 0.5, 0.5, 0.25, 0.25]))


# --- Files


def _checkpoints(lab: Lab, folder: Path, losses: Sequence[float], name: str, **options: Any) -> Any:
    """Names of the files that were written, and the epoch that each holds."""
    from bench.nets.api import keras

    model = scripted(losses)
    saver = keras.callbacks.ModelCheckpoint(
        str(folder / name), monitor="score", mode="min", save_weights_only=True, **options
    )
    played(model, [saver], epochs=len(losses))
    held = {}
    for path in sorted(folder.iterdir()):
        other = scripted(losses)
        other.load_weights(str(path))
        held[path.name] = lab.seen(weight_of(other))
    return held


@contract(
    "model_checkpoint-each",
    thing="keras.callbacks.ModelCheckpoint",
    truth="Saves every epoch under its number, counted from 1, with the weights at its end.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    with tempfile.TemporaryDirectory() as folder:
        held = _checkpoints(lab, Path(folder), SCRIPT[:3], "at-{epoch:02d}.weights.h5")
    names = [f"at-{epoch:02d}.weights.h5" for epoch in (1, 2, 3)]
    yield exact("names of files", np.array(list(held) == names), np.ones((), bool))
    for epoch, value in enumerate(held.values(), start=1):
        yield exact(f"weight of epoch {epoch}", value, np.array(float(epoch)))


@contract(
    "model_checkpoint-best",
    thing="keras.callbacks.ModelCheckpoint",
    truth="With save_best_only the file holds the best epoch so far.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    for losses, best in ((SCRIPT[:4], 2), (SCRIPT, 5), (tuple(reversed(SCRIPT)), 8)):
        with tempfile.TemporaryDirectory() as folder:
            held = _checkpoints(lab, Path(folder), losses, "best.weights.h5", save_best_only=True)
        yield exact(f"best of {len(losses)} epochs", held["best.weights.h5"], np.array(float(best)))


@contract(
    "backup_and_restore",
    thing="keras.callbacks.BackupAndRestore",
    truth="After an interruption, fit goes on with the next epoch from the weights of the last one.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    class Interrupts(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            del logs
            if epoch == 3:
                raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as folder:
        backup = str(Path(folder) / "backup")
        model = scripted((1.0,))
        with contextlib.suppress(KeyboardInterrupt):
            played(model, [keras.callbacks.BackupAndRestore(backup), Interrupts()], epochs=5)
        yield exact("epochs before", lab.seen(model.played), np.array(3))
        again = scripted((1.0,))
        begun: list[float] = []
        watch = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: begun.append(weight_of(again)) if not begun else None
        )
        rest = played(again, [keras.callbacks.BackupAndRestore(backup), watch], epochs=5)
        yield exact("epochs after", lab.seen(rest), np.array(2))
        yield exact("weight at first", lab.seen(np.array(begun)), np.array([3.0]))


@contract(
    "terminate_on_nan",
    thing="keras.callbacks.TerminateOnNaN",
    truth="Stops within the epoch, after the batch whose loss is not a number or infinite.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    for value in (math.nan, math.inf):
        model = scripted((1.0, 1.0, 1.0, value, 1.0), batches=3, name="loss")
        played(model, [keras.callbacks.TerminateOnNaN()], epochs=3, batches=3)
        yield exact(f"batches until {value}", lab.seen(model.played), np.array(4))


@contract(
    "csv_logger",
    thing="keras.callbacks.CSVLogger",
    truth="Writes a line for each epoch with its number and loss; with append, below what is there.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        for append in (False, True):
            logger = keras.callbacks.CSVLogger(str(path), append=append)
            played(scripted(SCRIPT[:3]), [logger], epochs=3)
        rows = list(csv.DictReader(path.read_text().splitlines()))
    yield exact("epochs", lab.seen([int(row["epoch"]) for row in rows]), np.array([0, 1, 2] * 2))
    losses = lab.seen([float(row["score"]) for row in rows])
    yield exact("losses", losses, np.array(SCRIPT[:3] * 2))


@contract(
    "order-of-calls",
    thing="keras.callbacks.Callback",
    truth="Methods are called in the documented order, with the numbers of epochs and batches.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    calls: list[str] = []

    def note(call: str) -> Callable[..., None]:
        return lambda *given, **_: calls.append(
            call.format(*(n for n in given if isinstance(n, int)))
        )

    class Records(keras.callbacks.Callback):
        on_train_begin = staticmethod(note("train begin"))
        on_epoch_begin = staticmethod(note("epoch {} begin"))
        on_train_batch_begin = staticmethod(note("batch {} begin"))
        on_train_batch_end = staticmethod(note("batch {} end"))
        on_epoch_end = staticmethod(note("epoch {} end"))
        on_train_end = staticmethod(note("train end"))

    played(scripted((1.0,), batches=2), [Records()], epochs=2, batches=2)
    batches = [f"batch {batch} {when}" for batch in range(2) for when in ("begin", "end")]
    epochs = [
        call
        for epoch in range(2)
        for call in (f"epoch {epoch} begin", *batches, f"epoch {epoch} end")
    ]
    expected = ["train begin", *epochs, "train end"]
    if calls != expected:
        at = next(n for n in range(len(expected)) if calls[n : n + 1] != expected[n : n + 1])
        got = calls[at] if at < len(calls) else "nothing"
        yield Deviation(
            tensor=f"call {at}", excess=None, evidence=f"got {got}, expected {expected[at]}"
        )
    yield exact("number of calls", lab.seen(len(calls)), np.array(len(expected)))
