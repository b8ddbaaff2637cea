"""Flows of stored records take little memory, and nobody notices otherwise."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from results.test_record import flows

from bench.cells.cell import Cell
from bench.results.columns import dead_shares, layers, ratios
from bench.results.flow import Flow, PackedFlow, Products
from bench.results.record import RECORDS
from support.builders import flow, trained


def same(packed: PackedFlow, whole: Flow) -> None:
    for name in (*Flow.__struct_fields__, "signal_ratio", "kernel_ratio", "dead_share"):
        assert getattr(packed, name) == getattr(whole, name), name


@given(st.sampled_from((0, 1, 3)).flatmap(lambda depth: flows(Cell(depth=depth))))
def test_every_attribute_is_the_flow_s(whole: Flow) -> None:
    packed = PackedFlow.of(whole)
    same(packed, whole)
    assert packed.whole == whole
    assert packed == whole
    assert packed == PackedFlow.of(whole)


@given(st.sampled_from((0, 1, 3)).flatmap(lambda depth: st.lists(flows(Cell(depth=depth)))))
def test_columns_are_the_flows(whole: list[Flow]) -> None:
    for kept in (whole, [PackedFlow.of(each) for each in whole]):
        for name in ("signal_ratio", "kernel_ratio"):
            expected = [getattr(each, name) for each in whole]
            assert ratios(kept, name) == [ratio for ratio in expected if ratio is not None]
        assert dead_shares(kept) == [each.dead_share for each in whole]
        for name in ("signal", "activation_mean"):
            expected = np.array([getattr(each, name) for each in whole], float)
            np.testing.assert_array_equal(layers(kept, name), expected)


def test_another_flow_is_another() -> None:
    whole = flow(Cell())
    other = msgspec.structs.replace(whole, clip_error=1.0)
    assert PackedFlow.of(other) != PackedFlow.of(whole)
    assert PackedFlow.of(other) != whole


def test_a_flow_is_checked_packed_too() -> None:
    with pytest.raises(ValueError, match="not that of 3 hidden layers"):
        msgspec.structs.replace(trained(Cell(depth=3), 0), start=PackedFlow.of(flow(Cell(depth=2))))


def test_a_record_is_written_as_it_was_read() -> None:
    record = trained(Cell(depth=3), 0)
    line = RECORDS.encode(record)
    record.compact()
    assert isinstance(record.start, PackedFlow)
    assert RECORDS.encode(record) == line


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
