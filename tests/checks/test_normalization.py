"""Checks of normalization layers: they hold, and each constant that is changed shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.checks import normalization
from bench.checks.lab import Lab
from bench.nets import parts
from bench.results.check import Check, Deviation
from bench.theory.oracle import layers
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.formats import FLOAT32, FLOAT64

BATCH = "norm:batch-inputs:dense"
DEFAULTS = {"epsilon": 1e-3, "momentum": 0.99}
EAGER = [one for one in normalization.checks("quick") if "graph" not in one.subject]


def check(subject: str, precision: str = "float32", seed: int = 0) -> Check:
    return Check(family="normalization", subject=subject, precision=precision, seed=seed)


def found(one: Check) -> list[Deviation]:
    return list(normalization.run(one, Lab(None, "cpu")))


def out(one: Check) -> list[str]:
    return [deviation.tensor for deviation in found(one) if deviation.out]


@pytest.mark.parametrize("one", normalization.checks("standard"), ids=lambda one: one.id)
def test_layers_hold(one: Check) -> None:
    """First values, training with its gradients, moving statistics, inference with its gradients."""
    deviations = found(one)
    batch = "norm:batch" in one.subject
    assert len(deviations) == (4 + 4 + 4 + 4 + 2 if batch else 2 + 4)
    assert [d for d in deviations if d.out] == []


def test_tiers_and_subjects() -> None:
    """Both layers, both kinds of inputs, defaults and others, eager and graph."""
    quick, standard = (normalization.checks(tier) for tier in ("quick", "standard"))
    assert set(quick) < set(standard)
    assert len(standard) == 2 * 2 * 2 * 2 * 2
    assert check("norm:batch-inputs:image-epsilon:0.05-momentum:0.9-mode:graph") in standard


def test_variances_lie_on_both_sides_of_epsilon() -> None:
    """By a factor of 100 at least, and some are near it; seeds draw others."""
    setting = normalization.SETTINGS[BATCH]
    given = normalization.inputs(setting, FLOAT32, 0)
    variance = given.batches[0].var(axis=0)
    assert variance.min() < 1e-5
    assert variance.max() > 0.1
    assert np.sum((variance > 5e-4) & (variance < 2e-3)) >= 1
    other = normalization.inputs(setting, FLOAT32, 1)
    assert not np.any(given.batches == other.batches)


def wired(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[str, dict[str, float]], dict[str, float]]
) -> None:
    """Layers are made with changed options from here on."""
    true = parts.Normalization

    def planted(kind: str, shape: tuple[int, ...], *, options: Any, **given: Any) -> Any:
        return true(kind, shape, options=change(kind, dict(options)), **given)

    monkeypatch.setattr(parts, "Normalization", planted)


@pytest.mark.parametrize("one", EAGER, ids=lambda one: one.id)
@pytest.mark.parametrize("factor", [0.9999, 1.0001])
def test_epsilon_off_by_one_in_ten_thousand_is_out(
    one: Check, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default's and another; in training and in inference, by ten times the bound at least."""
    wired(
        monkeypatch,
        lambda kind, options: {
            **options,
            "epsilon": options.get("epsilon", DEFAULTS["epsilon"]) * factor,
        },
    )
    deviations = {d.tensor: d for d in found(one) if d.out}
    assert "training, outputs" in deviations
    assert max(d.excess for d in deviations.values()) > 10
    if "norm:batch" in one.subject:
        assert "inference, outputs" in deviations


