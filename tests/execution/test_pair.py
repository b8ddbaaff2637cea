"""Tests of two executions side by side, on a real local cluster with stand-in training processes."""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.execution.cluster import Placement
from bench.execution.pair import Follow, Pair
from bench.results.copy_result import Copy
from bench.results.kind import Outcome, Task
from bench.results.plan import Plan
from bench.results.record import Replica
from bench.results.run import StoredRun, read_run
from bench.results.timings import SIDES, Side
from bench.results.writer import RunWriter
from support import builders, faults

pytestmark = pytest.mark.usefixtures("faulty")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT interrupts, which the processes of pytest-xdist ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Watcher:
    """Remembers what a side did, when, and where."""

    def __init__(self) -> None:
        self.started_at: list[tuple[float, str, Task]] = []
        self.finished_tasks: list[Outcome] = []

    def started(self, worker: str, task: Task) -> None:
        self.started_at.append((time.monotonic(), worker, task))

    def finished(self, _: str, outcome: Outcome) -> None:
        self.finished_tasks.append(outcome)

    def added(self, tasks: Sequence[Task]) -> None:
        pass

    def tick(self) -> None:
        pass


def plan(*widths: int) -> Plan:
    cells = [Cell(width=width) for width in widths]
    return builders.plan(builders.items("depth", cells, ("width",)), seeds=[0])


def nothing(_: StoredRun, __: StoredRun) -> tuple[Sequence[Task], Sequence[Task]]:
    return [], []


def run_pair(
    path: Path,
    the_plan: Plan,
    cache: tuple[Path, str],
    *,
    follow: Follow = nothing,
    variables: Mapping[Side, dict[str, str]] | None = None,
    resume: bool = False,
    watchers: Mapping[Side, Watcher] | None = None,
    python: Mapping[Side, str] | None = None,
) -> Mapping[Side, Watcher]:
    """Runs a plan on both sides into ``path/old`` and ``path/new``."""
    watchers = watchers or {side: Watcher() for side in SIDES}
    variables = variables or {"old": {}, "new": {"FAULTY_VERSION": "10.0.0"}}
    with contextlib.ExitStack() as stack:
        writers = {
            side: stack.enter_context(RunWriter(path / side, the_plan, resume=resume))
            for side in SIDES
        }
        common = Placement(workers=2, cell_timeout_sec=2.0)
        placements = {}
        for side in SIDES:
            own = {"python": python[side]} if python else {}
            placements[side] = Placement(
                workers=common.workers,
                cell_timeout_sec=common.cell_timeout_sec,
                variables=variables[side],
                **own,
            )
        Pair(
            writers,
            placements,
            data={"name": "custom", "fingerprint": cache[1], "source": "test"},
            cache_dir=cache[0],
            progress=watchers,
            follow=follow,
        ).run()
    return watchers


@dataclass(frozen=True)
class Done:
    """A pair that went through its plan, one cell of which aborts on both sides."""

    runs: Mapping[Side, StoredRun]
    watchers: Mapping[Side, Watcher]


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory,
    image_cache: tuple[Path, str],
    faulty_variables: dict[str, str],
) -> Done:
    path = tmp_path_factory.mktemp("pair")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in faulty_variables.items():
            patch.setenv(name, value)
        watchers = run_pair(path, plan(10, 11, faults.ABORT, 12, 13), image_cache)
    return Done({side: read_run(path / side) for side in SIDES}, watchers)


def test_each_side_trains_everything_in_its_own_environment(done: Done) -> None:
    """Two runs of one plan, each with the software of its side."""
    assert {side: len(run.records) for side, run in done.runs.items()} == {"old": 5, "new": 5}
    versions = {side: run.environment.software["tensorflow"] for side, run in done.runs.items()}
    assert versions == {"old": "9.9.9", "new": "10.0.0"}


def test_a_cell_is_trained_on_both_sides_one_after_the_other_or_at_once(done: Done) -> None:
    """With one worker a side both go through the plan in one order."""
    orders = [[task for _, _, task in done.watchers[side].started_at] for side in SIDES]
    assert orders[0] == orders[1]


