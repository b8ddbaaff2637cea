"""Reports on envelopes: what was compared, how sharp it was, and where a difference begins."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.report.comparison import compare_runs
from bench.report.figures.envelope import cells_tested
from bench.report.full import full_report
from bench.report.markdown import markdown
from bench.report.sections.rounding import origins, rounding_section
from bench.report.short import short_report
from bench.report.terminal import summary_lines
from bench.results.copy_result import Copy, CopyResult
from bench.results.kind import Crash
from bench.results.plan import Item
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import EnvelopeTest, Judgement, Verdict
from support.builders import replaced
from support.stories import STORIES, envelope_test, identical, outside, parted


def compared(found: Conclusion, **options: Any) -> str:
    """What ``bench compare`` prints of the run against itself."""
    return compare_runs(dataclasses.replace(found, old=found.run), **options)[0]


def with_cells(*judgements: Judgement) -> Conclusion:
    """Cells that were judged so, in a run that has the copies of :func:`parted`."""
    return dataclasses.replace(parted(), judgements=judgements)


def of(
    verdict: Verdict, test: EnvelopeTest | None, *, depth: int = 3, grid: str = "g"
) -> Judgement:
    item = Item(grid=grid, id=f"depth:{depth}", cell=Cell(depth=depth))
    return Judgement(item=item, verdict=verdict, reason="", rung="envelope", envelope=test)


def section(found: Conclusion | None = None) -> str:
    return markdown([rounding_section(parted() if found is None else found)])


def rows(text: str) -> list[list[str]]:
    """Cells of all table rows, header and rule left out."""
    found = [line for line in text.splitlines() if line.startswith("| `")]
    return [[part.strip() for part in line.strip("|").split(" | ")] for line in found]


@pytest.mark.parametrize("name", [name for name in STORIES if name != "parted"])
def test_no_envelope_no_section(name: str) -> None:
    """A run without a tested cell has no section and no table."""
    story = STORIES[name]()
    assert rounding_section(story) is rounding_section(story) is None
    assert origins(story) == ""
    assert "## Rounding" not in markdown(full_report(story))


def test_place_in_the_report() -> None:
    """After what changed, before the first grid."""
    text = markdown(full_report(parted()))
    marks = ["## What trains differently", "\n## Rounding\n", "\n## Depth\n"]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_one_row_per_cell_most_severe_first() -> None:
    """By verdict, then by the largest difference over the envelope."""
    found = rows(section())
    assert [row[0] for row in found] == [
        f"`depth/depth:{depth}-act:relu-init:he_normal`" for depth in (2, 3, 30, 10, 0, 1)
    ]
    # 1234.5 rounds to three digits; .5 and .25 of the envelope are shares, .031 is one, too
    assert [row[4] for row in found] == ["1,230 ×", "∞ ×", "12.0 ×", "50 %", "25 %", "3.1 %"]


def test_row_says_where_it_begins() -> None:
    """First step, factor, its step, sharp steps, copies, then tensor, step, size and what rounding
    explains."""
    assert rows(section())[0][1:] == [
        "**regressed**",
        "1",
        "4",
        "1,230 ×",
        "7",
        "20 of 20",
        "12 over 3 seeds",
        "layer 1, kernel, before step 1: 0.0012, rounding explains 2.3e-07",
    ]


def test_departures_without_a_tensor_or_a_step() -> None:
    """A dash for losses that never leave, words for a tensor that is not found, ∞ for one that is not
    finite, and a seed's jump."""
    found = {row[0].split("-")[0]: row for row in rows(section())}
    assert found["`depth/depth:3"][8] == "no stored tensor departs by itself"
    moving = found["`depth/depth:10"]
    assert moving[3] == "–"
    assert moving[8] == (
        "layer 1, moving variance, inference, before step 10: ∞, rounding explains 3e-06"
    )
    assert found["`depth/depth:1"][8] == "1 of 3 seeds leaves it, as a jump does"
    assert found["`depth/depth:0"][8] == "–"


