"""Tests of arrays that follow rounding: what float32 computes lies within their bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.theory.activations import ACTIVATION
from bench.theory.rounding.arrays import Bounded, Stochastic, decide, erf
from bench.theory.rounding.formats import BFLOAT16, FLOAT32, FLOAT64, TF32, Format, sum_growth

FORMULAS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda x, w: x + w,
    "difference": lambda x, w: x - w,
    "product": lambda x, w: x * w,
    "quotient": lambda x, w: x / (1.0 + np.square(w)),
    "exponential": lambda x, w: np.exp(0.3 * x) - np.expm1(w),
    "logarithm": lambda x, w: np.log(1.0 + np.square(x)) + np.log1p(np.abs(w)),
    "root": lambda x, w: np.sqrt(np.square(x) + np.square(w)),
    "power": lambda x, w: np.power(1.0 + np.abs(x), 2.5) - w,
    "matrix product": lambda x, w: x @ w.T,
    "twice": lambda x, w: np.tanh(x @ w.T) @ w,
    "means": lambda x, w: (x - x.mean(axis=0)) / np.sqrt(np.square(w).mean(axis=0) + 1e-3),
    "extremes": lambda x, w: np.maximum(x, w) - np.minimum(x, 0.1),
    "branch": lambda x, w: np.where(decide(x) > 0, 0.3 * x, w),
    "softmax": lambda x, w: np.exp(x - x.max(axis=1, keepdims=True)) / w.size,
    "moved": lambda x, w: np.concatenate([x.T.reshape(-1), np.stack([w[0], w[1]]).reshape(-1)]),
    "padded": lambda x, w: np.pad(x, ((1, 1), (0, 2))) * 3.0,
    "sign": lambda x, w: np.sign(x) * w,
}


def draws(seed: int, scale: float = 1.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return tuple((scale * rng.normal(size=(12, 40))).astype(np.float32) for _ in range(2))


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("seed", range(3))
def test_float32_lies_within_the_bound(name: str, seed: int) -> None:
    """The value is float64's; NumPy's float32 evaluation of the same formula is within the bound,
    which is not more than a few hundred times what was needed."""
    x, w = draws(seed)
    formula = FORMULAS[name]
    bounded = formula(Bounded(x), Bounded(w))
    exact = formula(x.astype(np.float64), w.astype(np.float64))
    np.testing.assert_allclose(bounded.value, exact, rtol=1e-12, atol=1e-300)
    error = np.abs(formula(x, w).astype(np.float64) - exact)
    assert np.all(error <= bounded.error)
    assert bounded.error.max() <= 1e3 * 2.0**-24 * max(1.0, np.abs(exact).max()) * 12


@pytest.mark.parametrize("name", ACTIVATION)
def test_activations_of_all_kinds_of_arrays(name: str) -> None:
    """float32 within the bound; the slope is the complex-step derivative (Squire and Trapp 1998)."""
    x = np.linspace(-30, 30, 601)
    activation = ACTIVATION[name]
    for formula in (activation.value, activation.slope):
        single = x.astype(np.float32)
        made = Bounded(0.0) + formula(Bounded(single))
        error = np.abs(formula(single) - formula(single.astype(np.float64)))
        assert np.all(error <= made.error)
    step = 1e-200
    smooth = x[x != 0]
    derivative = activation.value(smooth + 1j * step).imag / step
    np.testing.assert_allclose(derivative, activation.slope(smooth), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ACTIVATION)
def test_activations_at_infinity(name: str) -> None:
    """Limits, not NaN, far out on both sides."""
    with np.errstate(over="ignore"):
        top = ACTIVATION[name].value(np.array([1e300]))
        bottom = ACTIVATION[name].value(np.array([-1e300]))
    assert np.isfinite(top).all()
    assert np.isfinite(bottom).all()


def test_a_wrong_constant_is_out_of_bounds() -> None:
    """One part in ten thousand is hundreds of bounds away."""
    x, _ = draws(0)
    bounded = ACTIVATION["leaky_relu"].value(Bounded(x))
    wrong = np.where(x > 0, x, np.float32(0.3 * (1 + 1e-4)) * x).astype(np.float64)
    assert np.max(np.abs(wrong - bounded.value)[x < 0] / bounded.error[x < 0]) > 100


def test_constants_are_rounded_to_the_format() -> None:
    """.5 is exact, .3 is not: Keras stores it in float32."""
    assert FLOAT32.rounds(0.5) == 0.0
    assert FLOAT32.rounds(3.0) == 0.0
    actual = abs(float(np.float32(0.3)) - 0.3)
    assert actual <= FLOAT32.rounds(0.3) <= 2 * actual + 2.0**-24 * 0.3
    assert (1.0 - Bounded(0.999, FLOAT32.rounds(0.999))).error > 2.0**-25


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 2000), st.integers(0, 2**32 - 1), st.booleans())
def test_sums_in_any_order(terms: int, seed: int, shuffled: bool) -> None:
    """Naive float32 sums, in order or not, lie within the probabilistic bound."""
    rng = np.random.default_rng(seed)
    values = rng.normal(1.0, 3.0, terms).astype(np.float32)
    bounded = Bounded(values).sum()
    if shuffled:
        rng.shuffle(values)
    naive = np.cumsum(values, dtype=np.float32)[-1]
    assert abs(float(naive) - float(bounded.value)) <= float(bounded.error)


def test_sum_growth() -> None:
    """Not more than the worst case, which is sharper for few terms."""
    assert sum_growth(1) == 0.0
    assert sum_growth(2) == 1.0
    assert sum_growth(10_000) == pytest.approx(800.0)


def test_products_of_rounded_factors() -> None:
    """TF32 rounds factors to 10 bits: its bound is larger by about 2^13 / sqrt(n), and not useless."""
    x, w = draws(0)
    plain = (Bounded(x) @ w.T).error.max()
    tensor_cores = (Bounded(x, form=TF32) @ w.T).error.max()
    assert 50 < tensor_cores / plain < 8192
    assert tensor_cores < 0.2


@pytest.mark.parametrize(("form", "u"), [(FLOAT64, 2.0**-53), (BFLOAT16, 2.0**-8)])
def test_formats(form: Format, u: float) -> None:
    """One addition is off by at most u relative."""
    made = Bounded(1.0, form=form) + Bounded(1.0, form=form)
    assert float(made.error) == pytest.approx(2 * u)


def test_bounds_of_what_is_flushed_to_zero() -> None:
    """A product below the smallest normal number may be 0."""
    product = Bounded(1e-30) * Bounded(1e-30)
    assert float(product.error) >= 2.0**-126


@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "sign"])
def test_stochastic_draws_spread_as_float32_errs(name: str) -> None:
    """Draws differ, lie within the bound (which holds for sure in all but one of 10^12), and are at
    least as spread as what NumPy's float32 really does."""
    x, w = draws(5)
    formula = FORMULAS[name]
    exact = formula(x.astype(np.float64), w.astype(np.float64))
    bounded = formula(Bounded(x), Bounded(w))
    rng = np.random.default_rng(0)
    made = [formula(Stochastic(x, rng), Stochastic(w, rng)).value for _ in range(8)]
    errors = np.array(made) - exact
    real = formula(x, w).astype(np.float64) - exact
    if name != "moved":
        assert np.ptp(errors, axis=0).max() > 0
    assert np.all(np.abs(errors) <= bounded.error * 1.01 + 1e-300)
    assert np.sqrt(np.mean(real**2)) <= 2 * np.sqrt(np.mean(errors**2)) + 1e-300


def test_what_is_not_supported_says_so() -> None:
    """Rather than drop the bound silently."""
    with pytest.raises(TypeError):
        np.sin(Bounded(1.0))
    with pytest.raises(TypeError):
        np.linalg.norm(Bounded(np.ones(3)))


def test_erf_of_plain_arrays() -> None:
    """SciPy's."""
    assert float(erf(np.array(0.5))) == pytest.approx(0.5204998778130465)


def test_extremes_of_what_is_close() -> None:
    """Near a tie either side may be picked, so the larger error counts; else the picked one's."""
    left, right = Bounded([1.0, 5.0], [1e-3, 1e-3]), Bounded([1.0001, 1.0], [1e-6, 1e-6])
    np.testing.assert_array_equal(np.maximum(left, right).error, [1e-3, 1e-3])
    np.testing.assert_array_equal(np.minimum(left, right).error, [1e-3, 1e-6])
