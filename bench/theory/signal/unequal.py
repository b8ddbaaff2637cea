"""Mean-field recursion of a plain network whose layers differ in width, weights and biases.

A cell's hidden layers are alike; this is the general statement, for networks that no cell describes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.theory.signal.moments import second_moment, slope_moment


@dataclass(frozen=True)
class Recursion:
    """Per hidden layer, first to last; ``chi`` has one entry less.

    ``signal`` and ``kernel_gradient`` are relative to the last hidden layer's.
    """

    pre_activation: tuple[float, ...]
    activation: tuple[float, ...]
    chi: tuple[float, ...]
    signal: tuple[float, ...]
    kernel_gradient: tuple[float, ...]


def recursion(
    activation: str,
    widths: Sequence[int],
    kernel_variances: Sequence[float],
    *,
    squared_norm: float,
    bias_variance: float = 0.0,
) -> Recursion:
    """q_1 = s_1^2 |x|^2 + s_b^2, q_l = n_(l-1) s_l^2 F(q_(l-1)) + s_b^2 (Poole et al. 2016, eq. 3);
    g_l = n_(l+1) s_(l+1)^2 D(q_l) g_(l+1) (Schoenholz et al. 2017, eq. 14; at unequal widths Glorot and
    Bengio 2010, eqs 5 and 6); Var(dW_l) = g_l F(q_(l-1)), where |x|^2 / n_0 stands for F(q_0).

    Args:
        activation: as a cell names it.
        widths: of the input, then of each hidden layer: n_0 .. n_L.
        kernel_variances: s_1^2 .. s_L^2.
        squared_norm: |x|^2 of an example.
        bias_variance: s_b^2 of normal biases.

    Raises:
        ValueError: not one variance per hidden layer, or no hidden layer.
    """
    if len(kernel_variances) != len(widths) - 1 or not kernel_variances:
        raise ValueError(f"{len(kernel_variances)} variances of {len(widths) - 1} hidden layers")
    incoming = [squared_norm / widths[0]]
    q: list[float] = []
    for fan_in, variance in zip(widths, kernel_variances):  # noqa: B905 - the last has none
        q.append(fan_in * variance * incoming[-1] + bias_variance)
        incoming.append(second_moment(activation, q[-1]))
    chi = [
        widths[layer + 2] * kernel_variances[layer + 1] * slope_moment(activation, q[layer])
        for layer in range(len(q) - 1)
    ]
    signal = [1.0]
    for factor in reversed(chi):
        signal.insert(0, factor * signal[0])
    gradients = [own * before for own, before in zip(signal, incoming, strict=False)]
    return Recursion(
        pre_activation=tuple(q),
        activation=tuple(incoming[1:]),
        chi=tuple(chi),
        signal=tuple(signal),
        kernel_gradient=tuple(value / gradients[-1] for value in gradients),
    )
