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
Work = Literal["training", "inference"]
SIDES: tuple[Side, ...] = get_args(Side)


class Workload(NamedTuple):
    """Work that is timed: a cell on its engine."""

    cell: Cell
    work: Work

    @property
    def title(self) -> str:
        """Name for people: ``training, MLP of depth 3, fit``."""
        network = "CNN" if self.cell.architecture == "cnn" else f"MLP of depth {self.cell.depth}"
        return f"{self.work}, {network}, {self.cell.engine}"


#: Seconds of a burst.
Burst = Annotated[float, Meta(gt=0, le=1e9)]

#: One round of a workload: seconds of each burst, shape (blocks, processes, 2).
Round = Sequence[Sequence[Sequence[Burst]]]


class Timings(msgspec.Struct, kw_only=True):
    """Times of one workload."""

    workload: Workload
    steps: Step = 0
    """Steps of each burst, the same on both sides and in all rounds; 0: none was measured."""
    rounds: list[Round] = []
    crashes: dict[Side, Crash] = {}
    """Crashes of sides whose process died, hung or failed; the workload is then given up."""
