"""Execution: ways to run a step and to give data, which all train the same."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import (
    BATCH,
    RATE,
    SAMPLES,
    SHAPES,
    Array,
    Replay,
    batches,
    built,
    data,
    drawn,
    mean,
    over,
    weights_of,
)
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("execution")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

# --- Ways to execute


def _steps_per_execution(steps: int) -> None:
    @contract(
        f"fit-steps_per_execution:{steps}",
        thing="keras.Model.compile",
        truth="Several steps in one execution train as one at a time, also where data end inside.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x, y = data(SAMPLES)
        model, replay = built(steps_per_execution=steps), Replay()
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        for epoch, got in enumerate(history.get("loss", [np.nan, np.nan])):
            truth = mean(list(replay.epoch(x, y, 4)))
            yield deviation(f"epoch {epoch}, loss", lab.seen(got), truth)
        yield from weights_of(lab, model, replay)
        got = model.evaluate(x, y, batch_size=4, verbose=0)
        yield deviation("evaluate", lab.seen(got), over(replay.losses(x, y)))
        got = model.predict(x, batch_size=4, verbose=0)
        yield deviation("predict", lab.seen(got), replay.predict(x))


for _steps in (1, 3, 32):
    _steps_per_execution(_steps)


def _compiled(name: str, **compilation: Any) -> None:
    @contract(
        f"fit-{name}",
        thing="keras.Model.compile",
        truth="However a step is executed, it trains the same up to rounding.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x, y = data(SAMPLES)
        model, replay = built(**compilation), Replay()
        got = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"]
        truth = mean(list(replay.epoch(x, y, BATCH)))
        yield deviation("loss", lab.seen(got), truth.reshape(1))
        yield from weights_of(lab, model, replay)


_compiled("run_eagerly:true", run_eagerly=True)
_compiled("jit_compile:false", jit_compile=False)
_compiled("jit_compile:true", jit_compile=True)


# --- Ways to give data


def _given(kind: str, x: Array, y: Array) -> Any:
    """The data in batches, in order, as one of the things that ``fit`` takes."""
    from bench.nets.api import keras, tf

    parts = [(x[part], y[part]) for part in batches(len(x), BATCH)]
    if kind == "tf_data":
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    if kind == "generator":
        return (part for part in parts)
    base = getattr(keras.utils, "PyDataset", None) or keras.utils.Sequence

    class Batches(base):  # type: ignore[misc, valid-type]
        def __len__(self) -> int:
            return len(parts)

        def __getitem__(self, index: int) -> tuple[Array, Array]:
            return parts[index]

    return Batches()


def _from(kind: str) -> None:
    @contract(
        f"fit-data:{kind}",
        thing="keras.Model.fit",
        truth="Whatever data come in, the same batches train the same.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x, y = data(SAMPLES)
        model, replay = built(), Replay()
        got = model.fit(_given(kind, x, y), shuffle=False, verbose=0).history["loss"]
        truth = mean(list(replay.epoch(x, y, BATCH)))
        yield deviation("loss", lab.seen(got), truth.reshape(1))
        yield from weights_of(lab, model, replay)
        got = model.evaluate(_given(kind, x, y), verbose=0)
        yield deviation("evaluate", lab.seen(got), over(replay.losses(x, y)))
        got = model.predict(_given(kind, x, y), verbose=0)
        yield deviation("predict", lab.seen(got), replay.predict(x))


for _kind in ("tf_data", "generator", "py_dataset"):
    _from(_kind)


# --- Datasets as they come


@contract(
    "dataset-of_unknown_size",
    thing="keras.Model.fit",
    truth="A dataset of which nobody knows the size is read to its end in every epoch and validation.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, y = data(SAMPLES)
    parts = batches(len(x), BATCH)
    kinds = tuple(tf.TensorSpec((None, each.shape[1]), tf.float32) for each in (x, y))
    dataset = tf.data.Dataset.from_generator(
        lambda: ((x[part], y[part]) for part in parts), output_signature=kinds
    )
    model, replay = built(), Replay()
    told = model.fit(dataset, epochs=3, validation_data=dataset, verbose=0).history
    for epoch in range(3):
        truth = mean(list(replay.epoch(x, y, BATCH)))
        yield deviation(f"epoch {epoch}, loss", lab.seen(told["loss"][epoch]), truth)
        truth = over(replay.losses(x, y))
        yield deviation(f"epoch {epoch}, validation loss", lab.seen(told["val_loss"][epoch]), truth)
    yield from weights_of(lab, model, replay)


@contract(
    "steps-evaluate-predict",
    thing="keras.Model.predict",
    truth="steps is how many batches of a dataset are evaluated or predicted; of pairs, predict takes"
    " the inputs alone.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    pairs = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    inputs = tf.data.Dataset.from_tensor_slices(x).batch(BATCH)
    some = slice(2 * BATCH)
    got = model.evaluate(pairs, steps=2, verbose=0)
    yield deviation("evaluate", lab.seen(got), over(replay.losses(x[some], y[some])))
    for what, given in (("pairs", pairs), ("inputs", inputs)):
        got = model.predict(given, verbose=0)
        yield deviation(f"predict, {what}", lab.seen(got), replay.predict(x))
        got = model.predict(given, steps=2, verbose=0)
        yield deviation(f"predict, {what}, two steps", lab.seen(got), replay.predict(x[some]))


@contract(
    "predict-lengths",
    thing="keras.Model.predict",
    truth="Batches whose sequences differ in length are predicted one behind the other.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    inputs = keras.Input((None, 1))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(inputs))
    lengths = (2, 5, 3)
    got = model.predict(((np.full((2, n, 1), n, np.float32),) for n in lengths), verbose=0)
    yield exact("outputs", lab.seen(got)[:, 0], np.repeat(lengths, 2))


@contract(
    "dataset-shuffle",
    thing="tf.data.Dataset.shuffle",
    truth="Every pass has every element once, in another order, or in the same one where that is asked"
    " for; a seed gives the same passes again.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    def passes(**options: Any) -> list[Array]:
        dataset = tf.data.Dataset.range(40).shuffle(40, **options)
        return [np.array(list(dataset.as_numpy_iterator())) for _ in range(2)]

    anew = passes(seed=3)
    for at, order in enumerate(anew):
        yield exact(f"elements of pass {at}", np.sort(lab.seen(order)), np.arange(40))
    # Two orders of 40 are the same once in 10^47.
    yield exact("another order", np.array((anew[0] != anew[1]).any()), np.ones((), bool))
    for at, (order, again) in enumerate(zip(anew, passes(seed=3), strict=True)):
        yield exact(f"the same seed, pass {at}", again, order)
    once = passes(seed=3, reshuffle_each_iteration=False)
    yield exact("not shuffled anew", lab.seen(once[1]), once[0])


@contract(
    "dataset-operations",
    thing="tf.data.Dataset",
    truth="Batches, windows, padding, caches, parallel maps and interleaved parts keep every element"
    " and its place.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    tuned, count = tf.data.AUTOTUNE, tf.data.Dataset.range(10)
    windows = count.window(4, shift=3, drop_remainder=True).flat_map(lambda part: part.batch(4))
    padded = tf.data.Dataset.range(1, 4).map(lambda n: tf.range(n)).padded_batch(3)
    mixed = tf.data.Dataset.range(3).interleave(
        lambda n: tf.data.Dataset.from_tensors(n).repeat(2), cycle_length=3
    )
    mapped = count.map(lambda n: n * n, num_parallel_calls=tuned).cache().prefetch(tuned)
    for name, dataset, truth in (
        ("windows", windows, np.arange(4) + 3 * np.arange(3)[:, None]),
        ("padded", padded, [[[0, 0, 0], [0, 1, 0], [0, 1, 2]]]),
        ("interleaved", mixed, [0, 1, 2, 0, 1, 2]),
        ("mapped", mapped, np.arange(10) ** 2),
        ("mapped again", mapped, np.arange(10) ** 2),
        ("whole batches", count.batch(4, drop_remainder=True), np.arange(8).reshape(2, 4)),
        ("parts", count.skip(2).take(5).shard(2, 1), [3, 5]),
    ):
        got = np.array(list(dataset.as_numpy_iterator()))
        yield exact(name, lab.seen(got), np.array(truth))


# --- Several devices

#: Trains on two devices, which are made of one processor, and prints what came of it.
MIRRORED = """
import json, os, sys
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import numpy as np
import tensorflow as tf
given = np.load(sys.argv[1])
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    penalty = tf.keras.regularizers.L2(float(given["penalty"]))
    inputs = tf.keras.Input((given["x"].shape[1],))
    dense = tf.keras.layers.Dense(given["y"].shape[1], kernel_regularizer=penalty)
    model = tf.keras.Model(inputs, dense(inputs))
    model.set_weights([given["kernel"], given["bias"]])
    model.compile(tf.keras.optimizers.SGD(float(given["rate"])), "mse")
