"""Tests of stored baselines: written so that a diff reads well, read strictly."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.results.environment import Numerics
from bench.results.files import write_atomically
from bench.results.record import VALUES, Replica, Tensors
from bench.results.run import StoredRun
from bench.verdict.baselines.acceptance import accept, check, migrate
from bench.verdict.baselines.folder import (
    CLASS,
    Baseline,
    BaselineCell,
    Sample,
    baseline_from_run,
    read_baseline,
    read_classes,
    write_baseline,
)
from bench.verdict.metrics import BY_NAME
from support.builders import CLASS as CLASS_NAME
from support.builders import crashed, depth_cells, environment, healthy, replaced, trained


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
    assert len(differing) == 2, "the seed and the cell's checksum"


def test_a_quick_tier_is_small(tmp_path: Path) -> None:
    """150 cells of three seeds stay under 2 MB; measured from six."""
    _written(tmp_path)
    size = (tmp_path / CLASS_NAME / "depth.json").stat().st_size
    assert size / len(depth_cells()) * 150 < 2e6 / 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"schema": 3',
            '"schema": 4',
            "has schema 4, and this version of bench reads schemas 1, 2 and 3",
        ),
        ('"schema": 3,', "", "has schema None"),
        ('"schema": 3', '"schema": 1', "has schema 1, and class.json beside it schema 3"),
        ('"acceptance": 0', '"acceptance": 1', "is of acceptance 1, and class.json has 0"),
        ('"images": "741c', '"images": "f00d', "was trained on images f00d"),
        ('"grid": "depth"', '"grid": "depth", "spare": 1', "unknown field `spare`"),
        ('"outcome":"trained"', '"outcome":"trained","mood":1', "unknown field `mood`"),
        ('"outcome":"trained"', '"outcome":"crashed"', "Invalid enum value 'crashed'"),
        ('"test_accuracy":', '"tset_accuracy":', "metric tset_accuracy is unknown"),
        ('"kernel_ratio_start":0.9', '"kernel_ratio_start":NaN', "not a baseline of schema 3"),
        ('"kernel_ratio_start":0.9', '"kernel_ratio_start":1e999', "not a baseline of schema 3"),
        ('"seed":1', '"seed":0', "has a seed twice"),
        ('"activation":"relu"', '"activation":"relu9"', "act:relu9 is unknown"),
        ('"grid": "depth"', '"grid": "width"', "is the file of grid width"),
        ("\n ]\n}", "", "not a baseline of schema 3"),
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


def test_classes_of_the_same_device_follow_by_their_differences(tmp_path: Path) -> None:
    """The own one first; another instruction set is nearer than that and two threads; a GPU is not near
    at all."""
    own = environment().numerics
    change = msgspec.structs.replace
    near = change(own, isa="avx2")
    far = change(own, isa="avx2", threads=2)
    gpu = change(own, device="gpu", isa="sm90", onednn=False)
    for numerics in (far, gpu):
        _written(tmp_path, of=environment(numerics=numerics))

    def classes(wanted: Numerics, root: Path = tmp_path) -> list[str]:
        found, names = read_classes(root, wanted), []
        while found is not None:
            names.append(found.environment_class)
            found = found.fallback
        return names

    assert classes(own) == [far.environment_class]
    for numerics in (near, own):
        _written(tmp_path, of=environment(numerics=numerics))
    assert classes(own) == [each.environment_class for each in (own, near, far)]
    assert classes(own, tmp_path / "none") == []
    assert classes(change(own, device="tpu")) == []


def test_a_run_stands_in_for_a_baseline_with_its_crashes(tmp_path: Path) -> None:
    """A crashed replica is a sample without values, for a comparison of outcomes; it is not stored."""
    run = healthy()
    first = run.plan.items[0]
    records = {
        key: crashed(key.cell, key.seed) if key.cell == first.cell or key.seed == 2 else record
        for key, record in run.records.items()
    }
    baseline = baseline_from_run(replaced(run, records=records))
    assert baseline.name == f"run {run.path.name}"
    cells = baseline.grids["depth"].values()
    assert [[s.outcome == "crashed" for s in cell.samples] for cell in cells] == [
        [True] * 3,
        *[[False, False, True]] * 5,
    ]
    (dead, *_) = (sample for cell in cells for sample in cell.samples)
    assert (dead.digest, dead.metrics, dead.trajectory) == ("", {}, b"")
    with pytest.raises(BenchError, match="a crash is no result to store"):
        write_baseline(tmp_path, baseline)
    with pytest.raises(ValueError, match="a crash has neither"):
        msgspec.structs.replace(dead, digest="x")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_sample_in_memory_is_finite(value: float) -> None:
    """Written out it would turn into null, which means: not defined."""
    sample = baseline_from_run(healthy()).grids["depth"].popitem()[1].samples[0]
    metrics = {**sample.metrics, "test_accuracy": value}
    with pytest.raises(ValueError, match="test_accuracy is not finite"):
        Sample(seed=0, outcome="trained", digest="x", metrics=metrics)


@pytest.mark.parametrize("name", [name for name, one in BY_NAME.items() if one.scale == "log"])
def test_a_metric_that_is_compared_by_logarithms_is_not_zero(name: str) -> None:
    """A run has no value in its place; a baseline that has one was not made by bench."""
    with pytest.raises(ValueError, match=f"{name} is 0, which has no logarithm"):
        Sample(seed=0, outcome="trained", digest="x", metrics={"test_accuracy": 0.0, name: 0.0})


# Traces and history


def _accepted(root: Path, *runs: StoredRun) -> Baseline:
    """All runs, accepted one after the other."""
    baseline = read_baseline(root, CLASS_NAME)
    for run in runs:
        baseline = accept(root, run, baseline, run.plan.items, reason="x", date=DAY)
    assert baseline is not None
    return baseline


DAY = datetime.date(2026, 11, 21)
FIRST = "depth:3-act:relu-init:he_normal-steps:200"


def _fingerprints() -> Tensors:
    return Tensors(
        names=["forward", "backward"], steps=[0], hashes=bytes(range(8)), values=bytes(8 * VALUES)
    )


def test_trajectories_and_fingerprints_are_kept_beside_the_grid(tmp_path: Path) -> None:
    """They come back with their samples, and the grid's own file holds none of them."""
    run = healthy()
    records = {
        key: msgspec.structs.replace(record, tensors=_fingerprints() if key.seed == 0 else None)
        for key, record in run.records.items()
    }
    written = _accepted(tmp_path, replaced(run, records=records))
    assert read_baseline(tmp_path, CLASS_NAME) == written
    samples = written.grids["depth"][FIRST].samples
    assert [len(sample.trajectory) for sample in samples] == [80, 80, 80]
    assert [sample.tensors for sample in samples] == [_fingerprints(), None, None]
    folder = tmp_path / CLASS_NAME
    assert "trajectory" not in (folder / "depth.json").read_text()
    ids = [line["id"] for line in map(json.loads, _lines(folder / "depth.traces.jsonl")[1:])]
    stored = [cell["id"] for cell in json.loads((folder / "depth.json").read_text())["cells"]]
    assert ids == [id_ for id_ in stored for _ in range(3)]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


