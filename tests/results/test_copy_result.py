"""Copies: what is written is read again; what is damaged is refused with file and line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.results.copy_result import COPIES, Copy, CopyResult
from bench.results.kind import Crash
from support.builders import copied, edited_line, trained
from support.strategies import cells, fingerprints


@st.composite
def results(draw: st.DrawFn) -> CopyResult:
    """Any result that can be made."""
    text = st.text(st.characters(codec="utf-8"))
    crash = st.builds(
        Crash, reason=st.sampled_from(("signal", "not attempted")), message=text, output=text
    )
    trajectory = 4 * draw(st.binary(max_size=10))
    return CopyResult(
        copy=Copy(
            cell=draw(cells()),
            seed=draw(st.integers(0, 2**32 - 1)),
            number=draw(st.integers(0, 11)),
        ),
        trajectory=trajectory,
        tensors=draw(st.one_of(st.none(), fingerprints())) if trajectory else None,
        crash=None if trajectory else draw(crash),
        total_sec=draw(st.floats(0, 1e6)),
    )


@given(results())
def test_round_trip(result: CopyResult) -> None:
    """Any result is one line of strict JSON, ends in one newline, and comes back equal."""
    line = COPIES.encode(result)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert COPIES.decode(line) == result
    assert result.key == result.copy

    def refuse(word: str) -> None:
        raise AssertionError(word)

    assert json.loads(line, parse_constant=refuse)["copy"]["number"] == result.copy.number


SOME = [copied(trained(Cell(depth=3), seed), number) for seed in (0, 1) for number in (0, 1)]
LINES = [COPIES.encode(result) for result in SOME]


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("cut", [1, len(LINES[3]) // 2, len(LINES[3]) - 1])
def test_half_a_line_at_the_end_is_ignored(tmp_path: Path, cut: int) -> None:
    """A killed run loses what was in flight."""
    assert COPIES.read(write(tmp_path / "c.jsonl", *LINES)) == SOME
    assert COPIES.read(write(tmp_path / "c.jsonl", *LINES[:3], LINES[3][:cut])) == SOME[:3]


def edited(**changes: Any) -> bytes:
    return edited_line(LINES[0], **changes)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\n", ""),
        (b"\xff\xfe\n", ""),
        (b"<<<<<<< ours\n", ""),
        (LINES[1][:60] + b"\n", "truncated"),
        (edited(trajectory=""), "a copy has either a trajectory or a crash"),
        (
            edited(crash={"reason": "signal", "message": "killed"}),
            "a copy has either a trajectory or a crash",
        ),
        (edited(losses=[]), "unknown field `losses`"),
        (edited(copy={"seed": 0, "number": 0}), "missing required field `cell` - at `$.copy`"),
        (edited(trajectory="AAA*"), "Invalid base64 encoded string - at `$.trajectory`"),
        (
            edited(tensors={"names": ["a"], "steps": [0], "hashes": "AAAA", "values": ""}),
            "fingerprints of 1 tensors have another size",
        ),
    ],
)
def test_a_line_that_is_no_result(tmp_path: Path, line: bytes, why: str) -> None:
    """File, line, reason and remedy are named."""
    path = write(tmp_path / "c.jsonl", LINES[0], line, LINES[2])
    expected = re.escape(f"{path}, line 2: not a copy's result: ") + ".*" + re.escape(why)
    with pytest.raises(BenchError, match=expected) as caught:
        COPIES.read(path)
    assert "remove line 2" in caught.value.hint


def test_absent_file(tmp_path: Path) -> None:
    """The message names it."""
    with pytest.raises(BenchError, match=r"none\.jsonl: cannot be read: No such file"):
        COPIES.read(tmp_path / "none.jsonl")


def test_neither_and_both_cannot_be_made() -> None:
    """A copy has a trajectory or a crash."""
    copy = SOME[0].copy
    with pytest.raises(ValueError, match="either a trajectory or a crash"):
        CopyResult(copy=copy)
    with pytest.raises(ValueError, match="either a trajectory or a crash"):
        CopyResult(copy=copy, trajectory=bytes(4), crash=Crash(reason="exit", message=""))
