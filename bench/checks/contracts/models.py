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
