"""Keras' optimizers against :mod:`bench.theory.oracle.optimizers`: variables and slots after one step
and after ten.

The same gradients go to both sides, so only the optimizer's own rounding counts; the oracle computes
its bound along with the values. Inputs are laid out so that a change of 1 part in 10^4 in any constant
moves some tensor beyond its bound: entries of gradients run geometrically from far below to far above
every epsilon, every other entry of a variable starts at 0 (where an update is not lost in the
variable's own rounding), the others are of size 1 (where weight decay counts), and one variable is all
zeros.

Constants are such that the arithmetic can show them. With Keras' defaults, 1 - beta2^t is 0.001 at the
first step and float32 knows it to 2^-24 / 0.001 of its value at best; the checks named
``constants:default`` therefore bound those steps more loosely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cells import initial_values
from bench.cells.keras_arguments import CLASSES
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Check, Deviation
from bench.theory.oracle import optimizers as oracle
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact
from bench.theory.rounding.formats import FLOAT32

FAMILY = "optimizer"
Array = npt.NDArray[np.float32]

STEPS = 10
SEEN = (1, STEPS)
ENGINES = ("eager", "graph")

#: Names and shapes of the variables.
SHAPES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"matrix": (6, 4), "vector": (9,), "cube": (2, 3, 2), "zeros": (5,), "scalar": (1,)}
)
#: Sizes of gradients, of the first and the last entry of each variable.
_SMALLEST, _LARGEST = 1e-5, 10.0

#: 1 - beta is exact to a few units in the last place, 1 - beta^t too; epsilon is amid the gradients.
_MOMENTS = {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}


@dataclass(frozen=True)
class Setup:
    """An optimizer and the constants that it is given; others have Keras' defaults."""

    name: str
    constants: Mapping[str, Any]


_SGD = Setup("sgd", {"learning_rate": 0.05})
_MOMENTUM = Setup("sgd", {"learning_rate": 0.05, "momentum": 0.9})
_ADAM = Setup("adam", _MOMENTS)
_RMSPROP = Setup("rmsprop", {"learning_rate": 0.05, "rho": 0.8, "epsilon": 1e-3})
_LION = Setup("lion", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9})
_LAMB = Setup("lamb", _MOMENTS)


def _with(setup: Setup, **constants: Any) -> Setup:
    return Setup(setup.name, {**setup.constants, **constants})


#: Subject -> what it is. The learning rate of Adafactor is on both sides of 1 / sqrt(t), its epsilon 2
#: above the size of the variable of zeros.
SETUPS: Mapping[str, Setup] = MappingProxyType(
    {
        "sgd": _SGD,
        "sgd-weight_decay:0.5": _with(_SGD, weight_decay=0.5),
        "sgd-ema:true": _with(_SGD, use_ema=True, ema_momentum=0.8),
        "sgd-momentum:0.9": _MOMENTUM,
        "sgd-momentum:0.9-nesterov:true": _with(_MOMENTUM, nesterov=True),
        "sgd-momentum:0.9-clip:value": _with(_MOMENTUM, clipvalue=0.3),
        "sgd-momentum:0.9-clip:norm": _with(_MOMENTUM, clipnorm=0.3),
        "sgd-momentum:0.9-clip:global_norm": _with(_MOMENTUM, global_clipnorm=0.3),
        "adam": _ADAM,
        "adam-amsgrad:true": _with(_ADAM, amsgrad=True),
        "adam-weight_decay:0.5": _with(_ADAM, weight_decay=0.5),
        "adam-ema:true": _with(_ADAM, use_ema=True, ema_momentum=0.8),
        "adam-clip:value": _with(_ADAM, clipvalue=0.3),
        "adam-clip:norm": _with(_ADAM, clipnorm=0.3),
        "adam-clip:global_norm": _with(_ADAM, global_clipnorm=0.3),
        "adamw": Setup("adamw", {**_MOMENTS, "weight_decay": 0.5}),
        "adamax": Setup("adamax", _MOMENTS),
        "nadam": Setup("nadam", _MOMENTS),
        "rmsprop": _RMSPROP,
        "rmsprop-momentum:0.9": _with(_RMSPROP, momentum=0.9),
        "rmsprop-centered:true": _with(_RMSPROP, centered=True),
        "rmsprop-momentum:0.9-centered:true": _with(_RMSPROP, momentum=0.9, centered=True),
        "adagrad": Setup(
            "adagrad", {"learning_rate": 0.05, "initial_accumulator_value": 1e-3, "epsilon": 1e-3}
        ),
        "adadelta": Setup("adadelta", {"learning_rate": 0.5, "rho": 0.8, "epsilon": 1e-3}),
        "ftrl": Setup(
            "ftrl",
            {
                "learning_rate": 0.2,
                "learning_rate_power": -0.6,
                "initial_accumulator_value": 0.2,
                "l1_regularization_strength": 0.05,
                "l2_regularization_strength": 1.0,
                "l2_shrinkage_regularization_strength": 1.0,
                "beta": 0.3,
            },
        ),
        "lion": _LION,
        "lion-weight_decay:0.5": _with(_LION, weight_decay=0.5),
        "lamb": _LAMB,
        "lamb-weight_decay:0.5": _with(_LAMB, weight_decay=0.5),
        "adafactor": Setup(
            "adafactor",
            {
                "learning_rate": 0.5,
                "beta_2_decay": -0.7,
                "epsilon_1": 1e-3,
                "epsilon_2": 0.01,
                "clip_threshold": 0.5,
            },
        ),
        **{f"{name}-constants:default": Setup(name, {}) for name in oracle.RULES},
    }
)
#: The values of all defaults, where the others take them as given.
_DEFAULTS = "defaults"


