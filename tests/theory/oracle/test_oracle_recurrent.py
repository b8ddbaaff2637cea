"""Recurrent layers in the oracle: derivatives by complex step, and bounds that stay tight over time."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.theory.activations import ACTIVATION
from bench.theory.oracle.network import LOGITS, Oracle
from bench.theory.oracle.recurrent import KINDS, Through, forward
from bench.theory.oracle.recurrent_steps import Weights
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.formats import FLOAT32

pytestmark = pytest.mark.filterwarnings("error")

STEP = 1e-30
VARIANTS = [
    {"depth": 1},
    {"depth": 2, "direction": "bidirectional"},
    {"depth": 2, "normalization": "layer"},
]


def networks() -> list[Cell]:
    return [
        Cell(
            architecture=kind,
            width=4,
            activation=activation,
            initializer="glorot_uniform",
            pixels=112,
            **variant,
        )
        for kind, activation, variant in itertools.product(KINDS, ("tanh", "relu"), VARIANTS)
    ]


@pytest.mark.parametrize("cell", networks(), ids=lambda cell: cell.id(("depth", "arch")))
def test_gradients_are_the_derivatives(cell: Cell) -> None:
    """By complex step, of three entries of every parameter."""
    random = np.random.default_rng(0)
    oracle = Oracle(cell)
    parameters = [value + 0.1 * random.standard_normal(value.shape) for value in oracle.initial(0)]
    inputs, labels = random.random((3, 7, 112)), np.array([1, 2, 3])
    _, gradients = oracle.gradients(parameters, inputs, labels)
    for place, gradient in enumerate(gradients):
        for entry in zip(*(random.integers(0, size, 3) for size in gradient.shape), strict=True):
            moved = [value.astype(complex) for value in parameters]
            moved[place][entry] += STEP * 1j
            loss = oracle.loss(oracle.forward(moved, inputs)[LOGITS], labels)
            np.testing.assert_allclose(gradient[entry], loss.imag / STEP, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_jacobian_of_a_step(kind: str) -> None:
    """By complex step from one state to the next."""
    random = np.random.default_rng(1)
    weights = _weights(kind, random, units=3, inputs=2)
    x = random.standard_normal((2, 4, 2))
    _, states, kept = forward(kind, "tanh", x, weights)
    through = Through(kind, "tanh", weights, states, kept)
    entries = 3 * KINDS[kind].states
    for entry in range(entries):
        state = [part.astype(complex) for part in states[2]]
        state[entry // 3][:, entry % 3] += STEP * 1j
        sigmoid = ACTIVATION["sigmoid"].value
        after, _ = KINDS[kind].step(x[:, 2], tuple(state), weights, np.tanh, sigmoid)
        derivative = np.concatenate(after, axis=-1).imag / STEP
        np.testing.assert_allclose(through.jacobian(2)[:, entry], derivative, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_over_many_steps_hold_and_are_tight(kind: str) -> None:
    """In float32 arithmetic, 40 steps from states that are known: within the bound, which would have
    grown 1e15-fold entry by entry."""
    random = np.random.default_rng(2)
    weights = _weights(kind, random, units=12, inputs=3)
    x = random.standard_normal((2, 40, 3)).astype(np.float32)
    low = Weights(*(getattr(weights, field.name) for field in dataclasses.fields(Weights)))
    outputs, states, kept = forward(kind, "tanh", x, low, known=None)
    known = outputs.astype(np.float32)
    upstream = np.zeros_like(known)
    upstream[:, -1] = 1.0

    exact = Weights(*(Bounded(value, 0.0, FLOAT32) for value in vars(low).values()))
    arrays = [Bounded(np.float64(array), 0.0, FLOAT32) for array in (x, known, upstream)]
    _, states, kept = forward(kind, "tanh", arrays[0], exact, known=arrays[1])
    bounded = list(Through(kind, "tanh", exact, states, kept).arriving(arrays[2]))

    _, states, kept = forward(kind, "tanh", x, low, known=known)
    states = [tuple(part.astype(np.float32) for part in state) for state in states]
    computed = list(Through(kind, "tanh", low, states, kept).arriving(upstream))
    for truth, found in zip(bounded, computed, strict=True):
        for part, value in zip(truth, found, strict=True):
            assert (np.abs(part.value - value) <= part.error + 1e-30).all()
    size = np.abs(bounded[-1][0].value).max()
    assert 0 < bounded[-1][0].error.max() < 1e-3 * size


def _weights(kind: str, random: np.random.Generator, *, units: int, inputs: int) -> Weights:
    columns = {"simple_rnn": 1, "lstm": 4, "gru": 3}[kind] * units
    bias = (2, columns) if kind == "gru" else (columns,)
    recurrent = random.standard_normal((units, columns)) / np.sqrt(units)
    arrays = random.standard_normal((inputs, columns)) / 4, recurrent, random.standard_normal(bias)
    return Weights(*(array.astype(np.float32) for array in arrays))
