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
from bench.theory.rounding.deviation import deviation

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
