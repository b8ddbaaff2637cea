"""Bursts: what the throughput suite gives pytest-benchmark to measure.

The work is done, and timed, by a training process that has the machine to itself; the clock makes
pytest-benchmark count that time alone. Before each burst the process does one of calibration, which the
clock does not count.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from bench.cells.cell import Cell
from bench.execution.protocol import Burst, Calibrate, Ready
from bench.execution.supervisor import Supervisor
from bench.measure.throughput import RemoteClock
from bench.results.pace import MOST_BLOCKS, Block, Pace, PaceResult
from bench.results.timings import Workload

_clock = RemoteClock()


def remote_clock() -> float:
    """The timer to give pytest-benchmark, in seconds."""
    return _clock()


class RemoteBurst:
    """A function that runs a burst of a workload in a supervised process.

    Args:
        pace: the workload.
        supervisor: of the process.
        device: ``cpu`` or ``gpu``.
        timeout_sec: a burst that takes longer has hung.
    """

    def __init__(
        self, pace: Pace, supervisor: Supervisor, *, device: str, timeout_sec: float
    ) -> None:
        self._pace = pace
        self._supervisor = supervisor
        self._device = device
        self._timeout_sec = timeout_sec
        self._seconds: list[tuple[float, float, float]] = []

    def __call__(self) -> None:
        """Runs one; the first one compiles. Raises
        :class:`bench.execution.supervisor.CrashError` if the process dies of it."""
        pace = self._pace
        cell, work = pace.workload
        request = Burst(cell=cell, work=work, steps=pace.steps)
        start = time.perf_counter()
        product, sweep = self._supervisor.ask(Calibrate(), timeout_sec=self._timeout_sec)
        worked_sec = self._supervisor.ask(request, timeout_sec=self._timeout_sec)
        _clock.count(waited_sec=time.perf_counter() - start, worked_sec=worked_sec)
        self._seconds.append((product, sweep, worked_sec))

    @property
    def result(self) -> PaceResult | None:
        """All bursts but the first as blocks of two; None if there were fewer than three."""
        later = self._seconds[1:]
        blocks = [
            Block(product=products, sweep=sweeps, work=works)
            for products, sweeps, works in (
                zip(*pair, strict=True) for pair in zip(later[::2], later[1::2], strict=False)
            )
        ]
        if not blocks:
            return None
        return PaceResult(pace=self._pace, blocks=blocks[:MOST_BLOCKS], device=self._device)


class RemoteBursts:
    """Makes functions that run bursts of steps in a supervised process.

    Args:
        supervisor: of the process.
        ready: what the process said of itself.
        timeout_sec: a burst that takes longer has hung.
    """

    def __init__(self, supervisor: Supervisor, ready: Ready, timeout_sec: float) -> None:
        self._supervisor = supervisor
        self.ready = ready
        self._timeout_sec = timeout_sec
        self._made: list[RemoteBurst] = []

    def __call__(
        self, cell: Cell, *, engine: str, work: Literal["training", "inference"], steps: int
    ) -> RemoteBurst:
        """One that runs ``steps`` steps of the cell on this engine."""
        workload = Workload(msgspec.structs.replace(cell, engine=engine), work)
        pace = Pace(workload=workload, steps=steps)
        self._made.append(
            RemoteBurst(
                pace,
                self._supervisor,
                device=self.ready.numerics.device,
                timeout_sec=self._timeout_sec,
            )
        )
        return self._made[-1]

    @property
    def results(self) -> list[PaceResult]:
        """Of all that ran often enough."""
        return [result for burst in self._made if (result := burst.result) is not None]
