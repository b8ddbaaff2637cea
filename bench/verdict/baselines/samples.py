"""What a baseline holds: samples, cells, acceptances. Files are in
:mod:`bench.verdict.baselines.folder`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from bench.cells.cell import Cell
from bench.results.bounds import Count, Name, Text
from bench.results.copy_result import CopyResult
from bench.results.environment import Numerics
from bench.results.plan import Item
from bench.results.record import Record, Tensors
from bench.results.run import StoredRun
from bench.verdict.metrics import BY_NAME

Replica = tuple[Cell, int]


class Taken(Mapping[str, float | None]):
    """All metrics of a record, each worked out when it is asked for: of most cells none ever is."""

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        self._record = record

    def __getitem__(self, name: str) -> float | None:
        return BY_NAME[name].get(self._record)

    def __contains__(self, name: object) -> bool:
        return name in BY_NAME

    def __iter__(self) -> Iterator[str]:
        return iter(BY_NAME)

    def __len__(self) -> int:
        return len(BY_NAME)


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One seed of one cell. A crash is never stored: it occurs only in a run that stands in for a
    baseline, without a digest and without metrics."""

    seed: int
    outcome: Literal["trained", "diverged", "crashed"]
    digest: str
    metrics: Mapping[str, float | None]
    """By :attr:`Metric.name`, raw. A name that is absent was not measured when this was accepted;
    None was measured and is not defined."""
    trajectory: bytes = b""
    """Loss of the first steps, little-endian float32; empty where none was kept."""
    states: bytes = b""
    tensors: Tensors | None = None
    ends: Tensors | None = None
    """As records have them; empty where they were not taken."""

    def __post_init__(self) -> None:
        check_values(self.digest, self.metrics, crashed=self.outcome == "crashed")
        check_trajectory(self.trajectory)
        check_trajectory(self.states)

    @property
    def traced(self) -> bool:
        """Whether it has a trajectory or fingerprints."""
        return bool(self.trajectory) or self.tensors is not None


class BaselineCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell's stored results. The cell is written out with every default, so that a default which
    changed since is seen."""

    id: str
    cell: Cell
    samples: list[Sample]
    recipe: int = 1
    """:data:`bench.cells.cell.RECIPE` when they were measured; the oldest, should they differ."""
    acceptance: int = 0
    """The number of the acceptance that they came with, counted from 1; 0 for a run that only
    stands in for a baseline."""

    def __post_init__(self) -> None:
        if len({sample.seed for sample in self.samples}) != len(self.samples):
            raise ValueError(f"{self.id} has a seed twice")

    @property
    def by_seed(self) -> dict[int, Sample]:
        return {sample.seed: sample for sample in self.samples}

    @property
    def digests(self) -> dict[int, str]:
        """Digests by seed; crashes have none."""
        return {sample.seed: sample.digest for sample in self.samples if sample.digest}


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who took which run's results for right, and why."""

    run: Name
    date: Name
    """``2026-11-21``."""
    reason: Text
    reviewer: Text = ""
    cells: Count
    """How many cells' results this run gave."""
    tensorflow: Name
    keras: Name
    python: Name
    numpy: Name
    bench: Name
    commit: Name
    measured: Name = ""
    """When the run started: ``2026-11-21T03:15:02Z``."""
    superseded: Count = 0
    """How many cells' earlier results it replaced; these are in the history."""
    chain: Name = ""
    """Checksum of this acceptance and of all before it, so that removing, moving or editing one is
    seen. Empty if accepted under schema 1."""


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """All grids of one environment class."""

    environment_class: str
    numerics: Numerics
    data: dict[str, str]
    """``name``, ``fingerprint`` and ``source`` of the images."""
    acceptances: list[Acceptance]
    """Oldest first; empty for a run that only stands in for a baseline."""
    grids: dict[str, dict[str, BaselineCell]]
    """By grid, then by cell id."""
    name: str
    """How reasons call it: ``baseline <class>``, ``run <name>``, or a side of an upgrade."""
    short: str = "baseline"
    """How reasons call it where numbers of both sides stand next to each other."""
    lacking: dict[Item, str] = {}
    """Of a run in the place of a baseline: why it could not train an item, as its TensorFlow or Keras
    has no parts for it."""
    history: dict[str, list[BaselineCell]] = {}
    """By grid: results that a later acceptance replaced, in the order in which that happened; without
    trajectories and fingerprints."""
    software: dict[str, str] = {}
    """Versions by name, of a run in the place of a baseline; acceptances have those of a baseline."""
    machine: dict[str, str] = {}
    """Of a run in the place of a baseline."""
    copies: dict[Replica, list[CopyResult]] = {}
    """Of a run in the place of a baseline."""
    checked: bool = True
    """Whether its files have checksums; those of an older version have none."""
    fallback: Baseline | None = None
    """Of the next class, for cells that this one does not have."""

    def find(self, item: Item) -> BaselineCell | None:
        """The stored cell in the place of ``item``, here or in a fallback."""
        holder = self.holder(item)
        return holder.grids[item.grid][item.id] if holder is not None else None

    def holder(self, item: Item) -> Baseline | None:
        """This baseline or the fallback that has the cell; None if none has."""
        if item.id in self.grids.get(item.grid, {}):
            return self
        return self.fallback.holder(item) if self.fallback is not None else None

    def versions(self, cell: BaselineCell) -> dict[str, str]:
        """``tensorflow`` and ``keras`` that a stored cell was measured with."""
        if not 1 <= cell.acceptance <= len(self.acceptances):
            return self.software
        taken = self.acceptances[cell.acceptance - 1]
        return {"tensorflow": taken.tensorflow, "keras": taken.keras}

    @property
    def sources(self) -> list[Acceptance]:
        """The acceptances that the present cells came with; all of them where no cell names one."""
        named = {cell.acceptance for cells in self.grids.values() for cell in cells.values()}
        found = [taken for n, taken in enumerate(self.acceptances, start=1) if n in named]
        return found or self.acceptances


