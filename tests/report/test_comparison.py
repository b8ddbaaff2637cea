"""Two runs side by side."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.report.comparison import compare_runs, differences_of_plan, pivot_text
from bench.results.run import StoredRun
from bench.verdict.baselines.samples import stand_in
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement, Verdict
from support.builders import environment, healthy, replaced
from support.golden import check_golden


def concluded(before: StoredRun, after: StoredRun, judgements: list[Judgement]) -> Conclusion:
    return Conclusion(run=after, baseline=stand_in(before), old=before, judgements=judgements)


def compared(*sides: Any, **options: Any) -> tuple[str, list[str]]:
    return compare_runs(concluded(*sides), **options)


def two() -> tuple[StoredRun, StoredRun, list[Judgement]]:
    """B trains one cell worse and one differently."""
    before = healthy(Path("results/a"), of=environment(software={"tensorflow": "2.20.0"}))
    after = healthy(Path("results/b"))
    records = dict(after.records)
    for key, record in records.items():
        if key.cell.depth == 10:
            worse = (record.test_accuracy or 0) - 0.02
            records[key] = msgspec.structs.replace(record, test_accuracy=worse, digest="0")
    verdicts = [Verdict.IDENTICAL] * 2 + [Verdict.REGRESSED, Verdict.ROUNDING]
    verdicts += [Verdict.IDENTICAL] * 2
    judgements = [
        Judgement(item=item, verdict=verdict, reason=f"{verdict.value}, as planted", rung="digest")
        for item, verdict in zip(after.plan.items, verdicts, strict=True)
    ]
    return before, replaced(after, records=records), judgements


@pytest.mark.parametrize("form", ["markdown", "csv", "json"])
def test_compare(form: str) -> None:
    """Only cells that differ are listed, in three formats."""
    text, warnings = compared(*two(), form=form)
    assert warnings == []
    check_golden(
        {"markdown": "compare.md", "csv": "compare.csv", "json": "compare.json"}[form], text
    )


def test_all() -> None:
    """``--all`` lists the identical cells too."""
    before, after, judgements = two()
    listed = compared(before, after, judgements, everything=True, form="csv")[0]
    assert len(list(csv.DictReader(io.StringIO(listed)))) == len(judgements) == 6
    few = compared(before, after, judgements, form="csv")[0]
    assert len(list(csv.DictReader(io.StringIO(few)))) == 2
    text = compared(before, after, judgements)[0]
    assert "4 identical cells not listed" in text


def test_numbers_are_raw_in_json() -> None:
    """A share is a share, at full precision, and what is absent is null."""
    before, after, judgements = two()
    cells = json.loads(compared(before, after, judgements, form="json")[0])["cells"]
    cell = judgements[2].item.cell
    values = [record.test_accuracy or 0 for record in after.of(cell)]
    assert cells[0]["test_accuracy_b"] == pytest.approx(sum(values) / 3, abs=1e-15)
    assert cells[0]["test_accuracy_a"] == pytest.approx(sum(values) / 3 + 0.02)
    assert cells[0]["depth"] == cell.depth
    assert cells[0]["departs_tensor"] is None


def test_other_machine_has_no_speeds() -> None:
    """Throughput of two machines is not set side by side."""
    before, after, judgements = two()
    slower = {
        key: msgspec.structs.replace(record, images_per_sec=50_000.0)
        for key, record in after.records.items()
    }
    text = compared(before, replaced(after, records=slower), judgements)[0]
    assert "median over these cells: 100,000 images/s in A, 50,000 in B" in text
    silent = {
        key: msgspec.structs.replace(record, images_per_sec=None)
        for key, record in after.records.items()
    }
    text = compared(before, replaced(after, records=silent), judgements)[0]
    assert "100,000 images/s in A, – in B" in text
    other = replaced(after, environment=environment(machine={"cpu": "another"}))
    text = compared(before, other, judgements)[0]
    assert "images/s" not in text
    assert "The runs are of two machines" in text


def test_plans_that_differ() -> None:
    """Other cells, seeds, images and absent replicas are each a warning."""
    before, after, _ = two()
    assert differences_of_plan(before, after) == []
    records = dict(list(after.records.items())[:-2])
    plan = msgspec.structs.replace(after.plan, items=after.plan.items[1:], seeds=[0, 1, 5, 6])
    other = replaced(
        after, plan=plan, records=records, environment=environment(data={"fingerprint": "ffff"})
    )
    gone = before.plan.items[0].id
    # 5 cells x 4 seeds = 20; of seeds 0 and 1 ten are there, but the last cell's last two records
    # are of seeds 1 and 2, so 9
    assert differences_of_plan(before, other) == [
        f"1 cell of A not in B, such as depth/{gone}",
        "A has 3 seeds, B has 4, 2 of them shared",
        "A was trained on images 741c988805d0, B on ffff",
        "B is unfinished: 11 of 20 replicas are absent",
    ]
    text, warnings = compared(before, other, [], form="markdown")
    assert all(f"> **Warning**: {warning}" in text for warning in warnings[:2])


@pytest.mark.parametrize("form", ["markdown", "csv", "json"])
def test_a_pivot_in_three_formats(form: str) -> None:
    """Depth by activation: how many cells have which verdict."""
    text = pivot_text(concluded(*two()), ["depth"], ["act"], form=form)
    assert text.endswith("\n")
    assert "1 regressed, 1 rounding" in text or ("1 regressed" in text and "1 rounding" in text)
    if form == "json":
        assert {row["depth"] for row in json.loads(text)} == {3, 10, 30}
    if form == "markdown":
        assert "act:relu" in text
