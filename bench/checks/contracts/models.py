"""Models: several inputs and outputs, models inside models, and a train_step of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts import linear
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import (
    BATCH,
    Replay,
    built,
    data,
    weights_of,
)
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("models")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _two_outputs(form: str) -> None:
    @contract(
        f"fit-outputs:{form}",
        thing="keras.Model.fit",
        truth="The loss is the weighted sum of the outputs' losses, which are told without weights.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        x, y = data(BATCH)
        inputs = keras.Input((linear.FEATURES,), name="inputs")
        dense = [keras.layers.Dense(1, name=name) for name in ("first", "second")]
        heads = {layer.name: layer(inputs) for layer in dense}
        model = keras.Model(inputs, heads if form == "dict" else list(heads.values()))
        replay = Replay()
        kernel, bias = (np.asarray(each.value, np.float32) for each in replay.weights)
        for column, layer in enumerate(dense):
            layer.set_weights([kernel[:, column : column + 1], bias[column : column + 1]])
        targets = {"first": y[:, :1], "second": y[:, 1:]}
        losses, weights = dict.fromkeys(targets, "mse"), {"first": 0.5, "second": 4.0}
        as_list = form == "list"
        model.compile(
            keras.optimizers.SGD(0.0),
            list(losses.values()) if as_list else losses,
            loss_weights=list(weights.values()) if as_list else weights,
        )
        given = list(targets.values()) if as_list else targets
        history = model.fit(x, given, batch_size=BATCH, verbose=0).history
        parts = np.square(replay.predict(x) - y).mean(0)
        first, second = parts[0], parts[1]
        got = {
            name: lab.seen(history.get(name, [np.nan])[0])
            for name in ("loss", "first_loss", "second_loss")
        }
        yield deviation("loss", got["loss"], first * 0.5 + second * 4.0)
        yield deviation("first output's loss", got["first_loss"], first)
        yield deviation("second output's loss", got["second_loss"], second)


for _form in ("list", "dict"):
    _two_outputs(_form)


@contract(
    "evaluate-outputs",
    thing="keras.Model.evaluate",
    truth="The loss of each output is its mean over all samples, a short last batch included.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(linear.SAMPLES)
    model, replay = _two_heads(("mse", "mse"), loss_weights=[0.5, 4.0])
    got = model.evaluate(x, [y[:, :1], y[:, 1:]], batch_size=BATCH, verbose=0, return_dict=True)
    squares = np.square(replay.predict(x) - y)
    for column, name in enumerate(("first", "second")):
        found = lab.seen(got.get(f"{name}_loss", np.nan))
        yield deviation(f"{name} output's loss", found, linear.over(squares[:, column]))
    total = squares[:, 0] * 0.5 + squares[:, 1] * 4.0
    yield deviation("loss", lab.seen(got["loss"]), linear.over(total))


@contract(
    "fit-outputs:one_loss",
    thing="keras.Model.compile",
    truth="An output whose loss is None is not trained; the loss is that of the other one.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(BATCH)
    model, replay = _two_heads((None, "mse"), rate=linear.RATE)
    kernel, bias = (np.asarray(each.value, np.float32) for each in replay.weights)
    error = (replay.predict(x) - y)[:, 1:]
    got = model.fit(x, [y[:, :1], y[:, 1:]], batch_size=BATCH, verbose=0).history["loss"]
    yield deviation("loss", lab.seen(got), np.square(error).mean().reshape(1))
    step = Bounded(x).T @ (error * (2.0 / BATCH)) * linear.RATE
    first, second = (model.get_layer(name).get_weights() for name in ("first", "second"))
    yield exact("kernel of the first", lab.seen(first[0]), kernel[:, :1])
    yield exact("bias of the first", lab.seen(first[1]), bias[:1])
    yield deviation("kernel of the second", lab.seen(second[0]), Bounded(kernel[:, 1:]) - step)


@contract(
    "evaluate-outputs:list-targets:dict",
    thing="keras.Model.compile",
    truth="Losses, metrics and targets in dicts go by name to outputs that are a list.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(BATCH)
    # Sorted by name the outputs would change places; shapes cannot tell them apart.
    model, replay = _two_heads(
        {"zeta": "mse", "alpha": "mae"},
        names=("zeta", "alpha"),
        metrics={
            "zeta": [keras.metrics.MeanAbsoluteError(name="error")],
            "alpha": [keras.metrics.MeanSquaredError(name="squares")],
        },
    )
    targets = {"zeta": y[:, :1], "alpha": y[:, 1:]}
    got = model.evaluate(x, targets, batch_size=BATCH, verbose=0, return_dict=True)
    errors = replay.predict(x) - y
    zeta, alpha = errors[:, 0], errors[:, 1]
    truths = {
        "loss": np.square(zeta).mean() + np.abs(alpha).mean(),
        "zeta_error": np.abs(zeta).mean(),
        "alpha_squares": np.square(alpha).mean(),
    }
    for name, truth in truths.items():
        yield deviation(name, lab.seen(got.get(name, np.nan)), truth)


def _two_heads(
    losses: Any,
    *,
    names: tuple[str, str] = ("first", "second"),
    rate: float = 0.0,
    **compilation: Any,
) -> tuple[Any, Replay]:
    """A compiled model whose outputs, a list, are the columns of the replayed one's."""
    from bench.nets.api import keras

    inputs = keras.Input((linear.FEATURES,), name="inputs")
    dense = [keras.layers.Dense(1, name=name) for name in names]
    model = keras.Model(inputs, [layer(inputs) for layer in dense])
    replay = Replay()
    kernel, bias = (np.asarray(each.value, np.float32) for each in replay.weights)
    for column, layer in enumerate(dense):
        layer.set_weights([kernel[:, column : column + 1], bias[column : column + 1]])
    given = losses if isinstance(losses, dict) else list(losses)
    model.compile(keras.optimizers.SGD(rate), given, **compilation)
    return model, replay


