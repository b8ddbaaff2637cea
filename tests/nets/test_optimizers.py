"""Optimizers, clipping and losses against their formulas."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from bench.cells.cell import OPTIMIZERS, Cell
from bench.nets import optimizers
from bench.nets.optimizers import ClippedGradients

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)

U = 2.0**-24
SHAPES = [(784, 10), (10,), (10, 10), (10,)]
Arrays = Sequence[np.ndarray]


def variables(values: Arrays | None = None) -> list[tf.Variable]:
    """As Keras makes them, through a model."""
    inputs = tf.keras.Input((784,))
    model = tf.keras.Model(
        inputs, tf.keras.layers.Dense(10)(tf.keras.layers.Dense(10, activation="relu")(inputs))
    )
    found = list(model.trainable_variables)
    assert [tuple(variable.shape) for variable in found] == SHAPES
    for variable, value in zip(found, values or [], strict=False):
        variable.assign(value)
    return found


def gradients(*, size: float = 1.0, seed: int = 0) -> list[np.ndarray]:
    """Of global norm ``size``; the last bias' is 0, as where a layer is dead."""
    random = np.random.default_rng(seed)
    drawn = [random.normal(size=shape) for shape in SHAPES]
    drawn[-1][:] = 0
    norm = np.sqrt(sum(np.sum(array**2) for array in drawn))
    return [(array * size / norm).astype(np.float32) for array in drawn]


def clip(rule: str, threshold: float, arrays: Arrays) -> list[np.ndarray]:
    """Pascanu et al. 2013, in float64: per entry, per variable, over all variables."""
    wide = [array.astype(np.float64) for array in arrays]
    norms = [np.sqrt(np.sum(array**2)) for array in wide]
    if rule == "value":
        return [np.clip(array, -threshold, threshold) for array in wide]
    if rule == "global_norm":
        norms = [np.sqrt(sum(norm**2 for norm in norms))] * len(norms)
    return [
        array * min(1.0, threshold / norm if norm else 1.0)
        for array, norm in zip(wide, norms, strict=True)
    ]


CLIPPING = list(itertools.product(["value", "norm", "global_norm"], [0.01, 0.1, 1.5, 100.0]))

#: Of a float32 norm over 7,960 entries, and of quotient and product (Higham and Mary 2019, lambda
#: = 4; the root halves the error).
ROUNDING = 2 * np.sqrt(7960) * U + 3 * U


@pytest.mark.parametrize(("rule", "threshold"), CLIPPING)
def test_clipped_gradients_are_the_formulas(rule: str, threshold: float) -> None:
    """Above and below the threshold, whatever rule; a variable of zeros stays 0, not NaN."""
    before = gradients()
    look = ClippedGradients(Cell(clipping=f"{rule}_{threshold}"), variables())
    after = look([tf.constant(array) for array in before])
    expected = clip(rule, threshold, before)
    changed = any(not np.array_equal(a, b) for a, b in zip(before, expected, strict=True))
    # Global norm 1; the largest entry of 7,960 normals is about 4 / sqrt(7960) = .04.
    assert changed == (threshold < {"value": 0.04, "norm": 1.0, "global_norm": 1.0}[rule])
    for ours, theirs in zip(expected, after, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=ROUNDING if rule != "value" else U, atol=0)
    np.testing.assert_array_equal(after[-1], 0)


def test_clipped_gradients_can_be_asked_again() -> None:
    """The second answer knows nothing of the first."""
    look = ClippedGradients(Cell(clipping="norm_0.1"), variables())
    first, second = gradients(seed=1), gradients(seed=2)
    alone = ClippedGradients(Cell(clipping="norm_0.1"), variables())(second)
    look(first)
    for ours, theirs in zip(alone, look(second), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("rule", "threshold"), CLIPPING)
def test_a_step_moves_weights_by_rate_times_the_clipped_gradient(
    rule: str, threshold: float
) -> None:
    """So what ClippedGradients shows is what the optimizer of training applies."""
    cell = Cell(clipping=f"{rule}_{threshold}", learning_rate=0.25)
    start = [np.full(shape, 0.5, np.float32) for shape in SHAPES]
    moved = variables(start)
    before = [tf.constant(array) for array in gradients()]
    shown = ClippedGradients(cell, variables())(before)
    optimizers.optimizer(cell, moved).apply_gradients(zip(before, moved, strict=True))
    for variable, old, applied in zip(moved, start, shown, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old - np.float32(0.25) * applied)


