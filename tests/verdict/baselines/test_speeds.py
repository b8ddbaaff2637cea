"""Stored speeds: a line per run, by machine; damage and strangers are refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.errors import BenchError
from bench.verdict.baselines.acceptance import check
from bench.verdict.baselines.speeds import (
    accept,
    find_stored,
    levels_of,
    of_run,
    path_of,
    read_speeds,
)
from support.builders import environment, plan
from support.builders import stored as stored_run
from support.paces import result, stored

MACHINE = environment().machine
CLASS = environment().environment_class


def test_what_is_accepted_is_read_again(tmp_path: Path) -> None:
    offered = [stored(n, [result(step=2.0 + n)]) for n in range(3)]
    paths = {accept(tmp_path, one) for one in offered}
    assert len(paths) == 1
    assert read_speeds(tmp_path, CLASS, MACHINE) == offered
    assert find_stored(tmp_path, "night-1") == offered[1]
    assert find_stored(tmp_path, "night-9") is None
    with pytest.raises(BenchError, match="has the run night-1 already"):
        accept(tmp_path, offered[1])


@pytest.mark.parametrize("fact", ["cpu", "cores", "memory", "gpu", "driver", "virtual"])
def test_another_machine_has_its_own_file(tmp_path: Path, fact: str) -> None:
    """The system's version makes no other machine."""
    accept(tmp_path, stored(0, [result()]))
    assert read_speeds(tmp_path, CLASS, {**MACHINE, fact: "another"}) == []
    assert len(read_speeds(tmp_path, CLASS, {**MACHINE, "system": "Linux-9"})) == 1


def test_a_changed_digit_is_seen(tmp_path: Path) -> None:
    path = accept(tmp_path, stored(0, [result()]))
    accept(tmp_path, stored(1, [result()]))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"first_sec":0.5', b'"first_sec":0.6', 1))
    with pytest.raises(BenchError, match="line 1: no stored speeds: its checksum"):
        read_speeds(tmp_path, CLASS, MACHINE)
    assert any("line 1" in problem for problem in check(tmp_path))
    path.write_bytes(content.replace(b'"sum"', b'"some"', 1))
    with pytest.raises(BenchError, match="line 1"):
        read_speeds(tmp_path, CLASS, MACHINE)


def test_a_file_of_another_machine_is_refused(tmp_path: Path) -> None:
    path = accept(tmp_path, stored(0, [result()]))
    other = path_of(tmp_path, CLASS, {**MACHINE, "cores": "64"})
    path.rename(other)
    with pytest.raises(BenchError, match="another machine"):
        read_speeds(tmp_path, CLASS, {**MACHINE, "cores": "64"})


def test_levels_part_by_version_and_by_word() -> None:
    lines = [
        stored(0, [result()]),
        stored(1, [result()]),
        stored(2, [result()], tensorflow="2.22.0"),
        stored(3, [result()], tensorflow="2.22.0", new_level=True),
        stored(4, [result()], tensorflow="2.22.0"),
    ]
    assert [[one.run[-1] for one in level] for level in levels_of(lines)] == [
        ["0", "1"],
        ["2"],
        ["3", "4"],
    ]


def test_a_run_offers_its_paces(tmp_path: Path) -> None:
    found = result()
    planned = msgspec.structs.replace(plan([]), paces=[found.pace])
    run = stored_run(planned, [], path=tmp_path / "night")
    with pytest.raises(BenchError, match="no speed was measured"):
        of_run(run)
    run = msgspec.structs.replace(run, outcomes={found.pace: found})
    offered = of_run(run, reason="why")
    assert (offered.run, offered.reason, offered.paces) == ("night", "why", [found])
