"""Tests of accepting a run as a baseline, of previewing that, and of checking what is stored."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.cell import Cell
from bench.errors import BenchError
from bench.run import Item, StoredRun
from bench.verdict.acceptance import accept, check, preview
from bench.verdict.baseline import Baseline, baseline_from_run, read_baseline, write_baseline
from builders import CLASS, crashed, diverged, environment, healthy, replaced, trained

DAY = datetime.date(2026, 11, 21)


def _accept(root: Path, run: StoredRun, old: Baseline | None = None, **changes: Any) -> Baseline:
    arguments: dict[str, Any] = {"items": run.plan.items, "reason": "first", "date": DAY}
    arguments |= changes
    return accept(root, run, old, arguments.pop("items"), **arguments)


def _with(run: StoredRun, item: Item, **changes: Any) -> StoredRun:
    """The run with other records of one item."""
    records = dict(run.records)
    for seed in run.plan.seeds:
        records[item.cell, seed] = trained(item.cell, seed, **changes)
    return replaced(run, records=records)


def test_an_accepted_run_is_the_stored_baseline(tmp_path: Path) -> None:
    """What comes back is what is read, with who accepted it, when, why and with which software."""
    run = healthy(of=environment(run={"commit": "abc"}))
    accepted = _accept(tmp_path, run, reviewer="Ada")
    assert read_baseline(tmp_path, CLASS) == accepted
    (entry,) = accepted.acceptances
    assert (entry.run, entry.date, entry.reason) == (run.path.name, "2026-11-21", "first")
    assert (entry.reviewer, entry.cells, entry.commit) == ("Ada", 6, "abc")
    assert (entry.tensorflow, entry.keras) == ("2.21.0", "3.15.1")
    assert not check(tmp_path, run.plan.items)


def test_only_the_given_cells_change(tmp_path: Path) -> None:
    """Others keep the samples that an earlier run gave, and both runs are named."""
    first = healthy()
    old = _accept(tmp_path, first)
    chosen, *others = first.plan.items
    second = healthy(path=Path("results/later"))
    for item in first.plan.items:
        second = _with(second, item, accuracy=0.5, salt="new")
    new = _accept(tmp_path, second, old, items=[chosen], reason="new slope")
    assert all(new.find(item) == old.find(item) for item in others)
    assert new.find(chosen) != old.find(chosen)
    assert [(a.run, a.cells) for a in new.acceptances] == [(first.path.name, 6), ("later", 1)]


def test_preview_of_an_unchanged_run_is_empty() -> None:
    """Equal digests change nothing."""
    run = healthy()
    assert preview(baseline_from_run(run), run) == []


def test_preview_shows_what_accepting_would_change() -> None:
    """Old and new mean of every metric that moves, for the changed cell alone."""
    run = healthy()
    chosen = run.plan.items[1]
    changed = _with(run, chosen, accuracy=0.5, spread=0.0, salt="new", ratio=0.9)
    shown = preview(baseline_from_run(run), changed)
    assert {(c.item, c.metric) for c in shown} == {(chosen, "test_accuracy")}
    assert shown[0].mean == 0.5
    assert shown[0].baseline_mean == pytest.approx(0.9397, abs=0.002)
    assert not shown[0].new and not shown[0].digests_equal


def test_preview_shows_bits_that_change_alone_and_divergence_and_new_cells() -> None:
    """Digests without any mean: one line. Divergence: its share. No baseline: every cell is new."""
    run = healthy()
    chosen = run.plan.items[0]
    baseline = baseline_from_run(run)
    records = {k: msgspec.structs.replace(r, digest="x") for k, r in run.records.items()}
    shown = preview(baseline, replaced(run, records=records), [chosen])
    assert [(c.metric, c.mean == c.baseline_mean) for c in shown] == [("test_accuracy", True)]
    records = run.records | {(chosen.cell, 0): diverged(chosen.cell, 0)}
    shown = preview(baseline, replaced(run, records=records), [chosen])
    assert ("diverged", 0.0, pytest.approx(1 / 3)) in [
        (c.metric, c.baseline_mean, c.mean) for c in shown
    ]
    shown = preview(None, run)
    assert {c.item for c in shown} == set(run.plan.items)
    assert all(c.new and c.baseline_mean is None for c in shown)


UNFIT = {
    "dirty": (environment(run={"dirty": "true"}), None, "uncommitted code"),
    "other images": (environment(data={"fingerprint": "f00"}), None, "trained on images f00"),
    "crashed": (None, crashed, "crashed under seed 1"),
    "missing": (None, lambda *_: None, "was not measured in full"),
}


def _unfit(name: str) -> StoredRun:
    of, make, _ = UNFIT[name]
    run = healthy(path=Path("results/unfit"), of=of)
    key = (run.plan.items[2].cell, 1)
    records = {k: r for k, r in run.records.items() if k != key or make is None}
    if make is not None and (record := make(*key)) is not None:
        records[key] = record
    return replaced(run, records=records)


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_run_is_refused_and_stores_nothing(tmp_path: Path, name: str) -> None:
    """Uncommitted code, other images, crashed and missing replicas each name the way out."""
    old = _accept(tmp_path, healthy())
    with pytest.raises(BenchError, match=UNFIT[name][2]) as error:
        _accept(tmp_path, _unfit(name), old)
    assert "--force" in error.value.hint
    assert read_baseline(tmp_path, CLASS) == old


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_run_can_be_forced(tmp_path: Path, name: str) -> None:
    """A crashed replica is still not stored, and other images start the class anew."""
    old = _accept(tmp_path, healthy())
    run = _unfit(name)
    new = _accept(tmp_path, run, old, force=True, items=run.plan.items[2:3])
    assert read_baseline(tmp_path, CLASS) == new
    cell = new.find(run.plan.items[2])
    assert cell is not None
    assert len(cell.samples) == (2 if name in ("crashed", "missing") else 3)
    assert (new.find(run.plan.items[0]) is None) == (name == "other images")
    assert len(new.acceptances) == (1 if name == "other images" else 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"items": []}, "nothing to accept"),
        ({"reason": "  "}, "needs a reason"),
    ],
)
def test_nothing_and_no_reason_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """Both are mistakes of use."""
    with pytest.raises(BenchError, match=message):
        _accept(tmp_path, healthy(), **changes)
    assert not list(tmp_path.iterdir())


def test_another_class_and_a_run_of_crashes_are_refused(tmp_path: Path) -> None:
    """Bits of two classes are never merged; nothing that can be stored is no success."""
    run = healthy()
    numerics = msgspec.structs.replace(run.environment.numerics, isa="avx2")
    other = baseline_from_run(healthy(of=environment(numerics=numerics)))
    with pytest.raises(BenchError, match=f"is of class {CLASS}"):
        _accept(tmp_path, run, other)
    records = {key: crashed(*key) for key in run.records}
    with pytest.raises(BenchError, match="no replica of these cells can be stored"):
        _accept(tmp_path, replaced(run, records=records), force=True)


def test_check_names_cells_that_no_longer_exist_or_changed(tmp_path: Path) -> None:
    """A stored cell that no grid has, and one whose default changed, are problems with a way out."""
    run = healthy()
    _accept(tmp_path, run)
    gone, changed, *kept = run.plan.items
    current = msgspec.structs.replace(
        changed, cell=msgspec.structs.replace(changed.cell, steps=300)
    )
    problems = check(tmp_path, [current, *kept])
    assert len(problems) == 2
    assert f"{gone.id} is in no grid any more" in problems[0]
    assert f"{changed.id} now means another cell (steps 200, now 300)" in problems[1]
    assert check(tmp_path) == []


def test_check_names_damaged_files_and_empty_classes(tmp_path: Path) -> None:
    """One damaged class does not hide the problems of the next."""
    _accept(tmp_path, healthy())
    numerics = msgspec.structs.replace(environment().numerics, isa="avx2")
    empty = baseline_from_run(healthy(of=environment(numerics=numerics)))
    write_baseline(tmp_path, msgspec.structs.replace(empty, grids={}))
    path = tmp_path / CLASS / "depth.json"
    path.write_text(
        re.sub('"test_accuracy":[0-9.]+', '"test_accuracy":NaN', path.read_text(), count=1)
    )
    problems = check(tmp_path)
    assert len(problems) == 2
    assert "holds no cells" in problems[0]
    assert str(path) in problems[1]


def test_check_names_a_cell_without_samples(tmp_path: Path) -> None:
    """It would compare with nothing for ever."""
    run = healthy()
    records = {
        k: crashed(*k) if k[0] == Cell(depth=3, steps=200) else r for k, r in run.records.items()
    }
    write_baseline(tmp_path, baseline_from_run(replaced(run, records=records)))
    (problem,) = check(tmp_path)
    assert "has no samples" in problem
