"""Tests of progress: what is done, and how long the rest will take."""

from __future__ import annotations

import io
import itertools
import re

import msgspec
import pytest

from bench.cells.cell import AXES, Cell
from bench.jobs import progress
from bench.jobs.progress import Progress
from bench.results.check import Check
from bench.results.kind import Task
from bench.results.record import Replica
from support.builders import crashed, items, plan, trained

SHORT, LONG = Cell(steps=60), Cell(steps=600)
SEEDS = (0, 1, 2)


class Clock:
    """Stands in for the module ``time``."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A time that tests move."""
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def shown(*done: Task) -> tuple[Progress, io.StringIO]:
    """Progress over three seeds of a cell, and of one with ten times as much work."""
    stream = io.StringIO()
    planned = plan(items("depth", [SHORT, LONG], ("steps",)), seeds=SEEDS)
    made = Progress(planned, done, stream=stream, live=False)
    return made, stream


def remaining(made: Progress) -> str:
    (found,) = re.findall(r"remaining (.*)", made.summary())
    return found


def test_the_rest_is_shared_by_the_workers_that_run(clock: Clock) -> None:
    """A unit of work takes 4 s: 31 units are left when the first two are done, of which 20 run on two
    workers; 2 s later they have 38 s each to go, and the 11 that wait are shared."""
    made, _ = shown()
    assert remaining(made) == "unknown"
    for worker in ("a", "b"):
        made.started(worker, Replica(SHORT, 0 if worker == "a" else 1))
    clock.now += 4
    assert remaining(made) == "unknown"
    for worker, seed in (("a", 0), ("b", 1)):
        made.finished(worker, trained(SHORT, seed))
        made.started(worker, Replica(LONG, seed))
    clock.now += 2
    assert remaining(made) == progress.clock(38 + 11 * 4 / 2)


def test_it_takes_as_long_as_the_longest_that_runs(clock: Clock) -> None:
    """One of two workers has 40 s to go, the other 4."""
    made, _ = shown(Replica(SHORT, 0), Replica(LONG, 0), Replica(LONG, 1))
    made.started("a", Replica(SHORT, 1))
    clock.now += 4
    made.finished("a", trained(SHORT, 1))
    made.started("a", Replica(LONG, 2))
    made.started("b", Replica(SHORT, 2))
    assert remaining(made) == "0:40"
    clock.now += 60
    assert remaining(made) == "0:00"  # longer than was thought: nobody knows


def test_what_an_earlier_start_did_and_what_was_never_begun_do_not_count_as_work(
    clock: Clock,
) -> None:
    """Nothing is known of the pace until a replica that was begun has ended."""
    made, stream = shown(Replica(LONG, 0))
    made.finished("a", crashed(LONG, 1))
    assert remaining(made) == "unknown"
    made.started("a", Replica(SHORT, 0))
    clock.now += 3
    made.finished("a", trained(SHORT, 0))
    assert remaining(made) == progress.clock(12 * 3)
    assert made.summary().startswith("0/2 cells, 3/6 replicas, 1 crashed, elapsed 0:03")
    assert "crashed: depth/" in stream.getvalue()


def test_more_may_come_of_cells_whose_bits_differ(clock: Clock) -> None:
    """Their further seeds and copies are not known before; at the end nothing remains."""
    planned = plan(items("depth", [SHORT, LONG], ("steps",)), seeds=[0])
    planned = msgspec.structs.replace(planned, further=[1, 2])
    made = Progress(planned, (), stream=io.StringIO(), live=False)
    made.started("a", Replica(SHORT, 0))
    clock.now += 4
    made.finished("a", trained(SHORT, 0))
    assert remaining(made) == "at least 0:40"
    made.finished("a", trained(LONG, 0))
    assert remaining(made) == "0:00"


def test_nothing_remains_at_the_end() -> None:
    made, _ = shown(*[Replica(cell, seed) for cell in (SHORT, LONG) for seed in SEEDS])
    assert remaining(made) == "0:00"


def test_plain_lines_are_short_and_rarer_as_the_run_grows(clock: Clock) -> None:
    """They tell what runs longest, and leave out kinds of which all is done; the last line has them."""
    long = Cell(
        architecture="conv_residual", convolution="separable", normalization="batch", steps=61
    )
    stream, checks = io.StringIO(), [Check(family="losses", subject="hinge")]
    planned = plan(items("convdepth", [long, SHORT], AXES), seeds=SEEDS)
    planned = msgspec.structs.replace(planned, checks=checks)
    with Progress(planned, checks, stream=stream, live=False, name="new") as made:
        made.started("a", Replica(long, 0))
        made.started("b", Replica(SHORT, 0))
        seconds = [second for second in range(900) if _ticked(made, stream, clock)]
    assert 30 <= len(seconds) <= 40
    assert max(after - before for before, after in itertools.pairwise(seconds)) <= 90
    lines = stream.getvalue().splitlines()
    assert all(len(line) <= 120 for line in lines)
    assert lines[1].startswith(
        "new: 0/2 cells, 0/6 replicas, elapsed 0:10, remaining unknown; convdepth/"
    )
    assert lines[1].endswith("…")
    assert "1/1 checks" in lines[-1]


def _ticked(made: Progress, stream: io.StringIO, clock: Clock) -> bool:
    """Whether it has something to say a second later."""
    before = stream.tell()
    clock.now += 1
    made.tick()
    return stream.tell() > before


def test_a_cell_of_two_grids_counts_in_both(clock: Clock) -> None:
    """As in reports; it is trained once."""
    planned = plan([*items("depth", [SHORT, LONG], AXES), *items("activation", [SHORT], AXES)])
    planned = msgspec.structs.replace(planned, seeds=[0])
    made = Progress(planned, (), stream=io.StringIO(), live=False)
    assert made.summary().startswith("0/3 cells, 0/2 replicas, ")
    made.finished("a", trained(SHORT, 0))
    assert made.summary().startswith("2/3 cells, 1/2 replicas, ")


def test_plain_lines_come_every_ten_seconds(clock: Clock) -> None:
    """They tell what runs."""
    made, stream = shown()
    made.started("a", Replica(SHORT, 0))
    made.tick()
    assert not stream.getvalue()
    clock.now += 10
    made.tick()
    made.tick()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().rstrip().endswith("seed 0")
