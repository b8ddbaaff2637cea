"""Tests of interleaved bursts, in processes that are made up: they keep a common clock and a diary."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.execution.interleave import PROCESSES, block_order, measure
from bench.execution.protocol import Burst
from bench.execution.supervisor import CrashError
from bench.results.kind import Crash
from bench.results.timings import Side, Timings, Work, Workload
from bench.verdict.speed import log_ratios

FIRST = Workload(Cell(), "training")
SECOND = Workload(Cell(engine="eager"), "inference")


@dataclass
class Machine:
    """Where time passes only while a process works."""

    sec_per_step: dict[Side, float] = field(default_factory=lambda: {"old": 1e-3, "new": 1e-3})
    drift: float = 0.0
    """Growth of the time of a step in each second."""
    broken: set[tuple[Side, Work]] = field(default_factory=set)
    breaks_at: int | None = None
    """Burst, counted over all processes, that crashes."""
    disturbed: str = ""
    """Process that takes ten times as long."""
    does_not_start: bool = False
    asked: int = 0
    now: float = 0.0
    started: list[str] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    most_alive: int = 0
    diary: list[tuple[str, Workload, int, float]] = field(default_factory=list)

    def make(self, side: Side) -> Made:
        name = f"{side} {sum(one.startswith(side) for one in self.started) + 1}"
        self.started.append(name)
        return Made(self, side, name)


@dataclass
class Made:
    """A process of a machine."""

    machine: Machine
    side: Side
    name: str

    def start(self) -> None:
        if self.machine.does_not_start and self.side == "new":
            raise BenchError("new: the training process did not start")
        self.machine.live.add(self.name)
        self.machine.most_alive = max(self.machine.most_alive, len(self.machine.live))

    def ask(self, request: Burst, *, timeout_sec: float) -> float:
        machine, cell, work, steps = self.machine, request.cell, request.work, request.steps
        assert self.name in machine.live
        machine.asked += 1
        if (self.side, work) in machine.broken or machine.asked == machine.breaks_at:
            raise CrashError(Crash(reason="signal", message="killed by SIGSEGV"))
        seconds = steps * machine.sec_per_step[self.side] * (1 + machine.drift * machine.now)
        seconds *= 10 if self.name == machine.disturbed else 1
        machine.diary.append((self.name, Workload(cell, work), steps, seconds))
        machine.now += seconds
        return seconds

    def close(self) -> None:
        self.machine.live.discard(self.name)


def run(machine: Machine, *, rounds: int = 1, **options: object) -> dict[Workload, Timings]:
    """Both workloads, in so many rounds."""
    arguments: dict[str, object] = {
        "go_on": go_on(rounds),
        "timeout_sec": 60.0,
        "clock": lambda: machine.now,
        **options,
    }
    return measure([FIRST, SECOND], machine.make, **arguments)  # type: ignore[arg-type]


def go_on(rounds: int) -> Callable[[Mapping[Workload, Timings], float], list[Workload]]:
    def more(found: Mapping[Workload, Timings], ends_sec: float) -> list[Workload]:
        return [key for key, one in found.items() if len(one.rounds) < rounds]

    return more


def seconds(timings: Timings) -> np.ndarray:
    return np.array(timings.rounds)


@pytest.mark.parametrize("block", range(9))
def test_a_block_goes_there_and_back(block: int) -> None:
    """Every process runs twice, the mean of its places is the block's middle: even drifts cancel."""
    order = block_order(block)
    assert order == order[::-1]
    for place in range(len(PROCESSES)):
        turns = [turn for turn, other in enumerate(order) if other == place]
        assert (len(turns), sum(turns)) == (2, len(order) - 1)


def test_each_process_has_each_place_as_often() -> None:
    """In four blocks each is once in the middle and once at the ends, where it follows itself."""
    middles = Counter(block_order(block)[3] for block in range(4))
    ends = Counter(block_order(block)[0] for block in range(4))
    assert set(middles.values()) == set(ends.values()) == {1}
    assert len(middles) == len(ends) == len(PROCESSES)


