"""Every Keras optimizer from its paper, in float64 or any other arithmetic.

Keras 2 (TensorFlow 2.12-2.15) and Keras 3 differ in defaults and in where the average of weights
starts: :data:`DEFAULTS` and :class:`Optimizer` name each difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cells.cell import Cell
from bench.cells.keras_arguments import optimizer_arguments
from bench.theory.oracle.adaptive import Adadelta, Adagrad, Adam, Adamax, Nadam, RMSprop
from bench.theory.oracle.choices import constant, either
from bench.theory.oracle.clipping import clip
from bench.theory.oracle.layerwise import Adafactor, Lamb
from bench.theory.oracle.rules import SGD, Ftrl, Lion, Rule, average

#: Rules by the name of Keras' class in lower case.
RULES: Mapping[str, type[Rule]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": Adam,
    "adamax": Adamax,
    "nadam": Nadam,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "ftrl": Ftrl,
    "lion": Lion,
    "lamb": Lamb,
    "adafactor": Adafactor,
}

_RATE, _EPSILON = {"learning_rate": 0.001}, {"epsilon": 1e-7}
_MOMENTS = {**_RATE, "beta_1": 0.9, "beta_2": 0.999, **_EPSILON}
_COMMON: Mapping[str, Mapping[str, Any]] = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "adam": {**_MOMENTS, "amsgrad": False},
    "adamw": {**_MOMENTS, "amsgrad": False, "weight_decay": 0.004},
    "adamax": _MOMENTS,
    "nadam": _MOMENTS,
    "rmsprop": {**_RATE, "rho": 0.9, "momentum": 0.0, **_EPSILON, "centered": False},
    "adagrad": {**_RATE, "initial_accumulator_value": 0.1, **_EPSILON},
    "adadelta": {**_RATE, "rho": 0.95, **_EPSILON},
    "ftrl": {
        **_RATE,
        "learning_rate_power": -0.5,
        "initial_accumulator_value": 0.1,
        "l1_regularization_strength": 0.0,
        "l2_regularization_strength": 0.0,
        "l2_shrinkage_regularization_strength": 0.0,
        "beta": 0.0,
    },
    "lion": {**_RATE, "beta_1": 0.9, "beta_2": 0.99},
    "lamb": _MOMENTS,
    "adafactor": {
        **_RATE,
        "beta_2_decay": -0.8,
        "epsilon_1": 1e-30,
        "epsilon_2": 1e-3,
        "clip_threshold": 1.0,
        "relative_step": True,
    },
}
#: Keras' major version -> optimizer -> its constants, as Keras' reference pages give them. Lion's
#: learning rate is 1e-4 in Keras 2 and 1e-3 in Keras 3; Keras 2 has no Lamb.
DEFAULTS: Mapping[int, Mapping[str, Mapping[str, Any]]] = {
    2: {name: c for name, c in _COMMON.items() if name != "lamb"}
    | {"lion": {**_COMMON["lion"], "learning_rate": 1e-4}},
    3: _COMMON,
}
#: Arguments of every optimizer, and their defaults.
SHARED: Mapping[str, Any] = {
    "weight_decay": None,
    "clipvalue": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
}
_CLIPPING = {"clipvalue": "value", "clipnorm": "norm", "global_clipnorm": "global_norm"}


@dataclass(frozen=True)
class State:
    """State of an optimizer: steps taken, and the slots of each variable by name.

    With an average of weights (``use_ema``) each variable has a slot ``ema``.
    """

    steps: int
    slots: Sequence[Mapping[str, Any]]


class Optimizer:
    """An optimizer of Keras as a pure function of arrays.

    The order of a step is Keras': clip the gradients; decay the weights, w <- w - lr weight_decay w
    (decoupled: Loshchilov and Hutter 2019, eq. 6, times lr); move by the rule; average the weights,
    ema <- ema_momentum ema + (1 - ema_momentum) w (Polyak and Juditsky 1992). In Keras 2 the average
    starts from the initial weights, in Keras 3 from those after the first step.

    Args:
        name: one of :data:`RULES`.
        constants: Keras' arguments, with a value for each that applies.
        keras: major version.
    """

    def __init__(self, name: str, constants: Mapping[str, Any], *, keras: int) -> None:
        self.name = name
        self.constants = dict(constants)
        self.keras = keras
        self._rule = RULES[name]({k: v for k, v in constants.items() if k not in SHARED})

    def start(self, variables: Sequence[Any]) -> State:
        """The state before the first step."""
        slots = [self._rule.start(x) for x in variables]
        if self.constants["use_ema"]:
            slots = [{**of, "ema": x} for of, x in zip(slots, variables, strict=True)]
        return State(0, slots)

    def step(
        self, variables: Sequence[Any], gradients: Sequence[Any], state: State
    ) -> tuple[list[Any], State]:
        """The variables and the state after one more step."""
        clipped = list(gradients)
        for argument, rule in _CLIPPING.items():
            if self.constants[argument] is not None:
                clipped = clip(rule, clipped, self.constants[argument])
        new_variables, new_slots = [], []
        for x, g, slots in zip(variables, clipped, state.slots, strict=True):
            of_rule = {name: slot for name, slot in slots.items() if name != "ema"}
            moved, updated = self._rule.update(self._decayed(x), g, of_rule, state.steps + 1)
            if "ema" in slots:
                updated["ema"] = self._averaged(slots["ema"], moved, state.steps)
            new_variables.append(moved)
            new_slots.append(updated)
        return new_variables, State(state.steps + 1, new_slots)

    def scaled(self, constant_name: str, factor: float) -> Optimizer:
        """This optimizer with one constant multiplied, as a fault in that constant would have it."""
        value = self.constants[constant_name] * factor
        return Optimizer(self.name, {**self.constants, constant_name: value}, keras=self.keras)

    def _decayed(self, x: Any) -> Any:
        decay = self.constants["weight_decay"]
        if decay is None:
            return x
        return x - x * constant(decay, x) * constant(self.constants["learning_rate"], x)

    def _averaged(self, old: Any, new: Any, steps: int) -> Any:
        if self.keras >= 3 and not steps:
            # As computed: 0 times the old average, 1 times the new weights.
            return either(new, 0.0 * old + 1.0 * new)
        return average(old, new, constant(self.constants["ema_momentum"], new))


def optimizer(name: str, *, keras: int = 3, **constants: Any) -> Optimizer:
    """An optimizer by its name; a constant that is not given has Keras' default.

    Args:
        name: Keras' class in lower case.
        keras: major version, whose defaults and semantics are taken.
        constants: Keras' arguments.

    Raises:
        ValueError: no such optimizer in this Keras, or it takes no such argument.

    Example:
        >>> import numpy as np
        >>> sgd = optimizer("sgd", learning_rate=0.5)
        >>> sgd.step([np.array([1.0])], [np.array([1.0])], sgd.start([np.array([1.0])]))[0]
        [array([0.5])]
    """
    defaults = DEFAULTS[keras]
    if name not in defaults:
        raise ValueError(f"Keras {keras} has no optimizer {name}; it has {', '.join(defaults)}")
    known = {**SHARED, **defaults[name]}
    unknown = [key for key in constants if key not in known]
    if unknown:
        raise ValueError(f"{name} takes no {', '.join(unknown)}; it takes {', '.join(known)}")
    return Optimizer(name, {**known, **constants}, keras=keras)


def for_cell(cell: Cell) -> Optimizer:
    """The optimizer of a cell as Keras 3 has it, clipping and weight decay included."""
    kind, arguments = optimizer_arguments(cell)
    return optimizer(kind.lower(), **arguments)
