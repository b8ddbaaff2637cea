"""Faults planted in TensorFlow and Keras leave the rounding envelope, and the tensor in which they
begin is named; what differs by rounding alone stays inside. Real networks, small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import tensorflow as tf

import bench.cells.keras_arguments
from bench.cells.cell import Cell
from bench.nets.replica import Trainer
from bench.results.copy_result import Copy
from bench.verdict.differences import Differences
from bench.verdict.envelope import describe, examine, risk
from bench.verdict.judgement import EnvelopeTest
from bench.verdict.traces import Seed, Trace, equal_until

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)

keras = tf.keras
SEEDS = (0, 1, 2)
COPIES = 2


def small(**axes: Any) -> Cell:
    """Twelve steps: looked at before steps 0, 1 and 10."""
    return Cell(**{"depth": 2, "width": 16, "batch": 20, "steps": 12, **axes})


class Lab:
    """Trains sound replicas and copies once, on TensorFlow as it is without a fault."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self._trainer = Trainer(data, "cpu", "made-up")
        self._replicas: dict[Cell, list[Trace]] = {}
        self._copies: dict[Copy, Trace] = {}

    def trained(self, cell: Cell) -> list[Trace]:
        """By seed, on TensorFlow as it is now, which may have a fault."""
        trainer = Trainer(self._data, "cpu", "made-up")
        return [Trace.of(trainer.train(cell, seed)) for seed in SEEDS]

    def sound(self, cell: Cell) -> list[Trace]:
        """The replicas by seed."""
        if cell not in self._replicas:
            self._replicas[cell] = [Trace.of(self._trainer.train(cell, seed)) for seed in SEEDS]
        return self._replicas[cell]

    def copies(self, cell: Cell, seed: int, moved_at: int = 0) -> list[Trace]:
        """Of a replica."""
        wanted = [Copy(cell=cell, seed=seed, number=n, moved_at=moved_at) for n in range(COPIES)]
        for copy in wanted:
            if copy not in self._copies:
                self._copies[copy] = Trace.of(self._trainer.copy(copy))
        return [self._copies[copy] for copy in wanted]

    def against(self, cell: Cell, others: Sequence[Trace]) -> EnvelopeTest:
        """The sound replicas against others, with copies moved where they part."""
        seeds = [
            Seed(run, other, self.copies(cell, seed, equal_until(cell, run, other)))
            for seed, run, other in zip(SEEDS, self.sound(cell), others, strict=True)
        ]
        return examine(cell, seeds)


@pytest.fixture(scope="module")
def lab(data: Any) -> Lab:
    return Lab(data)


# Faults


def scaled_updates(name: str, factor: Callable[[Any], Any]) -> type:
    """An optimizer whose gradients are multiplied by ``factor(iterations)``, as by a changed rate."""

    class Scaled(getattr(keras.optimizers, name)):  # type: ignore[misc]
        def apply_gradients(self, pairs: Any, *args: Any, **kwargs: Any) -> Any:
            by = tf.cast(factor(self.iterations), tf.float32)
            return super().apply_gradients([(g * by, v) for g, v in pairs], *args, **kwargs)

    return Scaled


def with_defaults(kind: Any, **changed: Any) -> Callable[..., Any]:
    """A class with another default."""
    return lambda **options: kind(**{**changed, **options})


def leaky_relu(factor: float) -> Callable[..., Any]:
    """Keras 2 and 3 name the slope differently; this is neither's name."""

    def layer(**options: Any) -> Any:
        return keras.layers.Activation(lambda x: tf.nn.leaky_relu(x, alpha=0.3 * factor), **options)

    return layer


@tf.custom_gradient
def _steeper(logits: Any) -> Any:
    return tf.identity(logits), lambda upstream: upstream * 1.001


