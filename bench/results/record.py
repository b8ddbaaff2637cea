"""Replica and record: one training of a cell, and its measurements or failure.

A number that is not finite is written as ``null``: JSON has no other word for it. Its place shows
which layer overflowed.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Literal

import msgspec

from bench.cells import recurrent
from bench.cells.architectures import CONVOLUTIONAL, FEED_FORWARD, PATCH, TOKENS, sides
from bench.cells.cell import Cell
from bench.results.bounds import (
    Count,
    Name,
    NotNegative,
    Rate,
    Seconds,
    Seed,
    Share,
    Step,
    Text,
)
from bench.results.flow import Flow, PackedFlow
from bench.results.histogram import Histogram
from bench.results.kind import Crash, Kind, Outcome, Task
from bench.results.own_model import OwnMeasured

SCHEMA = 3

#: Schemas that this version reads: 1 had no ``tensors`` and no ``recipe``; 2 kept the losses of 200
#: steps, and neither ``states`` nor ``ends``.
READABLE = (1, 2, 3)


#: Numbers that stand for a tensor in :class:`Tensors`.
VALUES = 3


class Tensors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Fingerprints of a replica's tensors before some steps: enough to say which of them departed, and
    by how much, when only one side can be run again. :mod:`bench.measure.tensors` takes them."""

    names: list[Name]
    """Tensors in the order of the computation: variables, as the last step left them, then the forward
    and the backward pass."""
    steps: list[Step]
    hashes: bytes
    """Little-endian uint32 (steps, names): a hash of all bits of a tensor; base64 in JSON."""
    values: bytes
    """Little-endian float32 (steps, names, VALUES): root mean square of the entries, then their
    sums with random signs, over the square root of their number; base64 in JSON."""

    def __post_init__(self) -> None:
        count = len(self.names) * len(self.steps)
        if len(self.hashes) != 4 * count or len(self.values) != 4 * VALUES * count:
            raise ValueError(f"fingerprints of {count} tensors have another size")
        if len(set(self.names)) < len(self.names) or sorted(set(self.steps)) != self.steps:
            raise ValueError("a tensor is named twice, or steps do not rise")


class Training(Task, frozen=True, forbid_unknown_fields=True):
    """A task that trains a cell once."""

    turns: ClassVar[tuple[int, int]] = (0, 4)

    cell: Cell
    seed: int

    @property
    def cost(self) -> float:
        cell = self.cell
        if cell.architecture == "cnn":
            first, second, dense = cell.filters, 2 * cell.filters, 32 * cell.filters
            per_image = (
                28 * 28 * 25 * first + 14 * 14 * 25 * first * second + 7 * 7 * second * dense
            )
        elif cell.architecture in recurrent.ARCHITECTURES:
            gates = {"simple_rnn": 1, "lstm": 4, "gru": 3}[cell.architecture]
            per_step = gates * cell.width * (cell.pixels + (2 * cell.depth - 1) * cell.width)
            # A step of a loop takes about as long as 10,000 products beside what it computes.
            per_step += 10_000 * cell.depth // cell.batch
            per_image = recurrent.steps(cell) * recurrent.directions(cell) * per_step
        elif cell.architecture in CONVOLUTIONAL:
            widths = [1, *[cell.filters] * (cell.depth - 1)]
            layers = zip(sides(cell), widths, strict=True)
            per_image = sum(9 * side**2 * width * cell.filters for side, width in layers)
        elif cell.architecture == "transformer":
            block = 4 * cell.width**2 + 2 * TOKENS * cell.width + 2 * FEED_FORWARD * cell.width**2
            per_image = TOKENS * (PATCH**2 * cell.width + cell.depth * block)
        else:
            per_image = 784 * cell.width + max(cell.depth - 1, 0) * cell.width**2
        normalized = 2 if cell.normalization != "none" else 1
        return normalized * per_image * cell.batch * cell.steps / 1e6

    @property
    def shares(self) -> Hashable:
        return self.cell.graph()

    @property
    def order(self) -> tuple[int, ...]:
        return (self.seed,)

    @property
    def id(self) -> str:
        return self.title({})

    def title(self, names: Mapping[Cell, str]) -> str:
        """``depth/depth:3-act:relu, seed 0``."""
        name = names.get(self.cell) or self.cell.id(("depth", "act", "init", "norm"))
        return f"{name}, seed {self.seed}"


class Replica(Training, frozen=True, forbid_unknown_fields=True, gc=False):
    """One training of a cell under one seed."""

    def crashed(self, crash: Crash) -> Record:
        return Record(cell=self.cell, seed=self.seed, outcome="crashed", crash=crash)


