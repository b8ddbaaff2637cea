"""Two executions side by side on one cluster: both sides of an upgrade do the same tasks, in the same
order and at about the same time. A side that has to wait lends its workers to the other one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.execution.cluster import Placement, connect_sides
from bench.execution.executor import Execution, Progress
from bench.results.environment import Environment
from bench.results.kind import Outcome, Task
from bench.results.run import StoredRun
from bench.results.timings import SIDES, Side
from bench.results.writer import RunWriter

_TICK_SEC = 0.25

#: Gets both runs when both have done all that they had to; returns the next tasks of each.
Follow = Callable[[StoredRun, StoredRun], tuple[Sequence[Task], Sequence[Task]]]


class _Stopped(Exception):  # noqa: N818 - no error of its own: the other side has had one
    pass


class Pair:
    """One pass over what two runs have not yet measured.

    Args:
        writers: the runs, opened.
        placements: where each side's replicas run; see
            :func:`bench.execution.cluster.connect_sides`.
        data: as for :class:`bench.execution.executor.Execution`.
        cache_dir: the same.
        progress: who watches each side.
        follow: asked when both sides wait, until there is nothing to do for either.
    """

    def __init__(
        self,
        writers: Mapping[Side, RunWriter],
        placements: Mapping[Side, Placement],
        *,
        data: dict[str, str],
        cache_dir: Path,
        progress: Mapping[Side, Progress],
        follow: Follow,
    ) -> None:
        self._placements = placements
        self._fingerprint = data["fingerprint"]
        self._cache_dir = cache_dir
        self._follow = follow
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._waiting: dict[Side, StoredRun] = {}
        self._next: dict[Side, Sequence[Task]] = {}
        self._errors: list[BaseException] = []
        one_at_a_time = threading.Lock()
        self._executions = {
            side: Execution(
                writers[side],
                placements[side],
                data=data,
                cache_dir=cache_dir,
                progress=_Watched(progress[side], one_at_a_time, self._stop),
                follow=self._follow_of(side),
            )
            for side in SIDES
        }

    @property
    def environments(self) -> dict[Side, Environment]:
        """Environments of the sides whose first worker has started."""
        known = {side: execution.environment for side, execution in self._executions.items()}
        return {side: environment for side, environment in known.items() if environment}

    def run(self) -> None:
        """Does all that is missing.

        Raises:
            BenchError: infrastructure trouble on a side, which ends the other; what was measured until
                then is on disk.
            KeyboardInterrupt: the same.
        """
        placements = [self._placements[side] for side in SIDES]
        with connect_sides(
            placements, data=self._fingerprint, cache_dir=self._cache_dir
        ) as clusters:
            self._clusters = dict(zip(SIDES, clusters, strict=True))
            threads = [threading.Thread(target=self._run, args=(side,)) for side in SIDES]
            for thread in threads:
                thread.start()
            try:
                while any(thread.is_alive() for thread in threads):
                    for thread in threads:
                        thread.join(_TICK_SEC)
            finally:
                self._stop.set()
                for thread in threads:
                    thread.join()
        if self._errors:
            raise self._errors[0]

    def _run(self, side: Side) -> None:
        try:
            self._executions[side].run_on(self._clusters[side])
        except _Stopped:
            pass
        except BaseException as error:
            self._errors.append(error)
            self._stop.set()

    def _follow_of(self, side: Side) -> Callable[[StoredRun], Sequence[Task]]:
        return lambda run: self._wait(side, run)

    def _wait(self, side: Side, run: StoredRun) -> Sequence[Task]:
        """Tasks for a side that has done all it had; nothing when neither side has any."""
        other = self._clusters[_other(side)]
        with self._changed:
            while True:
                self._waiting[side] = run
                if len(self._waiting) == len(SIDES):
                    self._decide()
                else:
                    other.borrow(self._clusters[side])
                    while side in self._waiting:
                        if self._stop.is_set():
                            raise _Stopped
                        self._changed.wait(_TICK_SEC)
                if self._next[side] or not any(self._next.values()):
                    return self._next[side]

    def _decide(self) -> None:
        """Both sides wait: neither has a busy worker, its own or a borrowed one."""
        for cluster in self._clusters.values():
            cluster.give_back()
        tasks = self._follow(self._waiting["old"], self._waiting["new"])
        self._next = dict(zip(SIDES, tasks, strict=True))
        self._waiting.clear()
        self._changed.notify_all()


def _other(side: Side) -> Side:
    return "new" if side == "old" else "old"


class _Watched:
    """Passes on to a side's progress, one call at a time, and stops a side when the other has ended."""

    def __init__(self, inner: Progress, lock: threading.Lock, stop: threading.Event) -> None:
        self._inner = inner
        self._lock = lock
        self._stop = stop

    def started(self, worker: str, task: Task) -> None:
        with self._lock:
            self._inner.started(worker, task)

    def finished(self, worker: str, outcome: Outcome) -> None:
        with self._lock:
            self._inner.finished(worker, outcome)
        self._check()

    def added(self, tasks: Sequence[Task]) -> None:
        with self._lock:
            self._inner.added(tasks)

    def tick(self) -> None:
        with self._lock:
            self._inner.tick()
        self._check()

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Stopped
