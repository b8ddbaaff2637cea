"""Execution: ways to run a step and to give data, which all train the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

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
