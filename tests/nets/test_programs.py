"""Training the published programs: both forms alike, and right against NumPy.

Formulas are held in float64, where a few steps leave no room for anything but the same formulas.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import pytest

from bench.cells.numbers import split_number
from bench.cells.recipe import Recipe
from bench.nets.programs import perform, prepared, session_form, training
from bench.nets.programs.feeding import feed
from bench.nets.programs.program import CLIPPED_SQUARES, SQUARES, Program, dead_share
from bench.nets.programs.training import gradient_numbers
from bench.published.experiments import EXPERIMENTS
from bench.results.trial import FORMS, Form, Trial, TrialResult, Watched

DEVICE = "cpu"


def trial_of(
    recipe: Recipe,
    form: Form = "keras",
    *,
    looks: Sequence[int] = (),
    watched: Sequence[Watched] = (),
    seed: int = 0,
) -> Trial:
    return Trial(
        experiment="P0",
        variant="small",
        form=form,
        seed=seed,
        recipe=recipe,
        looks=tuple(looks),
        watched=tuple(watched),
    )


def published(experiment: str, variant: str, **changes: Any) -> Recipe:
    """A published recipe of few steps and layers that fits 2,000 images.

    Keras holds its learning rate in float32: here it is one of its numbers, for both forms.
    """
    recipe = EXPERIMENTS[experiment].variants[variant]
    rate = float(np.float32(recipe.learning_rate))
    fitting: dict[str, Any] = {"steps": 3, "held_out": min(recipe.held_out, 500)}
    fitting |= {"learning_rate": rate, "hidden": recipe.hidden[:4]}
    return msgspec.structs.replace(recipe, **{**fitting, **changes})


def wide(trial: Trial, data: Any) -> Program:
    """The trial's program in float64."""
    fed = feed(trial.recipe, trial.seed, examples=2000, precision="float64")
    return prepared(trial, fed, data, DEVICE)


def wide_result(trial: Trial, data: Any) -> TrialResult:
    """What the trial shows in float64."""
    program = wide(trial, data)
    try:
        return training.train(program, trial, data="", environment="", begin=time.perf_counter())
    finally:
        program.close()


VARIANTS = [
    ("P1", "two layers"),
    ("P1", "three layers, Xavier"),
    ("P3", "batch norm"),
    ("P4", "value clipping"),
    ("P4", "leaky ReLU"),
    ("P5", "softmax regression, zeros"),
    ("P5", "hidden layer, uniform"),
    ("P6", "global norm 15"),
    ("P7", "sigmoid, Xavier, depth 10"),
    ("P7", "tanh, Xavier, depth 10"),
    ("P7", "leaky ReLU, He, depth 10"),
    ("P7", "ReLU, He, batch norm, skips, depth 10"),
]


@pytest.mark.parametrize(("experiment", "variant"), VARIANTS)
def test_both_forms_train_alike(experiment: str, variant: str, data: Any) -> None:
    """Losses, the gradients' numbers, all variables at the end, moving statistics included, and the
    evaluation. Constants that either side rounds to float32 (epsilon, momentum) are off by 2^-25 of
    themselves, 3e-8."""
    _compare(published(experiment, variant), data, room=1e-7)


def test_both_forms_train_the_cnn_alike(data: Any) -> None:
    """Without dropout, whose masks TensorFlow draws. Adam's betas are rounded to float32 in version 1:
    1 - .999 is off by 1e-5 of itself, and an update of 1e-4 with it."""
    recipe = published(
        "P2", "w = 0.1", dropout=0.0, convolutions=(4, 8), hidden=(32,), batch=10, steps=2
    )
    _compare(recipe, data, room=2e-5)