TRACES, HISTORY = "depth.traces.jsonl", "depth.history.jsonl"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (TRACES, '"schema":3', '"schema":4', "has schema 4, and this version of bench reads"),
        (TRACES, '{"schema":3,"grid":"depth"}\n', "", "has schema None"),
        (TRACES, '"grid":"depth"', '"grid":"width"', "is the file of grid width"),
        (TRACES, '"seed":1', '"seed":1,"mood":2', "line 3: not of a baseline of schema 3"),
        (TRACES, '"trajectory":"', '"trajectory":"AAAA', "line 2: not of a baseline"),
        (TRACES, '"seed":1', '"seed":0', "line 3: is the second one of depth:3-"),
        (TRACES, '"seed":1', '"seed":8', "line 3: is of depth:3-"),
        (TRACES, '"digest":"', '"digest":"0', "line 2: belongs to another result of depth:3-"),
        (TRACES, '{"id":"' + FIRST + '","seed":2', "\n", "line 4: not of a baseline"),
        (HISTORY, '"schema":3', '"schema":4', "has schema 4, and this version of bench reads"),
        (HISTORY, '"acceptance":1', '"acceptance":9', "line 2: depth:3-"),
        (HISTORY, '"acceptance":1', '"acceptance":0', "line 2: depth:3-"),
        (HISTORY, '"outcome":"trained"', '"outcome":"crashed"', "line 2: not of a baseline"),
        (HISTORY, '"grid":"depth"', '"grid":"width"', "is the file of grid width"),
        ("class.json", '"schema": 3', '"schema": 4', "has schema 4, and this version of bench"),
        ("class.json", '"superseded": 6', '"superseded": 5', "acceptance 2"),
        ("class.json", '"reason": "x"', '"reason": "y"', "acceptance 1"),
        ("class.json", '"depth"\n', "", "class.json does not name this grid"),
        ("class.json", '"depth"\n', '"depth", "width"\n', "width.json: is absent"),
        ("depth.json", '"acceptance": 2', '"acceptance": 3', "is of acceptance 3"),
        ("depth.json", '"acceptance": 2', '"acceptance": 0', "is of acceptance 0"),
    ],
)
def test_files_that_do_not_belong_together_are_errors(
    tmp_path: Path, name: str, old: str, new: str, message: str
) -> None:
    """Other schemas, unknown fields, lines of other cells or results: named, with a way out."""
    _accepted(tmp_path, healthy(), healthy())
    path = tmp_path / CLASS_NAME / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BenchError, match=re.escape(message)) as error:
        read_baseline(tmp_path, CLASS_NAME)
    assert str(path.parent) in error.value.message
    assert error.value.hint
    if "schema 4" in message:
        assert error.value.hint == "use the version of bench that wrote it, 0.1.0, or a later one"


