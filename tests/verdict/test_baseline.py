"""Tests of stored baselines: written so that a diff reads well, read strictly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.errors import BenchError
from bench.verdict.baseline import (
    CLASS,
    Baseline,
    Sample,
    baseline_from_run,
    nearest_class,
    read_baseline,
    write_baseline,
)
from builders import CLASS as CLASS_NAME
from builders import crashed, depth_cells, environment, healthy, replaced


def _written(root: Path, **changes: Any) -> Baseline:
    baseline = baseline_from_run(healthy(**changes))
    write_baseline(root, baseline)
    return baseline


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every seed's values and digests come back, and the class's numerics and data."""
    written = _written(tmp_path)
    read = read_baseline(tmp_path, CLASS_NAME)
    assert read is not None
    assert {g: dict(c) for g, c in read.grids.items()} == written.grids
    assert (read.numerics, read.data) == (written.numerics, written.data)


def test_nothing_stored_is_none(tmp_path: Path) -> None:
    """A class that nothing was accepted for has no baseline; a folder without its file is damaged."""
    assert read_baseline(tmp_path, CLASS_NAME) is None
    (tmp_path / CLASS_NAME).mkdir()
    with pytest.raises(BenchError, match=re.escape(CLASS)):
        read_baseline(tmp_path, CLASS_NAME)