def _compare(recipe: Recipe, data: Any, *, room: float) -> None:
    keras, session = (wide(trial_of(recipe, form, watched=["norms"]), data) for form in FORMS)
    theirs, ours = keras.train(0, recipe.steps), session.train(0, recipe.steps)
    # Losses leave as float32: 2^-23 is 1.2e-7.
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=room + 2**-23)
    assert len(set(ours.losses.tolist())) == recipe.steps
    np.testing.assert_allclose(ours.gradients, theirs.gradients, rtol=room * 10, atol=room)
    end, expected = session.variables(), keras.variables()
    assert list(end) == list(expected)
    for name, value in end.items():
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, expected[name], rtol=room, atol=room, err_msg=name)
    if recipe.task == "digits":
        np.testing.assert_allclose(session.evaluate("test"), keras.evaluate("test"), rtol=room)
        assert session.dead_share() == keras.dead_share()
    session.close()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("experiment", "variant"),
    [("P1", "three layers"), ("P2", "w = 0.1"), ("P3", "batch norm")],
)
def test_training_starts_from_what_numpy_drew(
    form: Form, experiment: str, variant: str, data: Any
) -> None:
    """Bit for bit, under the recipe's names; moving statistics start at 0 and 1."""
    recipe = published(experiment, variant)
    fed = feed(recipe, 3, examples=2000)
    program = prepared(trial_of(recipe, form, seed=3), fed, data, DEVICE)
    found = program.variables()
    program.close()
    assert tuple(found)[: len(recipe.names)] == recipe.names == tuple(fed.values)
    for name, value in found.items():
        start = float(name.startswith("moving variance"))
        np.testing.assert_array_equal(value, fed.values.get(name, np.full_like(value, start)))
        assert value.dtype == np.float32


@pytest.mark.parametrize("form", FORMS)
def test_a_hidden_layer_of_zeros_stays(form: Form, data: Any) -> None:
    """All gradients but the output bias' are exactly 0, and all images get one class."""
    recipe = published("P5", "hidden layer, zeros", steps=30, hidden=(20,))
    found = perform(
        trial_of(recipe, form, looks=[0, 30], watched=["test", "norms", "dead"]),
        data,
        DEVICE,
        "x",
    )
    dead = ("w1", "b1", "w2")
    assert [found.numbers[f"largest norm {name}"] for name in dead] == [0.0, 0.0, 0.0]
    assert [found.numbers[f"largest {name}"] for name in dead] == [0.0, 0.0, 0.0]
    assert found.numbers["largest norm b2"] > 0 and found.numbers["largest b2"] > 0
    shares = np.bincount(data.test_labels, minlength=10) / len(data.test_labels)
    assert found.final("test accuracy") in shares
    assert found.curves["dead share"].values == [1.0, 1.0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "clipping", ["none", "value_0.001", "norm_0.05", "global_norm_0.05", "global_norm_500.0"]
)
def test_clipping_is_what_it_says(form: Form, clipping: str, data: Any) -> None:
    """Of real gradients: their numbers, and the variables' next values, are NumPy's."""
    recipe = published("P6", "global norm 15", clipping=clipping, hidden=(12, 8), learning_rate=0.5)
    program = wide(trial_of(recipe, form, watched=["norms"]), data)
    before = program.variables()
    stretch, gradients = program.step(0)
    after = program.variables()
    program.close()
    rule, threshold = split_number(clipping)
    norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))
    clipped = list(gradients)
    if rule == "value":
        clipped = [np.clip(gradient, -threshold, threshold) for gradient in gradients]
    elif rule == "norm":
        clipped = [g * min(1.0, threshold / np.linalg.norm(g)) for g in gradients]
    elif rule == "global_norm":
        clipped = [gradient * min(1.0, threshold / norm) for gradient in gradients]
    expected = [
        (np.sum(g**2), np.sum(c**2), np.sum(g * c), np.mean(g), np.abs(g).max())
        for g, c in zip(gradients, clipped, strict=True)
    ]
    # The threshold is rounded to float32 on either way.
    np.testing.assert_allclose(
        stretch.gradients[0], np.transpose(expected), rtol=2**-22, atol=1e-16
    )
    for name, cut in zip(recipe.names, clipped, strict=True):
        np.testing.assert_allclose(after[name], before[name] - 0.5 * cut, rtol=1e-7, atol=1e-12)
    assert norm > 0.05 and max(np.abs(g).max() for g in gradients) > 0.001
    each = [np.linalg.norm(gradient) for gradient in gradients]
    assert max(each) > 0.05 > min(each)  # so that each rule cuts some and leaves others


@pytest.mark.parametrize("form", FORMS)
def test_clipping_by_the_global_norm_keeps_the_direction(form: Form, data: Any) -> None:
    """In float32, as published: the clipped norm is at most the threshold but for the rounding of a
    factor and of products with it, 3 2^-24, and the cosine is 1 to the square of that."""
    recipe = published("P6", "global norm 15", clipping="global_norm_0.25", steps=20)
    found = perform(trial_of(recipe, form, watched=["norms"]), data, DEVICE, "x").numbers
    assert found["largest clipped norm"] <= 0.25 * (1 + 3 * 2**-24)
    assert found["largest clipping error"] <= 3 * 2**-24
    assert found["clipped steps"] == 1.0
    assert abs(found["smallest cosine"] - 1) < 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_clipping_by_value_turns_the_direction(form: Form, data: Any) -> None:
    """The cosine falls below 1 where some entries are cut and others are not."""
    recipe = published("P4", "value clipping", clipping="value_0.001", steps=5)
    found = perform(trial_of(recipe, form, watched=["norms"]), data, DEVICE, "x").numbers
    assert found["clipped steps"] == 1.0
    assert 0 < found["smallest cosine"] < 0.999


