"""Bursts of two sides in turn: the same work, in live processes of both, on one machine.

Times of separate runs of identical code differ by tens of percent: clocks, neighbours and temperature
change from minute to minute, and each process has a bias of its own, which stays as long as it lives
(memory layout, what was compiled). So bursts of a few tenths of a second alternate between the sides,
which takes out what changes slowly, and the processes are started again and again, which shows how
large their biases are.

A *round* starts four processes, two of each side, and does one workload after the other on all four.
That is two *restarts* of the comparison: new against old, twice. The same bursts also compare the two
processes of one side with each other, where nothing but noise can show. What is not timed, starting and
compiling, all four do at once.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

from bench.execution.protocol import Burst
from bench.execution.supervisor import CrashError
from bench.results.timings import Side, Timings, Workload

#: The processes of a round; of each side, the first is always the one that starts and compiles earlier.
PROCESSES: tuple[tuple[Side, int], ...] = (("old", 1), ("new", 1), ("old", 2), ("new", 2))

#: Blocks of a round. A multiple of four: then each process has each place as often.
BLOCKS = 4

#: Length of a burst on the slower side. Long against a scheduler's time slice (some milliseconds) and
#: what a process needs to get its caches back, short against the changes that alternating shall take
#: out.
BURST_SEC = 0.2

#: Bursts with which the number of steps is sought grow at most so much at a time.
_GROWTH = 10


class Process(Protocol):
    """Process that bursts run in; :class:`bench.execution.supervisor.Supervisor` is one."""

    def start(self) -> object:
        """Starts it; raises BenchError if that cannot be."""

    def ask(self, request: Burst, *, timeout_sec: float) -> float:
        """Seconds of a burst; the first burst of a workload compiles before its clock starts. Raises
        CrashError."""

    def close(self) -> None:
        """Ends it."""


def measure(
    workloads: Iterable[Workload],
    make: Callable[[Side], Process],
    *,
    go_on: Callable[[Mapping[Workload, Timings], float], Collection[Workload]],
    timeout_sec: float,
    blocks: int = BLOCKS,
    burst_sec: float = BURST_SEC,
    clock: Callable[[], float] = time.monotonic,
) -> dict[Workload, Timings]:
    """Rounds of bursts, until nothing is left to go on with.

    Args:
        workloads: all are in the first round.
        make: a new process of this side, not yet started. It gets all threads of the machine, and at
            most a quarter of a GPU's memory: four live at a time.
        go_on: gets all timings after each round, and after how many seconds in all the next one would
            end if it took as long, says which workloads the next one has; none ends it. Those with a
            crash never go on.
        timeout_sec: a burst that takes longer has hung.
        blocks: in each round of a workload. A block lets each process run twice: in some order, and
            then in reverse, so that whatever grows or falls evenly over the block cancels.
        burst_sec: length of a burst on the slower side.
        clock: seconds since some moment.

    Raises:
        BenchError: a process could not be started.
    """
    timings = {workload: Timings(workload=workload) for workload in workloads}
    begin = clock()
    left: Collection[Workload] = list(timings)
    number = 0
    while left:
        start = clock()
        with _started(make, number) as processes:
            for workload in left:
                _round(processes, timings[workload], number, timeout_sec, blocks, burst_sec)
        number += 1
        wanted = set(go_on(timings, 2 * clock() - start - begin))
        left = [workload for workload in timings if workload in wanted]
        left = [workload for workload in left if not timings[workload].crashes]
    return timings


@contextlib.contextmanager
def _started(make: Callable[[Side], Process], number: int) -> Iterator[dict[int, Process]]:
    """The processes of round ``number`` by their place in PROCESSES, in the order of their start.

    They start at the same time, as importing TensorFlow is mostly one thread's work.
    """
    made: dict[int, Process] = {}
    try:
        for place in _order(number):
            made[place] = make(PROCESSES[place][0])
        with concurrent.futures.ThreadPoolExecutor(len(made)) as pool:
            for future in [pool.submit(process.start) for process in made.values()]:
                future.result()
        yield made
    finally:
        for process in made.values():
            process.close()


def _order(number: int) -> list[int]:
    """Places of PROCESSES in the order of start: old first in even rounds, new first in odd ones."""
    return [0, 1, 2, 3] if number % 2 == 0 else [1, 0, 3, 2]


def block_order(block: int) -> list[int]:
    """Places of PROCESSES in the order of a block's bursts: there and back.

    The order turns by one place from block to block, because places differ: whoever is in the middle
    or at an end follows itself, with its data still in the caches.

    Example:
        >>> block_order(0), block_order(1)
        ([0, 1, 2, 3, 3, 2, 1, 0], [1, 2, 3, 0, 0, 3, 2, 1])
    """
    count = len(PROCESSES)
    forth = [(place + block) % count for place in range(count)]
    return forth + forth[::-1]


def _round(
    processes: Mapping[int, Process],
    timings: Timings,
    number: int,
    timeout_sec: float,
    blocks: int,
    burst_sec: float,
) -> None:
    """Adds a round to the timings, or the crash that prevents it."""

    def burst(place: int, steps: int) -> float:
        cell, work = timings.workload
        request = Burst(cell=cell, work=work, steps=steps)
        try:
            return processes[place].ask(request, timeout_sec=timeout_sec)
        except CrashError as error:
            timings.crashes.setdefault(PROCESSES[place][0], error.crash)
            raise

    def compiled(place: int) -> None:
        with contextlib.suppress(CrashError):  # which says nothing of the other side
            burst(place, 1)

    with concurrent.futures.ThreadPoolExecutor(len(processes)) as pool:
        list(pool.map(compiled, processes))
    if timings.crashes:
        return
    with contextlib.suppress(CrashError):
        if not timings.steps:
            timings.steps = _common_steps(burst, burst_sec)
        for place in processes:  # at the full number of steps, as buffers depend on it
            burst(place, timings.steps)
        seconds = [[[0.0, 0.0] for _ in PROCESSES] for _ in range(blocks)]
        for block, row in enumerate(seconds):
            for turn, place in enumerate(block_order(number + block)):
                row[place][turn // len(PROCESSES)] = burst(place, timings.steps)
        timings.rounds = [*timings.rounds, seconds]


def _common_steps(burst: Callable[[int, int], float], burst_sec: float) -> int:
    """Steps that take ``burst_sec`` on the slower side. Of a side, the process that did more counts: a
    trial that something else disturbs says too few."""
    most: dict[Side, int] = {}
    for place, (side, _) in enumerate(PROCESSES):
        most[side] = max(most.get(side, 1), _steps(functools.partial(burst, place), burst_sec))
    return min(most.values())


def _steps(burst: Callable[[int], float], burst_sec: float) -> int:
    """Steps that take ``burst_sec``, as the first trial says that lasts half as long or longer."""
    steps = 1
    while (seconds := burst(steps)) < burst_sec / 2:
        growth = burst_sec / seconds if seconds > 0 else math.inf
        steps = max(steps + 1, int(steps * min(growth, _GROWTH)))
    return max(1, round(steps * burst_sec / seconds))
