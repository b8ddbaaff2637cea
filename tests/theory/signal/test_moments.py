"""Gaussian moments: closed forms, quadrature and Monte Carlo agree, and with the published table."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from bench.cells.cell import ACTIVATIONS
from bench.theory.activations import ACTIVATION
from bench.theory.signal.moments import moments, pair_moments, second_moment, slope_moment

pytestmark = pytest.mark.filterwarnings("error")

#: F(1) and D(1). ReLU and leaky ReLU (a = .3): 1/2 and (1 + .09) / 2. SELU: F(1) = 1 by construction
#: (Klambauer et al. 2017). Sigmoid's D(1) is that of softplus' slope, and F(1) = D(1) of softplus.
TABLE = {
    "relu": (0.5000, 0.5000),
    "leaky_relu": (0.5450, 0.5450),
    "elu": (0.6449, 0.6681),
    "selu": (1.0000, 1.0716),
    "tanh": (0.3943, 0.4644),
    "sigmoid": (0.2934, 0.0448),
    "softplus": (0.9212, 0.2934),
    "gelu": (0.4252, 0.4559),
    "silu": (0.3558, 0.3795),
}

variances = st.floats(-9, 5).map(lambda e: 10.0**e)
means = st.sampled_from([0.0, 0.1, -0.3, 1.0])
activations = st.sampled_from(ACTIVATIONS)


def adaptive(activation: str, q: float, mean: float, *, slope: bool = False) -> float:
    """E[phi^2] or E[phi'^2] by QUADPACK, in pieces around the kink."""
    phi = ACTIVATION[activation]
    function = phi.slope if slope else phi.value
    root = math.sqrt(q)

    def integrand(x: float) -> float:
        return float(function(np.float64(mean + root * x))) ** 2 * float(stats.norm.pdf(x))

    kink = -mean / root
    near = [kink + k / root for k in (-30, -3, -1, 0, 1, 3, 30)]
    edges = sorted({-10.0, 10.0, *(x for x in near if -10 < x < 10), 0.0})
    pieces = itertools.pairwise(edges)
    return math.fsum(integrate.quad(integrand, a, b, limit=200)[0] for a, b in pieces)


def test_the_table_covers_all_activations() -> None:
    """So that none goes unchecked."""
    assert set(TABLE) == set(ACTIVATIONS)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_table(activation: str) -> None:
    """F(1) and D(1) to four digits."""
    m = moments(activation, 1.0)
    assert (round(m.second, 4), round(m.slope, 4)) == TABLE[activation]


@settings(max_examples=40)
@given(activations, variances, means)
@pytest.mark.slow
def test_closed_forms_and_quadrature_are_what_adaptive_quadrature_finds(
    activation: str, q: float, mean: float
) -> None:
    """QUADPACK asks for 1.5e-8 absolute or relative a piece; small moments only get the absolute
    one."""
    for slope, ours in (
        (False, second_moment(activation, q, mean)),
        (True, slope_moment(activation, q, mean)),
    ):
        expected = adaptive(activation, q, mean, slope=slope)
        assert ours == pytest.approx(expected, rel=1e-6, abs=1e-7)


@given(activations, variances, means)
def test_all_moments_come_with_the_same_second_and_slope(
    activation: str, q: float, mean: float
) -> None:
    """One function computes them alone, the other with all the rest."""
    m = moments(activation, q, mean)
    assert m.second == pytest.approx(second_moment(activation, q, mean), rel=1e-9)
    assert m.slope == pytest.approx(slope_moment(activation, q, mean), rel=1e-9)


@given(st.sampled_from(["relu", "leaky_relu", "elu"]), variances)
def test_closed_forms_are_those_of_the_papers(activation: str, q: float) -> None:
    """ReLU q/2 and 1/2, leaky (1 + a^2) / 2 times that; ELU with the normal distribution function."""
    if activation == "elu":
        if q > 100 or q < 0.1:  # e^2q overflows, or the terms cancel, as written
            return
        n = stats.norm.cdf
        tail = math.exp(2 * q) * n(-2 * math.sqrt(q))
        second = q / 2 + tail - 2 * math.exp(q / 2) * n(-math.sqrt(q)) + 0.5
        assert second_moment(activation, q) == pytest.approx(second, rel=1e-9)
        assert slope_moment(activation, q) == pytest.approx(0.5 + tail, rel=1e-9)
    else:
        a = {"relu": 0.0, "leaky_relu": 0.3}[activation]
        assert second_moment(activation, q) == pytest.approx((1 + a * a) / 2 * q, rel=1e-12)
        assert slope_moment(activation, q) == pytest.approx((1 + a * a) / 2, rel=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("q", "mean"), [(0.05, 0.0), (1.0, 0.0), (40.0, 0.0), (0.5, 0.3)])
def test_monte_carlo(activation: str, q: float, mean: float) -> None:
    """200,000 draws: every moment lies within five standard errors."""
    z = mean + math.sqrt(q) * np.random.default_rng(1).standard_normal(200_000)
    value, slope = ACTIVATION[activation].value(z), ACTIVATION[activation].slope(z)
    m = moments(activation, q, mean)
    for drawn, expected in (
        (value, m.mean),
        (value**2, m.second),
        (slope**2, m.slope),
        (value**4, m.fourth),
        (slope**4, m.slope_fourth),
        (value**2 * slope**2, m.both),
    ):
        assert abs(drawn.mean() - expected) <= 5 * drawn.std() / math.sqrt(len(drawn)) + 1e-12


@given(activations, st.floats(-3, 3).map(lambda e: 10.0**e), means)
def test_growth_and_curvature_are_derivatives(activation: str, q: float, mean: float) -> None:
    """Central differences of ln F and ln D in ln q; their error is of order step^2."""
    step = 1e-3
    low, here, high = (moments(activation, q * math.exp(d), mean) for d in (-step, 0.0, step))
    for moment, growth, curvature in (
        ("second", "second_growth", "second_curvature"),
        ("slope", "slope_growth", "slope_curvature"),
    ):
        change = math.log(getattr(high, moment) / getattr(low, moment)) / (2 * step)
        assert getattr(here, growth) == pytest.approx(change, abs=1e-5)
        bend = (getattr(high, growth) - getattr(low, growth)) / (2 * step)
        assert getattr(here, curvature) == pytest.approx(bend, abs=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_without_variance_it_is_the_function_itself(activation: str) -> None:
    """z = m exactly."""
    phi = ACTIVATION[activation]
    m = moments(activation, 0.0, 0.3)
    assert m.second == pytest.approx(float(phi.value(np.float64(0.3))) ** 2)
    assert m.slope == pytest.approx(float(phi.slope(np.float64(0.3))) ** 2)


@pytest.mark.parametrize(
    ("activation", "bias", "weight"),
    [("relu", 0.0, 2**0.5), ("elu", 0.2, 1.227), ("tanh", 0.2, 1.302)],
)
def test_edge_of_chaos(activation: str, bias: float, weight: float) -> None:
    """Hayou et al. 2019, table of (sigma_b, sigma_w): there chi is 1 at the fixed point; the
    published digits leave chi known to 2 x .0005 / 1.2 = 8e-4, and a little more through q."""
    if activation == "relu":
        q = 1.0  # every q is fixed
    else:
        q = optimize.brentq(
            lambda v: weight**2 * second_moment(activation, v) + bias**2 - v, 1e-3, 50
        )
    assert weight**2 * slope_moment(activation, q) == pytest.approx(1.0, abs=2e-3)


# --- Two examples -------------------------------------------------------------------------------


@given(st.floats(-0.99, 0.99), variances)
def test_pairs_behind_relu(c: float, q: float) -> None:
    """The arc-cosine kernels (Cho and Saul 2009, eqs 3-6) of degrees 0 to 2. Tolerance: c is rounded to
    three digits, and a product rule meets a kink, of slopes a jump, between its nodes."""
    theta = math.acos(round(c, 3))
    pair = pair_moments("relu", q, c)
    rest = math.pi - theta
    assert pair.slopes == pytest.approx(rest / (2 * math.pi), abs=0.01)
    assert pair.values == pytest.approx(
        q * (math.sin(theta) + rest * math.cos(theta)) / (2 * math.pi), abs=0.002 * q
    )
    squares = 3 * math.sin(theta) * math.cos(theta) + rest * (1 + 2 * math.cos(theta) ** 2)
    assert pair.squares == pytest.approx(q * q * squares / (2 * math.pi), abs=0.005 * q * q)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("q", [0.1, 1.0, 30.0])
def test_pairs_that_are_one_or_independent(activation: str, q: float) -> None:
    """c = 1: the moments of one example; c = 0: products of means. To the three digits that spreads
    need: .2 % of the moment without correlation or of E[phi^2]."""
    m = moments(activation, q)
    one, two = pair_moments(activation, q, 1.0), pair_moments(activation, q, 0.0)
    assert one.values == pytest.approx(m.second, rel=2e-3)
    assert one.slope_squares == pytest.approx(m.slope_fourth, rel=2e-3)
    assert one.cross == pytest.approx(m.both, rel=2e-3, abs=1e-4)
    assert two.values == pytest.approx(m.mean**2, abs=2e-3 * m.second)
    assert two.squares == pytest.approx(m.second**2, rel=2e-3)
    assert two.cross == pytest.approx(m.second * m.slope, rel=2e-3)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_pairs_by_monte_carlo(activation: str) -> None:
    """200,000 pairs of correlation .4 at q = 2, five standard errors."""
    q, c = 2.0, 0.4
    x, y = np.random.default_rng(2).standard_normal((2, 200_000))
    z, other = math.sqrt(q) * x, math.sqrt(q) * (c * x + math.sqrt(1 - c * c) * y)
    phi = ACTIVATION[activation]
    pair = pair_moments(activation, q, c)
    for drawn, expected in (
        (phi.value(z) * phi.value(other), pair.values),
        (phi.slope(z) * phi.slope(other), pair.slopes),
        (phi.value(z) ** 2 * phi.value(other) ** 2, pair.squares),
        (phi.slope(z) ** 2 * phi.slope(other) ** 2, pair.slope_squares),
        (phi.value(z) ** 2 * phi.slope(other) ** 2, pair.cross),
    ):
        error = 5 * drawn.std() / math.sqrt(len(drawn))
        assert abs(drawn.mean() - expected) <= error + 5e-3 * abs(expected)
