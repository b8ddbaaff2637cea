"""Mean-field prediction of gradients over time: a wide layer that reads an image in steps.

Chen, Pennington and Schoenholz 2018 take each step's kernels for drawn anew. With s_w^2 = n Var(U) of
the kernel from state to state, s_v^2 = Var(W) of that from pixels, and x_t the pixels of step t,

    q_t = s_w^2 F(q_(t-1)) + s_v^2 |x_t|^2,  h_t = phi(z_t),  z_t ~ N(0, q_t),  F(q_0) = 0
    S_(t-1) / S_t = chi_t = s_w^2 D(q_t)      (their section 3.1; S_t: mean square of dC/dh_t)

with F and D of :mod:`bench.theory.signal.moments`. A finite layer of n units is off by more than that:

- The mean of (phi'(z_i) dC/dh_i)^2 over units, and the product of that vector with a kernel of
  independent entries, make ln chi_t vary by (3 E[phi'^4] / D^2 - 1) / n for one example (Hanin and
  Nica 2020, theorem 1, for ReLU: 5 / n), a batch's by no more; and E ln is below ln E by at most half
  of it.
- q_t varies, too, as the mean of phi^2 over units does, by v_t = kappa^2 v_(t-1) + (E[phi^4] / F^2 -
  1) / n of its size, squared, and ln D with it by lambda^2 v_t; what a step has of it the next ones
  keep, so these standard deviations add up.
- All steps have one kernel. By the time at which S_t is looked at, T states and T - t gradients have
  gone through it; on the directions of these, of which there are at most 2 T - t of n, it is not drawn
  anew. Their share of n bounds what a step is off by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from bench.cells import recurrent
from bench.cells.cell import Cell
from bench.cells.initial_values import variance
from bench.cells.numbers import split_number
from bench.theory.signal.images import MNIST_ROWS, MNIST_SQUARED_NORMS
from bench.theory.signal.moments import Array, moments_of, to_last

#: Least units per step: at fewer, the directions that steps share leave nothing to be said.
UNITS_PER_STEP = 20


@dataclass(frozen=True)
class OverTime:
    """Gradients at step 0 of the last layer, step by step in time; one seed, one batch."""

    log_ratio: Array
    """ln(S_t / S_T), of T steps."""
    log_std: Array
    log_error: Array
    """Bound on what the mean is off by."""
    step: Array
    """ln(S_t / S_(t+1)), T - 1 of them, and likewise for the next two."""
    step_std: Array
    step_error: Array
    worst: float
    """Largest standard deviation of a step."""


def why_not(cell: Cell) -> str:
    """Reason why there is no prediction; empty if there is one."""
    if (cell.architecture, cell.depth, cell.direction) != ("simple_rnn", 1, "forward"):
        return "the theory is that of one simple recurrent layer that reads forward"
    if cell.pixels % 28:
        return "the statistics of images are those of whole rows"
    if split_number(cell.recurrent)[0] in ("zeros", "orthogonal", "identity") or cell.bias:
        return "the spread is that of kernels of independent entries, without bias"
    if cell.precision.startswith("mixed"):
        return "16-bit rounding is not in the theory"
    if cell.width < UNITS_PER_STEP * recurrent.steps(cell):
        return "the steps' directions fill too much of so narrow a layer"
    return ""


def predict(cell: Cell) -> OverTime | None:
    """A cell's prediction; None where :func:`why_not` says why.

    Example:
        >>> cell = Cell(
        ...     architecture="simple_rnn", depth=1, width=400, pixels=112, recurrent="normal_0.05"
        ... )
        >>> predict(cell).step.round(3).tolist()  # ReLU: s_w^2 / 2 = .5
        [-0.693, -0.693, -0.693, -0.693, -0.693, -0.693]
    """
    if why_not(cell):
        return None
    return _predict(
        cell.activation,
        cell.width,
        cell.width * variance(cell.recurrent, (cell.width, cell.width)),
        variance(cell.initializer, (cell.pixels, cell.width)) * cell.input_scale**2,
        cell.pixels // 28,
    )


@lru_cache(maxsize=256)
def _predict(activation: str, width: int, gain: float, inputs: float, rows: int) -> OverTime:
    energies = np.reshape(MNIST_ROWS, (-1, rows)).sum(axis=1)
    sizes = np.array(MNIST_SQUARED_NORMS) / np.mean(MNIST_SQUARED_NORMS)
    steps = len(energies)
    second = np.zeros(len(sizes))
    varied = np.zeros(len(sizes))  # v_t
    chi, of_slopes, of_q = [], [], []
    kept = np.zeros(len(sizes))  # E[phi^4] / F^2 - 1 of the step before
    growth = np.zeros(len(sizes))
    for energy in energies:
        drive = inputs * energy * sizes
        q = gain * second + drive
        share = np.divide(gain * second, q, out=np.zeros_like(q), where=q > 0)
        varied = share**2 * (growth**2 * varied + kept / width)
        found = moments_of(activation, tuple(q.tolist()))
        second, slope, fourth, slope_fourth, growth, slope_growth = (
            np.array([getattr(each, name) for each in found]) for name in _TAKEN
        )
        chi.append(gain * slope)
        of_slopes.append((3 * slope_fourth / slope**2 - 1) / width)
        of_q.append(np.abs(slope_growth) * np.sqrt(varied))
        kept = np.divide(fourth, second**2, out=np.ones_like(second), where=second > 0) - 1
    back = np.array(chi)[1:]  # what leads from a step to the one before
    direct, through = (_largest(part) for part in (of_slopes[1:], of_q[1:]))
    reached = np.cumsum(np.log(back)[::-1], axis=0)[::-1]  # of images, ln(S_t / S_T)
    log_ratio = np.append(special.logsumexp(reached, axis=1, b=1 / len(sizes)), 0.0)
    taken = (2 * steps - np.arange(1, steps)) / width
    step_std = np.sqrt(direct + through**2)
    return OverTime(
        log_ratio=log_ratio,
        log_std=np.sqrt(to_last(direct) + to_last(through) ** 2),
        log_error=to_last(taken + direct / 2),
        step=log_ratio[:-1] - log_ratio[1:],
        step_std=step_std,
        step_error=taken + direct / 2,
        worst=float(step_std.max(initial=0.0)),
    )


_TAKEN = ("second", "slope", "fourth", "slope_fourth", "second_growth", "slope_growth")


def _largest(parts: Sequence[Array]) -> Array:
    """Of each step the largest over images."""
    return np.array([float(part.max()) for part in parts])


def measured(signals: Sequence[Sequence[float | None]]) -> Array:
    """Mean over seeds of ln S_t, NaN where one is 0 or not finite."""
    logs = [[math.log(value) if value else math.nan for value in signal] for signal in signals]
    return np.asarray(np.mean(logs, axis=0))
