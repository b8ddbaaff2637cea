"""Gaussian moments of activations: what mean-field theory is made of. NumPy and SciPy only.

z ~ N(m, q) stands for the input of an activation phi in a wide random network; m is the constant that
all biases start from. With x = (z - m) / sqrt(q):

    F(q) = E[phi(z)^2],  D(q) = E[phi'(z)^2]    (Poole et al. 2016, eq. 3; Schoenholz et al. 2017,
    eq. 7)

Derivatives need no second slope: d/dln q E[f(z)] = E[f(z) (x^2 - 1)] / 2 (Stein's lemma).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.theory.activations import ACTIVATION, LEAKY_SLOPE

Array = npt.NDArray[np.float64]

#: Standard deviations integrated over: what lies beyond has probability 4e-33.
REACH = 12.0
#: Relative change on doubling the nodes at which an integral is settled. The errors of such a rule
#: fall geometrically, so the finer value is off by far less than the change.
SETTLED = 1e-10
_NODES = (32, 64, 128, 256, 512)

#: Slope below 0 of the activations that are straight on both sides of it.
STRAIGHT = {"relu": 0.0, "leaky_relu": LEAKY_SLOPE}


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of z ~ N(m, q) behind an activation; x = (z - m) / sqrt(q)."""

    mean: float
    """E[phi]."""
    second: float
    """F = E[phi^2]."""
    slope: float
    """D = E[phi'^2]."""
    fourth: float
    """E[phi^4]."""
    slope_fourth: float
    """E[phi'^4]."""
    both: float
    """E[phi^2 phi'^2]."""
    second_growth: float
    """kappa = dln F / dln q."""
    slope_growth: float
    """lambda = dln D / dln q."""
    second_curvature: float
    """d^2 ln F / (dln q)^2."""
    slope_curvature: float
    """d^2 ln D / (dln q)^2."""


def to_last(steps: Array) -> Array:
    """Sum of ``steps``, one per pair of neighbouring layers, from each layer to the last: one entry
    more, the last 0."""
    return np.append(np.cumsum(steps[::-1])[::-1], 0.0)


@lru_cache(maxsize=100_000)
def moments(activation: str, q: float, mean: float = 0.0) -> Moments:
    """All moments at variance ``q`` >= 0 around ``mean``, by :func:`expect`.

    Example:
        >>> round(moments("tanh", 1.0).second, 4)
        0.3943
    """
    return moments_of(activation, (q,), mean)[0]


@lru_cache(maxsize=100_000)
def moments_of(
    activation: str, variances: tuple[float, ...], mean: float = 0.0
) -> tuple[Moments, ...]:
    """:func:`moments` at several variances at once, which costs hardly more than at one. Kept: networks
    of several depths begin with the same layers."""
    q = np.asarray(variances, np.float64)
    phi = ACTIVATION[activation]

    def integrands(x: Array) -> Array:
        z = mean + np.sqrt(q)[:, None] * x
        value, slope = phi.value(z), phi.slope(z)
        v2, s2 = np.square(value), np.square(slope)
        x2 = np.square(x)
        h2 = x2 - 1.0  # the Hermite polynomials of the two derivatives below
        h4 = x2 * x2 - 6.0 * x2 + 3.0
        return np.array(
            [value, v2, s2, v2 * v2, s2 * s2, v2 * s2, v2 * h2, s2 * h2, v2 * h4, s2 * h4]
        )

    e = expect(integrands, q, mean)
    for row, closed in ((1, _closed_second), (2, _closed_slope)):
        for index, variance in enumerate(q):
            exact = closed(activation, variance, mean)
            e[row, index] = e[row, index] if exact is None else exact
    first, second = 0.5 * e[6:8], 0.25 * e[8:10] + 0.5 * e[6:8]
    # E[f h4] / 4 = q^2 f'' and E[f h2] / 2 = q f', so (q d/dq)^2 = q^2 d^2/dq^2 + q d/dq.
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(e[1:3] > 0, first / e[1:3], 0.0)
        curvature = np.where(e[1:3] > 0, second / e[1:3] - np.square(growth), 0.0)
    rows = np.concatenate([e[:6], growth, curvature])
    return tuple(Moments(*column) for column in rows.T.tolist())


