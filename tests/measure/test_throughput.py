"""A clock that lets remote work last as long as the other process says."""

from __future__ import annotations

import pytest

from bench.measure import throughput
from bench.measure.throughput import RemoteClock

pytestmark = pytest.mark.filterwarnings("error")


class Time:
    """``time.perf_counter`` that moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    stopped = Time()
    monkeypatch.setattr(throughput, "time", stopped)
    return stopped


def test_runs_in_real_time(time: Time) -> None:
    """As long as nothing remote happens."""
    clock = RemoteClock()
    begin = clock()
    time.now += 2.5
    assert clock() - begin == 2.5


def test_a_remote_call_lasts_as_long_as_its_work(time: Time) -> None:
    """Waited for 3 s, of which the work took 1.25: the bracket reads 1.25, and .5 beside it counts."""
    clock = RemoteClock()
    begin = clock()
    time.now += 3.0
    clock.count(waited_sec=3.0, worked_sec=1.25)
    assert clock() - begin == 1.25
    time.now += 0.5
    assert clock() - begin == 1.75


def test_calls_add_up(time: Time) -> None:
    """Three calls of 1 s each, waited for 2, 4 and 8 s."""
    clock = RemoteClock()
    begin = clock()
    for waited in (2.0, 4.0, 8.0):
        time.now += waited
        clock.count(waited_sec=waited, worked_sec=1.0)
    assert clock() - begin == 3.0


def test_two_clocks_are_apart(time: Time) -> None:
    """What one hides, another one shows."""
    one, other = RemoteClock(), RemoteClock()
    begin = one(), other()
    time.now += 2.0
    one.count(waited_sec=2.0, worked_sec=0.5)
    assert (one() - begin[0], other() - begin[1]) == (0.5, 2.0)


def test_really_reads_a_clock() -> None:
    """Without a planted one, it moves forward."""
    clock = RemoteClock()
    first = clock()
    while clock() == first:
        pass
    assert clock() > first