@contract(
    "fit-nested",
    thing="keras.Model.fit",
    truth="Dicts of lists of inputs and of outputs are trained, evaluated and predicted as they are"
    " nested.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(linear.SAMPLES)
    ends = {
        "pair": [keras.Input((1,), name="one"), keras.Input((2,), name="two")],
        "rest": keras.Input((1,), name="three"),
    }
    joined = keras.layers.Concatenate()([*ends["pair"], ends["rest"]])
    dense = keras.layers.Dense(linear.OUTPUTS)
    outputs = dense(joined)
    halves = [keras.layers.Lambda(lambda t, at=at: t[:, at : at + 1])(outputs) for at in range(2)]
    model = keras.Model(ends, {"out": {"left": halves[0], "right": [halves[1]]}})
    replay = Replay()
    dense.set_weights([np.asarray(each.value, np.float32) for each in replay.weights])
    model.compile(
        keras.optimizers.SGD(linear.RATE),
        {"out": {"left": "mse", "right": ["mse"]}},
        loss_weights={"out": {"left": 0.5, "right": [0.5]}},
    )
    given = {"pair": [x[:, :1], x[:, 1:3]], "rest": x[:, 3:]}
    targets = {"out": {"left": y[:, :1], "right": [y[:, 1:]]}}
    got = model.fit(given, targets, batch_size=BATCH, shuffle=False, verbose=0).history["loss"]
    truth = linear.mean(list(replay.epoch(x, y, BATCH)))
    yield deviation("loss", lab.seen(got), truth.reshape(1))
    yield from weights_of(lab, model, replay)
    told = model.predict(given, batch_size=BATCH, verbose=0)["out"]
    truth = replay.predict(x)
    yield deviation("left", lab.seen(told["left"]), truth[:, :1])
    yield deviation("right", lab.seen(told["right"][0]), truth[:, 1:])


def _two_inputs(form: str, truth: str) -> None:
    @contract(f"fit-inputs:{form}", thing="keras.Model.fit", truth=truth)
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        x, y = data(linear.SAMPLES)
        # In an order that sorting by name would turn round, and of sizes that tell them apart.
        names, sizes = ("wide", "narrow"), (linear.FEATURES - 1, 1)
        parts = dict(zip(names, np.split(x, [sizes[0]], axis=1), strict=True))
        ends = {
            name: keras.Input((size,), name=name) for name, size in zip(names, sizes, strict=True)
        }
        joined = keras.layers.Concatenate()(list(ends.values()))
        replay = Replay()
        model = keras.Model(
            ends if form == "dict" else list(ends.values()),
            keras.layers.Dense(linear.OUTPUTS)(joined),
        )
        model.set_weights([np.asarray(each.value, np.float32) for each in replay.weights])
        model.compile(keras.optimizers.SGD(linear.RATE), "mse")
        given = list(parts.values()) if form == "list" else dict(reversed(parts.items()))
        got = model.fit(given, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"]
        truth = linear.mean(list(replay.epoch(x, y, BATCH)))
        yield deviation("loss", lab.seen(got), truth.reshape(1))
        yield from weights_of(lab, model, replay)
        got = model.evaluate(given, y, batch_size=BATCH, verbose=0)
        yield deviation("evaluate", lab.seen(got), linear.over(replay.losses(x, y)))
        got = model.predict(given, batch_size=BATCH, verbose=0)
        yield deviation("predict", lab.seen(got), replay.predict(x))


_two_inputs("list", "Arrays in a list go to the inputs in their order.")
_two_inputs("dict", "Arrays in a dict go to the inputs of their names, in whatever order they are.")
_two_inputs(
    "names", "Arrays in a dict go by name to inputs that the model was given in a list, too."
)


@contract(
    "fit-model_in_model-trainable",
    thing="keras.Model.trainable",
    truth="A model inside another is trained by whichever was compiled with it trainable (GAN).",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(BATCH)
    inner = built()
    inputs = keras.Input((linear.FEATURES,))
    before = keras.layers.Dense(linear.FEATURES, use_bias=False)
    inner.trainable = False
    outer = keras.Model(inputs, inner(before(inputs)))
    outer.compile(keras.optimizers.SGD(linear.RATE), "mse")
    frozen = [np.array(weight) for weight in inner.get_weights()]
    start = np.array(before.get_weights()[0])
    outer.train_on_batch(x, y)
    for name, got, truth in zip(("kernel", "bias"), inner.get_weights(), frozen, strict=True):
        yield exact(f"frozen inside, {name}", lab.seen(got), truth)
    yield exact(
        "outside moves", np.array((before.get_weights()[0] != start).any()), np.ones((), bool)
    )
    inner.trainable = True
    inner.compile(keras.optimizers.SGD(linear.RATE), "mse")
    replay = Replay()
    inner.train_on_batch(x, y)
    replay.step(x, y)
    yield from weights_of(lab, inner, replay, ", trained alone")


@contract(
    "add-after_training",
    thing="keras.Sequential.add",
    truth="A layer that is added to a trained model is trained once that is compiled anew.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = linear.data(8)
    replay = linear.Replay()
    model = keras.Sequential([keras.Input((linear.FEATURES,)), keras.layers.Activation("linear")])
    model.compile(keras.optimizers.SGD(linear.RATE), "mse")
    model.evaluate(x, x, verbose=0)
    model.add(keras.layers.Dense(linear.OUTPUTS))
    model.set_weights([np.asarray(each.value, np.float32) for each in replay.weights])
    model.compile(keras.optimizers.SGD(linear.RATE), "mse")
    for step in range(2):
        model.train_on_batch(x, y)
        replay.step(x, y)
        yield from weights_of(lab, model, replay, f" after step {step + 1}")


@contract(
    "compile-again-metrics",
    thing="keras.Model.compile",
    truth="A model that is compiled again has the metrics of that time alone, under their names.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(BATCH)
    model, replay = built(metrics=[keras.metrics.MeanAbsoluteError(name="error")]), Replay()
    model.evaluate(x, y, verbose=0)
    squares = keras.metrics.MeanSquaredError(name="squares")
    model.compile(keras.optimizers.SGD(linear.RATE), "mae", metrics=[squares])
    for call in range(2):
        got = model.evaluate(x, y, batch_size=BATCH, verbose=0, return_dict=True)
        yield exact(f"call {call}: {sorted(got)}", np.array(len(got)), np.array(2))
        yield deviation(f"call {call}, loss", lab.seen(got["loss"]), replay.errors(x, y))
        found = lab.seen(got.get("squares", np.nan))
        yield deviation(f"call {call}, metric", found, replay.loss(x, y))


@contract(
    "metrics-of-inner-model",
    thing="keras.Model.metrics",
    truth="A compiled model inside another adds no metrics of its own to what the outer one tells.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(BATCH)
    inner, replay = built(metrics=[keras.metrics.MeanSquaredError(name="inner")]), Replay()
    inputs = keras.Input((linear.FEATURES,))
    outer = keras.Model(inputs, inner(inputs))
    outer.compile("sgd", "mse", metrics=[keras.metrics.MeanAbsoluteError(name="outer")])
    got = outer.evaluate(x, y, batch_size=BATCH, verbose=0, return_dict=True)
    yield exact(f"names: {sorted(got)}", np.array(len(got)), np.array(2))
    yield deviation("loss", lab.seen(got["loss"]), replay.loss(x, y))
    yield deviation("metric", lab.seen(got.get("outer", np.nan)), replay.errors(x, y))


@contract(
    "fit-train_step",
    thing="keras.Model.train_step",
    truth="A train_step of one's own is what fit calls, and the metrics that it returns are the logs.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    class Custom(keras.Model):
        def train_step(self, batch: Any) -> Any:
            x, y = batch
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"my_loss": loss}

    x, y = data(BATCH)
    replay = Replay()
    inputs = keras.Input((linear.FEATURES,))
    model = Custom(inputs, keras.layers.Dense(linear.OUTPUTS)(inputs))
    model.set_weights([np.asarray(each.value, np.float32) for each in replay.weights])
    model.compile(keras.optimizers.SGD(linear.RATE))
    got = model.fit(x, y, batch_size=BATCH, verbose=0, shuffle=False).history
    told = got.get("my_loss", [np.nan])
    yield deviation("my_loss", lab.seen(told), replay.loss(x, y).reshape(1))
    replay.step(x, y)
    yield from weights_of(lab, model, replay)


@contract(
    "metric-of-layer",
    thing="keras.layers.Layer",
    truth="A metric that a layer updates is told under its name by fit and evaluate, anew each epoch.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    class Watching(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.seen = keras.metrics.Mean("seen")

        def call(self, inputs: Any) -> Any:
            self.seen.update_state(tf.reduce_sum(tf.abs(inputs)))
            return inputs

    x, y = data(BATCH)
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, keras.layers.Dense(y.shape[1])(Watching()(inputs)))
    model.compile(keras.optimizers.SGD(linear.RATE), "mse")
    told = model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0).history.get("seen", [np.nan] * 2)
    truth = np.abs(Bounded(x)).sum()
    for epoch, got in enumerate(told):
        yield deviation(f"epoch {epoch}", lab.seen(got), truth)
    got = model.evaluate(x, y, batch_size=BATCH, return_dict=True, verbose=0).get("seen", np.nan)
    yield deviation("evaluate", lab.seen(got), truth)
