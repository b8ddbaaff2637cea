"""Prediction next to measurement: a cell's signal ratio at step 0, and how far they may be apart.

The tolerance is derived, not found by trial. Let l be the mean over seeds of ln(signal ratio). Theory
gives its expectation to within ``error`` and one seed's standard deviation ``std``
(:mod:`bench.theory.signal.spread`), so |l - expected| <= z std / sqrt(seeds) + error. The normal
quantile z is widened for skewness by the first term of Cornish and Fisher 1938, (z^2 - 1) / 6 times
the skewness of the mean. A layer's factor of variance v has a logarithm with third cumulant of at
most 1.5 v^2 in size (chi-square: v^2), and layers are independent, so the skewness is at most
1.5 sqrt(largest v) / sqrt(seeds).

The ratio of first to last layer is judged at SIGMAS; the depth - 1 ratios of neighbours share
an equal chance of a false alarm among them (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean

from scipy import special

from bench.cells.cell import Cell
from bench.mnist import MNIST_FINGERPRINT
from bench.results.record import Record
from bench.theory.signal.meanfield import Prediction, not_followed, predict, why_not

#: Standard deviations that a measured ratio may lie from theory: under normality 1 false alarm
#: in 16,000 cells.
SIGMAS = 4.0

#: float32 holds numbers from 2^-126 to 2^128. A layer of root mean square x is still what theory says
#: if entries 2^10 times smaller than x and 2^10 times larger are held: a normal variable is smaller
#: than that in 1 of 1,300 cases and never larger, and those carry 2^-30 of the sum of squares.
_MARGIN = 2.0**10
#: Least and greatest number; of float64 with half the exponents, as signals are squared in it.
_RANGE = {
    "float32": (2.0**-126 * _MARGIN, 2.0**128 / _MARGIN),
    "float64": (2.0**-511 * _MARGIN, 2.0**511 / _MARGIN),
}


@dataclass(frozen=True)
class PredictedRatio:
    """Predicted and measured ratio of the first over the last hidden layer's signal at step 0."""

    predicted: float
    """Geometric mean that theory expects of seeds at this width and batch."""
    infinite: float
    """The ratio at infinite width, which ``bench theory`` prints."""
    measured: float
    """Geometric mean over seeds; NaN if a seed's ratio is not finite."""
    quotient: float
    """measured / predicted."""
    tolerance: float
    """Number of at least 1: the quotient must lie within [1 / tolerance, tolerance]."""
    holds: bool
    """Whether it does, and so do the ratios of all neighbouring layers."""
    layers: str = ""
    """The neighbouring layers whose ratio is furthest outside its own tolerance, if any is."""


@lru_cache(maxsize=8192)
def silent(cell: Cell) -> str:
    """Reason why a cell, though it may have a prediction, has no tolerance; empty if it has one."""
    if cell.depth < 2:
        return "one hidden layer has no ratio"
    if reason := why_not(cell):
        return reason
    if cell.precision not in _RANGE:
        return "16-bit rounding is not in the theory"
    if reason := not_followed(cell):
        return reason
    if cell.normalization == "batch" and cell.batch < 32:
        return "a batch below 32 is too small for leading order"
    return _out_of_range(cell)


def _out_of_range(cell: Cell) -> str:
    prediction = predict(cell)
    if prediction is None or prediction.signal_ratio is None:
        return "zero weights: the ratio is 0/0"
    least, greatest = prediction.scale
    lowest, highest = _RANGE[cell.precision]
    if least < lowest or greatest > highest:
        return f"signals leave the range of {cell.precision}"
    return ""


def prediction_row(cell: Cell, records: Sequence[Record]) -> PredictedRatio | None:
    """A cell's predicted and measured ratio; None where :func:`silent` says why, and where the
    records hold no gradient flow of MNIST."""
    seen = [
        record.start.signal
        for record in records
        if record.start is not None
        and record.data == MNIST_FINGERPRINT
        and len(record.start.signal) == cell.depth
    ]
    prediction = predict(cell) if seen and not silent(cell) else None
    if prediction is None:
        return None
    logs = [[math.log(value) if value else math.nan for value in signal] for signal in seen]
    means = [fmean(layer) for layer in zip(*logs, strict=True)]
    measured = means[0] - means[-1]
    expected = math.log(prediction.signal[0]) + prediction.log_bias[0]
    worst = max(prediction.step_std)
    allowed = log_tolerance(
        SIGMAS, prediction.log_std[0], prediction.log_error[0], worst, len(seen)
    )
    layers = _neighbours(prediction, means, len(seen))
    return PredictedRatio(
        predicted=exp(expected),
        infinite=prediction.signal[0],
        measured=exp(measured),
        quotient=exp(measured - expected),
        tolerance=exp(allowed),
        holds=abs(measured - expected) <= allowed and not layers,
        layers=layers,
    )


def exp(x: float) -> float:
    """e^x, infinite where that is more than a float holds."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log_tolerance(sigmas: float, std: float, error: float, worst: float, seeds: int) -> float:
    """Tolerance of the mean over seeds; ``worst`` is the largest of the layers' standard deviations."""
    skewness = 1.5 * worst / math.sqrt(seeds)
    return (sigmas + (sigmas**2 - 1) / 6 * skewness) * std / math.sqrt(seeds) + error


def shared_sigmas(count: int) -> float:
    """Standard deviations at which ``count`` values share the chance of a false alarm of one at
    :data:`SIGMAS` (Bonferroni)."""
    return float(-special.ndtri(special.ndtr(-SIGMAS) / count))


def _neighbours(prediction: Prediction, means: Sequence[float], seeds: int) -> str:
    """Name of the pair of layers that is furthest outside its tolerance; empty if none is."""
    sigmas = shared_sigmas(len(prediction.chi))
    worst, furthest = "", 1.0
    for index, chi in enumerate(prediction.chi):
        std, error = prediction.step_std[index], prediction.step_error[index]
        expected = math.log(chi) + prediction.step_bias[index]
        off = means[index] - means[index + 1] - expected
        allowed = log_tolerance(sigmas, std, error, std, seeds)
        if not abs(off) <= furthest * allowed:
            furthest = math.inf if math.isnan(off) else abs(off) / allowed
            worst = (
                f"layers {index + 1} and {index + 2}: quotient {exp(off):.3g}, "
                f"tolerance {exp(allowed):.3g}"
            )
    return worst