def test_bursts_alternate_between_four_processes() -> None:
    """The last 4 blocks of 8 bursts of a workload are in order of the blocks, and are what is kept; the
    next round begins with another process."""
    machine = Machine()
    found = run(machine, rounds=2)
    for workload in (FIRST, SECOND):
        assert seconds(found[workload]).shape == (2, 4, 4, 2)
        for number in range(2):
            names = [f"{side} {2 * number + index}" for side, index in PROCESSES]
            expected = [names[place] for block in range(4) for place in block_order(number + block)]
            own = [entry for entry in machine.diary if entry[1] == workload and entry[0] in names]
            assert [name for name, *_ in own[-32:]] == expected
            kept = seconds(found[workload])[number]
            assert sorted(kept.ravel()) == sorted(took for *_, took in own[-32:])


def test_each_time_is_kept_at_its_process() -> None:
    """A new side that takes twice as long is so in each pair, and equal processes are equal."""
    machine = Machine(sec_per_step={"old": 1e-3, "new": 2e-3})
    between, within = log_ratios(seconds(run(machine, rounds=3)[FIRST]))
    np.testing.assert_allclose(between, np.log(2.0), rtol=1e-12)
    np.testing.assert_allclose(within, 0.0, atol=1e-12)


def test_even_drift_cancels() -> None:
    """A machine that slows down by .1 % each second: sides differ by that squared at most.

    A block takes 8 bursts of .2 s, in which steps become 1.6e-3 longer. The mean logarithm of two
    bursts, d from the middle, is off by d^2/2 < (1.6e-3)^2/2 = 1.3e-6.
    """
    machine = Machine(drift=1e-3)
    log = np.log(seconds(run(machine)[FIRST])[0])
    assert np.ptp(log, axis=(1, 2)).min() > 1e-3
    assert np.ptp(log.mean(axis=2), axis=1).max() < 1.3e-6


@pytest.mark.parametrize("sec_per_step", [1e-6, 1e-4, 0.013, 0.15, 3.0])
def test_a_burst_takes_its_time_on_the_slower_side(sec_per_step: float) -> None:
    """.2 s, or one step, whichever is longer; a rounded step more or less; the same on both sides."""
    machine = Machine(sec_per_step={"old": sec_per_step, "new": sec_per_step / 3})
    timings = run(machine, rounds=2)[FIRST]
    old = seconds(timings)[:, :, 0]
    np.testing.assert_allclose(old, max(0.2, sec_per_step), atol=sec_per_step / 2)
    np.testing.assert_allclose(old, timings.steps * sec_per_step)
    np.testing.assert_allclose(seconds(timings)[:, :, 1], old / 3)


@pytest.mark.parametrize("disturbed", ["old 1", "new 2"])
def test_a_disturbed_trial_does_not_shorten_bursts(disturbed: str) -> None:
    """One process that is ten times slower in the first round: the other one of its side counts."""
    machine = Machine(disturbed=disturbed)
    timings = run(machine, rounds=2)[FIRST]
    assert timings.steps == 200
    assert seconds(timings)[0].max() == pytest.approx(2.0)


def test_every_process_is_warm_before_it_counts() -> None:
    """Each has done the full number of steps before the first burst that is kept."""
    machine = Machine()
    steps = run(machine, rounds=2)[FIRST].steps
    for name in machine.started:
        own = [n for who, worked, n, _ in machine.diary if (who, worked) == (name, FIRST)]
        assert own[-8:] == [steps] * 8
        assert own[-9] == steps


def test_all_processes_compile_at_once_and_are_timed_one_by_one() -> None:
    """The first burst of a workload waits for the other three; later ones overlap with none."""
    meeting, alone = threading.Barrier(len(PROCESSES)), threading.Lock()

    @dataclass
    class Waiting(Made):
        asked: set[Work] = field(default_factory=set)

        def ask(self, request: Burst, *, timeout_sec: float) -> float:
            if request.work not in self.asked:
                self.asked.add(request.work)
                meeting.wait(timeout=20)
                return super().ask(request, timeout_sec=timeout_sec)
            assert alone.acquire(blocking=False)
            try:
                return super().ask(request, timeout_sec=timeout_sec)
            finally:
                alone.release()

    machine = Machine()
    found = measure(
        [FIRST, SECOND],
        lambda side: Waiting(machine, side, machine.make(side).name),
        go_on=go_on(1),
        timeout_sec=60.0,
        clock=lambda: machine.now,
    )
    assert [len(timings.rounds) for timings in found.values()] == [1, 1]


