"""Mean-field prediction of a cell's gradient flow at step 0.

Infinite width: :mod:`bench.theory.signal.wide` (none, layer normalization, skips) and
:mod:`bench.theory.signal.normalized` (batch normalization). Finite width:
:mod:`bench.theory.signal.spread`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from scipy import optimize

from bench.cells import recurrent
from bench.cells.architectures import CONVOLUTIONAL
from bench.cells.cell import Cell
from bench.theory.oracle.layers import EPSILON
from bench.theory.signal.images import MNIST_SQUARED_NORMS
from bench.theory.signal.moments import Array, moments, second_moment, slope_moment, to_last
from bench.theory.signal.normalized import UNITS, BatchFlow, batch_flow, batch_norm_ratio
from bench.theory.signal.spread import spread
from bench.theory.signal.wide import INPUTS, Layer, Net, backward, forward, output_errors

#: A network is critical if its signal needs more than this many layers to change e-fold at the fixed
#: point: twice the deepest of the grids. The depth scale of Schoenholz et al. 2017, eq. 18.
CRITICAL_DEPTH = 100


@dataclass(frozen=True)
class Prediction:
    """Gradient flow at step 0. Tuples have one entry per hidden layer, first to last."""

    pre_activation: tuple[float, ...]
    """Mean square of the activation's input."""
    activation: tuple[float, ...]
    """Second moment of the activation's output."""
    signal: tuple[float, ...]
    """Mean square of the loss gradient at the activation's input, relative to the last hidden
    layer's; NaN where that is 0 too (zero weights)."""
    kernel_gradient: tuple[float, ...]
    """Per-example variance of the kernel's gradient, relative to the last hidden kernel's."""
    chi: tuple[float, ...]
    """signal_l / signal_(l+1): depth - 1 entries."""
    log_bias: tuple[float, ...]
    """Mean of ln(measured signal_l / signal_L), less ln(signal_l), at this width and batch."""
    log_std: tuple[float, ...]
    """Standard deviation of ln(measured signal_l / signal_L) for one seed."""
    log_error: tuple[float, ...]
    """Bound on the error of log_bias, on what its derivation leaves out; see :func:`not_followed`."""
    step_bias: tuple[float, ...]
    """log_bias of ln(signal_l / signal_(l+1)) in place of ln(signal_l / signal_L), depth - 1 entries;
    likewise the next two."""
    step_std: tuple[float, ...]
    step_error: tuple[float, ...]
    scale: tuple[float, ...]
    """Smallest and largest number that float32 must hold: root mean squares of a layer's signal or
    activation, divided and multiplied by the root of its width."""
    fixed_point: float
    """q* to which q_l tends as depth grows: 0, inf, or what F maps to itself; 1 if normalized."""
    chi_fixed: float
    """chi at the fixed point."""
    phase: str
    """``ordered``: signals vanish; ``critical``; ``chaotic``: they explode."""

    @property
    def signal_ratio(self) -> float | None:
        """First over last hidden layer's signal; None without a hidden layer and where it is 0/0."""
        return self.signal[0] if self.signal and not math.isnan(self.signal[0]) else None


#: Fields of a prediction that are tuples.
_ARRAYS = tuple(field.name for field in fields(Prediction))[:12]


def why_not(cell: Cell) -> str:
    """Reason why there is no prediction; empty if there is one."""
    if cell.architecture == "cnn":
        return "max pooling takes the largest of correlated inputs, for which there is no closed theory"
    if cell.architecture in recurrent.ARCHITECTURES:
        return "mean-field theory of layers does not speak of steps in time"
    if cell.architecture in CONVOLUTIONAL:
        return (
            "neighbouring places of convolutions share inputs, and this theory is of dense layers"
        )
    if cell.architecture == "transformer":
        return "attention mixes tokens by weights that depend on them, which this theory lacks"
    if cell.dropout:
        return "dropout multiplies the last layer's signal by a mask that the framework draws"
    if cell.normalization == "batch" and cell.batch < 6:
        return "batch normalization's fixed point is known from 6 examples on"
    return ""


