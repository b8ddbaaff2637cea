"""Muon's formula, and a planted fault."""

from __future__ import annotations

import numpy as np
import pytest

from bench.checks.contracts import muon, training
from bench.checks.contracts.linear import drawn
from bench.theory.rounding.arrays import Bounded
from tests.checks.contracts.judging import judged


@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_singular_values_follow_the_polynomial_one_by_one(shape: tuple[int, int]) -> None:
    """The iteration keeps singular vectors, so each value goes its own way."""
    matrix = drawn("muon", *shape)
    found = muon.orthogonalized(Bounded(matrix))
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    values = values / (np.linalg.norm(values) + 1e-7)
    a, b, c = muon.QUINTIC
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    assert np.allclose(found.value, left * values @ right, atol=1e-12)
    assert 1e-6 < found.error.max() < 1e-2


def test_another_coefficient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five parts in a thousand in the first one."""
    assert not judged(training, "muon").fails
    monkeypatch.setattr(muon, "QUINTIC", (3.4445 * 1.005, -4.7750, 2.0315))
    assert judged(training, "muon").fails
