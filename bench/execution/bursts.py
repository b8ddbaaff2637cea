"""Bursts: what the throughput suite gives pytest-benchmark to measure.

The work is done, and timed, by a training process that has the machine to itself; the clock makes
pytest-benchmark count that time alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import msgspec

from bench.cells.cell import Cell
from bench.execution.protocol import Burst
from bench.execution.supervisor import Supervisor
from bench.measure.throughput import RemoteClock

_clock = RemoteClock()


def remote_clock() -> float:
    """The timer to give pytest-benchmark, in seconds."""
    return _clock()


class RemoteBursts:
    """Makes functions that run bursts of steps in a supervised process.

    Args:
        supervisor: of the process.
        timeout_sec: a burst that takes longer has hung.
    """

    def __init__(self, supervisor: Supervisor, timeout_sec: float) -> None:
        self._supervisor = supervisor
        self._timeout_sec = timeout_sec

    def __call__(
        self, cell: Cell, *, engine: str, work: Literal["training", "inference"], steps: int
    ) -> Callable[[], None]:
        """A function that runs ``steps`` steps of the cell on this engine; the first call compiles.

        It raises :class:`bench.execution.supervisor.CrashError` if the process dies of it.
        """
        on_engine = msgspec.structs.replace(cell, engine=engine)
        request = Burst(cell=on_engine, work=work, steps=steps)

        def burst() -> None:
            start = time.perf_counter()
            worked_sec = self._supervisor.ask(request, timeout_sec=self._timeout_sec)
            _clock.count(waited_sec=time.perf_counter() - start, worked_sec=worked_sec)

        return burst