def not_followed(cell: Cell) -> str:
    """Reason why a prediction's error has no bound (``log_error`` is infinite); empty if it has one.

    The part of dC/da along a starts as 1/width of the whole, and behind skips it outgrows the rest
    where E[z phi'] is not 0. It is followed behind activations of degree 1 without bias (see
    :func:`bench.theory.signal.wide.coherent`); around tanh and sigmoid, whose slopes are even, E[z
    phi'] is 0.
    """
    if cell.architecture != "residual" or cell.depth < 2:
        return ""
    left = "the part of the gradient along the signal, which skips let grow, is not followed "
    if cell.normalization != "none":
        return left + "through normalization"
    if cell.bias != 0.0:
        return left + "through biases"
    if cell.activation not in ("relu", "leaky_relu", "tanh", "sigmoid"):
        return left + "through this activation"
    return ""


def predict(
    cell: Cell,
    *,
    squared_norms: Sequence[float] = MNIST_SQUARED_NORMS,
    batch: int | None = None,
) -> Prediction | None:
    """Predicts a cell's gradient flow before its first step; None where :func:`why_not` says why.

    Args:
        squared_norms: |x|^2 of typical images, pixels 0..1: signals are averaged over them.
        batch: examples that the measurement averages over; the cell's own if not given.

    Example:
        >>> predict(Cell(depth=10)).chi[0]
        1.0
    """
    if why_not(cell):
        return None
    seen = msgspec.structs.replace(
        cell,
        clipping="none",
        optimizer="sgd",
        learning_rate=0.1,
        steps=1,
        batch=batch or cell.batch,
        precision="float32",
        engine="in_graph",
    )
    key = seen, tuple(squared_norms)
    if key not in PREDICTED:
        PREDICTED[key] = _predict(*key)
    return PREDICTED[key]


#: What was predicted, by cell and images: claims, tables and figures ask for it again.
PREDICTED: dict[tuple[Cell, tuple[float, ...]], Prediction] = {}


def _predict(cell: Cell, squared_norms: tuple[float, ...]) -> Prediction:
    net = Net.of(cell)
    point, chi_fixed = fixed_point(cell)
    if cell.depth == 0:
        return _prediction(dict.fromkeys(_ARRAYS, np.empty(0)), point, chi_fixed)
    if cell.normalization == "batch":
        flow = _behind_batch_norm(cell, net)
    else:
        flow = _by_example(cell, net, squared_norms)
    if not_followed(cell):
        unbounded = np.full(cell.depth - 1, math.inf)
        flow |= {"log_error": np.append(unbounded, 0.0), "step_error": unbounded}
    return _prediction(flow, point, chi_fixed)


def _prediction(flow: Mapping[str, Array], point: float, chi_fixed: float) -> Prediction:
    """Prediction of a gradient flow, arrays by the names of its fields."""
    values: dict[str, Any] = {name: tuple(array.tolist()) for name, array in flow.items()}
    return Prediction(**values, fixed_point=point, chi_fixed=chi_fixed, phase=_phase(chi_fixed))


def _by_example(cell: Cell, net: Net, squared_norms: Sequence[float]) -> dict[str, Array]:
    """Gradient flow behind layers that see one example at a time: the mean over images."""
    if net.homogeneous:
        squared_norms = [float(np.mean(squared_norms))]
    images = forward(net, squared_norms)
    signals = np.array([backward(net, image, output_errors(net, image))[0] for image in images])
    signal = signals.mean(0)
    q = np.array([[layer.q + net.bias**2 for layer in image] for image in images]).mean(0)
    activation = np.array([[layer.moments.second for layer in image] for image in images]).mean(0)
    at_kernel = np.array(
        [
            [g / layer.divisor * layer.before for g, layer in zip(row, image, strict=True)]
            for row, image in zip(signals, images, strict=True)
        ]
    ).mean(0)
    typical = forward(net, [float(np.mean(squared_norms))])[0]
    aligned = backward(net, typical, output_errors(net, typical))[1]
    around = spread(net, typical, cell.batch, aligned)
    std, step_std = _with_composition(signals, around.std, around.step_std, cell.batch)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "pre_activation": q,
            "activation": activation,
            "signal": signal / signal[-1],
            "kernel_gradient": at_kernel / at_kernel[-1],
            "chi": _chi(net, typical, signal),
            "log_bias": around.bias,
            "log_std": std,
            "log_error": around.error,
            "step_bias": around.step_bias,
            "step_std": step_std,
            "step_error": around.step_error,
            "scale": _scale(net, typical, signal),
        }


