"""Replicas: the same bits twice, other bits where anything differs, and outcomes that are true."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.cell import Cell
from bench.measure.trajectory import from_bytes
from bench.nets import replica
from bench.nets.replica import Trainer

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)


def small(**axes: Any) -> Cell:
    return Cell(**{"depth": 2, "width": 16, "batch": 20, "steps": 12, **axes})


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The cells for which a graph was built."""
    built: list[Cell] = []
    original = replica.Graph.of

    def of(cell: Cell, images: Any) -> replica.Graph:
        built.append(cell)
        return original(cell, images)

    monkeypatch.setattr(replica.Graph, "of", of)
    return built


def test_a_replica_is_the_same_twice_and_in_any_order(
    data: Any, trainer: Trainer, compiled: list[Cell]
) -> None:
    """One trainer forwards, and a fresh one for each, give the same digests; all six differ."""
    jobs = [
        (cell, seed)
        for cell in (small(), small(optimizer="momentum", learning_rate=0.01), small(depth=1))
        for seed in (0, 1)
    ]
    forwards = {job: trainer.train(*job).digest for job in jobs}
    assert len(compiled) == 3
    backwards = {job: trainer.train(*job).digest for job in reversed(jobs)}
    assert len(compiled) == 5, "the last graph is kept"
    assert forwards == backwards
    assert len(set(forwards.values())) == len(jobs)
    job = jobs[3]
    assert Trainer(data, "cpu", "made-up").train(*job).digest == forwards[job]


SHARED = {
    "learning rate": small(learning_rate=0.03),
    "input scale": small(input_scale=0.5),
    "bias": small(bias=0.1),
    "initializer": small(initializer="uniform_0.05"),
    "steps": small(steps=30),
}


def test_what_is_fed_to_a_graph_reaches_it(
    data: Any, trainer: Trainer, compiled: list[Cell]
) -> None:
    """Five cells share the trace of a sixth, and each trains as in a trainer of its own."""
    digests = {"plain": trainer.train(small(), 0).digest}
    shared = {name: trainer.train(cell, 0) for name, cell in SHARED.items()}
    assert compiled == [small()]
    digests |= {name: record.digest for name, record in shared.items()}
    assert len(set(digests.values())) == 6
    for name, cell in SHARED.items():
        fresh = Trainer(data, "cpu", "made-up").train(cell, 0)
        assert fresh.digest == digests[name]
        assert (fresh.start, fresh.end) == (shared[name].start, shared[name].end)
    assert len(compiled) == 6
    assert trainer.train(small(), 0).digest == digests["plain"]


def test_one_trace_serves_all_seeds_and_cells(trainer: Trainer) -> None:
    """TensorFlow itself traces each function once: the Python of the step runs no more."""
    graph = trainer.graph(small())
    calls = []
    original = graph.network.model.call

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(*args, **kwargs)

    graph.network.model.call = call
    for cell in SHARED.values():
        trainer.train(cell, 1)
    assert trainer.graph(small()) is graph
    assert calls == []


def test_a_record_says_what_happened(data: Any, trainer: Trainer) -> None:
    """The fields of a sound replica, against what the images allow."""
    cell = small(steps=150, learning_rate=0.3)
    record = trainer.train(cell, 0)
    assert (record.cell, record.seed, record.outcome) == (cell, 0, "trained")
    assert (record.data, record.environment) == (data.fingerprint, "made-up")
    losses = from_bytes(record.trajectory)
    assert losses.shape == (150,)
    assert losses[0] == pytest.approx(math.log(10), abs=1.5)
    assert record.test_accuracy is not None
    assert record.test_accuracy > 0.5
    assert record.test_accuracy * 500 == pytest.approx(round(record.test_accuracy * 500), abs=1e-9)
    assert record.test_loss is not None
    assert record.test_loss < losses[0]
    assert record.start is not None
    assert record.end is not None
    assert record.start != record.end
    assert len(record.start.signal) == len(record.end.dead_units) == 2
    assert record.images_per_sec == pytest.approx(150 * 20 / record.training_sec)
    assert 0 < record.training_sec < record.total_sec


def test_the_trajectory_holds_the_first_200_losses(trainer: Trainer) -> None:
    """Of 230 steps."""
    assert from_bytes(trainer.train(small(steps=230), 0).trajectory).shape == (200,)


@pytest.mark.parametrize(
    ("cell", "step"),
    [
        # Weights of 1e13 give logits of about 1e13^3 x 100, beyond float32, before any step.
        (small(initializer="normal_10000000000000.0"), 0),
        # The first step moves weights by about 1e38 x .1: the second loss overflows.
        (small(learning_rate=1e38), 1),
        # The only step's loss is finite, what it leaves behind is not.
        (small(learning_rate=1e38, steps=1), 1),
    ],
    ids=["at once", "after a step", "after the last step"],
)
def test_a_loss_that_is_not_finite_is_an_outcome(trainer: Trainer, cell: Cell, step: int) -> None:
    """With its step, and without numbers that mean nothing."""
    record = trainer.train(cell, 0)
    assert (record.outcome, record.diverged_step) == ("diverged", step)
    assert (record.test_accuracy, record.test_loss, record.end) == (None, None, None)
    losses = from_bytes(record.trajectory)
    assert np.all(np.isfinite(losses[:step]))
    assert not np.any(np.isfinite(losses[step : step + 1]))
    assert record.digest
    assert trainer.train(cell, 0).digest == record.digest
    assert trainer.train(small(steps=cell.steps), 0).outcome == "trained"


