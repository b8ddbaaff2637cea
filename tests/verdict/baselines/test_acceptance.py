"""Tests of accepting a run as a baseline, of previewing that, and of checking what is stored."""

from __future__ import annotations

import datetime
import itertools
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.errors import BenchError
from bench.results.plan import Item
from bench.results.record import Replica
from bench.results.run import StoredRun
from bench.verdict.baselines.acceptance import accept, check, gains, notes, preview
from bench.verdict.baselines.folder import (
    Baseline,
    baseline_from_run,
    read_baseline,
    write_baseline,
)
from support.builders import CLASS, crashed, diverged, environment, healthy, replaced, trained

DAY = datetime.date(2026, 11, 21)


def _accept(root: Path, run: StoredRun, old: Baseline | None = None, **changes: Any) -> Baseline:
    arguments: dict[str, Any] = {"items": run.plan.items, "reason": "first", "date": DAY}
    arguments |= changes
    return accept(root, run, old, arguments.pop("items"), **arguments)


def _with(run: StoredRun, item: Item, **changes: Any) -> StoredRun:
    """The run with other records of one item."""
    records = dict(run.records)
    for seed in run.plan.seeds:
        records[Replica(item.cell, seed)] = trained(item.cell, seed, **changes)
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
    key = Replica(run.plan.items[2].cell, 1)
    records = {k: r for k, r in run.records.items() if k != key or make is None}
    if make is not None and (record := make(key.cell, key.seed)) is not None:
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
    records = {key: crashed(key.cell, key.seed) for key in run.records}
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
    baseline = baseline_from_run(healthy())
    cells = dict(baseline.grids["depth"])
    name = next(iter(cells))
    cells[name] = msgspec.structs.replace(cells[name], samples=[])
    write_baseline(tmp_path, msgspec.structs.replace(baseline, grids={"depth": cells}))
    (problem,) = check(tmp_path)
    assert f"{name} has no samples" in problem


# Merging and the history


def _other(salt: str, **changes: Any) -> StoredRun:
    """The healthy run with other bits everywhere."""
    run = healthy(path=Path(f"results/{salt}"))
    records = {key: trained(key.cell, key.seed, salt=salt, **changes) for key in run.records}
    return replaced(run, records=records)


def _texts(root: Path) -> dict[str, list[bytes]]:
    return {path.name: path.read_bytes().split(b"\n") for path in (root / CLASS).iterdir()}


def test_merging_touches_only_the_lines_of_the_named_cells(tmp_path: Path) -> None:
    """Byte for byte: in the grid the cell's acceptance, seeds and checksum, in the traces its lines."""
    old = _accept(tmp_path, healthy())
    before = _texts(tmp_path)
    run = _other("second")
    chosen = run.plan.items[3]
    _accept(tmp_path, run, old, items=[chosen], reason="second")
    after = _texts(tmp_path)
    for name, expected in (("depth.json", 5), ("depth.traces.jsonl", 3)):
        pairs = list(zip(before[name], after[name], strict=True))
        changed = [new for old_line, new in pairs if old_line != new]
        assert len(changed) == expected
        assert sum(f'"seed":{n}'.encode() in line for line in changed for n in range(3)) == 3
    start = next(n for n, line in enumerate(before["depth.json"]) if chosen.id.encode() in line)
    where = [n for n, line in enumerate(before["depth.json"]) if line != after["depth.json"][n]]
    assert where == [start + 1, *range(start + 4, start + 7), start + 8]
    assert "depth.history.jsonl" not in before
    assert len(after["depth.history.jsonl"]) == 3  # the header, the cell, the end