def checks(tier: str) -> list[Check]:
    """All of them at every tier: they take seconds."""
    del tier
    subjects = [_DEFAULTS]
    subjects += [f"{subject}-engine:{engine}" for engine in ENGINES for subject in SETUPS]
    return [Check(family=FAMILY, subject=subject) for subject in subjects]


def run(check: Check, lab: Lab) -> Iterator[Deviation]:
    """Every slot and variable after each step of :data:`SEEN`.

    Raises:
        AbsentError: this Keras has no such optimizer.
    """
    if check.subject == _DEFAULTS:
        yield from _defaults(lab)
        return
    engine = check.axes["engine"]
    setup = SETUPS[check.subject.removesuffix(f"-engine:{engine}")]
    yield from compared(setup, check.seed, lab, graph=engine == "graph")


def compared(
    setup: Setup, seed: int, lab: Lab, *, graph: bool, faults: Mapping[str, float] | None = None
) -> Iterator[Deviation]:
    """TensorFlow against the oracle.

    Args:
        setup: what is compared.
        seed: of variables and gradients.
        lab: where TensorFlow runs.
        graph: in a ``tf.function``.
        faults: factors by which constants of TensorFlow's side are wrong, to see that it shows.

    Raises:
        AbsentError: this Keras has no such optimizer.
    """
    from bench.nets import updates
    from bench.nets.keras_version import keras_generation, keras_version

    if not updates.has(setup.name):
        raise AbsentError(f"Keras {keras_version()} has no optimizer {CLASSES[setup.name]}")
    optimizer = oracle.optimizer(setup.name, keras=keras_generation(), **setup.constants)
    variables = starting_values(seed)
    gradients = gradient_sequence(seed, optimizer.constants if setup.name == "lion" else None)
    truth = expected(optimizer, variables, gradients)
    faulty = optimizer
    for constant, factor in (faults or {}).items():
        faulty = faulty.scaled(constant, factor)
    given = {key: value for key, value in faulty.constants.items() if value is not None}
    found = updates.run(
        setup.name,
        given,
        variables,
        gradients,
        [tuple(slots) for slots in truth[0].slots],
        seen=SEEN,
        graph=graph,
    )
    for snapshot, right in zip(found, truth, strict=True):
        for at, name in enumerate(SHAPES):
            for slot, value in right.slots[at].items():
                seen = lab.seen(snapshot.slots[at][slot])
                yield deviation(f"step {snapshot.step}, {slot} of {name}", seen, value)
            seen = lab.seen(snapshot.variables[at])
            yield deviation(f"step {snapshot.step}, {name}", seen, right.variables[at])


@dataclass(frozen=True)
class Expected:
    """Variables and slots after some step, bounded."""

    variables: Sequence[Bounded]
    slots: Sequence[Mapping[str, Bounded]]


