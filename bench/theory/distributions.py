"""Distributions that initializers promise, and tests of samples with known false-alarm rates.

Every test's false-alarm probability is :data:`LEVEL` = 1e-9, so a thousand statistics together raise
one false alarm in a million suites (Bonferroni). :func:`entries` is how large a sample must be for the
test of the variance to catch a change of 1 % with a probability of 1 - 1e-9.

- Mean, correlation and variance: a normal approximation to a sum of many independent terms. The sum
  of n = 3e6 squares of normals has skewness sqrt(8/n) = .0016, which changes the tail's probability at
  z = 6.1 by a factor of exp(skewness z^3 / 6) = 1.06 (Cramer 1938); the other sums are symmetric, or
  nearer to normal. Normals made of 24-bit uniforms end at 5.7 standard deviations: they lack 5e-7 of
  the variance, z = .0006.
- Kolmogorov-Smirnov: P(sup |F_n - F| > d) <= 2 exp(-2 n d^2) for every n (Massart 1990).
- Support: no entry lies outside, which rounding alone may move. And the outermost entry is near the
  edge: that none of n is in a strip of probability p has the probability (1 - p)^n <= exp(-n p).
- Orthogonal matrices: if Q is uniform over matrices with orthonormal columns, and R is triangular and
  independent of it, with R_ii^2 ~ chi^2(rows - i + 1), i counted from 1, and normal entries above the
  diagonal, then Q R is a matrix of independent standard normals (Bartlett 1933; Muirhead 1982,
  theorem 3.2.14).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.cells import initial_values
from bench.results.check import Deviation
from bench.theory.rounding.formats import LAMBDA, Format

Array = npt.NDArray[Any]

#: False-alarm probability of one statistic.
LEVEL = 1e-9
#: |z| of a standard normal is above this with probability LEVEL: 6.11.
LARGEST_Z = float(-special.ndtri(LEVEL / 2))
#: Relative change of a variance that must not be missed, and with what probability it may be.
VARIANCE_CHANGE = 0.01
MISSED = 1e-9


@dataclass(frozen=True)
class Distribution:
    """A distribution of independent entries, symmetric about its mean.

    Args:
        name: family of the distribution.
        mean: the centre.
        std: standard deviation.
        kurtosis: fourth central moment over std^4.
        reach: largest distance of a value from the mean.
        cdf: cumulative distribution function of a float64 array of values.
        density_at_edge: least density of the last values below ``reach``.
    """

    name: str
    mean: float
    std: float
    kurtosis: float
    reach: float
    cdf: Callable[[Array], Array]
    density_at_edge: float


def normal(std: float, mean: float = 0.0) -> Distribution:
    """N(mean, std^2)."""
    return Distribution(
        name="normal",
        mean=mean,
        std=std,
        kurtosis=3.0,
        reach=math.inf,
        cdf=lambda x: special.ndtr((x - mean) / std),
        density_at_edge=0.0,
    )


def uniform(limit: float, mean: float = 0.0) -> Distribution:
    """U(mean - limit, mean + limit): std = limit / sqrt(3), kurtosis 9/5."""
    return Distribution(
        name="uniform",
        mean=mean,
        std=limit / math.sqrt(3.0),
        kurtosis=1.8,
        reach=limit,
        cdf=lambda x: np.clip((x - mean + limit) / (2.0 * limit), 0.0, 1.0),
        density_at_edge=0.5 / limit,
    )


def truncated_normal(scale: float, mean: float = 0.0, cut: float = 2.0) -> Distribution:
    """N(mean, scale^2), values beyond +-``cut`` scales drawn again.

    With Z = P(|z| < a) and phi the normal density: E z^2 = 1 - 2 a phi(a) / Z and
    E z^4 = 3 E z^2 - 2 a^3 phi(a) / Z (integration by parts).
    """
    inside = float(special.ndtr(cut) - special.ndtr(-cut))
    edge = math.exp(-0.5 * cut * cut) / math.sqrt(2.0 * math.pi) / inside
    second = 1.0 - 2.0 * cut * edge
    fourth = 3.0 * second - 2.0 * cut**3 * edge
    below = float(special.ndtr(-cut))
    return Distribution(
        name="truncated normal",
        mean=mean,
        std=scale * math.sqrt(second),
        kurtosis=fourth / second**2,
        reach=cut * scale,
        cdf=lambda x: np.clip((special.ndtr((x - mean) / scale) - below) / inside, 0.0, 1.0),
        density_at_edge=edge / scale,
    )


def scaled(distribution: str, variance: float) -> Distribution:
    """The distribution of this variance: ``normal`` is truncated at two scales, as Keras' are.

    Args:
        distribution: ``normal``, ``untruncated_normal`` or ``uniform``.
        variance: variance of the values.
    """
    std = math.sqrt(variance)
    if distribution == "normal":
        return truncated_normal(std / initial_values.TRUNCATED_STD)
    if distribution == "uniform":
        return uniform(math.sqrt(3.0) * std)
    return normal(std)


def variance_scaling(
    shape: tuple[int, ...],
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "normal",
) -> Distribution:
    """Variance scale / fan, where the mode says which fan (He et al. 2015; Glorot and Bengio 2010)."""
    fan_in, fan_out = initial_values.fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[mode]
    return scaled(distribution, scale / fan)


def entries(distribution: Distribution) -> int:
    """Size of a sample whose variance betrays a change of 1 %.

    The sample's variance has the relative standard deviation s = sqrt((kurtosis - 1) / n), and 1 + c
    times that if the variance is 1 + c times too large. It is then within LARGEST_Z s of the promise
    with probability N((LARGEST_Z - c / s) / (1 + c)): so c / s = LARGEST_Z + z(MISSED) (1 + c).
    """
    missed = float(-special.ndtri(MISSED))
    distance = LARGEST_Z + missed * (1.0 + VARIANCE_CHANGE)
    return math.ceil((distribution.kurtosis - 1.0) * (distance / VARIANCE_CHANGE) ** 2)


def deviations(
    sample: npt.ArrayLike, distribution: Distribution, form: Format
) -> Iterator[Deviation]:
    """All tests of a sample: support, mean, variance, Kolmogorov-Smirnov, correlation.

    Args:
        sample: shape (draws, rows, columns): several matrices that are drawn alike.
        distribution: promised distribution of each entry, independent of the others.
        form: the format the entries were computed in.
    """
    matrices = np.asarray(sample)
    flat = matrices.ravel()
    if not np.all(np.isfinite(flat)):
        count = int(np.sum(~np.isfinite(flat)))
        yield Deviation(tensor="values", excess=None, evidence=f"{count} are not finite")
        return
    if math.isfinite(distribution.reach):
        yield from _support(flat, distribution, form)
    z = (matrices.astype(np.float64) - distribution.mean) / distribution.std
    n = z.size
    yield _gauss("mean", float(z.mean()) * math.sqrt(n), f"mean {flat.mean(dtype=float):.6g}")
    relative = float(np.mean(np.square(z)))
    spread = math.sqrt((distribution.kurtosis - 1.0) / n)
    yield _gauss("variance", (relative - 1.0) / spread, f"variance {relative:.6f} of the promised")
    yield kolmogorov_smirnov(flat, distribution, form)
    for axis, neighbours in enumerate(("draws", "rows", "columns")):
        along = np.moveaxis(z, axis, 0)
        left, right = (np.moveaxis(part, 0, axis) for part in (along[:-1], along[1:]))
        if left.size:
            correlation = float(np.einsum("ijk,ijk->", left, right)) / left.size
            yield _gauss(
                f"correlation of neighbouring {neighbours}",
                correlation * math.sqrt(left.size),
                f"correlation {correlation:.3g} in {left.size} pairs",
            )


def _gauss(name: str, z: float, evidence: str) -> Deviation:
    return Deviation(
        tensor=name,
        excess=abs(z) / LARGEST_Z,
        evidence=f"{evidence}: z = {z:.2f}, allowed {LARGEST_Z:.2f} (false alarms {LEVEL:g})",
    )


def _support(flat: Array, distribution: Distribution, form: Format) -> Iterator[Deviation]:
    """The outermost value's distance beyond the edge, over what rounding may do, and inside it.

    Mean + scale * z takes a scale that is rounded up to four times (a quotient, a root, another
    quotient, the format's own), a product and a sum: six roundings of at most the largest value.
    """
    furthest = float(np.max(np.abs(flat.astype(np.float64) - distribution.mean)))
    allowed = 6.0 * form.roundoff * (distribution.reach + abs(distribution.mean))
    evidence = f"furthest value {furthest:.9g} from the mean, edge {distribution.reach:.9g}"
    outside = max(furthest - distribution.reach, 0.0)
    yield Deviation(tensor="support", excess=outside / allowed, evidence=evidence)
    # Both edges have such a strip; density is smallest at the edge.
    strip = -math.log(LEVEL) / flat.size / (2.0 * distribution.density_at_edge) + allowed
    missing = max(distribution.reach - furthest, 0.0)
    yield Deviation(
        tensor="support reached",
        excess=missing / strip,
        evidence=f"{evidence}: strip {strip:.3g} (false alarms {LEVEL:g})",
    )


def kolmogorov_smirnov(sample: Array, distribution: Distribution, form: Format) -> Deviation:
    """The largest distance of the empirical distribution from the promised one.

    Values are rounded, and uniform draws have as many steps as the format has in [1, 2), 1 / (2 u):
    that moves the distribution by at most 4 u.
    """
    flat = np.sort(np.asarray(sample).ravel())
    n = flat.size
    promised = distribution.cdf(flat.astype(np.float64))
    steps = np.arange(n + 1) / n
    distance = float(max(np.max(steps[1:] - promised), np.max(promised - steps[:-1])))
    allowed = math.sqrt(math.log(2.0 / LEVEL) / (2.0 * n)) + 4.0 * form.roundoff
    return Deviation(
        tensor="Kolmogorov-Smirnov",
        excess=distance / allowed,
        evidence=f"distance {distance:.3g} in {n} values, allowed {allowed:.3g}"
        f" (false alarms {LEVEL:g})",
    )


def orthonormality(matrices: Array, gain: float, form: Format) -> Deviation:
    """Largest entry of Q^T Q / gain^2 - 1 over its bound, of matrices (draws, rows, columns).

    Householder's factorization of m x n is off by a multiple of sqrt(m n) u with high probability
    (Connolly and Higham 2023); LAMBDA is that multiple here. So columns of Q are, and products of two
    are off by twice that. The gain is rounded, and so is each product by it: 4 u together in a product
    of two. The product here is exact to float64.
    """
    draws, rows, columns = matrices.shape
    q = matrices.astype(np.float64)
    if rows < columns:
        q = q.transpose(0, 2, 1)
    gram = np.matmul(q.transpose(0, 2, 1), q) / gain**2
    error = float(np.max(np.abs(gram - np.eye(gram.shape[1])), initial=0.0))
    bound = (2.0 * LAMBDA * math.sqrt(rows * columns) + 4.0) * form.roundoff
    return Deviation(
        tensor="orthonormality",
        excess=error / bound if math.isfinite(error) else None,
        evidence=f"Q^T Q is off by {error:.3g} in {draws} matrices, allowed {bound:.3g}",
    )


def normals_of(matrices: Array, gain: float, bits: np.random.Philox) -> Array:
    """Q R / gain with random triangular R: standard normal entries if each Q is uniform.

    Args:
        matrices: shape (draws, rows, columns); wide ones are turned to have orthonormal columns.
        gain: factor on the orthonormal matrices.
        bits: generator of R.

    Returns:
        float64, of shape (draws, the longer side, the shorter side).
    """
    q = np.asarray(matrices, np.float64) / gain
    if q.shape[1] < q.shape[2]:
        q = q.transpose(0, 2, 1)
    draws, rows, columns = q.shape
    upper = initial_values.standard_normal(bits, draws * columns * columns)
    r = np.triu(upper.reshape(draws, columns, columns), 1)
    levels = initial_values.uniform(bits, draws * columns).reshape(draws, columns)
    freedom = rows - np.arange(columns)
    diagonal = np.sqrt(special.chdtri(freedom, 1.0 - levels))
    r[:, np.arange(columns), np.arange(columns)] = diagonal
    return np.matmul(q, r)


def diagonal_mean(normals: Array) -> Deviation:
    """Mean of the diagonals: it betrays a factorization whose signs were left as they came.

    Args:
        normals: shape (draws, rows, columns), standard normal and independent.
    """
    diagonal = np.diagonal(normals, axis1=1, axis2=2)
    z = float(diagonal.mean()) * math.sqrt(diagonal.size)
    return _gauss("mean of the diagonal", z, f"mean {diagonal.mean():.3g}")
