"""Numbers and words as reports write them."""

from __future__ import annotations

import pytest

from bench.errors import count
from bench.report.text import (
    change_points,
    clipped,
    duration,
    more,
    percent,
    points,
    rate,
    significant,
    some_of,
    wrapped,
)


def test_points() -> None:
    """Percent without its sign, which stands in the header; no spread from one seed."""
    assert points(0.94268, 0.00118) == "94.27 ± .12"
    assert points(0.9427, 0.012) == "94.27 ± 1.20"
    assert points(1.0, 0.0) == "100.00 ± .00"
    assert points(0.9427) == "94.27"
    assert points(None, 0.1) == "–"


def test_change_points() -> None:
    """A sign always, but for exactly nothing and for what rounds to nothing."""
    assert change_points(0.0373) == "+3.73"
    assert change_points(-0.0373) == "−3.73"
    assert change_points(-0.00001) == change_points(0.00001) == "0.00"
    assert change_points(0.0) == "0"
    assert change_points(None) == "–"


def test_other_numbers() -> None:
    """Three digits; 0 is a number, None is not."""
    assert significant(2.1e-08) == "2.1e-08"
    assert significant(1.0234) == "1.02"
    assert significant(0.0) == "0"
    assert significant(None) == percent(None) == rate(None) == "–"
    assert percent(0.125) == "12.5"
    assert rate(101_987.0) == "102,000"
    assert rate(999.6) == "1,000"
    assert rate(12.34) == "12.3"
    assert rate(0.0) == "0"
    assert count(1, "cell") == "1 cell"
    assert count(0, "cell") == "0 cells"
    assert more(2, "cell") == "2 more cells"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (187, "3 min 07 s"),
        (3599.9, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    """The two largest units."""
    assert duration(seconds) == text


def test_clipped() -> None:
    """Long text says that something is missing."""
    assert clipped("a  b\nc") == "a b c"
    assert clipped("x" * 301) == "x" * 298 + " …"
    assert clipped("x" * 300) == "x" * 300


def test_names() -> None:
    """All of a few in code font, some of many; a terminal shows them without the font."""
    assert wrapped(some_of(["a", "b"])) == ["a, b"]
    assert wrapped(some_of(["a", "b", "c", "d"], most=2)) == ["a, b and 2 more"]
    assert wrapped(some_of(["a", "b", "c"], "check", most=2)) == ["a, b and 1 more check"]
