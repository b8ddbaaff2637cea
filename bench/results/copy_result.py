"""Copy: a replica trained again with its weights moved by one unit in the last place.

How far copies part from their replica is how far rounding alone takes this network: the envelope that a
difference between two TensorFlow versions is held against. They are moved at the start or, where two
trainings have the same bits up to some step, there: what parted later can have grown no longer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from bench.cells.cell import Cell
from bench.results.bounds import Count, NotNegative, Seconds, Share, Step
from bench.results.flow import Flow
from bench.results.kind import Crash, Kind, Outcome
from bench.results.record import Replica, Tensors, Training


class Copy(Training, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One copy of a replica, trained and evaluated as that is."""

    number: Count
    """Counts from 0; names the random moves."""
    moved_at: Step = 0
    """The step before which, and before the next one, weights are moved; the number of steps is the
    end."""

    @property
    def replica(self) -> Replica:
        """The replica that it is a copy of."""
        return Replica(self.cell, self.seed)

    @property
    def order(self) -> tuple[int, ...]:
        return self.seed, self.number

    def title(self, names: Mapping[Cell, str]) -> str:
        """``copy 2 of depth/depth:3-act:relu, seed 0``."""
        return f"copy {self.number} of {super().title(names)}"

    def crashed(self, crash: Crash) -> CopyResult:
        return CopyResult(copy=self, crash=crash)


class CopyResult(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Outcome of a copy; fields mean what they mean in a record."""

    copy: Copy
    trajectory: bytes = b""
    """Loss of the first steps, little-endian float32; base64 in JSON. Empty if it crashed."""
    tensors: Tensors | None = None
    ends: Tensors | None = None
    """None of a copy that was not trained to the end."""
    test_accuracy: Share | None = None
    test_loss: NotNegative | None = None
    diverged_step: Step | None = None
    end: Flow | None = None
    crash: Crash | None = None
    total_sec: Seconds = 0.0

    def __post_init__(self) -> None:
        if bool(self.trajectory) == (self.crash is not None):
            raise ValueError("a copy has either a trajectory or a crash")
        if len(self.trajectory) % 4:
            raise ValueError("a trajectory is of numbers of four bytes")
        lacks = self.test_accuracy is None and not self.copy.cell.model
        if self.ends and lacks and self.diverged_step is None:
            raise ValueError("a copy that was trained to the end has a test accuracy, or diverged")
        if self.end is not None:
            self.end.check(self.copy.cell)

    @property
    def key(self) -> Copy:
        return self.copy

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.trajectory).hexdigest()


COPIES = Kind(Copy, CopyResult, file="copies.jsonl", plural="copies", what="copy's result")
