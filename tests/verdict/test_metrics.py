"""Tests of what is compared."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.verdict.metrics import (
    BY_NAME,
    HALF_OF_GUESSING,
    LOSS_WINDOW,
    METRICS,
    Metric,
    steps_to_level,
)
from support.builders import crashed, diverged, flow, trained

CELL = Cell(depth=3)


def test_names_are_unique_and_every_margin_is_explained() -> None:
    """No two metrics share a name; each states where its minimum effect comes from."""
    assert len(BY_NAME) == len(METRICS) >= 7
    for metric in METRICS:
        assert metric.minimum_effect > 0
        assert len(metric.why) > 80


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_of_every_outcome_is_finite_or_none(metric: Metric) -> None:
    """A trained replica has every metric, a crashed one none, and none raises."""
    assert metric.get(trained(CELL, 0, trajectory=_losses(2.3, *[0.5] * 40))) is not None
    assert metric.get(crashed(CELL, 0)) is None
    at_start = metric.get(diverged(CELL, 0))
    assert (at_start is not None) == metric.name.endswith("_start")


def _losses(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def test_values_by_hand() -> None:
    """.9427 accuracy, loss .2, ratio .5, a quarter of the units dead. The losses fall below the level
    1.1513 with step 5, and their mean of ten, 2.3 x k + .5 x (10 - k) over 10, with k = 3: step 11."""
    record = trained(
        CELL,
        0,
        accuracy=0.9427,
        spread=0.0,
        ratio=0.5,
        dead=0.25,
        trajectory=_losses(*[2.3] * 4, *[0.5] * 30),
    )
    values = {metric.name: metric.get(record) for metric in METRICS}
    assert values == pytest.approx(
        {
            "test_accuracy": 0.9427,
            "test_loss": 0.2,
            "steps_to_half_loss": 11.0,
            "signal_ratio_start": 0.5,
            "kernel_ratio_start": 0.5,
            "signal_ratio_end": 0.5,
            "dead_share_end": 0.25,
        }
    )


@pytest.mark.parametrize(
    "signal", [[], [None, 1.0], [1.0, None], [1.0, 0.0], [0.0, 1.0], [1e300, 1e-300]]
)
def test_a_ratio_without_a_logarithm_is_none(signal: list[float | None]) -> None:
    """No hidden layer, overflow, a denominator or a numerator of zero: None, not infinity."""
    cell = Cell(depth=len(signal))
    record = trained(cell, 0)
    broken = msgspec.structs.replace(flow(cell), signal=signal)
    assert BY_NAME["signal_ratio_end"].get(msgspec.structs.replace(record, end=broken)) is None


def test_changes_and_their_words() -> None:
    """A log metric's change is a ratio, a linear one's a difference in points."""
    ratio, accuracy = BY_NAME["signal_ratio_end"], BY_NAME["test_accuracy"]
    assert ratio.change(0.5, 1.0) == pytest.approx(math.log(2))
    assert ratio.describe_change(math.log(2)) == "x 2"
    assert accuracy.describe_change(accuracy.change(0.95, 0.93)) == "-2.00 pp"
    assert ratio.describe_margin() == "a factor of 2"
    assert accuracy.describe_margin() == "0.50 pp"
    assert accuracy.describe(None) == "not defined"


def test_floor_of_accuracy_by_hand() -> None:
    """Jordan: at 8 % error on 10,000 images sqrt(.08 x .92 / 20,000) = .19 points; at 100 % the
    resolution of .05 points."""
    floor = BY_NAME["test_accuracy"].floor(np.array([0.92, 1.0]))
    np.testing.assert_allclose(np.sqrt(floor), [0.001918, 0.0005], rtol=1e-3)


@pytest.mark.parametrize(
    ("losses", "steps"),
    [
        ([0.5] * LOSS_WINDOW, LOSS_WINDOW),
        ([0.5] * (LOSS_WINDOW - 1), None),
        ([2.0] * 50, None),
        ([1.0] * 50, LOSS_WINDOW),
        ([math.nan, *[0.5] * LOSS_WINDOW], LOSS_WINDOW + 1),
        ([0.5, *[math.inf] * 30], None),
        ([], None),
    ],
)
def test_steps_to_a_level(losses: list[float], steps: int | None) -> None:
    """Not before a whole window, at the level itself, never with a NaN or an infinity in the window."""
    assert steps_to_level(_losses(*losses), 1.0) == steps


def test_half_of_guessing_by_hand() -> None:
    """Ten equal scores: -ln .1 = 2.3026; squared errors .9^2 and nine times .1^2, over ten: .09."""
    assert HALF_OF_GUESSING["crossentropy"] == pytest.approx(2.302585 / 2)
    assert HALF_OF_GUESSING["mse"] == pytest.approx((0.81 + 9 * 0.01) / 10 / 2)


def test_a_loss_of_zero_has_no_logarithm() -> None:
    """It is not defined, rather than minus infinity."""
    assert BY_NAME["test_loss"].get(trained(CELL, 0, test_loss=0.0)) is None
