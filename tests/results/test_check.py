"""Tests of checks, their results and their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.results.check import CHECKS, MOST_DEVIATIONS, Check, CheckResult, Deviation, result
from bench.results.kind import Crash

CHECK = Check(family="optimizer", subject="adam-clip:norm")


def test_id() -> None:
    """A readable id; the seed appears only if it is another than 0."""
    assert CHECK.id == "optimizer:adam-clip:norm-precision:float32"
    other = Check(family="invariant", subject="depth:3", precision="mixed_float16", seed=7)
    assert other.id == "invariant:depth:3-precision:mixed_float16-seed:7"


@pytest.mark.parametrize(
    ("family", "subject", "axes"),
    [
        ("optimizer", "defaults", {"optimizer": "defaults"}),
        ("clipping", "global_norm-by:op", {"clipping": "global_norm", "by": "op"}),
        ("network", "depth:3-bias:-0.5-act:relu", {"depth": "3", "bias": "-0.5", "act": "relu"}),
        ("initializer", "init:he_normal-shape:5x5x1x8", {"init": "he_normal", "shape": "5x5x1x8"}),
    ],
)
def test_axes_of_a_subject(family: str, subject: str, axes: dict[str, str]) -> None:
    """A first value that names no axis is of the family's; a minus sign starts no other axis."""
    assert Check(family=family, subject=subject).axes == axes


def test_result_keeps_the_order_of_the_computation() -> None:
    """The first deviation is where it starts; the closest one is named even if all is well."""
    found = [Deviation(tensor=str(i), excess=excess) for i, excess in enumerate([0.1, 3.0, None])]
    made = result(CHECK, found)
    assert [deviation.tensor for deviation in made.deviations] == ["1", "2"]
    assert made.closest == found[2]
    assert made.compared == 3
    assert made.fails
    well = result(CHECK, found[:1])
    assert not well.fails
    assert well.closest == found[0]


def test_the_reason_has_numbers_where_they_say_something() -> None:
    """Bounds and units in the last place; not of what must agree exactly."""
    rounded = Deviation(tensor="a", excess=812.0, ulps=16.0, evidence="got 1, expected 2 within 3")
    assert result(CHECK, [rounded, rounded]).reason == (
        "a: got 1, expected 2 within 3, 16 units in the last place off, 812 times the bound; and 1 "
        "more of 2 tensors"
    )
    exact = Deviation(
        tensor="calls", excess=None, ulps=4.5e15, evidence="got 2, expected exactly 6"
    )
    assert result(CHECK, [exact]).reason == "calls: got 2, expected exactly 6"


def test_a_deviation_of_nan_is_out() -> None:
    """A comparison with NaN is false, and must not pass for it."""
    assert Deviation(tensor="a", excess=float("nan")).out
    assert Deviation(tensor="a", excess=None).out
    assert not Deviation(tensor="a", excess=1.0).out


def test_many_deviations_are_counted() -> None:
    """A file of results stays small whatever goes wrong."""
    made = result(CHECK, [Deviation(tensor=str(i), excess=2.0) for i in range(100)])
    assert len(made.deviations) == MOST_DEVIATIONS
    assert made.more == 100 - MOST_DEVIATIONS
    assert made.reason.endswith("; and 99 more of 100 tensors")


def test_a_check_that_compared_nothing_fails() -> None:
    """Unless TensorFlow has nothing of the kind."""
    assert result(CHECK, []).fails
    assert not CheckResult(check=CHECK, absent="no Lamb").fails
    assert CheckResult(
        check=CHECK, compared=3, crash=Crash(reason="signal", message="killed by SIGABRT")
    ).fails


def test_file_round_trip(tmp_path: Path) -> None:
    """What is written is read again; a torn last line is what a killed run leaves."""
    path = tmp_path / "checks.jsonl"
    first = result(CHECK, [Deviation(tensor="step 1, kernel", excess=None, ulps=3.0)])
    path.write_bytes(CHECKS.encode(first) + CHECKS.encode(first)[:30])
    assert CHECKS.read(path) == [first]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    """File, line and the way out."""
    path = tmp_path / "checks.jsonl"
    path.write_bytes(b'{"check": 3}\n')
    with pytest.raises(BenchError, match=r"checks\.jsonl, line 1: not a check's result"):
        CHECKS.read(path)
