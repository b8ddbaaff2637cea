"""Traces: what is compared bit by bit of one training, and since when two of them part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bench.cells.cell import Cell
from bench.measure.tensors import common
from bench.measure.trajectory import from_bytes, marks
from bench.results.copy_result import CopyResult
from bench.results.record import Record, Tensors
from bench.verdict.baselines.samples import Sample
from bench.verdict.metrics import METRICS

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """What was seen of one training: of a replica, a baseline's sample, or a copy."""

    losses: Array
    tensors: Tensors | None = None
    states: bytes = b""
    ends: Tensors | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Raw, by name; empty of what was not trained to its end."""

    @classmethod
    def of(cls, source: Record | Sample | CopyResult) -> Trace:
        """Builds it from what is stored."""
        losses = from_bytes(source.trajectory).astype(np.float64)
        if isinstance(source, CopyResult):
            measured = {} if source.ends is None else _metrics(_record(source))
            return cls(losses, source.tensors, b"", source.ends, measured)
        metrics = source.metrics if isinstance(source, Sample) else _metrics(source)
        return cls(losses, source.tensors, source.states, source.ends, metrics)


def _metrics(record: Record) -> dict[str, float | None]:
    return {metric.name: metric.get(record) for metric in METRICS}


def _record(copy: CopyResult) -> Record:
    """A copy as the record of a training, for its metrics at the end."""
    return Record(
        cell=copy.copy.cell,
        seed=copy.copy.seed,
        outcome="trained" if copy.diverged_step is None else "diverged",
        digest="copy",
        test_accuracy=copy.test_accuracy,
        test_loss=copy.test_loss,
        diverged_step=copy.diverged_step,
        trajectory=copy.trajectory,
        end=copy.end,
    )


@dataclass(frozen=True)
class Seed:
    """One seed of a cell: the run, what it is compared with, and the copies of either."""

    run: Trace
    baseline: Trace
    copies: Sequence[Trace]
    """Of the run's replica."""
    baseline_copies: Sequence[Trace] = ()

    def moved(self) -> Iterator[tuple[Trace, Trace]]:
        """Each copy, and the replica that it is a copy of."""
        yield from ((copy, self.run) for copy in self.copies)
        yield from ((copy, self.baseline) for copy in self.baseline_copies)

    @property
    def count(self) -> int:
        """The number of copies."""
        return len(self.copies) + len(self.baseline_copies)


def equal_until(cell: Cell, first: Trace, second: Trace) -> int:
    """The last step before which two trainings are known to have the same bits in all variables and in
    all losses so far: 0 if they part at once, ``cell.steps`` if only what followed training differs.

    Known from hashes of all variables, before :func:`bench.measure.trajectory.marks`; where a side has
    none, from fingerprints of each tensor.
    """
    steps = min(len(first.losses), len(second.losses))
    parted = np.flatnonzero(_bits(first.losses[:steps]) != _bits(second.losses[:steps]))
    limit = int(parted[0]) if parted.size else cell.steps
    if not parted.size and steps < cell.steps and not (first.states and second.states):
        limit = steps
    last = 0
    for step, same in _compared(cell, first, second):
        if not same or step > limit:
            break
        last = step
    return last


def trained_apart(first: Trace, second: Trace) -> bool:
    """Whether two trainings themselves are known to have other bits, not only what followed them."""
    steps = min(len(first.losses), len(second.losses))
    if (_bits(first.losses[:steps]) != _bits(second.losses[:steps])).any():
        return True
    return bool(first.states and second.states) and first.states != second.states


def _bits(losses: Array) -> npt.NDArray[np.uint32]:
    return losses.astype(np.float32).view(np.uint32)


def _compared(cell: Cell, first: Trace, second: Trace) -> Iterator[tuple[int, bool]]:
    """Steps in order, and whether the states before them have the same bits."""
    if first.states and second.states:
        pairs = zip(*(np.frombuffer(side.states, "<u4") for side in (first, second)), strict=False)
        yield from (
            (step, bool(a == b)) for step, (a, b) in zip(marks(cell.steps), pairs, strict=False)
        )
    elif first.tensors is not None and second.tensors is not None:
        a, b = common(first.tensors, second.tensors)
        hashes = [
            np.frombuffer(side.hashes, "<u4").reshape(len(side.steps), len(side.names))
            for side in (a, b)
        ]
        training = ["inference" not in name for name in a.names]
        same = (hashes[0] == hashes[1])[:, training].all(axis=1)
        yield from zip(a.steps, map(bool, same), strict=True)
