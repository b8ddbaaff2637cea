"""Muon's formula on bounded arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.theory.rounding.arrays import Bounded

Array = npt.NDArray[Any]

#: Coefficients of the iteration, Keras' defaults.
QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalized(matrix: Bounded) -> Bounded:
    """Five times x <- f(x) = a x + (b A + c A A) x with A = x x', from the matrix over its norm; of the
    transposed one if that is tall (K. Jordan, "Muon: an optimizer for hidden layers", 2024).

    Entry by entry, bounds of rounding would grow a hundredfold in each iteration. An error before one
    grows by at most max |f'| up to the largest singular value, to first order: f is odd and acts on
    singular values, so its derivative's norm is the largest of its divided differences. So bounds are
    carried on as norms, which bound every entry.

    Args:
        matrix: (rows, columns).
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalized(matrix.T).T
    a, b, c = QUINTIC
    x: Bounded = matrix / (np.sqrt(np.square(matrix).sum()) + 1e-7)
    error = np.linalg.norm(x.error)
    for _ in range(5):
        singular = np.linspace(0.0, np.linalg.norm(x.value, 2), 1000)
        growth = np.abs(a + 3 * b * singular**2 + 5 * c * singular**4).max()
        x = Bounded(x.value)
        square = x @ x.T
        x = x * a + (square * b + square @ square * c) @ x
        error = growth * error + np.linalg.norm(x.error)
    return Bounded(x.value, np.full(x.shape, error))


def trained(
    start: Array, gradients: Sequence[Array], *, rate: float, momentum: float
) -> Iterator[Bounded]:
    """Weights after each step; momentum averages without Nesterov's, nothing decays, and the step is
    the rate times the orthogonalized average.

    Args:
        start: (rows, columns).
        gradients: of each step, shaped alike.
        rate: the learning rate.
        momentum: what stays of the average.
    """
    weights, average = Bounded(start), Bounded(np.zeros(start.shape))
    for gradient in gradients:
        average = average + (Bounded(gradient) + average * (momentum - 1))
        weights = weights - orthogonalized(average) * rate
        yield weights