class SteeperCrossentropy(keras.losses.SparseCategoricalCrossentropy):  # type: ignore[misc]
    """The right loss, with a gradient that is .1 % too large."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return super().call(y_true, _steeper(y_pred))


class OtherInference(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Off by 1e-4, in inference alone."""

    def call(self, inputs: Any, training: Any = None, **options: Any) -> Any:
        outputs = super().call(inputs, training=training, **options)
        return outputs if training else outputs * 1.0001


LEAKY = small(activation="leaky_relu")
BATCH = small(normalization="batch")
ADAM = small(optimizer="adam", learning_rate=0.003)
CLIPPED = small(clipping="global_norm_0.1")
LONG = small(steps=110)

Fault = tuple[Cell, Any, str, Any]

#: Name -> cell, where the fault is planted, and the fault.
FAULTS: dict[str, Fault] = {
    "leaky slope": (LEAKY, keras.layers, "LeakyReLU", lambda: leaky_relu(1.0001)),
    "batch norm's epsilon": (
        BATCH,
        keras.layers,
        "BatchNormalization",
        lambda: with_defaults(keras.layers.BatchNormalization, epsilon=1.01e-3),
    ),
    "loss gradient": (
        small(),
        keras.losses,
        "SparseCategoricalCrossentropy",
        lambda: SteeperCrossentropy,
    ),
    "rate": (small(), keras.optimizers, "SGD", lambda: scaled_updates("SGD", lambda _: 1.0001)),
    "Adam's epsilon": (
        ADAM,
        keras.optimizers,
        "Adam",
        lambda: with_defaults(keras.optimizers.Adam, epsilon=1e-6),
    ),
    "Adam's beta_2": (
        ADAM,
        keras.optimizers,
        "Adam",
        lambda: with_defaults(keras.optimizers.Adam, beta_2=0.99),
    ),
    "rate after step 50": (
        LONG,
        keras.optimizers,
        "SGD",
        lambda: scaled_updates("SGD", lambda step: tf.where(step >= 50, 1.01, 1.0)),
    ),
    "batch norm's momentum": (
        BATCH,
        keras.layers,
        "BatchNormalization",
        lambda: with_defaults(keras.layers.BatchNormalization, momentum=0.9901),
    ),
    "inference alone": (BATCH, keras.layers, "BatchNormalization", lambda: OtherInference),
}


def examined(lab: Lab, name: str, monkeypatch: pytest.MonkeyPatch) -> EnvelopeTest:
    """A sound cell against the same with a fault."""
    cell, module, attribute, fault = FAULTS[name]
    lab.sound(cell)
    with monkeypatch.context() as planted:
        planted.setattr(module, attribute, fault())
        others = lab.trained(cell)
    return lab.against(cell, others)


def located(test: EnvelopeTest, step: int, earlier: int | None) -> str:
    """The tensor in which it begins, before this step."""
    assert not test.inside
    assert test.departure is not None, describe(test)
    assert (test.departure.step, test.departure.earlier) == (step, earlier)
    return test.departure.tensor


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("leaky slope", "layer 1, activation"),
        ("batch norm's epsilon", "layer 1, normalized"),
    ],
)
def test_a_changed_forward_formula_is_seen_at_step_0(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, name: str, tensor: str
) -> None:
    """A part in 1e4 of a slope, a hundredth of an epsilon: the first loss differs, and the layer that
    computes by that formula is named."""
    test = examined(lab, name, monkeypatch)
    assert located(test, 0, None) == tensor
    assert test.starts == 0


