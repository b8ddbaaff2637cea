"""Scaled losses: a scale that follows overflows, and one that is given."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.training import (
    Truth,
    apply,
    compared,
    drawn_gradients,
    made,
    values,
    variables,
)
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.oracle.optimizers import State
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("loss_scale")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: Gradients by step: finite, or holding what overflows. The scale doubles after two finite steps.
SCRIPT = ("finite", "finite", "inf", "finite", "nan", "finite", "finite", "finite")
SCALE = 1024.0


def scales() -> list[float]:
    """Scales of the loss before each step and after the last."""
    scale, finite, told = SCALE, 0, [SCALE]
    for kind in SCRIPT:
        finite = finite + 1 if kind == "finite" else 0
        if kind != "finite":
            scale *= 0.5
        elif finite == 2:
            scale, finite = scale * 2.0, 0
        told.append(scale)
    return told


def _scaled(keras_major: int, thing: str, counting: str) -> None:
    @contract(
        f"overflow:keras{keras_major}",
        thing=thing,
        truth="A step with gradients that are not finite moves nothing and halves the scale;"
        f" dynamic_growth_steps finite ones in a row double it; {counting}.",
        keras=(keras_major,),
        counterpart=f"overflow:keras{5 - keras_major}",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras, tf

        inner = made("adam")
        settings = {"initial_scale": SCALE, "dynamic_growth_steps": 2}
        optimizer = keras.mixed_precision.LossScaleOptimizer(inner, **settings)
        targets = variables()
        truth = Truth("adam", values(targets))
        optimizer.build(targets) if keras_major == 3 else None
        for step, (kind, scale) in enumerate(zip(SCRIPT, scales(), strict=False)):
            if keras_major == 3:
                told = optimizer.scale_loss(tf.constant(1.0))
            else:
                told = optimizer.get_scaled_loss(tf.constant(1.0))
            yield exact(f"scale before step {step + 1}", lab.seen(told), np.array(scale))
            gradients = drawn_gradients(step)
            given = [g * np.float32(scale) for g in gradients]
            if kind == "finite":
                truth.step(gradients)
            else:
                given[1][0] = float(kind)
                if keras_major == 2:
                    truth.state = State(truth.state.steps + 1, truth.state.slots)
            if keras_major == 2:
                given = optimizer.get_unscaled_gradients([tf.constant(g) for g in given])
            apply(optimizer, given, targets)
            yield from compared(lab, targets, truth, f"after step {step + 1} ({kind})")
        taken = lab.seen(inner.iterations)
        yield exact("iterations", taken, np.array(float(truth.state.steps)))


_scaled(
    *(3, "keras.optimizers.LossScaleOptimizer", "iterations do not count what was left out"),
)
_scaled(
    *(2, "keras.mixed_precision.LossScaleOptimizer", "iterations count what was left out, too"),
)


@contract(
    "factor",
    thing="keras.optimizers.SGD",
    truth="loss_scale_factor multiplies the loss, and gradients are divided by it.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    optimizer = made("sgd", loss_scale_factor=8.0)
    yield exact("loss", lab.seen(optimizer.scale_loss(tf.constant(1.5))), np.array(12.0))
    targets = variables()
    truth = Truth("sgd", values(targets))
    apply(optimizer, [8.0 * g for g in drawn_gradients(0)], targets)
    truth.step(drawn_gradients(0))
    yield from compared(lab, targets, truth, "after step 1")


@contract(
    "overflow-model",
    thing="keras.mixed_precision.set_global_policy",
    truth="Where the gradients of one batch overflow inside a mixed_float16 model, that batch moves"
    " nothing and the batches around it train as float32 does.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        inputs = keras.Input((1,))
        hidden = keras.layers.Dense(1, use_bias=False)(inputs)
        outputs = keras.layers.Activation("linear", dtype="float32")(hidden)
        model = keras.Model(inputs, outputs)
        model.set_weights([np.ones((1, 1), np.float32)])
        # Keras wraps it under the policy: the scale starts at 2^15.
        model.compile(keras.optimizers.SGD(0.5), "mse")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    weight, scale = 1.0, 2.0**15
    # Gradients 2 (w x - y) x: powers of two, so float16 holds them. That of the second overflows
    # with the scale of 2^15 and fits with half of it.
    for batch, (x, slope) in enumerate(((1.0, 0.25), (1.0, 2.0), (1.0, 2.0), (1.0, -0.5))):
        model.train_on_batch(np.full((1, 1), x, np.float32), np.full((1, 1), weight - slope / 2))
        if slope * scale > float(np.finfo(np.float16).max):
            scale /= 2
        else:
            weight -= 0.5 * slope
        yield exact(f"weight after batch {batch}", lab.seen(model.get_weights()[0]), [[weight]])


@contract(
    "iterations-fit",
    thing="keras.optimizers.Optimizer.iterations",
    truth="The optimizer of a mixed_float16 model counts its steps, and a schedule is asked for each.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        inputs = keras.Input((1,))
        model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
        model.compile(keras.optimizers.SGD(schedule), "mae")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    model.set_weights([np.ones((1, 1), np.float32)])
    # A slope of 1, whose scaled value float16 holds.
    x = np.ones((3, 1), np.float32)
    model.fit(x, np.zeros_like(x), batch_size=1, verbose=0)
    yield exact("iterations", lab.seen(np.asarray(model.optimizer.iterations)), np.array(3))
    yield exact("weight", lab.seen(model.get_weights()[0]), np.array([[1 - 0.5 - 0.25 - 0.125]]))
