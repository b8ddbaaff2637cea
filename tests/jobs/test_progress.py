"""Tests of progress: what is done, and how long the rest will take."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable

import msgspec
import pytest

from bench.cells.cell import AXES, Cell
from bench.jobs import progress
from bench.jobs.progress import PLAIN_WIDTH, Progress, Tally, Watch
from bench.results.check import Check
from bench.results.copy_result import Copy
from bench.results.kind import Task
from bench.results.plan import Plan
from bench.results.record import Replica
from support.builders import copied, crashed, items, plan, trained

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


class Shown(Watch):
    """Watches a single run, and shows it."""

    def __init__(self, planned: Plan, done: Iterable[Task] = ()) -> None:
        self.stream = io.StringIO()
        self.run = Tally(planned, done)
        self.shown = Progress({"": self.run}, stream=self.stream, live=False)
        super().__init__(self.shown, "", self.run)

    @property
    def summary(self) -> str:
        return self.shown.summary()

    @property
    def text(self) -> str:
        return self.stream.getvalue()


def shown(*done: Task) -> Shown:
    """Progress over three seeds of a cell, and of one with ten times as much work."""
    return Shown(plan(items("depth", [SHORT, LONG], ("steps",)), seeds=SEEDS), done)


def remaining(made: Shown | Progress) -> str:
    text = made.summary(ended=False) if isinstance(made, Progress) else made.summary
    (found,) = re.findall(r"remaining (.*)", text)
    return found


def test_the_rest_is_shared_by_the_workers_that_run(clock: Clock) -> None:
    """A unit of work takes 4 s: 31 units are left when the first two are done, of which 20 run on two
    workers; 2 s later they have 38 s each to go, and the 11 that wait are shared."""
    made = shown()
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
    made = shown(Replica(SHORT, 0), Replica(LONG, 0), Replica(LONG, 1))
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
    made = shown(Replica(LONG, 0))
    made.finished("a", crashed(LONG, 1))
    assert remaining(made) == "unknown"
    made.started("a", Replica(SHORT, 0))
    clock.now += 3
    made.finished("a", trained(SHORT, 0))
    assert remaining(made) == progress.clock(12 * 3)
    assert made.summary.startswith("0/2 cells, 3/6 replicas, 1 crashed, elapsed 0:03")
    assert "crashed: depth/" in made.text


def test_more_may_come_of_cells_whose_bits_differ(clock: Clock) -> None:
    """Their further seeds and copies are not known before; at the end nothing remains."""
    planned = plan(items("depth", [SHORT, LONG], ("steps",)), seeds=[0])
    planned = msgspec.structs.replace(planned, further=[1, 2])
    made = Shown(planned)
    made.started("a", Replica(SHORT, 0))
    clock.now += 4
    made.finished("a", trained(SHORT, 0))
    assert remaining(made) == "at least 0:40"
    made.finished("a", trained(LONG, 0))
    assert remaining(made) == "0:00"


def test_copies_count_as_left_where_bits_are_not_those_stored(clock: Clock) -> None:
    """A unit of work takes 4 s; the long cell's ten are left. Two copies of the short one are sure to
    follow if its bits are others and it has further seeds, and nothing of a cell that is not stored."""
    planned = plan(items("depth", [SHORT, LONG], ("steps",)), seeds=[0])
    for further, known, expected in (
        ([1, 2], {Replica(SHORT, 0): "other"}, "at least 0:48"),
        ([1, 2], {Replica(SHORT, 0): trained(SHORT, 0).digest}, "at least 0:40"),
        ([1, 2], {}, "at least 0:40"),
        ([], {Replica(SHORT, 0): "other"}, "at least 0:40"),
    ):
        run = Tally(msgspec.structs.replace(planned, further=further), stored=lambda k=known: k)
        made = Progress({"": run}, stream=io.StringIO(), live=False)
        made.of().started("a", Replica(SHORT, 0))
        clock.now += 4
        made.of().finished("a", trained(SHORT, 0))
        assert remaining(made) == expected


def test_nothing_remains_at_the_end() -> None:
    made = shown(*[Replica(cell, seed) for cell in (SHORT, LONG) for seed in SEEDS])
    assert remaining(made) == "0:00"


def test_plain_lines_are_short_and_rarer_as_the_run_grows(clock: Clock) -> None:
    """They tell what runs longest, and leave out kinds of which all is done; the last line has them."""
    long = Cell(
        architecture="conv_residual", convolution="separable", normalization="batch", steps=61
    )
    checks = [Check(family="losses", subject="hinge")]
    planned = plan(items("convdepth", [long, SHORT], AXES), seeds=SEEDS)
    planned = msgspec.structs.replace(planned, checks=checks)
    made = Shown(planned, checks)
    with made.shown:
        made.started("a", Replica(long, 0))
        made.started("b", Replica(SHORT, 0))
        seconds = [second for second in range(900) if _ticked(made, clock)]
    assert 30 <= len(seconds) <= 40
    assert max(after - before for before, after in itertools.pairwise(seconds)) <= 90
    lines = made.text.splitlines()
    assert all(len(line) <= PLAIN_WIDTH for line in lines)
    assert lines[1].startswith(
        "0/2 cells, 0/6 replicas, elapsed 0:10, remaining unknown; convdepth/"
    )
    assert lines[1].endswith("…")
    assert "1/1 checks" in lines[-1]


def _ticked(made: Shown, clock: Clock) -> bool:
    """Whether it has something to say a second later."""
    before = made.stream.tell()
    clock.now += 1
    made.tick()
    return made.stream.tell() > before


def test_a_cell_of_two_grids_counts_in_both(clock: Clock) -> None:
    """As in reports; it is trained once."""
    planned = plan([*items("depth", [SHORT, LONG], AXES), *items("activation", [SHORT], AXES)])
    planned = msgspec.structs.replace(planned, seeds=[0])
    made = Shown(planned)
    assert made.summary.startswith("0/3 cells, 0/2 replicas, ")
    made.finished("a", trained(SHORT, 0))
    assert made.summary.startswith("2/3 cells, 1/2 replicas, ")


def test_plain_lines_come_every_ten_seconds(clock: Clock) -> None:
    """They tell what runs."""
    made = shown()
    made.started("a", Replica(SHORT, 0))
    made.tick()
    assert not made.text
    clock.now += 10
    made.tick()
    made.tick()
    assert made.text.count("\n") == 1
    assert made.text.rstrip().endswith("seed 0")


# --- Two runs, as an upgrade has them


class Pair:
    """Both sides of an upgrade of two cells, which get further seeds where bits differ."""

    def __init__(self, *, checks: int = 0) -> None:
        planned = plan(items("depth", [SHORT, LONG], ("steps",)), seeds=[0])
        subjects = [Check(family="losses", subject=f"hinge-{n}") for n in range(checks)]
        planned = msgspec.structs.replace(planned, further=[1, 2], checks=subjects)
        self.stream = io.StringIO()
        self.shown = Progress(
            {name: Tally(planned) for name in ("old", "new")}, stream=self.stream, live=False
        )
        self.old, self.new = self.shown.of("old"), self.shown.of("new")


def test_both_sides_are_one_line(clock: Clock) -> None:
    """No more often than a single run's, and no longer, however much is to be counted."""
    made = Pair(checks=945)
    with made.shown:
        made.old.started("a", Replica(LONG, 0))
        made.new.started("b", Replica(SHORT, 0))
        clock.now += 4
        made.new.finished("b", trained(SHORT, 0))
        for _ in range(900):
            clock.now += 1
            made.old.tick()
            made.new.tick()
    first, *lines = made.stream.getvalue().splitlines()
    assert first == "starting workers"
    assert 30 <= len(lines) <= 40
    assert all(len(line) <= PLAIN_WIDTH for line in lines)
    assert lines[0].startswith(
        "old 0/2, new 1/2 cells, 0/945 checks each, elapsed 0:10, remaining at least "
    )
    assert "; depth/" in lines[0]


