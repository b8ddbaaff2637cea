"""Infinitely wide random networks: one example's way through the layers, and back.

Layer l has kernel W_l with variance s_l^2, sigma_l^2 = fan-in times s_l^2, and a constant bias b.
The stream a_l that it hands on has second moment A_l over units:

    V_l = sigma_l^2 A_(l-1)                   variance of the kernel's output around b
    q_l = V_l, z_l ~ N(b, q_l)                without normalization
    q_l = V_l / (V_l + epsilon), z ~ N(0, q)  layer normalization (b cancels)
    A_l = F(q_l)                              Poole et al. 2016, eq. 3
    A_l = A_(l-1) + alpha^2 F(q_l) + 2 alpha E[a_(l-1)] E[phi(z_l)]
                                              behind a skip (Yang and Schoenholz 2017, theorem 2);
                                              unlike theirs the skip adds phi itself, whose mean adds
                                              up

and backward, with G_l = E[(dC/da_l)^2] and the layer normalization's divisor N_l = V_l + epsilon
(else 1):

    g_l = alpha_l^2 D(q_l) G_l                signal at z_l
    G_(l-1) = [skip] G_l + sigma_l^2 g_l / N_l  (Schoenholz et al. 2017, eq. 14; fan-out = fan-in = n)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.cells.cell import Cell
from bench.cells.initial_values import variance
from bench.theory.oracle.layers import EPSILON
from bench.theory.signal.moments import STRAIGHT, Array, Moments, moments_of

INPUTS, CLASSES = 784, 10


@dataclass(frozen=True)
class Net:
    """Properties of a cell that mean-field theory depends on.

    Args:
        first: Var(W) of the first kernel times the square of the inputs' scale.
        gain: sigma_w^2 = n Var(W) of the other hidden kernels.
        output: Var(W) of the output kernel.
        branch: factor alpha of each residual branch; None without skips.
    """

    depth: int
    width: int
    activation: str
    first: float
    gain: float
    output: float
    bias: float
    layer_norm: bool
    branch: float | None
    orthogonal: bool
    loss: str

    @classmethod
    def of(cls, cell: Cell) -> Net:
        """The net of a cell, an MLP or a residual network."""
        width = cell.width
        branch = 1 / math.sqrt(max(cell.depth, 1)) if cell.branch == "scaled" else 1.0
        return cls(
            depth=cell.depth,
            width=width,
            activation=cell.activation,
            first=variance(cell.initializer, (INPUTS, width)) * cell.input_scale**2,
            gain=width * variance(cell.initializer, (width, width)),
            output=variance(cell.initializer, (width, CLASSES)),
            bias=cell.bias if cell.normalization == "none" else 0.0,
            layer_norm=cell.normalization == "layer",
            branch=branch if cell.architecture == "residual" else None,
            orthogonal=cell.initializer == "orthogonal",
            loss=cell.loss,
        )

    @property
    def homogeneous(self) -> bool:
        """Whether a factor on the images is a factor on every signal."""
        return self.activation in STRAIGHT and self.bias == 0.0 and not self.layer_norm


@dataclass(frozen=True)
class Layer:
    """A hidden layer as one example meets it; see the module's formulas."""

    q: float
    moments: Moments
    divisor: float
    """N_l."""
    alpha: float
    before: float
    """A_(l-1)."""
    mean_before: float
    """E[a_(l-1)]; 0 below the first layer, where nothing asks for it."""
    second: float
    """A_l."""


def forward(net: Net, squared_norms: Sequence[float]) -> list[list[Layer]]:
    """All hidden layers, for each image of these squared norms (pixels 0..1)."""
    images: list[list[Layer]] = [[] for _ in squared_norms]
    second = np.asarray(squared_norms, np.float64) / INPUTS
    mean = np.zeros_like(second)
    for index in range(net.depth):
        spread = (INPUTS * net.first if index == 0 else net.gain) * second
        divisor = spread + EPSILON if net.layer_norm else np.ones_like(spread)
        q = spread / divisor
        layer_moments = moments_of(net.activation, tuple(q.tolist()), net.bias)
        skip = net.branch is not None and index > 0
        alpha = net.branch if net.branch is not None and skip else 1.0
        means = np.array([m.mean for m in layer_moments])
        after = alpha**2 * np.array([m.second for m in layer_moments])
        if skip:
            after = after + second + 2 * alpha * mean * means
        for i, image in enumerate(images):
            image.append(
                Layer(
                    q=float(q[i]),
                    moments=layer_moments[i],
                    divisor=float(divisor[i]),
                    alpha=alpha,
                    before=float(second[i]),
                    mean_before=float(mean[i]),
                    second=float(after[i]),
                )
            )
        second, mean = after, alpha * means + (mean if skip else 0.0)
    return images