def expect(integrands: Callable[[Array], Array], q: Array, mean: float = 0.0) -> Array:
    """E[f(x)] of x ~ N(0, 1); f varies with z = mean + sqrt(q) x.

    Gauss-Legendre on both sides of z = 0, where activations have their kink, in t with
    x = x_0 + s sinh(t): nodes lie dense where phi bends, within s = 1 / sqrt(q) of it, and reach
    :data:`REACH`. Their number is doubled until nothing moves by more than :data:`SETTLED`.

    Args:
        integrands: function of nodes (variances, nodes), with values (functions, variances, nodes).
        q: variances.

    Returns:
        The integrals, (functions, variances).

    Raises:
        ArithmeticError: 512 nodes a side do not settle it: f is not what this rule was made for.
    """
    before = None
    for count in _NODES:
        x, weight = _rule(q, mean, count)
        rows = integrands(x)
        value, size = np.sum(rows * weight, -1), np.sum(np.abs(rows) * weight, -1)
        if before is not None and np.all(np.abs(value - before) <= SETTLED * size + 1e-300):
            return np.asarray(value)
        before = value
    raise ArithmeticError(f"E[f(z)], z ~ N({mean:g}, {q}), does not settle")


@lru_cache(maxsize=256)
def legendre(count: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss and Legendre's rule on -1..1."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return np.asarray(nodes), np.asarray(weights)


def _rule(q: Array, mean: float, count: int) -> tuple[Array, Array]:
    """Nodes and weights of :func:`expect`, (variances, 2 count)."""
    nodes, weights = legendre(count)
    root = np.sqrt(q)[:, None]
    with np.errstate(divide="ignore"):
        kink = np.where(root > 0, np.clip(-mean / np.where(root > 0, root, 1), -REACH, REACH), 0.0)
        sharp = np.minimum(1.0, 1.0 / root)
    points: list[Array] = []
    masses: list[Array] = []
    for end in (-REACH, REACH):
        if mean == 0.0 and points:  # both sides are alike
            points.append(-points[0])
            masses.append(masses[0])
            break
        span = np.arcsinh((end - kink) / sharp)
        t = 0.5 * span * (nodes + 1.0)
        x = kink + sharp * np.sinh(t)
        points.append(x)
        masses.append(0.5 * np.abs(span) * weights * sharp * np.cosh(t) * _density(x))
    return np.concatenate(points, 1), np.concatenate(masses, 1)


def _density(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * np.square(x)) / math.sqrt(2.0 * math.pi))


# --- Closed forms -------------------------------------------------------------------------------


def second_moment(activation: str, q: float, mean: float = 0.0) -> float:
    """F(q) = E[phi(z)^2]; in closed form for ReLU, leaky ReLU and, around 0, ELU.

    ReLU q/2, leaky (1 + a^2) q / 2 (He et al. 2015, eq. 9 and section 2.2), around a mean the second
    moment of a rectified normal; ELU q/2 + e^2q N(-2 sqrt q) - 2 e^(q/2) N(-sqrt q) + 1/2 with the
    normal distribution function N. Small q, where the terms of ELU's cancel, and all other
    activations by quadrature.
    """
    closed = _closed_second(activation, q, mean)
    return _mean_square(ACTIVATION[activation].value, q, mean) if closed is None else closed


def slope_moment(activation: str, q: float, mean: float = 0.0) -> float:
    """D(q) = E[phi'(z)^2]: ReLU N(m / sqrt q), leaky ReLU likewise, ELU 1/2 + e^2q N(-2 sqrt q)."""
    closed = _closed_slope(activation, q, mean)
    return _mean_square(ACTIVATION[activation].slope, q, mean) if closed is None else closed


def _mean_square(function: Callable[[Any], Any], q: float, mean: float) -> float:
    """E[f(z)^2] by quadrature."""
    root = math.sqrt(q)
    return float(
        expect(lambda x: np.square(function(mean + root * x))[None], np.array([q]), mean)[0, 0]
    )


