"""Event files, read back: by a reader of the format written here, and by TensorBoard where it is."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.errors import BenchError
from bench.published.experiments import EXPERIMENTS
from bench.report.tensorboard import FILE, EventFiles
from bench.results.check import Check, CheckResult
from bench.results.flow import Flow
from bench.results.histogram import Histogram
from bench.results.plan import Item
from bench.results.record import RECORDS, Record
from bench.results.trial import Curve, Trial, TrialResult
from support import builders
from support.main_jobs import Job

CELL = Cell(depth=3, steps=20)
ITEM = Item(grid="depth", id="depth:3-act:relu", cell=CELL)


# --- The format: TFRecords (length, its CRC, data, their CRC) of Event messages


def crc32c(data: bytes) -> int:
    """Castagnoli's polynomial, bit by bit (RFC 3720, appendix B.4)."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def test_crc_of_this_file_is_castagnolis() -> None:
    """The vector that RFC 3720 gives for 32 zeros, and the catalogue's for nine digits."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"123456789") == 0xE3069283


def masked(data: bytes) -> int:
    """The CRC, rotated right by 15 bits, plus a constant: TFRecord's own twist."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(path: Path) -> Iterator[Any]:
    """All messages of an event file; every checksum is checked."""
    from tensorboardX.proto.event_pb2 import Event

    content = path.read_bytes()
    while content:
        length, length_crc = struct.unpack("<QI", content[:12])
        data, rest = content[12 : 12 + length], content[12 + length :]
        assert length_crc == masked(content[:8])
        assert struct.unpack("<I", rest[:4]) == (masked(data),)
        yield Event.FromString(data)
        content = rest[4:]


Scalars = dict[str, dict[int, float]]


def scalars(path: Path) -> Scalars:
    """By tag and step."""
    found: Scalars = {}
    for event in events(path):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                assert event.step not in found.setdefault(value.tag, {})
                found[value.tag][event.step] = value.simple_value
    return found


def histograms(path: Path) -> dict[tuple[str, int], Any]:
    """By tag and step."""
    return {
        (value.tag, event.step): value.histo
        for event in events(path)
        for value in event.summary.value
        if value.HasField("histo")
    }


def single(value: float) -> float:
    return float(np.float32(value))


# --- What is in them


def written(folder: Path, outcome: Record | TrialResult) -> Path:
    """The outcome's event file."""
    files = EventFiles(folder, [ITEM])
    files.add(outcome)
    return files.path(outcome)


TAKEN = Histogram(
    name="layer 1, kernel",
    gradient=False,
    step=10,
    edges=[-2.0, 0.5, 3.0],
    counts=[5, 7],
    total=4.5,
    squares=33.25,
)
EMPTY = Histogram(name="b", gradient=False, step=0, edges=[0, 0], counts=[0], total=0, squares=0)


def test_a_file_begins_as_tensorboard_expects(tmp_path: Path) -> None:
    """First the version of the format; then steps rise."""
    first, *others = events(written(tmp_path, builders.trained(CELL, 0)))
    assert (first.file_version, len(first.summary.value)) == ("brain.Event:2", 0)
    steps = [event.step for event in others]
    assert steps == list(range(21))
    assert {event.file_version for event in others} == {""}


def test_a_replica(tmp_path: Path) -> None:
    """Every number of the record, at its step, to four bytes; layers are steps, from 1."""
    start = msgspec.structs.replace(builders.flow(CELL, ratio=0.25), gradient_norm=3.7)
    end = msgspec.structs.replace(builders.flow(CELL, ratio=4.0, dead=0.125), clipped_norm=0.3)
    record = builders.trained(CELL, 1, start=start, end=end, test_accuracy=0.93)
    found = scalars(written(tmp_path, record))
    losses = builders.losses(record)
    assert found.pop("loss") == dict(enumerate(losses))
    assert found.pop("test accuracy") == {20: single(0.93)}
    assert found.pop("test loss") == {20: single(0.2)}
    assert found.pop("images per second") == {20: 100_000.0}
    assert found.pop("norm/all gradients") == {0: single(3.7), 20: 1.0}
    assert found.pop("clipped norm/all gradients") == {0: 1.0, 20: single(0.3)}
    # sides of the ratios: 1/4 = first over last, three layers, so 1/4, 1/2, 1; and 4, 2, 1
    assert found.pop("signal, mean square, by layer/start") == {1: 0.25, 2: 0.5, 3: 1.0}
    assert found.pop("signal, mean square, by layer/end") == {1: 4.0, 2: 2.0, 3: 1.0}
    assert found.pop("kernel gradient, variance, by layer/end") == {1: 4.0, 2: 2.0, 3: 1.0}
    assert found.pop("dead units, share, by layer/end") == {1: 0.125, 2: 0.125, 3: 0.125}
    rest = {tag.rpartition(",")[0] for tag in found}
    assert rest == {
        "kernel gradient, variance",
        "bias gradient, variance",
        "activation, mean",
        "activation, variance",
        "dead units, share",
    }


