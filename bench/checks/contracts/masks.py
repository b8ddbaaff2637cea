"""Masks: what layers leave out that a mask leaves out, and what they do not take for a mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts import formulas
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import made
from bench.checks.contracts.linear import drawn
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("masks")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: Steps that count of three sequences: padded behind, before and in the middle.
MASK = np.array([[1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]], bool)


@contract(
    "masking-value",
    thing="keras.layers.Masking",
    truth="A step all of whose features are mask_value is masked and becomes zeros; others stay.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    for value in (0.0, -1.0):
        x = drawn("masked", 3, 4, 2)
        x[~MASK] = value
        x[0, 0, 0] = value  # one feature alone is no step
        layer = made("Masking", mask_value=value)
        yield exact(f"mask of {value}", lab.seen(layer.compute_mask(x)), MASK)
        got = lab.seen(layer(x))
        yield exact(f"outputs of {value}", got, np.where(MASK[:, :, None], x, 0.0))


@contract(
    "softmax-mask",
    thing="keras.layers.Softmax",
    truth="What is masked has the probability 0, the others are the softmax of them alone.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("logits", *MASK.shape)
    got = lab.seen(made("Softmax")(tf.constant(x), mask=tf.constant(MASK)))
    yield exact("masked", got[~MASK], np.zeros((~MASK).sum()))
    for row, (values, kept) in enumerate(zip(x, MASK, strict=True)):
        # Keras adds what float32 can hold of -infinity: exponentials of 0, which sums do not feel.
        yield deviation(f"row {row}", got[row][kept], formulas.softmax(Bounded(values[kept])))


@contract(
    "global_average_pool1d-mask",
    thing="keras.layers.GlobalAveragePooling1D",
    truth="Masked steps do not count for the average.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("pooled", 3, 4, 2)
    got = lab.seen(made("GlobalAveragePooling1D")(tf.constant(x), mask=tf.constant(MASK)))
    for row, (values, kept) in enumerate(zip(x, MASK, strict=True)):
        yield deviation(f"row {row}", got[row], Bounded(values[kept]).mean(0))


@contract(
    "attention-dot-mask",
    thing="keras.layers.Attention",
    truth="Queries attend to values that are not masked; queries that are masked give zeros.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    query, value = drawn("query", 3, 4, 2), drawn("value", 3, 4, 2)
    asked = MASK[::-1].copy()
    masks = [tf.constant(asked), tf.constant(MASK)]
    got = lab.seen(made("Attention")([tf.constant(query), tf.constant(value)], mask=masks))
    for row, kept in enumerate(MASK):
        seen = value[row][kept]
        scores = Bounded(query[row]) @ seen.T
        truth = formulas.softmax(scores) @ seen
        yield deviation(f"row {row}", got[row][asked[row]], truth[asked[row]])
        yield exact(
            f"row {row}, masked", got[row][~asked[row]], np.zeros((int((~asked[row]).sum()), 2))
        )


@contract(
    "attention-dot-causal",
    thing="keras.layers.Attention",
    truth="With use_causal_mask a query attends to values up to its own place.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    query, value = drawn("query", 2, 4, 2), drawn("value", 2, 4, 2)
    got = lab.seen(
        made("Attention")([tf.constant(query), tf.constant(value)], use_causal_mask=True)
    )
    for place in range(4):
        seen = value[:, : place + 1]
        for row in range(2):
            scores = Bounded(query[row, place : place + 1]) @ seen[row].T
            truth = formulas.softmax(scores) @ seen[row]
            yield deviation(f"row {row}, place {place}", got[row, place], truth[0])


@contract(
    "time_distributed-mask",
    thing="keras.layers.TimeDistributed",
    truth="Masked sequences pass through a layer step by step, a short last batch included.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x = drawn("steps", 3, 4, 2)
    x[~MASK] = 0.0
    inputs = keras.Input((4, 2))
    dense = keras.layers.Dense(3)
    masked = keras.layers.Masking()(inputs)
    model = keras.Model(inputs, keras.layers.TimeDistributed(dense)(masked))
    kernel, bias = drawn("kernel", 2, 3), drawn("bias", 3)
    dense.set_weights([kernel, bias])
    got = lab.seen(model.predict(x, batch_size=2, verbose=0))
    truth = Bounded(x) @ kernel + bias
    yield deviation("steps that count", got[MASK], truth[MASK])


@contract(
    "arguments-own",
    thing="keras.layers.Layer",
    truth="The mask of an input goes to the argument mask; other arguments keep their defaults.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    told: dict[str, Any] = {}

    class Own(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.supports_masking = True

        def call(self, inputs: Any, mask: Any = None, padding_mask: Any = None) -> Any:
            told.update(mask=mask, padding_mask=padding_mask)
            return inputs

    x = drawn("steps", 3, 4, 2)
    x[~MASK] = 0.0
    Own()(keras.layers.Masking(mask_value=0.0)(x))
    seen = told["mask"]
    yield exact("mask", lab.seen(np.zeros(()) if seen is None else seen), MASK)
    yield exact("padding_mask is None", np.array(told["padding_mask"] is None), np.ones((), bool))


@contract(
    "attention-additive",
    thing="keras.layers.AdditiveAttention",
    truth="Scores are sum(scale tanh(query + key)), outputs their softmax times the values that are not"
    " masked (Bahdanau et al. 2015).",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    query, value = drawn("query", 3, 4, 2), drawn("value", 3, 4, 2)
    layer = made("AdditiveAttention")
    given = [tf.constant(query), tf.constant(value)]
    layer(given)
    scale = drawn("scale", 2)
    layer.set_weights([scale])
    got = lab.seen(layer(given, mask=[tf.ones((3, 4), bool), tf.constant(MASK)]))
    for row, kept in enumerate(MASK):
        seen = value[row][kept]
        sums = Bounded(query[row][:, None]) + seen[None]
        scores = (np.tanh(sums) * scale).sum(-1)
        yield deviation(f"row {row}", got[row], formulas.softmax(scores) @ seen)


@contract(
    "metrics-mask",
    thing="keras.Model.evaluate",
    truth="Masked steps count neither for the loss nor for a metric, weighted or not.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = drawn("steps", 3, 4, 1), drawn("targets", 3, 4, 1)
    x[~MASK] = 0.0
    inputs = keras.Input((4, 1))
    dense = keras.layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, dense(keras.layers.Masking()(inputs)))
    kernel = drawn("kernel", 1, 1)
    dense.set_weights([kernel])
    plain, weighted = (keras.metrics.MeanAbsoluteError(name=name) for name in ("a", "b"))
    model.compile("sgd", "mse", metrics=[plain], weighted_metrics=[weighted])
    got = model.evaluate(x, y, batch_size=3, return_dict=True, verbose=0)
    errors = (Bounded(x[MASK]) @ kernel - y[MASK])[:, 0]
    # The loss is a mean over all steps, times all over those that count: each is rounded.
    squares = np.square(errors).mean()
    loss = Bounded(squares.value, squares.error + 4 * np.spacing(np.float32(squares.value)))
    yield deviation("loss", lab.seen(got["loss"]), loss)
    for name in "ab":
        yield deviation(f"metric {name}", lab.seen(got[name]), np.abs(errors).mean())


@contract(
    "attention-passes",
    thing="keras.layers.MultiHeadAttention",
    truth="The mask of the queries passes through attention to the layer behind it.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    indices = np.array([[1, 2, 0, 0], [3, 1, 2, 0], [2, 2, 1, 4]], np.int32)
    inputs = keras.Input((4,), dtype="int32")
    embedded = keras.layers.Embedding(5, 4, mask_zero=True)(inputs)
    attended = keras.layers.MultiHeadAttention(1, 4)(embedded, embedded)
    pooled = keras.layers.GlobalAveragePooling1D()(attended)
    model = keras.Model(inputs, [attended, pooled])
    shapes = [weight.shape for weight in model.get_weights()]
    model.set_weights([drawn(f"weight {at}", *shape) for at, shape in enumerate(shapes)])
    steps, got = model(indices)
    for row, kept in enumerate(indices != 0):
        truth = Bounded(lab.seen(steps)[row][kept]).mean(0)
        yield deviation(f"row {row}", lab.seen(got)[row], truth)


@contract(
    "attention-dot-options",
    thing="keras.layers.Attention",
    truth="With use_scale scores are multiplied by a weight; with score_mode='concat' they are a weight"
    " times the sum of tanh(query + key).",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    query, value = drawn("query", 2, 3, 2), drawn("value", 2, 4, 2)
    for what, options in (("scale", {"use_scale": True}), ("concat", {"score_mode": "concat"})):
        layer = made("Attention", **options)
        given = [tf.constant(query), tf.constant(value)]
        layer(given)
        layer.set_weights([np.float32(0.75)])
        got = lab.seen(layer(given))
        for row in range(2):
            if what == "scale":
                scores = (Bounded(query[row]) @ value[row].T) * 0.75
            else:
                scores = np.tanh(Bounded(query[row][:, None]) + value[row]).sum(-1) * 0.75
            truth = formulas.softmax(scores) @ value[row]
            yield deviation(f"{what}, row {row}", got[row], truth)


@contract(
    "attention-causal-scores",
    thing="keras.layers.MultiHeadAttention",
    truth="With use_causal_mask nothing attends to what comes later, also where scores are asked for,"
    " where there is dropout, and beside another mask.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = tf.constant(drawn("attended", 2, 4, 4))
    past = np.tril(np.ones((4, 4), bool))
    every = np.ones((2, 4, 4), bool)
    every[:, :, 1] = False
    for what, options, call in (
        ("scores", {}, {}),
        ("dropout", {"dropout": 0.5}, {"training": False}),
        ("another mask", {}, {"attention_mask": tf.constant(every)}),
    ):
        layer = made("MultiHeadAttention", 2, 3, **options)
        given = {"use_causal_mask": True, "return_attention_scores": True, **call}
        _, scores = layer(x, x, **given)
        looked = lab.seen(scores) > 0.0
        seen = past & every if what == "another mask" else past
        # Scores of float32 differ by less than 80: no exponential is 0.
        yield exact(f"{what}, looked at", looked, np.broadcast_to(seen, looked.shape))


@contract(
    "attention-masks_of_parts",
    thing="keras.layers.MultiHeadAttention",
    truth="value_mask and key_mask keep what they mask from getting attention.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = tf.constant(drawn("attended", *MASK.shape, 4))
    mask = tf.constant(MASK)
    for what, masks in (("value", {"value_mask": mask}), ("key", {"key_mask": mask})):
        layer = made("MultiHeadAttention", 2, 3)
        _, scores = layer(x, x, x, return_attention_scores=True, **masks)
        looked = lab.seen(scores) > 0.0
        yield exact(f"{what}_mask", looked, np.broadcast_to(MASK[:, None, None], looked.shape))


@contract(
    "mask-explicit",
    thing="keras.layers.Layer",
    truth="A mask that is given to a call, not the one of its inputs, is what compute_mask passes on.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    indices = tf.constant(np.array([[1, 2, 0, 0], [3, 0, 2, 0], [2, 2, 1, 4]], np.int32))
    x = made("Embedding", 5, 2, mask_zero=True)(indices)
    told: list[Any] = []
    layer = made("GlobalAveragePooling1D")
    layer.compute_mask = lambda inputs, mask=None: told.append(mask)  # noqa: ARG005
    got = lab.seen(layer(x, mask=tf.constant(MASK)))
    for row, kept in enumerate(MASK):
        truth = Bounded(np.asarray(x)[row][kept]).mean(0)
        yield deviation(f"row {row}", got[row], truth)
    if told:
        yield exact("passed on", np.asarray(told[-1]), MASK)
