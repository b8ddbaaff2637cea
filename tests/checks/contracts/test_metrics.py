"""Contracts of metrics: truths agree with independent ones, and planted faults are caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.checks.contracts import metric_truths as truths
from bench.checks.contracts import metrics
from bench.checks.contracts.metric_cases import CASES, Case
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Check, CheckResult, result

ACCUMULATED = list(CASES)


def outcome(subject: str) -> CheckResult:
    check = Check(family="metrics", subject=subject)
    try:
        return result(check, list(metrics.run(check, Lab(None, "cpu"))))
    except AbsentError as error:
        pytest.skip(str(error))


def test_area_under_roc_counts_pairs() -> None:
    """It is the share of pairs of a positive and a negative in order, ties counting half."""
    y, p = CASES["auc-curve:ROC-interpolation"].drawn()
    pairs = p[y == 1][:, None] - p[y == 0][None, :]
    got = truths.auc("ROC")(y, p, np.ones(len(y)))
    np.testing.assert_allclose(got.value, ((np.sign(pairs) + 1) / 2).mean(), rtol=1e-6)


def test_documented_example_of_iou() -> None:
    """Weights .3, .3, .3, .1 give 1/3 and 1/7."""
    y, p, w = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0.3, 0.3, 0.3, 0.1])
    np.testing.assert_allclose(truths.iou((0,), 2)(y, p, w).value, 1 / 3)
    np.testing.assert_allclose(truths.iou((1,), 2)(y, p, w).value, 1 / 7)


def test_documented_example_of_r2() -> None:
    """Targets 1, 4, 3 and predictions 2, 4, 4 give 4/7."""
    y, p = np.array([[1.0], [4.0], [3.0]]), np.array([[2.0], [4.0], [4.0]])
    got = truths.r2("uniform_average")(y, p, np.ones(3))
    np.testing.assert_allclose(got.value, 4 / 7)


def test_scores_by_hand() -> None:
    """Two of three predicted are right, two of four are predicted: 2/3, 1/2, and F1 4/7."""
    y, p = np.array([1, 1, 1, 1, 0, 0]), np.array([0.9, 0.9, 0.1, 0.1, 0.9, 0.1])
    w = np.ones(6)
    np.testing.assert_allclose(truths.precision(y, p, w).value, 2 / 3)
    np.testing.assert_allclose(truths.recall(y, p, w).value, 1 / 2)
    f1 = truths.fbeta(1.0, None)(y[:, None], p[:, None], w)
    np.testing.assert_allclose(f1.value, [4 / 7])


class Wrapped:
    """A metric with a fault."""

    def __init__(self, metric: Any, fault: str) -> None:
        self.metric, self.fault = metric, fault

    def reset_state(self) -> None:
        if self.fault != "keeps its state":
            self.metric.reset_state()

    def update_state(self, y: Any, p: Any, weights: Any = None) -> None:
        if self.fault == "forgets batches":
            self.metric.reset_state()
        self.metric.update_state(y, p, None if self.fault == "ignores weights" else weights)

    def result(self) -> Any:
        return self.metric.result() * (1.001 if self.fault == "is larger" else 1.0)


@pytest.mark.filterwarnings("ignore:You are passing weight as `float`")  # the known fault
@pytest.mark.parametrize(
    "fault", ["keeps its state", "forgets batches", "ignores weights", "is larger"]
)
@pytest.mark.parametrize("subject", ACCUMULATED)
def test_faults_are_out(subject: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every metric."""
    made = Case.made
    monkeypatch.setattr(Case, "made", lambda case: Wrapped(made(case), fault))
    assert outcome(subject).fails