data = tf.data.Dataset.from_tensor_slices((given["x"], given["y"])).batch(int(given["batch"]))
told = model.fit(data, epochs=2, verbose=0).history["loss"]
result = {"losses": told, "evaluate": model.evaluate(data, verbose=0)}
result["kernel"], result["bias"] = (weight.tolist() for weight in model.get_weights())
print(json.dumps(result))
"""


#: Importing TensorFlow and training takes 8 s on an idle core.
_PATIENCE_SEC = 120.0


@contract(
    "fit-strategy:mirrored",
    thing="tf.distribute.MirroredStrategy",
    truth="Two devices train as one does on the whole batch, a regularizer's penalty counted once.",
    tier="standard",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(2 * BATCH)
    replay, penalty = Replay(), 0.125
    given: dict[str, Any] = {"x": x, "y": y, "rate": RATE, "batch": BATCH, "penalty": penalty}
    given |= {name: drawn(name, *shape) for name, shape in SHAPES.items()}
    with tempfile.TemporaryDirectory(prefix="bench-contract-") as folder:
        file = Path(folder, "given.npz")
        np.savez(file, **given)
        command = [sys.executable, "-c", MIRRORED, str(file)]
        try:
            done = subprocess.run(
                command, capture_output=True, check=False, text=True, timeout=_PATIENCE_SEC
            )
        except subprocess.TimeoutExpired:
            evidence = f"the process did not end within {_PATIENCE_SEC:.0f} s"
            yield Deviation(tensor="exit status", excess=None, evidence=evidence)
            return
    if done.returncode:
        evidence = " ".join([f"status {done.returncode}:", *done.stderr.splitlines()[-1:]])
        yield Deviation(tensor="exit status", excess=None, evidence=evidence)
        return
    told = json.loads(done.stdout.splitlines()[-1])
    for epoch, got in enumerate(told["losses"]):
        losses = []
        for part in batches(len(x), BATCH):
            kernel = replay.kernel
            losses.append(
                (replay.loss(x[part], y[part]) + np.square(kernel).sum() * penalty, BATCH)
            )
            replay.step(x[part], y[part])
            replay.kernel = replay.kernel - kernel * (2.0 * penalty * RATE)
        yield deviation(f"epoch {epoch}, loss", lab.seen(got), mean(losses))
    yield deviation("kernel", lab.seen(np.array(told["kernel"], np.float32)), replay.kernel)
    yield deviation("bias", lab.seen(np.array(told["bias"], np.float32)), replay.bias)
    truth = replay.loss(x, y) + np.square(replay.kernel).sum() * penalty
    yield deviation("evaluate", lab.seen(told["evaluate"]), truth)
