"""What a free worker does next. Replicas that share a compiled graph stay together."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable

from bench.cell import Cell
from bench.check import Check

Replica = tuple[Cell, int]
Task = Replica | Check


class Schedule:
    """Hands out tasks. A worker gets all replicas of one graph before those of another, the most
    expensive graphs first so that workers end together. A worker without a graph of its own gets
    checks, and when there are none, helps with the graph that has most left.
    """

    def __init__(self, replicas: Iterable[Replica], checks: Iterable[Check] = ()) -> None:
        self._checks = deque(checks)
        self._groups: dict[Cell, deque[Replica]] = {}
        for cell, seed in replicas:
            self._groups.setdefault(cell.graph(), deque()).append((cell, seed))
        self._owner: dict[Cell, Hashable] = {}

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
            self._groups.setdefault(task[0].graph(), deque()).appendleft(task)

    def drop(self, cell: Cell) -> list[Replica]:
        """Takes out all replicas of a cell that are left."""
        group = self._groups.get(cell.graph(), deque())
        dropped = [replica for replica in group if replica[0] == cell]
        kept = [replica for replica in group if replica[0] != cell]
        group.clear()
        group.extend(kept)
        return dropped

    def _cost(self, graph: Cell) -> float:
        return sum(cost(cell) for cell, _ in self._groups[graph])


def cost(cell: Cell) -> float:
    """Work of a replica, in millions of multiplications, forward."""
    if cell.architecture == "cnn":
        per_image = 28 * 28 * 25 * 32 + 14 * 14 * 25 * 32 * 64 + 7 * 7 * 64 * 1024
    else:
        per_image = 784 * cell.width + max(cell.depth - 1, 0) * cell.width**2
    normalized = 2 if cell.normalization != "none" else 1
    return normalized * per_image * cell.batch * cell.steps / 1e6


def called(task: Task) -> str:
    """A task in words."""
    if isinstance(task, Check):
        return task.id
    cell, seed = task
    return f"{cell.id(('depth', 'act', 'init', 'norm'))}, seed {seed}"
