"""Optimizers whose step depends on a whole variable's size."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.theory.oracle.choices import constant, either, full, power
from bench.theory.oracle.rules import Rule, Slots, average
from bench.theory.rounding.arrays import decide


class Lamb(Rule):
    """You et al. 2020, algorithm 2, with Adam's r = m_hat / (sqrt(v_hat) + epsilon):
    w <- w - lr (norm(w) / norm(r)) r, with the ratio 1 where either norm is 0.

    Keras' weight decay is not part of r, as in the paper, but decoupled.
    """

    zero_slots = ("momentum", "velocity")

    def update(self, x: Any, g: Any, slots: Slots, t: int) -> tuple[Any, Slots]:
        c = self.of(x)
        m = average(slots["momentum"], g, c.beta_1)
        v = average(slots["velocity"], np.square(g), c.beta_2)
        root = np.sqrt(v / (1.0 - power(c.beta_2, t))) + c.epsilon
        r = m / (1.0 - power(c.beta_1, t)) / root
        size, length = _norm(x), _norm(r)
        known = decide(size) > 0 and decide(length) > 0
        ratio = size / length if known else 1.0
        return x - ratio * c.learning_rate * r, {"momentum": m, "velocity": v}


def _norm(x: Any) -> Any:
    """L2 norm, whose squares may be computed as powers with exponent 2."""
    return np.sqrt(np.sum(either(np.square(x), power(np.abs(x), 2.0))))


class Adafactor(Rule):
    """Shazeer and Stern 2018, algorithms 4 and 5 without first moment.

    beta2 = 1 - t^decay; of matrices, row means R and column means C of g^2 + epsilon1 decay by it and
    V = R C / mean(R); of vectors V itself. U = g / sqrt(V), divided by max(1, RMS(U) / d);
    w <- w - max(epsilon2, RMS(w)) rho U, rho = min(lr, 1 / sqrt(t)).

    Keras stores means where the paper stores sums, which is the same V. Of more than two axes the
    last two are factored. Documented, and so taken here: without ``relative_step`` rho = lr.
    """

    def start(self, x: Any) -> Slots:
        shape = np.shape(decide(x))
        slots = {"velocity": full(0.0, x)}
        if len(shape) >= 2:
            slots["row"] = full(0.0, x, shape[:-1])
            slots["column"] = full(0.0, x, (*shape[:-2], shape[-1]))
        return slots

    def update(self, x: Any, g: Any, slots: Slots, t: int) -> tuple[Any, Slots]:
        c = self.of(x)
        rate = c.learning_rate
        if c.relative_step:
            rate = np.minimum(rate, 1.0 / np.sqrt(constant(float(t), x)))
        rate = np.maximum(c.epsilon_2, _rms(x)) * rate
        decay = 1.0 - power(constant(float(t), x), self.constants["beta_2_decay"])
        squares = np.square(g) + c.epsilon_1
        now: Slots = {}
        if "row" in slots:
            shape = decide(squares).shape
            now["row"] = r = average(slots["row"], squares.mean(axis=-1), decay)
            now["column"] = s = average(slots["column"], squares.mean(axis=-2), decay)
            share = r / r.mean(axis=-1, keepdims=True)
            rows = share.reshape((*shape[:-1], 1))
            now["velocity"] = rows * s.reshape((*shape[:-2], 1, shape[-1]))
        else:
            now["velocity"] = average(slots["velocity"], squares, decay)
        u = g / np.sqrt(now["velocity"])
        u = u / np.maximum(_rms(u) / c.clip_threshold, constant(1.0, x))
        return x - rate * u, now


def _rms(x: Any) -> Any:
    return np.sqrt(np.square(x).mean())
