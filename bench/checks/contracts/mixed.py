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