def test_answer_counts_both_sides() -> None:
    """Four cells of the story are outside, one of them by a moving statistic alone."""
    assert "2 cells inside, **4 outside**." in section()
    inside = [j for j in parted().judgements if j.verdict is Verdict.ROUNDING]
    assert "2 cells inside, none outside." in section(with_cells(*inside))


def test_trust_in_figures() -> None:
    """Leave-one-out over all copies, the bound on the risk, and how many envelopes are sharp.

    Copies move by 2e-7 (n + 1) in every loss, n = 0..3, and the factor of rounding is at least
    sqrt(784/6) = 11.4: each lies inside the envelope of the others. 6 cells x 3 seeds x 4 = 72.
    """
    text = section()
    assert "**72 of 72** (100.0 %) lie inside at every step, in 6 cells" in text
    assert "Of 6 envelopes, 5 are sharp for every step, 0 for less than a tenth" in text
    bound = float(re.findall(r"would be at most ([\d.e-]+)\.", text)[0])
    assert 0 < bound < 0.1


def test_a_copy_outside_is_counted() -> None:
    """One copy that parts by 1 from step 0 on lies outside the envelope of the other eleven."""
    found = parted()
    run = found.run
    wild = Copy(cell=Cell(depth=0), seed=1, number=2)
    losses = np.frombuffer(run.copies[wild].trajectory, "<f4")
    far = (losses + 1).astype("<f4").tobytes()
    copies = {**run.copies, wild: CopyResult(copy=wild, trajectory=far)}
    found = dataclasses.replace(found, run=replaced(run, copies=copies))
    assert "**71 of 72** (98.6 %)" in section(found)


def test_a_single_copy_is_not_held_against_itself() -> None:
    """With one copy that did not crash there are no others: the figure is left out, nothing fails."""
    found = with_cells(parted().judgements[0])
    crash = Crash(reason="signal", message="killed by SIGABRT")
    kept = Copy(cell=Cell(depth=0), seed=0, number=0)
    copies = {
        copy: result if copy == kept else CopyResult(copy=copy, crash=crash)
        for copy, result in found.run.copies.items()
    }
    text = section(dataclasses.replace(found, run=replaced(found.run, copies=copies)))
    assert "lie inside at every step" not in text
    assert "would be at most" in text


def test_too_few_copies_have_no_bound() -> None:
    """Risks that add up to 1 or more bound nothing, and the report says what would."""
    tests = [of(Verdict.ROUNDING, envelope_test(copies=1, seeds=1), depth=n) for n in range(3)]
    assert "not bounded: train more seeds" in section(with_cells(*tests))


def test_many_rows_are_folded() -> None:
    """15 rows are shown, the rest is behind a title; both tables have the same columns."""
    judgements = [of(Verdict.ROUNDING, envelope_test(), depth=depth) for depth in range(40)]
    shown, hidden = section(with_cells(*judgements)).split("<details>")
    assert len(rows(shown)) == 15
    assert len(rows(hidden)) == 25
    assert "25 more cells" in hidden
    assert {len(row) for row in rows(shown) + rows(hidden)} == {9}


def test_cell_of_two_grids_has_one_row() -> None:
    """It was tested once, so it counts once; under another verdict it has a row of its own."""
    judgements = [
        of(Verdict.CHANGED, outside(), grid="a"),
        of(Verdict.CHANGED, outside(), grid="b"),
        of(Verdict.CLAIM_VIOLATED, outside(), grid="c"),
    ]
    assert [names for _, names in cells_tested(judgements)] == [
        ("c/depth:3",),
        ("a/depth:3", "b/depth:3"),
    ]
    assert "`a/depth:3` and 1 more" in section(with_cells(*judgements))


def test_origins_are_counted() -> None:
    """Most frequent first; beyond five they are counted; cells that pass are none."""
    assert origins(parted()) == (
        "Differences begin in layer 1, kernel, before step 1 (2 cells); layer 1, moving variance, "
        "inference, before step 10 (1 cell)."
    )
    departure = outside().departure
    assert departure is not None
    judgements = [
        of(
            Verdict.CHANGED,
            outside(departure=msgspec.structs.replace(departure, tensor=f"layer {n}, kernel")),
            depth=n,
        )
        for n in range(8)
    ]
    assert origins(with_cells(*judgements)).endswith(
        "layer 4, kernel, before step 1 (1 cell); elsewhere (3 cells)."
    )
    assert origins(with_cells(of(Verdict.INCONCLUSIVE, outside()))) == ""


