"""Optimizers that divide by a running size of the gradient, entry by entry."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.theory.oracle.choices import constant, full, power
from bench.theory.oracle.rules import Rule, Slots, average


class Adagrad(Rule):
    """Duchi et al. 2011, section 1.3: n <- n + g^2, w <- w - lr g / sqrt(n + epsilon).

    Keras starts n from ``initial_accumulator_value`` and has epsilon inside the root.
    """

    def start(self, x: Any) -> Slots:
        return {"accumulator": full(self.constants["initial_accumulator_value"], x)}

    def update(self, x: Any, g: Any, slots: Slots, _t: int) -> tuple[Any, Slots]:
        c = self.of(x)
        n = slots["accumulator"] + np.square(g)
        return x - c.learning_rate * g / np.sqrt(n + c.epsilon), {"accumulator": n}


class Adadelta(Rule):
    """Zeiler 2012, algorithm 1: E[g^2] <- rho E[g^2] + (1 - rho) g^2,
    d = -RMS(E[d^2]) / RMS(E[g^2]) g with RMS(y) = sqrt(y + epsilon), E[d^2] likewise, w <- w + d.

    Keras multiplies d by a learning rate, which E[d^2] does not see.
    """

    zero_slots = ("accumulated_grad", "accumulated_delta_var")

    def update(self, x: Any, g: Any, slots: Slots, _t: int) -> tuple[Any, Slots]:
        c, deltas = self.of(x), slots["accumulated_delta_var"]
        n = average(slots["accumulated_grad"], np.square(g), c.rho)
        d = np.sqrt(deltas + c.epsilon) * g / np.sqrt(n + c.epsilon)
        moved = x - c.learning_rate * d
        return moved, {
            "accumulated_grad": n,
            "accumulated_delta_var": average(deltas, np.square(d), c.rho),
        }


class RMSprop(Rule):
    """Hinton 2012, lecture 6e: v <- rho v + (1 - rho) g^2, w <- w - lr g / sqrt(v + epsilon).

    Centred (Graves 2013, eqs 38-45): v less the square of the running mean of g. With momentum:
    a <- momentum a + lr g / sqrt(...), w <- w - a. Epsilon is inside the root, as in Graves and in
    ``tf.raw_ops.ApplyRMSProp``'s documentation; Keras' docstring calls it epsilon hat of Adam, which
    would be outside.
    """

    def start(self, x: Any) -> Slots:
        momentum = ("momentum",) if self.constants["momentum"] else ()
        centred = ("average_gradient",) if self.constants["centered"] else ()
        return {name: full(0.0, x) for name in ("velocity", *momentum, *centred)}

    def update(self, x: Any, g: Any, slots: Slots, _t: int) -> tuple[Any, Slots]:
        c = self.of(x)
        now = {"velocity": average(slots["velocity"], np.square(g), c.rho)}
        variance = now["velocity"]
        if c.centered:
            now["average_gradient"] = average(slots["average_gradient"], g, c.rho)
            variance = variance - np.square(now["average_gradient"])
        step = c.learning_rate * g / np.sqrt(variance + c.epsilon)
        if "momentum" in slots:
            step = now["momentum"] = c.momentum * slots["momentum"] + step
        return x - step, now


class Adam(Rule):
    """Kingma and Ba 2015, algorithm 1 in the form before section 2.1:

    m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2,
    w <- w - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon hat).

    Keras' epsilon is epsilon hat: it is not divided by the bias correction of v. AMSGrad (Reddi et al.
    2018, algorithm 2) puts the largest v so far in the denominator; Keras keeps the bias corrections.
    AdamW (Loshchilov and Hutter 2019, algorithm 2) is this with decoupled weight decay, which Keras
    multiplies by the learning rate.
    """

    zero_slots = ("momentum", "velocity")

    def start(self, x: Any) -> Slots:
        largest = {"velocity_hat": full(0.0, x)} if self.constants["amsgrad"] else {}
        return {**super().start(x), **largest}

    def update(self, x: Any, g: Any, slots: Slots, t: int) -> tuple[Any, Slots]:
        c = self.of(x)
        now = {
            "momentum": average(slots["momentum"], g, c.beta_1),
            "velocity": average(slots["velocity"], np.square(g), c.beta_2),
        }
        v = now["velocity"]
        if c.amsgrad:
            v = now["velocity_hat"] = np.maximum(slots["velocity_hat"], v)
        rate = c.learning_rate * np.sqrt(1.0 - power(c.beta_2, t)) / (1.0 - power(c.beta_1, t))
        return x - now["momentum"] * rate / (np.sqrt(v) + c.epsilon), now


class Adamax(Rule):
    """Kingma and Ba 2015, algorithm 2: u <- max(beta2 u, abs(g)), w <- w - lr / (1 - beta1^t) m / u.

    Keras adds epsilon to u in the denominator.
    """

    zero_slots = ("momentum", "norm")

    def update(self, x: Any, g: Any, slots: Slots, t: int) -> tuple[Any, Slots]:
        c = self.of(x)
        m = average(slots["momentum"], g, c.beta_1)
        u = np.maximum(c.beta_2 * slots["norm"], np.abs(g))
        correction = 1.0 - power(c.beta_1, t)
        step = c.learning_rate * m / (correction * (u + c.epsilon))
        return x - step, {"momentum": m, "norm": u}


class Nadam(Rule):
    """Dozat 2015, algorithm 8, with a decay mu_t = beta1 (1 - .96^t / 2) of the momentum:

    w <- w - lr m_hat / (sqrt(v / (1 - beta2^t)) + epsilon), where
    m_hat = mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t).

    Where Keras differs: m decays by beta1, not by mu_t; and the exponent of .96 is t, not the
    t / 250 of the report's schedule.
    """

    zero_slots = ("momentum", "velocity")

    def update(self, x: Any, g: Any, slots: Slots, t: int) -> tuple[Any, Slots]:
        c = self.of(x)
        m = average(slots["momentum"], g, c.beta_1)
        v = average(slots["velocity"], np.square(g), c.beta_2)
        product: Any = 1.0
        for step in range(1, t + 1):
            product = product * self._decay(x, c.beta_1, step)
        now, coming = (self._decay(x, c.beta_1, step) for step in (t, t + 1))
        ahead = coming * m / (1.0 - product * coming) + (1.0 - now) * g / (1.0 - product)
        root = np.sqrt(v / (1.0 - power(c.beta_2, t)))
        moved = x - ahead * c.learning_rate / (root + c.epsilon)
        return moved, {"momentum": m, "velocity": v}

    @staticmethod
    def _decay(x: Any, beta_1: Any, t: int) -> Any:
        return beta_1 * (1.0 - 0.5 * power(constant(0.96, x), t))
