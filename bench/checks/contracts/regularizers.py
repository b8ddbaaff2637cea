"""Regularizers and constraints: what they add to the loss, and what they make of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.checks.contracts import formulas, linear
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.formulas import Numbers
from bench.checks.contracts.linear import RATE, Replay, data, drawn
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("regularizers")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

# --- Regularizers


def _l1(w: Numbers, factor: float) -> Numbers:
    return np.abs(w).sum() * factor


def _l2(w: Numbers, factor: float) -> Numbers:
    return np.square(w).sum() * factor


@contract(
    "values-L1-L2",
    thing="keras.regularizers.L1L2",
    truth="l1 times the sum of absolute values plus l2 times that of squares; .01 by default.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    for shape in ((7,), (4, 3), (2, 2, 3, 2)):
        w = drawn("regularized", *shape)
        x, of = Bounded(w), keras.regularizers
        for name, regularizer, truth in (
            ("L1", of.L1(0.3), _l1(x, 0.3)),
            ("L2", of.L2(0.2), _l2(x, 0.2)),
            ("L1L2", of.L1L2(l1=0.1, l2=0.4), _l1(x, 0.1) + _l2(x, 0.4)),
            ("l1", of.get("l1"), _l1(x, 0.01)),
            ("l2", of.get("l2"), _l2(x, 0.01)),
        ):
            got = lab.seen(regularizer(tf.constant(w)))
            yield deviation(f"{name}, rank {len(shape)}", got, truth)


@contract(
    "values-orthogonal",
    thing="keras.regularizers.OrthogonalRegularizer",
    truth="The factor times the mean size of the cosines between pairs of rows, or of columns.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import KERAS_VERSION, keras, tf

    if not hasattr(keras.regularizers, "OrthogonalRegularizer"):
        raise AbsentError(f"Keras {KERAS_VERSION} has no keras.regularizers.OrthogonalRegularizer")
    w = drawn("orthogonal", 4, 3)
    for mode, vectors in (("rows", Bounded(w)), ("columns", Bounded(w.T))):
        number = len(vectors)
        unit = vectors / np.sqrt(np.square(vectors).sum(-1, keepdims=True))
        cosines = np.abs(unit @ unit.T) * (1.0 - np.eye(number))
        truth = cosines.sum() * (0.25 * 0.5) / (number * (number - 1) / 2)
        regularizer = keras.regularizers.OrthogonalRegularizer(0.25, mode=mode)
        yield deviation(mode, lab.seen(regularizer(tf.constant(w))), truth)


def _dense(**regularizers: Any) -> tuple[Any, Replay]:
    """A compiled dense layer with regularizers, and the replay of the one without."""
    from bench.nets.api import keras

    inputs, replay = keras.Input((linear.FEATURES,)), Replay()
    model = keras.Model(inputs, keras.layers.Dense(linear.OUTPUTS, **regularizers)(inputs))
    model.set_weights([np.asarray(each.value, np.float32) for each in replay.weights])
    model.compile(keras.optimizers.SGD(RATE), "mse", run_eagerly=True)
    return model, replay


@contract(
    "weights-loss",
    thing="keras.layers.Dense",
    truth="Penalties of kernel and bias are added to the loss, whatever the batch, and train.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    for samples in (1, 8):
        x, y = data(samples)
        model, replay = _dense(
            kernel_regularizer=keras.regularizers.L2(0.25),
            bias_regularizer=keras.regularizers.L1(0.125),
        )
        penalties = _l2(replay.kernel, 0.25), _l1(replay.bias, 0.125)
        losses = sorted(float(lab.seen(loss)) for loss in model.losses)
        for which, (got, truth) in enumerate(
            zip(losses, sorted(penalties, key=lambda each: float(each.value)), strict=True)
        ):
            yield deviation(f"batch of {samples}, penalty {which}", np.array(got), truth)
        got = model.evaluate(x, y, batch_size=samples, verbose=0)
        truth = replay.loss(x, y) + penalties[0] + penalties[1]
        yield deviation(f"batch of {samples}, loss", lab.seen(got), truth)
        model.train_on_batch(x, y)
        decayed = replay.kernel * (2 * 0.25 * RATE), Bounded(np.sign(replay.bias.value) * 0.125)
        replay.step(x, y)
        kernel, bias = replay.kernel - decayed[0], replay.bias - decayed[1] * RATE
        for name, got, truth in zip(
            ("kernel", "bias"), model.get_weights(), (kernel, bias), strict=True
        ):
            yield deviation(f"batch of {samples}, {name} after a step", lab.seen(got), truth)


@contract(
    "activity-loss",
    thing="keras.layers.Dense",
    truth="The penalty on outputs is divided by the batch size before it is added to the loss.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    for samples in (1, 4, 8):
        x, y = data(samples)
        model, replay = _dense(activity_regularizer=keras.regularizers.L2(0.25))
        outputs = replay.predict(x)
        got = model.train_on_batch(x, y)
        truth = replay.loss(x, y) + _l2(outputs, 0.25) / samples
        yield deviation(f"batch of {samples}, loss", lab.seen(got), truth)
        # Both gradients by the outputs are linear in them.
        slope = (outputs - y) * (2.0 / (linear.OUTPUTS * samples)) + outputs * (0.5 / samples)
        kernel = replay.kernel - (Bounded(x).T @ slope) * RATE
        got = lab.seen(model.get_weights()[0])
        yield deviation(f"batch of {samples}, kernel after a step", got, kernel)


@contract(
    "activity-layers",
    thing="keras.layers.Layer",
    truth="Any layer's penalty on outputs, in losses after a call, is divided by the batch size.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    for samples in (1, 6):
        for name, layer, shape in (
            ("Activation", keras.layers.Activation("linear"), (5,)),
            ("Conv2D", keras.layers.Conv2D(2, 2), (4, 4, 3)),
            ("LayerNormalization", keras.layers.LayerNormalization(), (5,)),
        ):
            layer.activity_regularizer = keras.regularizers.L1(0.5)
            outputs = layer(tf.constant(drawn(name, samples, *shape)))
            truth = _l1(Bounded(outputs.numpy()), 0.5) / samples
            yield deviation(f"{name}, batch of {samples}", lab.seen(sum(layer.losses)), truth)
        layer = keras.layers.ActivityRegularization(l1=0.5, l2=0.25)
        x = drawn("activity", samples, 5)
        layer(tf.constant(x))
        truth = (_l1(Bounded(x), 0.5) + _l2(Bounded(x), 0.25)) / samples
        got = lab.seen(sum(layer.losses))
        yield deviation(f"ActivityRegularization, batch of {samples}", got, truth)


@contract(
    "weights-layers",
    thing="keras.layers.Layer",
    truth="Any layer's losses hold the penalty of each regularized weight once, however often called.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    l2, of = keras.regularizers.L2(0.5), keras.layers
    for name, layer, inputs, regularized in (
        ("Conv1D", of.Conv1D(2, 3, kernel_regularizer=l2), drawn("conv", 2, 5, 3), [0]),
        (
            "Embedding",
            of.Embedding(6, 3, embeddings_regularizer=l2),
            np.array([[1, 2], [3, 1]], np.int32),
            [0],
        ),
        ("BatchNormalization", of.BatchNormalization(gamma_regularizer=l2), drawn("b", 4, 3), [0]),
        (
            "SimpleRNN",
            of.SimpleRNN(2, recurrent_regularizer=l2, kernel_regularizer=l2),
            drawn("rnn", 2, 3, 4),
            [0, 1],
        ),
    ):
        for _ in range(2):
            layer(tf.constant(inputs))
        weights = layer.get_weights()
        truth = _l2(Bounded(weights[regularized[0]]), 0.5)
        for at in regularized[1:]:
            truth = truth + _l2(Bounded(weights[at]), 0.5)
        yield deviation(name, lab.seen(sum(layer.losses)), truth)
        count = lab.seen(len(layer.losses))
        yield exact(f"{name}, number of losses", count, np.array(len(regularized)))


# --- Constraints


def _norms(w: Numbers, axis: Any) -> Numbers:
    return np.sqrt(np.square(w).sum(axis, keepdims=True))


def _rescaled(w: Numbers, axis: Any, wanted: Callable[[Numbers], Numbers]) -> Numbers:
    norms = _norms(w, axis)
    return w * (wanted(norms) / formulas.fuzzy(norms))


@contract(
    "constraints",
    thing="keras.constraints.Constraint",
    truth="Weights are moved by the documented formula, along the axes that are given.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    of = keras.constraints
    for shape, axes in (((4, 3), (0, 1)), ((2, 2, 3, 2), ((0, 1, 2),))):
        w = drawn("constrained", *shape)
        x: Numbers = Bounded(w)
        yield deviation("NonNeg", lab.seen(of.NonNeg()(tf.constant(w))), np.maximum(x, 0.0))
        for axis in axes:
            given = list(axis) if isinstance(axis, tuple) else axis
            for name, constraint, truth in (
                ("UnitNorm", of.UnitNorm(axis=given), x / formulas.fuzzy(_norms(x, axis))),
                (
                    "MaxNorm",
                    of.MaxNorm(1.5, axis=given),
                    _rescaled(x, axis, lambda norms: np.minimum(norms, 1.5)),
                ),
                (
                    "MinMaxNorm",
                    of.MinMaxNorm(1.25, 1.5, rate=0.25, axis=given),
                    _rescaled(
                        x,
                        axis,
                        lambda norms: (
                            np.minimum(np.maximum(norms, 1.25), 1.5) * 0.25 + norms * 0.75
                        ),
                    ),
                ),
            ):
                got = lab.seen(constraint(tf.constant(w)))
                yield deviation(f"{name}, axis {axis}", got, truth)


@contract(
    "constraints-training",
    thing="keras.layers.Dense",
    truth="Constraints are applied to the weights after each step.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(8)
    model, replay = _dense(
        kernel_constraint=keras.constraints.NonNeg(),
        bias_constraint=keras.constraints.MaxNorm(0.25),
    )
    for step in range(2):
        model.train_on_batch(x, y)
        replay.step(x, y)
        moved: Numbers = replay.kernel
        replay.kernel = np.maximum(moved, 0.0)
        replay.bias = _rescaled(replay.bias, 0, lambda norms: np.minimum(norms, 0.25))
        for name, got, truth in zip(
            ("kernel", "bias"), model.get_weights(), replay.weights, strict=True
        ):
            yield deviation(f"step {step}, {name}", lab.seen(got), truth)
