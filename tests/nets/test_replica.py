"""Replicas: the same bits twice, other bits where anything differs, and outcomes that are true."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.cells import initial_values
from bench.cells.cell import ENGINES, Cell
from bench.measure.tensors import TEST_LOGITS, distance, fingerprints
from bench.measure.trajectory import from_bytes, marks
from bench.nets import replica
from bench.nets.replica import Trainer
from bench.results.copy_result import Copy, CopyResult
from bench.results.record import VALUES, Record

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

    def of(cell: Cell, *arguments: Any) -> replica.Graph:
        built.append(cell)
        return original(cell, *arguments)

    monkeypatch.setattr(replica.Graph, "of", of)
    return built


def both(cell: Cell, trainer: Trainer, number: int = 0, seed: int = 0) -> tuple[Record, CopyResult]:
    """A replica and one of its copies."""
    return trainer.train(cell, seed), trainer.copy(Copy(cell=cell, seed=seed, number=number))


def test_a_replica_is_the_same_twice_and_in_any_order(
    data: Any, fresh_trainer: Trainer, compiled: list[Cell]
) -> None:
    """One trainer forwards, backwards, and a fresh one give the same digests; all four differ."""
    cells = (small(), small(depth=1, optimizer="momentum", learning_rate=0.01))
    jobs = [(cell, seed) for cell in cells for seed in (0, 1)]
    forwards = {job: fresh_trainer.train(*job).digest for job in jobs}
    assert len(compiled) == 2
    backwards = {job: fresh_trainer.train(*job).digest for job in reversed(jobs)}
    assert len(compiled) == 3, "the last graph is kept"
    assert forwards == backwards
    assert len(set(forwards.values())) == len(jobs)
    job = jobs[1]
    assert Trainer(data, "cpu", "made-up").train(*job).digest == forwards[job]


def test_cells_that_step_otherwise_share_their_network(data: Any, trainer: Trainer) -> None:
    """Another network, and another loss, is built anew; whatever is shared, the digest is the same."""
    steps = [
        small(),
        small(optimizer="adam", learning_rate=0.001, clipping="norm_0.1"),
        small(batch=10, weight_decay=0.01),
    ]
    others = [small(loss="mse"), small(activation="tanh"), small(engine="eager")]
    digests, networks = [], []
    for cell in [*steps, *others]:
        digests.append(trainer.train(cell, 0).digest)
        networks.append(trainer.graph(cell).network)
    assert networks[0] is networks[1] is networks[2]
    assert len(set(map(id, networks))) == 4
    for cell, digest in zip(steps[1:], digests[1:], strict=False):
        assert Trainer(data, "cpu", "made-up").train(cell, 0).digest == digest


SHARED = {
    "learning rate": small(learning_rate=0.03),
    "input scale": small(input_scale=0.5),
    "bias": small(bias=0.1),
    "initializer": small(initializer="uniform_0.05"),
    "steps": small(steps=30),
}
#: Differs from a small cell in all of these.
UNLIKE = small(learning_rate=0.1, input_scale=2.0, bias=-0.1, initializer="glorot_normal", steps=9)


def test_what_is_fed_to_a_graph_reaches_it(
    data: Any, fresh_trainer: Trainer, compiled: list[Cell]
) -> None:
    """Cells share the trace of another one, and train as on that of a third, which has no value in
    common with it: none is fixed by a trace."""
    trainers = (fresh_trainer, Trainer(data, "cpu", "made-up"))
    traced = (small(), UNLIKE)
    for trainer, cell in zip(trainers, traced, strict=True):
        trainer.train(cell, 0)
    digests = set()
    for cell in (*traced, *SHARED.values()):
        one, other = (trainer.train(cell, 0) for trainer in trainers)
        assert one.digest == other.digest
        assert (one.start, one.end) == (other.start, other.end)
        digests.add(one.digest)
    assert len(digests) == 7
    assert compiled == list(traced)


def test_one_trace_serves_all_seeds_and_cells(fresh_trainer: Trainer) -> None:
    """TensorFlow itself traces each function once: the Python of the step runs no more."""
    trainer = fresh_trainer
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


def test_the_trajectory_holds_all_losses_and_states_are_marked(trainer: Trainer) -> None:
    """Of 230 steps; a hash of all variables before each mark, each another one."""
    record = trainer.train(small(steps=230), 0)
    assert from_bytes(record.trajectory).shape == (230,)
    states = np.frombuffer(record.states, "<u4")
    assert len(states) == len(set(states)) == len(marks(230))


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
    "residual": small(depth=4, architecture="residual", normalization="batch"),
    "scaled": small(depth=4, architecture="residual", branch="scaled"),
    "batch norm": small(depth=1, normalization="batch"),
    "float64": small(precision="float64"),
    "bfloat16": small(precision="mixed_bfloat16"),
    "mse": small(loss="mse"),
    "layer norm": small(normalization="layer"),
    "dropout": small(dropout=0.5),
    "clipped": small(clipping="global_norm_0.1"),
    "regression": small(depth=0),
    "cnn": Cell(
        architecture="cnn", filters=8, batch=4, steps=2, initializer="truncated_normal_0.1"
    ),
}


@pytest.mark.parametrize("cell", AXES.values(), ids=list(AXES))
def test_every_axis_trains_and_is_reproducible(
    cell: Cell, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One number per hidden layer, another seed other bits. A copy has the tensors of its replica. A
    replica that is looked at before its first step alone has the same bits, so the same losses and
    variables: neither copies nor looks in between leave a trace."""
    record, copy = both(cell, trainer)
    assert record.outcome == "trained"
    assert record.start is not None
    for values in (record.start.signal, record.start.kernel_gradient, record.start.dead_units):
        assert len(values) == cell.depth
        assert all(value is not None and value >= 0 for value in values)
    assert copy.crash is None
    assert record.tensors is not None
    assert copy.tensors is not None
    assert distance(record.tensors, copy.tensors).any()
    assert len(copy.trajectory) == len(record.trajectory)
    assert trainer.train(cell, 1).digest != record.digest
    monkeypatch.setattr(replica, "STEPS", (0,))
    assert trainer.train(cell, 0).digest == record.digest


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


