"""Pace: how fast one process does a workload, by calibration without TensorFlow, and its memory."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import msgspec
from msgspec import Meta

from bench.results.bounds import Count, Finite, Name, Seconds
from bench.results.kind import Crash, Kind, Outcome, Task
from bench.results.timings import Burst, Workload

Quantity = Literal["step", "first", "peak", "growth"]


class Measure(NamedTuple):
    """A quantity of a pace."""

    title: str
    unit: str
    logarithmic: bool
    """Whether it is compared by its logarithm."""
    smallest: float
    """Smallest change that matters: a share, or in ``unit``."""


#: A peak below 1 MiB is what one buffer of a batch takes.
QUANTITIES: Mapping[Quantity, Measure] = {
    "step": Measure("time of a step", "× calibration", logarithmic=True, smallest=0.02),
    "first": Measure("time to the first step", "× calibration", logarithmic=True, smallest=0.02),
    "peak": Measure("memory at peak", "MiB", logarithmic=False, smallest=1.0),
    "growth": Measure("growth of memory", "KiB/step", logarithmic=False, smallest=0.0),
}


def unit(quantity: Quantity, device: str) -> str:
    """Unit of a value: times are multiples of the calibration's on a CPU, and seconds on a GPU."""
    measure = QUANTITIES[quantity]
    return "s" if measure.logarithmic and device == "gpu" else measure.unit


class Pace(Task, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One workload, measured once in one process."""

    #: Before all else, so that the process is as it started; all by the worker that takes the first.
    turns: ClassVar[tuple[int, int]] = (-1, 9)

    workload: Workload
    steps: Annotated[int, Meta(ge=1, le=10_000)]
    """Of each burst."""
    scale: bool = False
    """Whether it is a point of the scaling of :mod:`bench.verdict.scaling`, and not held against stored
    runs by itself."""

    @property
    def cost(self) -> float:
        return 1.0

    @property
    def id(self) -> str:
        """``pace/training/mlp/depth:3/fit``; of a scaling ``scale/batch:8-width:100-depth:3``."""
        cell, work = self.workload
        if self.scale:
            return f"scale/batch:{cell.batch}-width:{cell.width}-depth:{cell.depth}"
        network = cell.model or f"{cell.architecture}/depth:{cell.depth}"
        return f"pace/{work}/{network}/{cell.engine}"

    def crashed(self, crash: Crash) -> PaceResult:
        return PaceResult(pace=self, crash=crash)


#: Blocks that are kept of a pace.
MOST_BLOCKS = 1000

#: Bursts of a block: the product's two, the sweep's two and the work's two.
_Two = Annotated[Sequence[Burst], Meta(min_length=2, max_length=2)]


class Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds of two bursts of each."""

    product: _Two
    sweep: _Two
    work: _Two

    @property
    def calibration_sec(self) -> float:
        """Geometric mean of the shorter ones of the product's and the sweep's."""
        return float((min(self.product) * min(self.sweep)) ** 0.5)


class PaceResult(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Outcome of a pace."""

    pace: Pace
    blocks: Annotated[Sequence[Block], Meta(max_length=MOST_BLOCKS)] = ()
    first_sec: Seconds = 0.0
    """From the request to the end of the second step: building, tracing, compiling, two steps."""
    peak_bytes: Count = 0
    """Resident size at its highest, less what it was before; on a GPU the allocator's peak. On a CPU
    TensorFlow keeps large buffers that were freed: what is taken from these is not counted. So
    paces are measured before anything is trained."""
    growth_bytes: Finite = 0.0
    """Bytes that each step leaves allocated."""
    growth_slack: Finite = 0.0
    """Bytes per step that mean nothing: what ``malloc``'s caches may hold back."""
    device: Name = "cpu"
    clocks: Name = ""
    """Of the GPU, as its driver tells them."""
    data: Name = ""
    worker: Name = ""
    total_sec: Seconds = 0.0
    crash: Crash | None = None

    def __post_init__(self) -> None:
        if bool(self.blocks) == (self.crash is not None):
            raise ValueError("a pace has blocks, or it crashed")

    @property
    def key(self) -> Pace:
        return self.pace

    @property
    def digest(self) -> str:
        return ""

    @property
    def values(self) -> dict[Quantity, float]:
        """Quantities in their units, as far as they were measured; none of a crash."""
        if not self.blocks:
            return {}
        calibration = [1.0 if self.device == "gpu" else b.calibration_sec for b in self.blocks]
        works = [min(block.work) / self.pace.steps for block in self.blocks]
        ratios = [work / base for work, base in zip(works, calibration, strict=True)]
        return {
            "step": statistics.median(ratios),
            **(
                {"first": self.first_sec / statistics.median(calibration)} if self.first_sec else {}
            ),
            **({"peak": self.peak_bytes / 2**20} if self.first_sec else {}),
            **({"growth": self.growth_bytes / 2**10} if self.growth_slack else {}),
        }

    @property
    def step_sec(self) -> float:
        """Seconds of a step: median over blocks of the shorter burst."""
        return statistics.median(min(block.work) for block in self.blocks) / self.pace.steps


PACES = Kind(Pace, PaceResult, file="paces.jsonl", plural="paces", what="pace's result")