def _closed_second(activation: str, q: float, mean: float) -> float | None:
    if q == 0.0:
        return float(ACTIVATION[activation].value(np.float64(mean))) ** 2
    if activation in STRAIGHT:
        return _rectified(q, mean) + STRAIGHT[activation] ** 2 * _rectified(q, -mean)
    if activation == "elu" and mean == 0.0 and q > 0.1:
        far, near = special.erfcx(math.sqrt(2.0 * q)), special.erfcx(math.sqrt(q / 2))
        return float(q / 2 + 0.5 * far - near + 0.5)  # e^(y^2 / 2) N(-y) = erfcx(y / sqrt 2) / 2
    return None


def _closed_slope(activation: str, q: float, mean: float) -> float | None:
    if q == 0.0:
        return float(ACTIVATION[activation].slope(np.float64(mean))) ** 2
    if activation in STRAIGHT:
        above = float(special.ndtr(mean / math.sqrt(q)))
        return above + STRAIGHT[activation] ** 2 * (1.0 - above)
    if activation == "elu" and mean == 0.0:
        return float(0.5 + 0.5 * special.erfcx(math.sqrt(2.0 * q)))
    return None


def _rectified(q: float, mean: float) -> float:
    """E[max(z, 0)^2] = (q + m^2) N(m / sqrt q) + m sqrt(q) n(m / sqrt q)."""
    root = math.sqrt(q)
    return float(
        (q + mean**2) * special.ndtr(mean / root)
        + mean * root * math.exp(-0.5 * (mean / root) ** 2) / math.sqrt(2.0 * math.pi)
    )


# --- Two examples -------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairMoments:
    """Moments of (z, z'), two examples' inputs of one unit: each N(m, q), correlation c."""

    values: float
    """E[phi phi']: the map of correlations (Poole et al. 2016, eq. 5)."""
    slopes: float
    """E[phi'(z) phi'(z')]."""
    squares: float
    """E[phi(z)^2 phi(z')^2]."""
    slope_squares: float
    """E[phi'(z)^2 phi'(z')^2]."""
    cross: float
    """E[phi(z)^2 phi'(z')^2]."""


def pair_moments(activation: str, q: float, c: float, mean: float = 0.0) -> PairMoments:
    """Moments of two examples by product quadrature; q and c are rounded to three digits.

    They enter spreads alone, where three digits are more than leading order in 1/width can use.
    """
    c = min(max(round(c, 3), -1.0), 1.0)
    if activation in STRAIGHT and mean == 0.0 and q > 0:  # phi(sqrt(q) x) = sqrt(q) phi(x)
        unit = _pair(activation, 1.0, c, 0.0)
        return PairMoments(
            q * unit.values, unit.slopes, q * q * unit.squares, unit.slope_squares, q * unit.cross
        )
    return _pair(activation, float(f"{q:.3g}"), c, mean)


@lru_cache(maxsize=100_000)
def _pair(activation: str, q: float, c: float, mean: float) -> PairMoments:
    phi = ACTIVATION[activation]
    root = math.sqrt(q)
    # What bends over 1 in z bends over 1/sqrt(q) in x: four nodes and more on each such stretch.
    count = int(min(40 + 16 * root, 160))
    x, wx = (row[0] for row in _rule(np.array([q]), mean, count))
    kept = wx > 1e-12
    x, wx = x[kept], wx[kept]
    # The second example is c x + sqrt(1 - c^2) y, y with nodes of its own.
    y, wy = _plain_rule(count)
    z = mean + root * x
    other = mean + root * (c * x[:, None] + math.sqrt(1.0 - c * c) * y[None, :])
    value, slope = phi.value(z), phi.slope(z)
    other_value, other_slope = phi.value(other), phi.slope(other)
    squares = np.square(value), np.square(slope)
    pairs = (
        (value, other_value),
        (slope, other_slope),
        (squares[0], np.square(other_value)),
        (squares[1], np.square(other_slope)),
        (squares[0], np.square(other_slope)),
    )
    return PairMoments(*(float(np.sum(wx * at_x * (at_y @ wy))) for at_x, at_y in pairs))


@lru_cache(maxsize=256)
def _plain_rule(count: int) -> tuple[Array, Array]:
    """Trapezoid rule of the normal distribution on +-6, symmetric, without a node on a kink at 0."""
    y = np.linspace(-6.0, 6.0, 2 * count)
    weight = _density(y)
    return y, np.asarray(weight / weight.sum())
