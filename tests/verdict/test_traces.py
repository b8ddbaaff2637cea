"""Traces: what is read of a stored training, and whether two are known to have other bits."""

from __future__ import annotations

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.measure.tensors import fingerprints
from bench.verdict.traces import Trace, equal_until, trained_apart
from support.builders import copied, trained

LOSSES = np.linspace(2, 1, 20)


def test_a_copy_has_the_metrics_that_its_evaluation_gave() -> None:
    """All of its replica's, here; none if it was not trained to the end."""
    record = trained(Cell(steps=200), 0)
    replica = Trace.of(record).metrics
    assert None not in (replica["test_accuracy"], replica["test_loss"])
    copy = Trace.of(copied(record)).metrics
    assert {name: copy[name] for name in ("test_accuracy", "test_loss", "dead_share_end")} == {
        name: replica[name] for name in ("test_accuracy", "test_loss", "dead_share_end")
    }
    assert Trace.of(copied(record, test_loss=0.5)).metrics["test_loss"] == 0.5
    assert Trace.of(copied(record, whole=False)).metrics == {}


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [(b"abcd", b"abcd", False), (b"abcd", b"efgh", True), (b"abcd", b"", False), (b"", b"", False)],
)
def test_hashes_of_one_side_alone_show_no_difference(
    first: bytes, second: bytes, apart: bool
) -> None:
    """Older baselines have none: equal losses then are all that is known."""
    sides = Trace(LOSSES, states=first), Trace(LOSSES, states=second)
    assert trained_apart(*sides) is trained_apart(*reversed(sides)) is apart
    assert trained_apart(sides[0], Trace(LOSSES + 1e-6))


def test_where_one_side_has_no_hashes_fingerprints_say_since_when_bits_differ() -> None:
    """They are taken before steps 0, 1, 10 and 100, and the last differ."""
    looks = (
        fingerprints(
            {step: {"kernel": np.full(5, 1.0 + by * (step > 10))} for step in (0, 1, 10, 100)}
        )
        for by in (0.0, 0.1)
    )
    old, new = (Trace(np.ones(200), tensors) for tensors in looks)
    hashed = Trace(new.losses, new.tensors, states=b"abcd" * 30)
    for first, second in ((old, new), (old, hashed), (hashed, old)):
        assert equal_until(Cell(steps=200), first, second) == 10
