"""What initializers promise, and tests of samples: calibrated, and with the power that is claimed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.cells import initial_values
from bench.theory import distributions
from bench.theory.distributions import Distribution
from bench.theory.rounding.formats import FLOAT32, FLOAT64

SHAPE = (100, 80)

#: A distribution, and standard draws of bench.cells.initial_values brought to it.
CASES: dict[str, tuple[Distribution, Callable[[np.random.Philox, int], np.ndarray]]] = {
    "normal": (
        distributions.normal(0.3, 0.1),
        lambda bits, count: 0.1 + 0.3 * initial_values.standard_normal(bits, count),
    ),
    "uniform": (
        distributions.uniform(0.3, -0.1),
        lambda bits, count: -0.1 + 0.3 * (2.0 * initial_values.uniform(bits, count) - 1.0),
    ),
    "truncated": (
        distributions.truncated_normal(0.3),
        lambda bits, count: 0.3 * initial_values.truncated_normal(bits, count),
    ),
}


@lru_cache
def sample(case: str, seed: int, count: int | None = None) -> np.ndarray:
    """Kernels of SHAPE, in float32, as many as the variance's test needs."""
    promise, draw = CASES[case]
    draws = math.ceil((count or distributions.entries(promise)) / math.prod(SHAPE))
    flat = draw(initial_values.stream(seed, f"sample {case}"), draws * math.prod(SHAPE))
    return flat.reshape(draws, *SHAPE).astype(np.float32)


def out(values: np.ndarray, promise: Distribution) -> list[str]:
    """Names of the tests that are beyond their limit."""
    return [d.tensor for d in distributions.deviations(values, promise, FLOAT32) if d.out]


@pytest.mark.parametrize(
    ("promise", "twin"),
    [
        (distributions.normal(0.3, 0.1), stats.norm(0.1, 0.3)),
        (distributions.uniform(0.3, -0.1), stats.uniform(-0.4, 0.6)),
        (distributions.truncated_normal(0.3, 0.2), stats.truncnorm(-2, 2, 0.2, 0.3)),
    ],
    ids=lambda case: getattr(case, "name", ""),
)
def test_moments_and_distribution_functions_are_scipys(promise: Distribution, twin: object) -> None:
    """Mean, standard deviation, kurtosis, ends and distribution function agree with SciPy's own."""
    mean, variance, excess = twin.stats("mvk")
    assert promise.mean == pytest.approx(float(mean))
    assert promise.std**2 == pytest.approx(float(variance))
    assert promise.kurtosis == pytest.approx(3.0 + float(excess))
    assert promise.reach == pytest.approx(twin.support()[1] - promise.mean)
    x = np.linspace(-1.0, 1.0, 41)
    np.testing.assert_allclose(promise.cdf(x), twin.cdf(x), atol=1e-12)
    if math.isfinite(promise.reach):
        inside = promise.mean + promise.reach * (1 - 1e-9)
        assert promise.density_at_edge == pytest.approx(float(twin.pdf(inside)), rel=1e-6)


def test_scaled_distributions_have_the_variance_and_the_ends_of_keras() -> None:
    """A normal is cut at 2 / .8796 standard deviations, a uniform at sqrt(3)."""
    for name, reach in (("normal", 2 / 0.8796256610342398), ("uniform", 3**0.5)):
        made = distributions.scaled(name, 0.04)
        assert made.std == pytest.approx(0.2)
        assert made.reach == pytest.approx(0.2 * reach)
    assert distributions.scaled("untruncated_normal", 0.04).reach == math.inf


def test_fans_count_the_receptive_field() -> None:
    """5 x 5 x 32 in, 5 x 5 x 64 out: 800 and 1600."""
    variances = {
        mode: distributions.variance_scaling((5, 5, 32, 64), scale=2.0, mode=mode).std ** 2
        for mode in ("fan_in", "fan_out", "fan_avg")
    }
    assert variances == pytest.approx({"fan_in": 2 / 800, "fan_out": 2 / 1600, "fan_avg": 2 / 1200})


def test_levels_are_what_they_are_called() -> None:
    """Two-sided 1e-9 is 6.109 standard deviations; and a sample is large enough for its power."""
    assert 2 * stats.norm.sf(distributions.LARGEST_Z) == pytest.approx(1e-9)
    for promise, _ in CASES.values():
        n = distributions.entries(promise)
        spread = math.sqrt((promise.kurtosis - 1) / n)
        missed = stats.norm.cdf((distributions.LARGEST_Z - 0.01 / spread) / 1.01)
        assert missed == pytest.approx(1e-9, rel=0.01)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_true_samples_pass(case: str, seed: int) -> None:
    """No test of a sample from the promised distribution alarms."""
    assert out(sample(case, seed, 100_000), CASES[case][0]) == []


