"""Progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Protocol, TextIO

from bench.cell import Cell
from bench.record import Record
from bench.run import Plan

#: Plain lines come at most this often.
PLAIN_EVERY_SEC = 10.0


class Costs(Protocol):
    """Relative work of a replica."""

    def __call__(self, cell: Cell) -> float: ...


class Progress:
    """Counts what is done, and tells what is running and how long the rest will take.

    Args:
        plan: what the run measures in all.
        done: replicas measured by an earlier, interrupted part of the run.
        cost: relative work of a replica, for the remaining time.
        stream: where it is shown.
        live: whether ``stream`` is a terminal that can be redrawn.
    """

    def __init__(
        self, plan: Plan, done: list[tuple[Cell, int]], *, cost: Costs, stream: TextIO, live: bool
    ) -> None:
        self._stream = stream
        self._live = live
        self._cost = cost
        self._ids = {item.cell: f"{item.grid}/{item.id}" for item in reversed(plan.items)}
        self._open = Counter(cell for cell, _ in plan.replicas())
        self._cells = len(self._open)
        self._replicas = sum(self._open.values())
        self._left = sum(cost(cell) for cell, _ in plan.replicas())
        self._worked = 0.0
        self._failed = 0
        self._running: dict[str, str] = {}
        self._begin = time.monotonic()
        self._first = self._begin
        self._shown = self._begin
        for cell, _ in done:
            self._count(cell)

    def __enter__(self) -> Progress:
        if self._live:
            from rich.console import Console
            from rich.live import Live

            self._display = Live(
                console=Console(file=self._stream),
                refresh_per_second=4,
                transient=True,
                get_renderable=self._renderable,
            )
            self._display.start()
        else:
            self._line("starting workers")
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._display.stop()
        self._line(self.summary())

    def started(self, worker: str, cell: Cell, seed: int) -> None:
        if not self._worked and not self._running:
            self._first = time.monotonic()  # the workers' start is not the cells' speed
        self._running[worker] = f"{self._ids[cell]} seed {seed}"

    def finished(self, worker: str, record: Record) -> None:
        self._running.pop(worker, None)
        self._worked += self._cost(record.cell)
        self._count(record.cell)
        if record.crash is not None:
            self._failed += 1
            self._line(
                f"crashed: {self._ids[record.cell]} seed {record.seed}: {record.crash.message}"
            )

    def tick(self) -> None:
        if not self._live and time.monotonic() - self._shown >= PLAIN_EVERY_SEC:
            running = ", ".join(self._running.values()) or "starting workers"
            self._line(f"{self.summary()}; running: {running}")

    def summary(self) -> str:
        """Done and total, elapsed and remaining time."""
        cells = sum(1 for left in self._open.values() if not left)
        replicas = self._replicas - sum(self._open.values())
        failed = f", {self._failed} crashed" if self._failed else ""
        return (
            f"{cells}/{self._cells} cells, {replicas}/{self._replicas} replicas{failed}, elapsed "
            f"{clock(time.monotonic() - self._begin)}, remaining {self._remaining()}"
        )

    def _count(self, cell: Cell) -> None:
        self._open[cell] -= 1
        self._left -= self._cost(cell)

    def _remaining(self) -> str:
        if not any(self._open.values()):
            return "0:00"
        if not self._worked:
            return "unknown"
        return clock((time.monotonic() - self._first) * self._left / self._worked)

    def _line(self, text: str) -> None:
        if self._live:
            self._display.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=self._stream, flush=True)
        self._shown = time.monotonic()

    def _renderable(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        done = self._replicas - sum(self._open.values())
        grid = Table.grid()
        grid.add_row(ProgressBar(total=self._replicas, completed=done, width=60))
        grid.add_row(Text(self.summary()))
        for _, what in sorted(self._running.items()):
            grid.add_row(Text(f"  {what}", no_wrap=True, overflow="ellipsis"))
        return grid


def clock(seconds: float) -> str:
    """``1:05`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
