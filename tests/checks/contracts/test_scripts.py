"""Some scripts of contracts, run: all of them take minutes (:mod:`tests.checks.contracts.scripts`)."""

from __future__ import annotations

import pytest

from bench.results.check import Check
from tests.checks.contracts.scripts import otherwise, status, worst, written

KEPT = [
    Check(family="losses", subject="formula-huber"),
    Check(family="layers", subject="dense-rank:2"),
    Check(family="layers", subject="dense-jacobian"),  # takes a returned list apart
    Check(family="preprocessing", subject="rescaling"),
    Check(family="shapes", subject="center_crop"),  # exactly
]


@pytest.mark.parametrize("check", KEPT, ids=[check.id for check in KEPT])
def test_a_script_ends_with_0_where_a_contract_is_kept_and_with_1_where_truth_is_another(
    check: Check,
) -> None:
    deviation = worst(check)
    assert deviation is not None
    text = written(check, deviation)
    assert status(text) == 0
    assert otherwise(text) != text
    assert status(otherwise(text)) == 1
