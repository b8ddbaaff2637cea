"""Contracts of regularizers and constraints: planted faults are caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from bench.checks.contracts import regularizers
from bench.checks.lab import Lab
from bench.results.check import Check, CheckResult, result

keras = tf.keras


def outcome(subject: str) -> CheckResult:
    check = Check(family="regularizers", subject=subject)
    return result(check, list(regularizers.run(check, Lab(None, "cpu"))))


def bent(monkeypatch: pytest.MonkeyPatch, thing: Any, method: str, factor: float) -> None:
    """A method of a class gives its result times a factor from here on."""
    right: Callable[..., Any] = getattr(thing, method)
    monkeypatch.setattr(thing, method, lambda *given, **named: right(*given, **named) * factor)


@pytest.mark.parametrize(
    ("subject", "thing"),
    [
        ("values-L1-L2", keras.regularizers.L1),
        ("values-L1-L2", keras.regularizers.L2),
        ("values-L1-L2", keras.regularizers.L1L2),
        ("values-orthogonal", keras.regularizers.OrthogonalRegularizer),
        ("weights-loss", keras.regularizers.L2),
        ("weights-loss", keras.regularizers.L1),
        ("weights-layers", keras.regularizers.L2),
        ("activity-loss", keras.regularizers.L2),
        ("activity-layers", keras.regularizers.L1),
        ("constraints", keras.constraints.NonNeg),
        ("constraints", keras.constraints.UnitNorm),
        ("constraints", keras.constraints.MaxNorm),
        ("constraints", keras.constraints.MinMaxNorm),
        ("constraints-training", keras.constraints.NonNeg),
        ("constraints-training", keras.constraints.MaxNorm),
    ],
)
def test_a_result_off_by_one_in_a_thousand_is_out(
    subject: str, thing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each regularizer and constraint."""
    bent(monkeypatch, thing, "__call__", 1.001)
    assert outcome(subject).fails


@pytest.mark.parametrize("subject", ["activity-loss", "activity-layers"])
def test_penalties_that_grow_with_the_batch_are_out(
    subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Keras 3.0 to 3.13: the sum over a batch, not its mean."""
    for thing in (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2):
        right = thing.__call__
        monkeypatch.setattr(
            thing,
            "__call__",
            lambda self, x, right=right: right(self, x) * tf.cast(tf.shape(x)[0], x.dtype),
        )
    assert outcome(subject).fails