@pytest.mark.parametrize("name", [TRACES, HISTORY])
@pytest.mark.parametrize("garbage", [b"", b"\n", b"\x00\xff\xfe", b"{", b"null\n", b"[]\n", b"3\n"])
def test_garbage_is_an_error_that_names_the_file(tmp_path: Path, name: str, garbage: bytes) -> None:
    """No garbage is taken for a file without lines."""
    _accepted(tmp_path, healthy(), healthy())
    path = tmp_path / CLASS_NAME / name
    path.write_bytes(garbage)
    with pytest.raises(BenchError, match=re.escape(str(path))) as error:
        read_baseline(tmp_path, CLASS_NAME)
    assert error.value.hint


@pytest.mark.parametrize("name", ["class.json", "depth.json", TRACES, HISTORY])
def test_every_half_of_a_file_is_an_error(tmp_path: Path, name: str) -> None:
    """Cut off anywhere, between lines too, a file is not read as less than it was."""
    _accepted(tmp_path, healthy(), healthy())
    path = tmp_path / CLASS_NAME / name
    content = path.read_bytes()
    line_ends = [n + 1 for n, byte in enumerate(content[:-1]) if byte == 10]
    for size in {0, 1, len(content) // 3, len(content) // 2, len(content) - 2, *line_ends[:40]}:
        path.write_bytes(content[:size])
        with pytest.raises(BenchError):
            read_baseline(tmp_path, CLASS_NAME)
    path.write_bytes(content)
    assert read_baseline(tmp_path, CLASS_NAME) is not None


@pytest.mark.parametrize("name", ["class.json", "depth.json", TRACES, HISTORY])
def test_an_absent_file_is_an_error(tmp_path: Path, name: str) -> None:
    """Whichever of the four it is."""
    _accepted(tmp_path, healthy(), healthy())
    (tmp_path / CLASS_NAME / name).unlink()
    with pytest.raises(BenchError, match=re.escape(str(tmp_path / CLASS_NAME))):
        read_baseline(tmp_path, CLASS_NAME)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def _second(name: str) -> StoredRun:
    """What is accepted second: other results, the same ones, or those of other images."""
    if name == "same results":
        return healthy()
    run = healthy()
    records = {k: msgspec.structs.replace(r, digest=f"new{k.seed}") for k, r in run.records.items()}
    if name == "other images":
        run = replaced(run, environment=environment(data={"fingerprint": "f00d"}))
    if name == "another grid":
        items = [msgspec.structs.replace(item, grid="width") for item in run.plan.items]
        run = replaced(run, plan=msgspec.structs.replace(run.plan, items=items))
    return replaced(run, records=records)


@pytest.mark.parametrize("name", ["other results", "same results", "other images", "another grid"])
@pytest.mark.parametrize("first", [False, True], ids=["second", "first"])
def test_a_kill_between_two_writes_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, first: bool
) -> None:
    """After each write, and each removal, the class is as before, as after, or an error."""
    run = _second(name)
    writes = 0
    for survived in range(20):
        root = tmp_path / str(survived)
        old = None if first else _accepted(root, healthy(), _second("other results"))
        left = [survived]

        def step(real: Callable[..., None], left: list[int] = left) -> Callable[..., None]:
            def wrapped(*arguments: Any, **named: Any) -> None:
                if not left[0]:
                    raise Killed
                left[0] -= 1
                real(*arguments, **named)

            return wrapped

        with monkeypatch.context() as patch:
            patch.setattr("bench.verdict.baselines.folder.write_atomically", step(write_atomically))
            patch.setattr(Path, "unlink", step(Path.unlink))
            try:
                new = accept(root, run, old, run.plan.items, reason="x", date=DAY, force=True)
            except Killed:
                writes += 1
                new = None
        try:
            found = read_baseline(root, CLASS_NAME)
        except BenchError as error:
            assert new is None
            assert error.hint
            continue
        assert found == (old if new is None else new)
        if new is not None:
            break
    assert writes >= (2 if first else 3)


