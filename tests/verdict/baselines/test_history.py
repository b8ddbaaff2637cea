"""Tests of a cell's history: which measurements it has, in which order, and what is not comparable."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest

from bench.results.record import Replica
from bench.results.run import StoredRun
from bench.verdict.baselines.acceptance import accept
from bench.verdict.baselines.folder import Baseline, read_baseline
from bench.verdict.baselines.history import (
    History,
    find_history,
    history_of,
    same_digests,
    stored_runs,
)
from bench.verdict.metrics import BY_NAME
from support.builders import CLASS, crashed, diverged, environment, on_day, replaced, trained, write

ACCURACY = BY_NAME["test_accuracy"]
DAY = datetime.date(2026, 11, 20)


def accepted(root: Path, *runs: StoredRun) -> Baseline:
    """All runs, accepted one after the other."""
    baseline = read_baseline(root, CLASS)
    for run in runs:
        baseline = accept(root, run, baseline, run.plan.items, reason="x", date=DAY)
    assert baseline is not None
    return baseline


def first_cell(baseline: Baseline | None, runs: list[StoredRun], metric: str = "") -> History:
    item = on_day(1, "any").plan.items[0]
    chosen = BY_NAME[metric] if metric else ACCURACY
    place = (item.grid, item.id)
    return history_of(place, chosen, baseline, runs, environment_class=CLASS)


def test_acceptances_and_runs_are_in_order_of_time(tmp_path: Path) -> None:
    """By when they were measured; an accepted run that is still stored is one point, not two."""
    runs = [on_day(d, f"run{d}", salt=f"{d}") for d in (1, 2, 3, 4)]
    baseline = accepted(tmp_path, runs[0], runs[2])
    found = first_cell(baseline, [runs[3], runs[2], runs[1]])
    assert [(p.run, p.acceptance) for p in found.points] == [
        ("run1", 1),
        ("run2", 0),
        ("run3", 2),
        ("run4", 0),
    ]
    assert [point.time for point in found.points][:1] == ["2026-11-01T03:15:02"]


def test_a_stored_run_of_other_results_is_another_point(tmp_path: Path) -> None:
    """A folder's name alone does not make it the run that was accepted."""
    baseline = accepted(tmp_path, on_day(1, "same"))
    found = first_cell(baseline, [on_day(2, "same", salt="other")])
    assert [point.acceptance for point in found.points] == [1, 0]


def test_a_step_is_at_its_point(tmp_path: Path) -> None:
    """Five runs and five that are five points worse, of new bits each: one step, of that size."""
    runs = [on_day(d, f"{d}", salt=f"{d}", accuracy=0.95 if d < 6 else 0.90) for d in range(1, 11)]
    found = first_cell(accepted(tmp_path, runs[0]), runs[1:])
    assert list(found.steps) == [5]
    assert found.steps[5].change == pytest.approx(-0.05)
    assert found.untested == ""


def test_runs_without_a_change_have_no_step(tmp_path: Path) -> None:
    """Identical runs; and other bits with the same values."""
    same = [on_day(d, f"{d}") for d in range(1, 8)]
    assert first_cell(accepted(tmp_path, same[0]), same).steps == {}
    others = [on_day(d, f"{d}", salt=f"{d}") for d in range(1, 8)]
    assert first_cell(None, others).steps == {}
    for metric in BY_NAME:
        assert first_cell(None, others, metric).steps == {}


def test_other_terms_are_no_step() -> None:
    """Another recipe, other images, another cell under the id: not searched across."""
    old = [on_day(d, f"{d}", salt=f"{d}", accuracy=0.80) for d in (1, 2, 3)]
    new = [on_day(d, f"{d}", salt=f"{d}", accuracy=0.95) for d in (4, 5, 6)]
    assert len(first_cell(None, old + new).steps) == 1
    recipe = [
        replaced(r, records={k: msgspec.structs.replace(v, recipe=7) for k, v in r.records.items()})
        for r in new
    ]
    images = [
        replaced(r, environment=environment(run=r.environment.run, data={"fingerprint": "f00"}))
        for r in new
    ]
    for changed in (recipe, images):
        found = first_cell(None, old + changed)
        assert len(found.points) == 6
        assert found.steps == {}


