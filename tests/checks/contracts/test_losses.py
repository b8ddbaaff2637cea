"""Contracts of losses: formulas give numbers worked out by hand, and planted faults are caught."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.checks.contracts import formulas, losses, reductions
from bench.checks.contracts.loss_kinds import Kind
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Check, CheckResult, result
from bench.theory.rounding.arrays import Bounded

FORMULAS = [each.subject for each in losses.checks("quick") if each.subject != "sample_weight"]


def outcome(family: Any, subject: str) -> CheckResult:
    check = Check(family=family.catalogue.family, subject=subject)
    try:
        return result(check, list(family.run(check, Lab(None, "cpu"))))
    except AbsentError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("formula", "y", "p", "truth"),
    [
        (formulas.mse, [0, 0], [1, 2], 2.5),
        (formulas.mae, [0, 0], [1, -2], 1.5),
        (formulas.mape, [2, 4], [1, 5], 37.5),
        (formulas.msle, [0, 1], [0, 3], math.log(2) ** 2 / 2),
        (formulas.cosine, [3, 4], [4, 3], -24 / 25),
        (formulas.huber(1.0), [0, 0], [0.5, 3], (0.125 + 2.5) / 2),
        (formulas.log_cosh, [0], [2], math.log(math.cosh(2))),
        (formulas.hinge, [-1, 1], [0.5, 0.5], 1.0),
        (formulas.squared_hinge, [0, 1], [0.5, 0.5], (2.25 + 0.25) / 2),
        (formulas.categorical_hinge, [0, 1, 0], [0.5, 2, 1.5], 0.5),
        (formulas.kl_divergence, [0.5, 0.5], [0.25, 0.75], math.log(4 / 3) / 2),
        (formulas.poisson, [1, 2], [1, math.e], (1 + math.e - 2) / 2),
        (formulas.binary_crossentropy, [1, 0], [0.5, 0.75], (math.log(2) + math.log(4)) / 2),
        (formulas.binary_crossentropy_logits, [1], [0], math.log(2)),
        (formulas.crossentropy, [0, 1], [0.75, 0.25], math.log(4)),
        (formulas.crossentropy_logits, [0, 1, 0], [0, 0, 0], math.log(3)),
        (formulas.binary_focal(2.0), [1], [0.75], math.log(4 / 3) / 16),
        (formulas.categorical_focal, [0, 1], [0.5, 0.5], math.log(2) / 16),
        (formulas.dice, [1, 0, 1], [0.5, 0.5, 1], 1 - 3 / 4),
        (formulas.tversky, [1, 0, 1], [0.5, 0.5, 1], 1 - 1.5 / 2),
    ],
)
def test_formulas_worked_by_hand(formula: Any, y: Any, p: Any, truth: float) -> None:
    """Of one sample each."""
    got = formula(np.array([y], float), Bounded(np.array([p], float)))
    np.testing.assert_allclose(got.value, [truth], rtol=1e-12)
    assert 0 < got.error[0] < 1e-4


def test_ctc_counts_alignments() -> None:
    """Where all classes are alike: of two labels in four steps there are C(6, 4) = 15 of 81."""
    got = formulas.ctc(np.array([[1, 2]]), Bounded(np.zeros((1, 4, 3))))
    np.testing.assert_allclose(got.value, [-math.log(15 / 81)], rtol=1e-12)


@pytest.mark.parametrize("subject", list(losses.KINDS))
def test_slopes_are_those_of_the_formulas(subject: str) -> None:
    """By differences in float64."""
    kind = losses.KINDS[subject]
    if kind.slope is None:
        pytest.skip("no slope is documented")
    y, p = kind.drawn(5, 3)
    step = 1e-6
    for column in range(3):
        moved = step * np.eye(3)[column]
        up, down = (kind.formula(y, Bounded(p + sign * moved)).value for sign in (1, -1))
        expected = kind.slope(y, Bounded(p)).value[:, column]
        if kind.name == "KLDivergence":
            expected = -y[:, column] / p[:, column]
        np.testing.assert_allclose((up - down) / (2 * step), expected, rtol=1e-6, atol=1e-8)


class Bent:
    """A loss that gives a little more."""

    def __init__(self, loss: Any, bend: Callable[[Any], Any]) -> None:
        self.loss, self.bend = loss, bend

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.bend(self.loss(*arguments, **options))


@pytest.mark.parametrize("subject", [s for s in FORMULAS if not s.startswith("ends-")])
def test_a_loss_off_by_one_in_a_thousand_is_out(
    subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every contract on values; in 16 bits by one in twenty."""
    fault = 1.05 if subject.startswith("float16") else 1.001
    made = Kind.made
    monkeypatch.setattr(
        Kind,
        "made",
        lambda kind, **options: Bent(made(kind, **options), lambda x: x * tf.cast(fault, x.dtype)),
    )
    assert outcome(losses, subject).fails


@pytest.mark.parametrize("subject", [s for s in FORMULAS if s.startswith("ends-")])
def test_a_nan_at_an_end_is_out(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As 0 times the logarithm of 0 would give."""
    made = Kind.made
    monkeypatch.setattr(
        Kind,
        "made",
        lambda kind, **options: Bent(made(kind, **options), lambda x: x + 0.0 * np.inf),
    )
    assert outcome(losses, subject).fails


OTHER = {
    "none": "sum",
    "sum": "sum_over_batch_size",
    "sum_over_batch_size": "sum",
    "mean": "sum",
    "mean_with_sample_weight": "sum_over_batch_size",
}


@pytest.mark.parametrize(
    "subject",
    [
        check.subject
        for check in reductions.checks("quick")
        if not check.subject.endswith(("-sequences", "-outputs"))  # of whole models
    ],
)
def test_another_reduction_is_out(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for, something else is done."""
    made = Kind.made

    def other(kind: Kind, **options: Any) -> Any:
        right = made(kind, **options)
        right.reduction = OTHER[options.get("reduction", "none")]
        return right

    monkeypatch.setattr(Kind, "made", other)
    if subject == "reduce-default":
        keras_loss = tf.keras.losses.MeanSquaredError
        monkeypatch.setattr(
            tf.keras.losses, "MeanSquaredError", lambda: keras_loss(reduction="sum")
        )
    assert outcome(reductions, subject).fails
