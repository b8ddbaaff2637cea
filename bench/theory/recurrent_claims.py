"""Claims about recurrent networks: gradients that go back through their steps."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from bench.cells import recurrent
from bench.cells.cell import Cell
from bench.cells.initial_values import recurrent_kernel
from bench.mnist import MNIST_FINGERPRINT
from bench.results.flow import Products
from bench.results.record import Record
from bench.theory.claim import Claim, Finding
from bench.theory.rounding.formats import FLOAT64, OF_PRECISION
from bench.theory.signal import over_time
from bench.theory.signal.predicted import SIGMAS, exp, log_tolerance, shared_sigmas

#: Architecture, activation and recurrent initializer of networks whose Jacobians are not rounded.
EXACT = ("simple_rnn", "relu", "identity")


def _by_products(cell: Cell, records: Sequence[Record]) -> Finding | None:
    """Whether what arrives at each step is what products of Jacobians make of what left the last.

    ReLU's slopes are 0 and 1, and so are the identity's entries: nothing is rounded but the mean of the
    squares of at most 4 examples, in float64.
    """
    exact = (cell.architecture, cell.activation, cell.recurrent) == EXACT
    found = [
        record.start.products
        for record in records
        if record.start is not None and isinstance(record.start.products, Products)
    ]
    triples = [
        (step, *numbers)
        for products in found
        for step, numbers in enumerate(
            zip(products.measured, products.product, products.error, strict=True),
            start=recurrent.steps(cell) - len(products.measured) + 1,
        )
    ]
    if not triples:
        return None
    worst, told = -1.0, ""
    for step, measured, product, error in triples:
        if measured is None or product is None or error is None:
            return False, f"at step {step} a gradient is not finite"
        if exact:
            error = 4 * cell.width * FLOAT64.roundoff * product
        off = abs(measured - product)
        share = off / error if error else math.inf if off else 0.0
        if share > worst:
            worst = share
            told = f"step {step}: {measured:.7g}, by products {product:.7g} within {error:.2g}"
    return worst <= 1.0, f"mean square of {told}, the worst of {len(triples)} steps"


def _norms(cell: Cell, seed: int) -> tuple[float, float]:
    """Largest singular value, and largest Frobenius norm, of the last layer's recurrent kernels."""
    count = recurrent.directions(cell)
    return _norms_of(
        cell.recurrent, cell.width, seed, tuple(range((cell.depth - 1) * count, cell.depth * count))
    )


@functools.lru_cache(maxsize=256)
def _norms_of(
    initializer: str, width: int, seed: int, places: tuple[int, ...]
) -> tuple[float, float]:
    kernels = [
        recurrent_kernel(initializer, (width, width), seed=seed, layer=place) for place in places
    ]
    return (
        max(float(np.linalg.norm(kernel, 2)) for kernel in kernels),
        max(float(np.linalg.norm(kernel)) for kernel in kernels),
    )


def _flushed(cell: Cell, largest: float) -> float:
    """Bound on what a step back adds to the root mean square where its numbers are flushed to 0.

    Below the format's smallest number s are then the slope's product, which the kernel of this largest
    singular value multiplies, and n products and n sums of each entry, of the batch's mean loss.
    """
    return cell.batch * OF_PRECISION[cell.precision].smallest * (largest + 2 * cell.width)


def _below_largest_singular_value(cell: Cell, records: Sequence[Record]) -> Finding | None:
    """Whether no step back multiplies the mean square by more than the squared largest singular value.

    Rounding adds to the product of a row of n entries with a kernel at most n u times its Frobenius
    norm, as n u |x| |y| is the bound of an inner product (Higham 2002, eq. 3.5); the kernel was rounded
    by u of it, and the slope and its product by 2 u more.
    """
    u = OF_PRECISION[cell.precision].roundoff
    worst, told = -math.inf, ""
    for record in records:
        if record.start is None or not isinstance(record.start.over_time, list):
            continue
        largest, frobenius = _norms(cell, record.seed)
        most = (largest + (cell.width + 1) * u * frobenius) * (1 + 2 * u)
        flushed = _flushed(cell, most)
        signal = record.start.over_time[-1]
        for step in range(len(signal) - 1):
            before, after = signal[step], signal[step + 1]
            if before is None or after is None:
                return False, f"at step {step + 1} or the next the gradient is not finite"
            over = before > (most * math.sqrt(after) + flushed) ** 2
            growth = before / after if after > flushed**2 else math.inf if over else 0.0
            if growth / most**2 > worst:
                worst = growth / most**2
                told = (
                    f"from step {step + 2} to {step + 1} the mean square is multiplied by "
                    f"{growth:.7g}, at most {most**2:.7g}"
                )
            if over:
                return False, told
    return (True, told) if told else None


