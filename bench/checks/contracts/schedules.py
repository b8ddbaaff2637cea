"""Schedules of learning rates against their formulas, at every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import Array, drawn
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.oracle.choices import power
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact
from bench.theory.rounding.formats import FLOAT32, ULPS

catalogue = Catalogue("schedules")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: Steps of a decay: a power of two, so that fractions of it are exact and a floor is sure.
DECAY = 8
STEPS = range(2 * DECAY + 3)

Rate = Callable[[int], Bounded]


def number(value: float) -> Bounded:
    """A constant as float32 has it."""
    return Bounded(np.float64(value), FLOAT32.rounds(value) if value else 0.0)


def cosine(fraction: Bounded) -> Bounded:
    """(1 + cos(pi fraction)) / 2: the argument is rounded twice, and cos has the error of a library."""
    angle = math.pi * fraction.value
    off = math.pi * fraction.error + 2.0 * FLOAT32.roundoff * angle
    error = off + 2.0 * ULPS["exp"] * FLOAT32.roundoff
    return (1.0 + Bounded(np.cos(angle), error)) * 0.5


def exponential(rate: float, decay: float, *, staircase: bool) -> Rate:
    """rate decay^(step / DECAY)"""
    return lambda step: (
        number(rate) * power(number(decay), step // DECAY if staircase else step / DECAY)
    )


def inverse_time(rate: float, decay: float, *, staircase: bool) -> Rate:
    """rate / (1 + decay step / DECAY)"""
    return lambda step: (
        number(rate)
        / (1.0 + number(decay) * Bounded(np.float64(step // DECAY if staircase else step / DECAY)))
    )


def polynomial(rate: float, end: float, exponent: float, *, cycle: bool) -> Rate:
    """(rate - end) (1 - step / length)^exponent + end; a cycle makes the length the next multiple of
    DECAY, without one it ends."""

    def at(step: int) -> Bounded:
        length = DECAY * max(1, math.ceil(step / DECAY)) if cycle else DECAY
        left = 1.0 - Bounded(np.float64(min(step, length))) / Bounded(np.float64(length))
        return (number(rate) - number(end)) * power(left, exponent) + number(end)

    return at


def cosine_decay(
    rate: float, alpha: float, *, warmup: int = 0, target: float | None = None
) -> Rate:
    """A linear rise to the target, then a fall as half a cosine to alpha of it."""

    def at(step: int) -> Bounded:
        if step < warmup:
            rise = (number(target or 0.0) - number(rate)) * Bounded(np.float64(step / warmup))
            return rise + number(rate)
        fraction = Bounded(np.float64(min(step - warmup, DECAY) / DECAY))
        decayed = (1.0 - number(alpha)) * cosine(fraction) + number(alpha)
        return number(rate if target is None else target) * decayed

    return at


def restarts(rate: float, alpha: float, *, longer: float, lower: float) -> Rate:
    """Half cosines, each ``longer`` times as long and ``lower`` times as high as the one before."""

    def at(step: int) -> Bounded:
        start, length, height = 0.0, float(DECAY), 1.0
        while step >= start + length:
            start, length, height = start + length, length * longer, height * lower
        fraction = Bounded(np.float64((step - start) / length), 4.0 * FLOAT32.roundoff)
        decayed = (1.0 - number(alpha)) * (number(height) * cosine(fraction)) + number(alpha)
        return number(rate) * decayed

    return at


def pieces(boundaries: list[int], values: list[float]) -> Rate:
    """The value of the first boundary that a step does not exceed."""
    return lambda step: number(values[sum(step > boundary for boundary in boundaries)])


#: Subject -> class, its arguments, its formula.
SCHEDULES: Mapping[str, tuple[str, Mapping[str, Any], Rate]] = {
    f"exponential-staircase:{str(stairs).lower()}": (
        "ExponentialDecay",
        {"decay_steps": DECAY, "decay_rate": 0.9, "staircase": stairs},
        exponential(0.1, 0.9, staircase=stairs),
    )
    for stairs in (False, True)
}
SCHEDULES = {
    **SCHEDULES,
    **{
        f"inverse_time-staircase:{str(stairs).lower()}": (
            "InverseTimeDecay",
            {"decay_steps": DECAY, "decay_rate": 0.7, "staircase": stairs},
            inverse_time(0.1, 0.7, staircase=stairs),
        )
        for stairs in (False, True)
    },
    **{
        f"polynomial-power:{exponent:g}-cycle:{str(cycle).lower()}": (
            "PolynomialDecay",
            {
                "decay_steps": DECAY,
                "end_learning_rate": 0.01,
                "power": exponent,
                "cycle": cycle,
            },
            polynomial(0.1, 0.01, exponent, cycle=cycle),
        )
        for exponent in (1.0, 2.0)
        for cycle in (False, True)
    },
    "cosine": ("CosineDecay", {"decay_steps": DECAY, "alpha": 0.2}, cosine_decay(0.1, 0.2)),
    "cosine-warmup": (
        "CosineDecay",
        {"decay_steps": DECAY, "alpha": 0.2, "warmup_target": 0.3, "warmup_steps": 4},
        cosine_decay(0.1, 0.2, warmup=4, target=0.3),
    ),
    **{
        f"cosine_restarts-t_mul:{longer:g}": (
            "CosineDecayRestarts",
            {"first_decay_steps": DECAY, "t_mul": longer, "m_mul": 0.5, "alpha": 0.2},
            restarts(0.1, 0.2, longer=longer, lower=0.5),
        )
        for longer in (1.0, 2.0)
    },
    "piecewise": (
        "PiecewiseConstantDecay",
        {"boundaries": [3, 8], "values": [1.0, 0.5, 0.1]},
        pieces([3, 8], [1.0, 0.5, 0.1]),
    ),
}


def made(name: str, arguments: Mapping[str, Any]) -> Any:
    """A schedule that starts from .1.

    Raises:
        AbsentError: this Keras has no such schedule, or it takes no such argument.
    """
    from bench.nets.api import keras

    first = {} if "values" in arguments else {"initial_learning_rate": 0.1}
    try:
        return getattr(keras.optimizers.schedules, name)(**first, **arguments)
    except (AttributeError, TypeError) as error:
        raise AbsentError(f"this Keras has no such {name}") from error


def _schedule(subject: str, name: str, arguments: Mapping[str, Any], rate: Rate) -> None:
    @contract(
        subject,
        thing=f"keras.optimizers.schedules.{name}",
        truth="The rate at every step is that of its formula, and the same after serialization.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras, tf

        schedule = made(name, arguments)
        got = np.array([np.asarray(schedule(tf.constant(step, tf.int64))) for step in STEPS])
        truths = [rate(step) for step in STEPS]
        truth = Bounded([one.value for one in truths], [one.error for one in truths])
        yield deviation("rates", lab.seen(got), truth)
        schedules = keras.optimizers.schedules
        again = schedules.deserialize(schedules.serialize(schedule))
        some = (0, 3, DECAY + 1)
        saved = [np.asarray(again(tf.constant(step, tf.int64))) for step in some]
        yield exact("rates after serialization", lab.seen(saved), got[list(some)])


for _subject, _one in SCHEDULES.items():
    _schedule(_subject, *_one)


@contract(
    "optimizer",
    thing="keras.optimizers.SGD",
    truth="An optimizer asks its schedule for the rate of the steps taken before.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    name, arguments, rate = SCHEDULES["inverse_time-staircase:false"]
    optimizer = keras.optimizers.SGD(made(name, arguments))
    layer = keras.layers.Dense(2, use_bias=False)
    layer.build((None, 4))
    start: Array = drawn("scheduled", 4, 2)
    layer.set_weights([start])
    weights = Bounded(start)
    for step in range(4):
        gradient = drawn(f"scheduled {step}", 4, 2)
        optimizer.apply_gradients([(tf.constant(gradient), layer.trainable_variables[0])])
        weights = weights - Bounded(gradient) * rate(step)
        yield deviation(f"weights after step {step + 1}", lab.seen(layer.get_weights()[0]), weights)
        taken = lab.seen(optimizer.iterations)
        yield exact(f"iterations after step {step + 1}", taken, np.array(step + 1.0))


@contract(
    "callable",
    thing="keras.optimizers.SGD",
    truth="A rate that is a function without arguments is asked for at every step.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import KERAS_MAJOR, keras, tf

    rates = iter((0.5, 0.25, 0.125))
    held = [0.0]
    optimizer = keras.optimizers.SGD(lambda: held[0])
    variable = tf.Variable(1.0) if KERAS_MAJOR == 2 else keras.Variable(1.0)
    wanted = 1.0
    for step, rate in enumerate(rates):
        held[0] = rate
        optimizer.apply_gradients([(tf.constant(1.0), variable)])
        wanted -= rate
        yield exact(f"after step {step}", lab.seen(np.asarray(variable)), np.array(wanted))


@contract(
    "apply",
    thing="keras.optimizers.Optimizer.apply",
    truth="apply moves what it is given at the rate of its step, and counts the step.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    rates = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [0.5, 0.25, 0.125])
    optimizer = keras.optimizers.SGD(rates)
    variable = keras.Variable(1.0)
    wanted = 1.0
    for step, rate in enumerate((0.5, 0.25, 0.125, 0.125)):
        optimizer.apply([tf.constant(1.0)], [variable])
        wanted -= rate
        yield exact(f"after step {step}", lab.seen(np.asarray(variable)), np.array(wanted))
        yield exact(f"count {step}", lab.seen(optimizer.iterations), np.array(step + 1.0))
