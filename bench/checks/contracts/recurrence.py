"""Recurrence: ways to run recurrent layers, cells in a stack and of one's own, and their dropout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import ALL, Array, compared, furnished, made
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.oracle import traced
from bench.checks.contracts.seeds import mean_of
from bench.checks.contracts.sequences import MASK, UNITS, sequences
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.oracle.formulas import CELLS, unrolled
from bench.theory.oracle.tape import Traced
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("recurrence")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

NAMES = tuple(CELLS)
#: Two ways to compute the same four steps, of numbers within 1, each with a dozen roundings that later
#: steps carry on.
_ROUNDINGS = 2 * 4 * 12 * 2.0**-24


def _steps(name: str, mask: Array | None = None) -> Any:
    """The formula of all steps' outputs."""

    def formula(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
        return unrolled(CELLS[name], inputs[0], weights, mask=mask)[0]

    return formula


for _name in NAMES:

    @contract(
        f"unroll-{_name}", thing=f"keras.layers.{_name}", truth=f"{ALL}, unrolled, also masked."
    )
    def _(lab: Lab, name: str = _name) -> Iterator[Deviation]:
        for what, mask in (("", None), (", masked", MASK)):
            layer = made(name, UNITS, return_sequences=True, unroll=True)
            call = {} if mask is None else {"mask": mask}
            formula = _steps(name, mask)
            yield from compared(lab, layer, name, [sequences()], formula, what=what, **call)


@contract(
    "zero_output_for_mask",
    thing="keras.layers.RNN",
    truth="Outputs of masked steps are zeros where it is asked for; states go on as without.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    for name in NAMES:
        layer = made(name, UNITS, return_sequences=True, zero_output_for_mask=True)
        x = sequences()
        _, weights = furnished(layer, name, [x])
        exactly = [traced(lab, weight) for weight in weights]
        truth, _ = unrolled(CELLS[name], traced(lab, x), exactly, mask=MASK)
        got = lab.seen(layer(x, mask=tf.constant(MASK)))
        yield exact(f"{name}, masked", got[~MASK], np.zeros(((~MASK).sum(), UNITS)))
        yield deviation(f"{name}, others", got[MASK], truth[MASK].array)


@contract(
    "cells-stacked",
    thing="keras.layers.StackedRNNCells",
    truth="Cells in a stack compute what layers one behind the other do, and tell all states.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = sequences()
    cells = [made("LSTMCell", UNITS), made("GRUCell", 2), made("SimpleRNNCell", 4)]
    layer = made("RNN", cells, return_sequences=True, return_state=True)
    (got, *states), weights = furnished(layer, "stacked", [x])
    outputs, wanted, at = traced(lab, x), [], 0
    for name in ("LSTM", "GRU", "SimpleRNN"):
        own = [traced(lab, weight) for weight in weights[at : at + 3]]
        outputs, last = unrolled(CELLS[name], outputs, own)
        wanted += list(last)
        at += 3
    yield deviation("outputs", lab.seen(got), outputs.array)
    flat = [one for each in states for one in (each if isinstance(each, (list, tuple)) else [each])]
    yield exact("states", np.array(len(flat)), np.array(len(wanted)))
    for at, (state, truth) in enumerate(zip(flat, wanted, strict=False)):
        yield deviation(f"state {at}", lab.seen(state), truth.array)


@contract(
    "cell-own",
    thing="keras.layers.RNN",
    truth="A cell of one's own is called with each step and the state that it returned.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    class Decaying(keras.layers.Layer):
        state_size = 2
        output_size = 2

        def call(self, inputs: Any, states: Any) -> Any:
            state = (states[0] if isinstance(states, (list, tuple)) else states) * 0.5 + inputs
            return state * 2.0, [state]

    x = sequences()
    got, last = made("RNN", Decaying(), return_sequences=True, return_state=True)(x)
    state, outputs = traced(lab, np.zeros_like(x[:, 0])), []
    for step in range(x.shape[1]):
        state = state * 0.5 + traced(lab, x[:, step])
        outputs.append((state * 2.0).array)
    for step, truth in enumerate(outputs):
        yield deviation(f"outputs of step {step}", lab.seen(got[:, step]), truth)
    yield deviation("last state", lab.seen(last), state.array)


@contract(
    "conv_lstm",
    thing="keras.layers.ConvLSTM2D",
    truth="With kernels of one place it is an LSTM at every place.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("films", 2, 3, 2, 2, 2)
    options = {"recurrent_activation": "sigmoid", "return_sequences": True}
    layer = made("ConvLSTM2D", UNITS, 1, **options)
    got, weights = furnished(layer, "films", [x])
    places = np.moveaxis(x, 1, 3).reshape(8, 3, 2)  # (batch and place, time, features)
    flat = [
        traced(lab, weight.reshape(weight.shape[-2:]) if weight.ndim > 1 else weight)
        for weight in weights
    ]
    truth, _ = unrolled(CELLS["LSTM"], traced(lab, places), flat)
    seen = np.moveaxis(lab.seen(got), 1, 3).reshape(truth.shape)
    yield deviation("outputs", seen, truth.array)


@contract(
    "time_distributed",
    thing="keras.layers.TimeDistributed",
    truth="A layer is applied to every step, with the gradients of all of them.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    layer = made("TimeDistributed", made("Dense", 3))
    dense = lambda inputs, weights: inputs[0] @ weights[0] + weights[1]  # noqa: E731
    yield from compared(lab, layer, "time distributed", [sequences()], dense)


@contract(
    "dropout-inference",
    thing="keras.layers.LSTM",
    truth="Without training, dropout and recurrent_dropout change nothing.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = sequences()
    for name in NAMES:
        layer = made(name, UNITS, dropout=0.5, recurrent_dropout=0.5)
        _, weights = furnished(layer, name, [x])
        truth, _ = unrolled(CELLS[name], traced(lab, x), [traced(lab, one) for one in weights])
        for what, call in (("", {}), (", training=False", {"training": False})):
            yield deviation(f"{name}{what}", lab.seen(layer(x, **call)), truth[:, -1].array)


#: Units, and samples, of which dropout keeps or drops each.
_WIDE, _MANY, _RATE = 40, 50, 0.25


def _dropped(*, recurrent: bool) -> None:
    option = "recurrent_dropout" if recurrent else "dropout"

    @contract(
        option,
        thing="keras.layers.SimpleRNN",
        truth="In training each unit is dropped with the given rate, or else divided by the rate of"
        " those kept; every step of a sample drops the same (Gal and Ghahramani 2016).",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras, tf

        keras.utils.set_random_seed(1)
        eye, zeros = np.eye(_WIDE, dtype=np.float32), np.zeros((_WIDE, _WIDE), np.float32)
        layer = made(
            "SimpleRNN",
            _WIDE,
            activation=None,
            use_bias=False,
            return_sequences=True,
            **{option: _RATE},
        )
        x = np.ones((_MANY, 2, _WIDE), np.float32) * (0.0 if recurrent else 1.0)
        layer(x)
        layer.set_weights([zeros, eye] if recurrent else [eye, zeros])
        first = tf.ones((_MANY, _WIDE))
        got = lab.seen(layer(x, training=True, initial_state=first))
        kept = got[:, 0] > 0.0
        for step in range(2):
            size = (1.0 / (1.0 - _RATE)) ** (step + 1 if recurrent else 1)
            # Two roundings of the factor and one of each product.
            near = np.abs(got[:, step] - np.where(kept, size, 0.0)) <= 2.0**-22 * size
            yield exact(f"step {step}", near, np.ones_like(kept))
        yield mean_of("share dropped", ~kept, _RATE, (_RATE * (1 - _RATE)) ** 0.5)


_dropped(recurrent=False)
_dropped(recurrent=True)


for _name in ("LSTM", "GRU"):

    @contract(
        f"recurrent_dropout-{_name}",
        thing=f"keras.layers.{_name}",
        truth="In training recurrent_dropout drops units of the state: outputs are others than at"
        " inference, in each sample.",
    )
    def _(lab: Lab, name: str = _name) -> Iterator[Deviation]:
        from bench.nets.api import keras, tf

        keras.utils.set_random_seed(1)
        layer = made(name, _WIDE, recurrent_dropout=0.5)
        x = np.zeros((8, 2, 2), np.float32)
        layer(x)
        states = [tf.ones((8, _WIDE)) for _ in range(2 if name == "LSTM" else 1)]
        calm, moved = (
            lab.seen(layer(x, initial_state=states, training=training))
            for training in (False, True)
        )
        # That none of the units is dropped happens once in 2^40 samples.
        yield exact("samples moved", (calm != moved).any(-1), np.ones(8, bool))


@contract(
    "bidirectional-modes",
    thing="keras.layers.Bidirectional",
    truth="Outputs of both directions are multiplied, averaged, or told apart, and so are their last"
    " states, from which a second call starts.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = sequences()
    ways = [made("GRU", UNITS, return_sequences=True, go_backwards=back) for back in (False, True)]
    for way in ways:
        way(x)
    weights = [drawn(f"weight {at}", *one.shape) for at, one in enumerate(2 * ways[0].weights)]
    for at, way in enumerate(ways):
        way.set_weights(weights[3 * at : 3 * at + 3])
    forth, back = (lab.seen(way(x)) for way in ways)
    back = back[:, ::-1]
    for mode, truth in (("mul", forth * back), ("ave", (forth + back) / np.float32(2.0))):
        layer = made("Bidirectional", made("GRU", UNITS, return_sequences=True), merge_mode=mode)
        layer(x)
        layer.set_weights(weights)
        yield deviation(mode, lab.seen(layer(x)), Bounded(truth, _ROUNDINGS))
    inner = made("GRU", UNITS, return_sequences=True, return_state=True)
    layer = made("Bidirectional", inner, merge_mode=None)
    layer(x)
    layer.set_weights(weights)
    returned = list(layer(x))
    got = [lab.seen(one) for one in returned]
    for name, one, truth in zip(
        ("forwards", "backwards", "state forwards", "state backwards"),
        got,
        (forth, back, forth[:, -1], back[:, 0]),
        strict=True,
    ):
        yield deviation(name, one, Bounded(truth, _ROUNDINGS))
    again = layer(x, initial_state=returned[2:])
    truth = lab.seen(ways[0](x, initial_state=returned[2]))
    yield deviation("goes on", lab.seen(again[0]), Bounded(truth, _ROUNDINGS))


@contract(
    "unit_forget_bias",
    thing="keras.layers.LSTM",
    truth="Biases begin as 0, that of the forget gate as 1 unless unit_forget_bias is False.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    for forget, options in ((1.0, {}), (0.0, {"unit_forget_bias": False})):
        layer = made("LSTM", UNITS, **options)
        layer(sequences())
        truth = np.repeat([0.0, forget, 0.0, 0.0], UNITS)
        yield exact(f"forget {forget:.0f}", lab.seen(layer.get_weights()[2]), truth)


for _option in ("dropout", "recurrent_dropout"):

    @contract(
        f"conv_lstm-{_option}",
        thing="keras.layers.ConvLSTM2D",
        truth=f"In training {_option} drops inputs or units: outputs are others than at inference, in"
        " each sample.",
    )
    def _(lab: Lab, option: str = _option) -> Iterator[Deviation]:
        from bench.nets.api import keras

        keras.utils.set_random_seed(1)
        layer = made("ConvLSTM2D", 4, (1, 1), return_sequences=True, **{option: 0.5})
        x = np.ones((6, 3, 3, 3, 4), np.float32)
        calm, moved = (lab.seen(layer(x, training=training)) for training in (False, True))
        # A sample has 36 entries: that none is dropped happens once in 2^36.
        yield exact("samples moved", (calm != moved).any((1, 2, 3, 4)), np.ones(6, bool))
        yield exact("inference again", lab.seen(layer(x)), calm)


@contract(
    "bidirectional-backward_layer",
    thing="keras.layers.Bidirectional",
    truth="A layer that is given for the way back computes it, in the order of time.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = sequences()
    forth = made("GRU", UNITS, return_sequences=True)
    back = made("SimpleRNN", 2, return_sequences=True, go_backwards=True)
    layer = made("Bidirectional", forth, backward_layer=back)
    got, weights = furnished(layer, "two ways", [x])
    exactly = [traced(lab, weight) for weight in weights]
    first, _ = unrolled(CELLS["GRU"], traced(lab, x), exactly[:3])
    second, _ = unrolled(CELLS["SimpleRNN"], traced(lab, x), exactly[3:], backwards=True)
    yield deviation("forwards", lab.seen(got)[..., :UNITS], first.array)
    yield deviation("backwards", lab.seen(got)[..., UNITS:], second[:, ::-1].array)
