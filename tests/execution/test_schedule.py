"""Tests of the schedule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.execution.schedule import Schedule
from bench.results.check import Check
from bench.results.copy_result import Copy
from bench.results.record import Replica

CELLS = st.lists(
    st.builds(
        Cell,
        depth=st.integers(1, 4),
        initializer=st.sampled_from(["he_normal", "zeros", "normal_0.1"]),
        normalization=st.sampled_from(["none", "batch"]),
    ),
    max_size=12,
    unique=True,
)


@given(CELLS, st.integers(1, 3), st.lists(st.integers(0, 3), min_size=200, max_size=200))
def test_hands_out_every_replica_once(cells: list[Cell], seeds: int, asking: list[int]) -> None:
    """Whatever the order in which workers ask, each replica is handed out exactly once."""
    replicas = [Replica(cell, seed) for cell in cells for seed in range(seeds)]
    schedule = Schedule(replicas)
    handed = [replica for worker in asking if (replica := schedule.next(worker)) is not None]
    assert sorted(map(repr, handed)) == sorted(map(repr, replicas))
    assert len(schedule) == 0


def test_a_worker_keeps_its_graph_until_it_is_done() -> None:
    """Two workers with two graphs: neither compiles the other's."""
    deep, flat = Cell(depth=9), Cell(depth=2)
    others = [Cell(depth=9, initializer="zeros"), Cell(depth=2, initializer="zeros")]
    schedule = Schedule(
        [Replica(cell, seed) for cell in (flat, deep, *others) for seed in range(2)]
    )
    handed = {worker: [schedule.next(worker) for _ in range(4)] for worker in ("a", "b")}
    graphs = {w: {replica.cell.graph() for replica in got if replica} for w, got in handed.items()}
    assert graphs == {"a": {deep.graph()}, "b": {flat.graph()}}


def test_the_most_expensive_graph_comes_first() -> None:
    """So that a long one is not left for the end."""
    schedule = Schedule(
        [Replica(Cell(depth=1), 0), Replica(Cell(depth=50), 0), Replica(Cell(depth=10), 0)]
    )
    assert [schedule.next(worker).cell.depth for worker in "abc"] == [50, 10, 1]  # type: ignore[index]


def test_an_idle_worker_helps_where_most_is_left() -> None:
    """The second worker has no graph of its own, and takes from the first one's."""
    schedule = Schedule([Replica(Cell(), seed) for seed in range(4)])
    assert [schedule.next(worker) for worker in "aabb"] == [
        Replica(Cell(), seed) for seed in range(4)
    ]


def test_checks_come_when_no_graph_is_free() -> None:
    """They fill the time of workers that would otherwise compile what another one has compiled."""
    checks = [Check(family="optimizer", subject=name) for name in ("adam", "sgd")]
    schedule = Schedule([Replica(Cell(), 0), Replica(Cell(), 1), *checks])
    assert len(schedule) == 4
    assert [schedule.next(worker) for worker in "abab"] == [
        Replica(Cell(), 0),
        checks[0],
        Replica(Cell(), 1),
        checks[1],
    ]
    schedule.put_back(checks[0])
    assert schedule.next("b") == checks[0]
    assert len(schedule) == 0


def test_a_lost_replica_comes_back() -> None:
    """A worker that went away costs nothing but time."""
    schedule = Schedule([Replica(Cell(), 0)])
    lost = schedule.next("a")
    assert schedule.next("b") is None
    assert lost is not None
    schedule.put_back(lost)
    assert schedule.next("b") == lost


def test_drop_takes_out_one_cell_only() -> None:
    """The other cells of the graph stay."""
    other = Cell(initializer="zeros")
    schedule = Schedule([Replica(Cell(), 0), Replica(other, 0), Replica(Cell(), 1)])
    assert schedule.drop(Cell()) == [Replica(Cell(), 0), Replica(Cell(), 1)]
    assert schedule.next("a") == Replica(other, 0)


def test_cost_grows_with_work() -> None:
    """Depth, steps, normalization and convolutions cost more."""
    base = Replica(Cell(depth=3), 0).cost
    for dearer in (
        Cell(depth=10),
        Cell(steps=1200),
        Cell(normalization="batch"),
        Cell(architecture="cnn"),
    ):
        assert Replica(dearer, 0).cost > base


def test_a_convolutional_network_costs_what_its_filters_do() -> None:
    """The second convolution and the dense layer grow as the square of their number, the first as it
    does: per image 784 x 25 f + 196 x 25 f 2f + 49 x 2f 32f."""
    wide, narrow = (Replica(Cell(architecture="cnn", filters=f, steps=60), 0).cost for f in (32, 4))
    assert wide == pytest.approx((19_600 * 32 + 12_936 * 32**2) * 100 * 60 / 1e6)
    assert narrow == pytest.approx((19_600 * 4 + 12_936 * 4**2) * 100 * 60 / 1e6)


def test_a_check_costs_what_it_takes() -> None:
    """Of arithmetic a third of a replica of depth 3, a contract an eighth, of operations a fiftieth."""
    replica = Replica(Cell(depth=3), 0).cost
    assert 0.25 < Check(family="optimizer", subject="sgd").cost / replica < 0.4
    assert 0.1 < Check(family="losses", subject="formula-huber").cost / replica < 0.15
    assert 0.015 < Check(family="ops", subject="roll").cost / replica < 0.025


def test_a_copy_costs_as_much_as_its_replica() -> None:
    """It is trained to the end."""
    for steps in (600, 50):
        cell = Cell(steps=steps)
        assert Copy(cell=cell, seed=0, number=0).cost == Replica(cell, 0).cost


def copies(cell: Cell, count: int) -> list[Copy]:
    return [Copy(cell=cell, seed=0, number=number) for number in range(count)]


def test_copies_are_added_later_and_share_their_cells_graph() -> None:
    """They come when the replicas are done; each worker keeps its graph, and none is lost."""
    deep, flat = Cell(depth=9), Cell(depth=2)
    schedule = Schedule([Replica(deep, 0), Replica(flat, 0)])
    assert [schedule.next(worker) for worker in "ab"] == [Replica(deep, 0), Replica(flat, 0)]
    assert schedule.next("a") is None
    schedule.add([*copies(flat, 2), *copies(deep, 2), Check(family="optimizer", subject="sgd")])
    assert len(schedule) == 5
    handed = {worker: [schedule.next(worker) for _ in range(2)] for worker in "ab"}
    assert sorted(handed.values(), key=repr) == sorted([copies(deep, 2), copies(flat, 2)], key=repr)
    assert schedule.next("a") == Check(family="optimizer", subject="sgd")
    assert len(schedule) == 0


def test_a_lost_copy_comes_back_and_a_dropped_cell_takes_its_copies_along() -> None:
    """As replicas do; the copies of another cell of the graph stay."""
    other = Cell(initializer="zeros")
    schedule = Schedule([*copies(Cell(), 3), *copies(other, 1)])
    lost = schedule.next("a")
    assert lost == copies(Cell(), 1)[0]
    schedule.put_back(lost)
    assert schedule.next("a") == lost
    assert schedule.drop(Cell()) == copies(Cell(), 3)[1:]
    assert schedule.next("a") == copies(other, 1)[0]
    assert schedule.next("a") is None


def test_tasks_have_names() -> None:
    """A copy says of which replica it is."""
    cell = Cell(depth=3)
    name = cell.id(("depth", "act", "init", "norm"))
    assert Replica(cell, 4).id == f"{name}, seed 4"
    assert Copy(cell=cell, seed=4, number=2).id == f"copy 2 of {name}, seed 4"