def test_the_history_is_only_ever_added_to(tmp_path: Path) -> None:
    """Over four acceptances: each file's text begins with the one before, and nothing is lost."""
    baseline = None
    texts = [b""]
    chosen = slice(0, None), slice(0, 4), slice(2, 6), slice(0, 6)
    for salt, part in zip("abcd", chosen, strict=True):
        run = _other(salt)
        baseline = _accept(tmp_path, run, baseline, items=run.plan.items[part], reason=salt)
        path = tmp_path / CLASS / "depth.history.jsonl"
        texts.append(path.read_bytes() if path.exists() else b"")
    for earlier, later in itertools.pairwise(texts):
        assert later.startswith(earlier)
    assert baseline is not None
    assert [taken.superseded for taken in baseline.acceptances] == [0, 4, 4, 6]
    held = [(cell.acceptance, cell.id) for cell in baseline.history["depth"]]
    assert sorted(number for number, _ in held) == [1] * 6 + [2] * 4 + [3] * 4
    runs = {number: _other(salt) for number, salt in enumerate("abcd", start=1)}
    ids = {item.id: item.cell for item in runs[1].plan.items}
    for cell in baseline.history["depth"]:
        records = runs[cell.acceptance].of(ids[cell.id])
        assert cell.digests == {record.seed: record.digest for record in records}
        assert not any(sample.traced for sample in cell.samples)
        assert [s.metrics["test_accuracy"] for s in cell.samples] == [
            record.test_accuracy for record in records
        ]


def test_sources_are_the_acceptances_of_present_cells(tmp_path: Path) -> None:
    """An acceptance of which nothing is left does not make the class one of mixed versions."""
    first = _accept(tmp_path, healthy())
    second = _accept(tmp_path, _other("b"), first, items=healthy().plan.items[:2], reason="b")
    assert [taken.reason for taken in second.sources] == ["first", "b"]
    third = _accept(tmp_path, _other("c"), second, reason="c")
    assert [taken.reason for taken in third.sources] == ["c"]
    assert [taken.reason for taken in third.acceptances] == ["first", "b", "c"]


# Recipes, notes and traces


def test_another_recipe_is_refused_even_if_forced(tmp_path: Path) -> None:
    """Nothing that this version measures could be compared with it."""
    run = healthy()
    records = {k: msgspec.structs.replace(r, recipe=7) for k, r in run.records.items()}
    for force in (False, True):
        with pytest.raises(BenchError, match="was trained by recipe 7"):
            _accept(tmp_path, replaced(run, records=records), force=force)
    assert not (tmp_path / CLASS).exists()


def test_check_names_cells_of_another_recipe(tmp_path: Path) -> None:
    run = healthy()
    baseline = baseline_from_run(run)
    cells = dict(baseline.grids["depth"])
    item = run.plan.items[0]
    cells[item.id] = msgspec.structs.replace(cells[item.id], recipe=0)
    write_baseline(tmp_path, msgspec.structs.replace(baseline, grids={"depth": cells}))
    (problem,) = check(tmp_path, run.plan.items)
    assert f"{item.id} was trained by recipe 0" in problem


def test_a_run_of_two_recipes_counts_as_the_older() -> None:
    """Whoever stored it meanwhile by other means."""
    run = healthy()
    item = run.plan.items[0]
    records = dict(run.records)
    records[Replica(item.cell, 1)] = msgspec.structs.replace(
        records[Replica(item.cell, 1)], recipe=0
    )
    stored = baseline_from_run(replaced(run, records=records)).grids["depth"][item.id]
    assert stored.recipe == 0


def test_notes_say_nothing_where_there_is_nothing_to_say(tmp_path: Path) -> None:
    """No baseline; the same cells, seeds and versions."""
    run = healthy()
    assert notes(None, run, run.plan.items) == []
    assert notes(_accept(tmp_path, run), _other("b"), run.plan.items) == []


def test_notes_name_what_other_images_remove(tmp_path: Path) -> None:
    """Forced, a run of other images starts the class anew."""
    run = healthy(of=environment(data={"fingerprint": "f00"}))
    (note,) = notes(_accept(tmp_path, healthy()), run, run.plan.items)
    assert "without its 6 cells and 1 acceptance" in note


def test_gains_counts_equal_cells_without_traces(tmp_path: Path) -> None:
    """Cells whose results differ are no gain but a change; nor are those that have traces."""
    run = healthy()
    bare = {k: msgspec.structs.replace(r, trajectory=b"") for k, r in run.records.items()}
    stored = _accept(tmp_path, replaced(run, records=bare))
    assert gains(stored, run, run.plan.items) == 6
    assert gains(stored, _other("b"), run.plan.items) == 0
    assert gains(baseline_from_run(run), run, run.plan.items) == 0
    assert gains(None, run, run.plan.items) == 0