def _as_predicted(cell: Cell, records: Sequence[Record]) -> Finding | None:
    """Whether gradients change from step to step as mean-field theory says; tolerances are those of
    :mod:`bench.theory.signal.predicted`, for steps in the place of layers. Nothing is said of gradients
    so small that flushing to 0 adds more than rounding does."""
    prediction = over_time.predict(cell)
    signals = {
        record.seed: record.start.over_time[0]
        for record in records
        if record.start is not None
        and isinstance(record.start.over_time, list)
        and record.data == MNIST_FINGERPRINT
    }
    if prediction is None or not signals:
        return None
    logs, seeds = over_time.measured(list(signals.values())), len(signals)
    flushed = _flushed(cell, max(_norms(cell, seed)[0] for seed in signals))
    smallest = 2 * math.log(flushed / OF_PRECISION[cell.precision].roundoff)
    if logs[-1] + prediction.log_ratio.min() < smallest:
        return None
    ratio, expected = logs[0] - logs[-1], float(prediction.log_ratio[0])
    allowed = log_tolerance(
        SIGMAS, prediction.log_std[0], prediction.log_error[0], prediction.worst, seeds
    )
    told = (
        f"first over last step {exp(ratio):.4g}, predicted {exp(expected):.4g}: quotient "
        f"{exp(ratio - expected):.4g}, tolerance {exp(allowed):.4g}"
    )
    if not abs(ratio - expected) <= allowed:
        return False, told
    sigmas = shared_sigmas(len(prediction.step))
    for step, (log, std, error) in enumerate(
        zip(prediction.step, prediction.step_std, prediction.step_error, strict=True)
    ):
        off = float(logs[step] - logs[step + 1] - log)
        allowed = log_tolerance(sigmas, std, error, std, seeds)
        if not abs(off) <= allowed:
            return False, (
                f"{told}; steps {step + 1} and {step + 2}: quotient {exp(off):.3g}, tolerance "
                f"{exp(allowed):.3g}"
            )
    return True, told


JACOBIAN_PRODUCTS = Claim(
    "jacobian-products",
    "What goes back from the last step of the last recurrent layer to one of up to 111 before it is "
    "multiplied by the Jacobians of the steps between (Pascanu et al. 2013, eq. 5), within what "
    "rounding makes of it; with ReLU and the identity, exactly.",
    lambda cell: cell.architecture in recurrent.ARCHITECTURES,
    _by_products,
)
SINGULAR_VALUE_BOUNDS = Claim(
    "singular-value-bounds-time",
    "A step back in time multiplies a gradient by no more than the largest singular value of the "
    "recurrent kernel, where slopes are at most 1 (Pascanu et al. 2013, section 2.1): below 1 it "
    "vanishes, and an orthogonal kernel or the identity lets none explode.",
    lambda cell: cell.architecture == "simple_rnn" and not cell.precision.startswith("mixed"),
    _below_largest_singular_value,
)
MEAN_FIELD_OVER_TIME = Claim(
    "mean-field-over-time",
    "In a wide recurrent layer the gradient's mean square changes from step to step as mean-field "
    "theory predicts (Chen, Pennington and Schoenholz 2018), within what a finite width, and one "
    "kernel for all steps, make of it.",
    lambda cell: not over_time.why_not(cell),
    _as_predicted,
)
RECURRENT_CLAIMS = (JACOBIAN_PRODUCTS, SINGULAR_VALUE_BOUNDS, MEAN_FIELD_OVER_TIME)
