"""Schedule: the next task of a free worker. Tasks that share a graph or program stay together."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable

from bench.cells.cell import Cell
from bench.results.kind import Task


class Schedule:
    """Hands out tasks, in groups of those that share something compiled. A worker gets all of a group
    before any of another. Which group it begins is up to the tasks' turns
    (:attr:`bench.results.kind.Task.turns`) and then to the work left, the most first so that workers
    end together.

    So a worker trains all of a graph; without a graph of its own it gets trials, all of one program
    before those of another; then checks; and when there are none, it helps with the graph that has
    most left.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._groups: dict[Hashable, deque[Task]] = {}
        self._at: dict[Hashable, Hashable] = {}
        self.add(tasks)

    def add(self, tasks: Iterable[Task]) -> None:
        """Takes further tasks."""
        for task in tasks:
            self._group(task).append(task)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def next(self, worker: Hashable) -> Task | None:
        """The next task for this worker; None if none is left."""
        if not self._groups.get(self._at.get(worker)):
            begun = {group for other, group in self._at.items() if other != worker}
            waiting = [group for group, tasks in self._groups.items() if tasks]
            if not waiting:
                return None
            self._at[worker] = min(
                waiting, key=lambda group: self._place(group, begun=group in begun)
            )
        return self._groups[self._at[worker]].popleft()

    def put_back(self, task: Task) -> None:
        """Returns a task whose worker was lost."""
        self._group(task).appendleft(task)

    def drop(self, cell: Cell) -> list[Task]:
        """Takes out all tasks of a cell that are left."""
        dropped = [task for tasks in self._groups.values() for task in tasks if task.cell == cell]
        for task in dropped:
            self._group(task).remove(task)
        return dropped

    def _group(self, task: Task) -> deque[Task]:
        return self._groups.setdefault(task.shares, deque())

    def _place(self, group: Hashable, *, begun: bool) -> tuple[int, float]:
        tasks = self._groups[group]
        return tasks[0].turns[begun], -sum(task.cost for task in tasks)
