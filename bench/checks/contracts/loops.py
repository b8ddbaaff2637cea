"""Loops: what ``fit``, ``evaluate``, ``predict`` and their ``on_batch`` kin compute and return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts import linear
from bench.checks.contracts.contract import Broken, Catalogue
from bench.checks.contracts.linear import Array, Replay, batches, built, data, mean
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("loops")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: 23 samples in batches of 8: the last one is short.
SAMPLES, BATCH = 23, 8


def _weights(lab: Lab, model: Any, replay: Replay, when: str = "") -> Iterator[Deviation]:
    """Kernel and bias after training."""
    for name, got, truth in zip(
        ("kernel", "bias"), model.get_weights(), replay.weights, strict=True
    ):
        yield deviation(f"{name}{when}", lab.seen(got), truth)


# --- One batch at a time


@contract(
    "train_on_batch-returns:loss",
    thing="keras.Model.train_on_batch",
    truth="Returns the loss of the batch that it is given, whatever came before.",
    broken=[Broken("keras 3.0.0 to 3.14.1", "keras #22596")],
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    for call, part in enumerate(batches(SAMPLES, BATCH)):
        got = model.train_on_batch(x[part], y[part])
        yield deviation(f"call {call}, loss", lab.seen(got), replay.loss(x[part], y[part]))
        replay.step(x[part], y[part])
    yield from _weights(lab, model, replay)


@contract(
    "train_on_batch-returns:metrics",
    thing="keras.Model.train_on_batch",
    truth="Returns the loss and the metrics of the batch that it is given, as a list and as a dict.",
    broken=[Broken("keras 3.0.0 to 3.14.1", "keras #22596")],
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(metrics=[_mean_absolute_error()]), Replay()
    for call, part in enumerate(batches(SAMPLES, BATCH)):
        got = model.train_on_batch(x[part], y[part], return_dict=call % 2 == 1)
        loss, error = (got["loss"], got["error"]) if call % 2 else got
        yield deviation(f"call {call}, loss", lab.seen(loss), replay.loss(x[part], y[part]))
        yield deviation(f"call {call}, metric", lab.seen(error), replay.errors(x[part], y[part]))
        replay.step(x[part], y[part])


@contract(
    "test_on_batch-returns:loss",
    thing="keras.Model.test_on_batch",
    truth="Returns the loss of the batch that it is given, whatever came before, and changes nothing.",
    broken=[Broken("keras 3.0.0 to 3.14.1", "keras #22596")],
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    for call, part in enumerate(batches(SAMPLES, BATCH)):
        got = model.test_on_batch(x[part], y[part])
        yield deviation(f"call {call}, loss", lab.seen(got), replay.loss(x[part], y[part]))
    yield from _weights(lab, model, replay)


@contract(
    "train_on_batch-sample_weight",
    thing="keras.Model.train_on_batch",
    truth="The loss is the sum of weighted losses over the number of samples, and its gradient trains.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(BATCH)
    weights = _sample_weights(BATCH)
    model, replay = built(), Replay()
    got = model.train_on_batch(x, y, sample_weight=weights)
    yield deviation("loss", lab.seen(got), replay.loss(x, y, weights))
    replay.step(x, y, weights)
    yield from _weights(lab, model, replay)


@contract(
    "predict_on_batch",
    thing="keras.Model.predict_on_batch",
    truth="Returns the outputs of the batch, in its order.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, _ = data(SAMPLES)
    model, replay = built(), Replay()
    for part in batches(SAMPLES, BATCH):
        yield deviation(
            "outputs", lab.seen(model.predict_on_batch(x[part])), replay.predict(x[part])
        )


# --- Whole data


@contract(
    "fit-history:loss",
    thing="keras.Model.fit",
    truth="An epoch's loss is the mean over its samples, each as its batch was before its step.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    history = model.fit(x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0).history
    for epoch, got in enumerate(history["loss"]):
        truth = mean(list(replay.epoch(x, y, BATCH)))
        yield deviation(f"epoch {epoch}, loss", lab.seen(got), truth)
    yield from _weights(lab, model, replay)


@contract(
    "fit-history:metrics",
    thing="keras.Model.fit",
    truth="An epoch's metric is its value over all samples of the epoch, a short last batch included.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(metrics=[_mean_absolute_error()]), Replay()
    history = model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0).history
    for epoch, got in enumerate(history["error"]):
        parts = []
        for part in batches(SAMPLES, BATCH):
            parts.append((replay.errors(x[part], y[part]), len(x[part])))
            replay.step(x[part], y[part])
        yield deviation(f"epoch {epoch}, metric", lab.seen(got), mean(parts))


@contract(
    "fit-sample_weight",
    thing="keras.Model.fit",
    truth="Sample weights scale losses; a batch's loss is divided by its number of samples.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    weights = _sample_weights(SAMPLES)
    model, replay = built(), Replay()
    model.fit(x, y, sample_weight=weights, batch_size=BATCH, shuffle=False, verbose=0)
    for _ in replay.epoch(x, y, BATCH, weights):
        pass
    yield from _weights(lab, model, replay)


@contract(
    "fit-class_weight",
    thing="keras.Model.fit",
    truth="Class weights scale the loss of each sample by the weight of its class.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    classes = np.arange(SAMPLES) % 3
    x, _ = data(SAMPLES)
    weight = {0: 0.5, 1: 1.0, 2: 4.0}

    def fitted(**arguments: Any) -> list[Any]:
        inputs = keras.Input((linear.FEATURES,))
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
        model.set_weights([linear.drawn("kernel", linear.FEATURES, 3), linear.drawn("bias", 3)])
        model.compile(keras.optimizers.SGD(linear.RATE), "sparse_categorical_crossentropy")
        model.fit(x, classes, batch_size=BATCH, shuffle=False, verbose=0, **arguments)
        return list(model.get_weights())

    by_sample = np.array([weight[int(label)] for label in classes], np.float32)
    pairs = zip(fitted(class_weight=weight), fitted(sample_weight=by_sample), strict=True)
    for name, (got, truth) in zip(("kernel", "bias"), pairs, strict=True):
        yield exact(name, lab.seen(got), truth)


@contract(
    "evaluate-returns",
    thing="keras.Model.evaluate",
    truth="Returns loss and metrics over all samples, the same whatever the batch size and how often.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(metrics=[_mean_absolute_error()]), Replay()
    for size in (SAMPLES, BATCH, 1, BATCH):
        loss, error = model.evaluate(x, y, batch_size=size, verbose=0)
        yield deviation(f"batches of {size}, loss", lab.seen(loss), _over(replay.losses(x, y)))
        yield deviation(f"batches of {size}, metric", lab.seen(error), _over(replay.errors(x, y)))


@contract(
    "predict-order",
    thing="keras.Model.predict",
    truth="Returns the outputs of all samples in their order, a short last batch included.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, _ = data(SAMPLES)
    model, replay = built(), Replay()
    for size in (BATCH, 1, SAMPLES):
        got = lab.seen(model.predict(x, batch_size=size, verbose=0))
        yield deviation(f"batches of {size}", got, replay.predict(x))


@contract(
    "fit-validation_split",
    thing="keras.Model.fit",
    truth="Validates after each epoch on the last share of the samples, taken before shuffling.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(20)
    model, replay = built(), Replay()
    history = model.fit(
        x, y, batch_size=8, validation_split=0.25, shuffle=False, epochs=2, verbose=0
    ).history
    for epoch, got in enumerate(history["val_loss"]):
        for _ in replay.epoch(x[:15], y[:15], 8):
            pass
        truth = _over(replay.losses(x[15:], y[15:]))
        yield deviation(f"epoch {epoch}, validation loss", lab.seen(got), truth)
    yield from _weights(lab, model, replay)


@contract(
    "fit-validation_data-sample_weight",
    thing="keras.Model.fit",
    truth="The third of validation_data weights the samples of the validation loss.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(16)
    weights = _sample_weights(8)
    model, replay = built(), Replay()
    history = model.fit(
        *(x[:8], y[:8]),
        batch_size=8,
        validation_data=(x[8:], y[8:], weights),
        validation_batch_size=8,
        verbose=0,
        shuffle=False,
    ).history
    replay.step(x[:8], y[:8])
    truth = replay.loss(x[8:], y[8:], weights)
    yield deviation("validation loss", lab.seen(history["val_loss"]), truth.reshape(1))


@contract(
    "fit-shuffle",
    thing="keras.Model.fit",
    truth="Shuffling shows every sample once in an epoch, in another order than without.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    shown: list[int] = []

    class Watched(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.weight = self.add_weight(shape=(), initializer="zeros", name="weight")

        def call(self, inputs: Any) -> Any:
            tf.py_function(lambda values: shown.extend(map(int, values)), [inputs[:, 0]], [])
            return inputs * self.weight

    numbers = np.arange(64, dtype=np.float32)[:, None]
    keras.utils.set_random_seed(1)
    model = Watched()
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    model.fit(numbers, numbers, batch_size=10, epochs=1, verbose=0)
    lab.seen(np.array(sorted(shown)))
    yield exact("samples seen in an epoch", np.array(sorted(shown)), np.arange(64))
    yield exact("in order", np.array(shown == sorted(shown)), np.zeros((), bool))


@contract(
    "fit-initial_epoch",
    thing="keras.Model.fit",
    truth="Trains the epochs from initial_epoch on, below epochs, and callbacks see these numbers.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(BATCH)
    seen: list[int] = []
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: seen.append(epoch))
    model, replay = built(), Replay()
    model.fit(
        x,
        y,
        batch_size=BATCH,
        initial_epoch=2,
        epochs=5,
        shuffle=False,
        verbose=0,
        callbacks=[watch],
    )
    for _ in range(3):
        replay.step(x, y)
    yield exact("epochs that callbacks saw", lab.seen(seen), np.array([2, 3, 4]))
    yield from _weights(lab, model, replay)


@contract(
    "fit-twice",
    thing="keras.Model.fit",
    truth="A second fit goes on from the weights of the first, with losses of its own.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = data(SAMPLES)
    model, replay = built(), Replay()
    for call in range(2):
        got = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"]
        truth = mean(list(replay.epoch(x, y, BATCH)))
        yield deviation(f"fit {call}, loss", lab.seen(got), truth.reshape(1))
    yield from _weights(lab, model, replay)


@contract(
    "compile-again",
    thing="keras.Model.compile",
    truth="Compiling again keeps the weights; the new loss and rate count from then on.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = data(BATCH)
    model, replay = built(), Replay()
    model.train_on_batch(x, y)
    replay.step(x, y)
    model.compile(keras.optimizers.SGD(linear.RATE / 2), "mse")
    got = model.train_on_batch(x, y)
    yield deviation("loss", lab.seen(got), replay.loss(x, y))
    replay.step(x, y, rate=linear.RATE / 2)
    yield from _weights(lab, model, replay)


# --- Ways to execute


def _steps_per_execution(steps: int) -> None:
    @contract(
        f"fit-steps_per_execution:{steps}",
        thing="keras.Model.compile",
        truth="Several steps in one execution train as one at a time, also where data end inside.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x, y = data(SAMPLES)
        model, replay = built(steps_per_execution=steps), Replay()
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        for epoch, got in enumerate(history["loss"]):
            truth = mean(list(replay.epoch(x, y, 4)))
            yield deviation(f"epoch {epoch}, loss", lab.seen(got), truth)
        yield from _weights(lab, model, replay)
        got = model.evaluate(x, y, batch_size=4, verbose=0)
        yield deviation("evaluate", lab.seen(got), _over(replay.losses(x, y)))
        got = model.predict(x, batch_size=4, verbose=0)
        yield deviation("predict", lab.seen(got), replay.predict(x))


for _steps in (1, 3, 32):
    _steps_per_execution(_steps)


def _compiled(name: str, **compilation: Any) -> None:
    @contract(
        f"fit-{name}",
        thing="keras.Model.compile",
        truth="However a step is executed, it trains the same up to rounding.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x, y = data(SAMPLES)
        model, replay = built(**compilation), Replay()
        got = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"]
        truth = mean(list(replay.epoch(x, y, BATCH)))
        yield deviation("loss", lab.seen(got), truth.reshape(1))
        yield from _weights(lab, model, replay)


_compiled("run_eagerly:true", run_eagerly=True)
_compiled("jit_compile:false", jit_compile=False)
_compiled("jit_compile:true", jit_compile=True)


# --- Ways to give data


def _given(kind: str, x: Array, y: Array) -> Any:
    """The data in batches, in order, as one of the things that ``fit`` takes."""
    from bench.nets.api import keras, tf

    parts = [(x[part], y[part]) for part in batches(len(x), BATCH)]
    if kind == "tf_data":
        return tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
    if kind == "generator":
        return (part for part in parts)
    base = getattr(keras.utils, "PyDataset", None) or keras.utils.Sequence

    class Batches(base):  # type: ignore[misc, valid-type]
        def __len__(self) -> int:
            return len(parts)

        def __getitem__(self, index: int) -> tuple[Array, Array]:
            return parts[index]

    return Batches()


def _from(kind: str) -> None:
    @contract(
        f"fit-data:{kind}",
        thing="keras.Model.fit",
        truth="Whatever data come in, the same batches train the same.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x, y = data(SAMPLES)
        model, replay = built(), Replay()
        got = model.fit(_given(kind, x, y), shuffle=False, verbose=0).history["loss"]
        truth = mean(list(replay.epoch(x, y, BATCH)))
        yield deviation("loss", lab.seen(got), truth.reshape(1))
        yield from _weights(lab, model, replay)
        got = model.evaluate(_given(kind, x, y), verbose=0)
        yield deviation("evaluate", lab.seen(got), _over(replay.losses(x, y)))
        got = model.predict(_given(kind, x, y), verbose=0)
        yield deviation("predict", lab.seen(got), replay.predict(x))


for _kind in ("tf_data", "generator", "py_dataset"):
    _from(_kind)


# --- Several outputs, models in models


def _two_outputs(form: str) -> None:
    @contract(
        f"fit-outputs:{form}",
        thing="keras.Model.fit",
        truth="The loss is the weighted sum of the outputs' losses, which are told without weights.",
        broken=[Broken("keras 3.0.0 to 3.6.0", "keras #20343")],
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
        got = {name: lab.seen(history[name][0]) for name in ("loss", "first_loss", "second_loss")}
        yield deviation("loss", got["loss"], first * 0.5 + second * 4.0)
        yield deviation("first output's loss", got["first_loss"], first)
        yield deviation("second output's loss", got["second_loss"], second)


for _form in ("list", "dict"):
    _two_outputs(_form)


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
    yield from _weights(lab, inner, replay, ", trained alone")


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
    yield deviation("my_loss", lab.seen(got["my_loss"]), replay.loss(x, y).reshape(1))
    replay.step(x, y)
    yield from _weights(lab, model, replay)


def _mean_absolute_error() -> Any:
    from bench.nets.api import keras

    return keras.metrics.MeanAbsoluteError(name="error")


def _sample_weights(samples: int) -> Array:
    """Powers of two from .25 to 4, and a zero."""
    return np.resize(np.array([0.25, 0.5, 0.0, 1.0, 2.0, 4.0], np.float32), samples)


def _over(losses: Bounded) -> Bounded:
    """A mean that may be taken in any order and over batches of any size: their sizes, up to 2^8, are
    exact in float32, and each partial mean is rounded twice more."""
    total = losses.mean() if losses.ndim else losses
    return Bounded(total.value, total.error + 4 * SAMPLES * np.spacing(np.float32(total.value)))
