"""Flows of stored records take little memory, and nobody notices otherwise."""

from __future__ import annotations

import pickle

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from results.test_record import flows

from bench.cells.cell import Cell
from bench.results.columns import Columns, known, numbers, signals
from bench.results.flow import SINGLE, Flow, PackedFlow, Products
from bench.results.record import RECORDS
from support.builders import crashed, diverged, flow, trained

#: What is judged of a flow.
KEPT = ("signal", "signal_ratio", "kernel_ratio", "dead_share", *Flow.__struct_fields__[6:])


@given(st.sampled_from((0, 1, 3)).flatmap(lambda depth: flows(Cell(depth=depth))))
def test_every_attribute_is_the_flow_s(whole: Flow) -> None:
    packed = PackedFlow.of(whole)
    for name in KEPT:
        assert getattr(packed, name) == getattr(whole, name), name
    assert packed == whole
    assert packed == PackedFlow.of(whole)
    with pytest.raises(AttributeError, match="dead_units"):
        _ = packed.dead_units  # type: ignore[attr-defined]


@given(st.sampled_from((0, 1, 3)).flatmap(lambda depth: st.lists(flows(Cell(depth=depth)))))
def test_columns_are_the_flows(whole: list[Flow]) -> None:
    for kept in (whole, [PackedFlow.of(each) for each in whole]):
        for name in (*SINGLE, "signal_ratio"):
            expected = [getattr(each, name) for each in whole]
            assert known(kept, name) == [number for number in expected if number is not None]
            np.testing.assert_array_equal(numbers(kept, name), np.array(expected, float))
        expected = np.array([each.signal for each in whole], float)
        np.testing.assert_array_equal(signals(kept), expected)


def test_another_flow_is_another() -> None:
    whole = flow(Cell())
    other = msgspec.structs.replace(whole, clip_error=1.0)
    assert PackedFlow.of(other) != PackedFlow.of(whole)
    assert PackedFlow.of(other) != whole


def test_a_flow_is_checked_packed_too() -> None:
    with pytest.raises(ValueError, match="not that of 3 hidden layers"):
        msgspec.structs.replace(trained(Cell(depth=3), 0), start=PackedFlow.of(flow(Cell(depth=2))))


def test_what_is_kept_of_a_record_is_not_written_as_if_it_were_whole() -> None:
    record = trained(Cell(depth=3), 0)
    record.compact()
    assert isinstance(record.start, PackedFlow)
    with pytest.raises(TypeError, match="PackedFlow"):
        RECORDS.encode(record)


def test_records_come_back_from_columns() -> None:
    """Whatever they differ in: also signs of zeros, and flows that are not packed."""
    records = [
        trained(Cell(depth=2), 0),
        trained(Cell(depth=3), 1, test_loss=0.0, start=None),
        trained(Cell(depth=3), 1, test_loss=-0.0, end=None, tensors=None),
        diverged(Cell(depth=0), 7),
        crashed(Cell(depth=0), 8),
    ]
    for some in (records, records[:1], records[:2], records[1:3]):
        for record in some:
            record.compact()
        sent: Columns = pickle.loads(pickle.dumps(Columns.of(some)))
        assert [*map(repr, sent.outcomes())] == [*map(repr, some)]


def test_gradients_over_time_are_kept() -> None:
    """They are few, and no list of numbers per layer."""
    steps = [[0.5, None]] * 3
    products = Products(measured=[1.0], product=[1.0], error=[0.0])
    for changes in ({"over_time": steps}, {"products": products}):
        whole = msgspec.structs.replace(flow(Cell(depth=3)), **changes)
        record = trained(Cell(depth=3), 0)
        msgspec.structs.force_setattr(record, "start", whole)
        record.compact()
        assert record.start == whole
        assert type(record.start) is Flow


def test_records_share_their_cells_and_texts() -> None:
    """A million records have a few thousand cells."""
    one, other = (
        trained(Cell(depth=3), seed, worker=f"worker-{'0'}", accuracy=float("0.94"), spread=0.0)
        for seed in (0, 1)
    )
    one.compact()
    other.compact()
    assert one.cell is other.cell
    assert one.test_accuracy is other.test_accuracy
    assert one.worker is other.worker


def test_equal_parts_of_two_runs_are_shared() -> None:
    """What is not equal stays what it was."""
    one, same = trained(Cell(depth=3), 0), trained(Cell(depth=3), 0)
    other = trained(Cell(depth=3), 0, salt="x", trajectory=b"\0\0\x80?")
    expected = msgspec.structs.replace(other)
    for record in (one, same, other):
        record.compact()
    same.share(one)
    other.share(one)
    assert same.start is one.start
    assert same.digest is one.digest
    assert other == expected
    assert other.digest != one.digest
