"""Gradient flow: how signals, gradients and activations are spread, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from bench.results.flow import Flow, Products, finite, finite_list

Arrays = Sequence[npt.NDArray[Any]]


def flow(
    *,
    signals: Arrays,
    activations: Arrays,
    gradients: Arrays,
    clipped: Arrays | None,
    dead_units: Arrays,
    places: Sequence[tuple[int, int]] | None = None,
    over_time: Sequence[Arrays] = (),
    products: Products | None = None,
) -> Flow:
    """Summarizes one look into a network. All sums are in float64, so squares don't underflow.

    Args:
        signals: per hidden layer dC/dz, (batch, .., units), C each example's own loss; of a recurrent
            layer dC/ds of its state s after each step.
        activations: per hidden layer its output, (batch, .., units).
        gradients: per trainable variable of the batch-mean loss; kernels have 2 or 4 dimensions and
            come layer by layer, each followed by its bias.
        clipped: the same after clipping; None if the cell does not clip.
        dead_units: per hidden layer a bool per unit.
        places: of each hidden layer's kernel and bias among the gradients; None where hidden layers
            have nothing else of 2 dimensions or more.
        over_time: of each recurrent layer, in each direction, dC/ds after each step, (batch, steps,
            entries).
        products: of the last one.
    """
    wide = [np.asarray(gradient, np.float64) for gradient in gradients]
    kept = wide if clipped is None else [np.asarray(array, np.float64) for array in clipped]
    kernels = [index for index, gradient in enumerate(wide) if gradient.ndim > 1]
    hidden = places or [(index, index + 1) for index in kernels[:-1]]
    with np.errstate(over="ignore", invalid="ignore"):
        return Flow(
            signal=finite_list(_mean_square(array) for array in signals),
            kernel_gradient=finite_list(float(np.var(wide[kernel])) for kernel, _ in hidden),
            bias_gradient=finite_list(float(np.var(wide[bias])) for _, bias in hidden),
            activation_mean=finite_list(np.mean(array, dtype=np.float64) for array in activations),
            activation_variance=finite_list(
                np.var(array, dtype=np.float64) for array in activations
            ),
            dead_units=finite_list(float(np.mean(units)) for units in dead_units),
            gradient_norm=finite(_global_norm(wide)),
            clipped_norm=finite(_global_norm(kept)),
            clipped_peak=finite(_peak(kept)),
            clipped_variable_norm=finite(np.max([_global_norm([array]) for array in kept])),
            clip_error=finite(_clip_error(wide, kept)),
            kernel_gradient_peak=finite(_peak([wide[index] for index in kernels])),
            over_time=[_at_each_step(layer) for layer in over_time] or UNSET,
            products=products or UNSET,
        )


def _at_each_step(directions: Arrays) -> list[float | None]:
    """Mean square at each step over examples, entries and directions."""
    squares = [np.square(array, dtype=np.float64) for array in directions]
    return finite_list(np.mean(squares, axis=(0, 1, 3)))


def _mean_square(array: npt.NDArray[Any]) -> float:
    return float(np.mean(np.square(array, dtype=np.float64)))


def _global_norm(arrays: Arrays) -> float:
    return float(np.sqrt(sum(float(np.sum(np.square(array))) for array in arrays)))


def _peak(arrays: Arrays) -> float:
    return float(np.max([np.max(np.abs(array)) for array in arrays]))  # max() may drop a NaN


def _clip_error(before: Arrays, after: Arrays) -> float:
    """Largest change of an entry, relative to the largest entry; 0 where all is 0."""
    change = _peak([new - old for new, old in zip(after, before, strict=True)])
    if change == 0.0:
        return 0.0
    largest = _peak(before)
    return change / largest if largest else math.inf
