"""A model of the user's is described once, and trained from there as its user would."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.measure.trajectory import from_bytes
from bench.nets.api import keras
from bench.nets.own import data, saving, view
from bench.nets.own.describe import describe
from bench.nets.own.training import OwnTrainer
from bench.results.copy_result import Copy
from bench.results.own_model import ARRAYS, DefaultLoss, Described, weights_file
from bench.results.record import Record
from bench.results.saved_models import FORMATS

MODELS = Path(__file__).parents[2] / "support" / "own_models.py"
EXAMPLES = Path(__file__).parents[3] / "examples" / "models"
STEPS, BATCH = 12, 8

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def described(
    folder: Path, data: Any, function: str, *, path: Path = MODELS, **arrays: Any
) -> Described:
    """A description with seeds 0 and 1."""
    given = None
    if arrays:
        given = folder / "given.npz"
        np.savez(given, **arrays)
    return describe(folder, path, function, given, data, seeds=[0, 1], batch=BATCH, steps=STEPS)


def trainer(folder: Path, data: Any, function: str, **options: Any) -> OwnTrainer:
    """A trainer of a model that can be described."""
    answer = described(folder, data, function, **options)
    assert answer.description is not None, answer
    return OwnTrainer(folder, data.fingerprint, "class")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, data: Any) -> Any:
    """``kept(function)``, or ``kept(function, path)``: a trainer for all tests that only train, as a
    training process has one: what was trained before must not show."""

    @functools.cache
    def made(function: str, path: Path = MODELS) -> OwnTrainer:
        return trainer(tmp_path_factory.mktemp(function), data, function, path=path)

    return made


def cell(made: OwnTrainer, **axes: Any) -> Cell:
    axes = {"engine": "fit", "steps": STEPS, "batch": BATCH, **axes}
    return Cell(own=made.description.model, **axes)


def random_words(rows: int = 60) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {"x": generator.integers(20, size=(rows, 5)), "y": generator.integers(3, size=rows)}


# --- Description


def test_a_model_is_fed_noise_where_nothing_is_given(kept: Any) -> None:
    """Of the shapes and types that its inputs and its loss take."""
    made = kept("functional")
    told = made.description
    assert told.data == "noise"
    assert told.model.name == "own_models.functional"
    with np.load(made.folder / ARRAYS) as arrays:
        x, y = arrays["x numbers"], arrays["y kind"]
    assert x.dtype == np.float32
    assert x.shape[1:] == (6,)
    assert set(y) == {0, 1, 2}
    assert told.examples + told.evaluated == len(x)


def test_mnist_is_fed_where_shapes_fit(kept: Any, data: Any) -> None:
    made = kept("build", EXAMPLES / "cnn_bilstm.py")
    told = made.description
    assert told.data == "MNIST"
    with np.load(made.folder / ARRAYS) as arrays:
        (x, y) = (arrays[name] for name in arrays.files)
    np.testing.assert_array_equal(x[:5, ..., 0], data.train_images[:5] / np.float32(255))
    np.testing.assert_array_equal(y, data.train_labels[: len(y)])
    # The longest sum: over the examples and places of the first convolution.
    assert told.model.longest == BATCH * 28 * 28
    assert told.model.normalized == (
        ("batch_normalization", BATCH * 28 * 28),
        ("batch_normalization_1", BATCH * 14 * 14),
    )


def test_a_model_that_is_not_compiled_gets_losses_that_fit(kept: Any) -> None:
    made = kept("build", EXAMPLES / "two_inputs.py")
    assert made.description.losses == {
        "kind": DefaultLoss("SparseCategoricalCrossentropy", from_logits=False),
        "amount": DefaultLoss("MeanSquaredError"),
    }
    with np.load(made.folder / ARRAYS) as arrays:
        assert arrays["x words"].max() == 49  # the embedding has 50 entries


@pytest.mark.parametrize(
    ("output", "target", "loss"),
    [
        ([[0.2, 0.8]], [1], DefaultLoss("SparseCategoricalCrossentropy", from_logits=False)),
        ([[-1.0, 3.0]], [1], DefaultLoss("SparseCategoricalCrossentropy", from_logits=True)),
        ([[-1.0, 3.0]], [[1]], DefaultLoss("SparseCategoricalCrossentropy", from_logits=True)),
        ([[0.2, 0.8]], [[0.0, 1.0]], DefaultLoss("CategoricalCrossentropy")),
        ([[0.7]], [1], DefaultLoss("BinaryCrossentropy", from_logits=False)),
        ([[-2.0]], [[0]], DefaultLoss("BinaryCrossentropy", from_logits=True)),
        ([[0.7]], [[0.4]], DefaultLoss("MeanSquaredError")),
        ([[-1.0, 3.0]], [[0.0, 1.0]], DefaultLoss("MeanSquaredError")),
    ],
)
def test_default_losses_fit_outputs_and_targets(output: Any, target: Any, loss: Any) -> None:
    found = data.default_losses({"out": np.array(output)}, {"out": np.array(target)})
    assert found == {"out": loss}


@pytest.mark.parametrize(
    ("function", "arrays", "told"),
    [
        ("missing", {}, "has no function missing"),
        ("FAULT", {}, "FAULT is no function"),
        ("no_model", {}, "gives a numpy.ndarray, and no tf.keras.Model"),
        ("weightless", {}, "weightless: the model has no weights to train"),
        ("endless", {}, "endless: the loss is inf before the first step: nothing is trained"),
        ("strings", {}, "the input 'text' takes strings, and a model is fed numbers"),
        ("subclassed", {}, "does not say what its inputs are: give it arrays with --arrays"),
        (
            "functional",
            {"x": np.zeros((9, 4)), "y": np.zeros(9)},
            "the array 'x' has shape (9, 4) and does not fit the input 'numbers' of shape (rows, 6)",
        ),
        ("functional", {"z": np.zeros((9, 6))}, "has no array for the input 'numbers'"),
        ("functional", {"x": np.zeros((9, 6))}, "has no targets for the outputs kind"),
        ("functional", {"x": np.zeros((1, 6)), "y": np.zeros(1)}, "1 rows are too few"),
        ("subclassed", {"x": np.zeros((9, 4)), "y": np.zeros((9, 7))}, "no loss fits the output"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, data: Any, function: str, arrays: dict[str, Any], told: str
) -> None:
    answer = described(tmp_path, data, function, **arrays)
    assert answer.description is None
    assert told in answer.trouble
    assert "\n" not in answer.trouble


def test_what_users_code_raises_is_told(
    tmp_path: Path, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("def build():\n    return 1 / 0\n")
    answer = described(tmp_path, data, "build", path=tmp_path / "broken.py")
    assert answer.trouble.endswith("broken.py: build: ZeroDivisionError: division by zero")
    assert "return 1 / 0" in answer.output
    assert "describe.py" not in answer.output


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("exiting.py", "raise SystemExit(0)", "build: SystemExit: 0"),
        ("interrupted.py", "raise KeyboardInterrupt", "build: KeyboardInterrupt"),
    ],
)
def test_users_code_that_would_end_the_process_is_told_so(
    tmp_path: Path, data: Any, name: str, line: str, told: str
) -> None:
    (tmp_path / name).write_text(f"def build():\n    {line}\n")
    answer = described(tmp_path, data, "build", path=tmp_path / name)
    assert answer.trouble.endswith(told)


def test_a_function_that_takes_an_argument_is_told_without_this_packages_code(
    tmp_path: Path, data: Any
) -> None:
    (tmp_path / "sized.py").write_text("def build(size):\n    return size\n")
    answer = described(tmp_path, data, "build", path=tmp_path / "sized.py")
    assert "missing 1 required positional argument: 'size'" in answer.trouble
    assert answer.output == ""


# --- Training


def test_training_repeats_and_both_ways_are_one(kept: Any) -> None:
    """``fit`` and ``train_on_batch`` take the same steps, under each seed, whatever was trained
    before; another seed starts from other weights."""
    made = kept("functional")
    first = made.train(cell(made), 0)
    other = made.train(cell(made), 1)
    again = made.train(cell(made, engine="train_on_batch"), 0)
    assert first.outcome == "trained"
    assert first.digest == again.digest != other.digest
    assert from_bytes(first.trajectory).shape == (STEPS,)
    assert isinstance(first, Record)
    assert msgspec.json.decode(msgspec.json.encode(first), type=Record).digest == first.digest


def test_losses_are_each_steps_own(kept: Any) -> None:
    """And no means since the start: the first two are those of a loop by hand."""
    made = kept("functional")
    losses = from_bytes(made.train(cell(made), 0).trajectory)
    model = made.start(0).model
    from bench.cells.initial_values import batch_order

    order = batch_order(0, examples=made.feed.examples, batch=BATCH, steps=2)
    for step, rows in enumerate(order):
        model.reset_metrics()
        x, y = made.feed.x(rows), made.feed.y(rows)
        before = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
        assert losses[step] == pytest.approx(before, rel=1e-6)
        model.train_on_batch(x, y)


def test_weights_of_the_first_seed_are_the_models_own(kept: Any) -> None:
    """Drawn by its initializers under the seed."""
    made = kept("functional")
    keras.utils.set_random_seed(0)
    kernel = keras.initializers.GlorotUniform()((6, 8))
    with np.load(weights_file(made.folder, 0)) as stored:
        name = next(key for key in stored.files if key.endswith("first/kernel"))
        limit = np.sqrt(6 / 14)
        assert np.abs(stored[name]).max() <= limit
        assert stored[name].shape == kernel.shape
        np.testing.assert_array_equal(made.start(0).named[name].numpy(), stored[name])


def test_tensors_are_named_as_the_users_layers(kept: Any) -> None:
    """Outputs of layers, weights, and the gradients of both."""
    made = kept("functional")
    record = made.train(cell(made), 0)
    assert record.tensors is not None
    assert record.tensors.steps == [0, 1, 10]
    names = record.tensors.names
    assert {f"{layer}, output" for layer in ("first", "scaled", "kind")} <= set(names)
    # Keras 3 takes the loss from what enters a softmax.
    assert {f"{layer}, output, gradient" for layer in ("first", "scaled")} <= set(names)
    assert {"first/kernel", "first/kernel, gradient", "scaled/factor, gradient"} <= set(names)
    assert "kind, inference" in names
    assert record.ends is not None
    assert record.ends.steps == [0, STEPS]
    assert "accuracy of the held-out rows, inference" in record.ends.names


def test_a_look_leaves_the_model_alone(kept: Any) -> None:
    """Its gradients are those of the loss, and moving statistics stay as they were."""
    made = kept("build", EXAMPLES / "cnn_bilstm.py")
    built = made.start(0)
    before = built.values()
    x, y = made.feed.x(slice(0, 4)), made.feed.y(slice(0, 4))
    tensors = view.look(built.model, built.named, x, y)
    for value, now in zip(before, built.values(), strict=True):
        np.testing.assert_array_equal(value, now)
    name = next(name for name in built.named if name.endswith("dense/bias"))
    # The derivative of the mean cross-entropy with respect to the last bias: mean of (p - one-hot).
    output = tensors["dense, output"]
    expected = (output - np.eye(10)[y]).mean(axis=0)
    np.testing.assert_allclose(tensors[f"{name}, gradient"], expected, atol=1e-6)
    assert "bidirectional/forward_lstm, output" in tensors


def test_copies_start_one_unit_in_the_last_place_away(kept: Any) -> None:
    made = kept("functional")
    record = made.train(cell(made), 0)
    copy = made.copy(Copy(cell=cell(made), seed=0, number=0))
    assert copy.ends is not None
    assert record.ends is not None
    a, b = (np.frombuffer(side.values, "<f4") for side in (record.ends, copy.ends))
    assert (a != b).any()
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    later = made.copy(Copy(cell=cell(made), seed=0, number=0, moved_at=STEPS))
    assert later.trajectory == record.trajectory


def test_dropout_is_seeded_and_named(kept: Any) -> None:
    made = kept("random")
    assert made.description.model.random == ("forgetful",)
    first, again = made.train(cell(made), 0), made.train(cell(made), 0)
    assert first.digest == again.digest
    assert not kept("functional").description.model.random


def test_a_subclassed_model_is_trained_on_given_arrays(tmp_path: Path, data: Any) -> None:
    made = trainer(tmp_path, data, "subclassed", **random_words())
    losses = from_bytes(made.train(cell(made, steps=60), 0).trajectory)
    assert losses[-5:].mean() < losses[:5].mean()
    record = made.train(cell(made), 0)
    assert record.tensors is not None
    assert {"words, output", "memory, output", "answer, output"} <= set(record.tensors.names)


def test_a_model_with_a_step_of_its_own_is_trained_with_it(tmp_path: Path, data: Any) -> None:
    """It has no targets, and its gradients are its own affair; what leaves its layers is seen."""
    x = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    made = trainer(tmp_path, data, "coder", x=x)
    record = made.train(cell(made, steps=60), 0)
    losses = from_bytes(record.trajectory)
    assert losses[-5:].mean() < 0.9 * losses[:5].mean()
    assert record.tensors is not None
    assert {"code/kernel", "code, output", "output, inference"} <= {
        name.removeprefix("coder/") for name in record.tensors.names
    }
    assert record.test_loss is None
    again = made.train(cell(made, steps=60, engine="train_on_batch"), 0)
    assert again.digest == record.digest


def test_a_loss_that_does_not_stay_finite_is_an_outcome(tmp_path: Path, data: Any) -> None:
    """Steps that overshoot by more each time; a loss that is no number at once is refused."""
    made = trainer(tmp_path, data, "overshooting")
    record = made.train(cell(made), 0)
    assert record.outcome == "diverged"
    assert record.diverged_step
    assert record.diverged_step > 0


def test_bursts_are_seconds(kept: Any) -> None:
    made = kept("functional")
    for work in ("training", "inference"):
        assert 0 < made.burst(cell(made), work=work, steps=3) < 60


# --- Weights that do not match


def test_weights_that_cannot_be_matched_are_listed(tmp_path: Path, data: Any) -> None:
    made = trainer(tmp_path, data, "functional")
    for seed in (0, 1):
        with np.load(weights_file(tmp_path, seed)) as stored:
            kept = {name: stored[name] for name in stored.files if "factor" not in name}
        np.savez(weights_file(tmp_path, seed), other=np.zeros(3), **kept)
    with pytest.raises(ValueError, match=r"stored are other \(3,\), and the model has .*factor"):
        made.train(cell(made), 0)


# --- Saving


def test_every_format_gives_the_same_outputs_again(tmp_path: Path, kept: Any) -> None:
    made = kept("build", EXAMPLES / "two_inputs.py")
    place = tmp_path / "saved"
    place.mkdir()
    written = saving.save(place, made, cell(made))
    assert [each.format for each in written] == list(FORMATS)
    loaded = 0
    for each in written:
        assert not each.error
        if not each.absent:
            found = saving.load(place, made, each.model, each.format)
            assert found.same_bits, found
            assert found.deviation is not None
            assert not found.deviation.out
            loaded += 1
    assert loaded >= 5


def test_another_output_is_out(tmp_path: Path, kept: Any) -> None:
    """Weights of another seed in the file are no rounding."""
    made = kept("functional")
    place = tmp_path / "saved"
    place.mkdir()
    saving.save(place, made, cell(made))
    file = place / made.description.model.name / FORMATS["weights"].file
    other = made.start(1).model
    file.unlink()
    other.save_weights(file)
    found = saving.load(place, made, made.description.model.name, "weights")
    assert found.deviation is not None
    assert found.deviation.out


# --- Examples


@pytest.mark.parametrize(
    ("example", "layers"),
    [
        ("cnn_bilstm.py:build_without_normalization", {"p_re_lu", "bidirectional/forward_lstm"}),
        ("transformer.py:build", {"positions", "attention_0", "norm_1b"}),
        ("two_inputs.py:build", {"gated", "gated/gates", "amount"}),
    ],
)
def test_examples_are_trained(kept: Any, example: str, layers: set[str]) -> None:
    """The same twice, and seen layer by layer."""
    file, _, function = example.partition(":")
    made = kept(function, EXAMPLES / file)
    first, again = (made.train(cell(made, steps=4), 0) for _ in range(2))
    assert first.outcome == "trained"
    assert first.digest == again.digest
    assert first.tensors is not None
    assert {f"{layer}, output" for layer in layers} <= set(first.tensors.names)