class Record(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Measurements of a replica, or its failure."""

    schema: int = SCHEMA
    cell: Cell
    seed: Seed
    outcome: Literal["trained", "diverged", "crashed", "absent"]
    data: Name = ""
    """Fingerprint of the images."""
    environment: Name = ""
    """Environment class that the digest belongs to."""
    test_accuracy: Share | None = None
    """Share of test images. None unless trained."""
    test_loss: NotNegative | None = None
    diverged_step: Step | None = None
    """First step, counted from 0, whose loss is NaN or infinite."""
    digest: Name = ""
    """Equal digests mean that nothing computed differs: step-0 gradients, losses, variables at the end,
    test accuracy and loss. Empty if crashed."""
    trajectory: bytes = b""
    """Loss of the first steps, little-endian float32; base64 in JSON."""
    states: bytes = b""
    """Little-endian uint32: a hash of all variables before each of
    :func:`bench.measure.trajectory.marks`; base64 in JSON."""
    tensors: Tensors | None = None
    ends: Tensors | None = None
    """Fingerprints before the first step and after the last one: of all variables, and of the logits of
    all test images in inference mode."""
    recipe: Count = 1
    """:data:`bench.cells.cell.RECIPE` of the code that trained it."""
    start: Flow | None = None
    end: Flow | None = None
    images_per_sec: Rate | None = None
    """Speed of the training loop alone: no tracing, compilation or evaluation."""
    training_sec: Seconds = 0.0
    total_sec: Seconds = 0.0
    """Seconds from the request to the record, tracing and measuring included."""
    worker: Name = ""
    crash: Crash | None = None
    absent: Text = ""
    """Reason why this TensorFlow cannot train the cell: ``Keras 2.12.0 has no optimizer Lamb``."""
    histograms: Sequence[Histogram] | msgspec.UnsetType = msgspec.UNSET
    """Histograms of each variable and its gradient, for TensorBoard: no stored record has them."""
    own: OwnMeasured | msgspec.UnsetType = msgspec.UNSET
    """Measurements of a model of the user's."""

    def __post_init__(self) -> None:
        if self.schema not in READABLE:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")
        if (self.outcome == "crashed") != (self.crash is not None):
            raise ValueError("outcome 'crashed' and a crash go together")
        if (self.outcome == "absent") != bool(self.absent):
            raise ValueError("outcome 'absent' and a reason go together")
        if (self.outcome == "diverged") != (self.diverged_step is not None):
            raise ValueError("outcome 'diverged' and a diverged_step go together")
        if len(self.states) % 4 or len(self.trajectory) % 4:
            raise ValueError("a trajectory and states are of numbers of four bytes")
        lacks = self.test_accuracy is None and not self.cell.model
        if self.outcome == "trained" and (lacks or not self.digest):
            raise ValueError("a trained replica has a test accuracy and a digest")
        for flow in (self.start, self.end):
            if flow is not None:
                flow.check(self.cell)

    @property
    def attempted(self) -> bool:
        """Whether it was tried: a replica is skipped after another one of its cell hung."""
        return self.crash is None or self.crash.reason != "not attempted"

    @property
    def key(self) -> Replica:
        return Replica(self.cell, self.seed)

    def compact(self) -> None:
        """Shares what other records have too, and packs flows."""
        change, intern = msgspec.structs.force_setattr, sys.intern
        cell, accuracy, start, end = self.cell, self.test_accuracy, self.start, self.end
        change(self, "cell", _CELLS.setdefault(cell, cell))
        change(self, "seed", _SEEDS.setdefault(self.seed, self.seed))
        change(self, "test_accuracy", _SHARES.setdefault(accuracy, accuracy))
        change(self, "data", intern(self.data))
        change(self, "environment", intern(self.environment))
        change(self, "worker", intern(self.worker))
        if type(start) is Flow and start.over_time is start.products:  # it has neither
            change(self, "start", PackedFlow.of(start))
        if type(end) is Flow and end.over_time is end.products:
            change(self, "end", PackedFlow.of(end))

    def share(self, twin: Outcome) -> None:
        for name in _LARGE:
            ours, theirs = getattr(self, name), getattr(twin, name)
            if type(ours) is type(theirs) and ours == theirs:
                msgspec.structs.force_setattr(self, name, theirs)

    def stored(self) -> Record:
        """The record without its histograms."""
        return msgspec.structs.replace(self, histograms=msgspec.UNSET)


#: Fields that take most of a record's memory.
_LARGE = ("digest", "trajectory", "states", "tensors", "ends", "start", "end")
#: Cells, seeds and accuracies of records in memory: a million of them share a few thousand of each.
_CELLS: dict[Cell, Cell] = {}
_SEEDS: dict[int, int] = {}
_SHARES: dict[float | None, float | None] = {}

RECORDS = Kind(
    Replica,
    Record,
    file="records.jsonl",
    plural="replicas",
    what=f"record of schema {SCHEMA}",
    required=True,
)