def test_a_crash_on_one_side_costs_that_side_its_cell(done: Done) -> None:
    """Both abort at the same width here; all else is measured."""
    for run in done.runs.values():
        outcomes = {replica.cell.width: record.outcome for replica, record in run.records.items()}
        others = dict.fromkeys((10, 11, 12, 13), "trained")
        assert outcomes == {**others, faults.ABORT: "crashed"}


def test_what_follows_is_asked_when_both_have_finished_and_until_nothing_is_left(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """First a seed on both sides, then copies on the new one, then nothing."""
    asked: list[tuple[int, int, int]] = []

    def follow(old: StoredRun, new: StoredRun) -> tuple[Sequence[Task], Sequence[Task]]:
        asked.append((len(old.records), len(new.records), len(new.copies)))
        cell = Cell(width=10)
        further = [Replica(cell, 1)]
        copies = [Copy(cell=cell, seed=0, number=n) for n in range(3)]
        stages: list[tuple[Sequence[Task], Sequence[Task]]] = [
            (further, further),
            ([], copies),
            ([], []),
        ]
        return stages[len(asked) - 1]

    run_pair(tmp_path, plan(10, 11), image_cache, follow=follow)
    assert asked == [(2, 2, 0), (3, 3, 0), (3, 3, 3)]
    assert len(read_run(tmp_path / "new").copies) == 3
    assert not read_run(tmp_path / "old").copies


def test_a_side_that_waits_lends_its_workers(
    tmp_path: Path, image_cache: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of the new side are trained by the old side's worker, too, in the new environment; then
    the old side goes on with its own."""
    monkeypatch.setenv("FAULTY_COPY_SEC", "0.5")
    cells = [Cell(width=10), Cell(width=11)]
    calls = 0

    def follow(_: StoredRun, __: StoredRun) -> tuple[Sequence[Task], Sequence[Task]]:
        nonlocal calls
        calls += 1
        copies = [Copy(cell=cell, seed=0, number=n) for cell in cells for n in range(12)]
        if calls == 1:
            return [], copies
        return ([Replica(cells[0], 1)], []) if calls == 2 else ([], [])

    watchers = run_pair(tmp_path, plan(10, 11), image_cache, follow=follow)
    workers = {worker for _, worker, task in watchers["new"].started_at if isinstance(task, Copy)}
    assert len(workers) == 2
    new = read_run(tmp_path / "new")
    assert len(new.copies) == 24
    assert {record.environment for record in new.records.values()} == {
        new.environment.environment_class
    }
    assert Replica(cells[0], 1) in read_run(tmp_path / "old").records


def test_trouble_on_one_side_ends_both_and_keeps_what_was_measured(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """The new side's environment cannot start: the message names it, nothing hangs, and the pair goes
    on from there."""
    broken = {"old": {}, "new": {"FAULTY_START": "abort"}}
    with pytest.raises(BenchError, match="did not start"):
        run_pair(tmp_path, plan(10, 11), image_cache, variables=broken)
    run_pair(tmp_path, plan(10, 11), image_cache, resume=True)
    assert all(len(read_run(tmp_path / side).records) == 2 for side in SIDES)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_both_and_keeps_what_was_measured(
    tmp_path: Path, image_cache: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while both train: records that were written stay, and the pair can be resumed."""
    monkeypatch.setenv("FAULTY_SLEEP_SEC", "0.3")
    the_plan = plan(*range(10, 40))
    first = threading.Event()

    class Interrupting(Watcher):
        def finished(self, worker: str, outcome: Outcome) -> None:
            super().finished(worker, outcome)
            if not first.is_set():
                first.set()
                _thread.interrupt_main()

    watchers: dict[Side, Watcher] = {"old": Interrupting(), "new": Watcher()}
    with pytest.raises(KeyboardInterrupt):
        run_pair(tmp_path, the_plan, image_cache, watchers=watchers)
    kept = len(read_run(tmp_path / "old").records)
    assert 1 <= kept < 30
    monkeypatch.setenv("FAULTY_SLEEP_SEC", "0.01")
    run_pair(tmp_path, the_plan, image_cache, resume=True)
    assert all(len(read_run(tmp_path / side).records) == 30 for side in SIDES)
