"""Live comparison: what tripped in a run, in processes of the stored version and of its own in turn.

Times of steps are those of interleaved bursts, as in an upgrade. What a process shows only once - time
to its first step, memory - is measured in fresh processes of both sides in turn; four of them make a
round, and the same rule judges them: each process counts as a block of its own.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bench import mnist
from bench.environments.prepare import prepare
from bench.environments.requirements import parse_side
from bench.errors import BenchError
from bench.execution import machine
from bench.execution.interleave import PROCESSES, measure
from bench.execution.supervisor import CrashError, Supervisor
from bench.jobs.sides import supervisor_of
from bench.jobs.workloads import GROWTH, next_round
from bench.results.environment import requirement
from bench.results.files import write_atomically
from bench.results.live import Compared, Live
from bench.results.pace import Pace, PaceResult, Quantity
from bench.results.timings import SIDES, Side, Timings, Workload
from bench.verdict.baselines.speeds import StoredPaces, facts
from bench.verdict.pacing import LIVE_ALPHA, PaceJudgement
from bench.verdict.speed import unsettled

#: Seconds of interleaved bursts; half as long again where a workload is undecided. So much has the
#: quick tier of ``bench upgrade``, too.
LIMIT_SEC = 200.0


class Process(Protocol):
    """Process of a side; :class:`bench.execution.supervisor.Supervisor` is one."""

    def start(self) -> object:
        """Starts it; raises BenchError if that cannot be."""

    def ask(self, request: Any, *, timeout_sec: float) -> Any:
        """The answer to a burst or a pace. Raises CrashError."""

    def close(self) -> None:
        """Ends it."""


def decide(
    path: Path,
    tripped: Sequence[PaceJudgement],
    make: Callable[[Side], Process],
    *,
    sides: Mapping[Side, str],
    timeout_sec: float,
    say: Callable[[str], None],
    limit_sec: float = LIMIT_SEC,
) -> Live:
    """Measures what tripped on both sides and keeps it.

    Args:
        path: of the file to write.
        tripped: at least one.
        make: a process of a side, not yet started, with the threads of the run.
        sides: what each side is.
        timeout_sec: what takes longer has hung.
        say: receives a line about each round.
        limit_sec: of bursts, and of fresh processes.

    Raises:
        BenchError: a process could not be started, or the file cannot be written.
    """
    steps = {one.pace.workload: one.pace for one in tripped if one.quantity == "step"}
    once = [(one.pace, one.quantity) for one in tripped if one.quantity != "step"]
    compared = _bursts(steps, make, timeout_sec, say, limit_sec) if steps else []
    compared += _fresh(once, make, timeout_sec, say, limit_sec) if once else []
    live = Live(sides=dict(sides), compared=compared)
    write_atomically(path, msgspec.json.encode(live))
    return live


def _bursts(
    steps: Mapping[Workload, Pace],
    make: Callable[[Side], Process],
    timeout_sec: float,
    say: Callable[[str], None],
    limit_sec: float,
) -> list[Compared]:
    def go_on(found: Mapping[Workload, Timings], ends_sec: float) -> Collection[Workload]:
        say(f"speed: {max(len(each.rounds) for each in found.values())} rounds of bursts")
        return next_round(found, ends_sec, limit_sec=limit_sec, alpha=LIVE_ALPHA)

    found = measure(steps, make, go_on=go_on, timeout_sec=timeout_sec)
    return [
        Compared(pace=steps[workload], quantity="step", rounds=each.rounds, crashes=each.crashes)
        for workload, each in found.items()
    ]


def _fresh(
    wanted: Sequence[tuple[Pace, Quantity]],
    make: Callable[[Side], Process],
    timeout_sec: float,
    say: Callable[[str], None],
    limit_sec: float,
) -> list[Compared]:
    """Rounds of four fresh processes, until everything is decided, the last look is reached or the time
    is over, by the rule of :func:`bench.jobs.workloads.next_round`."""
    begin = time.monotonic()
    compared = {
        one: Compared(pace=one[0], quantity=one[1], rounds=[], crashes={}) for one in wanted
    }
    left: Collection[tuple[Pace, Quantity]] = list(compared)
    while left:
        start = time.monotonic()
        paces = list(dict.fromkeys(pace for pace, _ in left))
        shown = _round(make, paces, timeout_sec)
        for (side, _), results in zip(PROCESSES, shown, strict=True):
            for one in left:
                crash = results[one[0]].crash
                if crash is not None:
                    compared[one].crashes.setdefault(side, crash)
        for one in left:
            if not compared[one].crashes:
                values = [_positive(results[one[0]], one[1]) for results in shown]
                compared[one].rounds.append([[[value, value] for value in values]])
        rounds = {one: each.rounds for one, each in compared.items()}
        say(f"speed: {max(map(len, rounds.values()))} rounds of fresh processes")
        ends_sec = 2 * time.monotonic() - start - begin
        if ends_sec > GROWTH * limit_sec:
            break
        wanted_again = unsettled(rounds, late=ends_sec > limit_sec, alpha=LIVE_ALPHA)
        left = [one for one in left if one in wanted_again and not compared[one].crashes]
    return list(compared.values())


def _round(
    make: Callable[[Side], Process], paces: Sequence[Pace], timeout_sec: float
) -> list[dict[Pace, PaceResult]]:
    """Paces of four fresh processes, one after the other. They start at the same time, as importing
    TensorFlow is mostly one thread's work."""
    processes = [make(side) for side, _ in PROCESSES]
    try:
        with concurrent.futures.ThreadPoolExecutor(len(processes)) as pool:
            for future in [pool.submit(process.start) for process in processes]:
                future.result()
        return [
            {pace: _asked(process, pace, timeout_sec) for pace in paces} for process in processes
        ]
    finally:
        for process in processes:
            process.close()


