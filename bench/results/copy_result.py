"""Copy: a replica trained again with its weights moved by one unit in the last place.

How far copies part from their replica is how far rounding alone takes this network: the envelope that a
difference between two TensorFlow versions is held against. They are moved at the start or, where two
trainings have the same bits up to some step, there: what parted later can have grown no longer.
"""

from __future__ import annotations

import msgspec

from bench.cells.cell import Cell
from bench.results.jsonl import Lines
from bench.results.record import Crash, Flow, Tensors


class Copy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One copy of a replica, trained and evaluated as that is."""

    cell: Cell
    seed: int
    number: int
    """From 0; names the random moves."""
    moved_at: int = 0
    """The step before which, and before the next one, weights are moved; the number of steps is the
    end."""


class CopyResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a copy."""

    copy: Copy
    trajectory: bytes = b""
    """Loss of the first steps, little-endian float32; base64 in JSON. Empty if it crashed."""
    tensors: Tensors | None = None
    """As the replica's record has them."""
    ends: Tensors | None = None
    """As the replica's record has them. None of a copy that was not trained to the end."""
    test_accuracy: float | None = None
    test_loss: float | None = None
    diverged_step: int | None = None
    end: Flow | None = None
    """All as a record has them."""
    crash: Crash | None = None
    total_sec: float = 0.0

    def __post_init__(self) -> None:
        if bool(self.trajectory) == (self.crash is not None):
            raise ValueError("a copy has either a trajectory or a crash")
        if len(self.trajectory) % 4:
            raise ValueError("a trajectory is of numbers of four bytes")

    @property
    def key(self) -> Copy:
        """What makes a result: no run has two with one key."""
        return self.copy


COPY_LINES = Lines(CopyResult, "copy's result")
