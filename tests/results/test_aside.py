"""A second process does part of the work, and whether it does changes nothing but the time."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.results import aside, reading, tasks
from bench.results.aside import Aside, AsideError
from bench.results.checksum import without_sum
from bench.results.reading import lines_between, read_lines
from bench.results.record import RECORDS, Record
from bench.results.tasks import read_checked
from support.builders import crashed, diverged, trained


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "_cores", lambda: 2)


# --- The process


@pytest.mark.usefixtures("two_cores")
def test_answers_come_in_their_order() -> None:
    with Aside() as second:
        for number in range(20):
            second.submit(abs, -number)
        assert [second.result() for _ in range(20)] == [*range(20)]


@pytest.mark.usefixtures("two_cores")
def test_it_is_another_process_and_ends_with_the_block() -> None:
    with Aside() as second:
        second.submit(os.getpid)
        assert second.result() == second.pid != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(second.pid, 0)


@pytest.mark.usefixtures("two_cores")
def test_large_values_arrive_whole() -> None:
    with Aside() as second:
        second.submit(bytes, 5_000_000)
        assert second.result() == bytes(5_000_000)
        second.submit(len, bytes(3_000_000))
        assert second.result() == 3_000_000


@pytest.mark.usefixtures("two_cores")
def test_what_is_printed_is_no_answer() -> None:
    with Aside() as second:
        second.submit(print, "printed")
        second.submit(os.write, 1, b"written")
        assert [second.result(), second.result()] == [None, 7]


@pytest.mark.usefixtures("two_cores")
def test_a_failure_is_told_and_it_goes_on() -> None:
    with Aside() as second:
        second.submit(int, "x")
        second.submit(int, "3")
        with pytest.raises(AsideError, match="ValueError: invalid literal"):
            second.result()
        assert second.result() == 3


@pytest.mark.usefixtures("two_cores")
def test_its_death_is_told() -> None:
    with Aside() as second:
        second.submit(os._exit, 3)
        with pytest.raises(AsideError, match="it has died"):
            second.result()
        assert second.ready()
        with pytest.raises(AsideError):
            second.result()


@pytest.mark.usefixtures("two_cores")
def test_what_cannot_be_sent_is_told() -> None:
    with Aside() as second, pytest.raises(AsideError, match="lambda"):
        second.submit(lambda: 1)


def test_there_is_none_on_one_core() -> None:
    with pytest.raises(AsideError, match="one core"):
        Aside(1)


def test_there_is_none_without_a_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(AsideError, match="No such file"):
        Aside(2)


@pytest.mark.usefixtures("two_cores")
def test_nothing_is_imported_from_where_it_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever looks at a folder from other people may stand in it."""
    for name in ("pickle", "select", "bench", "subprocess"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(9)")
    monkeypatch.chdir(tmp_path)
    with Aside() as second:
        second.submit(os.getcwd)
        assert second.result() == str(tmp_path)


# --- Stretches of a file


@given(
    st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=12),
    st.binary(max_size=9).filter(lambda line: b"\n" not in line),
    st.integers(1, 60),
    st.integers(1, 9),
)
def test_stretches_have_each_line_once(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    cut_off: bytes,
    stretch: int,
    rest: int,
) -> None:
    path = tmp_path_factory.mktemp("stretch") / "lines"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + cut_off)
    size = path.stat().st_size
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "_REST", rest)
        found = [
            line
            for begin in range(0, size, stretch)
            for line in lines_between(path, begin, min(begin + stretch, size))
        ]
    assert found == [*read_lines(path)] == lines


def test_a_line_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a\n" + b"b" * 30 + b"\n")
    assert lines_between(path, 0, 5, most=31) == [b"a", b"b" * 30]
    with pytest.raises(OSError, match="a line has more than 30 bytes"):
        lines_between(path, 0, 5, most=30)


# --- Reading a run


def written(folder: Path) -> list[Record]:
    """Records of several outcomes, so many that both processes have some."""
    cells = [Cell(depth=depth, activation=name) for depth in (0, 2, 3) for name in ("relu", "elu")]
    records = [trained(cell, seed) for seed in range(20) for cell in cells]
    records += [diverged(cells[1], 30), crashed(cells[2], 30)]
    (folder / RECORDS.file).write_bytes(b"".join(map(RECORDS.encode, records)))
    return records


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, two_cores: None) -> list[int]:
    """Every file is large. How many outcomes came from the second process, answer by answer."""
    monkeypatch.setattr(tasks, "LARGE", 0)
    monkeypatch.setattr(tasks, "_STRETCH", 1 << 13)
    received: list[int] = []

    class Counted(Aside):
        def result(self) -> Any:
            found = super().result()
            received.append(len(found))
            return found

    monkeypatch.setattr(tasks, "Aside", Counted)
    return received


def test_both_read_what_one_reads(tmp_path: Path, shared: list[int]) -> None:
    records = written(tmp_path)
    outcomes, unchecked = read_checked(tmp_path)
    assert [*outcomes.values()] == records
    assert [*outcomes] == [record.key for record in records]
    assert unchecked == 0
    assert 0 < sum(shared) < len(records)


@pytest.mark.usefixtures("shared")
def test_records_of_both_share_their_cells(tmp_path: Path) -> None:
    written(tmp_path)
    cells = [task.cell for task in read_checked(tmp_path)[0]]
    assert len({id(cell) for cell in cells}) == len(set(cells)) == 6


@pytest.mark.usefixtures("shared")
def test_a_damaged_line_is_named_as_ever(tmp_path: Path) -> None:
    written(tmp_path)
    path = tmp_path / RECORDS.file
    lines = path.read_bytes().split(b"\n")
    for number in (3, 60, 121):  # of either process
        damaged = [*lines]
        damaged[number] = damaged[number].replace(b'"seed":', b'"seed":1')
        path.write_bytes(b"\n".join(damaged))
        with pytest.raises(BenchError, match=rf"line {number + 1}: not a record .* its checksum"):
            read_checked(tmp_path)


def test_lines_without_checksums_are_counted(tmp_path: Path, shared: list[int]) -> None:
    records = written(tmp_path)
    path = tmp_path / RECORDS.file
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(without_sum(line)[0] + b"\n" for line in lines[:50]) + lines[50])
    outcomes, unchecked = read_checked(tmp_path)
    assert ([*outcomes.values()], unchecked) == (records[:50], 50)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("answers", [0, 1, 2])
def test_a_killed_process_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    """Also where some of the records have been handed on."""
    left = [answers]

    class Mortal(Aside):
        def result(self) -> Any:
            if not left[0]:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self._answers.read()  # what it sent before
            left[0] -= 1
            return super().result()

    monkeypatch.setattr(tasks, "Aside", Mortal)
    records = written(tmp_path)
    assert [*read_checked(tmp_path)[0].values()] == records
    assert left[0] < 0


def test_one_core_reads_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: list[int]
) -> None:
    monkeypatch.setattr(aside, "_cores", lambda: 1)
    records = written(tmp_path)
    assert [*read_checked(tmp_path)[0].values()] == records
    assert not shared