def replay(cell: Cell, start: np.ndarray, steps: Arrays) -> np.ndarray:
    """SGD; with momentum .9 (Polyak 1964, as Sutskever et al. 2013 write it), and Nesterov's (their
    eq. 3 and 4 in Keras' variables, which look ahead); Adam (Kingma and Ba 2015, with the order of
    computation of their section 2 and Keras' epsilon 1e-7). Decay before each step (Loshchilov and
    Hutter 2019)."""
    weights = start.astype(np.float64)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step, gradient in enumerate(steps, start=1):
        wide = gradient.astype(np.float64)
        weights = weights * (1 - cell.learning_rate * cell.weight_decay)
        if cell.optimizer == "adam":
            first = 0.9 * first + 0.1 * wide
            second = 0.999 * second + 0.001 * wide**2
            rate = cell.learning_rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            weights = weights - rate * first / (np.sqrt(second) + 1e-7)
        else:
            kept = 0.0 if cell.optimizer == "sgd" else 0.9
            first = kept * first - cell.learning_rate * wide
            ahead = kept * first - cell.learning_rate * wide
            weights = weights + (ahead if cell.optimizer == "nesterov" else first)
    return weights


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adam"])
def test_optimizer_is_the_formulas(name: str, decay: float) -> None:
    """Six steps of given gradients. Each rounds the weights by u |w| and its own size by some 16 u, and
    with decay the weights by another 3 u |w|: a product of two numbers, one of weights, and a sum.
    Adam's size is off by more: beta_2 = .999 is rounded by u, so 1 - beta_2 by u / .001, of which
    half under each of two roots; and its size is at most (1 - .9) / sqrt(1 - .999) = 3.2 rates."""
    cell = Cell(optimizer=name, learning_rate=0.05, weight_decay=decay)
    steps = [gradients(size=float(size), seed=size) for size in range(1, 7)]
    start = [np.random.default_rng(9).normal(size=s).astype(np.float32) for s in SHAPES]
    moved = variables(start)
    optimizer = optimizers.optimizer(cell, moved)
    for step in steps:
        optimizer.apply_gradients(zip(map(tf.constant, step), moved, strict=True))
    for index, (variable, old) in enumerate(zip(moved, start, strict=True)):
        expected = replay(cell, old, [step[index] for step in steps])
        if name == "adam":
            way = 6 * 3.2 * cell.learning_rate * (1000 + 16) * U
        else:
            way = 6 * 16 * U * (np.abs(expected - old) + 1)
        each = 4 if decay else 1
        bound = 6 * each * U * np.maximum(np.abs(old), np.abs(expected)) + way
        assert np.all(np.abs(variable.numpy() - expected) <= bound)
        if index < 3:
            assert np.max(np.abs(expected - old)) > 100 * np.max(bound)


def present(name: str, **axes: Any) -> Cell:
    """A cell with this optimizer, or a skipped test where this Keras lacks it."""
    cell = Cell(optimizer=name, learning_rate=0.05, **axes)
    if optimizers.absent(cell):
        pytest.skip(optimizers.absent(cell))
    return cell


@pytest.mark.parametrize("clipping", ["none", "global_norm_0.1"])
@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_moves_every_variable(name: str, decay: float, clipping: str) -> None:
    """But for one whose gradient is 0; and Keras was told of decay and clipping."""
    cell = present(name, weight_decay=decay, clipping=clipping)
    moved = variables([np.full(shape, 0.5, np.float32) for shape in SHAPES])
    built = optimizers.optimizer(cell, moved)
    built.apply_gradients(zip(map(tf.constant, gradients()), moved, strict=True))
    for variable in moved[:-1]:
        assert np.all(np.isfinite(variable.numpy()))
        assert np.any(variable.numpy() != 0.5)
    config = built.get_config()
    assert config["global_clipnorm"] == (0.1 if clipping != "none" else None)
    own = 0.004 if name == "adamw" else None
    # Keras 2 writes False for none.
    assert (config["weight_decay"] or None) == (decay or own)