def test_schema_1_is_read_without_traces_and_of_the_last_acceptance(tmp_path: Path) -> None:
    """The stored files of earlier versions stay readable, and are written anew as schema 2."""
    _as_schema_1(tmp_path, _accepted(tmp_path, healthy(), healthy()))
    read = read_baseline(tmp_path, CLASS_NAME)
    assert read is not None
    for cell in read.grids["depth"].values():
        assert (cell.acceptance, cell.recipe) == (2, 1)
        assert not any(sample.traced for sample in cell.samples)
    write_baseline(tmp_path, read)
    assert read_baseline(tmp_path, CLASS_NAME) == msgspec.structs.replace(read, checked=True)
    after = _accepted(tmp_path, healthy())
    assert [taken.superseded for taken in after.acceptances] == [0, 0, 6]
    assert {cell.acceptance for cell in after.history["depth"]} == {2}


def test_traces_beside_schema_1_are_an_error(tmp_path: Path) -> None:
    """They are what the first acceptance under schema 2 leaves if it is killed."""
    _as_schema_1(tmp_path, _accepted(tmp_path, healthy()))
    (tmp_path / CLASS_NAME / TRACES).write_text('{"schema":3,"grid":"depth"}\n')
    with pytest.raises(BenchError, match="does not belong to a baseline of schema 1"):
        read_baseline(tmp_path, CLASS_NAME)


