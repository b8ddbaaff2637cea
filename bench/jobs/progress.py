"""Progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple, TextIO

from bench.cells.cell import Cell
from bench.report.text import clipped
from bench.results.kind import Outcome, Task
from bench.results.plan import Plan
from bench.results.tasks import KINDS

#: A plain line comes after this many seconds at least, or this share of those that have passed: 35 in a
#: quarter of an hour. CI services take ten minutes of silence for a hang, and five are the most.
PLAIN_EVERY_SEC, _PLAIN_SHARE, _PLAIN_MOST_SEC = 10.0, 0.1, 300.0
#: Characters of a plain line.
PLAIN_WIDTH = 120


class _Running(NamedTuple):
    """A task under way."""

    title: str
    cost: float
    begin: float


class Progress:
    """Counts what is done, and shows what is running and how long the rest will take.

    Args:
        plan: what the run measures in all.
        done: tasks of an earlier, interrupted part of the run.
        stream: where it is shown.
        live: whether ``stream`` is a terminal that can be redrawn.
        name: begins each line, where several runs are watched at a time.
    """

    def __init__(
        self,
        plan: Plan,
        done: Iterable[Task],
        *,
        stream: TextIO,
        live: bool,
        name: str = "",
    ) -> None:
        self._name = f"{name}: " if name else ""
        self._stream = stream
        self._live = live
        self._names = plan.names()
        #: Further seeds and copies of cells whose bits differ come once these are known.
        self._grows = bool(plan.further or plan.decide)
        #: A cell that stands in two grids is trained once and counts in both, as in reports.
        self._places = Counter(item.cell for item in plan.items)
        self._open: Counter[Cell] = Counter()
        self._total: Counter[type[Task]] = Counter()
        self._done: Counter[type[Task]] = Counter()
        self._left = self._worked = self._busy_sec = 0.0
        self._failed = 0
        self._running: dict[str, _Running] = {}
        self._begin = time.monotonic()
        self._shown = self._begin
        done = list(done)
        self.added(dict.fromkeys([*plan.tasks(), *done]))
        for task in done:
            self._count(task)

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

    def added(self, tasks: Iterable[Task]) -> None:
        """More is to be done than was planned: further seeds, and copies."""
        for task in tasks:
            self._left += task.cost
            self._total[type(task)] += 1
            if task.cell is not None:
                self._open[task.cell] += 1

    def started(self, worker: str, task: Task) -> None:
        self._running[worker] = _Running(task.title(self._names), task.cost, time.monotonic())

    def finished(self, worker: str, outcome: Outcome) -> None:
        self._count(outcome.key)
        running = self._running.pop(worker, None)
        if running is not None:
            self._worked += running.cost
            self._busy_sec += time.monotonic() - running.begin
        self._failed += outcome.crash is not None
        if outcome.alarm is not None:
            what, why = outcome.alarm
            self._line(f"{what}: {outcome.key.title(self._names)}: {why}")

    def tick(self) -> None:
        now = time.monotonic()
        wait_sec = min(max(PLAIN_EVERY_SEC, _PLAIN_SHARE * (now - self._begin)), _PLAIN_MOST_SEC)
        if self._live or now - self._shown < wait_sec:
            return
        longest = next((one.title for one in self._running.values()), "starting workers")
        room = PLAIN_WIDTH - len(self._name)
        self._line(clipped(f"{self.summary(ended=False)}; {longest}", room))

    def summary(self, *, ended: bool = True) -> str:
        """Done and total, elapsed and remaining time; kinds of which all is done only if ``ended``."""
        places = {cell: self._places[cell] or 1 for cell in self._open}
        cells = sum(places[cell] for cell, left in self._open.items() if not left)
        counts = [f"{cells}/{sum(places.values())} cells"] if places else []
        for kind in KINDS:
            done, total = self._done[kind.task], self._total[kind.task]
            if total and (ended or done < total):
                counts.append(f"{done}/{total} {kind.plural}")
        failed = f", {self._failed} crashed" if self._failed else ""
        return (
            f"{', '.join(counts)}{failed}, elapsed "
            f"{clock(time.monotonic() - self._begin)}, remaining {self._remaining()}"
        )

    def _count(self, task: Task) -> None:
        """Notes a task as done."""
        self._left -= task.cost
        self._done[type(task)] += 1
        if task.cell is not None:
            self._open[task.cell] -= 1

    def _remaining(self) -> str:
        """Time left, from what a worker took for a unit of work, if all that run now share the rest;
        at least, where more may come."""
        if self._done.total() == self._total.total():
            return "0:00"
        if not self._worked:
            return "unknown"
        now, pace = time.monotonic(), self._busy_sec / self._worked
        running = self._running.values()
        ends = [max(0.0, one.begin + pace * one.cost - now) for one in running]
        waiting = pace * (self._left - sum(one.cost for one in running))
        left = clock(max([*ends, (sum(ends) + waiting) / max(len(ends), 1)]))
        return f"at least {left}" if self._grows else left

    def _line(self, text: str) -> None:
        text = self._name + text
        if self._live:
            self._display.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=self._stream, flush=True)
        self._shown = time.monotonic()

    def _renderable(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid()
        grid.add_row(ProgressBar(total=self._total.total(), completed=self._done.total(), width=60))
        grid.add_row(Text(self.summary()))
        for _, one in sorted(self._running.items()):
            grid.add_row(Text(f"  {one.title}", no_wrap=True, overflow="ellipsis"))
        return grid


def clock(seconds: float) -> str:
    """``1:05`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