def test_zero_weights_move_the_output_bias_alone(data: Any, trainer: Trainer) -> None:
    """Every kernel gradient stays exactly 0, and the accuracy is the share of one class."""
    record = trainer.train(small(initializer="zeros", steps=50), 0)
    assert record.start is not None
    assert record.end is not None
    assert record.start.kernel_gradient_peak == record.end.kernel_gradient_peak == 0.0
    assert record.start.gradient_norm
    assert record.test_accuracy in np.bincount(data.test_labels) / 500
    assert record.start.dead_units == [1.0, 1.0]


AXES = {
    "residual": small(depth=12, architecture="residual", normalization="batch"),
    "scaled": small(depth=12, architecture="residual", branch="scaled"),
    "float64": small(precision="float64"),
    "bfloat16": small(precision="mixed_bfloat16"),
    "mse": small(loss="mse"),
    "layer norm": small(normalization="layer"),
    "dropout": small(dropout=0.5),
    "clipped": small(clipping="global_norm_0.1"),
    "regression": small(depth=0),
    "cnn": Cell(architecture="cnn", batch=4, steps=2, initializer="truncated_normal_0.1"),
}


@pytest.mark.parametrize("cell", AXES.values(), ids=list(AXES))
def test_every_axis_trains_and_is_reproducible(cell: Cell, trainer: Trainer) -> None:
    """Twice the same bits, one number per hidden layer, another seed other bits."""
    record = trainer.train(cell, 0)
    assert record.outcome == "trained"
    assert record.start is not None
    for values in (record.start.signal, record.start.kernel_gradient, record.start.dead_units):
        assert len(values) == cell.depth
        assert all(value is not None and value >= 0 for value in values)
    assert trainer.train(cell, 0).digest == record.digest
    assert trainer.train(cell, 1).digest != record.digest


def test_clipping_is_seen_as_applied(trainer: Trainer) -> None:
    """Norms before and after, and how far they lie apart."""
    start = trainer.train(AXES["clipped"], 0).start
    assert start is not None
    assert start.gradient_norm is not None
    assert start.gradient_norm > 0.2
    assert start.clipped_norm == pytest.approx(0.1, rel=1e-5)
    assert start.clip_error == pytest.approx(1 - 0.1 / start.gradient_norm, rel=1e-4)


@pytest.mark.parametrize("initializer", ["he_normal", "normal_0.47"])
def test_thresholds_of_the_clipping_grid_lie_on_both_sides(
    initializer: str, trainer: Trainer
) -> None:
    """A norm of .1 is below any network's gradient; 100 is above a sound one's; entries of 1e-4
    are below either's largest and 100 above a sound one's."""
    record = trainer.train(Cell(initializer=initializer, steps=1, learning_rate=1e-9), 0)
    assert record.start is not None
    norm, peak = record.start.gradient_norm, record.start.clipped_peak
    assert norm is not None
    assert peak is not None
    assert norm > 0.1
    assert peak > 1e-4
    if initializer == "he_normal":
        assert norm < 100
        assert peak < 100


@pytest.mark.parametrize("work", ["training", "inference"])
@pytest.mark.parametrize("engine", ["in_graph", "function", "eager", "xla", "fit"])
def test_a_burst_takes_time_and_disturbs_nothing(trainer: Trainer, engine: str, work: str) -> None:
    """Positive seconds, first and later; training between and after bursts gives the same digest."""
    cell = small(engine=engine, steps=3)
    digest = trainer.train(cell, 0).digest
    for _ in range(2):
        assert trainer.burst(cell, work=work, steps=2) > 0
        assert trainer.burst(cell, work=work, steps=2) > 0
        assert trainer.train(cell, 0).digest == digest


def test_forgetting_builds_anew(trainer: Trainer, compiled: list[Cell]) -> None:
    """After a failure that may have left a graph half built."""
    digest = trainer.train(small(), 0).digest
    trainer.forget()
    assert trainer.train(small(), 0).digest == digest
    assert compiled == [small(), small()]


def test_a_digest_sees_what_no_training_loss_shows(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another momentum of batch normalization's moving statistics leaves every loss as it was, and
    changes only what inference does."""
    cell = small(normalization="batch")
    before = Trainer(data, "cpu", "class").train(cell, 0)
    layer = tf.keras.layers.BatchNormalization
    monkeypatch.setattr(
        tf.keras.layers, "BatchNormalization", lambda **options: layer(momentum=0.5, **options)
    )
    after = Trainer(data, "cpu", "class").train(cell, 0)
    assert after.trajectory == before.trajectory
    assert after.digest != before.digest