def test_a_scaled_gradient_of_the_loss(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first loss is right; of the gradients before step 0 the last layer's is the first."""
    test = examined(lab, "loss gradient", monkeypatch)
    first = ("output layer, bias, gradient", "output layer, kernel, gradient")
    assert located(test, 0, None) in first
    assert test.starts == 1
    assert test.risk == risk(len(SEEDS) * COPIES, len(SEEDS))


@pytest.mark.parametrize("name", ["rate", "Adam's epsilon", "Adam's beta_2"])
def test_a_changed_optimizer_is_seen_after_its_first_update(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A part in 1e4 of a rate, another default: all is well before step 0, and before step 1 a
    variable of the first layer departs."""
    test = examined(lab, name, monkeypatch)
    assert located(test, 1, 0) in ("layer 1, kernel", "layer 1, bias")
    assert test.starts == 1


def test_a_changed_clipping_threshold(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousandth: the gradients before step 0 are right, what the update makes of them is not."""
    lab.sound(CLIPPED)
    arguments = bench.cells.keras_arguments.clipping_arguments
    with monkeypatch.context() as planted:
        planted.setattr(
            bench.cells.keras_arguments,
            "clipping_arguments",
            lambda cell: {rule: 1.001 * threshold for rule, threshold in arguments(cell).items()},
        )
        others = lab.trained(CLIPPED)
    test = lab.against(CLIPPED, others)
    assert located(test, 1, 0) in ("layer 1, kernel", "layer 1, bias")


def test_a_change_that_begins_late_says_when_all_was_well(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the update of step 50 on: all bits are equal up to step 50, the loss of step 51 is the
    first that can differ, and the look before step 100 finds it."""
    test = examined(lab, "rate after step 50", monkeypatch)
    assert located(test, 100, 10) in ("layer 1, kernel", "layer 1, bias")
    assert (test.equal_until, test.late) == (50, True)
    assert test.starts is not None
    assert test.first_step is not None
    assert 51 <= test.starts <= test.first_step < 60


@pytest.mark.parametrize(
    ("name", "step", "earlier", "tensor"),
    [
        ("batch norm's momentum", 1, 0, "layer 1, moving mean"),
        ("inference alone", 0, None, "logits in inference"),
    ],
)
def test_what_no_training_loss_shows(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    step: int,
    earlier: int | None,
    tensor: str,
) -> None:
    """Every loss is the same, and what inference will do is not."""
    test = examined(lab, name, monkeypatch)
    assert located(test, step, earlier) == tensor
    assert (test.starts, test.first_step, test.strays) == (None, None, 0)
    assert "losses stay within rounding" in describe(test)


# Rounding


@pytest.mark.parametrize("cell", [small(), BATCH], ids=["plain", "batch"])
def test_xla_and_a_function_round_otherwise(lab: Lab, cell: Cell) -> None:
    """They compute the same steps; XLA adds up in another order, and bits differ."""
    axes = {name: getattr(cell, name) for name in cell.__struct_fields__}
    found = {
        engine: lab.against(cell, lab.trained(Cell(**{**axes, "engine": engine})))
        for engine in ("function", "xla")
    }
    for test in found.values():
        assert test.inside, describe(test)
    assert found["xla"].starts is not None
    assert 0 < found["xla"].ratio < 1


@pytest.mark.parametrize(
    "cell", [small(), BATCH, ADAM, LONG], ids=["plain", "batch", "adam", "long"]
)
def test_copies_lie_inside_the_envelope_of_the_others(lab: Lab, cell: Cell) -> None:
    """Weights moved by one unit in the last place: each copy against all others, and each seed's
    last copy in the place of another TensorFlow."""
    sound = [
        (run, lab.copies(cell, seed)) for seed, run in zip(SEEDS, lab.sound(cell), strict=True)
    ]
    seeds = [Seed(run, copies[-1], copies[:-1]) for run, copies in sound]
    test = examine(cell, seeds)
    assert test.inside, describe(test)
    assert test.starts is not None
    whole = [Seed(run, run, lab.copies(cell, s, cell.steps)) for s, (run, _) in enumerate(sound)]
    itself = examine(cell, whole)
    assert (itself.inside, itself.starts, itself.ratio, itself.departure) == (True, None, 0, None)
    against = [Seed(run, copies[-1], copies) for run, copies in sound]
    everyone = len(SEEDS) * COPIES
    assert Differences.of(cell, against).leave_one_out() == (everyone, everyone)
