"""Progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TextIO

from bench.cells.cell import Cell
from bench.results.check import Check, CheckResult
from bench.results.copy_result import Copy
from bench.results.plan import Plan
from bench.results.tasks import Outcome, Task
from bench.results.trial import Trial

#: Plain lines come at most this often.
PLAIN_EVERY_SEC = 10.0


class _Running(NamedTuple):
    """A task under way."""

    called: str
    cost: float
    begin: float


class Progress:
    """Counts what is done, and tells what is running and how long the rest will take.

    Args:
        plan: what the run measures in all.
        done: tasks of an earlier, interrupted part of the run.
        cost: relative work of a task, for the remaining time.
        stream: where it is shown.
        live: whether ``stream`` is a terminal that can be redrawn.
        name: begins each line, where several runs are watched at a time.
    """

    def __init__(
        self,
        plan: Plan,
        done: Iterable[Task],
        *,
        cost: Callable[[Task], float],
        stream: TextIO,
        live: bool,
        name: str = "",
    ) -> None:
        self._name = f"{name}: " if name else ""
        self._stream = stream
        self._live = live
        self._cost = cost
        self._ids = {item.cell: f"{item.grid}/{item.id}" for item in reversed(plan.items)}
        self._open: Counter[Cell] = Counter(cell for cell, _ in plan.replicas())
        self._cells = len(self._open)
        self._replicas = sum(self._open.values())
        self._checks = len(plan.checks)
        self._verified = 0
        self._copies = self._copied = 0
        self._trials = len(plan.trials)
        self._tried = 0
        planned: list[Task] = [*plan.replicas(), *plan.checks, *plan.trials]
        self._left = sum(cost(task) for task in planned)
        self._worked = self._busy_sec = 0.0
        self._failed = 0
        self._running: dict[str, _Running] = {}
        self._begin = time.monotonic()
        self._shown = self._begin
        done = list(done)
        self.added([task for task in done if isinstance(task, Copy)])
        known = set(planned)
        self.added([task for task in done if isinstance(task, tuple) and task not in known])
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
            self._left += self._cost(task)
            if isinstance(task, Copy):
                self._copies += 1
            elif isinstance(task, tuple):
                self._open[task[0]] += 1
                self._replicas += 1

    def started(self, worker: str, task: Task) -> None:
        self._running[worker] = _Running(self._called(task), self._cost(task), time.monotonic())

    def finished(self, worker: str, outcome: Outcome) -> None:
        task = outcome.key
        self._count(task)
        running = self._running.pop(worker, None)
        if running is not None:
            self._worked += running.cost
            self._busy_sec += time.monotonic() - running.begin
        if outcome.crash is not None:
            self._failed += 1
            self._line(f"crashed: {self._called(task)}: {outcome.crash.message}")
        elif isinstance(outcome, CheckResult) and outcome.fails:
            self._line(f"out of bounds: {outcome.check.id}: {outcome.reason}")

    def tick(self) -> None:
        if not self._live and time.monotonic() - self._shown >= PLAIN_EVERY_SEC:
            running = ", ".join(one.called for one in self._running.values()) or "starting workers"
            self._line(f"{self.summary()}; running: {running}")

    def summary(self) -> str:
        """Done and total, elapsed and remaining time."""
        cells = sum(1 for left in self._open.values() if not left)
        replicas = self._replicas - sum(self._open.values())
        failed = f", {self._failed} crashed" if self._failed else ""
        done = []
        if self._cells:
            done += [f"{cells}/{self._cells} cells", f"{replicas}/{self._replicas} replicas"]
        if self._checks:
            done.append(f"{self._verified}/{self._checks} checks")
        if self._copies:
            done.append(f"{self._copied}/{self._copies} copies")
        if self._trials:
            done.append(f"{self._tried}/{self._trials} trials")
        return (
            f"{', '.join(done)}{failed}, elapsed "
            f"{clock(time.monotonic() - self._begin)}, remaining {self._remaining()}"
        )

    def _called(self, task: Task) -> str:
        if isinstance(task, (Check, Trial)):
            return task.id
        if isinstance(task, Copy):
            return f"{self._ids[task.cell]} seed {task.seed}, copy {task.number}"
        cell, seed = task
        return f"{self._ids[cell]} seed {seed}"

    def _count(self, task: Task) -> None:
        """Notes a task as done."""
        if isinstance(task, Check):
            self._verified += 1
        elif isinstance(task, Copy):
            self._copied += 1
        elif isinstance(task, Trial):
            self._tried += 1
        else:
            self._open[task[0]] -= 1
        self._left -= self._cost(task)

    def _total(self) -> int:
        return self._replicas + self._checks + self._copies + self._trials

    def _done(self) -> int:
        replicas = self._replicas - sum(self._open.values())
        return replicas + self._verified + self._copied + self._tried

    def _remaining(self) -> str:
        """By the time that a worker took for a unit of work, when all that run now share the rest."""
        if self._done() == self._total():
            return "0:00"
        if not self._worked:
            return "unknown"
        now, pace = time.monotonic(), self._busy_sec / self._worked
        running = self._running.values()
        ends = [max(0.0, one.begin + pace * one.cost - now) for one in running]
        waiting = pace * (self._left - sum(one.cost for one in running))
        return clock(max([*ends, (sum(ends) + waiting) / max(len(ends), 1)]))

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
        grid.add_row(ProgressBar(total=self._total(), completed=self._done(), width=60))
        grid.add_row(Text(self.summary()))
        for _, one in sorted(self._running.items()):
            grid.add_row(Text(f"  {one.called}", no_wrap=True, overflow="ellipsis"))
        return grid


def clock(seconds: float) -> str:
    """``1:05`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
