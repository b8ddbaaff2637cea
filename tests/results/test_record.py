"""Record: what is written is read again; what is damaged is refused with file and line."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import given

from bench.cells import recurrent
from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.results.flow import Flow, Products, finite, finite_list
from bench.results.record import RECORDS, Crash, Record, Tensors
from support.builders import crashed, diverged, edited_line, flow, trained
from support.strategies import cells, fingerprints

floats = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
positive = st.one_of(st.none(), st.floats(0, allow_infinity=False))
shares = st.one_of(st.none(), st.floats(0, 1))


def flows(cell: Cell) -> st.SearchStrategy[Flow]:
    """Any flow that a network of few layers, and few steps, can have."""
    depth = cell.depth
    over_time: st.SearchStrategy[Any] = st.just(msgspec.UNSET)
    if cell.architecture in recurrent.ARCHITECTURES and recurrent.steps(cell) < 5:
        steps = st.lists(positive, min_size=recurrent.steps(cell), max_size=recurrent.steps(cell))
        over_time = st.one_of(over_time, st.lists(steps, min_size=depth, max_size=depth))
    by_layer = {"activation_mean": floats, "dead_units": shares}
    return st.builds(
        Flow,
        **{
            name: st.lists(by_layer.get(name, positive), min_size=depth, max_size=depth)
            for name in Flow.__struct_fields__[:6]
        },
        **dict.fromkeys(Flow.__struct_fields__[6:12], positive),
        over_time=over_time,
    )


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Any record that can be made."""
    outcome = draw(st.sampled_from(("trained", "diverged", "crashed")))
    text = st.text(st.characters(codec="utf-8"))
    crash = st.builds(
        Crash,
        reason=st.sampled_from(("exception", "signal", "exit", "timeout", "memory")),
        message=text,
        output=text,
    )
    cell = draw(cells())
    flow = st.one_of(st.none(), flows(cell)) if cell.depth < 5 else st.none()
    return Record(
        cell=cell,
        seed=draw(st.integers(0, 2**32 - 1)),
        outcome=outcome,
        data=draw(text),
        environment=draw(text),
        test_accuracy=draw(st.floats(0, 1)) if outcome == "trained" else draw(shares),
        test_loss=draw(positive),
        diverged_step=draw(st.integers(0, 10**6)) if outcome == "diverged" else None,
        digest="0" if outcome == "trained" else draw(text),
        trajectory=4 * draw(st.binary(max_size=40)),
        tensors=draw(st.one_of(st.none(), fingerprints())),
        start=draw(flow),
        end=draw(flow),
        images_per_sec=draw(st.one_of(st.none(), st.floats(0, 1e15))),
        worker=draw(text),
        crash=draw(crash) if outcome == "crashed" else None,
    )


@given(records())
def test_round_trip(record: Record) -> None:
    """Any record is one line, ends in one newline, and comes back equal."""
    line = RECORDS.encode(record)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert RECORDS.decode(line) == record