class Replay:
    """P1's program in float64 NumPy: x -> ReLU layers -> one linear unit, loss (x - 2 out)^2."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        fed = feed(recipe, seed, examples=2000, precision="float64")
        self.values = dict(fed.values)
        self.losses: list[float] = []
        self.gradients: dict[str, list[np.ndarray]] = {name: [] for name in recipe.names}
        _, threshold = split_number(recipe.clipping)
        layers = len(recipe.hidden) + 1
        for x in fed.inputs[:, 0, 0]:
            signals = [np.array([x])]
            for layer in range(1, layers + 1):
                z = signals[-1] @ self.values[f"w{layer}"] + self.values[f"b{layer}"]
                signals.append(z if layer == layers else np.maximum(z, 0))
            error = x - 2 * signals[-1]
            self.losses.append(float(error[0] ** 2))
            back = -4 * error
            for layer in range(layers, 0, -1):
                self.gradients[f"w{layer}"].append(np.outer(signals[layer - 1], back))
                self.gradients[f"b{layer}"].append(back)
                back = (back @ self.values[f"w{layer}"].T) * (signals[layer - 1] > 0)
            for name in recipe.names:
                cut = np.clip(self.gradients[name][-1], -threshold, threshold)
                self.values[name] = self.values[name] - recipe.learning_rate * cut


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("variant", ["two layers", "three layers, Xavier"])
def test_p1_is_what_numpy_makes_of_it(form: Form, variant: str, data: Any) -> None:
    """Losses, norms, variances, distributions and final values, over 1,100 steps: variances are of the
    first 1,000, and gradients' distributions of the step that follows a look."""
    recipe = published("P1", variant, steps=1100)
    replay = Replay(recipe, seed=2)
    watched: list[Watched] = ["norms", "histograms"]
    trial = trial_of(recipe, form, looks=[0, 700, 1100], watched=watched, seed=2)
    found = wide_result(trial, data)
    gradients = {(each.name, each.step): each for each in found.histograms if each.gradient}
    close = {"rel": 1e-6}
    means = [np.mean(replay.losses[:700]), np.mean(replay.losses[700:])]
    assert found.curves["loss"].values == pytest.approx(means, **close)
    assert found.curves["loss"].steps == [700, 1100]
    for name in recipe.names:
        seen = np.array(replay.gradients[name])
        norms = [float(np.linalg.norm(each)) for each in seen]
        assert found.curves[f"norm {name}"].values == pytest.approx([norms[0], norms[700]], **close)
        assert found.numbers[f"largest norm {name}"] == pytest.approx(max(norms), **close)
        assert found.numbers[f"variance {name}"] == pytest.approx(np.var(seen[:1000]), **close)
        for step in (0, 700):
            assert gradients[name, step].squares == pytest.approx(norms[step] ** 2, **close)
            assert sum(gradients[name, step].counts) == seen[step].size
        largest = np.abs(replay.values[name]).max()
        assert found.numbers[f"largest {name}"] == pytest.approx(largest, **close)
    assert found.outcome == "trained"


@pytest.mark.parametrize("form", FORMS)
def test_looks_are_where_the_trial_has_them(form: Form, data: Any) -> None:
    """Curves have a point at each look, those of losses none at step 0, those of gradients none behind
    the last step."""
    recipe = published("P4", "value clipping", hidden=(10, 8), steps=7)
    watched: list[Watched] = ["test", "validation", "norms", "histograms", "dead"]
    found = perform(trial_of(recipe, form, looks=[0, 2, 7], watched=watched), data, DEVICE, "class")
    steps = {name: curve.steps for name, curve in found.curves.items()}
    for name in ("test accuracy", "test loss", "validation accuracy", "dead share"):
        assert steps.pop(name) == [0, 2, 7]
    assert steps.pop("loss") == [2, 7]
    names = [f"{kind} {name}" for name in recipe.names for kind in ("norm", "clipped norm")]
    assert steps == {name: [0, 2] for name in names}
    assert all(len(curve.values) == len(curve.steps) for curve in found.curves.values())
    seen = [(each.name, each.gradient, each.step) for each in found.histograms]
    values = {(name, False, step) for name in recipe.names for step in (0, 2, 7)}
    gradients = {(name, True, step) for name in recipe.names for step in (0, 2)}
    assert len(seen) == len(values | gradients) and set(seen) == values | gradients
    assert (found.environment, found.data) == ("class", data.fingerprint)
    assert found.total_sec > 0 and found.trial == found.key


