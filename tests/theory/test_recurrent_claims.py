"""Claims about gradients over time: what holds, and what is told where it does not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.mnist import MNIST_FINGERPRINT
from bench.results.flow import Products
from bench.results.record import Record
from bench.theory.recurrent_claims import (
    JACOBIAN_PRODUCTS,
    MEAN_FIELD_OVER_TIME,
    SINGULAR_VALUE_BOUNDS,
)
from support.builders import flow, trained

STEPS = 4
CELL = Cell(
    depth=1,
    architecture="simple_rnn",
    width=5,
    activation="tanh",
    initializer="glorot_uniform",
    pixels=784 // STEPS,
)
EXACT = msgspec.structs.replace(CELL, activation="relu", recurrent="identity")


def record(
    cell: Cell,
    over_time: Sequence[float | None],
    *,
    product: Sequence[float | None] | None = None,
    error: float = 0.0,
) -> Record:
    products = Products(
        measured=list(over_time),
        product=list(over_time if product is None else product),
        error=[error] * STEPS,
    )
    start = msgspec.structs.replace(flow(cell), over_time=[list(over_time)], products=products)
    return msgspec.structs.replace(trained(cell, 0), start=start)


@pytest.mark.parametrize(
    ("off", "error", "holds"),
    [(0.0, 0.0, True), (1e-9, 1e-8, True), (1e-8, 0.9e-8, False), (1e-9, 0.0, False)],
)
def test_products_within_their_error(off: float, error: float, *, holds: bool) -> None:
    product = [1.0, 2.0 + off, 3.0, 4.0]
    found = JACOBIAN_PRODUCTS.of(
        CELL, [record(CELL, [1.0, 2.0, 3.0, 4.0], product=product, error=error)]
    )
    assert found is not None
    assert found.holds is holds
    assert holds or found.evidence.startswith("mean square of step 2: 2, by products 2")


def test_products_may_be_those_of_the_last_steps_alone() -> None:
    """Of the last two of four: the steps are named as the layer counts them."""
    products = Products(measured=[3.0, 4.0], product=[3.5, 4.0], error=[0.1, 0.1])
    start = msgspec.structs.replace(flow(CELL), over_time=[[1.0] * 4], products=products)
    found = JACOBIAN_PRODUCTS.of(CELL, [msgspec.structs.replace(trained(CELL, 0), start=start)])
    assert found is not None
    assert not found.holds
    assert found.evidence.startswith("mean square of step 3: 3, by products 3.5")


def test_identity_is_exact_whatever_the_error_says() -> None:
    """Only the mean over 4 examples of 5 units is rounded, in float64."""
    for off, holds in ((2.0**-50, True), (2.0**-46, False)):
        product = [1.0, 1.0 + off, 1.0, 1.0]
        found = JACOBIAN_PRODUCTS.of(EXACT, [record(EXACT, [1.0] * 4, product=product, error=0.1)])
        assert found is not None
        assert found.holds is holds


def test_what_is_not_finite_violates() -> None:
    for claim in (JACOBIAN_PRODUCTS, SINGULAR_VALUE_BOUNDS):
        found = claim.of(CELL, [record(CELL, [1.0, None, 1.0, 1.0])])
        assert found is not None
        assert not found.holds
        assert "not finite" in found.evidence


def test_nothing_measured_is_no_finding() -> None:
    bare = msgspec.structs.replace(trained(CELL, 0), start=flow(CELL))
    assert JACOBIAN_PRODUCTS.of(CELL, [bare]) is None
    assert SINGULAR_VALUE_BOUNDS.of(CELL, [bare]) is None
    assert JACOBIAN_PRODUCTS.of(Cell(), [trained(Cell(), 0)]) is None


@pytest.mark.parametrize(
    ("recurrent", "gain"), [("orthogonal", 1.0), ("orthogonal_1.5", 2.25), ("identity_0.5", 0.25)]
)
def test_a_step_back_multiplies_by_at_most_the_squared_singular_value(
    recurrent: str, gain: float
) -> None:
    """A millionth more is too much, a step of which is named; less is not."""
    cell = msgspec.structs.replace(CELL, recurrent=recurrent)
    bound = [gain**3, gain**2, gain, 1.0]
    found = SINGULAR_VALUE_BOUNDS.of(cell, [record(cell, bound)])
    assert found is not None
    assert found.holds
    found = SINGULAR_VALUE_BOUNDS.of(
        cell, [record(cell, [bound[0], bound[1] * 1.00001, *bound[2:]])]
    )
    assert found is not None
    assert not found.holds
    assert found.evidence.startswith("from step 3 to 2 the mean square is multiplied by")


def test_zero_gradients_stay_zero() -> None:
    """They grow by nothing; what comes from nothing violates."""
    found = SINGULAR_VALUE_BOUNDS.of(CELL, [record(CELL, [0.0, 0.0, 1.0, 1.0])])
    assert found is not None
    assert found.holds
    found = SINGULAR_VALUE_BOUNDS.of(CELL, [record(CELL, [1e-9, 0.0, 1.0, 1.0])])
    assert found is not None
    assert not found.holds
    assert math.isfinite(float(found.evidence.rpartition(" ")[2]))


def test_what_is_flushed_to_zero_may_add_to_a_gradient() -> None:
    """Below 2^-126 a batch of 100 of 5 units may gain up to 100 x 2^-126 (1 + 10) in a step, 1.3e-35; a
    tenth of a percent more than that violates, and so does a gradient a million times as large."""
    smallest = 100 * 2.0**-126 * 11
    for gained, holds in ((0.999 * smallest, True), (1.001 * smallest, False)):
        found = SINGULAR_VALUE_BOUNDS.of(CELL, [record(CELL, [gained**2, 0.0, 0.0, 1.0])])
        assert found is not None
        assert found.holds is holds
    large = 1e6 * smallest
    found = SINGULAR_VALUE_BOUNDS.of(
        CELL, [record(CELL, [(1.001 * large) ** 2, large**2, 1.0, 1.0])]
    )
    assert found is not None
    assert not found.holds


def test_mean_field_theory_says_nothing_of_what_is_flushed() -> None:
    """Of 28 steps with s_w^2 = 560 x .001^2 the first is below the last by 27 ln 5.6e-4 < -202, 1e-88
    of it: float32 has zeros. In float64 a 0 violates."""
    axes = {"width": 560, "recurrent": "normal_0.001", "pixels": 28}
    for precision, speaks in (("float32", False), ("float64", True)):
        cell = msgspec.structs.replace(CELL, **axes, precision=precision)
        signal = [*[0.0] * 20, *(10.0 ** (3 * n - 24) for n in range(8))]
        start = msgspec.structs.replace(flow(cell), over_time=[signal])
        of_mnist = msgspec.structs.replace(trained(cell, 0), start=start, data=MNIST_FINGERPRINT)
        found = MEAN_FIELD_OVER_TIME.of(cell, [of_mnist])
        assert (found is not None) is speaks
        assert found is None or not found.holds