def _with_composition(
    signals: Array, std: Array, step_std: Array, batch: int
) -> tuple[Array, Array]:
    """Standard deviations with that of a batch as a draw of images, whose ratios differ with |x|^2: the
    mean over a batch varies by 1/sqrt(batch) of that."""
    if len(signals) == 1 or not np.all(signals > 0):
        return std, step_std

    def drawn(upper: Array) -> Array:
        shares = upper / upper.sum(0)
        ratios = signals[:, : upper.shape[1]] / upper
        mean = np.sum(shares * ratios, 0)
        return np.asarray(np.sum((shares * (ratios / mean - 1)) ** 2, 0) * len(signals) / batch)

    last = np.repeat(signals[:, -1:], signals.shape[1], 1)
    to_last = np.append(drawn(last)[:-1], 0.0)
    return np.sqrt(std**2 + to_last), np.sqrt(step_std**2 + drawn(signals[:, 1:]))


def _chi(net: Net, layers: Sequence[Layer], signal: Array) -> Array:
    """Ratios of neighbouring layers; where the signal is 0, each layer's factor at infinite width."""
    if signal[-1] > 0:
        return np.asarray(signal[:-1] / signal[1:])
    return np.array(
        [
            (net.branch is not None) + net.gain * layer.moments.slope / layer.divisor
            for layer in layers[:-1]
        ]
    )


def _scale(net: Net, layers: Sequence[Layer], signal: Array) -> Array:
    """Smallest and largest number on the way: products of a weight and a signal are smaller, and sums
    of n of them larger, by sqrt(n)."""
    streams = [layer.second for layer in layers]
    inputs = [layer.q * layer.divisor + net.bias**2 for layer in layers]
    every = np.sqrt(np.array([*signal, *streams, *inputs]))
    return np.array([every.min() / math.sqrt(net.width), every.max() * math.sqrt(net.width)])


def _nothing(depth: int) -> dict[str, Array]:
    """Gradient flow through weights that are all 0."""
    zeros, undefined = np.zeros(depth), np.full(depth, math.nan)
    return {
        **dict.fromkeys(_ARRAYS, zeros),
        **dict.fromkeys(("signal", "kernel_gradient"), undefined),
        **dict.fromkeys(("chi", "step_bias", "step_std", "step_error"), zeros[1:]),
        "scale": np.zeros(2),
    }


def _symmetric(cell: Cell, gain: float, branch: float) -> BatchFlow:
    """Signals behind skips at the symmetric fixed point.

    The l-th stream's variance over the batch is that of the first plus (l - 1) alpha^2 of one branch,
    so chi = 1 + alpha^2 (chi of a plain layer) / (1 + (l - 1) alpha^2).
    """
    depth, m = cell.depth, moments(cell.activation, 1.0)
    plain = batch_norm_ratio(cell.activation, cell.batch)
    unit = m.second - m.mean**2
    streams = unit * (1 + branch**2 * np.arange(depth))
    q = np.append(1.0, gain * streams[:-1] / (gain * streams[:-1] + EPSILON))
    chi = 1 + branch**2 * plain * unit / streams[:-1] * q[1:]
    if depth > 1:
        chi[0] /= branch**2
    return BatchFlow(
        pre_activation=q,
        activation=np.full(depth, m.second),
        signal=np.append(np.cumprod(chi[::-1])[::-1], 1.0),
        spread=np.zeros(depth - 1),
        noise=np.zeros(depth),
    )