@pytest.mark.slow
def test_statistics_are_as_wide_as_they_claim() -> None:
    """Over 300 samples, z of mean, variance and correlations has variance 1: the variance of 300
    squares is within 5 sqrt(2 / 300) = .41 of it.
    """
    promise, _ = CASES["truncated"]
    used: dict[str, list[float]] = {}
    for seed in range(300):
        for d in distributions.deviations(sample("truncated", seed, 16000), promise, FLOAT32):
            used.setdefault(d.tensor, []).append(d.excess)
    names = [name for name in used if "mean" in name or "variance" in name or "corr" in name]
    assert len(names) == 5
    for name in names:
        square = np.mean(np.square(used[name])) * distributions.LARGEST_Z**2
        assert square == pytest.approx(1.0, abs=0.41), name
    # Massart's bound holds: at its level of 10 % no more than 30 + 5 sqrt(27) of 300 are beyond.
    n = 16000
    scale = math.sqrt(math.log(2 / distributions.LEVEL) / 2) / math.sqrt(math.log(2 / 0.1) / 2)
    beyond = sum(excess * scale > 1 for excess in used["Kolmogorov-Smirnov"])
    assert 5 <= beyond <= 30 + 5 * math.sqrt(27), n


FAULTS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "variance 1 % up": (lambda w: w * np.float32(math.sqrt(1.0101)), "variance"),
    "variance 1 % down": (lambda w: w * np.float32(math.sqrt(0.9899)), "variance"),
    "mean a hundredth of a std off": (lambda w: w + np.float32(0.002), "mean"),
    "every draw the same": (
        lambda w: np.broadcast_to(w[:1], w.shape),
        "correlation of neighbouring draws",
    ),
    "rows repeated": (
        lambda w: np.repeat(w[:, ::2], 2, axis=1),
        "correlation of neighbouring rows",
    ),
    "columns repeated": (
        lambda w: np.repeat(w[:, :, ::2], 2, axis=2),
        "correlation of neighbouring columns",
    ),
    "a NaN": (lambda w: np.where(np.arange(w.size).reshape(w.shape) == 7, np.nan, w), "values"),
    "signs lost": (np.abs, "Kolmogorov-Smirnov"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_planted_faults_are_caught(case: str, fault: str) -> None:
    """By the test that is about them."""
    change, named = FAULTS[fault]
    assert named in out(change(sample(case, 3)), CASES[case][0])


@pytest.mark.parametrize("case", ["uniform", "truncated"])
@pytest.mark.parametrize(("factor", "named"), [(1.0001, "support"), (0.9998, "support reached")])
def test_edges_are_sharp(case: str, factor: float, named: str) -> None:
    """A scale that is 1 or 2 parts in 10^4 off moves the edge by far more than it may move."""
    values = sample(case, 4) * np.float32(factor)
    assert out(values, CASES[case][0]) == [named]


@pytest.mark.slow
def test_distributions_of_the_same_variance_are_told_apart() -> None:
    """A normal that is cut, and one that is not, and a uniform."""
    values = sample("normal", 5)
    for promise in (
        distributions.truncated_normal(0.3 / initial_values.TRUNCATED_STD, 0.1),
        distributions.uniform(0.3 * 3**0.5, 0.1),
    ):
        found = out(values, promise)
        assert {"support", "Kolmogorov-Smirnov"} <= set(found)


# --- Orthogonal matrices


def orthogonal(seed: int, rows: int, columns: int, draws: int) -> np.ndarray:
    bits = initial_values.stream(seed, "orthogonal")
    return np.stack([initial_values.orthogonal(bits, rows, columns) for _ in range(draws)])


def judged(matrices: np.ndarray, gain: float = 1.0) -> list[str]:
    """Names of what is out."""
    found = [distributions.orthonormality(matrices, gain, FLOAT64)]
    normals = distributions.normals_of(matrices, gain, initial_values.stream(1, "triangles"))
    found += distributions.deviations(normals, distributions.normal(1.0), FLOAT64)
    found.append(distributions.diagonal_mean(normals))
    return [d.tensor for d in found if d.out]


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (20, 60)])
def test_uniform_orthogonal_matrices_pass(shape: tuple[int, int]) -> None:
    """Square, tall and wide, with a gain."""
    assert judged(1.5 * orthogonal(0, *shape, 100), 1.5) == []


def test_orthogonal_matrices_that_are_not_uniform_are_caught() -> None:
    """Signs as a factorization left them; a rotation of few coordinates; a shrunken matrix."""
    true = orthogonal(0, 40, 40, 100)
    signed = true * -np.sign(np.diagonal(true, axis1=1, axis2=2))[:, None, :]
    assert "mean of the diagonal" in judged(signed)
    assert "Kolmogorov-Smirnov" in judged(np.broadcast_to(np.eye(40), true.shape))
    assert "orthonormality" in judged(true * math.sqrt(1.01))
    assert "orthonormality" in judged(np.where(np.arange(40) == 3, true[..., :1], true))
    assert distributions.orthonormality(true * np.nan, 1.0, FLOAT64).excess is None
