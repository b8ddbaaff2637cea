"""How fast is bench itself? The same twelve cells three ways: two workers, one, and ``Model.fit``.

Whole wall time, from nothing to the last record: imports, compilation, training, measuring.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import mnist
from bench.cells.cell import Cell
from bench.cells.grids import DEPTH
from bench.execution.cluster import Placement
from bench.execution.executor import Execution
from bench.results.files import pretty
from bench.results.kind import Outcome, Task
from bench.results.plan import Item, Plan
from bench.results.record import Record
from bench.results.run import PLAN, read_run
from bench.results.writer import RunWriter

CELLS = [
    Cell(depth=depth, activation=activation, initializer=initializer)
    for depth in (3, 10)
    for activation in ("relu", "tanh", "sigmoid")
    for initializer in ("he_normal", "glorot_normal")
]
GRAPHS = len({cell.graph() for cell in CELLS})


class Stopwatch:
    """Progress from the first replica's start to the last one's end."""

    def __init__(self) -> None:
        self._times: list[float] = []

    @property
    def working_sec(self) -> float:
        return self._times[-1] - self._times[0]

    def started(self, worker: str, task: Task) -> None:
        self._times.append(time.perf_counter())

    def finished(self, worker: str, outcome: Outcome) -> None:
        self._times.append(time.perf_counter())

    def added(self, tasks: Sequence[Task]) -> None: ...

    def tick(self) -> None: ...


@pytest.fixture(scope="module")
def data(pytestconfig: pytest.Config) -> mnist.Mnist:
    return mnist.load(directory=pytestconfig.option.data_dir)


@pytest.fixture(scope="module")
def plan() -> Plan:
    items = [Item(grid=DEPTH.name, id=cell.id(DEPTH.axes), cell=cell) for cell in CELLS]
    return Plan(tier="quick", device="cpu", seeds=[0, 1, 2], items=items, selected=True)


def run(path: Path, plan: Plan, data: mnist.Mnist, workers: int) -> tuple[list[Record], float]:
    """Trains the plan on a fresh cluster; the records, and the seconds from first start to last end."""
    stopwatch = Stopwatch()
    with RunWriter(path, plan) as writer:
        description = {"name": data.name, "fingerprint": data.fingerprint, "source": data.source}
        Execution(
            writer,
            Placement(workers=workers),
            data=description,
            cache_dir=mnist.cache_directory(),
            progress=stopwatch,
        ).run()
    return list(read_run(path).records.values()), stopwatch.working_sec


def once(benchmark: Any, path: Path, work: Callable[[Path], Any]) -> Any:
    """Times ``work`` in a new folder, round by round."""
    rounds = iter(range(1000))
    benchmark.group = f"{len(CELLS)} cells x 3 seeds, {GRAPHS} graphs"
    return benchmark.pedantic(lambda: work(path / str(next(rounds))), rounds=1)


@pytest.mark.parametrize("workers", [2, 1])
def test_bench(benchmark: Any, tmp_path: Path, plan: Plan, data: mnist.Mnist, workers: int) -> None:
    """The main job's executor. In ``extra_info``: the share of the workers' time that is training, and
    replicas per second once all workers have started, by which two are compared with one."""
    records, working_sec = once(benchmark, tmp_path, lambda path: run(path, plan, data, workers))
    assert all(record.outcome == "trained" for record in records)
    if benchmark.stats:
        training = sum(record.training_sec for record in records)
        share = training / (workers * benchmark.stats.stats.max)
        benchmark.extra_info["training_share"] = round(share, 3)
        benchmark.extra_info["replicas_per_sec"] = round(len(records) / working_sec, 3)


def test_model_fit(benchmark: Any, tmp_path: Path, plan: Plan, data: mnist.Mnist) -> None:
    """One process, one network after the other."""

    def work(path: Path) -> list[float]:
        path.mkdir()
        (path / PLAN).write_bytes(pretty(plan))
        script = Path(__file__).with_name("model_fit.py")
        arguments = [path / PLAN, data.fingerprint, mnist.cache_directory()]
        done = subprocess.run(
            [sys.executable, str(script), *map(str, arguments)],
            check=True,
            capture_output=True,
            text=True,
        )
        return list(json.loads(done.stdout.splitlines()[-1]))

    accuracies = once(benchmark, tmp_path, work)
    assert len(accuracies) == len(plan.replicas())