@given(records())
def test_every_tool_can_read_a_line(record: Record) -> None:
    """The line is strict JSON: the standard library reads it with NaN and Infinity forbidden."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    assert json.loads(RECORDS.encode(record), parse_constant=refuse)["seed"] == record.seed


def test_trajectory_keeps_its_bits() -> None:
    """The losses come back bit by bit, NaN, infinity and denormals included."""
    losses = np.array([2.302585, math.nan, math.inf, -0.0, 1e-45], dtype="<f4")
    record = trained(Cell(), 0, trajectory=losses.tobytes())
    assert RECORDS.decode(RECORDS.encode(record)).trajectory == losses.tobytes()


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


SOME = [trained(Cell(depth=depth), seed) for depth in (3, 10) for seed in (0, 1)]
LINES = [RECORDS.encode(record) for record in SOME]


def test_reads_all_in_order(tmp_path: Path) -> None:
    """Every record, as it stands in the file."""
    assert RECORDS.read(write(tmp_path / "r.jsonl", *LINES)) == SOME


def test_empty_file(tmp_path: Path) -> None:
    """A run killed before its first replica has no records, which is no damage."""
    assert RECORDS.read(write(tmp_path / "r.jsonl")) == []


@pytest.mark.parametrize("cut", [1, 2, len(LINES[3]) // 2, len(LINES[3]) - 1])
def test_half_a_line_at_the_end_is_ignored(tmp_path: Path, cut: int) -> None:
    """A killed run loses what was in flight, nothing else, wherever the line was torn."""
    path = write(tmp_path / "r.jsonl", *LINES[:3], LINES[3][:cut])
    assert RECORDS.read(path) == SOME[:3]


def expect_damage(path: Path, line: int, why: str) -> None:
    expected = re.escape(f"{path}, line {line}: not a record of schema 3: ") + ".*" + re.escape(why)
    with pytest.raises(BenchError, match=expected) as caught:
        RECORDS.read(path)
    assert f"remove line {line}" in caught.value.hint


def test_half_a_line_in_the_middle(tmp_path: Path) -> None:
    """Torn lines that others follow are damage: somebody edited the file or two runs wrote it."""
    path = write(tmp_path / "r.jsonl", LINES[0], LINES[1][:100] + b"\n", LINES[2])
    expect_damage(path, 2, "truncated")


def test_two_torn_writes_on_one_line(tmp_path: Path) -> None:
    """Half a record and a whole one on one line is not the whole one."""
    path = write(tmp_path / "r.jsonl", LINES[0][:50] + LINES[1])
    expect_damage(path, 1, "")


@pytest.mark.parametrize("garbage", [b"\n", b"\xff\xfe\n", b"[]\n", b"null\n", b"<<<<<<< ours\n"])
def test_garbage(tmp_path: Path, garbage: bytes) -> None:
    """An empty line, bytes that are no text, JSON of another shape, a merge conflict."""
    expect_damage(write(tmp_path / "r.jsonl", LINES[0], LINES[1], garbage, LINES[2]), 3, "")


def edited(**changes: Any) -> bytes:
    return edited_line(LINES[0], **changes)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (edited(schema=4), "schema 4, and this version reads schema 3"),
        (edited(schema="1"), "Expected `int`, got `str` - at `$.schema`"),
        (edited(accuracy=0.9), "unknown field `accuracy`"),
        (edited(cell={"deep": 3}), "unknown field `deep`"),
        (edited(outcome="fine"), "Invalid enum value 'fine'"),
        (edited(test_accuracy=math.nan), ""),
        (edited(test_accuracy=math.inf), ""),
        (edited(test_accuracy="0.9"), "Expected `float | null`, got `str`"),
        (edited(test_accuracy=None), "a trained replica has a test accuracy and a digest"),
        (edited(digest=""), "a trained replica has a test accuracy and a digest"),
        (edited(outcome="crashed"), "outcome 'crashed' and a crash go together"),
        (edited(outcome="diverged"), "outcome 'diverged' and a diverged_step go together"),
        (edited(diverged_step=3), "outcome 'diverged' and a diverged_step go together"),
        (edited(seed=1.5), "Expected `int`, got `float`"),
        (edited(test_accuracy=7.9), "Expected `float` <= 1.0 - at `$.test_accuracy`"),
        (edited(seed=10**30), "Expected `int` <= 4294967295 - at `$.seed`"),
        (edited(images_per_sec=-1.0), "Expected `float` >= 0.0 - at `$.images_per_sec`"),
        (edited(start={**msgspec.to_builtins(flow(Cell(depth=2)))}), "not that of 3 hidden layers"),
        (LINES[0].replace(b'"test_accuracy":0.9', b'"test_accuracy":0.1'), "altered since it was"),
        (LINES[0].replace(b',"sum":', b',"mus":'), "unknown field `mus`"),
        (LINES[0][:-27] + b"}\n", "no checksum, and lines before it have"),
        (b"[" * 100_000 + b"\n", ""),
        (b'{"worker":"' + b"x" * 100_000 + b'"}\n', ""),
        (b'{"seed":' + b"9" * 5_000 + b"}\n", ""),
        (b'{"schema": 1, "seed": 0, "outcome": "trained"}\n', "missing required field `cell`"),
    ],
)
def test_a_line_that_is_no_record(tmp_path: Path, line: bytes, why: str) -> None:
    """Another schema, an unknown field, NaN, a contradiction: refused, with the reason."""
    expect_damage(write(tmp_path / "r.jsonl", LINES[1], line, LINES[2]), 2, why)


def test_a_record_of_schema_1_is_read(tmp_path: Path) -> None:
    """It had no fingerprints; all else is as it was."""
    fields = json.loads(LINES[0])
    for name in ("tensors", "recipe", "sum"):
        del fields[name]
    line = json.dumps({**fields, "schema": 1}).encode() + b"\n"
    (record,) = RECORDS.read(write(tmp_path / "r.jsonl", line))
    assert record == msgspec.structs.replace(SOME[0], schema=1)
    assert (record.tensors, record.recipe) == (None, 1)


@pytest.mark.parametrize(("hashes", "values"), [(4, 12), (12, 24), (8, 12), (8, 36), (0, 0)])
def test_fingerprints_of_another_size(hashes: int, values: int) -> None:
    """Two tensors are two hashes of 4 bytes and two times three numbers of 4 bytes: anything else is
    refused, as it would be read as other tensors."""
    with pytest.raises(ValueError, match="fingerprints of 2 tensors have another size"):
        Tensors(names=["a", "b"], steps=[0], hashes=bytes(hashes), values=bytes(values))


def test_absent_file(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "none.jsonl"
    expected = re.escape(f"{path}: cannot be read: No such file or directory")
    with pytest.raises(BenchError, match=expected):
        RECORDS.read(path)


def test_contradictions_cannot_be_made() -> None:
    """What cannot be read cannot be made either."""
    with pytest.raises(ValueError, match="outcome 'crashed' and a crash go together"):
        Record(cell=Cell(), seed=0, outcome="crashed")
    with pytest.raises(ValueError, match="a diverged_step go together"):
        Record(cell=Cell(), seed=0, outcome="diverged")
    with pytest.raises(ValueError, match="a test accuracy and a digest"):
        Record(cell=Cell(), seed=0, outcome="trained", digest="0")


def test_other_outcomes_round_trip() -> None:
    """Divergence at the first step and a crash are results like others."""
    for record in (diverged(Cell(), 0, step=0), crashed(Cell(), 1)):
        assert RECORDS.decode(RECORDS.encode(record)) == record


def test_finite() -> None:
    """A number that JSON cannot say is None, at its place."""
    assert finite(1.5) == 1.5
    assert finite(math.nan) is None
    assert finite_list([1.0, math.inf, -math.inf, 0.0]) == [1.0, None, None, 0.0]


def flow_with(**changes: Any) -> Flow:
    return msgspec.structs.replace(flow(Cell(depth=3)), **changes)


@pytest.mark.parametrize(
    ("signal", "ratio"),
    [
        ([8.0, 4.0, 2.0], 4.0),
        ([3.0], 1.0),
        ([], None),
        ([0.0, 1.0], 0.0),
        ([1.0, 0.0], None),  # infinite
        ([1.0, None], None),
        ([None, 1.0], None),
        ([1e300, 1e-300], None),  # overflows
    ],
)
def test_ratio(signal: list[float | None], ratio: float | None) -> None:
    """First over last; None where there is no finite number, never 0 or an exception."""
    measured = flow_with(signal=signal, kernel_gradient=signal)
    assert measured.signal_ratio == measured.kernel_ratio == ratio


def test_dead_share() -> None:
    """The mean over layers; a layer without a number is left out."""
    assert flow_with(dead_units=[0.5, 0.0, 0.25]).dead_share == 0.25
    assert flow_with(dead_units=[0.5, None]).dead_share == 0.5
    assert flow_with(dead_units=[]).dead_share is None


@pytest.mark.parametrize("part", ["states", "trajectory"])
def test_half_a_number_is_refused_when_it_is_read(tmp_path: Path, part: str) -> None:
    """Three bytes of four: told with the line, not when they are compared."""
    path = tmp_path / "r.jsonl"
    line = msgspec.json.encode({**msgspec.to_builtins(trained(Cell(), 0)), part: "AAAA"})
    path.write_bytes(line + b"\n")
    with pytest.raises(BenchError, match="of numbers of four bytes"):
        RECORDS.read(path)


@pytest.mark.parametrize(
    "over_time", [[[1.0] * 4], [[1.0] * 3] * 2, [[1.0] * 4] * 3, [[1.0] * 4, [1.0] * 5]]
)
def test_a_flow_over_time_is_of_all_layers_and_steps(over_time: list[list[float]]) -> None:
    """Of two layers of 4 steps; its products are of the last ones."""
    cell = Cell(architecture="gru", depth=2, pixels=196)
    whole = flow(cell)
    with pytest.raises(ValueError, match="not that of 2 layers of 4 steps"):
        msgspec.structs.replace(whole, over_time=over_time).check(cell)
    names = ("measured", "product", "error")
    for lengths in ((4, 4, 3), (4, 5, 4), (0, 4, 4), (0, 0, 0), (5, 5, 5)):
        lists = {name: [1.0] * n for name, n in zip(names, lengths, strict=True)}
        with pytest.raises(ValueError, match="not that of 2 layers of 4 steps"):
            msgspec.structs.replace(whole, products=Products(**lists)).check(cell)
    msgspec.structs.replace(whole, over_time=[[1.0] * 4] * 2).check(cell)
    for last in (4, 1):  # of many steps
        products = Products(**{name: [1.0] * last for name in names})
        msgspec.structs.replace(whole, products=products).check(cell)
    with pytest.raises(ValueError, match="not that of 3 layers of 0 steps"):
        msgspec.structs.replace(flow(Cell()), over_time=[[1.0]] * 3).check(Cell())
