"""Rule: how an optimizer moves one variable; and the rules without adaptive denominators."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from bench.theory.oracle.choices import constant, either, full, power

Slots = dict[str, Any]


class Rule:
    """Rule by which an optimizer moves a variable, and the slots that it keeps for it.

    Args:
        constants: arguments of this optimizer alone, by Keras' names; switches are booleans.
    """

    #: Slots that are 0 before the first step.
    zero_slots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self.constants = constants

    def start(self, x: Any) -> Slots:
        """The slots of a variable before the first step."""
        return {name: full(0.0, x) for name in self.zero_slots}

    def update(self, x: Any, g: Any, slots: Slots, t: int) -> tuple[Any, Slots]:
        """The variable and its slots after step ``t`` = 1, 2, ... with gradient ``g``."""
        raise NotImplementedError

    def of(self, x: Any) -> Any:
        """The constants as attributes, numbers rounded as the arithmetic of ``x`` rounds them."""
        return SimpleNamespace(
            **{
                name: value if isinstance(value, bool) else constant(value, x)
                for name, value in self.constants.items()
            }
        )


def average(old: Any, new: Any, decay: Any) -> Any:
    """``decay * old + (1 - decay) * new``, or the same as ``old + (new - old) * (1 - decay)``."""
    return either(decay * old + (1.0 - decay) * new, old + (new - old) * (1.0 - decay))


class SGD(Rule):
    """w <- w - lr g; with momentum (Polyak 1964; Sutskever et al. 2013, eqs 1-4).

    velocity = momentum velocity - lr g; w <- w + velocity; with Nesterov's
    w <- w + momentum velocity - lr g. This is Sutskever's form, where the velocity contains the
    learning rate, and w is the point at which the gradient is taken.
    """

    def start(self, x: Any) -> Slots:
        return {"momentum": full(0.0, x)} if self.constants["momentum"] else {}

    def update(self, x: Any, g: Any, slots: Slots, _t: int) -> tuple[Any, Slots]:
        c = self.of(x)
        if not slots:
            return x - c.learning_rate * g, {}
        velocity = c.momentum * slots["momentum"] - c.learning_rate * g
        step = c.momentum * velocity - c.learning_rate * g if c.nesterov else velocity
        return x + step, {"momentum": velocity}


class Lion(Rule):
    """Chen et al. 2023, program 1: w <- w - lr sign(beta1 m + (1 - beta1) g), then
    m <- beta2 m + (1 - beta2) g. Its weight decay is decoupled."""

    zero_slots = ("momentum",)

    def update(self, x: Any, g: Any, slots: Slots, _t: int) -> tuple[Any, Slots]:
        c, m = self.of(x), slots["momentum"]
        moved = x - c.learning_rate * np.sign(average(m, g, c.beta_1))
        return moved, {"momentum": average(m, g, c.beta_2)}


class Ftrl(Rule):
    """Follow the regularized leader (McMahan et al. 2013, algorithm 1), with the conventions that
    ``tf.raw_ops.ApplyFtrlV2`` documents.

    n' = n + g^2; sigma = (n'^-p - n^-p) / lr with p the learning rate's power, in the paper -1/2;
    z <- z + g - sigma w; w <- (sign(z) l1 - z) / ((beta + n'^-p) / lr + 2 l2), or 0 where
    abs(z) <= l1.

    Unlike in the paper the penalty is l2 w^2, not l2 w^2 / 2: the denominator has 2 l2 (Keras'
    docstring writes lambda_2). Shrinkage adds 2 l2_shrinkage w to the gradient in z, not in n.
    """

    def start(self, x: Any) -> Slots:
        return {
            "accumulator": full(self.constants["initial_accumulator_value"], x),
            "linear": full(0.0, x),
        }

    def update(self, x: Any, g: Any, slots: Slots, _t: int) -> tuple[Any, Slots]:
        c, p = self.of(x), -self.constants["learning_rate_power"]
        old, z = slots["accumulator"], slots["linear"]
        new = old + np.square(g)
        sigma = (power(new, p) - power(old, p)) / c.learning_rate
        shrunk = g + 2.0 * c.l2_shrinkage_regularization_strength * x
        z = z + (shrunk - sigma * x)
        l2 = c.l2_regularization_strength + c.beta / (2.0 * c.learning_rate)
        denominator = power(new, p) / c.learning_rate + 2.0 * l2
        beyond = np.maximum(np.abs(z) - c.l1_regularization_strength, 0.0)
        return -np.sign(z) * beyond / denominator, {"accumulator": new, "linear": z}
