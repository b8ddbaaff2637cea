"""Contracts of TensorFlow outside Keras hold where tests run, and what comes of them can be written."""

from __future__ import annotations

import msgspec
import pytest

from bench.checks.catalogue import checks
from bench.checks.examiner import Examiner
from bench.results.check import Check, CheckResult

FAMILIES = (
    *("tensors", "numbers", "algebra", "structures", "graphs"),
    *("draws", "nn", "pipelines", "records", "images"),
)


@pytest.mark.parametrize("check", checks("quick", FAMILIES), ids=lambda check: check.id)
def test_holds(check: Check) -> None:
    """Every number is in its bound; the result goes through a file and comes back."""
    found = Examiner(None, "cpu").examine(check)  # type: ignore[arg-type] # no images here
    assert not found.wrong, found.reason
    assert found.compared
    assert msgspec.json.decode(msgspec.json.encode(found), type=CheckResult) == found
