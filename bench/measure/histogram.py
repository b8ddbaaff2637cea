"""Histograms of tensors, as TensorBoard shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.results.histogram import Histogram

Tensor = npt.NDArray[Any]

#: TensorBoard's histogram plugin draws as many.
BINS = 30

#: The squares of ten million entries as large as this add up to 1e307, which float64 still holds.
LARGEST = 1e150


def histogram(name: str, values: npt.NDArray[Any], *, step: int, gradient: bool) -> Histogram:
    """The distribution of ``values``, of any shape, in bins of equal width. Entries that are not finite
    or beyond :data:`LARGEST` are left out; where the others are equal, or too close to each other for
    float64 to divide, one bin has all of them."""
    finite = np.asarray(values, np.float64).ravel()
    finite = finite[np.abs(finite) <= LARGEST]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if np.all(np.diff(np.linspace(low, high, BINS + 1)) > 0):
        counts, edges = np.histogram(finite, BINS, (low, high))
    else:
        counts, edges = np.array([finite.size]), np.array([low, high])
    return Histogram(
        name=name,
        gradient=gradient,
        step=step,
        edges=edges.tolist(),
        counts=counts.tolist(),
        total=float(finite.sum()),
        squares=float((finite**2).sum()),
    )


class Histograms:
    """Takes histograms of each variable and, if it is trained, its gradient."""

    def __init__(self) -> None:
        self.taken: list[Histogram] = []

    def __call__(
        self,
        step: int,
        variables: Mapping[str, npt.NDArray[Any]],
        tensors: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        for name, value in variables.items():
            self.taken.append(histogram(name, value, step=step, gradient=False))
            gradient = tensors.get(f"{name}, gradient")
            if gradient is not None:
                self.taken.append(histogram(name, gradient, step=step, gradient=True))
