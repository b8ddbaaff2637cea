"""Layers of sequences: embeddings, recurrent layers and attention, with masks and states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import ALL, Array, compared, furnished, made
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.oracle import traced
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.oracle.formulas import CELLS, Cell, attention, gru_reset_before, unrolled
from bench.theory.oracle.tape import Traced, joined
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("sequences")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

BATCH, STEPS, FEATURES, UNITS = 3, 4, 2, 3
#: Ends of one, two and no steps; one in the middle.
MASK = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 1]], bool)


def sequences() -> Array:
    return drawn("sequences", BATCH, STEPS, FEATURES)


# --- Embedding


@contract(
    "embedding",
    thing="keras.layers.Embedding",
    truth="Outputs are rows of the table; the gradient of a row is the sum over all its uses.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    indices = np.array([[1, 2, 2, 0], [5, 1, 1, 1]], np.int32)
    layer = made("Embedding", 7, 3)
    yield from compared(lab, layer, "embedding", [indices], lambda _, weights: weights[0][indices])


@contract(
    "embedding-mask_zero",
    thing="keras.layers.Embedding",
    truth="With mask_zero, compute_mask marks what is not 0; without, there is no mask.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    indices = np.array([[1, 2, 0, 0], [5, 0, 1, 1]], np.int32)
    layer = made("Embedding", 7, 3, mask_zero=True)
    yield exact("mask", lab.seen(layer.compute_mask(indices)), indices != 0)
    none = made("Embedding", 7, 3).compute_mask(indices) is None
    yield exact("no mask", float(none), np.ones(()))


@contract(
    "embedding-mask-reaches:lstm",
    thing="keras.layers.Embedding",
    truth="The mask of an Embedding reaches the recurrent layer that takes its outputs.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    indices = np.array([[1, 2, 0, 0], [5, 3, 1, 0], [2, 2, 2, 2]], np.int32)
    table = drawn("table", 7, FEATURES)
    embedding, layer = made("Embedding", 7, FEATURES, mask_zero=True), made("LSTM", UNITS)
    _, weights = furnished(layer, "masked", [table[indices]])
    inputs = keras.Input((STEPS,), dtype="int32")
    model = keras.Model(inputs, layer(embedding(inputs)))
    embedding.set_weights([table])
    outputs, _ = unrolled(
        CELLS["LSTM"],
        traced(lab, table[indices]),
        [traced(lab, one) for one in weights],
        mask=indices != 0,
    )
    got = lab.seen(model(indices, training=False))
    yield deviation("outputs", got, outputs[:, -1].array)


# --- Recurrent layers


@dataclass(frozen=True)
class _Kind:
    """A recurrent layer."""

    name: str
    """Of its class in ``keras.layers``."""
    cell: Cell
    """The formula of a step."""
    label: str
    """Its name in subjects."""
    options: Mapping[str, Any] = field(default_factory=dict)

    def made(self, **more: Any) -> Any:
        return made(self.name, UNITS, **self.options, **more)

    def sequence(
        self, inputs: Sequence[Traced], weights: Sequence[Traced], mask: Array | None = None
    ) -> Traced:
        """Outputs of all steps."""
        return unrolled(self.cell, inputs[0], weights, mask=mask)[0]


def _outputs(kind: _Kind) -> None:
    @contract(
        f"{kind.label}-sequence", thing=f"keras.layers.{kind.name}", truth=f"{ALL} at every step."
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        layer = kind.made(return_sequences=True)
        yield from compared(lab, layer, kind.label, [sequences()], kind.sequence)

    @contract(
        f"{kind.label}-mask",
        thing=f"keras.layers.{kind.name}",
        truth="A masked step repeats the outputs and states before it, and has no gradient.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        layer = kind.made(return_sequences=True)
        x = sequences()
        formula = lambda inputs, weights: kind.sequence(inputs, weights, MASK)  # noqa: E731
        yield from compared(lab, layer, kind.label, [x], formula, mask=MASK)
        first = np.logical_not(MASK)[:, ::-1].copy()  # the first step of two samples is masked
        formula = lambda inputs, weights: kind.sequence(inputs, weights, first)  # noqa: E731
        layer = kind.made(return_sequences=True)
        yield from compared(lab, layer, kind.label, [x], formula, mask=first, what=", first masked")


def _states(kind: _Kind) -> None:
    @contract(
        f"{kind.label}-state",
        thing=f"keras.layers.{kind.name}",
        truth="return_state tells the last states, initial_state starts from them, and go_backwards"
        " takes the steps from the last.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        x = sequences()
        layer = kind.made(return_state=True)
        _, weights = furnished(layer, kind.label, [x])
        exactly = [traced(lab, weight) for weight in weights]
        outputs, states = unrolled(kind.cell, traced(lab, x), exactly)
        got = layer(x)
        yield deviation("last outputs", lab.seen(got[0]), outputs[:, -1].array)
        for at, (state, wanted) in enumerate(zip(got[1:], states, strict=True)):
            yield deviation(f"state {at}", lab.seen(state), wanted.array)
        first = [drawn(f"{kind.label} state {at}", BATCH, UNITS) for at in range(len(states))]
        outputs, _ = unrolled(
            kind.cell, traced(lab, x), exactly, states=[traced(lab, one) for one in first]
        )
        tensors = [tf.constant(one) for one in first]
        got = layer(x, initial_state=tensors if len(first) > 1 else tensors[0])
        yield deviation("from initial state", lab.seen(got[0]), outputs[:, -1].array)
        backwards = kind.made(go_backwards=True)
        backwards(x)
        backwards.set_weights(weights)
        outputs, _ = unrolled(kind.cell, traced(lab, x), exactly, backwards=True)
        yield deviation("backwards", lab.seen(backwards(x)), outputs[:, -1].array)


def _stateful(kind: _Kind) -> None:
    @contract(
        f"{kind.label}-stateful",
        thing=f"keras.layers.{kind.name}",
        truth="A stateful layer goes on from where the call before ended, until it is reset.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import KERAS_MAJOR, keras

        x = sequences()
        layer = kind.made(stateful=True)
        inputs = keras.Input(batch_shape=x.shape)
        layer(inputs)
        weights = []
        for number, variable in enumerate(layer.trainable_variables):
            weights.append(drawn(f"{kind.label} weight {number}", *variable.shape))
            variable.assign(weights[-1])
        exactly, states = [traced(lab, weight) for weight in weights], None
        layer.reset_states() if KERAS_MAJOR == 2 else layer.reset_state()
        for call in range(3):
            outputs, states = unrolled(kind.cell, traced(lab, x), exactly, states=states)
            got = lab.seen(layer(x))
            yield deviation(f"call {call}", got, outputs[:, -1].array)
        layer.reset_states() if KERAS_MAJOR == 2 else layer.reset_state()
        outputs, _ = unrolled(kind.cell, traced(lab, x), exactly)
        yield deviation("after reset", lab.seen(layer(x)), outputs[:, -1].array)


def _both_ways(kind: _Kind) -> None:
    @contract(
        f"bidirectional-{kind.label}",
        thing="keras.layers.Bidirectional",
        truth="Outputs forwards and, in the order of the inputs, backwards are joined or summed.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        for mode, merge in (
            ("concat", lambda a, b: joined([a, b], 2)),
            ("sum", lambda a, b: a + b),
        ):
            for mask in (None, MASK):

                def both(
                    inputs: Sequence[Traced],
                    weights: Sequence[Traced],
                    merge: Any = merge,
                    mask: Array | None = mask,
                ) -> Traced:
                    half = len(weights) // 2
                    forwards = kind.sequence(inputs, weights[:half], mask)
                    back, _ = unrolled(
                        kind.cell, inputs[0], weights[half:], mask=mask, backwards=True
                    )
                    return merge(forwards, back[:, ::-1])

                layer = made(
                    "Bidirectional",
                    kind.made(return_sequences=True),
                    merge_mode=mode,
                )
                what = f", {mode}{'' if mask is None else ', masked'}"
                # What is masked repeats the step before or is 0: the documentation leaves it open.
                call = (
                    {} if mask is None else {"mask": mask, "counted": mask[..., None].astype("f4")}
                )
                yield from compared(lab, layer, kind.label, [sequences()], both, what=what, **call)


for _kind in (
    _Kind("SimpleRNN", CELLS["SimpleRNN"], "simple_rnn"),
    _Kind("LSTM", CELLS["LSTM"], "lstm"),
    _Kind("GRU", CELLS["GRU"], "gru"),
    _Kind("GRU", gru_reset_before, "gru-reset_before", {"reset_after": False}),
):
    for _contracts in (_outputs, _states, _stateful, _both_ways):
        _contracts(_kind)


# --- Attention

HEADS, SIZE, WIDTH, SOURCE = 2, 3, 4, 5


def _attention(name: str, mask: Array | None, **call: Any) -> None:
    @contract(
        f"attention-{name}",
        thing="keras.layers.MultiHeadAttention",
        truth=f"{ALL}; what is masked gets no attention.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        source = STEPS if "causal" in name else SOURCE
        inputs = [
            drawn(f"attention {at}", BATCH, length, WIDTH)
            for at, length in enumerate((STEPS, source, source))
        ]

        def formula(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
            query, value, key = inputs
            return attention(query, value, key, weights, mask)[0]

        layer = made("MultiHeadAttention", HEADS, SIZE)
        yield from compared(lab, layer, f"attention {name}", inputs, formula, **call)


_LOOKS = np.array(drawn("looks", BATCH, STEPS, SOURCE) > -0.5) | np.eye(STEPS, SOURCE, dtype=bool)
_attention("plain", None)
_attention("mask", _LOOKS, attention_mask=_LOOKS)
_attention("causal", np.tril(np.ones((BATCH, STEPS, STEPS), bool)), use_causal_mask=True)


@contract(
    "attention-scores",
    thing="keras.layers.MultiHeadAttention",
    truth="return_attention_scores tells the softmax that outputs are made with.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    inputs = [drawn(f"attention {at}", BATCH, n, WIDTH) for at, n in enumerate((STEPS, SOURCE))]
    layer = made("MultiHeadAttention", HEADS, SIZE)
    call = {"attention_mask": _LOOKS, "return_attention_scores": True}
    (got, scores), weights = furnished(layer, "attention scores", inputs, **call)
    query, value = (traced(lab, x) for x in inputs)
    outputs, wanted = attention(query, value, value, [traced(lab, one) for one in weights], _LOOKS)
    yield deviation("outputs", lab.seen(got), outputs.array)
    yield deviation("scores", lab.seen(scores), wanted.array)


@contract(
    "attention-mask-from:embedding",
    thing="keras.layers.MultiHeadAttention",
    truth="The mask of an Embedding keeps padding from getting attention.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    indices = np.array([[1, 2, 0, 0], [5, 3, 1, 0], [2, 2, 2, 2]], np.int32)
    table = drawn("table", 7, WIDTH)
    embedding = made("Embedding", 7, WIDTH, mask_zero=True)
    layer = made("MultiHeadAttention", HEADS, SIZE)
    x = table[indices]
    _, weights = furnished(layer, "attention from embedding", [x, x])
    inputs = keras.Input((STEPS,), dtype="int32")
    embedded = embedding(inputs)
    model = keras.Model(inputs, layer(embedded, embedded))
    embedding.set_weights([table])
    looks = np.broadcast_to((indices != 0)[:, None], (BATCH, STEPS, STEPS))
    exactly = traced(lab, x)
    of_layer = [traced(lab, one) for one in weights]
    truth, _ = attention(exactly, exactly, exactly, of_layer, looks)
    got = lab.seen(model(indices, training=False))
    kept = indices != 0  # outputs of padding itself are nobody's
    yield deviation("outputs", got[kept], truth[kept].array)


@contract(
    "attention-axes",
    thing="keras.layers.MultiHeadAttention",
    truth="Attention over two axes is that over their places in a row, whichever way axes are counted.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("attention places", BATCH, 2, 2, WIDTH)
    for axes in ((1, 2), (-3, -2)):
        layer = made("MultiHeadAttention", HEADS, SIZE, attention_axes=axes)
        got, weights = furnished(layer, "attention axes", [x, x])
        row = traced(lab, x.reshape(BATCH, 4, WIDTH))
        truth, _ = attention(row, row, row, [traced(lab, one) for one in weights], None)
        yield deviation(f"axes {axes}", np.reshape(lab.seen(got), truth.shape), truth.array)


@contract(
    "attention-grouped",
    thing="keras.layers.GroupQueryAttention",
    truth="Each head of keys and values serves a group of query heads, one behind the other (Ainslie et"
    " al. 2023); what is masked gets no attention.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("attention grouped", BATCH, STEPS, WIDTH)
    past = np.tril(np.ones((BATCH, STEPS, STEPS), bool))
    for what, mask, call in (("", None, {}), (", causal", past, {"use_causal_mask": True})):
        layer = made("GroupQueryAttention", SIZE, 4, 2)
        got, weights = furnished(layer, "grouped", [x, x], **call)
        for at in (2, 3, 4, 5):  # kernels and biases of keys and values
            weights[at] = np.repeat(weights[at], 2, axis=-2)
        row = traced(lab, x)
        truth, _ = attention(row, row, row, [traced(lab, one) for one in weights], mask)
        yield deviation(f"outputs{what}", lab.seen(got), truth.array)


@contract(
    "attention-widths",
    thing="keras.layers.MultiHeadAttention",
    truth="value_dim, output_shape and use_bias=False are the widths of the values and outputs, and no"
    " biases.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    inputs = [drawn(f"attention {at}", BATCH, n, WIDTH) for at, n in enumerate((STEPS, SOURCE))]
    layer = made(
        "MultiHeadAttention", HEADS, SIZE, value_dim=SIZE - 1, output_shape=5, use_bias=False
    )
    got, weights = furnished(layer, "attention widths", inputs)
    kernels = [*weights[:2], np.zeros((WIDTH, HEADS, SIZE), np.float32)]
    kernels[2][..., : SIZE - 1] = weights[2]  # a last value of 0 is none
    ending = np.zeros((HEADS, SIZE, 5), np.float32)
    ending[:, : SIZE - 1] = weights[3]
    whole = [one for kernel in kernels for one in (kernel, np.zeros((HEADS, SIZE), np.float32))]
    query, value = (traced(lab, x) for x in inputs)
    exactly = [traced(lab, one) for one in (*whole, ending, np.zeros(5, np.float32))]
    truth, _ = attention(query, value, value, exactly, None)
    yield deviation("outputs", lab.seen(got), truth.array)
