"""What a free worker does next. Trainings that share a compiled graph stay together."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable

from bench.cells.cell import Cell
from bench.cells.recipe import Recipe
from bench.results.check import Check
from bench.results.copy_result import Copy
from bench.results.tasks import Task, Training
from bench.results.trial import Trial


class Schedule:
    """Hands out tasks. A worker gets all trainings of one graph before those of another, the most
    expensive graphs first so that workers end together. A worker without a graph of its own gets
    trials, the dearest first and all of one program before those of another; then checks; and when
    there are none, it helps with the graph that has most left.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._checks: deque[Check] = deque()
        self._trials: list[Trial] = []
        self._programs: dict[Hashable, Program] = {}
        self._groups: dict[Cell, deque[Training]] = {}
        self._owner: dict[Cell, Hashable] = {}
        self.add(tasks)

    def add(self, tasks: Iterable[Task]) -> None:
        """Takes further tasks."""
        for task in tasks:
            if isinstance(task, Check):
                self._checks.append(task)
            elif isinstance(task, Trial):
                self._trials.append(task)
            else:
                self._groups.setdefault(cell_of(task).graph(), deque()).append(task)
        self._trials.sort(key=cost)

    def __len__(self) -> int:
        trainings = sum(len(group) for group in self._groups.values())
        return trainings + len(self._checks) + len(self._trials)

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
            elif self._trials:
                return self._trial(worker)
            elif self._checks:
                return self._checks.popleft()
            else:
                graph = max(self._groups, key=self._cost, default=None)
        if graph is None or not self._groups[graph]:
            return None
        return self._groups[graph].popleft()

    def _trial(self, worker: Hashable) -> Trial:
        """One of the program that it traced last, else the dearest one that no other worker has."""
        taken = {program for other, program in self._programs.items() if other != worker}
        own = [trial for trial in self._trials if _program(trial) == self._programs.get(worker)]
        free = [trial for trial in self._trials if _program(trial) not in taken]
        found = (own or free or self._trials)[-1]
        self._trials.remove(found)
        self._programs[worker] = _program(found)
        return found

    def put_back(self, task: Task) -> None:
        """Returns a task whose worker was lost."""
        if isinstance(task, Check):
            self._checks.appendleft(task)
        elif isinstance(task, Trial):
            self._trials.append(task)
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


#: Of a check. Measured on one core: the 204 cells of an upgrade's quick tier, which cost 1.89e6
#: together, took 188 s, so a second costs 10,000; its 413 checks took 160 s, .39 s each.
_CHECK_COST = 3.9e3


#: What is traced once for all seeds.
Program = tuple[Recipe, str]


def _program(trial: Trial) -> Program:
    return trial.recipe, trial.form


def cell_of(task: Training) -> Cell:
    """The cell that is trained."""
    return task.cell if isinstance(task, Copy) else task[0]


def cost(task: Task) -> float:
    """Work of a task, in millions of multiplications, forward."""
    if isinstance(task, Check):
        return _CHECK_COST
    if isinstance(task, Trial):
        return _trial_cost(task)
    cell = cell_of(task)
    if cell.architecture == "cnn":
        first, second, dense = cell.filters, 2 * cell.filters, 32 * cell.filters
        per_image = 28 * 28 * 25 * first + 14 * 14 * 25 * first * second + 7 * 7 * second * dense
    else:
        per_image = 784 * cell.width + max(cell.depth - 1, 0) * cell.width**2
    normalized = 2 if cell.normalization != "none" else 1
    return normalized * per_image * cell.batch * cell.steps / 1e6


#: Of a step, whatever it computes: what launching the operations of one layer costs, in millions of
#: multiplications.
_LAYER_COST = 0.5


def _trial_cost(trial: Trial) -> float:
    recipe = trial.recipe
    features = 1 if recipe.task == "identity" else 784
    per_image, size, channels = 0, 28, 1
    for filters in recipe.convolutions:
        per_image += size * size * 25 * channels * filters
        size, channels = size // 2, filters
        features = size * size * filters
    for units in (*recipe.hidden, 1 if recipe.task == "identity" else 10):
        per_image += features * units
        features = units
    layers = len(recipe.convolutions) + len(recipe.hidden) + 1
    looked = 10_000 / 3 * len(trial.looks) if "test" in trial.watched else 0  # no way back there
    images = recipe.batch * recipe.steps + looked
    return per_image * images / 1e6 + _LAYER_COST * layers * recipe.steps


def called(task: Task) -> str:
    """A task in words."""
    if isinstance(task, (Check, Trial)):
        return task.id
    cell, seed = (task.cell, task.seed) if isinstance(task, Copy) else task
    what = f"copy {task.number} of " if isinstance(task, Copy) else ""
    return f"{what}{cell.id(('depth', 'act', 'init', 'norm'))}, seed {seed}"
