"""``bench report``: what is printed and written, and the exit code."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.commands import main as cli
from support.builders import (
    DEPTH_AXES,
    crashed,
    healthy,
    items,
    plan,
    replaced,
    stored,
    trained,
    write,
)
from support.cli import accepted, results, worse


@pytest.mark.slow
def test_report_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """``report.md`` in the run's folder; counts and path on stdout; exit code of the verdict."""
    run = healthy(results("a"))
    write(run)
    assert cli.main(["report", "a"]) == 3
    assert cli.main(["report", "a", "--allow-undecided"]) == 0
    out, err = capsys.readouterr()
    assert "report: results/a/report.md" in out
    assert "no folder 'baselines', so no cell is compared" in err and "--baselines" in err
    assert Path("results/a/figures/depth.svg").exists()
    report = Path("results/a/report.md")
    assert report.read_text().startswith("**Undecided**: nothing could be compared.")
    accepted(run)
    write(worse(healthy(results("b")), 10))
    assert cli.main(["report", "b"]) == 1
    text = Path("results/b/report.md").read_text()
    assert text.startswith("**Not safe**: 2 cells regressed.")
    assert cli.main(["report", "a"]) == 0
    assert report.read_text().startswith("**Safe**: 6 cells identical.")
    assert "no folder" not in capsys.readouterr().err


def test_report_names_what_has_no_checksum(capsys: pytest.CaptureFixture[str]) -> None:
    """Files of an older bench are read as they are."""
    path = write(healthy(results("a"))) / "records.jsonl"
    cli.main(["report", "a", "--output", "-"])
    assert "Without checksums" not in capsys.readouterr().out
    lines = path.read_bytes()
    path.write_bytes(re.sub(rb',"sum":"[0-9a-f]{16}"', b"", lines))
    cli.main(["report", "a", "--output", "-"])
    assert "Without checksums, as an older bench wrote them: 18 results." in capsys.readouterr().out
    altered = re.sub(rb'"test_accuracy":0.9', b'"test_accuracy":0.1', lines, count=1)
    path.write_bytes(altered)
    assert cli.main(["report", "a", "--output", "-"]) == 2
    assert "line 1: not a record of schema 3: its checksum is" in capsys.readouterr().err


def test_equal_digests_beside_other_accuracies(capsys: pytest.CaptureFixture[str]) -> None:
    """A digest covers the accuracy: `identical` never stands beside another one, altered unseen in a
    file without checksums."""
    run = write(healthy(results("a")))
    other = write(healthy(results("b"))) / "records.jsonl"
    lines = re.sub(rb',"sum":"[0-9a-f]{16}"', b"", other.read_bytes())
    other.write_bytes(re.sub(rb'"test_accuracy":0.9', b'"test_accuracy":0.1', lines, count=1))
    assert cli.main(["compare", str(run), "b"]) == 2
    assert (
        "and another test accuracy or loss: one of the two was altered" in capsys.readouterr().err
    )


def test_a_loss_of_zero_is_not_taken_for_an_altered_one(capsys: pytest.CaptureFixture[str]) -> None:
    """It has no logarithm, so that the metric is not defined; the runs are equal all the same."""
    run = healthy(results("a"))
    records = {
        key: msgspec.structs.replace(record, test_loss=0.0) for key, record in run.records.items()
    }
    for name in ("a", "b"):
        write(msgspec.structs.replace(replaced(run, records=records), path=results(name)))
    assert cli.main(["compare", "a", "b"]) == 0
    assert "6 cells identical" in capsys.readouterr().out


def test_report_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """``--output FILE``, and ``-`` for stdout; neither report.md nor figures are written."""
    path = write(healthy(results("a")))
    assert cli.main(["report", "a", "--output", "mine.md"]) == 3
    capsys.readouterr()
    assert cli.main(["report", "a", "--output", "-", "--allow-undecided"]) == 0
    assert capsys.readouterr().out == Path("mine.md").read_text()
    assert not (path / "report.md").exists()
    assert not (path / "figures").exists()
    assert "![" not in Path("mine.md").read_text()


def test_report_that_cannot_be_written(
    below_a_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trouble, exit code 2."""
    write(healthy(results("a")))
    assert cli.main(["report", "a", "--output", str(below_a_file)]) == 2
    assert f"{below_a_file}: cannot be written: Not a directory" in capsys.readouterr().err


def test_report_of_crashes() -> None:
    """A crash is exit code 1 even where there is no baseline."""
    cell = Cell()
    the_plan = plan(items("depth", [cell], DEPTH_AXES), seeds=(0, 1))
    write(stored(the_plan, [trained(cell, 0), crashed(cell, 1)], path=results("a")))
    assert cli.main(["report", "a"]) == 1
    assert "crashed 1/2" in Path("results/a/report.md").read_text()