def _asked(process: Process, pace: Pace, timeout_sec: float) -> PaceResult:
    try:
        answer = process.ask(pace, timeout_sec=timeout_sec)
    except CrashError as error:
        answer = pace.crashed(error.crash)
    assert isinstance(answer, PaceResult)
    return answer


def _positive(result: PaceResult, quantity: Quantity) -> float:
    """A number above 0 whose ratios are judged. To memory is added what means nothing: then two
    numbers that both mean nothing have a ratio of about 1."""
    value = result.values[quantity]
    if quantity == "growth":
        return max(value, 0.0) + result.growth_slack / 2**10
    return value + 1.0 if quantity == "peak" else value


def compare(
    offered: StoredPaces,
    stored: StoredPaces,
    tripped: Sequence[PaceJudgement],
    path: Path,
    *,
    new_python: str,
    cache: Path,
    data_dir: Path | None,
    timeout_sec: float,
    say: Callable[[str], None],
) -> Live:
    """Builds the stored version's environment, and that of the run unless it is there, and decides.

    Args:
        offered: the paces that tripped, with their environment.
        stored: the last stored run of the machine.
        tripped: what is beyond its limits.
        path: of the file that keeps the comparison.
        new_python: interpreter of the run's version; empty: it is built by its versions.
        cache: where environments are kept.
        data_dir: where the images are; None: wherever they can be had from.
        timeout_sec: what takes longer has hung.
        say: receives a line about each step that takes time.

    Raises:
        BenchError: an environment cannot be had, or a process could not be started.
    """
    numerics = offered.numerics
    old = parse_side(requirement(stored.software, numerics.device))
    new = parse_side(
        "" if new_python else requirement(offered.software, numerics.device), python=new_python
    )
    pair = prepare([old, new], cache=cache, say=say)
    built = dict(zip(SIDES, pair, strict=True))
    images = mnist.load(directory=data_dir)

    def make(side: Side) -> Supervisor:
        return supervisor_of(
            side,
            built[side],
            images.fingerprint,
            device=numerics.device,
            threads=numerics.threads,
        )

    sides: dict[Side, str] = {side: built[side].label for side in SIDES}
    return decide(path, tripped, make, sides=sides, timeout_sec=timeout_sec, say=say)


def here(offered: StoredPaces) -> None:
    """Refuses to decide on one machine what was measured on another.

    Raises:
        BenchError: this is not the machine of these paces.
    """
    ours, theirs = facts(machine.describe(machine.limits())), facts(offered.machine)
    other = [name for name, value in ours.items() if theirs[name] != value]
    if other:
        raise BenchError(
            f"this machine has another {other[0]} ({ours[other[0]]!r}) than the run's "
            f"({theirs[other[0]]!r})",
            hint="run the same command where the run was measured",
        )
