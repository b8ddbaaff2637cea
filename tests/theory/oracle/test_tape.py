"""The tape: gradients of every kind of array against differences; formulas against NumPy and numbers by
hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.theory.oracle import formulas
from bench.theory.oracle.tape import Traced, gradients, joined, stacked, where
from bench.theory.rounding.arrays import Bounded, Stochastic

RANDOM = np.random.default_rng(0)
MASK = np.array([[1, 0, 1], [0, 1, 1]], bool)

FUNCTIONS: dict[str, tuple[Callable[..., Traced], list[tuple[int, ...]]]] = {
    "sum of products": (lambda a, b: a @ b + a.sum() - b.mean(0), [(3, 4), (4, 5)]),
    "batch by matrix": (lambda a, b: a @ b, [(2, 3, 4), (4, 5)]),
    "broadcast": (lambda a, b: (2.0 - a) * b / (b * b + 3.0), [(3, 1), (1, 4)]),
    "functions": (
        lambda a: a.tanh() * a.sigmoid() + (-a).exp() - (a * a + 1.0).power(-0.5),
        [(5,)],
    ),
    "taken twice": (lambda a: a[np.array([0, 2, 2])] * a[1], [(3, 4)]),
    "joined": (lambda a, b: joined([a, b, a], 1).reshape(-1) * 2.0, [(2, 3), (2, 1)]),
    "stacked": (lambda a, b: stacked([a, b], 1).transpose(2, 0, 1), [(2, 3), (2, 3)]),
    "where": (lambda a, b: where(MASK, a, b * a), [(2, 3), (1, 3)]),
    "largest": (lambda a: a.max(1) * a.sum(1), [(2, 5)]),
    "softmax": (lambda a: formulas.softmax(a), [(2, 5)]),
    "einsum": (
        lambda a, b: formulas.einsum("bthd,bshd->bhts", a, b),
        [(2, 3, 2, 2), (2, 1, 2, 2)],
    ),
    "lstm": (
        lambda x, k, r, b: formulas.unrolled(formulas.CELLS["LSTM"], x, [k, r, b], mask=MASK)[0],
        [(2, 3, 2), (2, 8), (2, 8), (8,)],
    ),
    "normalized": (
        lambda x, g, b: formulas.normalized(x, (0,), g, b, epsilon=0.1),
        [(4, 3), (3,), (3,)],
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_slopes(name: str) -> None:
    """Central differences of float64 are off by 1e-9 where slopes are about 1. Single numbers give
    single ones, within the bounds; random rounding of a sum of few is up to twice as large."""
    function, shapes = FUNCTIONS[name]
    arrays = [RANDOM.standard_normal(shape).astype("f4").astype(float) for shape in shapes]

    def passed(kind: Callable[[Any], Any]) -> list[Any]:
        sources = [Traced(kind(array)) for array in arrays]
        output = function(*sources)
        return gradients(output, kind(upstream), sources)

    upstream = RANDOM.standard_normal(function(*map(Traced, arrays)).shape).astype("f4")
    upstream = upstream.astype(float)
    exact, bounded = passed(lambda x: x), passed(Bounded)
    single = passed(lambda x: x.astype(np.float32))
    draws = np.random.default_rng(1)
    drawn = passed(lambda x: Stochastic(x, draws))
    for at, gradient in enumerate(exact):
        slopes = np.zeros(shapes[at])
        for index in np.ndindex(*shapes[at]):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [array.copy() for array in arrays]
                moved[at][index] += step
                ends.append((function(*map(Traced, moved)).array * upstream).sum())
            slopes[index] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(bounded[at].value, gradient, rtol=1e-12, atol=1e-15)
        assert single[at].dtype == np.float32
        assert (np.abs(single[at] - gradient) <= bounded[at].error).all()
        assert (np.abs(drawn[at].value - gradient) <= 2 * bounded[at].error).all()


@pytest.mark.parametrize(
    ("equation", "left", "right"),
    [
        ("ab,bc->ac", (2, 3), (3, 4)),
        ("abc,cde->abde", (2, 3, 4), (4, 2, 2)),
        ("...x,xy->...y", (2, 3, 4), (4, 5)),
    ],
)
def test_einsum_is_numpys(equation: str, left: Any, right: Any) -> None:
    a, b = RANDOM.standard_normal(left), RANDOM.standard_normal(right)
    ours = formulas.einsum(equation, Traced(a), Traced(b)).array
    np.testing.assert_allclose(ours, np.einsum(equation, a, b))


def test_taken_by_hand() -> None:
    """Of 4 inputs, 3 entries in steps of 2: valid has one place, same pads 1 at the end (2 outputs
    reach to 2 + 3 = 5), causal begins two before the first."""
    assert formulas.taken(4, 3, 2, 1, "valid").tolist() == [[0, 1, 2]]
    assert formulas.taken(4, 3, 2, 1, "same").tolist() == [[0, 1, 2], [2, 3, -1]]
    assert formulas.taken(3, 3, 1, 1, "causal").tolist() == [
        [-1, -1, 0],
        [-1, 0, 1],
        [0, 1, 2],
    ]
    assert formulas.taken(5, 2, 1, 3, "valid").tolist() == [[0, 3], [1, 4]]


def test_output_padding_by_hand() -> None:
    """Three inputs two apart, kernels of three: five outputs without padding, 6 with one more,
    and outputs that nothing reaches behind a valid convolution."""
    got = formulas.given(3, 3, 2, "same", 0).tolist()
    assert got == [[-1, 0, -1], [1, -1, 0], [-1, 1, -1], [2, -1, 1], [-1, 2, -1]]
    same = formulas.given(3, 3, 2, "same")
    assert formulas.given(3, 3, 2, "same", 1).tolist() == same.tolist()
    valid = formulas.given(3, 3, 2, "valid")
    assert formulas.given(3, 3, 2, "valid", 1).tolist() == [*valid.tolist(), [-1, -1, -1]]


def test_given_by_hand() -> None:
    """2 inputs in steps of 2 through 3 entries: outputs 0, 1 and 2 take the first, 2, 3 and 4 the
    second."""
    assert formulas.given(2, 3, 2, "valid").tolist() == [
        *([0, -1, -1], [-1, 0, -1], [1, -1, 0], [-1, 1, -1], [-1, -1, 1]),
    ]


def test_pools_by_hand() -> None:
    x = Traced(np.array([1.0, 3.0, 2.0, 8.0]).reshape(1, 4, 1))
    tables = formulas.grid((4,), (3,), stride=2, padding="same")
    assert formulas.pooled(x, tables, largest=True).array.ravel().tolist() == [3.0, 8.0]
    # (1 + 3 + 2) / 3, and (2 + 8) / 2: padding does not count.
    assert formulas.pooled(x, tables, largest=False).array.ravel().tolist() == [
        2.0,
        5.0,
    ]


def test_masked_steps_repeat() -> None:
    """With W = U = 0 every step that counts gives tanh(b); a first step that is masked gives 0."""
    weights = [Traced(np.zeros((1, 1))), Traced(np.zeros((1, 1))), Traced(np.ones(1))]
    outputs, _ = formulas.unrolled(
        *(formulas.CELLS["SimpleRNN"], Traced(np.zeros((1, 3, 1))), weights),
        mask=np.array([[False, True, False]]),
    )
    np.testing.assert_allclose(outputs.array.ravel(), [0.0, np.tanh(1.0), np.tanh(1.0)])
