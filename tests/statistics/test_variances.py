"""Tests of posteriors of variances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.statistics.variances import SPACING, posteriors


def _squares(random: np.random.Generator, deviations: np.ndarray, df: int) -> np.ndarray:
    return deviations**2 * random.chisquare(df, deviations.size)


@pytest.mark.parametrize("df", [2.0, 4.0, 18.0])
def test_a_cell_that_is_alone_is_judged_by_students_t(df: float) -> None:
    """Far above the floor, P(|Z| sigma >= x) under a log-uniform prior is t on df degrees of freedom.

    The support is SPACING apart, which a smooth integrand does not notice; it ends at 1e4 times the
    largest variance, where on 2 degrees 1e-4 of the likelihood is left out.
    """
    found = posteriors(np.array([df * 1e6]), np.array([df]), np.ones(1))
    distance = np.array([2500.0])
    tail = float(found.tail(distance, np.ones(1))[0])
    assert tail == pytest.approx(float(stats.t.sf(2.5, df)), rel=0.02)


def test_equal_variances_are_learned_from_each_other() -> None:
    """Of 200 cells on 4 degrees of freedom with variance 9 each is judged as if that were known.

    The mean of 200 variances has a standard deviation of 9 sqrt(2/800) = .45.
    """
    random = np.random.default_rng(3)
    found = posteriors(_squares(random, np.full(200, 3.0), 4), np.full(200, 4.0), np.ones(200))
    assert np.median(found.mean) == pytest.approx(9, abs=4 * 0.45)
    p = found.tail(np.full(200, 3 * 3.0), np.ones(200))
    assert np.median(p) < 3 * stats.norm.sf(3) < stats.t.sf(3, 4) / 4


def test_cells_that_vary_most_are_not_judged_by_the_others() -> None:
    """Ten cells of 150 vary 25-fold: theirs is their own spread, and no other cell's is."""
    random = np.random.default_rng(4)
    deviations = np.where(np.arange(150) < 10, 250.0, 10.0)
    found = posteriors(_squares(random, deviations, 4), np.full(150, 4.0), np.ones(150))
    assert (found.mean[:10] > 50.0**2).all()
    assert np.median(found.mean[10:]) == pytest.approx(100, rel=0.5)


@pytest.mark.parametrize("kind", ["equal", "few 5-fold", "log-normal"])
def test_tails_are_probabilities_where_nothing_changed(kind: str) -> None:
    """Of 40 runs of 150 cells at most a share of .001 and .05 has such a p, by the binomial's
    99.9 % quantile (cells of a run share a prior, which moves neither by its own size)."""
    p = []
    for run in range(40):
        random = np.random.default_rng([run, 5])
        scale = {
            "equal": np.full(150, 10.0),
            "few 5-fold": np.where(np.arange(150) < 10, 50.0, 10.0),
            "log-normal": 10 * np.exp(random.normal(size=150)),
        }[kind]
        squares = _squares(random, scale, 4)
        change = np.abs(random.normal(size=150)) * scale
        p.append(
            2 * posteriors(squares, np.full(150, 4.0), np.ones(150)).tail(change, np.ones(150))
        )
    for level in (0.001, 0.05):
        hits = int((np.array(p) <= level).sum())
        assert hits <= stats.binom.ppf(0.999, 40 * 150, level), level


@given(
    st.lists(st.tuples(st.floats(0, 1e12), st.integers(1, 30)), min_size=1, max_size=20),
    st.floats(-1e6, 1e6),
)
def test_any_spread_gives_a_probability(cells: list[tuple[float, int]], distance: float) -> None:
    """Zeros, ties and twelve orders of magnitude: no NaN, no warning, between 0 and 1."""
    squares, df = (np.array(column, float) for column in zip(*cells, strict=True))
    found = posteriors(squares, df, np.ones(len(cells)))
    tail = found.tail(np.full(len(cells), distance), np.ones(len(cells)))
    assert ((tail >= 0) & (tail <= 1)).all()
    assert (found.mean >= 1).all()


def test_no_spread_is_the_floor() -> None:
    """Where no cell shows any spread the floor is the variance, up to what a cell may still hide."""
    found = posteriors(np.zeros(50), np.full(50, 4.0), np.full(50, 4.0))
    assert found.mean == pytest.approx(np.full(50, 4.0), rel=2 * SPACING)
