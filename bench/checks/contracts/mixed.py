"""Mixed precision: the types that layers keep and return, and numbers that 16 bits barely hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import made
from bench.checks.contracts.linear import drawn
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact
from bench.theory.rounding.formats import FLOAT16

catalogue = Catalogue("mixed")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _type(value: Any) -> str:
    """Name of a tensor's or variable's type, by TensorFlow or by Keras."""
    return str(getattr(value.dtype, "name", value.dtype))


#: Format -> bits of its exponent and of its fraction.
_BITS = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23), "float64": (11, 52)}


def _is(lab: Lab, what: str, got: str, wanted: str) -> Deviation:
    return exact(f"{what}, bits", lab.seen(np.array(_BITS[got])), np.array(_BITS[wanted]))


@contract(
    "types",
    thing="keras.mixed_precision.Policy",
    truth="With mixed_X variables are float32 and results X; float32 inputs are cast, integers are not;"
    " a layer's own dtype goes first.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, images = tf.constant(drawn("inputs", 2, 3, 4)), tf.constant(drawn("images", 2, 5, 5, 2))
    for half in ("float16", "bfloat16"):
        policy = f"mixed_{half}"
        for name, arguments, given in (
            ("Dense", (3,), x),
            ("Conv2D", (3, 3), images),
            ("BatchNormalization", (), images),
            ("LayerNormalization", (), x),
            ("LSTM", (3,), x),
            ("Embedding", (2050, 3), tf.constant([[2049]])),
            ("Activation", ("relu",), x),
        ):
            layer = made(name, *arguments, dtype=policy)
            got = layer(given)
            if name == "Embedding":  # a row that 16 bits cannot tell from its neighbour
                row = tf.cast(tf.gather(layer.weights[0], [[2049]]), half)
                equal = tf.reduce_all(got == row)
                yield exact(f"{policy}, row 2049", np.asarray(equal), np.ones((), bool))
            yield _is(lab, f"{policy}, {name}, result", _type(got), half)
            for variable in layer.weights:
                yield _is(lab, f"{policy}, {name}, variable", _type(variable), "float32")
    got = made("Dense", 3, dtype="float32")(tf.cast(x, tf.float16))
    yield _is(lab, "float32, of float16", _type(got), "float32")


@contract(
    "global",
    thing="keras.mixed_precision.set_global_policy",
    truth="The global policy is that of layers made from then on, until it is set anew.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    x = tf.constant(drawn("inputs", 2, 4))
    before = made("Dense", 3)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = made("Dense", 3)
        yield _is(lab, "made before", _type(before(x)), "float32")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    yield _is(lab, "made meanwhile", _type(half(x)), "bfloat16")
    yield _is(lab, "made after", _type(made("Dense", 3)(x)), "float32")


def _in_range(name: str, axes: tuple[int, ...], **options: Any) -> None:
    """
    Args:
        name: of the layer.
        axes: whose moments it takes, of images (batch, rows, columns, groups, channels of a group).
        options: of the layer.
    """

    @contract(
        f"range-{name}",
        thing=f"keras.layers.{name}",
        truth="In mixed_float16 it is right where the squares of its inputs are beyond float16.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        x = (drawn("images", 4, 3, 3, 4) * np.float32(400.0)).astype(np.float16)
        groups = x.astype(float).reshape(4, 3, 3, 2, 2)
        layer = made(name, dtype="mixed_float16", **options)
        mean = groups.mean(axes, keepdims=True)
        scale = 1.0 / np.sqrt(groups.var(axes, keepdims=True) + layer.epsilon)
        truth = ((groups - mean) * scale).reshape(x.shape)
        # x s - m s, of which scale, products and difference may each be rounded to float16.
        sizes = ((np.abs(groups) + np.abs(mean)) * scale).reshape(x.shape)
        got = lab.seen(tf.cast(layer(tf.constant(x), training=True), tf.float32))
        yield deviation("outputs", got, Bounded(truth, 4 * 2.0**-11 * sizes + FLOAT16.smallest))


_in_range("BatchNormalization", (0, 1, 2))
_in_range("LayerNormalization", (3, 4))
_in_range("GroupNormalization", (1, 2, 4), groups=2)


#: Ten binary places behind the point, and whole numbers up to 2048, are all that float16 holds.
_FINE, _ODD = 1.0 + 2.0**-20, 4097.0


def _keeping() -> Any:
    """A layer in mixed_float16 whose call assigns to its state, adds 1 to it and updates a metric."""
    from bench.nets.api import keras, tf

    class Keeping(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            del shape
            options: Any = {"initializer": "zeros", "trainable": False}
            self.last = self.add_weight(shape=(), name="last", **options)
            self.count = self.add_weight(shape=(), name="count", **options)
            self.mean = keras.metrics.Mean("mean")

        def call(self, inputs: Any) -> Any:
            self.last.assign(tf.constant(_FINE, tf.float32))
            self.count.assign_add(tf.constant(1.0, tf.float32))
            self.mean.update_state(tf.constant(1.0, tf.float32))
            return inputs

    layer = Keeping(dtype="mixed_float16")
    layer(drawn("inputs", 2, 2))
    return layer


@contract(
    "state-assigned",
    thing="keras.layers.Layer",
    truth="What a layer assigns to its state keeps the digits of the variable's own type, whatever the"
    " layer computes in.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    yield exact("assigned", lab.seen(_keeping().last), np.array(_FINE))


@contract(
    "state-added",
    thing="keras.layers.Layer",
    truth="What a layer adds to its state, as a counter does, is added in the variable's own type,"
    " whatever the layer computes in.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    layer = _keeping()
    layer.count.assign(_ODD)
    layer(drawn("inputs", 2, 2))
    yield exact("added to", lab.seen(layer.count), np.array(_ODD + 1.0))


@contract(
    "state-metric",
    thing="keras.metrics.Mean",
    truth="A metric that a layer updates sums in its own type, whatever the layer computes in.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    layer = _keeping()
    layer.mean.reset_state()
    layer.mean.update_state(_ODD)
    layer(drawn("inputs", 2, 2))
    yield exact("mean", lab.seen(layer.mean.result()), np.array((_ODD + 1.0) / 2.0))


@contract(
    "float64",
    thing="keras.layers.Layer",
    truth="A layer whose dtype is float64 keeps weights, computes and returns in it.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("inputs", 3, 4).astype(np.float64) + 2.0**-40  # float32 does not see the difference
    mean, spread = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    normalized = (x - mean) / np.sqrt(spread + 1e-3)
    for name, options, truth in (
        ("LayerNormalization", {}, normalized),
        ("GroupNormalization", {"groups": 1}, normalized),
        ("BatchNormalization", {}, x / np.sqrt(1.0 + 1e-3)),
        ("UnitNormalization", {}, x / np.sqrt(np.square(x).sum(-1, keepdims=True))),
        ("Softmax", {}, np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    ):
        layer = made(name, dtype="float64", **options)
        got = layer(tf.constant(x))
        yield _is(lab, f"{name}, result", _type(got), "float64")
        # Some ten roundings of numbers not much larger than 1; float32 is off by 2^-25.
        yield deviation(name, lab.seen(got), Bounded(truth, 2.0**-46))
    for name, arguments in (("Dense", (3,)), ("LSTM", (3,)), ("MultiHeadAttention", (2, 2))):
        layer = made(name, *arguments, dtype="float64")
        series = tf.constant(x[:, None] if name != "Dense" else x)
        given = (series, series) if name == "MultiHeadAttention" else (series,)
        yield _is(lab, f"{name}, result", _type(layer(*given)), "float64")
        for variable in layer.weights:
            yield _is(lab, f"{name}, variable", _type(variable), "float64")