@pytest.mark.parametrize("name", ["class.json", "depth.json", TRACES, HISTORY])
@pytest.mark.slow
def test_an_altered_character_is_seen(tmp_path: Path, name: str) -> None:
    """Whichever digit or letter it is, of a number, a digest, an id or a trace: two hundred of each
    file, spread over it; and no checksum can be left out."""
    _accepted(tmp_path, healthy(), healthy())
    path = tmp_path / CLASS_NAME / name
    sound = path.read_bytes()
    # Some bits of the last character of base64 mean nothing.
    places = [n for n, byte in enumerate(sound[:-1]) if chr(byte).isalnum() and sound[n + 1] != 61]
    for place in places[:: len(places) // 200 + 1]:
        other = b"7" if sound[place : place + 1] != b"7" else b"4"
        path.write_bytes(sound[:place] + other + sound[place + 1 :])
        with pytest.raises(BenchError) as caught:
            read_baseline(tmp_path, CLASS_NAME)
        assert caught.value.hint
    if name != "class.json":
        path.write_bytes(re.sub(rb',\s*"sum":\s*"[0-9a-f]{16}"', b"", sound, count=1))
        with pytest.raises(BenchError, match="its checksum is another one, or removed"):
            read_baseline(tmp_path, CLASS_NAME)
    path.write_bytes(sound)
    assert read_baseline(tmp_path, CLASS_NAME) is not None


def test_a_baseline_without_checksums_is_read_and_migrated(tmp_path: Path) -> None:
    """As an older version wrote it: nothing is lost, ``check`` says so, and ``migrate`` adds them."""
    _accepted(tmp_path, healthy(), healthy())
    folder = tmp_path / CLASS_NAME
    texts = {path.name: path.read_bytes() for path in folder.iterdir()}
    before = read_baseline(tmp_path, CLASS_NAME)
    assert before is not None
    assert before.checked
    for path in folder.iterdir():
        path.write_bytes(re.sub(rb',\s*"sum":\s*"[0-9a-f]{16}"', b"", path.read_bytes()))
    old = read_baseline(tmp_path, CLASS_NAME)
    assert old == msgspec.structs.replace(before, checked=False)
    assert "has no checksums" in check(tmp_path)[0]
    assert migrate(tmp_path) == {CLASS_NAME: True}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == texts
    assert migrate(tmp_path) == {CLASS_NAME: False}
    assert check(tmp_path) == []


def _as_schema_1(root: Path, baseline: Baseline) -> None:
    """Turns the files into those of schema 1."""
    folder = root / CLASS_NAME
    for name in (TRACES, HISTORY):
        (folder / name).unlink(missing_ok=True)
    grid = json.loads((folder / "depth.json").read_text())
    del grid["images"]
    for cell in grid["cells"]:
        del cell["acceptance"], cell["recipe"], cell["sum"]
    head = json.loads((folder / "class.json").read_text())
    del head["grids"], head["sum"]
    for taken in head["acceptances"]:
        del taken["chain"], taken["superseded"], taken["measured"]
    for name, content in (("depth.json", grid), ("class.json", head)):
        (folder / name).write_text(json.dumps({**content, "schema": 1}))


def test_removed_and_reordered_acceptances_are_errors(tmp_path: Path) -> None:
    """Each of three taken out, two of them swapped, and one added out of nowhere."""
    for number in (1, 2, 3):
        run = healthy(path=Path(f"results/{number}"))
        _accepted(tmp_path, run)
    path = tmp_path / CLASS_NAME / "class.json"
    sound = path.read_text()
    taken = json.loads(sound)["acceptances"]
    broken = [taken[1:], [taken[0], taken[2]], taken[:2]]
    broken += [[taken[1], taken[0], taken[2]], [taken[0], taken[2], taken[1]], [*taken, taken[2]]]
    for acceptances in broken:
        path.write_text(json.dumps({**json.loads(sound), "acceptances": acceptances}))
        with pytest.raises(BenchError, match=r"acceptance|history"):
            read_baseline(tmp_path, CLASS_NAME)
    path.write_text(sound)
    assert read_baseline(tmp_path, CLASS_NAME) is not None


def test_cells_of_another_branch_s_acceptance_are_an_error(tmp_path: Path) -> None:
    """Two branches accept cells of their own, and who merges keeps one acceptance of the two."""
    run = healthy()
    base = accept(tmp_path, run, None, run.plan.items[:2], reason="base", date=DAY)
    accept(tmp_path, run, base, run.plan.items[4:], reason="theirs", date=DAY)
    theirs = (tmp_path / CLASS_NAME / "class.json").read_text()
    write_baseline(tmp_path, base)
    accept(tmp_path, run, base, run.plan.items[2:], reason="both", date=DAY)
    (tmp_path / CLASS_NAME / "class.json").write_text(theirs)
    with pytest.raises(BenchError, match="4 cells are of acceptance 2, which took 2"):
        read_baseline(tmp_path, CLASS_NAME)


# Two baselines for one class


def test_two_folders_of_one_class_are_an_error_everywhere(tmp_path: Path) -> None:
    """Read, nearest and check name both folders and the way out; another class is not concerned."""
    own = environment().numerics
    _written(tmp_path)
    other = msgspec.structs.replace(own, isa="avx2")
    _written(tmp_path, of=environment(numerics=other))
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / CLASS_NAME, copy)
    both = re.escape(f"{tmp_path / CLASS_NAME} and {copy}: two baselines for one class")
    for read in (
        lambda: read_baseline(tmp_path, CLASS_NAME),
        lambda: read_baseline(tmp_path, "copy"),
        lambda: read_classes(tmp_path, other),
    ):
        with pytest.raises(BenchError, match=both) as error:
            read()
        assert "remove the other" in error.value.hint
    assert any(re.search(both, problem) for problem in check(tmp_path))
    assert read_baseline(tmp_path, other.environment_class) is not None


