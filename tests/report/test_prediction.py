"""The section of a report that sets prediction beside measurement, and the files it comes in."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.cells.grids import GRIDS
from bench.errors import BenchError
from bench.mnist import MNIST_FINGERPRINT
from bench.report.figures.curves import pictures
from bench.report.files import write_document, write_reports
from bench.report.full import full_report
from bench.report.markdown import inline, markdown
from bench.report.sections.prediction import READING, prediction_section
from bench.results.record import Replica
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Verdict
from support.builders import crashed, flow, healthy, items, plan, replaced, stored, trained
from support.stories import concluded, judged

GLOROT = Cell(depth=3, initializer="glorot_normal")
AXES = GRIDS["depth"].axes


def run_of(
    cells: list[Cell], ratios: dict[Cell, list[float | None]], path: Path = Path("r")
) -> StoredRun:
    records = [
        trained(cell, seed, ratio=ratio, data=MNIST_FINGERPRINT)
        for cell, values in ratios.items()
        for seed, ratio in enumerate(values)
    ]
    return stored(plan(items("depth", cells, AXES)), records, path=path)


def rows(text: str) -> dict[str, list[str]]:
    """The section's table: cells' ids and what stands behind them."""
    found = re.findall(r"^\| `(.+?)` *\|(.*)\|$", text, re.MULTILINE)
    return {id_: [part.strip() for part in rest.split("|")] for id_, rest in found}


def section(run: StoredRun) -> str:
    return markdown([prediction_section(run, "depth", run.plan.items)])


def test_row() -> None:
    """Predicted (1/2)^2 = .25, but for finite width; measured sqrt(.25 * .36) = .3 over two seeds."""
    run = run_of([GLOROT], {GLOROT: [0.25, 0.36]})
    text = section(run)
    predicted, measured, quotient, tolerance, holds = rows(text)[GLOROT.id(AXES)]
    assert (measured, holds) == ("0.3", "yes")
    assert float(predicted) == pytest.approx(0.25, rel=0.1)
    assert float(quotient) == pytest.approx(0.3 / float(predicted), rel=0.01)
    assert float(tolerance.removeprefix("× ")) > float(quotient)
    assert "1 of 1 cell as predicted." in text


@pytest.mark.parametrize("off", [100.0, 0.01])
def test_violation_stands_out(off: float) -> None:
    """A ratio 100 times what theory says is no luck at any tolerance of a sound prediction."""
    other = Cell(depth=3)
    run = run_of([GLOROT, other], {GLOROT: [0.25 * off] * 3, other: [1.0] * 3})
    text = section(run)
    assert rows(text)[GLOROT.id(AXES)][-1].startswith("**no** (layers 1 and 2: quotient ")
    assert rows(text)[other.id(AXES)][-1] == "yes"
    assert "1 of 2 cells as predicted, **1 not**." in text


def test_cells_without_a_row_are_counted_with_their_reason() -> None:
    """Too shallow, not predicted, not measured: none is dropped in silence."""
    shallow, cnn, lost = Cell(depth=1), Cell(architecture="cnn"), Cell(depth=4)
    run = run_of([GLOROT, shallow, cnn, lost], {cell: [0.25] for cell in (GLOROT, shallow, cnn)})
    run = replaced(run, records={**run.records, Replica(lost, 0): crashed(lost, 0)})
    text = section(run)
    assert list(rows(text)) == [GLOROT.id(AXES)]
    assert "1 cell: one hidden layer has no ratio" in text
    assert "1 cell: no signal of MNIST images was measured at step 0" in text
    assert len(re.findall(r"1 cell: ", text)) == 3


def test_nothing_predicted() -> None:
    """Without a single prediction there is no table, and the reason is said."""
    shallow = Cell(depth=1)
    text = section(run_of([shallow], {shallow: [1.0]}))
    assert "|" not in text
    assert "Not in the table: 1 cell: one hidden layer has no ratio." in text


@pytest.mark.parametrize("grid", ["clipping", "gone"])
def test_grids_without_a_section(grid: str) -> None:
    """A grid whose cells do not differ at step 0 has none, nor has one that is not known."""
    run = run_of([GLOROT], {GLOROT: [0.25]})
    assert prediction_section(run, grid, run.plan.items) is None


def test_section_and_reading_stand_in_the_report() -> None:
    """Once per grid, how to read it once; a figure is linked unless it is not stored there."""
    report = full_report(new(healthy()))
    text = markdown(report)
    assert text.count("### Prediction and measurement at step 0") == 1
    assert text.count(inline(READING)) == 1
    assert text.count("![") == 1
    assert "![" not in markdown(report, figures=False)


# Files


def new(run: StoredRun) -> Conclusion:
    """Of a run without a baseline."""
    return concluded(run, judged(run, Verdict.NEW, "", "none"))


def test_every_linked_figure_is_written(tmp_path: Path) -> None:
    """The report's images lie where it says, beside it, with a text for those who cannot see."""
    run = healthy(tmp_path / "run")
    assert write_reports(new(run)) == run.path / "report.md"
    links = re.findall(r"!\[(.+)\]\((.+)\)", (run.path / "report.md").read_text())
    assert [path for _, path in links] == ["figures/depth.svg"]
    assert "Depth: predicted (lines) and measured (points)" in links[0][0]
    assert "6 cells" in links[0][0]
    assert (run.path / links[0][1]).read_bytes().startswith(b"<?xml")
    page = (run.path / "report.html").read_text()
    assert page.count('src="data:image/svg+xml;base64,') == 1
    assert f'alt="{links[0][0]}"' in page


def test_no_figure_no_folder(tmp_path: Path) -> None:
    """A run without a cell to draw gets its report in both forms and nothing else."""
    cell = Cell(depth=0)
    run = stored(plan(items("depth", [cell], AXES)), [trained(cell, 0)], path=tmp_path)
    assert pictures(run) == {}
    path = write_document(full_report(new(run)), run.path)
    assert {found.name for found in tmp_path.iterdir()} == {path.name, "report.html"}


def test_figures_that_cannot_be_written(tmp_path: Path) -> None:
    """Trouble that names the file, as for the report; the report itself is there."""
    run = healthy(tmp_path / "run")
    run.path.mkdir()
    (run.path / "figures").write_text("not a folder")
    with pytest.raises(BenchError, match=r"figures/depth\.svg: cannot be written: Not a directory"):
        write_document(full_report(new(run)), run.path)
    assert (
        (run.path / "report.md").read_text().startswith("**Undecided**: nothing could be compared.")
    )


def test_broken_matplotlib_leaves_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cannot draw can still read: the report needs no matplotlib and is written first."""
    run = healthy(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BenchError, match="no figure can be drawn"):
        write_document(full_report(new(run)), run.path)
    assert (run.path / "report.md").exists()
    assert "<em>Depth: predicted" in (run.path / "report.html").read_text()


def test_signals_that_are_not_numbers(tmp_path: Path) -> None:
    """Overflow and exact zeros at step 0: report and figure are written all the same."""
    cells = [Cell(depth=3), Cell(depth=10), Cell(depth=30)]
    signals: list[list[float | None]] = [[None] * 3, [0.0] * 10, [math.ulp(0.0)] * 30]
    records = [
        trained(cell, 0, start=msgspec.structs.replace(flow(cell), signal=signal))
        for cell, signal in zip(cells, signals, strict=True)
    ]
    run = stored(plan(items("depth", cells, AXES), seeds=[0]), records, path=tmp_path)
    path = write_document(full_report(new(run)), run.path)
    assert "2 cells without points" in path.read_text()
    assert (tmp_path / "figures" / "depth.svg").exists()