@pytest.mark.parametrize(
    "one", [one for one in EAGER if "norm:batch" in one.subject], ids=lambda one: one.id
)
@pytest.mark.parametrize("factor", [0.9999, 1.0001])
def test_momentum_off_by_one_in_ten_thousand_is_out(
    one: Check, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both moving statistics show it, after one step and after several; nothing else does."""
    wired(
        monkeypatch,
        lambda kind, options: {
            **options,
            "momentum": options.get("momentum", DEFAULTS["momentum"]) * factor,
        },
    )
    assert out(one) == [
        f"moving {name} after step {step}" for step in (1, 5) for name in ("mean", "variance")
    ]


#: What a pass of a faulty layer would hand out, and the tensors that must show it.
FAULTS: dict[str, tuple[Callable[[parts.Passed], parts.Passed], set[str]]] = {
    "outputs": (
        lambda p: parts.Passed(p.outputs * 1.0001, p.inputs_gradient, p.gradients, p.moving),
        {"training, outputs", "inference, outputs"},
    ),
    "input gradient": (
        lambda p: parts.Passed(p.outputs, p.inputs_gradient * 1.0001, p.gradients, p.moving),
        {"training, input gradient", "inference, input gradient"},
    ),
    "gamma and beta swapped": (
        lambda p: parts.Passed(
            p.outputs,
            p.inputs_gradient,
            {"gamma": p.gradients["beta"], "beta": p.gradients["gamma"]},
            p.moving,
        ),
        {"training, gamma gradient", "training, beta gradient", "inference, gamma gradient"},
    ),
    "variance of n - 1": (
        lambda p: parts.Passed(
            p.outputs,
            p.inputs_gradient,
            p.gradients,
            {"mean": p.moving["mean"], "variance": p.moving["variance"] * 1.001},
        ),
        {"moving variance after step 1", "moving variance after inference"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by the tensors that it is in."""
    change, named = FAULTS[fault]
    true = parts.Normalization.__call__
    monkeypatch.setattr(
        parts.Normalization, "__call__", lambda *given, **more: change(true(*given, **more))
    )
    assert named <= set(out(check(BATCH)))


def test_other_first_values_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gamma that starts from 1.0001, a moving mean from the smallest number there is."""
    true = parts.Normalization.variables
    off = {"gamma": 1e-4, "moving_mean": np.float32(1e-38)}
    monkeypatch.setattr(
        parts.Normalization,
        "variables",
        lambda made: {name: value + off.get(name, 0) for name, value in true(made).items()},
    )
    assert {"first gamma", "first moving_mean"} <= set(out(check(BATCH)))


def test_training_must_use_the_batch_and_inference_must_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The flag of the call is what decides."""
    true = parts.Normalization.__call__

    def confused(made: Any, x: Any, upstream: Any, *, training: bool, mode: str) -> Any:
        return true(made, x, upstream, training=not training, mode=mode)

    monkeypatch.setattr(parts.Normalization, "__call__", confused)
    assert {
        "training, outputs",
        "moving mean after step 1",
        "inference, outputs",
        "moving mean after inference",
    } <= set(out(check(BATCH)))


@pytest.mark.parametrize(
    ("generation", "inputs", "form", "factor"),
    [
        (2, "image", FLOAT32, 18 / 17),
        (2, "dense", FLOAT32, 1.0),
        (2, "image", FLOAT64, 1.0),
        (3, "image", FLOAT32, 1.0),
    ],
)
def test_only_keras_2_corrects_the_variance_of_images(
    generation: int, inputs: str, form: Any, factor: float
) -> None:
    """Of 2 x 3 x 3 values: 18 / 17 of the batch's variance, from its fused kernel."""
    setting = normalization.SETTINGS[f"norm:batch-inputs:{inputs}"]
    given = normalization.inputs(setting, form, 0)
    truth = normalization.Moving(setting, given, generation=generation, form=form)
    truth.step(given.batches[0])
    _, variance = layers.batch_moments(given.batches[0])
    start = given.variables["moving_variance"]
    weight = float(np.float32(0.01)) if (generation, form) == (2, FLOAT64) else 0.01
    expected = start + (variance * factor - start) * weight
    assert isinstance(truth.values["variance"], Bounded)
    np.testing.assert_allclose(truth.values["variance"].value, expected, rtol=1e-9)


def test_seeds_vary_the_digest() -> None:
    """And the same seed repeats it."""
    digests = []
    for seed in (0, 0, 1):
        lab = Lab(None, "cpu")
        list(normalization.run(msgspec.structs.replace(check(BATCH), seed=seed), lab))
        digests.append(lab.digest)
    assert digests[0] == digests[1] != digests[2]