def test_every_list_of_flow_is_shown(tmp_path: Path) -> None:
    """A list that flow gets some day is not forgotten here."""
    lists = [
        name
        for name in Flow.__struct_fields__
        if isinstance(getattr(builders.flow(CELL), name), list)
    ]
    found = scalars(written(tmp_path, builders.trained(CELL, 0)))
    assert len([tag for tag in found if tag.endswith("by layer/start")]) == len(lists)


def test_a_replica_that_diverged(tmp_path: Path) -> None:
    """What is not finite is NaN; what was not measured is not there."""
    losses = np.array([2.5, 3e38, np.inf, np.nan], "<f4")
    start = msgspec.structs.replace(builders.flow(CELL), signal=[None, 1e300, 1e-300])
    record = builders.diverged(CELL, 0, trajectory=losses.tobytes(), start=start)
    found = scalars(written(tmp_path, record))
    assert [*found["loss"].values()][:3] == [2.5, single(3e38), math.inf]
    assert math.isnan(found["loss"][3])
    signal = found["signal, mean square, by layer/start"]
    assert math.isnan(signal[1])
    assert (signal[2], signal[3]) == (math.inf, 0.0)
    assert not [tag for tag in found if tag.startswith("test") or tag.endswith("/end")]
    assert set(found["norm/all gradients"]) == {0}


def test_histograms(tmp_path: Path) -> None:
    """TensorFlow's form: upper limits of bins, the smallest and largest entry; values and gradients
    apart, and none of a tensor without a finite entry."""
    gradient = msgspec.structs.replace(TAKEN, gradient=True, step=0)
    record = builders.trained(CELL, 0, histograms=[TAKEN, gradient, EMPTY])
    found = histograms(written(tmp_path, record))
    assert set(found) == {("values/layer 1, kernel", 10), ("gradients/layer 1, kernel", 0)}
    for histo in found.values():
        assert (histo.min, histo.max, histo.num) == (-2.0, 3.0, 12.0)
        assert (histo.sum, histo.sum_squares) == (4.5, 33.25)
        assert list(histo.bucket_limit) == [0.5, 3.0]
        assert list(histo.bucket) == [5.0, 7.0]


def trial(seed: int = 0) -> Trial:
    return EXPERIMENTS["P5"].trials("quick")[1 if seed == 0 else 1 + 3 * seed]


RESULT = TrialResult(
    trial=trial(),
    outcome="trained",
    curves={
        "loss": Curve([100, 200], [2.25, None]),
        "test accuracy": Curve([0, 1000], [0.125, 0.5]),
        "clipped norm w1": Curve([0], [0.75]),
        "dead share": Curve([], []),
    },
    numbers={"largest norm b2": 7.5, "clipped steps": 0.25, "variance w1": None},
    histograms=[msgspec.structs.replace(TAKEN, name="w1", gradient=True)],
)


def test_a_trial(tmp_path: Path) -> None:
    """Curves over their steps, numbers at the last step, what is said of variables by group."""
    path = written(tmp_path, RESULT)
    found = scalars(path)
    loss = found.pop("loss")
    assert loss[100] == 2.25
    assert math.isnan(loss[200])
    assert math.isnan(found.pop("variance/w1")[1000])
    assert found == {
        "test accuracy": {0: 0.125, 1000: 0.5},
        "clipped norm/w1": {0: 0.75},
        "largest norm/b2": {1000: 7.5},
        "clipped steps": {1000: 0.25},
    }
    assert set(histograms(path)) == {("gradients/w1", 10)}


@given(
    losses=st.lists(st.floats(width=32), max_size=200),
    values=st.lists(st.none() | st.floats(), min_size=3, max_size=3),
)
def test_any_numbers_come_back(losses: list[float], values: list[float | None]) -> None:
    """Bit by bit where four bytes hold them, else the nearest that they do."""
    import tempfile

    start = msgspec.structs.replace(builders.flow(CELL), signal=values)
    record = builders.trained(
        CELL, 0, trajectory=np.array(losses, "<f4").tobytes(), start=start, end=None
    )
    with tempfile.TemporaryDirectory() as folder:
        found = scalars(written(Path(folder), record))
    got = [value for _, value in sorted(found.get("loss", {}).items())]
    assert np.array_equal(got, losses, equal_nan=True)
    with np.errstate(all="ignore"):
        expected = np.array([math.nan if value is None else value for value in values], np.float32)
    shown = [*found["signal, mean square, by layer/start"].values()]
    assert np.array_equal(np.array(shown), expected.astype(float), equal_nan=True)