def expected(
    optimizer: oracle.Optimizer, variables: Sequence[Array], gradients: Sequence[Sequence[Array]]
) -> list[Expected]:
    """What the oracle says after each step of :data:`SEEN`."""
    now: Sequence[Bounded] = [Bounded(value, form=FLOAT32) for value in variables]
    state = optimizer.start(now)
    found = []
    for step, given in enumerate(gradients, 1):
        exactly = [Bounded(gradient, form=FLOAT32) for gradient in given]
        now, state = optimizer.step(now, exactly, state)
        if step in SEEN:
            found.append(Expected(now, state.slots))
    return found


def starting_values(seed: int) -> list[Array]:
    """Float32 of :data:`SHAPES`: odd entries are standard normal, even ones 0."""
    values = []
    for at, (name, shape) in enumerate(SHAPES.items()):
        count = int(np.prod(shape))
        drawn = initial_values.standard_normal(
            initial_values.stream(seed, "optimizer variables", at), count
        )
        odd = np.arange(count) % 2 == 1
        keep = np.ones(count, bool) if name == "scalar" else odd & (name != "zeros")
        values.append(np.where(keep, drawn, 0.0).astype(np.float32).reshape(shape))
    return values


def gradient_sequence(
    seed: int, lion: Mapping[str, Any] | None = None, steps: int = STEPS
) -> list[list[Array]]:
    """Float32 gradients of each step, of :data:`SHAPES`.

    Of size 1e-5 to 10 along the entries, each time a random sign and 0.5 to 1.5 of its size. Those of
    the second and the last but one are 0 until the last step: averages then start anew.

    Args:
        seed: of the draws.
        lion: constants of Lion, whose sign sees a constant only where momentum and gradient
            nearly cancel: the second step has such entries, on either side of 0.
        steps: how many.
    """
    sequence: list[list[Array]] = []
    for step in range(steps):
        of_step = []
        for at, shape in enumerate(SHAPES.values()):
            count = int(np.prod(shape))
            bits = initial_values.stream(seed, f"optimizer gradients {step}", at)
            draws = initial_values.uniform(bits, 2 * count).reshape(2, count)
            scale = np.geomspace(_SMALLEST, _LARGEST, count) if count > 1 else np.ones(1)
            flat = np.where(draws[0] < 0.5, -1.0, 1.0) * (0.5 + draws[1]) * scale
            if count > 1 and step < steps - 1:
                flat[[1, -2]] = 0.0
            of_step.append(flat.astype(np.float32).reshape(shape))
        sequence.append(of_step)
    if lion:
        _balance(sequence, lion["beta_1"], lion["beta_2"])
    return sequence


#: Distance to 0 that Lion's sum is brought to, as a part of its terms. A beta_1 off by 1e-4 moves it by
#: 1e-4 / (1 - beta_1) of them, rounding by some 2^-24 beta / (1 - beta).
_MARGIN = 3e-5


def _balance(sequence: list[list[Array]], beta_1: float, beta_2: float) -> None:
    """Brings it near 0: with m = (1 - beta_2) g_1, beta_1 m + (1 - beta_1) g_2 is 0 at this g_2."""
    first, second = sequence[0][0].astype(np.float64), sequence[1][0]
    sides = np.where(np.arange(first.size).reshape(first.shape) % 4 < 2, -1.0, 1.0)
    balancing = -first * beta_1 * (1.0 - beta_2) / (1.0 - beta_1)
    second[:] = (balancing * (1.0 + _MARGIN * sides)).astype(np.float32)


def _defaults(lab: Lab) -> Iterator[Deviation]:
    """Every default of every optimizer that is there; learning rates are float32 in Keras."""
    from bench.nets import updates
    from bench.nets.keras_version import keras_generation

    for name, promised in oracle.DEFAULTS[keras_generation()].items():
        if not updates.has(name):
            continue
        found = updates.defaults(name)
        for constant, value in {**oracle.SHARED, **promised}.items():
            got = lab.seen(_single(found[constant]))
            tensor = f"{CLASSES[name]}, default of {constant}"
            yield exact(tensor, got, _single(value))


def _single(constant: float | None) -> Array:
    """A constant as float32 has it; a NaN stands for None."""
    return np.asarray(np.nan if constant is None else constant, np.float32)