def test_trouble_of_a_side_names_it(clock: Clock) -> None:
    """At once, in a line of its own; the counts have both sides'."""
    made = Pair()
    made.old.finished("a", crashed(SHORT, 0))
    made.new.finished("b", crashed(SHORT, 0))
    assert made.stream.getvalue().startswith("old: crashed: depth/")
    assert made.shown.summary().startswith("1/2 cells each, 2 crashed, elapsed 0:00")


def test_copies_that_are_sure_to_follow_count_as_left(clock: Clock) -> None:
    """A unit of work takes 4 s. Of the short cell both sides' bits differ: two copies of it follow, as
    the plan does not yet say; once it does, they count once. The long cell takes 10 units a side."""
    made = Pair()
    for watch, salt in ((made.old, ""), (made.new, "other")):
        watch.started("a", Replica(SHORT, 0))
        clock.now += 4
        watch.finished("a", trained(SHORT, 0, salt=salt))
    assert remaining(made.shown) == f"at least {progress.clock(4 * (10 + 10 + 2))}"
    for watch in (made.old, made.new):
        watch.finished("a", trained(LONG, 0))
    assert remaining(made.shown) == "at least 0:08"
    made.new.added([Copy(cell=SHORT, seed=0, number=number) for number in (0, 1)])
    assert remaining(made.shown) == "at least 0:08"
    for number in (0, 1):
        made.new.finished("a", copied(trained(SHORT, 0), number))
    assert remaining(made.shown) == "0:00"
    for watch, salt in ((made.old, ""), (made.new, "other")):
        watch.added([Replica(SHORT, 1)])
        watch.finished("a", trained(SHORT, 1, salt=salt))
    assert remaining(made.shown) == "at least 0:08"  # the further seed wants its copies, too