# --- Where they are


def test_folders(tmp_path: Path) -> None:
    """Below the first grid that has the cell; names that every system takes."""
    other = Item(grid="clipping", id="clip:none", cell=CELL)
    files = EventFiles(tmp_path, [ITEM, other])
    record = builders.trained(CELL, 7)
    assert files.path(record) == tmp_path / "depth" / "depth_3-act_relu" / "seed_7" / FILE
    variant = tmp_path / "P5" / "hidden_layer_zeros" / "keras" / "seed_0"
    assert files.path(RESULT) == variant / FILE


def test_no_two_share_a_file(tmp_path: Path) -> None:
    """All cells of the full tier, and all trials of all tiers that have the same steps."""
    items = [
        Item(grid=name, id=id_, cell=cell)
        for name, grid in UPGRADE_GRIDS.items()
        for id_, cell in grid.cells("full").items()
    ]
    files = EventFiles(tmp_path, items)
    cells = {item.cell for item in items}
    assert len(cells) > 1500
    paths = {files.path(builders.trained(cell, 0)) for cell in cells}
    assert len(paths) == len(cells)
    trials = [one for each in EXPERIMENTS.values() for one in each.trials("full")]
    assert len(trials) > 100
    tried = {files.path(TrialResult(trial=one, outcome="trained")) for one in trials}
    assert len(tried) == len(trials)
    parts = {part for path in paths | tried for part in path.relative_to(tmp_path).parts}
    assert [
        part for part in parts if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}", part)
    ] == []


def test_what_has_nothing_to_show_has_no_file(tmp_path: Path) -> None:
    """A crash, a copy, a check."""
    files = EventFiles(tmp_path, [ITEM])
    record = builders.trained(CELL, 0)
    files.add(builders.crashed(CELL, 0))
    files.add(builders.copied(record))
    files.add(CheckResult(check=Check(family="optimizer", subject="sgd")))
    assert list(tmp_path.iterdir()) == []


def test_stored_outcomes_are_added_once(tmp_path: Path) -> None:
    """A file that is there, histograms and all, is not replaced by less."""
    files = EventFiles(tmp_path, [ITEM])
    first, second = (builders.trained(CELL, seed) for seed in (0, 1))
    files.add(msgspec.structs.replace(first, histograms=[TAKEN]))
    before = files.path(first).read_bytes()
    files.add_stored([first, second, RESULT, builders.crashed(CELL, 2)])
    assert files.path(first).read_bytes() == before
    assert scalars(files.path(second))["loss"] == dict(enumerate(builders.losses(second)))
    assert histograms(files.path(RESULT))
    assert len(list(tmp_path.rglob(FILE))) == 3


# --- What may go wrong