def _behind_batch_norm(cell: Cell, net: Net) -> dict[str, Array]:
    """Gradient flow of plain layers by the batch's Gram matrix, of skips at the symmetric fixed
    point."""
    depth, gain = cell.depth, net.gain
    if gain == 0.0:
        return _nothing(depth)
    batch = (
        batch_flow(cell.activation, depth, cell.batch, net.first, gain)
        if net.branch is None
        else _symmetric(cell, gain, net.branch)
    )
    signal, activation, per_step = batch.signal, batch.activation, batch.spread
    v = to_last(per_step) / cell.width
    # Of n units a Gram matrix has 1/n more inverse effective dimension than of many (Marchenko and
    # Pastur 1967). That of the signals raises E[1/s^2] by 2/n; both raise the parts along the mean and
    # along z that the backward pass takes out, (D - D' + X - X') / B, where both D and X count, by 2/n
    # each. The two effects oppose each other: the larger bounds them.
    left_out = 4 * np.arange(depth)[::-1] / cell.width
    with np.errstate(divide="ignore", invalid="ignore"):
        kernel = signal * np.append(
            gain / net.first / INPUTS * np.sum(activation[:1]), activation[:-1]
        )
        chi = signal[:-1] / signal[1:]
    steps = per_step / cell.width
    return {
        "pre_activation": batch.pre_activation,
        "activation": activation,
        "signal": signal,
        "kernel_gradient": kernel / kernel[-1],
        "chi": chi,
        "log_bias": -0.5 * v,
        "log_std": np.sqrt(v),
        "log_error": left_out + 4 * batch.noise,
        "step_bias": -0.5 * steps,
        "step_std": np.sqrt(steps),
        "step_error": 4 / cell.width + 4 * np.sqrt(per_step / UNITS),
        "scale": np.array([1.0, 1.0]),
    }


# --- The fixed point ----------------------------------------------------------------------------


def fixed_point(cell: Cell) -> tuple[float, float]:
    """q* that the cell's layers tend to with depth, and chi there (Schoenholz et al. 2017, section 3).

    Behind skips nothing is fixed: q grows without bound (Yang and Schoenholz 2017), as does the
    stream's variance behind normalization, so that a branch counts ever less; chi is its limit.
    """
    net = Net.of(cell)
    if cell.normalization == "batch" or (net.layer_norm and net.branch is not None):
        if net.branch is not None:
            return 1.0, 1.0
        return 1.0, (batch_norm_ratio(cell.activation, cell.batch) if net.gain else 0.0)
    if net.branch is not None:
        return math.inf, 1 + net.branch**2 * net.gain * slope_moment(cell.activation, _LARGE)
    if net.gain == 0.0:
        return (1.0 if net.layer_norm else 0.0), 0.0
    if net.layer_norm:
        second, slope = second_moment(cell.activation, 1.0), slope_moment(cell.activation, 1.0)
        return 1.0, net.gain * slope / (net.gain * second + EPSILON)
    start = net.first * float(np.mean(MNIST_SQUARED_NORMS))
    return _attractor(net.activation, net.gain, net.bias, start)


_SMALL, _LARGE = 1e-14, 1e14


@lru_cache(maxsize=4096)
def _attractor(activation: str, gain: float, bias: float, start: float) -> tuple[float, float]:
    """Follows q -> sigma_w^2 F(q), which rises with q, from ``start`` to where it stops."""

    def growth(log_q: float) -> float:
        q = math.exp(log_q)
        ratio = gain * second_moment(activation, q, bias) / q
        return math.log(ratio) if ratio > 0 else -math.inf  # too small for float64

    def chi(q: float) -> float:
        return gain * slope_moment(activation, q, bias)

    start = min(max(start, _SMALL), _LARGE)
    here = math.log(start)
    first = growth(here)
    if abs(first) < 1e-9:
        return start, chi(start)
    step = math.copysign(2.0, first)
    while math.log(_SMALL) < here < math.log(_LARGE):
        if growth(here + step) * step <= 0:
            q = math.exp(optimize.brentq(growth, here, here + step, xtol=1e-10))
            return q, chi(q)
        here += step
    return (0.0, chi(_SMALL)) if step < 0 else (math.inf, chi(_LARGE))


def _phase(chi: float) -> str:
    if chi > 0 and abs(math.log(chi)) < 1 / CRITICAL_DEPTH:
        return "critical"
    return "ordered" if chi < 1 else "chaotic"
