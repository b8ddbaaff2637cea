"""Calls: what a model hands on to the layers inside it, and what a layer keeps to itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import BATCH, RATE, Replay, data, drawn, weights_of
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("calls")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

FEATURES = 3


def _listener(told: list[Any], *, default: Any = None) -> Any:
    """A layer that notes with which ``training`` it is called, and changes nothing."""
    from bench.nets.api import keras

    class Listener(keras.layers.Layer):
        def call(self, inputs: Any, training: Any = default) -> Any:
            told.append(training)
            return inputs

    return Listener()


def _around(*layers: Any) -> Any:
    """A layer whose call does not name ``training``, around others."""
    from bench.nets.api import keras

    class Around(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = list(layers)

        def call(self, inputs: Any) -> Any:
            for layer in self.inner:
                inputs = layer(inputs)
            return inputs

    return Around()


def _truth(told: list[Any]) -> Any:
    """The last call's ``training`` as a number, -1 without a call; None counts as false."""
    return np.array(float(bool(told[-1]) if told else -1.0))


@contract(
    "training-reaches",
    thing="keras.layers.Layer",
    truth="training comes from the outer call where a call in between does not name it.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x = drawn("inputs", 4, FEATURES)
    told: list[Any] = []
    inputs = keras.Input((FEATURES,))
    outputs = keras.layers.Dense(1)(_around(_around(_listener(told)))(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", run_eagerly=True)
    for name, call, wanted in (
        ("model(x, training=True)", lambda: model(x, training=True), 1.0),
        ("model(x, training=False)", lambda: model(x, training=False), 0.0),
        ("model(x)", lambda: model(x), 0.0),
        ("fit", lambda: model.fit(x, x[:, :1], verbose=0), 1.0),
        ("evaluate", lambda: model.evaluate(x, x[:, :1], verbose=0), 0.0),
        ("predict", lambda: model.predict(x, verbose=0), 0.0),
    ):
        told.clear()
        call()
        yield exact(name, lab.seen(_truth(told)), np.array(wanted))


@contract(
    "training-default",
    thing="keras.layers.Layer",
    truth="A layer's own default for training is not handed on to the layers behind it.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x = drawn("inputs", 4, FEATURES)
    first: list[Any] = []
    behind: list[Any] = []
    chain = [_listener(first, default=True), _listener(behind)]
    around = _around(*chain)
    inputs = keras.Input((FEATURES,))
    model = keras.Model(inputs, chain[1](chain[0](inputs)))
    for name, called in (("inside a layer", around), ("inside a model", model)):
        first.clear()
        behind.clear()
        called(x)
        yield exact(f"{name}, its own", lab.seen(_truth(first)), np.ones(()))
        yield exact(f"{name}, behind it", lab.seen(_truth(behind)), np.zeros(()))
        called(x, training=False)
        yield exact(f"{name}, told otherwise", lab.seen(_truth(first)), np.zeros(()))


@contract(
    "training-fixed",
    thing="keras.Model",
    truth="training=False, given where a model is built of others, holds in fit: batch normalization"
    " inside uses its moving statistics and leaves them as they are.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x = drawn("inputs", 6, FEATURES)
    mean, variance = drawn("mean", FEATURES), drawn("variance", FEATURES) ** 2 + np.float32(0.5)
    normal = keras.layers.BatchNormalization(epsilon=0.25)
    within = keras.Input((FEATURES,))
    base = keras.Model(within, normal(within))
    normal.set_weights([np.ones(FEATURES), np.zeros(FEATURES), mean, variance])
    inputs = keras.Input((FEATURES,))
    model = keras.Model(inputs, base(inputs, training=False))
    truth = (Bounded(x) - mean) / np.sqrt(Bounded(variance) + 0.25)
    # Keras computes x s + (beta - m s): two products, a sum and s are each rounded.
    size = (np.abs(x) + np.abs(mean)) / np.sqrt(variance + 0.25)
    room = Bounded(truth.value, truth.error + 4 * 2.0**-24 * size)
    yield deviation("training=True", lab.seen(model(x, training=True)), room)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(x, x, verbose=0)
    for name, got, kept in zip(
        ("moving mean", "moving variance"), normal.get_weights()[2:], (mean, variance), strict=True
    ):
        yield exact(f"{name} after fit", lab.seen(got), kept)


@contract(
    "trainable-false",
    thing="keras.layers.BatchNormalization",
    truth="Where trainable is False it runs as in inference, whatever training says.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x = drawn("inputs", 6, FEATURES)
    inputs = keras.Input((FEATURES,))
    normal = keras.layers.BatchNormalization()
    model = keras.Model(inputs, normal(inputs))
    calm = lab.seen(model(x, training=False))
    model.trainable = False
    yield exact("outputs", lab.seen(model(x, training=True)), calm)
    mean, variance = (lab.seen(each) for each in normal.get_weights()[2:])
    yield exact("moving mean", mean, np.zeros(FEATURES))
    yield exact("moving variance", variance, np.ones(FEATURES))
    model.trainable = True
    yield exact("trainable again", np.array(len(normal.trainable_weights)), np.array(2))


@contract(
    "losses-added",
    thing="keras.layers.Layer",
    truth="A loss that a call adds is part of that step's loss, once, and gone before the next call.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    class Adding(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(tf.reduce_sum(tf.square(inputs)))
            return inputs

    x, y = drawn("inputs", 6, FEATURES), drawn("targets", 6, FEATURES)
    inputs = keras.Input((FEATURES,))
    model = keras.Model(inputs, _around(Adding())(inputs))
    own = np.square(Bounded(x) - y).mean()
    model(x)
    model(x)
    yield exact("losses after two calls", np.array(len(model.losses)), np.array(1))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(x, y, batch_size=6, epochs=2, verbose=0).history["loss"]
    truth = own + np.square(Bounded(x)).sum()
    for epoch, got in enumerate(history):
        yield deviation(f"loss of epoch {epoch}", lab.seen(got), truth)
    got = model.evaluate(x, y, batch_size=6, verbose=0)
    yield deviation("loss of evaluate", lab.seen(got), truth)


def _optional() -> tuple[Any, Any]:
    """A compiled model of two inputs, of which the second may be None, and its kernel."""
    from bench.nets.api import keras

    class Optional(keras.layers.Layer):
        def call(self, first: Any, second: Any = None) -> Any:
            return first if second is None else first + second

    first = keras.Input((FEATURES,), name="first")
    second = keras.Input((FEATURES,), name="second", optional=True)
    dense = keras.layers.Dense(1, use_bias=False)
    model = keras.Model({"first": first, "second": second}, dense(Optional()(first, second)))
    kernel = drawn("kernel", FEATURES, 1)
    dense.set_weights([kernel])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model, kernel


@contract(
    "inputs-optional",
    thing="keras.Input",
    truth="An input that is optional may be None in a call, in fit, evaluate and predict.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    try:
        keras.Input((FEATURES,), optional=True)
    except TypeError as error:
        raise AbsentError("this Keras has no optional inputs") from error
    x, y = drawn("inputs", 4, FEATURES), drawn("targets", 4, 1)
    model, kernel = _optional()
    truth = Bounded(x) @ kernel
    given = {"first": x, "second": None}
    yield deviation("call", lab.seen(model(given)), truth)
    yield deviation("predict", lab.seen(model.predict(given, verbose=0)), truth)
    loss = np.square(truth - y).mean()
    yield deviation("evaluate", lab.seen(model.evaluate(given, y, verbose=0)), loss)
    got = model.fit(given, y, batch_size=4, verbose=0).history["loss"][0]
    yield deviation("fit", lab.seen(got), loss)
    got = model.predict({"first": x, "second": x}, verbose=0)
    yield deviation("predict, given", lab.seen(got), (Bounded(x) + x) @ kernel)


@contract(
    "clone_model",
    thing="keras.models.clone_model",
    truth="A clone computes the same once it has the same weights, shares none with the original, and"
    " has models inside models as the original has.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x = drawn("inputs", 4, FEATURES)
    within = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)], name="within")
    inputs = keras.Input((FEATURES,))
    shared = keras.layers.Dense(FEATURES, "tanh")
    outputs = within(shared(shared(inputs)))
    model = keras.Model(inputs, keras.layers.BatchNormalization(axis=-1)(outputs))
    weights = [drawn(f"weight {at}", *w.shape) for at, w in enumerate(model.get_weights())]
    weights[-1] = np.square(weights[-1])
    model.set_weights(weights)
    before = lab.seen(model(x))
    clone = keras.models.clone_model(model)
    yield exact("layers", np.array(len(clone.layers)), np.array(len(model.layers)))
    inner = clone.get_layer("within")
    yield exact("layers of the inner model", np.array(len(inner.layers)), np.array(2))
    clone.set_weights(weights)
    yield exact("outputs", lab.seen(clone(x)), before)
    clone.set_weights([np.zeros_like(weight) for weight in weights])
    yield exact("outputs of the original", lab.seen(model(x)), before)


@contract(
    "compute_loss",
    thing="keras.Model.compute_loss",
    truth="A compute_loss of one's own is the loss that fit lowers and tells, and evaluate tells.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    class Custom(keras.Model):
        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
        ) -> Any:
            assert sample_weight is None
            return tf.reduce_mean(tf.square(y_pred - y)) * 0.5 + tf.reduce_mean(tf.square(x))

    x, y = data(BATCH)
    inputs = keras.Input(x.shape[1:])
    model = Custom(inputs, keras.layers.Dense(y.shape[1])(inputs))
    replay = Replay()
    model.set_weights([np.asarray(each.value, np.float32) for each in replay.weights])
    model.compile(keras.optimizers.SGD(RATE), "mse")

    def wanted() -> Bounded:
        return replay.loss(x, y) * 0.5 + np.square(Bounded(x)).mean()

    got = model.fit(x, y, batch_size=BATCH, verbose=0).history["loss"][0]
    yield deviation("loss of fit", lab.seen(got), wanted())
    replay.step(x, y, rate=RATE / 2)
    yield from weights_of(lab, model, replay)
    got = model.evaluate(x, y, batch_size=BATCH, verbose=0)
    yield deviation("loss of evaluate", lab.seen(got), wanted())


@contract(
    "trainable-argument",
    thing="keras.layers.Layer",
    truth="A layer that is made with trainable=False has no trainable weights, and fit leaves its own"
    " as they are.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(BATCH)
    inputs = keras.Input(x.shape[1:])
    fixed = keras.layers.Dense(3, trainable=False)
    model = keras.Model(inputs, keras.layers.Dense(y.shape[1])(fixed(inputs)))
    before = fixed.get_weights()
    yield exact("trainable weights", np.array(len(model.trainable_weights)), np.array(2))
    model.compile(keras.optimizers.SGD(RATE), "mse")
    model.fit(x, y, verbose=0)
    for name, got, kept in zip(("kernel", "bias"), fixed.get_weights(), before, strict=True):
        yield exact(name, lab.seen(got), kept)


@contract(
    "pop",
    thing="keras.Sequential.pop",
    truth="Without its last layer a model returns what went into that; count_params counts the rest.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    layers = keras.layers
    model = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(2), layers.Dense(4)])
    x = drawn("inputs", 4, FEATURES)
    yield exact("parameters", np.array(model.count_params()), np.array(2 * (FEATURES + 1) + 4 * 3))
    kernel, bias = drawn("kernel", FEATURES, 2), drawn("bias", 2)
    model.layers[0].set_weights([kernel, bias])
    model(x)
    model.pop()
    yield exact("parameters left", np.array(model.count_params()), np.array(2 * (FEATURES + 1)))
    yield deviation("outputs", lab.seen(model(x)), Bounded(x) @ kernel + bias)


@contract(
    "losses-alone",
    thing="keras.Model.compile",
    truth="A model that is compiled without a loss is trained by what its layers add, without targets.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    class Adding(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(tf.reduce_sum(inputs))
            return inputs

    x = drawn("inputs", 6, FEATURES)
    inputs = keras.Input((FEATURES,))
    dense = keras.layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, Adding()(dense(inputs)))
    kernel = drawn("kernel", FEATURES, 2)
    dense.set_weights([kernel])
    model.compile(keras.optimizers.SGD(RATE))
    got = model.fit(x, batch_size=6, verbose=0).history["loss"][0]
    yield deviation("loss", lab.seen(got), (Bounded(x) @ kernel).sum())
    truth = Bounded(kernel) - (Bounded(x).sum(0) * RATE).reshape(-1, 1)
    yield deviation("kernel", lab.seen(dense.get_weights()[0]), truth)


@contract(
    "steps-own",
    thing="keras.Model.test_step",
    truth="A test_step and a predict_step of one's own are what evaluate and predict call.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    class Own(keras.Model):
        def test_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            return {"farthest": tf.reduce_max(tf.abs(self(x, training=False) - y))}

        def predict_step(self, data: Any) -> Any:
            return self(data[0] if isinstance(data, tuple) else data, training=False) * 2.0

    x, y = drawn("inputs", 6, FEATURES), drawn("targets", 6, FEATURES)
    inputs = keras.Input((FEATURES,))
    model = Own(inputs, keras.layers.Activation("linear")(inputs))
    model.compile("sgd", "mse")
    got = model.predict(x, batch_size=4, verbose=0)
    yield exact("predict", lab.seen(got), x * np.float32(2.0))
    got = model.evaluate(x, y, batch_size=6, return_dict=True, verbose=0)
    yield exact("evaluate", lab.seen(got.get("farthest", np.nan)), np.abs(x - y).max())
