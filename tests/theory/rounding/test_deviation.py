"""Tests of deviations: what counts as equal, what is out, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact
from bench.theory.rounding.formats import FLOAT64


def test_the_worst_entry_is_named() -> None:
    """By place, value, bound and units in the last place."""
    truth = Bounded(np.array([[1.0, 2.0], [3.0, 4.0]]), 2.0**-23)
    found = deviation("kernel", np.array([[1.0, 2.0], [3.0, 4.0 + 2.0**-20]]), truth)
    assert found.out
    assert found.excess == pytest.approx(8.0)
    assert found.ulps == pytest.approx(2.0)
    assert "at [1, 1]" in found.evidence
    assert "expected 4 " in found.evidence


def test_what_must_agree_exactly_is_told_so() -> None:
    """Neither a bound of 0 nor how often it fits."""
    assert exact("calls", [2.0], [6.0]).evidence == "got 2, expected exactly 6 at [0]"
    assert (
        deviation("a", [2.0], Bounded([6.0], 1.0)).evidence == "got 2, expected 6 within 1 at [0]"
    )


def test_within_the_bound() -> None:
    """Up to the bound itself."""
    assert not deviation("a", np.array([1.0 + 1e-7]), Bounded([1.0], 1.0000001e-7)).out


@pytest.mark.parametrize(
    ("got", "truth"),
    [(np.nan, np.nan), (np.inf, np.inf), (-np.inf, -np.inf), (0.0, -0.0), (np.inf, 3.5e38)],
)
def test_what_agrees_beyond_the_numbers(got: float, truth: float) -> None:
    """NaN is NaN; infinity is itself, or a number that float32 cannot hold."""
    assert not exact("a", [got], [truth]).out


@pytest.mark.parametrize(
    ("got", "truth"),
    [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (np.inf, -np.inf), (-np.inf, 3.5e38)],
)
def test_what_does_not(got: float, truth: float) -> None:
    """None of it has a size: the excess is infinite."""
    found = exact("a", [1.0, got], [1.0, truth])
    assert found.out
    assert found.excess is None
    assert "at [1]" in found.evidence


@pytest.mark.parametrize(("got", "out"), [(1.5, True), (np.inf, True), (1.0, False)])
def test_within_an_infinite_bound_only_the_truth_passes(got: float, out: bool) -> None:
    """A comparison that nothing could fail is none."""
    assert deviation("a", [got], Bounded([1.0], [np.inf])).out is out


def test_shapes_must_agree() -> None:
    """A broadcast would hide a missing unit."""
    assert deviation("a", np.ones(3), Bounded(np.ones((1, 3)), 1.0)).out


def test_an_empty_tensor_is_no_deviation() -> None:
    """There is nothing in it."""
    assert not exact("a", np.ones((0, 3)), np.ones((0, 3))).out


def test_float64_truth_errs_as_much_as_what_it_judges() -> None:
    """So both sides' errors count."""
    truth = Bounded([1.0], 2.0**-53, FLOAT64)
    assert not deviation("a", np.array([1.0 + 2.0**-52]), truth).out
    assert deviation("a", np.array([1.0 + 2.0**-51]), truth).out