@given(ratio=st.floats(min_value=0, allow_nan=False), outside_from=st.none() | st.integers(0, 199))
@example(ratio=1.0, outside_from=None)
@example(ratio=0.99499, outside_from=None)
@example(ratio=999_999.9, outside_from=3)
def test_any_ratio_has_words(ratio: float, outside_from: int | None) -> None:
    """From 0 to infinity; never an exponent where a plain number fits, and tables stay whole."""
    test = outside(ratio=ratio, first_step=outside_from)
    row = rows(section(with_cells(of(Verdict.CHANGED, test))))[0]
    assert len(row) == 9
    assert row[4].endswith("×" if ratio > 1 else "%")
    assert ("e+" in row[4]) == (1e6 <= ratio < math.inf)


# Short forms


def test_short_report_names_a_cause_once() -> None:
    """Two hundred cells that changed alike are one finding: steps, size, tensor and the first cell."""
    found = with_cells(*(of(Verdict.CHANGED, outside(first_step=n), depth=n) for n in range(200)))
    text = short_report(found)
    first, second = (line for line in text.splitlines() if line.startswith(("1. ", "   - ")))
    assert first == (
        "1. **200 cells, every one that could be compared, trained differently**: begins in layer 1, "
        "kernel, before step 1; `g/depth:0` and 199 more cells"
    )
    assert "at step 0 to 199, up to 1,230 ×" in second
    assert len(text.encode()) < 5_000


def test_terminal_names_steps_sizes_and_tensors() -> None:
    """Changed cells as groups: since when, by how much and where they differ."""
    found = with_cells(*(of(Verdict.CHANGED, outside(first_step=n), depth=n) for n in range(25)))
    text = " ".join(" ".join(summary_lines(found, verbose=True)).split())
    assert "CHANGED g/depth:0 and 24 more (25 cells, every one that could be compared)" in text
    assert "leave the rounding envelope at step 0 to 24, up to 1,230 × what rounding" in text
    assert "begins in layer 1, kernel, before step 1" in text


def test_reason_is_whole_in_the_report() -> None:
    """What follows the envelope's words in a reason is not cut off."""
    text = markdown(full_report(parted()))
    assert text.count("where rounding explains 2.3e-07; test accuracy -3.73 pp") == 1


# Data formats


def test_envelope_is_flat_in_csv_and_json() -> None:
    """Fields by their own names; infinite is ``inf`` in CSV and null in JSON, absent is empty."""
    comma = compared(parted(), form="csv")
    table = list(csv.DictReader(io.StringIO(comma)))
    names = ("first_step", "ratio", "worst_step", "sharp_steps", "copies")
    assert [table[2][name] for name in names] == ["4", "1234.5", "7", "20", "12"]
    departs = ("departs_tensor", "departs_step", "departs_distance")
    assert [table[2][name] for name in departs] == ["layer 1, kernel", "1", "0.0012"]
    assert table[3]["ratio"] == table[4]["departs_distance"] == "inf"
    assert [table[3][name] for name in departs] == ["", "", ""]
    cells = json.loads(compared(parted(), form="json"))["cells"]
    assert cells[2]["departs_distance"] == 0.0012
    assert cells[3]["ratio"] is None
    assert cells[3]["first_step"] == 0
    assert list(cells[0]) == list(table[0])


def test_no_envelope_is_empty_in_csv() -> None:
    """A cell decided on another rung has the columns, without values."""
    text = compared(identical(), form="csv", everything=True)
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["ratio"] == row["copies"] == row["departs_tensor"] == ""


def test_comparison_says_where_differences_begin() -> None:
    """``bench compare`` names the tensors before its table."""
    assert origins(parted()) in compared(parted())