def test_a_full_disk(tmp_path: Path) -> None:
    """The system takes no more bytes: the folder is named, the old file stays, no half one is left."""
    files = EventFiles(tmp_path, [ITEM])
    record = builders.trained(CELL, 0)
    files.add(record)
    path = files.path(record)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(BenchError, match=re.escape(f"{path.parent}: cannot be written")) as got:
            files.add(msgspec.structs.replace(record, histograms=[TAKEN]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "--tensorboard DIR" in got.value.hint
    assert "--resume" in got.value.hint
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a file: the old one stays, whole, and nothing else."""
    from tensorboardX import RecordWriter

    path = written(tmp_path, builders.trained(CELL, 0))
    before = path.read_bytes()
    write = RecordWriter.write
    count = iter(range(100))

    def interrupted(self: Any, data: bytes) -> None:
        if next(count) == 5:
            raise KeyboardInterrupt
        write(self, data)

    monkeypatch.setattr(RecordWriter, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path, builders.trained(CELL, 0))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to(below_a_file: Path) -> None:
    """Is said at the start, with its name."""
    with pytest.raises(BenchError, match=re.escape(f"{below_a_file}: cannot be written")):
        EventFiles(below_a_file, [ITEM])
    with pytest.raises(BenchError, match="Not a directory"):
        EventFiles(below_a_file.parent, [ITEM])


def test_without_tensorboardx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named, at the start."""
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(BenchError, match="--tensorboard needs tensorboardX: ModuleNotFound") as got:
        EventFiles(tmp_path / "new", [ITEM])
    assert got.value.hint == "pip install 'tensorflow-regression-bench[tensorboard]'"
    assert not (tmp_path / "new").exists()


# --- As users start it


#: Four cells, three seeds.
FEW = ("suites/test_clipping.py", "--axis", "depth=3", "-k", "clip:norm")


def lines(job: Job, run: str) -> list[bytes]:
    """Of the records, but for which worker trained them."""
    stored = (job.folder / "results" / run / RECORDS.file).read_bytes().splitlines()
    return sorted(re.sub(rb'"worker":"\w*"', b"", line) for line in stored)


def test_a_run_writes_them_and_stores_what_it_stored_without(job: Job) -> None:
    """One file for each replica, with histograms; the same records, byte by byte."""
    job.run(*FEW, "--run", "without")
    job.run(*FEW, "--run", "with", "--tensorboard", "tb")
    assert lines(job, "with") == lines(job, "without")
    assert len(list((job.folder / "tb").rglob("*tfevents*"))) == 12
    files = EventFiles(job.folder / "tb" / "with", job.plan("with").items)
    for record in job.records("with"):
        path = files.path(record)
        assert path.parts[-4] == "clipping"
        accuracy = {record.cell.steps: single(record.test_accuracy or 0)}
        assert scalars(path)["test accuracy"] == accuracy
        assert set(histograms(path)) == {("values/w1", 7), ("gradients/w1", 7)}


def test_a_folder_that_fails_in_the_middle_and_resume(job: Job) -> None:
    """Exit 2 and the folder's name; what was measured is kept, and --resume adds all files."""
    blocked = job.folder / "tb" / "r" / "clipping"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    arguments = [*FEW, "--run", "r", "--tensorboard", "tb"]
    output = job.run(*arguments, expect=2)
    assert re.search(rf"bench: error: {re.escape(str(blocked))}\S*: cannot be written", output)
    assert "Traceback" not in output
    kept = lines(job, "r")
    assert 1 <= len(kept) <= 12
    blocked.unlink()
    job.run(*arguments, "--resume")
    assert len(lines(job, "r")) == 12
    assert set(kept) <= set(lines(job, "r"))
    found = [path for path in blocked.rglob(FILE) if "loss" in scalars(path)]
    assert len(found) == 12
    assert len([path for path in found if histograms(path)]) == 12 - len(kept)


def test_help_names_the_extra(job: Job) -> None:
    output = re.sub(r"\s+", " ", job.run("--help"))
    assert "--tensorboard=DIR" in output
    assert "needs the extra 'tensorboard'" in output


# --- TensorBoard itself: TensorFlow up to 2.20 installs it

_READ = """
import json, sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")  # reads without TensorFlow
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
read = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0, "tensors": 0})
read.Reload()
tags = read.Tags()
json.dump({
    "scalars": {tag: [[e.step, e.value] for e in read.Scalars(tag)] for tag in tags["scalars"]},
    "histograms": {
        tag: [
            [e.step, v.min, v.max, v.num, v.sum, v.sum_squares, list(v.bucket_limit), list(v.bucket)]
            for e in read.Histograms(tag)
            for v in [e.histogram_value]
        ]
        for tag in tags["histograms"]
    },
}, sys.stdout)
"""


@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="this TensorFlow has no TensorBoard"
)
def test_tensorboard_reads_the_same(tmp_path: Path) -> None:
    """Its accumulator has every scalar and histogram that was written."""
    gradient = msgspec.structs.replace(TAKEN, gradient=True)
    constant = msgspec.structs.replace(TAKEN, name="b", edges=[2, 2], counts=[12])
    record = builders.trained(CELL, 0, histograms=[TAKEN, gradient, constant])
    path = written(tmp_path, record)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _READ, str(path.parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    read = json.loads(done.stdout)
    expected = {tag: [[*point] for point in found.items()] for tag, found in scalars(path).items()}
    assert read["scalars"] == expected
    assert read["histograms"] == {
        tag: [[10, *numbers(edges, counts)]]
        for tag, edges, counts in (
            ("values/layer 1, kernel", [-2, 0.5, 3], [5, 7]),
            ("gradients/layer 1, kernel", [-2, 0.5, 3], [5, 7]),
            ("values/b", [2, 2], [12]),
        )
    }


def numbers(edges: Sequence[float], counts: Sequence[int]) -> list[Any]:
    return [edges[0], edges[-1], 12, 4.5, 33.25, list(edges[1:]), list(counts)]