def test_failures_are_counted_and_have_no_value() -> None:
    """A diverged seed and a crashed one; a run of nothing but crashes is still a point."""
    run = on_day(1, "a")
    cell = run.plan.items[0].cell
    records = dict(run.records) | {
        Replica(cell, 0): diverged(cell, 0),
        Replica(cell, 1): crashed(cell, 1),
    }
    dead = on_day(2, "b")
    crashes = {key: crashed(key.cell, key.seed) for key in dead.records}
    found = first_cell(None, [replaced(run, records=records), replaced(dead, records=crashes)])
    assert [(p.outcomes("diverged"), p.outcomes("crashed")) for p in found.points] == [
        (1, 1),
        (0, 3),
    ]
    assert [len(point.values(ACCURACY)) for point in found.points] == [1, 0]
    assert found.steps == {}


def test_one_seed_is_not_searched_and_says_so() -> None:
    """Its noise is not known."""
    runs = []
    for day in (1, 2, 3):
        run = on_day(day, f"{day}")
        plan = msgspec.structs.replace(run.plan, seeds=[0])
        records = {
            (item.cell, 0): trained(item.cell, 0, salt=f"{day}", accuracy=0.9 + day / 100)
            for item in run.plan.items
        }
        runs.append(replaced(run, plan=plan, records=records))
    found = first_cell(None, runs)
    assert found.steps == {}
    assert found.untested == "3 points were not searched for steps: each has one seed"


def test_equal_digests_are_counted_over_shared_seeds() -> None:
    """3 of 3, 0 of 3, and nothing where no seed is shared."""
    same = first_cell(None, [on_day(1, "a"), on_day(2, "b")]).points
    assert same_digests(*same) == (3, 3)
    other = first_cell(None, [on_day(1, "a"), on_day(2, "b", salt="x")]).points
    assert same_digests(*other) == (0, 3)
    run = on_day(2, "b")
    records = {
        replica: msgspec.structs.replace(record, seed=replica.seed + 10)
        for replica, record in run.records.items()
    }
    moved = replaced(
        run, records=records, plan=msgspec.structs.replace(run.plan, seeds=[10, 11, 12])
    )
    points = first_cell(None, [on_day(1, "a"), moved]).points
    assert same_digests(*points) is None


def test_folders_that_are_no_runs_are_warned_of(tmp_path: Path) -> None:
    """Damaged, of another schema, or no run at all: the others are read."""
    write(on_day(1, "sound", path=tmp_path))
    damaged = write(on_day(1, "damaged", path=tmp_path))
    (damaged / "records.jsonl").write_text("[]\n")
    newer = write(on_day(1, "newer", path=tmp_path))
    text = (newer / "plan.json").read_text()
    (newer / "plan.json").write_text(text.replace('"schema": 1', '"schema": 99'))
    (tmp_path / "notes").mkdir()
    runs, warnings = stored_runs(tmp_path)
    assert [run.path.name for run in runs] == ["sound"]
    assert len(warnings) == 3
    for name in ("damaged", "newer", "notes"):
        assert sum(f"{tmp_path / name}" in warning for warning in warnings) == 1
    assert stored_runs(tmp_path / "none") == ([], [])


def test_a_cell_that_only_the_history_has_is_found(tmp_path: Path) -> None:
    """A baseline alone, without results, shows every acceptance; other classes are left out."""
    accepted(tmp_path / "baselines", on_day(1, "a"), on_day(2, "b", salt="b"))
    numerics = msgspec.structs.replace(environment().numerics, isa="avx2")
    run = on_day(3, "other", path=tmp_path / "results")
    write(replaced(run, environment=environment(numerics=numerics)))
    places = {"baselines": tmp_path / "baselines", "results": tmp_path / "results"}
    found, warnings = find_history("depth:3-act:relu", ACCURACY, **places, environment_class=CLASS)
    assert [point.acceptance for point in found.points] == [1, 2]
    assert warnings == []
    newest, warnings = find_history("depth:3-act:relu", ACCURACY, **places)
    assert newest.environment_class != CLASS
    assert warnings == [f"not shown: {CLASS}; --class chooses"]
