"""Gradients of a transformer's last block before its first step (Xiong et al. 2020).

A token's stream x starts at mean square 1, as the embedding is normalized. Each branch is given a
normalized token and adds to the mean square, as kernels are drawn independently of it: the feed-forward
layer, with z ~ N(0, q) at its activation, q = d Var(W1),

    v_f = m Var(W2) E[phi(z)^2]

and attention v_a, between 0 and d Var(W_V) d Var(W_O): its weights are a convex combination of values,
whatever the softmax gives. So the last sum, which normalization divides by the root of its mean square
S, has behind L blocks (Xiong et al.: with ReLU and weights of variance 1/d, v_f = 1/2)

    Pre-LN:   1 + L v_f <= S <= 1 + L (v_f + v_a);    Post-LN:   S = 1 + v_f

The gradient of the last feed-forward layer passes the normalization behind it, whose Jacobian is
1 / sqrt(S) on all but two directions (lemma 3). It starts from W_out^T (softmax - label) over the
number of tokens T, of which the mean is taken. At that layer's activation

    g = E[(dC/dz)^2] = Var(W2) E[phi'(z)^2] d Var(W_out) E|softmax - label|^2 / (T^2 S)

That is theorem 1 with its constants (Post-LN: O(d sqrt(ln d)), Pre-LN: O(d sqrt(ln d / L))): behind
Pre-LN gradients near the output shrink as 1 / sqrt(L), behind Post-LN they do not.

Finite width: a branch's mean square is that of d numbers that are sums over m units. All tokens taken
as alike, its relative variance is 2 / d + (E[phi^4] / E[phi^2]^2 - 1) / m, and its product with the
stream, of mean 0, has variance 4 S v / d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from bench.cells.architectures import FEED_FORWARD, TOKENS
from bench.cells.cell import Cell
from bench.cells.initial_values import variance
from bench.results.record import VALUES, Record, Tensors
from bench.theory.oracle.layers import EPSILON
from bench.theory.signal.moments import moments
from bench.theory.signal.predicted import SIGMAS, log_tolerance

CLASSES = 10


@dataclass(frozen=True)
class Interval:
    """Range of a positive number's expectation, and how far the logarithm of one seed's varies."""

    lowest: float
    highest: float
    std: float
    """Standard deviation of the logarithm."""
    error: float
    """Bound on what the derivation leaves out of the logarithm."""

    def holds(self, measured: Sequence[float]) -> tuple[bool, float, float]:
        """Whether the geometric mean of seeds lies within the range, widened by its spread; and the
        range so widened."""
        seeds = len(measured)
        wide = math.exp(log_tolerance(SIGMAS, self.std, self.error, self.std, seeds))
        lowest, highest = self.lowest / wide, self.highest * wide
        mean = math.exp(fmean(map(math.log, measured)))
        return lowest <= mean <= highest, lowest, highest


def speaks(cell: Cell) -> bool:
    """Whether the theory is of this cell: its biases are 0 and its kernels are drawn."""
    return (
        (cell.architecture, cell.bias, cell.dropout) == ("transformer", 0.0, 0.0)
        and cell.initializer not in ("zeros", "orthogonal")
        and cell.precision in ("float32", "float64")
    )


def stream(cell: Cell) -> Interval:
    """Mean square S of the sum that the last normalization divides by its root."""
    width, wide = cell.width, FEED_FORWARD * cell.width
    square = width * variance(cell.initializer, (width, width))
    at = moments(cell.activation, width * variance(cell.initializer, (width, wide)))
    added = wide * variance(cell.initializer, (wide, width)) * at.second
    units = 2 / width + (at.fourth / at.second**2 - 1) / wide
    # Tokens without ink have the variance of the table of positions, beside which epsilon counts.
    positions = variance(cell.initializer, (TOKENS, width))
    start = positions / (positions + EPSILON)
    pre = cell.placement == "pre"

    def grown(total: float, mixed: float) -> tuple[float, float]:
        """S with a ``mixed`` of attention in every block, and the variance of its logarithm."""
        spread = 0.0
        for _ in range(cell.depth if pre else 1):
            for branch, own in ((mixed, 4 / width), (added, units)):
                spread += 4 * total * branch / width + branch**2 * own
                total += branch
        return total, spread / total**2

    ends = grown(start, 0.0), grown(1.0, square * square if pre else 0.0)
    (lowest, _), (highest, _) = ends
    # The mean that normalization takes off holds 1 / width of the square.
    return Interval(lowest, highest, math.sqrt(max(spread for _, spread in ends)), 1 / width)


def last_gradient(cell: Cell, logits: float) -> Interval:
    """Mean square g of dC/dz at the last block's activation, C one example's cross-entropy.

    Args:
        cell: of which :func:`speaks` is true, with that loss.
        logits: root mean square of its logits. They do not know the labels, so that E|softmax -
            label|^2 = .8 + sum of squares of the softmax: .9 where all classes are alike, and with
            normal logits at most .8 + .1 exp(logits^2).
    """
    width, wide = cell.width, FEED_FORWARD * cell.width
    around = stream(cell)
    at = moments(cell.activation, width * variance(cell.initializer, (width, wide)))
    start = variance(cell.initializer, (wide, width)) * at.slope / TOKENS**2
    start *= width * variance(cell.initializer, (width, CLASSES))
    most = min(0.8 + math.exp(logits**2) / CLASSES, 2.0)
    # Labels of a batch are of all classes: shares' squares add up to alike.
    alike = 1 / CLASSES + (1 - 1 / CLASSES) / cell.batch
    slopes = at.slope_fourth / at.slope**2
    std = math.sqrt(around.std**2 + 2 * alike / width + ((1 + 2 * alike) * slopes - 1) / wide)
    # Two directions of the stream's width do not pass the normalization.
    return Interval(
        start * 0.9 / around.highest, start * most / around.lowest, std, around.error + 4 / width
    )


def last_sum(cell: Cell) -> str:
    """Name of the tensor whose mean square is S."""
    return f"block {cell.depth}, feed-forward, sum"


def root_mean_square(tensors: Tensors, name: str) -> float:
    """Of a tensor that was looked at before the first step."""
    values = np.frombuffer(tensors.values, "<f4").reshape(-1, len(tensors.names), VALUES)
    return float(values[tensors.steps.index(0), tensors.names.index(name), 0])


def looked(records: Sequence[Record], name: str) -> list[float]:
    """Root mean squares of a tensor before the first step, of each record that has it."""
    return [
        root_mean_square(record.tensors, name)
        for record in records
        if record.tensors is not None and 0 in record.tensors.steps and name in record.tensors.names
    ]