@pytest.mark.parametrize("form", FORMS)
def test_a_look_changes_nothing_of_the_training(form: Form, data: Any) -> None:
    """Bit for bit; a trial that is watched for nothing tells the largest values at its end alone."""
    recipe = published("P3", "batch norm", hidden=(10,), steps=7)
    plain = perform(trial_of(recipe, form), data, DEVICE, "x")
    watched: list[Watched] = ["test", "validation", "dead"]
    found = perform(trial_of(recipe, form, looks=[0, 2, 7], watched=watched), data, DEVICE, "x")
    assert found.digest == plain.digest != ""
    assert found.numbers == plain.numbers
    assert set(plain.numbers) == {f"largest {name}" for name in recipe.names}
    assert plain.curves == {} and plain.histograms == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_trial_is_the_same_each_time(form: Form, dropout: float, data: Any) -> None:
    """Whatever was trained before it in this process: moving statistics and the optimizer's state
    start anew, and so do dropout's masks; another seed gives another digest."""
    recipe = published("P3", "batch norm", hidden=(10,), dropout=dropout, optimizer="adam")
    first, other, again = (
        perform(trial_of(recipe, form, seed=seed), data, DEVICE, "x").digest for seed in (0, 1, 0)
    )
    assert first == again != other


@pytest.mark.parametrize("form", FORMS)
def test_dropout_is_for_training_alone(form: Form, data: Any) -> None:
    """It changes a training loss and, at the same variables, no evaluation; kept outputs are doubled:
    a unit's mean over many masks stays."""
    results = {}
    for rate in (0.0, 0.5):
        recipe = published(
            "P5", "hidden layer, uniform", dropout=rate, learning_rate=1e-30, steps=200
        )
        recipe = msgspec.structs.replace(recipe, initializer="he_normal")
        program = wide(trial_of(recipe, form), data)
        evaluation = program.evaluate("test")
        results[rate] = program.train(0, 200).losses.astype(float), evaluation
        program.close()
    (plain, expected), (dropped, evaluation) = results[0.0], results[0.5]
    assert evaluation == expected
    assert (plain != dropped).all()
    # Cross-entropy is convex in the logits, whose mean dropout keeps: masks can only raise the mean.
    assert plain.mean() < dropped.mean() < 2 * plain.mean()


@pytest.mark.parametrize("form", FORMS)
def test_evaluation_is_numpys(form: Form, data: Any) -> None:
    """Of softmax regression, over the test images, and over those held out, of which the last chunk is
    smaller than the first."""
    recipe = published("P5", "softmax regression, zeros", held_out=1500, batch=50, steps=5)
    program = wide(trial_of(recipe, form), data)
    program.train(0, 5)
    values = program.variables()
    for part, images, labels in (
        ("test", data.test_images, data.test_labels),
        ("validation", data.train_images[:1500], data.train_labels[:1500]),
    ):
        logits = images.reshape(-1, 784) / 255 @ values["w1"] + values["b1"]
        logits = logits - logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        accuracy, loss = program.evaluate(part)
        assert accuracy == np.mean(logits.argmax(axis=1) == labels)
        assert loss == pytest.approx(-logs[np.arange(len(labels)), labels].mean(), rel=1e-9)
    program.close()


def test_dead_units_are_counted() -> None:
    """Those that give at most 0 for every image and, of convolutions, at every place."""
    first = np.array([[0.0, -1.0, 2.0], [0.0, 1.0, -1.0]])
    second = np.zeros((2, 3, 3, 1))
    assert dead_share([first]) == pytest.approx(1 / 3)
    assert dead_share([first, second]) == 0.5
    second[1, 2, 0] = 1e-9
    assert dead_share([first, second]) == 0.25
    assert dead_share([]) == 0.0


def test_units_without_numbers_are_not_alive() -> None:
    """NaN is not above 0, and no 0 either: of a diverged network nothing is said."""
    assert math.isnan(dead_share([np.zeros((2, 2)), np.array([[math.nan]])]))