@pytest.mark.parametrize("engine", ENGINES)
def test_a_burst_takes_time_and_disturbs_nothing(trainer: Trainer, engine: str) -> None:
    """Positive seconds, first and later; training between and after bursts gives the same digest."""
    cell = small(engine=engine, steps=4)
    digest = trainer.train(cell, 0).digest
    for work in ("training", "inference", "training"):
        assert trainer.burst(cell, work=work, steps=2) > 0
        assert trainer.burst(cell, work=work, steps=2) > 0
        assert trainer.train(cell, 0).digest == digest


def test_forgetting_builds_anew(fresh_trainer: Trainer, compiled: list[Cell]) -> None:
    """After a failure that may have left a graph half built."""
    digest = fresh_trainer.train(small(), 0).digest
    fresh_trainer.forget()
    assert fresh_trainer.train(small(), 0).digest == digest
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


# Copies and fingerprints


@pytest.mark.parametrize(
    ("precision", "digits"), [("float32", 24), ("float64", 53), ("mixed_bfloat16", 8)]
)
def test_a_copy_moves_every_weight_by_one_unit_in_the_last_place(
    trainer: Trainer, precision: str, digits: int
) -> None:
    """Up or down, about as often, of the format that the hidden layers compute in; what is zero has
    no last place. Another number, seed, step or variable draws other moves."""
    cell = small(precision=precision)
    graph = trainer.graph(cell)
    variables = graph.network.model.trainable_variables

    def moved(number: int = 0, seed: int = 0, step: int = 0) -> list[np.ndarray]:
        graph.network.reset(cell, 0)
        before = [v.numpy().astype(float) for v in variables]
        graph.move(Copy(cell=cell, seed=seed, number=number), step, digits)
        after = [v.numpy().astype(float) for v in variables]
        units = [np.ldexp(1.0, np.frexp(b)[1] - digits) for b in before]
        return [
            np.where(b == 0, 0, (a - b) / u) for a, b, u in zip(after, before, units, strict=True)
        ]

    found = moved()
    for variable, signs in zip(variables, found, strict=True):
        if np.any(variable.numpy() != 0):
            # Where a sum reaches the next power of 2, float32 rounds it by half of its own unit.
            own = 0.0 if precision != "mixed_bfloat16" else 2.0 ** (digits - 24)
            np.testing.assert_allclose(np.abs(signs), 1, rtol=0, atol=own)
            assert abs(signs.mean()) < 4 / math.sqrt(signs.size)  # four standard deviations
        else:
            assert not signs.any(), "biases start at zero"
    kernels = [signs for signs in found if signs.ndim == 2]
    assert len(kernels) == 3
    for others in (moved(number=1), moved(seed=1), moved(step=1)):
        for signs, other in zip(kernels, [s for s in others if s.ndim == 2], strict=True):
            assert abs(np.mean(signs * other)) < 4 / math.sqrt(signs.size)
    for again, signs in zip(moved(), found, strict=True):
        np.testing.assert_array_equal(again, signs)


