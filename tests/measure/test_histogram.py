"""Histograms: counts that are true, and tensors of every kind."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bench.measure.histogram import BINS, LARGEST, histogram
from bench.results.histogram import Histogram


def of(values: npt.ArrayLike) -> Histogram:
    return histogram("w1", np.asarray(values), step=3, gradient=True)


def test_counts_of_a_small_tensor() -> None:
    """0, 1, ..., 29 twice and 30: 30 bins of width 1, the last of which has both ends."""
    found = of(np.array([[*range(30)], [*range(1, 31)]], np.float32))
    assert (found.name, found.step, found.gradient) == ("w1", 3, True)
    assert found.edges == pytest.approx(list(range(31)), abs=30 * 2**-52)
    assert found.counts == [1, *[2] * 28, 3]
    assert found.total == 435 + 465  # 29 * 30 / 2, and 30 more
    assert found.squares == 8555 + 9455  # 29 * 30 * 59 / 6, and 900 more


@given(
    arrays(
        st.sampled_from([np.float16, np.float32, np.float64]),
        array_shapes(min_dims=0, max_side=6),
        elements={"allow_subnormal": True},
    )
)
def test_any_tensor_has_a_histogram(values: npt.NDArray[np.floating]) -> None:
    """NaN, infinity, extremes, neighbours: no error, no warning; JSON holds it; every entry that is
    not left out is counted once, between the first edge and the last."""
    found = of(values)
    kept = np.abs(values.astype(np.float64)) <= LARGEST
    assert sum(found.counts) == kept.sum()
    assert len(found.edges) == len(found.counts) + 1
    assert found.edges == sorted(found.edges)
    assert len(found.counts) in (1, BINS)
    if kept.any():
        kept_values = values.astype(np.float64)[kept]
        assert (found.edges[0], found.edges[-1]) == (kept_values.min(), kept_values.max())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Histogram) == found


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([1.0, 1 + 2**-52], 2),
        ([0.0, 5e-324], 2),
        ([7.0, 7.0, 7.0], 3),
        ([-1e150, 1e150, 1e151, -1.7e308, np.inf, np.nan], 2),
        ([], 0),
    ],
    ids=["neighbours", "subnormal", "constant", "huge", "empty"],
)
def test_hard_tensors(values: list[float], count: int) -> None:
    """Too close to each other for bins, or too large to be squared."""
    found = of(values)
    assert sum(found.counts) == count
    assert np.isfinite([found.total, found.squares]).all()