@pytest.mark.parametrize(("norms", "error"), [((10, 5), 0.0), ((10, 4.5), 0.1), ((4, 2), 0.5)])
def test_every_step_is_held_against_its_limit(norms: tuple[float, float], error: float) -> None:
    """One step's norm before and after a clipping at 5: also where nothing was to be clipped."""
    recipe = published("P6", "global norm 15", clipping="global_norm_5")
    seen = np.zeros((3, 5, len(recipe.names)))
    seen[0, [SQUARES, CLIPPED_SQUARES], 0] = 1.0
    seen[1, SQUARES, 0], seen[1, CLIPPED_SQUARES, 0] = np.square(norms)
    found = gradient_numbers(trial_of(recipe), seen, np.ones(len(recipe.names)))
    assert found["largest clipping error"] == pytest.approx(error)


@pytest.mark.parametrize("form", FORMS)
def test_dead_units_are_those_of_the_network(form: Form, data: Any) -> None:
    """At a bias of -1,000 all are dead, at 1,000 none is."""
    for bias, share in ((-1000.0, 1.0), (1000.0, 0.0)):
        recipe = published("P7", "ReLU, He, depth 10", hidden=(5, 5), bias=bias, learning_rate=1e-9)
        found = perform(trial_of(recipe, form, looks=[3], watched=["dead"]), data, DEVICE, "x")
        assert found.curves["dead share"].values[0] == share


@pytest.mark.parametrize("form", FORMS)
def test_divergence_ends_a_training(form: Form, data: Any) -> None:
    """With curves until the look that sees it, whose numbers are None where they are not finite."""
    recipe = published("P6", "global norm 15", clipping="none", learning_rate=1e12, steps=40)
    found = perform(
        trial_of(recipe, form, looks=[0, 10, 20, 40], watched=["test", "norms"]), data, DEVICE, "x"
    )
    assert found.outcome == "diverged"
    assert found.curves["loss"].steps == [10] and found.curves["loss"].values == [None]
    assert found.curves["test accuracy"].steps == [0, 10]
    assert found.curves["test accuracy"].values[0] is not None
    assert found.curves["test accuracy"].values[1] is None
    assert found.final("test loss") is None
    assert found.numbers["largest w1"] is None


@pytest.mark.parametrize("missing", ["Session", "AdamOptimizer"])
def test_a_form_that_tensorflow_lacks_is_absent(
    missing: str, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the name of what is missing, and nothing trained."""
    v1 = session_form.tf.compat.v1
    owner = v1 if hasattr(v1, missing) else v1.train
    monkeypatch.delattr(owner, missing)
    found = perform(trial_of(published("P5", "hidden layer, zeros"), "session"), data, DEVICE, "x")
    assert found.outcome == "absent" and found.curves == {}
    assert missing in found.absent and "TensorFlow" in found.absent


LOSSES: list[Literal["crossentropy", "squares"]] = ["crossentropy", "squares"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_first_loss_is_the_formulas(form: Form, loss: Any, data: Any) -> None:
    """At zero weights and a constant bias b all outputs are equal: ln 10, (9 b^2 + (b - 1)^2) / 10."""
    recipe = published("P5", "softmax regression, zeros", loss=loss, bias=0.5)
    program = wide(trial_of(recipe, form), data)
    expected = {"crossentropy": np.log(10), "squares": 0.25}[loss]
    assert program.train(0, 1).losses[0] == pytest.approx(expected, rel=2**-23)
    program.close()


@pytest.mark.parametrize("form", FORMS)
def test_a_smaller_last_batch_is_its_own_mean(form: Form, data: Any) -> None:
    """2,000 images in batches of 300, in stored order: the seventh has 200, and the eighth is the
    first again. With a rate near 0 each loss is the mean over its own images."""
    recipe = published("P6", "global norm 15", batch=300, steps=8, learning_rate=1e-30)
    program = wide(trial_of(recipe, form), data)
    losses = program.train(0, 8).losses
    values = program.variables()
    program.close()
    signal = data.train_images.reshape(-1, 784) / 50
    for layer in (1, 2, 3):
        signal = signal @ values[f"w{layer}"] + values[f"b{layer}"]
        signal = np.maximum(signal, 0) if layer < 3 else signal
    each = ((signal - np.eye(10)[data.train_labels]) ** 2).mean(axis=1)
    expected = [each[start : start + 300].mean() for start in range(0, 2000, 300)]
    np.testing.assert_allclose(losses, [*expected, expected[0]], rtol=2**-22)
