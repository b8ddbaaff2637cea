"""What a free worker does next. Trainings that share a compiled graph stay together."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable

from bench.cell import Cell
from bench.check import Check, CheckResult
from bench.copies import Copy, CopyResult
from bench.measure.trajectory import LENGTH
from bench.record import Record

Replica = tuple[Cell, int]
Training = Replica | Copy
Task = Training | Check
Outcome = Record | CopyResult | CheckResult


class Schedule:
    """Hands out tasks. A worker gets all trainings of one graph before those of another, the most
    expensive graphs first so that workers end together. A worker without a graph of its own gets
    checks, and when there are none, helps with the graph that has most left.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._checks: deque[Check] = deque()
        self._groups: dict[Cell, deque[Training]] = {}
        self._owner: dict[Cell, Hashable] = {}
        self.add(tasks)

    def add(self, tasks: Iterable[Task]) -> None:
        """Takes further tasks."""
        for task in tasks:
            if isinstance(task, Check):
                self._checks.append(task)
            else:
                self._groups.setdefault(cell_of(task).graph(), deque()).append(task)

    def __len__(self) -> int:
        return sum(len(group) for group in self._groups.values()) + len(self._checks)

    def next(self, worker: Hashable) -> Task | None:
        """The next task for this worker; None if none is left."""
        graph = next((graph for graph, owner in self._owner.items() if owner == worker), None)
        if graph is None or not self._groups[graph]:
            self._owner.pop(graph, None) if graph is not None else None
            free = [graph for graph in self._groups if graph not in self._owner]
            candidates = [graph for graph in free if self._groups[graph]]
            if candidates:
                graph = max(candidates, key=self._cost)
                self._owner[graph] = worker
            elif self._checks:
                return self._checks.popleft()
            else:
                graph = max(self._groups, key=self._cost, default=None)
        if graph is None or not self._groups[graph]:
            return None
        return self._groups[graph].popleft()

    def put_back(self, task: Task) -> None:
        """Returns a task whose worker was lost."""
        if isinstance(task, Check):
            self._checks.appendleft(task)
        else:
            self._groups.setdefault(cell_of(task).graph(), deque()).appendleft(task)

    def drop(self, cell: Cell) -> list[Training]:
        """Takes out all trainings of a cell that are left."""
        group = self._groups.get(cell.graph(), deque())
        dropped = [task for task in group if cell_of(task) == cell]
        kept = [task for task in group if cell_of(task) != cell]
        group.clear()
        group.extend(kept)
        return dropped

    def _cost(self, graph: Cell) -> float:
        return sum(cost(task) for task in self._groups[graph])


#: A check takes about as long as a replica of depth 3.
_CHECK_COST = 6e3


def cell_of(task: Training) -> Cell:
    """The cell that is trained."""
    return task.cell if isinstance(task, Copy) else task[0]


def cost(task: Task) -> float:
    """Work of a task, in millions of multiplications, forward."""
    if isinstance(task, Check):
        return _CHECK_COST
    cell = cell_of(task)
    steps = min(cell.steps, LENGTH) if isinstance(task, Copy) else cell.steps
    if cell.architecture == "cnn":
        per_image = 28 * 28 * 25 * 32 + 14 * 14 * 25 * 32 * 64 + 7 * 7 * 64 * 1024
    else:
        per_image = 784 * cell.width + max(cell.depth - 1, 0) * cell.width**2
    normalized = 2 if cell.normalization != "none" else 1
    return normalized * per_image * cell.batch * steps / 1e6


def called(task: Task) -> str:
    """A task in words."""
    if isinstance(task, Check):
        return task.id
    cell, seed = (task.cell, task.seed) if isinstance(task, Copy) else task
    what = f"copy {task.number} of " if isinstance(task, Copy) else ""
    return f"{what}{cell.id(('depth', 'act', 'init', 'norm'))}, seed {seed}"
