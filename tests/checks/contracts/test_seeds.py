"""Contracts of seeds: planted faults are caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.checks.contracts import seeds
from bench.checks.lab import Lab
from bench.results.check import Check, CheckResult, result

keras = tf.keras
SEEDED = [check.subject for check in seeds.checks("quick") if check.subject.startswith("seed-")]
FANS = [check.subject for check in seeds.checks("quick") if check.subject.startswith("fans-")]


def outcome(subject: str) -> CheckResult:
    check = Check(family="seeds", subject=subject)
    return result(check, list(seeds.run(check, Lab(None, "cpu"))))


def bent(monkeypatch: pytest.MonkeyPatch, thing: Any, method: str, factor: float) -> None:
    """A method of a class gives its result times a factor from here on."""
    right = getattr(thing, method)
    monkeypatch.setattr(thing, method, lambda *given, **named: right(*given, **named) * factor)


@pytest.mark.parametrize("subject", SEEDED)
def test_a_seed_that_is_ignored_is_out(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were none: seed 0 alone, or every seed."""
    thing = getattr(keras.initializers, subject.removeprefix("seed-"))
    made = thing.__init__
    for ignored in ((0,), seeds.SEEDS):

        def init(self: Any, *given: Any, ignored: Any = ignored, **named: Any) -> None:
            seed = named.pop("seed", None)
            made(self, *given, seed=None if seed in ignored else seed, **named)

        monkeypatch.setattr(thing, "__init__", init)
        assert outcome(subject).fails


@pytest.mark.parametrize("subject", SEEDED)
def test_seeds_that_give_the_same_are_out(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the seed were always 1."""
    thing = getattr(keras.initializers, subject.removeprefix("seed-"))
    made = thing.__init__
    monkeypatch.setattr(
        thing, "__init__", lambda self, *given, **named: made(self, *given, **{**named, "seed": 1})
    )
    assert outcome(subject).fails


@pytest.mark.parametrize("subject", FANS)
def test_a_scale_off_by_one_in_twenty_is_out(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fan off by one in ten."""
    bent(monkeypatch, keras.initializers.VarianceScaling, "__call__", 1.05)
    assert outcome(subject).fails


def test_a_global_seed_without_effect_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is the same then."""
    monkeypatch.setattr(keras.utils, "set_random_seed", lambda seed: None)
    assert outcome("set_random_seed").fails


@pytest.mark.parametrize(
    ("subject", "thing"),
    [
        ("dropout-rate", keras.layers.Dropout),
        ("dropout-shapes", keras.layers.SpatialDropout2D),
        ("noise", keras.layers.GaussianNoise),
        ("noise", keras.layers.GaussianDropout),
        ("alpha_dropout", keras.layers.AlphaDropout),
    ],
)
def test_outputs_off_by_a_tenth_are_out(
    subject: str, thing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In training as at inference."""
    bent(monkeypatch, thing, "call", 1.1)
    assert outcome(subject).fails


def test_dropout_of_another_rate_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of .54 instead of .5."""
    made = keras.layers.Dropout.__init__
    monkeypatch.setattr(
        keras.layers.Dropout,
        "__init__",
        lambda self, rate, **named: made(self, rate * 1.08, **named),
    )
    assert outcome("dropout-rate").fails


def test_dropout_that_repeats_itself_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same mask in every call."""
    mask = np.resize([0.0, 2.0], (16, 16)).astype("f4")
    monkeypatch.setattr(keras.layers.Dropout, "call", lambda self, x, training=False: x * mask)
    assert outcome("dropout-seed").fails


@pytest.mark.parametrize("name", ["Zeros", "Ones", "Constant", "Orthogonal"])
def test_fixed_initializers_off_are_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one in a thousand, and Zeros by that much."""
    right = getattr(keras.initializers, name).__call__
    monkeypatch.setattr(
        getattr(keras.initializers, name),
        "__call__",
        lambda *given, **named: right(*given, **named) * 1.001 + (name == "Zeros") * 0.001,
    )
    assert outcome("fixed").fails


@pytest.mark.parametrize("name", ["RandomUniform", "RandomNormal", "TruncatedNormal"])
def test_distributions_off_are_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a twentieth."""
    bent(monkeypatch, getattr(keras.initializers, name), "__call__", 1.05)
    assert outcome("distribution").fails
