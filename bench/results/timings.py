"""Times of bursts on both sides of an upgrade, as data. Taken by :mod:`bench.execution.interleave`,
judged by :mod:`bench.verdict.speed`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

from bench.cells.cell import Cell
from bench.results.bounds import Step
from bench.results.kind import Crash

Side = Literal["old", "new"]
Work = Literal["training", "inference", "epochs", "models", "sequences"]
"""``epochs``: a step is an epoch of two batches, a burst one ``Model.fit`` of them. ``models``: a step
builds a network, trains it once and drops it. ``sequences``: a step is the gradient of a Dense
layer over sequences; of the cell only the engine counts."""
SIDES: tuple[Side, ...] = get_args(Side)


class Workload(NamedTuple):
    """Work that is timed: a cell on its engine."""

    cell: Cell
    work: Work

    @property
    def title(self) -> str:
        """Name for people: ``training, MLP of depth 3, fit``."""
        if self.work == "sequences":
            return "gradient of Dense over sequences"
        if self.cell.model:
            return f"{self.work}, {self.cell.model}, {self.cell.engine}"
        network = "CNN" if self.cell.architecture == "cnn" else f"MLP of depth {self.cell.depth}"
        return f"{self.work}, {network}, {self.cell.engine}"


#: Rounds of a workload: at the last look of :mod:`bench.verdict.speed`.
MOST_ROUNDS = 16

#: Seconds of a burst: fifty steps or so.
Burst = Annotated[float, Meta(ge=1e-6, le=1e6)]
#: Bursts of a process, there and back, and of the processes of a block: old, new, old, new.
_Pair = Annotated[Sequence[Burst], Meta(min_length=2, max_length=2)]
_Block = Annotated[Sequence[_Pair], Meta(min_length=4, max_length=4)]
#: One round of a workload: seconds of each burst, shape (blocks, processes, 2).
Round = Annotated[Sequence[_Block], Meta(min_length=1, max_length=1000)]


class Timings(msgspec.Struct, kw_only=True):
    """Times of one workload."""

    workload: Workload
    steps: Step = 0
    """Steps of each burst, the same on both sides and in all rounds; 0: none was measured."""
    rounds: Annotated[list[Round], Meta(max_length=MOST_ROUNDS)] = []
    crashes: dict[Side, Crash] = {}
    """Crashes of sides whose process died, hung or failed; the workload is then given up."""

    def __post_init__(self) -> None:
        if len({len(blocks) for blocks in self.rounds}) > 1:
            raise ValueError("rounds of one workload have different numbers of blocks")
