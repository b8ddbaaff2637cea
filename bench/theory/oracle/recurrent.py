"""Recurrent layers, forward and backward through time, as formulas.

A layer takes a step of :mod:`bench.theory.oracle.recurrent_steps` after the other. Gradients go back
from state to state by the transposed Jacobian J_t of one step (Pascanu et al. 2013, eq. 5), and errors
do so, too: what is rounded at step s arrives at step t as J_t .. J_(s-1) times that. A bound
that went through all steps entry by entry would take the product of the Jacobians' absolute values,
which grows by the root of the units with each step, and would bound nothing after ten. So here, for
:class:`bench.theory.rounding.arrays.Bounded` arrays, each step's own rounding is bounded, and goes
through the product itself: to first order in the unit roundoff, whatever the order of summation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.theory.activations import ACTIVATION
from bench.theory.oracle import recurrent_steps
from bench.theory.oracle.choices import either
from bench.theory.oracle.operations import activation_gradient
from bench.theory.oracle.recurrent_steps import Kept, State, Step, Weights, split
from bench.theory.rounding.arrays import Bounded, decide

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """A kind of recurrent layer.

    Args:
        states: arrays in a state.
        gates: columns of kernels for each unit.
        step: of :mod:`bench.theory.oracle.recurrent_steps`.
        back: ``back(kept, state, next, gradient, weights, activation)``, of the gradient with respect
            to the next state -> that with respect to the state, and those with respect to what the
            kernel and what the recurrent kernel gave.
    """

    states: int
    gates: int
    step: Step
    back: Callable[[Kept, State, State, State, Weights, str], tuple[State, Any, Any]]


def _simple_back(
    kept: Kept, _: State, after: State, gradient: State, weights: Weights, activation: str
) -> tuple[State, Any, Any]:
    dz = activation_gradient(activation, kept[0], after[0], gradient[0])
    return (dz @ weights.recurrent.T,), dz, dz


def _lstm_back(
    kept: Kept, state: State, after: State, gradient: State, weights: Weights, activation: str
) -> tuple[State, Any, Any]:
    i, f, zg, g, o, p = kept
    dh, carried = gradient
    dc = activation_gradient(activation, after[1], p, dh * o) + carried
    di, df, do = dc * g, dc * state[1], dh * p
    dz = np.concatenate(
        [
            di * i * (1.0 - i),
            df * f * (1.0 - f),
            activation_gradient(activation, zg, g, dc * i),
            do * o * (1.0 - o),
        ],
        axis=-1,
    )
    return (dz @ weights.recurrent.T, dc * f), dz, dz


def _gru_back(
    kept: Kept, state: State, _: State, gradient: State, weights: Weights, activation: str
) -> tuple[State, Any, Any]:
    z, r, hn, candidate, n = kept
    (h,), (dh,) = state, gradient
    dn = activation_gradient(activation, candidate, n, dh * (1.0 - z))
    gates = [either(dh * h - dh * n, dh * (h - n)) * z * (1.0 - z), dn * hn * r * (1.0 - r)]
    to_inputs = np.concatenate([*gates, dn], axis=-1)
    to_states = np.concatenate([*gates, dn * r], axis=-1)
    return (dh * z + to_states @ weights.recurrent.T,), to_inputs, to_states


KINDS = {
    "simple_rnn": Kind(1, 1, recurrent_steps.simple_rnn, _simple_back),
    "lstm": Kind(2, 4, recurrent_steps.lstm, _lstm_back),
    "gru": Kind(1, 3, recurrent_steps.gru, _gru_back),
}


def forward(
    name: str, activation: str, x: Any, weights: Weights, known: Any = None
) -> tuple[Any, list[State], list[Kept]]:
    """The layer's way through all steps.

    Args:
        name: of :data:`KINDS`.
        activation: of :data:`bench.theory.activations.ACTIVATION`.
        x: (batch, steps, inputs).
        weights: of the layer.
        known: (batch, steps, units): outputs of a framework, from which each step starts instead of
            from its own; LSTM's cell state follows from these without a matrix product.

    Returns:
        Outputs, (batch, steps, units), the states before each step and after the last, and what each
        step left for the way back.
    """
    kind = KINDS[name]
    phi, sigmoid = ACTIVATION[activation].value, ACTIVATION["sigmoid"].value
    zeros = np.zeros((x.shape[0], weights.units))
    states: list[State] = [(zeros,) * kind.states]
    outputs, kept = [], []
    for step in range(x.shape[1]):
        after, left = kind.step(x[:, step], states[-1], weights, phi, sigmoid)
        outputs.append(after[0])
        kept.append(left)
        states.append(after if known is None else (known[:, step], *after[1:]))
    return np.stack(outputs, axis=1), states, kept


def backward(
    name: str, activation: str, x: Any, weights: Weights, known: Any, upstream: Any
) -> tuple[Any, list[Any]]:
    """Gradients with respect to x, and to kernel, recurrent kernel and bias.

    Args:
        known: the layer's outputs, (batch, steps, units).
        upstream: gradient with respect to them, without what comes back from later steps.
    """
    _, states, kept = forward(name, activation, x, weights, known)
    through = Through(name, activation, weights, states, kept)
    to_inputs, to_states = through(upstream)
    before = np.pad(known[:, :-1], ((0, 0), (1, 0), (0, 0)))
    flat = [array.reshape((-1, array.shape[-1])) for array in (x, before, to_inputs, to_states)]
    biases = [flat[2].sum(axis=0)]
    if name == "gru":
        biases.append(flat[3].sum(axis=0))
    bias = np.stack(biases) if name == "gru" else biases[0]
    return to_inputs @ weights.kernel.T, [flat[0].T @ flat[2], flat[1].T @ flat[3], bias]


class Through:
    """The way back through a layer's steps.

    Args:
        name: of :data:`KINDS`.
        activation: of :data:`bench.theory.activations.ACTIVATION`.
        weights: of the layer.
        states: before each step and after the last, as :func:`forward` gives them.
        kept: likewise.
    """

    def __init__(
        self,
        name: str,
        activation: str,
        weights: Weights,
        states: Sequence[State],
        kept: Sequence[Kept],
    ) -> None:
        self._kind, self._activation = KINDS[name], activation
        self._weights, self._states, self._kept = weights, states, kept

    def __call__(self, upstream: Any) -> tuple[Any, Any]:
        """Gradients with respect to what both kernels gave, (batch, steps, gates times units).

        Args:
            upstream: gradient with respect to the outputs, (batch, steps, units).
        """
        found = [
            self._back(step, arrived)[1:]
            for step, arrived in zip(
                reversed(range(upstream.shape[1])), self.arriving(upstream), strict=True
            )
        ]
        to_inputs, to_states = zip(*reversed(found), strict=True)
        return np.stack(to_inputs, axis=1), np.stack(to_states, axis=1)

    def arriving(self, upstream: Any) -> Iterator[State]:
        """Gradients with respect to the state after each step, the last step first."""
        errors = _Errors() if isinstance(upstream, Bounded) else None
        shape = (upstream.shape[0], self._weights.units)
        carried: State = tuple(_zeros(shape, upstream) for _ in range(self._kind.states))
        for step in reversed(range(upstream.shape[1])):
            arrived: State = (upstream[:, step] + carried[0], *carried[1:])
            if errors:
                errors.rounded(arrived)
            yield errors.of(arrived) if errors else arrived
            carried, _, _ = self._back(step, tuple(map(_exact, arrived)))
            if errors:
                errors.passed(self.jacobian(step))
                errors.rounded(carried)
                carried = tuple(map(_exact, carried))

    def _back(self, step: int, gradient: State) -> tuple[State, Any, Any]:
        before, after = self._states[step], self._states[step + 1]
        return self._kind.back(
            self._kept[step], before, after, gradient, self._weights, self._activation
        )

    def jacobian(self, step: int) -> Array:
        """J^T of a step, (batch, entries of the state before, entries of the state after)."""
        plain = Weights(*map(decide, vars(self._weights).values()))
        before, after, kept = (
            tuple(map(decide, arrays))
            for arrays in (self._states[step], self._states[step + 1], self._kept[step])
        )
        batch, units = before[0].shape
        entries = self._kind.states * units
        unit = np.broadcast_to(np.eye(entries)[:, None], (entries, batch, entries))
        gradient = tuple(split(unit, self._kind.states))
        back, _, _ = self._kind.back(kept, before, after, gradient, plain, self._activation)
        return np.concatenate(back, axis=-1).transpose(1, 2, 0)


def _zeros(shape: tuple[int, ...], like: Any) -> Any:
    return (
        Bounded(np.zeros(shape), 0.0, like.form) if isinstance(like, Bounded) else np.zeros(shape)
    )


def _exact(array: Any) -> Any:
    """The array as if it had not been rounded so far."""
    return Bounded(array.value, 0.0, array.form) if isinstance(array, Bounded) else array


class _Errors:
    """Bounds on what roundings of later steps make of a state's gradient."""

    def __init__(self) -> None:
        self._sources: list[Array] = []  # (batch, entries): bound of each rounding
        self._products: list[Array] = []  # (batch, entries now, entries there)

    def rounded(self, gradient: State) -> None:
        """Takes note of errors that were just made."""
        error = np.concatenate(
            [np.broadcast_to(part.error, part.shape) for part in gradient], axis=-1
        )
        if error.any():
            self._sources.append(error)
            batch, entries = error.shape
            self._products.append(np.broadcast_to(np.eye(entries), (batch, entries, entries)))

    def passed(self, jacobian: Array) -> None:
        """Takes all errors one step back."""
        self._products = [jacobian @ product for product in self._products]

    def of(self, gradient: State) -> State:
        """The gradient with all errors so far."""
        total = sum(
            (np.abs(product) @ source[..., None])[..., 0]
            for product, source in zip(self._products, self._sources, strict=True)
        )
        if isinstance(total, int):
            return gradient
        parts = split(total, len(gradient))
        return tuple(
            Bounded(part.value, error, part.form)
            for part, error in zip(gradient, parts, strict=True)
        )
