"""Executor: does a plan's tasks on a cluster and writes each outcome as it arrives."""

from __future__ import annotations

import datetime
import queue
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import distributed
import msgspec

from bench.errors import BenchError
from bench.execution import machine, protocol
from bench.execution.cluster import Cluster, Placement, connect
from bench.execution.schedule import Schedule
from bench.results.environment import RETRIED, Environment
from bench.results.kind import Crash, Outcome, Task, noted
from bench.results.run import StoredRun
from bench.results.writer import RunWriter

#: Seconds that a run waits for the first worker, or for another one after the last was lost.
WORKER_TIMEOUT_SEC = 60.0
_TICK_SEC = 0.25
_LOOK_FOR_WORKERS_SEC = 2.0
_MAX_LOSSES = 3


class Progress(Protocol):
    """Who watches a run."""

    def started(self, worker: str, task: Task) -> None: ...

    def finished(self, worker: str, outcome: Outcome) -> None: ...

    def added(self, tasks: Sequence[Task]) -> None: ...

    def tick(self) -> None: ...


class Execution:
    """One pass over what a run has not yet measured.

    Args:
        writer: the run, opened.
        placement: where replicas run.
        data: ``name``, ``fingerprint`` and ``source`` of the images.
        cache_dir: where their cache is.
        follow: asked when everything is done what is to be done next, until that is nothing.
        see: shown each outcome before it is stored, which also happens if this raises BenchError.
    """

    def __init__(
        self,
        writer: RunWriter,
        placement: Placement,
        *,
        data: dict[str, str],
        cache_dir: Path,
        progress: Progress,
        follow: Callable[[StoredRun], Sequence[Task]] = lambda _: (),
        see: Callable[[Outcome], None] | None = None,
    ) -> None:
        self._writer = writer
        self._placement = placement
        self._data = data
        self._cache_dir = cache_dir
        self._progress = progress
        self._follow = follow
        self._see = see
        self._schedule = Schedule(writer.missing())
        self._answers: queue.Queue[tuple[str, distributed.Future]] = queue.Queue()
        self._running: dict[str, Task | None] = {}  # of every worker; None: idle or starting
        self._futures: dict[str, distributed.Future] = {}  # of those that are not idle
        self._losses: dict[Task, int] = {}
        self._retried: dict[Task, str] = {}  # how it was killed from outside the first time
        self.environment: Environment | None = None

    def run(self) -> Environment:
        """Does all that is missing.

        Raises:
            BenchError: infrastructure trouble; what was measured until then is on disk.
            KeyboardInterrupt: the same.
        """
        with connect(
            self._placement, data=self._data["fingerprint"], cache_dir=self._cache_dir
        ) as cluster:
            return self.run_on(cluster)

    def run_on(self, cluster: Cluster) -> Environment:
        """Does the same on a cluster that is there."""
        self._loop(cluster)
        assert self.environment is not None
        return self.environment

    def _loop(self, cluster: Cluster) -> None:
        looked, seen = 0.0, time.monotonic()
        while self._schedule or self._busy or self.environment is None or self._go_on(cluster):
            now = time.monotonic()
            if now - looked > _LOOK_FOR_WORKERS_SEC:
                looked = now
                self._welcome(cluster)
                seen = now if self._running else seen
                if now - seen > WORKER_TIMEOUT_SEC:
                    raise BenchError(
                        f"no worker for {WORKER_TIMEOUT_SEC:.0f} s",
                        hint="see whether the machine or the workers of --scheduler are alive, then "
                        "continue with --resume",
                    )
            try:
                worker, future = self._answers.get(timeout=_TICK_SEC)
            except queue.Empty:
                self._progress.tick()
            else:
                self._take(cluster, worker, future)

    @property
    def _busy(self) -> bool:
        return any(task is not None for task in self._running.values())

    def _go_on(self, cluster: Cluster) -> bool:
        """Asks for further tasks and begins them; returns whether there are any."""
        assert self.environment is not None
        tasks = self._follow(self._writer.so_far(self.environment))
        self._schedule.add(tasks)
        self._progress.added(tasks)
        for worker in list(self._running):
            if worker not in self._futures:
                self._give(cluster, worker)
        return bool(tasks)

    def _welcome(self, cluster: Cluster) -> None:
        """Starts the trainers of new workers, and takes back what lost workers had."""
        present = set(cluster.workers())
        for worker in [worker for worker in self._running if worker not in present]:
            self._lost(worker)
        for worker in present - set(self._running):
            self._running[worker] = None
            self._watch(worker, cluster.start_trainer(worker))
        for worker in present:  # idle ones take over what lost ones had
            if worker not in self._futures:
                self._give(cluster, worker)

    def _watch(self, worker: str, future: distributed.Future) -> None:
        self._futures[worker] = future  # a future that nobody holds is cancelled
        future.add_done_callback(lambda done: self._answers.put((worker, done)))

    def _take(self, cluster: Cluster, worker: str, future: distributed.Future) -> None:
        if worker not in self._futures or self._futures[worker] is not future:
            return  # of a worker that was given up
        del self._futures[worker]
        if future.status != "finished":
            error = future.exception() if future.status == "error" else None
            if isinstance(error, BenchError):
                raise error
            if error is not None and not isinstance(error, distributed.KilledWorker):
                raise BenchError(
                    f"worker {worker} cannot run training processes: {error!r}",
                    hint="is the same version of bench installed there?",
                ) from error
            self._lost(worker)
            return
        if self._running[worker] is None:
            self._greet(worker, future.result())
        else:
            self._keep(worker, future.result())
        self._give(cluster, worker)

    def _give(self, cluster: Cluster, worker: str) -> None:
        """The next task for a worker that has none."""
        self._running[worker] = None
        following = self._schedule.next(worker)
        if following is not None:
            self._running[worker] = following
            self._progress.started(worker, following)
            self._watch(worker, cluster.do(worker, following))

    def _greet(self, worker: str, ready: protocol.Ready) -> None:
        if self.environment is None:
            environment = Environment(
                numerics=ready.numerics,
                software=ready.software,
                machine=ready.machine,
                data=self._data,
                run={
                    "command": " ".join(sys.argv),
                    "started": datetime.datetime.now(datetime.timezone.utc).isoformat(
                        "T", "seconds"
                    ),
                    "tier": self._writer.plan.tier,
                    "workers": str(len(self._running)),
                    **machine.commit(Path.cwd()),
                },
            )
            self._writer.write_environment(environment)
            self.environment = environment
        difference = self.environment.difference(
            msgspec.structs.replace(
                self.environment, numerics=ready.numerics, software=ready.software
            )
        )
        if difference is not None:
            raise BenchError(
                f"worker {worker} has other {difference.part} than the first worker: "
                f"{difference.key} {difference.theirs!r} against {difference.ours!r}; their results "
                "would not belong into one run",
                hint="start workers of one kind, or one run for each kind",
            )

    def _keep(self, worker: str, outcome: Outcome) -> None:
        crash = outcome.crash
        if crash is not None and crash.from_outside and outcome.key not in self._retried:
            self._retried[outcome.key] = crash.message
            self._schedule.put_back(outcome.key)
            self._note_retries()
            return
        try:
            if self._see is not None:
                self._see(outcome)
        finally:
            self._writer.append(outcome)
        self._progress.finished(worker, outcome)
        task = outcome.key
        if task.cell is None or crash is None or crash.reason != "timeout":
            return
        message = f"not attempted after seed {task.seed} hung: {crash.message}"
        for other in self._schedule.drop(task.cell):
            skipped = noted(
                other.crashed(Crash(reason="not attempted", message=message)),
                data=self._data["fingerprint"],
            )
            self._writer.append(skipped)
            self._progress.finished(worker, skipped)

    def _note_retries(self) -> None:
        """Has the environment say which tasks were tried twice."""
        assert self.environment is not None  # the first worker had to start before
        noted_ = [f"{task.id}: {message}" for task, message in self._retried.items()]
        run = {**self.environment.run, RETRIED: noted_}
        self.environment = msgspec.structs.replace(self.environment, run=run)

    def _lost(self, worker: str) -> None:
        """A Dask worker went away: trouble of the machine, so its task is done elsewhere."""
        task = self._running.pop(worker, None)
        self._futures.pop(worker, None)
        if task is None:
            return
        self._losses[task] = self._losses.get(task, 0) + 1
        if self._losses[task] >= _MAX_LOSSES:
            raise BenchError(
                f"{task.id}: {_MAX_LOSSES} Dask workers were lost while they worked on it, the "
                f"last one {worker}",
                hint="see their logs, then continue with --resume",
            )
        self._schedule.put_back(task)
