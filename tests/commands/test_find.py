"""Runs that commands are given by path, by name, as ``latest``; damaged ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.commands import main as cli
from bench.results import find
from bench.results.find import UPGRADE
from bench.results.run import PLAN
from support.builders import healthy, write
from support.cli import results, upgraded


@pytest.mark.parametrize(
    "command", [["report", "x"], ["compare", "x", "y"], ["baseline", "diff", "x"]]
)
def test_no_such_run(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Said on stderr with the way out, exit code 2, nothing on stdout."""
    assert cli.main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "bench: error: no run 'x': neither a folder nor a name below results/\n"
        "  -> name a folder, one below --results DIR (bench runs lists them), or 'latest'\n"
    )


def test_run_by_path_name_and_latest() -> None:
    """Three ways to mean one run; ``latest`` is the newest."""
    write(healthy(results("20261120-000000-quick")))
    newest = write(healthy(results("20261121-000000-quick")))
    for name in ("latest", newest.name, str(newest), str(newest.absolute())):
        assert find.find_run(name, Path("results")).path.name == newest.name


def test_latest_of_runs_and_upgrades(capsys: pytest.CaptureFixture[str]) -> None:
    """The newest of what a command takes; what there is in its place if there is none."""
    run = write(healthy(results("a")))
    upgrade = upgraded("b")
    os.utime(run / PLAN, ns=(0, 0))
    assert find.find_folder("latest", Path("results"), "run", "upgrade") == upgrade
    assert find.find_folder("latest", Path("results"), "upgrade") == upgrade
    assert find.find_run("latest", Path("results")).path == run
    os.utime(upgrade / UPGRADE, ns=(0, 0))
    os.utime(run / PLAN)
    assert find.find_folder("latest", Path("results"), "run", "upgrade") == run
    assert cli.main(["compare", "latest", "latest"]) == 0
    (run / PLAN).unlink()
    assert cli.main(["compare", "latest", "latest"]) == 2
    assert (
        "results: holds no run\n  -> upgrades have a run of each side, such as results/b/new"
    ) in capsys.readouterr().err
    assert cli.main(["reproduce", "a", "depth"]) == 2
    assert "no upgrade 'a'" in capsys.readouterr().err


def test_latest_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all is trouble, not success."""
    for command, message in (
        (["report", "latest"], "results: holds no run and no upgrade\n  -> start one: bench run"),
        (["compare", "latest", "a"], "results: holds no run\n  -> start one: bench run"),
        (["reproduce", "latest", "a"], "results: holds no upgrade\n  -> start one: bench upgrade"),
    ):
        assert cli.main(command) == 2
        assert message in capsys.readouterr().err


def test_damaged_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged line is named; the exit code is not that of a regression."""
    path = write(healthy(results("a")))
    lines = (path / "records.jsonl").read_bytes().splitlines(keepends=True)
    (path / "records.jsonl").write_bytes(b"".join([lines[0], lines[1][:40] + b"\n", *lines[2:]]))
    assert cli.main(["report", "a"]) == 2
    assert "records.jsonl, line 2: not a record of schema 3" in capsys.readouterr().err