def test_a_copy_parts_by_rounding_and_is_the_same_twice(trainer: Trainer) -> None:
    """Its losses begin within a few units in the last place of the replica's, and go on apart; the
    next replica is not disturbed."""
    cell = small(steps=30)
    replica, copy = both(cell, trainer)
    assert copy.crash is None
    apart = np.abs(from_bytes(copy.trajectory) - from_bytes(replica.trajectory))
    # A loss of 2.3 moves by a random sum over the weights: below 20 units of 2^-23 x 2.
    assert apart.max() > 0
    assert apart[0] < 20 * 2.0**-22
    other = trainer.copy(Copy(cell=cell, seed=0, number=1))
    again = trainer.copy(Copy(cell=cell, seed=0, number=0))
    assert again.trajectory == copy.trajectory != other.trajectory
    assert again.tensors == copy.tensors != other.tensors
    assert trainer.train(cell, 0).digest == replica.digest


@pytest.mark.parametrize("moved_at", [0, 1, 7, 11, 12])
def test_a_copy_is_its_replica_up_to_where_it_is_moved(trainer: Trainer, moved_at: int) -> None:
    """And not beyond: in the variables at the end, and in the test images' logits. It is trained and
    evaluated as long as that."""
    cell = small(steps=12)
    replica = trainer.train(cell, 0)
    copy = trainer.copy(Copy(cell=cell, seed=0, number=0, moved_at=moved_at))
    losses, moved = from_bytes(replica.trajectory), from_bytes(copy.trajectory)
    np.testing.assert_array_equal(moved[:moved_at], losses[:moved_at])
    assert len(moved) == 12
    assert replica.ends is not None
    assert copy.ends is not None
    before, after = distance(replica.ends, copy.ends)
    assert before.any() == (moved_at == 0)
    assert dict(zip(copy.ends.names, before, strict=True))[TEST_LOGITS] > 0 or moved_at
    assert after.all()
    assert after.max() < 1e-4
    assert copy.test_loss == pytest.approx(replica.test_loss, rel=1e-4)
    assert copy.end is not None


def test_zero_weights_are_moved_once_they_are_no_longer_zero(trainer: Trainer) -> None:
    """Nothing has a last place before the first step; after it the output bias has, and parts."""
    replica, copy = both(small(initializer="zeros"), trainer)
    losses, moved = from_bytes(replica.trajectory), from_bytes(copy.trajectory)
    assert losses[0] == moved[0]
    assert replica.tensors is not None
    assert copy.tensors is not None
    names = replica.tensors.names
    apart = distance(replica.tensors, copy.tensors)
    assert not apart[0].any()
    assert 0 < apart[1, names.index("output layer, bias")] < 1e-6
    assert not apart[:, names.index("layer 1, kernel")].any()


def test_fingerprints_are_taken_of_every_tensor_in_order(trainer: Trainer) -> None:
    """Variables, forward, backward; before steps 0, 1, 10 and 100 as far as there are steps."""
    found = trainer.train(small(depth=1, steps=11), 0).tensors
    assert found is not None
    assert found.names == [
        *("layer 1, kernel", "layer 1, bias", "output layer, kernel", "output layer, bias"),
        *("layer 1, activation", "logits"),
        *("output layer, bias, gradient", "output layer, kernel, gradient"),
        *("layer 1, bias, gradient", "layer 1, kernel, gradient"),
        "layer 1, kernel output, gradient",
    ]
    assert found.steps == [0, 1, 10]
    assert trainer.train(small(depth=1, steps=10), 0).tensors.steps == [0, 1]  # type: ignore[union-attr]
    batch = trainer.train(small(depth=1, normalization="batch"), 0).tensors
    assert batch is not None
    assert [name for name in batch.names if "moving" in name or "inference" in name] == [
        *("layer 1, moving mean", "layer 1, moving variance", "logits in inference")
    ]
    assert "layer 1, normalized" in batch.names


def test_fingerprints_are_those_of_the_variables(trainer: Trainer) -> None:
    """Before the first step: of what NumPy drew, worked out here."""
    cell = small()
    found = trainer.train(cell, 3).tensors
    assert found is not None
    kernel = initial_values.kernel("he_normal", (784, 16), seed=3, layer=0).astype(np.float32)
    expected = fingerprints({0: {"layer 1, kernel": kernel}})
    at = found.names.index("layer 1, kernel")
    assert found.hashes[4 * at : 4 * at + 4] == expected.hashes
    size = 4 * VALUES
    assert found.values[size * at : size * (at + 1)] == expected.values