def test_each_round_has_new_processes_and_ends_them() -> None:
    """Four at a time, none left over; the sides take turns in starting first."""
    machine = Machine()
    run(machine, rounds=3)
    assert machine.most_alive == 4
    assert not machine.live
    sides = [name.split()[0] for name in machine.started]
    assert sides == ["old", "new"] * 2 + ["new", "old"] * 2 + ["old", "new"] * 2
    assert len(set(machine.started)) == 12


def test_only_what_is_still_open_goes_on() -> None:
    """A workload that is told to stop has no further bursts."""
    machine = Machine()
    found = run(machine, go_on=lambda found, _: [SECOND] if len(found[SECOND].rounds) < 3 else [])
    assert (len(found[FIRST].rounds), len(found[SECOND].rounds)) == (1, 3)


def test_nothing_to_do_starts_nothing() -> None:
    """No workloads, no processes."""
    machine = Machine()
    assert measure([], machine.make, go_on=go_on(1), timeout_sec=60.0) == {}
    assert not machine.started


def test_time_is_kept() -> None:
    """Who says what goes on is told when the next round would end, if it took as long as the last."""
    machine = Machine(now=7.0)
    done, ends = [machine.now], []

    def more(found: Mapping[Workload, Timings], ends_sec: float) -> list[Workload]:
        done.append(machine.now)
        ends.append(ends_sec)
        return [[FIRST, SECOND], [SECOND], []][len(ends) - 1]

    run(machine, go_on=more)
    assert ends == pytest.approx([2 * now - then - 7.0 for then, now in itertools.pairwise(done)])
    assert len(ends) == 3


@pytest.mark.parametrize("sides", [{"old"}, {"new"}, {"old", "new"}])
def test_a_crash_costs_its_workload(sides: set[Side]) -> None:
    """It is told for each side that crashes, never for the other; the other workload goes on."""
    machine = Machine(broken={(side, "training") for side in sides})
    found = run(machine, rounds=2)
    assert set(found[FIRST].crashes) == sides
    assert all(crash.message == "killed by SIGSEGV" for crash in found[FIRST].crashes.values())
    assert found[FIRST].rounds == []
    assert len(found[SECOND].rounds) == 2
    assert not found[SECOND].crashes


def test_a_crash_in_the_middle_leaves_whole_rounds() -> None:
    """Whatever burst it strikes, no round is kept in part, and the crash is told once."""
    whole = Machine()
    run(whole, rounds=2)
    for at in range(1, whole.asked, 7):
        found = run(Machine(breaks_at=at), rounds=2)
        crashed = [one for one in found.values() if one.crashes]
        assert len(crashed) == 1
        for one in found.values():
            assert all(np.shape(measured) == (4, 4, 2) for measured in one.rounds)
        assert len(crashed[0].rounds) < 2


def test_a_process_that_does_not_start_ends_it() -> None:
    """That is trouble, no finding; those that did start are closed."""
    machine = Machine(does_not_start=True)
    with pytest.raises(BenchError, match="new: the training process did not start"):
        run(machine)
    assert not machine.live


def test_real_processes_are_timed(image_cache: tuple, faulty_variables: dict[str, str]) -> None:
    """Supervisors are such processes: here of a stand-in for TensorFlow that takes .1 ms a step."""
    from bench.execution import protocol
    from bench.execution.supervisor import Supervisor

    settings = protocol.Settings(device="cpu", data=image_cache[1], cache_dir=str(image_cache[0]))
    found = measure(
        [FIRST],
        lambda side: Supervisor(settings, environment=faulty_variables, name=side),
        go_on=go_on(1),
        timeout_sec=60.0,
    )
    assert found[FIRST].steps == 2000
    np.testing.assert_allclose(seconds(found[FIRST]), 0.2)


def test_workloads_are_done_one_after_the_other() -> None:
    """Within a round, all processes finish a workload before the next begins: each graph is compiled
    once, as a process keeps but one."""
    machine = Machine()
    run(machine, rounds=2)
    runs = [key for key, _ in itertools.groupby(worked for _, worked, _, _ in machine.diary)]
    assert runs == [FIRST, SECOND] * 2
