"""Runs of plans on a real local cluster, for tests of what executes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.cells.cell import Cell
from bench.execution.cluster import Placement
from bench.execution.executor import Execution
from bench.results.kind import Outcome, Task
from bench.results.plan import Plan
from bench.results.run import StoredRun
from bench.results.writer import RunWriter
from support import builders


class Watcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.started_tasks: list[Task] = []
        self.added_tasks: list[Task] = []
        self.finished_tasks: list[Outcome] = []

    def started(self, worker: str, task: Task) -> None:
        self.started_tasks.append(task)

    def finished(self, worker: str, outcome: Outcome) -> None:
        self.finished_tasks.append(outcome)

    def added(self, tasks: Sequence[Task]) -> None:
        self.added_tasks += tasks

    def tick(self) -> None:
        return None


def plan(*widths: int, seeds: int = 3) -> Plan:
    cells = [Cell(width=width) for width in widths]
    return builders.plan(builders.items("depth", cells, ("width",)), seeds=range(seeds))


Follow = Callable[[StoredRun], Sequence[Task]]


def execute(
    path: Path,
    the_plan: Plan,
    cache: tuple[Path, str],
    *,
    resume: bool = False,
    placement: Placement | None = None,
    watcher: Watcher | None = None,
    follow: Follow = lambda _: (),
) -> Watcher:
    """Runs a plan into ``path``."""
    watcher = watcher or Watcher()
    with RunWriter(path, the_plan, resume=resume) as writer:
        Execution(
            writer,
            placement or Placement(workers=2, cell_timeout_sec=2.0),
            data={"name": "custom", "fingerprint": cache[1], "source": "test"},
            cache_dir=cache[0],
            progress=watcher,
            follow=follow,
        ).run()
    return watcher
