"""Work beside training: models that are built and dropped, gradients over sequences; faults planted."""

from __future__ import annotations

import functools
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from bench.cells.cell import Cell
from bench.execution.pacing import measure_pace
from bench.execution.trainer import Trainers
from bench.nets.replica import Trainer
from bench.results.pace import Pace, PaceResult
from bench.results.timings import Work, Workload
from support import kernels_of_sequences


@pytest.fixture
def trainers(trainer: Trainer) -> Trainers:
    return Trainers(trainer, "")


def paced(trainers: Trainers, work: Work, *, steps: int = 1, blocks: int = 6) -> PaceResult:
    cell = Cell(depth=2, width=10, engine="eager" if work == "models" else "in_graph")
    trainers.forget()
    burst = functools.partial(trainers.burst, cell, work)
    return measure_pace(Pace(workload=Workload(cell, work), steps=steps), burst, blocks=blocks)


def test_a_leak_of_a_mebibyte_per_model_is_found(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever this Keras leaves behind by itself: the difference is what is planted."""
    before = paced(trainers, "models").growth_bytes
    kept: list[bytearray] = []
    build: Any = tf.keras.layers.Dense.__init__

    def leaking(self: Any, units: int, *args: Any, **kwargs: Any) -> None:
        if units == 10 and not getattr(self, "leaked", False):
            kept.append(bytearray(1 << 19))  # two such layers a model
        build(self, units, *args, **kwargs)

    monkeypatch.setattr(tf.keras.layers.Dense, "__init__", leaking)
    found = paced(trainers, "models")
    models = len(kept) / 2 / (2 + 2 * 6)
    assert models >= 1
    assert found.growth_bytes - before == pytest.approx(models * 2**20, rel=0.1)
    assert found.growth_bytes - before > 5 * found.growth_slack


def test_a_kernel_for_each_sequence_is_found(preloaded_python: str) -> None:
    """In a process of its own: TensorFlow's allocator keeps large buffers that were freed, and what is
    taken from these is no peak."""
    program = [preloaded_python, kernels_of_sequences.__file__]
    tests = str(Path(kernels_of_sequences.__file__).parents[1])
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    output = subprocess.check_output(program, env={**os.environ, "PYTHONPATH": path}, text=True)
    sound, wasteful = map(int, output.split())
    assert wasteful - sound > 48 * 2**20


@pytest.mark.parametrize("work", ["training", "inference"])
def test_every_pace_of_the_tiers_has_all_quantities(trainers: Trainers, work: Work) -> None:
    found = paced(trainers, work, steps=2, blocks=1)
    assert set(found.values) >= {"step", "first", "growth"}
    assert found.step_sec > 0


def test_a_burst_of_epochs_is_one_fit_of_two_batches_each(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what an epoch costs beside its steps is part of its time."""
    cell = Cell(depth=2, width=10, engine="fit")
    fits: list[tuple[int, int]] = []
    fit: Any = tf.keras.Model.fit

    def slow(self: Any, x: Any, *args: Any, epochs: int, **kwargs: Any) -> Any:
        fits.append((len(x), epochs))
        time.sleep(0.2)
        return fit(self, x, *args, epochs=epochs, **kwargs)

    trainers.burst(cell, "epochs", 1)
    monkeypatch.setattr(tf.keras.Model, "fit", slow)
    assert trainers.burst(cell, "epochs", 3) > 0.2
    assert fits == [(2 * cell.batch, 3)]
