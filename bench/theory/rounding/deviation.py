"""Distance of what TensorFlow computed from the truth, in units of its bound and in ulps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded

#: Bounds to count. Truth in float64 is itself off by as much as what it judges.
_BOUNDS = {"float64": 2.0}


def deviation(tensor: str, got: npt.ArrayLike, expected: Bounded) -> Deviation:
    """The worst entry of a tensor.

    A NaN must be a NaN; an infinity may also be a number so large that rounding makes it one. Within an
    infinite bound nothing but the truth itself passes: whatever were compared, it would hold.

    Args:
        tensor: its name, for people.
        got: TensorFlow's result, of the expected shape.
        expected: the truth and its bound.
    """
    actual = np.asarray(got, np.float64)
    form = expected.form
    if actual.shape != expected.shape:
        evidence = f"shape {actual.shape}, expected {expected.shape}"
        return Deviation(tensor=tensor, excess=None, evidence=evidence)
    if not actual.size:
        return Deviation(tensor=tensor, excess=0.0, evidence="no entries")
    truth = expected.value
    with np.errstate(invalid="ignore", over="ignore"):
        bound = np.asarray(expected.error) * _BOUNDS.get(form.name, 1.0)
        error = np.abs(actual - truth)
        ratio = _ratio(actual, truth, error, bound, form.largest)
    at = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    worst = float(ratio[at])
    ulps = float(error[at]) / form.spacing(float(truth[at])) if np.isfinite(truth[at]) else math.nan
    where = f" at {list(map(int, at))}" if at else ""
    return Deviation(
        tensor=tensor,
        excess=worst if math.isfinite(worst) else None,
        ulps=ulps if math.isfinite(ulps) else None,
        evidence=f"got {actual[at]:.9g}, expected {_expected(truth[at], bound[at])}{where}",
    )


def _expected(truth: float, bound: float) -> str:
    """``2.5 within 1e-05``, ``exactly 6``."""
    return f"{truth:.9g} within {bound:.3g}" if bound else f"exactly {truth:.9g}"


def _ratio(actual: Any, truth: Any, error: Any, bound: Any, largest: float) -> Any:
    """Error of each entry over its bound; infinite where none is allowed."""
    if np.isfinite(error).all() and bound.min() > 0.0 and np.isfinite(bound.max()):
        return error / bound  # nothing below can say otherwise
    bounded = (bound > 0.0) & np.isfinite(bound)
    ratio = np.where(error == 0.0, 0.0, error / np.where(bounded, bound, np.nan))
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    return np.where(_alike(actual, truth, bound, largest), 0.0, ratio)


def _alike(actual: Any, truth: Any, bound: Any, largest: float) -> Any:
    """Whether an entry is not finite, and should not be."""
    overflow = np.isfinite(bound) & (np.abs(truth) + bound >= largest)
    return (
        (np.isnan(actual) & np.isnan(truth))
        | ((actual == truth) & np.isinf(truth))
        | (np.isinf(actual) & overflow & (np.sign(actual) == np.sign(truth)))
    )


def exact(tensor: str, got: npt.ArrayLike, expected: npt.ArrayLike) -> Deviation:
    """The worst entry of a tensor that must agree exactly, NaN with NaN, -0 with 0."""
    return deviation(tensor, got, Bounded(np.asarray(expected, np.float64)))