def backward(net: Net, layers: Sequence[Layer], errors: Errors) -> tuple[list[float], list[float]]:
    """g_l of every hidden layer, absolute; and the share of E[(dC/da_l)^2] that stems from its part
    along a at the output, which is 0 where that part is not followed."""
    total = net.output * errors.energy
    aligned = total * errors.aligned / net.width if coherent(net) else 0.0
    free = alone = total - aligned
    signals, shares = [], []
    for index in range(net.depth - 1, -1, -1):
        layer = layers[index]
        total = free + aligned
        shares.append(1 - alone / total if aligned else 0.0)
        tilted = aligned * _tilt(net, layer) if aligned else 0.0
        signals.append(layer.alpha**2 * layer.moments.slope * (free + tilted))
        if index == 0:
            break
        passed = net.gain * signals[-1] / layer.divisor
        if net.branch is None:
            free = passed
            continue
        gained = layer.alpha**2 * (
            layer.moments.second - (layer.mean_before * layer.moments.mean) ** 2 / layer.before
        )
        alone *= 1 + passed / total
        free += passed + aligned * gained / layer.second
        aligned *= layer.second / layer.before
    return signals[::-1], shares[::-1]


def coherent(net: Net) -> bool:
    """Whether the part of dC/da along a is followed on its own.

    Behind positively homogeneous layers a . dC/da is the same number at every layer, so that part
    grows backward exactly as |a|^2 does forward. It starts as 1/width of the whole; skips around
    activations of positive mean let |a|^2 grow faster than E[(dC/da)^2], and it takes over. Its turn
    from one layer's a to the next feeds the rest by (F - (E[a] E[phi])^2 / A) / A.
    """
    return net.branch is not None and net.homogeneous


def _tilt(net: Net, layer: Layer) -> float:
    """E[phi'^2 a_l^2] / (D A_l): what lies along a lies where a unit is awake.

    With a_l = a_(l-1) + alpha phi(z) and z independent of a_(l-1); E[phi'^2 phi] of slopes 1 and s
    below 0 is (1 - s^3) sqrt(q / 2 pi).
    """
    m = layer.moments
    first = (1 - STRAIGHT[net.activation] ** 3) * math.sqrt(layer.q / (2 * math.pi))
    before = layer.second - layer.alpha**2 * m.second
    before -= 2 * layer.alpha * layer.mean_before * m.mean  # A_(l-1); 0 in the first layer
    squared = m.slope * max(before, 0.0) + 2 * layer.alpha * layer.mean_before * first
    return (squared + layer.alpha**2 * m.both) / (m.slope * layer.second)


# --- The errors at the output -------------------------------------------------------------------


@dataclass(frozen=True)
class Errors:
    """Derivatives of one example's loss by its logits, dC/dy."""

    energy: float
    """E|dC/dy|^2."""
    aligned: float
    """E[(y . dC/dy)^2] / (Var(y) E|dC/dy|^2): 1 if the error knows nothing of the logits."""
    same: float
    """Root mean square cosine of the errors of two images of one class."""
    other: float
    """Root mean square cosine of the errors of two images of two classes."""


def output_errors(net: Net, layers: Sequence[Layer], cosine: float = 1.0) -> Errors:
    """Errors behind random logits of variance n s^2 A_L, two images' logits correlated as ``cosine``.

    From 1024 draws: what they are off by, about 1 %, is alike for all images and cancels in ratios.
    """
    spread = net.width * net.output * (layers[-1].second if layers else 0.0)
    quarter = round(4 * math.log2(spread)) if 0.0 < spread < 1e12 else (0 if spread else -400)
    return _errors(net.loss, 2.0 ** (min(max(quarter, -400), 160) / 4), round(cosine, 1))


@lru_cache(maxsize=4096)
def _errors(loss: str, spread: float, cosine: float) -> Errors:
    random = np.random.default_rng(0)
    first, fresh = random.standard_normal((2, 1024, CLASSES))
    second = cosine * first + math.sqrt(1 - cosine**2) * fresh
    y = math.sqrt(spread) * first
    one, same, other = (
        _error(loss, math.sqrt(spread) * logits, label)
        for logits, label in ((first, 0), (second, 0), (second, 1))
    )
    energy = np.sum(one**2, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = [
            float(
                np.sqrt(
                    np.mean(np.sum(one * another, 1) ** 2)
                    / (np.mean(energy) * np.mean(np.sum(another**2, 1)))
                )
            )
            for another in (same, other)
        ]
        aligned = np.mean(np.sum(y * one, 1) ** 2) / (spread * np.mean(energy)) if spread else 1.0
    return Errors(float(np.mean(energy)), float(aligned), *(min(c, 1.0) for c in cosines))


def _error(loss: str, logits: Array, label: int) -> Array:
    odds = np.exp(logits - logits.max(1, keepdims=True))
    p = odds / odds.sum(1, keepdims=True)
    error = p - np.eye(CLASSES)[label]
    if loss == "mse":  # C = mean of (p - y)^2 and dp_i/dy_j = p_i ([i = j] - p_j)
        error = 2 / CLASSES * p * (error - np.sum(p * error, 1, keepdims=True))
    return np.asarray(error)
