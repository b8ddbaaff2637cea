"""Spread of networks of finite width around mean-field theory, to leading order in 1/width.

Let S_l be the signal of layer l, the mean over a batch and n units of (dC/dz_l)^2, and L the last
hidden layer. Given the layers above it, dC/da_l = W^T dC/dz is a normal vector, so the mean over
units of (phi'(z_i) dC/da_i)^2 is off from D E[(dC/da)^2] by the relative error eta_l, and the mean
of phi(z_i)^2 is off from F by eps_l, which moves q_(l+1) and with it D of all layers above. For two
examples x, x', whose z are correlated as c and whose dC/da have the cosine rho,

    n Cov(eta, eta') = (1 + 2 rho^2) E[phi'^2 phi'^2'] / D^2 - 1
    n Cov(eps, eps') = E[phi^2 phi^2'] / F^2 - 1
    n Cov(eta, eps') = E[phi'^2 phi^2'] / (D F) - 1.

For one example (c = rho = 1) of a ReLU network the first is 3 / D - 1 = 5 (Hanin and Nica 2020,
theorem 1), and D does not feel q. Where a norm is conserved, its own fluctuation must be taken out:
with orthogonal kernels that of dC/da, 2 rho^2, which leaves ReLU 3; and where the z of a layer lie on
a sphere (orthogonal kernels, layer normalization) what they share with |z|^2, by Stein's lemma
2 lambda^2 c^2, 2 kappa^2 c^2 and 2 kappa lambda c^2 with kappa = dln F / dln q and
lambda = dln D / dln q.

Going down, the cosines of dC/dz' follow from those of dC/da: their mean square rho^2 becomes

    (rho^2 t^2 + [(1 + 2 rho^2) m - rho^2 t^2] / n) / (1 + Cov(eta, eta')),
    t = E[phi' phi''] / D, m = E[phi'^2 phi'^2'] / D^2,

the first part at infinite width (Schoenholz et al. 2017, eq. 17), the second the variance of a mean of
n products. Gradients of different classes start almost orthogonal, as ten errors that add up to 0,
and are mostly turned towards each other by that 1/n a layer: after l layers rho^2 is about l/n.
(Orthogonal kernels keep cosines: there (1 + 2 rho^2) (m - t^2).)

A batch's signal is a mean over examples. The ratios R, R' of two of them multiply up over layers,
E[R R'] / (E[R] E[R']) = e^C for the covariance C of their logarithms, so the batch's has the relative
variance V = mean of e^C - 1 over all pairs: one image with itself (1/B), two of a class, two of
different classes; and its logarithm the variance ln(1 + V). That is below C of one example as far as c
and rho are below 1.

A step from one layer to the next below weighs examples by their share in the signal that they have by
then, because S_l / S_(l+1) is the mean of their factors with these weights. Two images' weights have
the mean product e^C with C from the output to layer l + 1. So V of the step is the mean of
e^C' - 1 over pairs, C' of the step, weighted by e^C: deep down few examples carry the signal, and it
varies as if the batch were smaller.

Skips pass on G_l = E[(dC/da_l)^2] beside W^T dC/dz, which is r = alpha^2 sigma^2 D / N times as large.
The step then varies by (r^2 Var(eta) + 4 r rho^2 E[phi' phi'^'] / D) / (1 + r)^2, the last term from
the product of the two; the slopes of the layers at both ends come on top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.theory.oracle.layers import EPSILON
from bench.theory.signal.images import COSINE_OTHER_CLASS, COSINE_SAME_CLASS, SAME_CLASS
from bench.theory.signal.moments import Array, PairMoments, pair_moments, to_last
from bench.theory.signal.wide import Layer, Net, coherent, output_errors

#: Bound on the relative variance of (a . dC/da)^2 = (logits . errors)^2 averaged over classes: 2/9 of
#: small logits, whose ten have nine free differences; .34 of large ones, whose errors single out the
#: largest.
_OF_LOGITS = 0.35


@dataclass(frozen=True)
class Spread:
    """Moments of ln(S_l / S_L), and of ln(S_l / S_(l+1)) in the ``step_`` arrays; one seed, one batch.

    ``error`` bounds what leading order leaves out of ``bias``: a relative 1/n per layer (the
    correlation of a kernel with what it is multiplied by), and the next order of the logarithm: of a
    layer's factor with variance v, and third cumulant below 2 v^2, it is below v^2 (E ln(1 + x) = -v/2
    + (third cumulant) / 3 - 3 v^2 / 4).
    """

    bias: Array
    std: Array
    error: Array
    step_bias: Array
    step_std: Array
    step_error: Array


@dataclass(frozen=True)
class _Sources:
    """Covariances of eta and eps of one kind of pair, per hidden layer."""

    eta: Array
    eps: Array
    cross: Array
    ends: Array
    """Covariance from the layer's slopes alone: (1 + 2 rho^2) (E[phi'^2 phi'^2'] / D^2 - 1)."""


def spread(net: Net, layers: Sequence[Layer], batch: int, aligned: Sequence[float]) -> Spread:
    """Spread of a network whose layers are ``layers`` for an image of average size.

    Args:
        aligned: per layer the share of E[(dC/da)^2] that stems from the part along a at the output; see
            :func:`bench.theory.signal.wide.backward`.
    """
    if net.gain == 0.0 or net.output == 0.0:
        none, steps = np.zeros(len(layers)), np.zeros(len(layers) - 1)
        return Spread(none, none, none, steps, steps, steps)
    itself = _sources(net, layers, 1.0, itself=True)
    same = _sources(net, layers, COSINE_SAME_CLASS, same=True)
    other = _sources(net, layers, COSINE_OTHER_CLASS)
    others = 1 - 1 / batch
    shares = np.array([[1 / batch], [others * SAME_CLASS], [others * (1 - SAME_CLASS)]])
    kinds = (itself, same, other)

    direct, through = _responses(net, layers)
    ends = np.zeros_like(direct)
    if net.branch is not None:
        np.fill_diagonal(ends, 1.0)
        ends[:-1, -1] = 1.0
        ends[-1] = 0.0

    # At both ends the slopes' own fluctuation shifts the mean alike.
    mean = _mean(net, layers, itself, direct, through)
    covariances = _of_pairs(kinds, direct, through, np.zeros_like(ends))
    bias = mean + 0.5 * covariances[0] - 0.5 * np.log1p(_mean_over_pairs(shares, covariances))
    covariances = _of_pairs(kinds, direct, through, ends)
    variance = np.log1p(_mean_over_pairs(shares, covariances))
    weights = shares * np.exp(covariances[:, 1:])
    of_step = _of_pairs(
        kinds, direct[:-1] - direct[1:], through[:-1] - through[1:], np.abs(ends[:-1] - ends[1:])
    )
    step_variance = np.log1p(_mean_over_pairs(weights, of_step))
    share = np.asarray(aligned)
    if coherent(net):
        # |a_L|^2 / |a_l|^2 fluctuates as the forward pass does, a . dC/da as ten logits do.
        variance = variance + share**2 * (_OF_LOGITS + to_last(itself.eps)[:-1])
        variance[-1] = 0.0
        step_variance = step_variance + np.maximum(share[:-1], share[1:]) ** 2 * itself.eps[1:]
    per_step = 1 / net.width + np.square(step_variance) + _along_signal(net, layers)
    return Spread(
        bias=bias,
        std=np.sqrt(np.maximum(variance, 0.0)),
        error=to_last(per_step),
        step_bias=bias[:-1] - bias[1:],
        step_std=np.sqrt(np.maximum(step_variance, 0.0)),
        step_error=per_step,
    )


def _of_pairs(kinds: Sequence[_Sources], direct: Array, through: Array, ends: Array) -> Array:
    """C of each kind of pair, per row of the responses."""
    return np.array(
        [
            direct**2 @ kind.eta
            + 2 * (direct * through) @ kind.cross
            + through**2 @ kind.eps
            + ends**2 @ kind.ends
            for kind in kinds
        ]
    )


def _mean_over_pairs(weights: Array, covariances: Array) -> Array:
    """V from C: the mean of e^C - 1 over kinds of pairs, both of shape (kinds, layers)."""
    return np.asarray(np.sum(weights * np.expm1(covariances), 0) / np.sum(weights, 0))


def _sources(
    net: Net, layers: Sequence[Layer], cosine: float, *, itself: bool = False, same: bool = False
) -> _Sources:
    """Covariances of two images, whose cosines are followed up and those of their errors down.

    Args:
        cosine: cosine of the angle between the two images.
        itself: whether both are one image.
        same: whether both are of one class.
    """
    pairs: list[PairMoments] = []
    cosines = []
    stream = cosine * layers[0].before
    for index, layer in enumerate(layers):
        c = 1.0 if itself else min(stream / layer.before, 1.0)
        m = layer.moments
        pair = (
            PairMoments(m.second, m.slope, m.fourth, m.slope_fourth, m.both)
            if itself
            else pair_moments(net.activation, layer.q, c, net.bias)
        )
        skip = net.branch is not None and index > 0
        stream = layer.alpha**2 * pair.values + (
            stream + 2 * layer.alpha * layer.mean_before * m.mean if skip else 0.0
        )
        pairs.append(pair)
        cosines.append(c)
    errors = output_errors(net, layers, cosines[-1])
    rho = 1.0 if itself else errors.same if same else errors.other
    rhos = []
    for layer, pair in zip(reversed(layers), reversed(pairs), strict=True):
        rhos.append(rho)
        rho = 1.0 if itself else _turned(net, layer, pair, rho)
    return _covariances(net, layers, pairs, np.array(cosines), np.array(rhos[::-1]))


def _turned(net: Net, layer: Layer, pair: PairMoments, rho: float) -> float:
    """The root mean square cosine of two images' dC/da one layer below.

    Behind a skip that is of dC/da + r^(1/2) b with the branch's share r and b = W^T dC/dz of unit
    length, whose products with dC/da are normal with a variance of 1/n, those of two images correlated
    as dC/dz and dC/da are.
    """
    slope = layer.moments.slope
    if slope <= 0:
        return rho
    turn, masks = pair.slopes / slope, pair.slope_squares / slope**2
    square = rho**2
    if net.orthogonal:
        added, norms = (1 + 2 * square) * (masks - turn**2), (1 + 2 * square) * (masks - 1)
    else:
        added, norms = (1 + 2 * square) * masks - square * turn**2, (1 + 2 * square) * masks - 1
    behind = (square * turn**2 + added / net.width) / (1 + norms / net.width)
    if net.branch is None:
        return math.sqrt(min(behind, 1.0))
    r = _branch_share(net, layer)
    crossed = 2 * r * (1 + square * turn) / net.width
    together = square + 2 * r * square * turn + r**2 * behind + crossed
    return math.sqrt(min(together, (1 + r) ** 2)) / (1 + r)


def _branch_share(net: Net, layer: Layer) -> float:
    """r = alpha^2 sigma^2 D / N."""
    return layer.alpha**2 * net.gain * layer.moments.slope / layer.divisor


def _covariances(
    net: Net, layers: Sequence[Layer], pairs: Sequence[PairMoments], c: Array, rho: Array
) -> _Sources:
    f, d, kappa, lam = _columns(layers)
    wide = 1 / net.width
    masks = np.array([pair.slope_squares for pair in pairs]) / d / d
    turn = np.array([pair.slopes for pair in pairs]) / d
    eta = (1 + 2 * rho**2) * masks - 1
    eps = np.array([pair.squares for pair in pairs]) / f / f - 1
    cross = np.array([pair.cross for pair in pairs]) / f / d - 1
    if net.orthogonal or net.layer_norm:
        on_sphere = np.ones(len(layers))
        on_sphere[0] = float(net.layer_norm)
        eta = eta - 2 * lam**2 * c**2 * on_sphere
        eps = eps - 2 * kappa**2 * c**2 * on_sphere
        cross = cross - 2 * kappa * lam * c**2 * on_sphere
    if net.orthogonal:
        eta = eta - 2 * rho**2
    elif net.layer_norm:  # |W a|^2 fluctuates by itself; it sets the next layer's divisor
        eps = eps + 2 * np.append(c[1:], 1.0) ** 2
    if net.branch is not None:
        r = np.array([_branch_share(net, layer) for layer in layers])
        eta = (r**2 * eta + 4 * r * rho**2 * turn) / (1 + r) ** 2
        eps, cross = _behind_skips(layers, eps, cross, r)
    ends = np.maximum((1 + 2 * rho**2) * (masks - 1), 0.0)
    return _Sources(
        np.maximum(eta, 0.0) * wide, np.maximum(eps, 0.0) * wide, cross * wide, ends * wide
    )


def _columns(layers: Sequence[Layer]) -> tuple[Array, Array, Array, Array]:
    """F, D, kappa, lambda of every layer; a vanished moment counts as the least positive number."""
    columns = np.array(
        [
            (m.second, m.slope, m.second_growth, m.slope_growth)
            for m in (layer.moments for layer in layers)
        ]
    ).T
    tiny = np.finfo(np.float64).tiny
    return np.maximum(columns[0], tiny), np.maximum(columns[1], tiny), columns[2], columns[3]


def _behind_skips(
    layers: Sequence[Layer], eps: Array, cross: Array, r: Array
) -> tuple[Array, Array]:
    """Fluctuation of ln A_l: of the branch's square, and of its product with the stream.

    That product's mean square is at most E[a^2] E[phi^2]; the covariance of the two by Cauchy and
    Schwarz.
    """
    f = np.array([layer.alpha**2 * layer.moments.second for layer in layers])
    after = np.array([layer.second for layer in layers])
    before = np.array([layer.before for layer in layers])
    means = np.array([layer.alpha * layer.moments.mean * layer.mean_before for layer in layers])
    of_square = f / after * np.sqrt(np.maximum(eps, 0.0))
    of_product = 2 * np.sqrt(np.maximum(before * f - means**2, 0.0)) / after
    of_product[0] = 0.0
    return (of_square + of_product) ** 2, cross * f / after * r / (1 + r)


def _responses(net: Net, layers: Sequence[Layer]) -> tuple[Array, Array]:
    """Derivatives of ln(S_l / S_L) by eta_j (first) and eps_j (second): matrices (l, j)."""
    count = len(layers)
    _, _, kappa, lam = _columns(layers)
    share = (
        np.array([1 - EPSILON / layer.divisor for layer in layers])
        if net.layer_norm
        else np.zeros(count)
    )
    upward = kappa * (1 - share)
    square = (count, count)
    at_slope = lam * (1 - share)
    # sensitivity: derivatives of ln(S_l / S_L) by ln V_k
    if net.branch is None:
        direct = np.triu(np.ones(square))
        sensitivity = np.triu(np.broadcast_to(at_slope, square))
        direct[:, -1] = sensitivity[:, -1] = 0.0
        sensitivity -= np.triu(np.broadcast_to(share, square), 1)
    else:
        upward = np.array(
            [_through_skip(net, layer, k) for layer, k in zip(layers, upward, strict=True)]
        )
        r = np.array([_branch_share(net, layer) for layer in layers])
        direct = np.triu(np.ones(square), 1)
        passed = r / (1 + r) * (at_slope - share)
        sensitivity = np.triu(np.broadcast_to(passed, square), 1)
        np.fill_diagonal(sensitivity, [*at_slope[:-1], 0.0])
        sensitivity[:-1, -1] -= at_slope[-1]
    chain = np.zeros(square)  # derivatives of ln V_k by eps_j
    for source in range(count - 1):
        chain[source + 1 :, source] = np.cumprod([1.0, *upward[source + 1 : -1]])
    return direct, sensitivity @ chain


def _through_skip(net: Net, layer: Layer, kappa: float) -> float:
    """dln A_l / dln A_(l-1); the mean of the stream is taken to grow as its root."""
    if net.homogeneous:
        return 1.0
    squared = layer.alpha**2 * layer.moments.second
    product = layer.second - layer.before - squared
    return (layer.before + squared * kappa + 0.5 * product) / layer.second


def _along_signal(net: Net, layers: Sequence[Layer]) -> Array:
    """Bound on what the part of dC/da along a adds per step, where it outgrows its share of 1/n.

    That part's energy goes from layer l to the one below as kappa^2 F_l / F_(l-1), by Stein's lemma
    E[z phi' phi] = kappa F, while all goes as chi = sigma^2 D; and what is not along a feeds it by
    (1 + 2 lambda - kappa^2 F / (q D)) / n. For ReLU that is 1 and 0: it stays what it is. Where phi
    has a large mean, as softplus, it grows relative to the rest. It adds itself, and through awake
    units Y = E[phi^2 phi'^2] / (F D) as much.
    """
    added = np.zeros(len(layers) - 1)
    if net.branch is not None or net.layer_norm:
        return added
    share = output_errors(net, layers).aligned / net.width
    for index in range(len(layers) - 1, 0, -1):
        m, below = layers[index].moments, layers[index - 1].moments
        if min(m.slope, below.second, layers[index].q) <= 0.0:
            continue
        kept = m.second_growth**2 * m.second / (layers[index].q * m.slope)
        share = share * kept + max(1 + 2 * m.slope_growth - kept, 0.0) / net.width
        awake = below.both / below.second / below.slope if below.slope > 0 else 1.0
        added[index - 1] = np.log1p(max(share - 1 / net.width, 0.0) * (1 + awake))
    return added


def _mean(
    net: Net, layers: Sequence[Layer], itself: _Sources, direct: Array, through: Array
) -> Array:
    """E ln of one example's ratio, less its logarithm at infinite width, to order 1/n.

    ln(1 + eta) has mean -Var(eta) / 2, likewise eps; a fluctuating q bends ln F and ln D; and a
    kernel's transpose knows what the kernel made: its component along a carries (1 + 2 lambda) / n of
    the energy (none behind layer normalization, which also takes out the mean and the part along z),
    weighted on by Y = E[phi^2 phi'^2] / (F D).
    """
    mean = -0.5 * (direct @ itself.eta + through @ itself.eps)
    if net.branch is not None:
        return mean
    f, d, kappa, lam = _columns(layers)
    both = np.array([layer.moments.both for layer in layers]) / f / d
    next_lam = np.append(lam[1:], 0.0)
    if net.layer_norm:
        kernel = -(2 + 2 * next_lam) - both + 1
    elif net.orthogonal:
        kernel = 2 * next_lam * (both - 1)
    else:
        kernel = 2 * next_lam * both
    mean += direct @ kernel / net.width
    if not net.layer_norm:
        bends = np.array(
            [(layer.moments.second_curvature, layer.moments.slope_curvature) for layer in layers]
        )
        varied = np.zeros(len(layers))  # Var(ln q_l)
        for index in range(1, len(layers)):
            varied[index] = kappa[index - 1] ** 2 * varied[index - 1] + itself.eps[index - 1]
        mean += 0.5 * (direct @ (bends[:, 1] * varied) + through @ (bends[:, 0] * varied))
    return mean