def test_text_is_stable_and_one_line_per_seed(tmp_path: Path) -> None:
    """Cells in natural order of their ids whatever the order in memory; a changed seed is one line."""
    baseline = _written(tmp_path)
    path = tmp_path / CLASS_NAME / "depth.json"
    before = path.read_text()
    ids = re.findall(r'"id": "([^"]+)"', before)
    depths = [int(re.match(r"depth:(\d+)-", name).group(1)) for name in ids]  # type: ignore[union-attr]
    assert depths == sorted(depths)
    assert len(depths) == len(depth_cells())
    cells = baseline.grids["depth"]
    backwards = dict(reversed(list(cells.items())))
    write_baseline(tmp_path, msgspec.structs.replace(baseline, grids={"depth": backwards}))
    assert path.read_text() == before
    name = ids[0]
    cell = cells[name]
    other = msgspec.structs.replace(cell.samples[1], digest="other")
    samples = [cell.samples[0], other, cell.samples[2]]
    changed = {**cells, name: msgspec.structs.replace(cell, samples=samples)}
    write_baseline(tmp_path, msgspec.structs.replace(baseline, grids={"depth": changed}))
    after = path.read_text()
    differing = [a for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert len(differing) == 1


def test_a_quick_tier_is_small(tmp_path: Path) -> None:
    """150 cells of three seeds stay under 2 MB; measured from six."""
    _written(tmp_path)
    size = (tmp_path / CLASS_NAME / "depth.json").stat().st_size
    assert size / len(depth_cells()) * 150 < 2e6 / 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"schema": 1', '"schema": 2', "has schema 2, and this version of bench reads schema 1"),
        ('"schema": 1,', "", "has schema None"),
        ('"grid": "depth"', '"grid": "depth", "spare": 1', "unknown field `spare`"),
        ('"outcome":"trained"', '"outcome":"trained","mood":1', "unknown field `mood`"),
        ('"outcome":"trained"', '"outcome":"crashed"', "Invalid enum value 'crashed'"),
        ('"test_accuracy":', '"tset_accuracy":', "metric tset_accuracy is unknown"),
        ('"kernel_ratio_start":0.9', '"kernel_ratio_start":NaN', "not a baseline of schema 1"),
        ('"kernel_ratio_start":0.9', '"kernel_ratio_start":1e999', "not a baseline of schema 1"),
        ('"seed":1', '"seed":0', "has a seed twice"),
        ('"activation":"relu"', '"activation":"relu9"', "act:relu9 is unknown"),
        ('"grid": "depth"', '"grid": "width"', "is the file of grid width"),
        ("\n ]\n}", "", "not a baseline of schema 1"),
    ],
)
def test_a_damaged_grid_names_its_file_and_a_way_out(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    """Wrong schema, unknown fields, NaN, infinity, repeated seeds, unknown cells: an error each."""
    _written(tmp_path)
    path = tmp_path / CLASS_NAME / "depth.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BenchError, match=re.escape(message)) as error:
        read_baseline(tmp_path, CLASS_NAME)
    assert str(path) in error.value.message
    assert error.value.hint


def test_an_empty_digest_and_a_repeated_cell_are_errors(tmp_path: Path) -> None:
    """Neither can be told from a mistake in merging."""
    baseline = _written(tmp_path)
    path = tmp_path / CLASS_NAME / "depth.json"
    text = path.read_text()
    path.write_text(re.sub(r'"digest":"\w+"', '"digest":""', text, count=1))
    with pytest.raises(BenchError, match="the digest is empty"):
        read_baseline(tmp_path, CLASS_NAME)
    ids = list(baseline.grids["depth"])
    path.write_text(text.replace(ids[0], ids[1]))
    with pytest.raises(BenchError, match=re.escape(f"holds {ids[1]} twice")):
        read_baseline(tmp_path, CLASS_NAME)


def test_a_renamed_folder_is_an_error(tmp_path: Path) -> None:
    """Numerics that are not those of the folder's name would compare bits of two classes."""
    _written(tmp_path)
    (tmp_path / CLASS_NAME).rename(tmp_path / "cpu-avx2-1thread")
    with pytest.raises(BenchError, match=f"describes class {CLASS_NAME}"):
        read_baseline(tmp_path, "cpu-avx2-1thread")


def test_a_place_that_takes_no_bytes_is_an_error(below_a_file: Path) -> None:
    """Root or not, nobody writes below a file."""
    with pytest.raises(BenchError, match="cannot be written"):
        write_baseline(below_a_file, baseline_from_run(healthy()))


def test_grid_names_that_are_no_file_names_are_refused(tmp_path: Path) -> None:
    """``class`` would overwrite the class's own file, a slash leave the folder."""
    baseline = baseline_from_run(healthy())
    for name in ("class", "../depth"):
        broken = msgspec.structs.replace(baseline, grids={name: baseline.grids["depth"]})
        with pytest.raises(BenchError, match="no name for a grid"):
            write_baseline(tmp_path, broken)


def test_nearest_class_is_of_the_same_device_and_the_fewest_differences(tmp_path: Path) -> None:
    """Another instruction set is nearer than that and two threads; a GPU is not near at all."""
    own = environment().numerics
    change = msgspec.structs.replace
    near = change(own, isa="avx2")
    far = change(own, isa="avx2", threads=2)
    gpu = change(own, device="gpu", isa="sm90", onednn=False)
    for numerics in (far, gpu):
        _written(tmp_path, of=environment(numerics=numerics))
    found = nearest_class(tmp_path, own)
    assert found is not None and found.environment_class == far.environment_class
    _written(tmp_path, of=environment(numerics=near))
    found = nearest_class(tmp_path, own)
    assert found is not None and found.environment_class == near.environment_class
    assert nearest_class(tmp_path / "none", own) is None
    assert nearest_class(tmp_path, change(own, device="tpu")) is None


def test_a_run_stands_in_for_a_baseline_without_its_crashes() -> None:
    """A crashed replica has no sample; a cell of which all crashed stays, with none."""
    run = healthy()
    first = run.plan.items[0]
    records = {
        key: crashed(*key) if key[0] == first.cell or key[1] == 2 else record
        for key, record in run.records.items()
    }
    baseline = baseline_from_run(replaced(run, records=records))
    assert baseline.name == f"run {run.path.name}"
    assert [len(cell.samples) for cell in baseline.grids["depth"].values()] == [0, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_sample_in_memory_is_finite(value: float) -> None:
    """Written out it would turn into null, which means: not defined."""
    sample = baseline_from_run(healthy()).grids["depth"].popitem()[1].samples[0]
    metrics = {**sample.metrics, "test_accuracy": value}
    with pytest.raises(ValueError, match="test_accuracy is not finite"):
        Sample(seed=0, outcome="trained", digest="x", metrics=metrics)
