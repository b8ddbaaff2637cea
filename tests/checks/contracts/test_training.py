"""Contracts of training, schedules and products hold, and planted faults show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.checks.contracts import loss_scale, products, schedules, sparse, training
from tests.checks.contracts.judging import judged, sound

keras = tf.keras
ALL = [
    (family, one)
    for family in (training, loss_scale, sparse, schedules, products)
    for one in sound(family)
]
SLIGHTLY = 1.0 + 1e-4


@pytest.mark.parametrize(("family", "subject"), ALL, ids=[subject for _, subject in ALL])
def test_keras_holds(family: Any, subject: str) -> None:
    found = judged(family, subject)
    assert not found.fails, found.reason


@pytest.mark.parametrize(
    "subject",
    [
        "accumulation-sgd-momentum",
        "accumulation-sgd-weight_decay",
        "rate-changed:optimizer",
        "ema-overwrite",
        "state-continued-sgd",
    ],
)
def test_gradients_that_are_off_show(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = keras.optimizers.SGD.update_step

    def update_step(self: Any, gradient: Any, *rest: Any) -> Any:
        return original(self, gradient * SLIGHTLY, *rest)

    monkeypatch.setattr(keras.optimizers.SGD, "update_step", update_step)
    assert judged(training, subject).fails


def test_a_factor_that_is_ignored_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.optimizers.SGD, "scale_loss", lambda _, loss: loss, raising=False)
    assert judged(loss_scale, "factor").fails


def test_an_overflow_that_is_taken_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled = keras.mixed_precision.LossScaleOptimizer
    if not hasattr(scaled, "check_finite"):
        pytest.skip("Keras 2 checks elsewhere")
    monkeypatch.setattr(scaled, "check_finite", lambda *_: tf.constant(True))
    assert judged(loss_scale, "overflow:keras3").fails


def test_decay_that_is_not_left_out_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.optimizers.AdamW, "exclude_from_weight_decay", lambda *_, **__: None)
    assert judged(training, "weight_decay-excluded").fails


def test_rows_that_are_used_twice_are_added_up() -> None:
    """Row 3 is used first and last, row 1 once: by hand."""
    table, _, (first, _) = sparse.embedded("twice")
    upstream = training.drawn("sparse upstream 0", 3, 3).astype(float)
    assert table.shape == (5, 3)
    np.testing.assert_allclose(first.value[3], upstream[0] + upstream[2])
    np.testing.assert_allclose(first.value[1], upstream[1])
    assert not first.value[[0, 2, 4]].any()


def test_scales_by_hand() -> None:
    """finite, finite: doubled; inf: halved; finite; nan: halved; finite, finite: doubled; finite."""
    assert loss_scale.scales() == [1024, 1024, 2048, 1024, 1024, 512, 512, 1024, 1024]


@pytest.mark.parametrize("subject", schedules.SCHEDULES)
def test_rates_that_are_off_show(subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = getattr(keras.optimizers.schedules, schedules.SCHEDULES[subject][0])
    original = kind.__call__
    monkeypatch.setattr(kind, "__call__", lambda self, step: original(self, step) * SLIGHTLY)
    assert judged(schedules, subject).fails


def test_rates_by_hand() -> None:
    def rate(subject: str, step: int) -> float:
        return float(schedules.SCHEDULES[subject][2](step).value)

    assert rate("exponential-staircase:true", 15) == pytest.approx(0.1 * 0.9)
    assert rate("exponential-staircase:false", 4) == pytest.approx(0.1 * math.sqrt(0.9))
    assert rate("inverse_time-staircase:false", 8) == pytest.approx(0.1 / 1.7)
    assert rate("polynomial-power:2-cycle:false", 100) == pytest.approx(0.01)
    assert rate("polynomial-power:1-cycle:true", 12) == pytest.approx(0.09 * 0.25 + 0.01)
    assert rate("cosine", 4) == pytest.approx(0.1 * (0.8 * 0.5 + 0.2))
    assert rate("cosine-warmup", 2) == pytest.approx(0.2)
    assert rate("cosine_restarts-t_mul:2", 8) == pytest.approx(0.1 * (0.8 * 0.5 + 0.2))
    assert [rate("piecewise", step) for step in (3, 4, 8, 9)] == [1.0, 0.5, 0.5, 0.1]


def test_products_that_are_off_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the longest inner length the bound is widest: 565 roundoffs of the sum of sizes."""
    original = tf.linalg.matmul
    monkeypatch.setattr(tf.linalg, "matmul", lambda *a, **k: original(*a, **k) * SLIGHTLY)
    assert judged(products, "matmul-batches").fails
    assert judged(products, "matmul-inner").fails
    plain = tf.einsum
    monkeypatch.setattr(tf, "einsum", lambda *a, **k: plain(*a, **k) * SLIGHTLY)
    assert judged(products, "einsum").fails