def chained(before: Sequence[Acceptance], accepted: Acceptance) -> Acceptance:
    """``accepted`` with the checksum that ties it to the acceptances before it."""
    facts = [[getattr(taken, name) for name in _CHAINED] for taken in (*before, accepted)]
    facts[-1] = facts[-1][:-1]
    digest = hashlib.sha256(msgspec.json.encode(facts)).hexdigest()
    return msgspec.structs.replace(accepted, chain=digest[:16])


#: What a checksum covers, ``chain`` last; a field added later is not among it.
_CHAINED = (
    *("run", "date", "reason", "reviewer", "cells", "tensorflow", "keras", "python", "numpy"),
    *("bench", "commit", "measured", "superseded", "chain"),
)


def baseline_from_run(run: StoredRun) -> Baseline:
    """A run in the place of a baseline, for comparing two runs.

    Crashed replicas are samples with the outcome ``crashed``; missing replicas have no sample, and a
    cell of which nothing was measured stays, without. A cell that this TensorFlow could not train is
    left out, and listed as ``lacking``.
    """
    absent = {
        item: record.absent
        for item in run.plan.items
        for record in run.of(item.cell)
        if record.absent
    }
    return Baseline(
        environment_class=run.environment.environment_class,
        numerics=run.environment.numerics,
        data=run.environment.data,
        acceptances=[],
        grids={
            grid: {item.id: baseline_cell(run, item) for item in items if item not in absent}
            for grid, items in run.plan.grids().items()
        },
        name=f"run {run.path.name}",
        lacking=absent,
        software=run.environment.software,
        machine=run.environment.machine,
        copies={(copy.cell, copy.seed): run.copies_of(copy.cell, copy.seed) for copy in run.copies},
    )


def stand_in(side: StoredRun) -> Baseline:
    """A side of an upgrade in the place of the other one's baseline."""
    return msgspec.structs.replace(baseline_from_run(side), name="OLD", short="OLD")


def baseline_cell(run: StoredRun, item: Item) -> BaselineCell:
    """What a run has of an item, crashes included."""
    records = [record for record in run.of(item.cell) if not record.absent]
    return BaselineCell(
        id=item.id,
        cell=item.cell,
        samples=[sample(record) for record in records],
        recipe=min((record.recipe for record in records), default=1),
    )


def sample(record: Record) -> Sample:
    """What a baseline keeps of a record; of a crash, that it happened."""
    if record.outcome == "crashed":
        return Sample(seed=record.seed, outcome="crashed", digest="", metrics={})
    assert record.outcome != "absent"  # there is nothing to keep
    return Sample(
        seed=record.seed,
        outcome=record.outcome,
        digest=record.digest,
        metrics=Taken(record),
        trajectory=record.trajectory,
        states=record.states,
        tensors=record.tensors,
        ends=record.ends,
    )


def difference(before: Cell, after: Cell) -> str:
    """The axes in which two cells differ: ``steps 600, now 300``."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return ", ".join(f"{key} {old[key]}, now {new[key]}" for key in old if old[key] != new[key])


def check_values(digest: str, metrics: Mapping[str, float | None], *, crashed: bool) -> None:
    """Raises ValueError unless these may be a sample's digest and metrics."""
    if not crashed and not digest:
        raise ValueError("the digest is empty")
    if isinstance(metrics, Taken):  # of a record, whose numbers were checked when it was read
        return
    unknown = [name for name in metrics if name not in BY_NAME]
    if unknown:
        raise ValueError(f"metric {unknown[0]} is unknown; known are {', '.join(BY_NAME)}")
    for name, value in metrics.items():
        if value is None:
            continue
        if not math.isfinite(value):
            raise ValueError(f"{name} is not finite; null stands for that")
        if value < 0:
            raise ValueError(f"{name} is below 0")
        if value > 1 and BY_NAME[name].unit.startswith("share"):
            raise ValueError(f"{name} is a share, and beyond 1")
        if value == 0 and BY_NAME[name].scale == "log":
            raise ValueError(f"{name} is 0, which has no logarithm; null stands for that")
    if crashed and (digest or metrics):
        raise ValueError("a crash has neither a digest nor metrics")


def check_trajectory(trajectory: bytes) -> None:
    """Raises ValueError unless it may be float32 numbers."""
    if len(trajectory) % 4:
        raise ValueError(f"a trajectory of {len(trajectory)} bytes is not of float32 numbers")