def test_optimizers_are_told_apart() -> None:
    """No two names stand for one formula: after three steps all weights differ."""
    names = [name for name in OPTIMIZERS if not optimizers.absent(Cell(optimizer=name))]
    ends = {}
    for name in names:
        moved = variables([np.full(shape, 0.5, np.float32) for shape in SHAPES])
        built = optimizers.optimizer(Cell(optimizer=name, learning_rate=0.05), moved)
        for seed in range(3):
            step = map(tf.constant, gradients(size=10.0**-seed, seed=seed))
            built.apply_gradients(zip(step, moved, strict=True))
        ends[name] = moved[0].numpy().tobytes()
    assert len(set(ends.values())) == len(names) >= 14


def test_adamw_is_adam_with_a_decay_of_its_own() -> None:
    """A weight decay of 0 leaves Keras' .004 (Loshchilov and Hutter 2019)."""
    ends = []
    for cell in (Cell(optimizer="adamw"), Cell(optimizer="adam", weight_decay=0.004)):
        moved = variables([np.full(shape, 0.5, np.float32) for shape in SHAPES])
        built = optimizers.optimizer(cell, moved)
        built.apply_gradients(zip(map(tf.constant, gradients()), moved, strict=True))
        ends.append(moved[0].numpy())
    np.testing.assert_array_equal(*ends)


def test_an_optimizer_that_this_keras_lacks(monkeypatch: pytest.MonkeyPatch, trainer: Any) -> None:
    """Is an outcome that says so, no crash, and has neither digest nor metrics."""
    other = SimpleNamespace(optimizers=SimpleNamespace(SGD=object()))
    monkeypatch.setattr(optimizers, "keras", other)
    monkeypatch.setattr(optimizers, "keras_version", lambda: "2.12.0")
    assert optimizers.absent(Cell()) == ""
    cell = Cell(optimizer="lamb", depth=1, width=4, steps=2)
    record = trainer.train(cell, 3)
    assert (record.outcome, record.absent) == ("absent", "Keras 2.12.0 has no optimizer Lamb")
    assert (record.cell, record.seed, record.crash) == (cell, 3, None)
    assert record.test_accuracy is None
    assert not record.digest
    with pytest.raises(LookupError, match=r"^Keras 2\.12\.0 has no optimizer Lamb$"):
        optimizers.optimizer(cell, variables())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_reset_forgets_earlier_steps(name: str) -> None:
    """Momenta and step counter go back, and the learning rate is the new one."""
    cell = present(name)
    start = [np.zeros(shape, np.float32) for shape in SHAPES]
    step = [tf.constant(array) for array in gradients()]
    used, fresh = variables(start), variables(start)
    optimizer = optimizers.optimizer(cell, used)
    snapshot = optimizers.snapshot(optimizer)
    optimizer.apply_gradients(zip(step, used, strict=True))
    optimizers.reset(optimizer, snapshot, 0.01)
    for variable, value in zip(used, start, strict=True):
        variable.assign(value)
    other = optimizers.optimizer(Cell(optimizer=name, learning_rate=0.01), fresh)
    for built, moved in ((optimizer, used), (other, fresh)):
        for _ in range(2):
            built.apply_gradients(zip(step, moved, strict=True))
    for ours, theirs in zip(fresh, used, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert np.any(fresh[0].numpy() != 0)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", ["crossentropy", "mse"])
def test_loss_is_the_formulas_in_the_cells_precision(name: str, precision: str) -> None:
    """The batch's mean; a double-precision cell loses nothing to float32."""
    random = np.random.default_rng(3)
    logits = random.normal(0, 3, (32, 10)).astype(precision)
    labels = random.integers(0, 10, 32).astype(np.int32)
    value = optimizers.loss(Cell(loss=name, precision=precision))(
        tf.constant(labels), tf.constant(logits)
    )
    wide = logits.astype(np.float64)
    shares = special.softmax(wide, axis=1)
    expected = {
        "crossentropy": np.mean(special.logsumexp(wide, axis=1) - wide[np.arange(32), labels]),
        "mse": np.mean((shares - np.eye(10)[labels]) ** 2),
    }[name]
    assert value.dtype == precision
    assert float(value) == pytest.approx(expected, rel=1e-14 if precision == "float64" else 64 * U)
