"""Progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TextIO

from bench.cells.cell import Cell
from bench.report.text import clipped
from bench.results.copy_result import Copy
from bench.results.kind import Outcome, Task
from bench.results.plan import Plan
from bench.results.record import RECORDS, Record, Replica
from bench.results.tasks import KINDS
from bench.verdict.envelope import FEWEST

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


class Tally:
    """Counts what of a run is done, what runs and what is left.

    Args:
        plan: what the run measures in all.
        done: tasks of an earlier, interrupted part of the run.
        stored: digests that the run is compared with, as far as they are known; None if with none, or
            with those of another run that is shown beside it.
    """

    def __init__(
        self,
        plan: Plan,
        done: Iterable[Task] = (),
        *,
        stored: Callable[[], Mapping[Replica, str]] | None = None,
    ) -> None:
        self._names = plan.names()
        self.stored = stored or dict
        #: Further seeds and copies of cells whose bits differ come once these are known.
        self.grows = bool(plan.items and (plan.further or plan.decide or stored))
        self.one_first = bool(plan.further)
        """Whether something follows for every cell whose bits differ: copies, or further seeds."""
        #: A cell that stands in two grids is trained once and counts in both, as in reports.
        self._places = Counter(item.cell for item in plan.items)
        self._open: Counter[Cell] = Counter()
        self.total: Counter[type[Task]] = Counter()
        self.done: Counter[type[Task]] = Counter()
        self.left = self.worked = self.busy_sec = 0.0
        self.failed = 0
        self.running: dict[str, _Running] = {}
        self.digests: dict[Replica, str] = {}
        """Of what was trained since the start."""
        self.copied: set[Replica] = set()
        """Of which copies are planned, or done."""
        done = list(done)
        self.added(dict.fromkeys([*plan.tasks(), *done]))
        self.grown = False
        """Whether more was to be done than was planned."""
        for task in done:
            self._count(task)

    def added(self, tasks: Iterable[Task]) -> None:
        """More is to be done than was planned: further seeds, and copies."""
        for task in tasks:
            self.grown = True
            self.left += task.cost
            if isinstance(task, Copy):
                self.copied.add(task.replica)
            self.total[type(task)] += 1
            if task.cell is not None:
                self._open[task.cell] += 1

    def started(self, worker: str, task: Task) -> None:
        self.running[worker] = _Running(task.title(self._names), task.cost, time.monotonic())

    def finished(self, worker: str, outcome: Outcome) -> str:
        """Notes an outcome, and returns what of it is to be told at once; empty if nothing is."""
        self._count(outcome.key)
        running = self.running.pop(worker, None)
        if running is not None:
            self.worked += running.cost
            self.busy_sec += time.monotonic() - running.begin
        self.failed += outcome.crash is not None
        if isinstance(outcome, Record) and outcome.digest:
            self.digests[outcome.key] = outcome.digest
        if outcome.alarm is None:
            return ""
        what, why = outcome.alarm
        return f"{what}: {outcome.key.title(self._names)}: {why}"

    def counts(self) -> dict[str, tuple[int, int]]:
        """Done and total by noun, of cells and of each kind of task that is planned."""
        places = {cell: self._places[cell] or 1 for cell in self._open}
        cells = sum(places[cell] for cell, left in self._open.items() if not left)
        counts = {"cells": (cells, sum(places.values()))} if places else {}
        for kind in KINDS:
            if total := self.total[kind.task]:
                counts[kind.plural] = (self.done[kind.task], total)
        return counts

    def _count(self, task: Task) -> None:
        """Notes a task as done."""
        self.left -= task.cost
        self.done[type(task)] += 1
        if task.cell is not None:
            self._open[task.cell] -= 1


class Progress:
    """Shows how far runs are, what is running and how long the rest will take.

    Args:
        runs: by what lines call them; a single one has no name.
        stream: where it is shown.
        live: whether ``stream`` is a terminal that can be redrawn.
    """

    def __init__(self, runs: Mapping[str, Tally], *, stream: TextIO, live: bool) -> None:
        self._runs = runs
        self._stream = stream
        self._live = live
        self._begin = time.monotonic()
        self._shown = self._begin

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

    def of(self, name: str = "") -> Watch:
        """What watches one of the runs."""
        return Watch(self, name, self._runs[name])

    def tick(self) -> None:
        now = time.monotonic()
        wait_sec = min(max(PLAIN_EVERY_SEC, _PLAIN_SHARE * (now - self._begin)), _PLAIN_MOST_SEC)
        if self._live or now - self._shown < wait_sec:
            return
        longest = next((one.title for one in self._running), "starting workers")
        self._line(clipped(f"{self.summary(ended=False)}; {longest}", PLAIN_WIDTH))

    def summary(self, *, ended: bool = True) -> str:
        """Done and total, elapsed and remaining time; kinds of which all is done only if ``ended``."""
        counts = [run.counts() for run in self._runs.values()]
        nouns = dict.fromkeys(noun for each in counts for noun in each)
        told = [
            self._counted(noun, [each.get(noun, (0, 0)) for each in counts], ended=ended)
            for noun in nouns
        ]
        failed = sum(run.failed for run in self._runs.values())
        told += [f"{failed} crashed"] if failed else []
        elapsed = clock(time.monotonic() - self._begin)
        return ", ".join(
            [*filter(None, told), f"elapsed {elapsed}, remaining {self._remaining(ended=ended)}"]
        )

    def _counted(self, noun: str, numbers: Sequence[tuple[int, int]], *, ended: bool) -> str:
        """``old 64/234, new 66/234 cells``; ``66/234 cells each`` where they are equal; empty if it is
        not to be told: all of a kind is done, or it is what the cells of several runs consist of."""
        finished = all(done == total for done, total in numbers) and noun != "cells"
        if (finished and not ended) or (noun == RECORDS.plural and len(numbers) > 1):
            return ""
        if len(set(numbers)) == 1:
            done, total = numbers[0]
            return f"{done}/{total} {noun}{' each' * (len(numbers) > 1)}"
        parts = [
            f"{name} {done}/{total}"
            for name, (done, total) in zip(self._runs, numbers, strict=True)
            if total
        ]
        return f"{', '.join(parts)} {noun}"

    @property
    def _running(self) -> list[_Running]:
        return [one for run in self._runs.values() for one in run.running.values()]

    def _remaining(self, *, ended: bool) -> str:
        """Time left, from what a worker took for a unit of work, if all that run now share the rest;
        at least, where more may come."""
        runs = self._runs.values()
        follows = 0.0 if ended else self._to_follow()
        if not follows and all(run.done.total() == run.total.total() for run in runs):
            return "0:00"
        worked = sum(run.worked for run in runs)
        if not worked:
            return "unknown"
        now, pace = time.monotonic(), sum(run.busy_sec for run in runs) / worked
        running = self._running
        ends = [max(0.0, one.begin + pace * one.cost - now) for one in running]
        work = sum(run.left for run in runs) + follows
        waiting = pace * (work - sum(one.cost for one in running))
        left = clock(max([*ends, (sum(ends) + waiting) / max(len(ends), 1)]))
        return f"at least {left}" if any(run.grows for run in runs) else left

    def _to_follow(self) -> float:
        """Work that no run plans yet, and that is sure to follow: as much as two copies of each replica
        whose bits differ, from those of the run beside it or of what is stored. Once more was planned
        than the first seed, that is so of cells that have copies. Whether further seeds follow, these
        say."""
        runs = list(self._runs.values())
        if not runs[0].one_first:
            return 0.0
        copied = set[Replica]().union(*(run.copied for run in runs))
        grown, cells = any(run.grown for run in runs), {one.cell for one in copied}
        known = runs[1].digests if len(runs) > 1 else runs[0].stored()
        differing = (
            task
            for task, digest in list(runs[0].digests.items())  # a live display has its own thread
            if known.get(task, digest) != digest
            and task not in copied
            and (task.cell in cells or not grown)
        )
        return FEWEST * sum(task.cost for task in differing)

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

        done, total = (
            sum(of.total() for of in each)
            for each in zip(*((run.done, run.total) for run in self._runs.values()), strict=True)
        )
        grid = Table.grid()
        grid.add_row(ProgressBar(total=total, completed=done, width=60))
        grid.add_row(Text(self.summary(ended=False)))
        for one in self._running:
            grid.add_row(Text(f"  {one.title}", no_wrap=True, overflow="ellipsis"))
        return grid


class Watch:
    """Tells of one run to whoever shows it; what an execution calls."""

    def __init__(self, shown: Progress, name: str, run: Tally) -> None:
        self._shown = shown
        self._before = f"{name}: " if name else ""
        self._run = run

    def added(self, tasks: Iterable[Task]) -> None:
        self._run.added(tasks)

    def started(self, worker: str, task: Task) -> None:
        self._run.started(worker, task)

    def finished(self, worker: str, outcome: Outcome) -> None:
        if told := self._run.finished(worker, outcome):
            self._shown._line(f"{self._before}{told}")

    def tick(self) -> None:
        self._shown.tick()


def clock(seconds: float) -> str:
    """``1:05`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
