"""Fingerprints of tensors: every bit is seen, and how far two tensors are apart."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from bench.measure.tensors import STEPS, distance, fingerprints, signs
from bench.measure.trajectory import LENGTH
from bench.results.record import VALUES, Tensors

pytestmark = pytest.mark.filterwarnings("error")

TINY = np.finfo(float).tiny


def taken(value: Any, name: str = "x") -> Tensors:
    """Of one tensor before step 0."""
    return fingerprints({0: {name: np.asarray(value)}})


def apart(first: Any, second: Any) -> float:
    """The distance of two tensors."""
    (found,) = distance(taken(first), taken(second)).ravel()
    return float(found)


def test_the_order_is_that_of_steps_and_of_the_computation() -> None:
    """Worked by hand: 3, 4 have the root mean square sqrt(25/2); the sum with signs is one of +-1
    and +-7, over sqrt(2); a hash is the CRC of the bytes."""
    early = {"b": np.array([3, 4], np.float32), "a": np.array([2.0], np.float32)}
    late = {"b": np.zeros(2, np.float32), "a": np.array([-1.0], np.float32)}
    found = fingerprints({0: early, 10: late})
    assert (found.names, found.steps) == (["b", "a"], [0, 10])
    expected = [zlib.crc32(t.tobytes()) for moment in (early, late) for t in moment.values()]
    assert np.frombuffer(found.hashes, "<u4").tolist() == expected
    values = np.frombuffer(found.values, "<f4").reshape(2, 2, VALUES)
    np.testing.assert_allclose(values[..., 0], [[math.sqrt(12.5), 2], [0, 1]], rtol=1e-7)
    assert round(abs(values[0, 0, 1]) * math.sqrt(2)) in (1, 7)
    assert values[1, 0, 1] == 0
    assert abs(values[0, 1, 1]) == 2


def test_looks_are_far_enough_apart_for_the_envelope() -> None:
    """The envelope of a look is that of the next one, which must be at least 2 (t + 1) - 1; and all
    lie within a trajectory."""
    assert list(STEPS) == sorted(STEPS)
    for look, following in itertools.pairwise(STEPS):
        assert following >= 2 * (look + 1) - 1
    assert STEPS[-1] < LENGTH


@given(
    st.sampled_from([np.float32, np.float64]),
    st.integers(1, 300),
    st.integers(0, 2**32 - 1),
    st.data(),
)
def test_any_bit_changes_the_hash(dtype: Any, size: int, seed: int, data: st.DataObject) -> None:
    """One bit of one entry, signs of zeros and payloads of NaN included: never 0 apart."""
    tensor = np.random.default_rng(seed).normal(size=size).astype(dtype)
    tensor[: size // 3] = 0
    changed = tensor.copy()
    bit = data.draw(st.integers(0, 8 * changed.nbytes - 1))
    changed.view(np.uint8)[bit // 8] ^= np.uint8(1 << bit % 8)
    assert apart(tensor, tensor.copy()) == 0
    assert apart(tensor, changed) >= TINY


@given(st.floats(-8, 0), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_distance_is_about_the_relative_difference(exponent: float, size: int, seed: int) -> None:
    """E[d^2] = mean((x - y)^2) over random signs, for differences of any direction.

    The fingerprint of one name has one draw of signs, so 200 names are averaged. d^2 is a squared sum
    of n independent terms: its variance is below twice its squared mean, so the mean of 200 lies
    within 5 sqrt(2 / 200) = .5 of its expectation but for a probability of 1/25 at the most
    (Chebyshev), and 6e-7 if it were normal; the examples are the same in each run.
    """
    random = np.random.default_rng(seed)
    x = random.normal(size=size)
    y = x + 10**exponent * random.normal(size=size) * (random.random(size) < 0.5)
    names = [f"tensor {number}" for number in range(200)]
    sides = [fingerprints({0: dict.fromkeys(names, side)}) for side in (x, y)]
    values = [np.frombuffer(side.values, "<f4").astype(float).reshape(-1, 2) for side in sides]
    expected = np.mean((x - y) ** 2)
    # Fingerprints are float32: each rounds by up to 2^-24 of itself.
    rounding = 2.0**-24 * np.hypot(*np.sqrt(np.mean([v[:, 1] ** 2 for v in values], axis=1)))
    found = np.sqrt(np.mean((values[0][:, 1] - values[1][:, 1]) ** 2))
    assert math.sqrt(0.5 * expected) - rounding <= found
    assert found <= math.sqrt(1.5 * expected) + rounding
    scale = max(np.sqrt(np.mean(x**2)), np.sqrt(np.mean(y**2)))
    mean = np.sqrt(np.mean(distance(*sides) ** 2)) * scale
    # Of two numbers, one differs like that; the other, the root mean square, by at most as much.
    assert math.sqrt(0.25 * expected) - rounding <= mean
    assert mean <= math.sqrt(1.25 * expected) + 2 * rounding + TINY * scale


def test_one_entry_of_many_is_seen() -> None:
    """A sample of the entries would miss it: its size over sqrt(n) times the root mean square."""
    x = np.ones(10_000)
    y = x.copy()
    y[1234] += 1.0
    # Each sum moves by 1 / 100, the root mean square by 1.5 / 10,000.
    assert apart(x, y) == pytest.approx(0.01, rel=1e-3)


ZERO, NUMBER = np.zeros(4, np.float32), np.ones(4, np.float32)
NAN, INFINITE = np.full(4, np.nan, np.float32), np.full(4, np.inf, np.float32)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (ZERO, NUMBER, math.inf),
        (NAN, NUMBER, math.inf),
        (INFINITE, NUMBER, math.inf),
        (ZERO, NAN, math.inf),
        (np.array([1, np.nan], np.float32), np.array([1, 2], np.float32), math.inf),
        (ZERO, -ZERO, TINY),
        (NAN, -NAN, TINY),
        (NAN, INFINITE, TINY),
        (np.array([np.nan, 1], np.float32), np.array([1, np.nan], np.float32), TINY),
        (NAN, NAN, 0.0),
        (ZERO, ZERO, 0.0),
        (np.empty(0, np.float32), np.empty(0, np.float32), 0.0),
    ],
)
def test_what_has_no_relative_difference(first: Any, second: Any, expected: float) -> None:
    """Infinite where one side is zero or not finite and the other is not; else as little as other
    bits can be: a signed zero, or another NaN after divergence, is no departure."""
    assert apart(first, second) == apart(second, first) == expected


@pytest.mark.parametrize("largest", [np.finfo(np.float32).max, np.float64(1e200)])
def test_numbers_beyond_float32(largest: Any) -> None:
    """A float64 network that overflows float32 leaves infinite numbers and no warning."""
    # With these signs the sum is n times the largest entry.
    tensor = largest * signs("signs of x", 1000).astype(largest.dtype)
    assert apart(tensor, tensor) == 0
    assert apart(tensor, -tensor) > 0
    assert apart(tensor, np.ones_like(tensor)) == math.inf


@pytest.mark.parametrize(
    "other",
    [
        {0: {"y": NUMBER}},
        {1: {"x": NUMBER}},
        {0: {"x": NUMBER, "y": NUMBER}},
        {0: {"x": NUMBER}, 1: {"x": NUMBER}},
    ],
)
def test_other_tensors_or_steps_are_refused(other: Mapping[int, Mapping[str, Any]]) -> None:
    """Numbers of other tensors would be compared without a word."""
    with pytest.raises(ValueError, match="fingerprints of other tensors or steps"):
        distance(taken(NUMBER), fingerprints(other))


def test_signs_are_a_matter_of_role_and_seed_alone() -> None:
    """Balanced, the same again, and others for another role or seed; a longer draw begins alike."""
    found = signs("a", 10_000)
    assert set(found.tolist()) == {-1.0, 1.0}
    assert abs(found.sum()) < 4 * 100  # four standard deviations: 6e-5, and the draw is fixed
    np.testing.assert_array_equal(signs("a", 10_000), found)
    np.testing.assert_array_equal(signs("a", 77), found[:77])
    for other in (signs("b", 10_000), signs("a", 10_000, 1)):
        assert abs(other @ found) < 4 * 100
    assert signs("a", 0).shape == (0,)
