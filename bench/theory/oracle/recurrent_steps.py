"""Steps of recurrent layers, forwards: one formula for every kind of array.

The order of gates and the place of biases are Keras': SimpleRNN (Elman 1990), LSTM (Hochreiter and
Schmidhuber 1997; gates input, forget, cell, output), GRU with the reset after the product (Cho et al.
2014; gates update, reset, candidate; two biases, one for each kernel).

A state is a tuple of arrays (batch, units): the output h, and of LSTM the cell state c. A step is
``step(x, state, weights, phi, sigmoid)``, with x of (batch, inputs) and elementwise functions phi, the
layer's activation, and sigmoid, that of its gates; it returns the next state, and what the way back
needs. :mod:`bench.theory.oracle.recurrent` goes back by hand, :mod:`bench.theory.oracle.formulas` by
the tape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.theory.oracle.choices import either

State = tuple[Any, ...]
#: What a step leaves for the way back: pre-activations and gates as its kind needs them.
Kept = tuple[Any, ...]
Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Weights:
    """Kernel (inputs, gates times units), recurrent kernel (units, gates times units), and bias, (gates
    times units,), of a GRU two of them."""

    kernel: Any
    recurrent: Any
    bias: Any

    @property
    def units(self) -> int:
        return int(self.recurrent.shape[0])


Step = Callable[[Any, State, Weights, Function, Function], tuple[State, Kept]]


def split(array: Any, parts: int) -> list[Any]:
    """Equal parts along the last axis."""
    units = array.shape[-1] // parts
    return [array[..., part * units : (part + 1) * units] for part in range(parts)]


def _pre_activation(x: Any, h: Any, weights: Weights) -> Any:
    """x W + h U + b, added up in whichever order rounds worse."""
    product, recurrent = x @ weights.kernel, h @ weights.recurrent
    return either((product + recurrent) + weights.bias, (product + weights.bias) + recurrent)


def simple_rnn(
    x: Any, state: State, weights: Weights, phi: Function, _: Function
) -> tuple[State, Kept]:
    """h' = phi(x W + h U + b)."""
    z = _pre_activation(x, state[0], weights)
    return (phi(z),), (z,)


def lstm(
    x: Any, state: State, weights: Weights, phi: Function, sigmoid: Function
) -> tuple[State, Kept]:
    """i, f, o = sigmoid and g = phi of their parts of x W + h U + b; c' = f c + i g; h' = o phi(c')."""
    h, c = state
    zi, zf, zg, zo = split(_pre_activation(x, h, weights), 4)
    i, f, o = sigmoid(zi), sigmoid(zf), sigmoid(zo)
    g = phi(zg)
    c = f * c + i * g
    p = phi(c)
    return (o * p, c), (i, f, zg, g, o, p)


def gru(
    x: Any, state: State, weights: Weights, phi: Function, sigmoid: Function
) -> tuple[State, Kept]:
    """z, r = sigmoid of their parts of x W + b0 + h U + b1; n = phi(its part of x W + b0, plus r times
    that of h U + b1); h' = z h + (1 - z) n."""
    (h,) = state
    xz, xr, xn = split(x @ weights.kernel + weights.bias[0], 3)
    hz, hr, hn = split(h @ weights.recurrent + weights.bias[1], 3)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    candidate = xn + r * hn
    n = phi(candidate)
    return (z * h + (1.0 - z) * n,), (z, r, hn, candidate, n)
