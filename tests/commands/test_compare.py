"""``bench compare``: what is printed, and the exit code."""

from __future__ import annotations

import csv
import io
import json

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.commands import main as cli
from support.builders import DEPTH_AXES, healthy, items, plan, replaced, stored, trained, write
from support.cli import results, worse
from support.golden import check_golden


def test_compare_with_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Two equal runs: nothing regressed, no row, exit code 0."""
    write(healthy(results("a")))
    write(healthy(results("b")))
    assert cli.main(["compare", "a", "b"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("**Safe: 6 cells identical.** A is OLD, B is NEW.\n")
    check_golden("cli-compare-identical.md", out)


def test_compare_finds_a_planted_loss(capsys: pytest.CaptureFixture[str]) -> None:
    """Five points less at depth 10: exit code 1, the two cells and no others, in every format."""
    write(healthy(results("a")))
    write(worse(healthy(results("b")), 10))
    assert cli.main(["compare", "a", "b"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("**Not safe: 2 cells regressed.**")
    assert "4 identical cells not listed" in out
    assert cli.main(["compare", "a", "b", "--format", "csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["cell"].split("-")[0] for row in rows] == ["depth:10", "depth:10"]
    assert cli.main(["compare", "a", "b", "--format", "json", "--all"]) == 1
    assert len(json.loads(capsys.readouterr().out)["cells"]) == 6


def test_compare_prints_a_pivot_along_axes(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdicts or a metric, by any axes; an axis or a metric that does not exist is named."""
    write(healthy(results("a")))
    write(worse(healthy(results("b")), 10))
    assert cli.main(["compare", "a", "b", "--row", "depth", "--col", "act"]) == 1
    assert "| 10 " in (out := capsys.readouterr().out)
    assert "1 regressed" in out
    assert cli.main(["compare", "a", "b", "--row", "act,depth", "--value", "test_accuracy"]) == 1
    assert " -> " in capsys.readouterr().out.replace("&gt;", ">").replace("\\>", ">")
    assert cli.main(["compare", "a", "b", "--row", "activation"]) == 2
    assert "no axis 'activation'\n  -> one of grid, depth, arch" in capsys.readouterr().err
    assert cli.main(["compare", "a", "b", "--value", "test_loss"]) == 2
    assert "--value is of a pivot" in capsys.readouterr().err


def test_compare_warns_of_other_plans(capsys: pytest.CaptureFixture[str]) -> None:
    """In CSV, where stdout is for a program, warnings are on stderr."""
    write(healthy(results("a")))
    after = healthy(results("b"))
    write(replaced(after, plan=msgspec.structs.replace(after.plan, items=after.plan.items[1:])))
    assert cli.main(["compare", "a", "b"]) == 0
    assert "> **Warning**: 1 cell of A not in B" in capsys.readouterr().out
    assert cli.main(["compare", "a", "b", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert "bench: warning: 1 cell of A not in B" in err
    assert "arning" not in out


def test_compare_of_nothing_in_common(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing compared is never success."""
    write(healthy(results("a")))
    cell = Cell(depth=99)
    the_plan = plan(items("depth", [cell], DEPTH_AXES))
    write(stored(the_plan, [trained(cell, seed) for seed in range(3)], path=results("b")))
    assert cli.main(["compare", "a", "b"]) == 2
    assert "no cell and no check in common" in capsys.readouterr().err