def test_a_class_under_another_name_is_not_taken_for_none(tmp_path: Path) -> None:
    """A misnamed folder would make every cell new, and nothing would ever regress."""
    _written(tmp_path)
    (tmp_path / CLASS_NAME).rename(tmp_path / "old")
    for read in (
        lambda: read_baseline(tmp_path, CLASS_NAME),
        lambda: read_classes(tmp_path, msgspec.structs.replace(environment().numerics, isa="a")),
    ):
        with pytest.raises(
            BenchError, match=f"describes class {CLASS_NAME}, and its folder is old"
        ):
            read()


# Properties

_SHARES = dict.fromkeys(("test_accuracy", "dead_share_end"), st.floats(0, 1))
_POSITIVE = st.floats(0, exclude_min=True, allow_infinity=False)
_metrics = st.fixed_dictionaries(
    {}, optional={name: st.none() | _SHARES.get(name, _POSITIVE) for name in BY_NAME}
)
_samples = st.builds(
    Sample,
    seed=st.integers(0, 2**31),
    outcome=st.sampled_from(["trained", "diverged"]),
    digest=st.text("0123456789abcdef", min_size=1),
    metrics=_metrics,
    trajectory=st.binary(max_size=4).map(lambda part: part * 4),
    tensors=st.none() | st.builds(_fingerprints),
)
_cells = st.sampled_from(depth_cells())
_lists = st.lists(_samples, max_size=3, unique_by=lambda sample: sample.seed)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.sampled_from(["depth", "width.2", "a_b"]), _cells, _lists), max_size=8)
)
@pytest.mark.slow
def test_any_baseline_is_read_as_it_was_written(
    tmp_path: Path, parts: list[tuple[str, Cell, list[Sample]]]
) -> None:
    """Whatever the metrics, seeds, bytes and number of cells."""
    grids: dict[str, dict[str, BaselineCell]] = {}
    for grid, cell, samples in parts:
        ordered = sorted(samples, key=lambda sample: sample.seed)
        stored = BaselineCell(id=cell.id(), cell=cell, samples=ordered, recipe=len(samples))
        grids.setdefault(grid, {})[cell.id()] = stored
    start = baseline_from_run(healthy())
    name = f"baseline {start.environment_class}"
    written = msgspec.structs.replace(start, grids=grids, name=name, software={}, machine={})
    write_baseline(tmp_path, written)
    assert read_baseline(tmp_path, CLASS_NAME) == written


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 5), min_size=1),
            st.sampled_from(["a", "b", "c"]),
            st.sets(st.integers(0, 4), min_size=1),
        ),
        min_size=1,
        max_size=5,
    )
)
@pytest.mark.slow
def test_any_acceptances_are_kept(parts: list[tuple[set[int], str, set[int]]]) -> None:
    """After each of several acceptances of any cells and seeds, what is read is what was stored, and
    every sample that was ever accepted is there under its acceptance."""
    taken: dict[tuple[int, str], dict[int, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, (chosen, salt, seeds) in enumerate(parts, start=1):
            run = healthy()
            plan = msgspec.structs.replace(run.plan, seeds=sorted(seeds, reverse=True))
            records = {
                Replica(item.cell, seed): trained(item.cell, seed, salt=salt)
                for item in plan.items
                for seed in seeds
            }
            run = replaced(run, plan=plan, records=records)
            items = [plan.items[n] for n in sorted(chosen)]
            old = read_baseline(root, CLASS_NAME)
            new = accept(root, run, old, items, reason="x", date=DAY, force=True)
            assert read_baseline(root, CLASS_NAME) == new
            for item in items:
                taken[number, item.id] = {s: records[Replica(item.cell, s)].digest for s in seeds}
    kept = [*new.grids["depth"].values(), *new.history.get("depth", ())]
    assert {(cell.acceptance, cell.id): cell.digests for cell in kept} == taken
    assert len(new.acceptances) == len(parts)
