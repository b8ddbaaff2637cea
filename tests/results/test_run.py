"""A run's folder: nothing is lost, nothing is mixed, trouble has a name and a way out."""

from __future__ import annotations

import datetime
import errno
import gc
import os
import re
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

import bench
from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.results.copy_result import COPIES, Copy, CopyResult
from bench.results.files import read_json, write_atomically, write_below
from bench.results.find import latest
from bench.results.plan import Plan
from bench.results.record import RECORDS, Record, Replica
from bench.results.run import ENVIRONMENT, PLAN, read_run
from bench.results.tasks import no_collection
from bench.results.writer import RunWriter, claim, new_run_name
from support.builders import (
    DEEP,
    PLAN_OF_TWO,
    RECORDS_OF_TWO,
    SHALLOW,
    copied,
    crashed,
    environment,
    healthy,
    items,
    on_day,
    plan,
    replaced,
    stored,
    trained,
    write,
)


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A process of its own: for what cannot be undone in this one."""
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(Path(bench.__file__).parents[1]), str(tests)])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        # Where it may not write, coverage could not either, and would complain at its end.
        env={**os.environ, "PYTHONPATH": paths, "COVERAGE_PROCESS_CONFIG": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def unfinished(path: Path, records: list[Record], torn: bytes = b"") -> Path:
    with RunWriter(path, PLAN_OF_TWO) as writer:
        writer.write_environment(environment())
        for record in records:
            writer.append(record)
    with open(path / RECORDS.file, "ab") as file:
        file.write(torn)
    return path


# Reading and writing


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Plan, environment and records come back equal, and the writer knows what is left."""
    path = tmp_path / "results" / "run"
    with RunWriter(path, PLAN_OF_TWO) as writer:
        assert writer.missing() == PLAN_OF_TWO.replicas()
        writer.write_environment(environment())
        for record in RECORDS_OF_TWO[:3]:
            writer.append(record)
        assert writer.missing() == [Replica(DEEP, 1)]
        stored = writer.finish(environment(), 1.23)
    run = read_run(path)
    assert run == stored
    assert run.plan == PLAN_OF_TWO
    assert run.environment.run["total_sec"] == 1.2
    assert [*run.of(SHALLOW)] == RECORDS_OF_TWO[:2]
    assert [*run.of(DEEP)] == RECORDS_OF_TWO[2:3]
    assert not run.of(Cell(depth=99))


def test_records_are_in_the_order_of_seeds(tmp_path: Path) -> None:
    """Replicas end in any order; seed-matched comparison needs theirs."""
    path = unfinished(tmp_path / "run", RECORDS_OF_TWO[::-1])
    assert [record.seed for record in read_run(path).of(DEEP)] == [0, 1]


def test_records_of_further_seeds_follow_those_of_the_plan(tmp_path: Path) -> None:
    """In order, and only of the cell that was given them."""
    path = tmp_path / "run"
    with RunWriter(path, PLAN_OF_TWO) as writer:
        writer.write_environment(environment())
        for seed in (7, 1, 5, 0):
            writer.append(trained(DEEP, seed))
        for record in RECORDS_OF_TWO[:2]:
            writer.append(record)
        assert writer.missing() == []
    run = read_run(path)
    assert [record.seed for record in run.of(DEEP)] == [0, 1, 5, 7]
    assert [record.seed for record in run.of(SHALLOW)] == [0, 1]
    fewer = {key: record for key, record in run.records.items() if key.seed != 5}
    assert [record.seed for record in replaced(run, records=fewer).of(DEEP)] == [0, 1, 7]


COPIES_OF_DEEP = [copied(trained(DEEP, 1), number) for number in (11, 0, 4)]


def test_copies_are_read_and_ordered_by_number(tmp_path: Path) -> None:
    """All of a replica's, however many, crashed ones too; a run without any has none."""
    path = unfinished(tmp_path / "run", RECORDS_OF_TWO)
    assert read_run(path).copies == {}
    (path / COPIES.file).unlink()  # as runs of earlier versions have none
    assert read_run(path).copies_of(DEEP, 1) == []
    crash = crashed(DEEP, 1).crash
    failed = CopyResult(copy=Copy(cell=DEEP, seed=1, number=2), crash=crash)
    with RunWriter(path, PLAN_OF_TWO, resume=True) as writer:
        for result in (*COPIES_OF_DEEP, failed, *map(copied, RECORDS_OF_TWO[1:3])):
            writer.append(result)
        assert writer.so_far(environment()) == read_run(path)
    run = read_run(path)
    assert [result.copy.number for result in run.copies_of(DEEP, 1)] == [0, 2, 4, 11]
    assert run.copies_of(DEEP, 1)[1] == failed
    assert run.copies_of(SHALLOW, 0) == []
    assert replaced(run, copies={}).copies_of(DEEP, 1) == []


def test_every_record_is_on_disk_at_once(tmp_path: Path) -> None:
    """A run killed after a replica still has it."""
    code = """
        import os, sys
        from pathlib import Path
        from support.builders import PLAN_OF_TWO, RECORDS_OF_TWO
        from bench.results.writer import RunWriter
        with RunWriter(Path(sys.argv[1]), PLAN_OF_TWO) as writer:
            writer.append(RECORDS_OF_TWO[0])
            os.kill(os.getpid(), 9)
    """
    assert run_python(code, tmp_path / "run").returncode == -9
    with RunWriter(tmp_path / "run", PLAN_OF_TWO, resume=True) as writer:
        assert writer.missing() == PLAN_OF_TWO.replicas()[1:]


def test_plan_counts_a_cell_of_two_grids_once() -> None:
    """A cell is trained once however many grids it stands in."""
    both = plan([*items("a", [SHALLOW, DEEP], ()), *items("b", [DEEP], ())], seeds=(0, 1))
    assert both.replicas() == [Replica(cell, seed) for cell in (SHALLOW, DEEP) for seed in (0, 1)]
    assert {grid: len(found) for grid, found in both.grids().items()} == {"a": 2, "b": 1}


def test_absent_run(tmp_path: Path) -> None:
    """A folder that is not there, one that is empty, and one that measured nothing."""
    with pytest.raises(BenchError, match="no such run"):
        read_run(tmp_path / "none")
    with pytest.raises(BenchError, match=re.escape(f"{tmp_path / PLAN}: cannot be read: No such")):
        read_run(tmp_path)
    write_atomically(tmp_path / PLAN, msgspec.json.encode(PLAN_OF_TWO))
    with pytest.raises(BenchError, match=r"environment\.json: cannot be read") as caught:
        read_run(tmp_path)
    assert caught.value.hint == "is this the folder of a run that measured something?"


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ((b'"schema":1', b'"schema":2'), "schema 2, and this version reads schema 1"),
        ((b'"tier"', b'"teir"'), "unknown field `teir`"),
        ((b'"seeds":[0,1]', b'"seeds":[0,1.5]'), "Expected `int`, got `float`"),
        ((b'"seeds":[0,1]', b'"seeds":NaN'), "invalid character"),
        ((b'"depth":10', b'"depth":-1'), "depth:-1 is below 0"),
        ((b"{", b""), ""),
    ],
)
def test_damaged_plan(tmp_path: Path, edit: tuple[bytes, bytes], why: str) -> None:
    """The message names the file and what is wrong with it."""
    content = msgspec.json.encode(PLAN_OF_TWO)
    assert edit[0] in content
    (tmp_path / PLAN).write_bytes(content.replace(*edit))
    expected = re.escape(f"{tmp_path / PLAN}: not a valid plan: ") + ".*" + re.escape(why)
    with pytest.raises(BenchError, match=expected):
        read_json(tmp_path / PLAN, Plan)


def test_the_latest_run_is_the_one_that_started_last(tmp_path: Path) -> None:
    """A folder that was copied has new files, and is no newer run."""
    for day, name in ((2, "a"), (1, "b")):
        write(on_day(day, name, path=tmp_path))
    os.utime(tmp_path / "a" / PLAN, ns=(0, 0))
    assert latest(tmp_path, "run").name == "a"
    (tmp_path / "a" / ENVIRONMENT).write_text('{"run": {"started": 7}}')
    assert latest(tmp_path, "run").name == "b", "what does not tell counts by its files"


def test_what_was_killed_before_its_plan_is_started(tmp_path: Path) -> None:
    """The folder and its lock are there, and nothing else."""
    claim(tmp_path / "run", resume=False).release()
    with RunWriter(tmp_path / "run", PLAN_OF_TWO, resume=True) as writer:
        assert writer.missing() == PLAN_OF_TWO.replicas()
    assert read_json(tmp_path / "run" / PLAN, Plan) == PLAN_OF_TWO


def test_what_crashed_is_tried_again(tmp_path: Path) -> None:
    """Only where that is asked for; all else stays, and the file has one line for each replica."""
    path = unfinished(tmp_path / "run", [*RECORDS_OF_TWO[:3], crashed(DEEP, 1)])
    with RunWriter(path, PLAN_OF_TWO, resume=True) as writer:
        assert writer.missing() == []
    with RunWriter(path, PLAN_OF_TWO, resume=True, retry_crashed=True) as writer:
        assert writer.missing() == [Replica(DEEP, 1)]
        writer.append(RECORDS_OF_TWO[3])
    assert RECORDS.read(path / RECORDS.file) == RECORDS_OF_TWO


def test_latest_run(tmp_path: Path) -> None:
    """The one begun last, whatever its name; folders without a plan are no runs; none is an error."""
    with pytest.raises(BenchError, match="holds no run"):
        latest(tmp_path, "run")
    for age, name in ((300, "mine"), (200, "20261121-031502-quick"), (100, "another")):
        path = write(healthy(tmp_path / name)) / PLAN
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "zzz").mkdir()
    assert latest(tmp_path, "run").name == "another"


def test_resume_from_the_cache_after_a_download(tmp_path: Path) -> None:
    """A first run gets its images from afar, its continuation from the cache: the same images."""
    first = environment(data={**environment().data, "source": "wheel"})
    with RunWriter(tmp_path / "run", PLAN_OF_TWO) as writer:
        writer.write_environment(first)
        writer.finish(first, 10.0)
    again = environment(data={**environment().data, "source": "cache"})
    with RunWriter(tmp_path / "run", PLAN_OF_TWO, resume=True) as writer:
        writer.write_environment(again)
        finished = writer.finish(again, 5.0)
    assert finished.environment.run["total_sec"] == 15.0
    assert finished.environment.run["command"] == first.run["command"]


def test_run_names_sort_by_time() -> None:
    """Names are UTC, so that summer time does not turn them round."""
    early = datetime.datetime(2026, 10, 25, 0, 59, 59, tzinfo=datetime.timezone.utc)
    late = early + datetime.timedelta(seconds=2)
    assert new_run_name("quick", early) == "20261025-005959-quick"
    assert new_run_name("full", early) < new_run_name("quick", late)


# Resuming


@pytest.mark.parametrize("cut", [1, 200, len(RECORDS.encode(RECORDS_OF_TWO[2])) - 1])
def test_resume_cuts_a_torn_line(tmp_path: Path, cut: int) -> None:
    """The torn replica is measured anew, and the file is whole afterwards."""
    torn = RECORDS.encode(RECORDS_OF_TWO[2])[:cut]
    path = unfinished(tmp_path / "run", RECORDS_OF_TWO[:2], torn)
    with RunWriter(path, PLAN_OF_TWO, resume=True) as writer:
        assert writer.missing() == [Replica(DEEP, 0), Replica(DEEP, 1)]
        writer.write_environment(environment())
        writer.append(RECORDS_OF_TWO[2])
        writer.append(RECORDS_OF_TWO[3])
    assert (path / RECORDS.file).read_bytes() == b"".join(map(RECORDS.encode, RECORDS_OF_TWO))


@pytest.mark.parametrize("cut", [1, 50, len(COPIES.encode(COPIES_OF_DEEP[2])) - 1])
def test_resume_cuts_a_torn_copy(tmp_path: Path, cut: int) -> None:
    """Whole lines are kept, and what is appended begins a line of its own."""
    path = unfinished(tmp_path / "run", RECORDS_OF_TWO)
    lines = [COPIES.encode(result) for result in COPIES_OF_DEEP]
    (path / COPIES.file).write_bytes(b"".join(lines[:2]) + lines[2][:cut])
    with RunWriter(path, PLAN_OF_TWO, resume=True) as writer:
        assert list(COPIES.of(writer.outcomes).values()) == COPIES_OF_DEEP[:2]
        writer.append(COPIES_OF_DEEP[2])
    assert COPIES.read(path / COPIES.file) == COPIES_OF_DEEP


@pytest.mark.parametrize("garbage", [b"{}\n", b"\xff\n", b"\n"])
def test_damaged_copies_are_named(tmp_path: Path, garbage: bytes) -> None:
    """By file and line, when the run is read and when it is resumed; nothing is repaired silently."""
    path = unfinished(tmp_path / "run", RECORDS_OF_TWO)
    content = COPIES.encode(COPIES_OF_DEEP[0]) + garbage + COPIES.encode(COPIES_OF_DEEP[1])
    (path / COPIES.file).write_bytes(content)
    message = re.escape(f"{path / COPIES.file}, line 2: not a copy's result: ")
    with pytest.raises(BenchError, match=message):
        read_run(path)
    with pytest.raises(BenchError, match=message):
        RunWriter(path, PLAN_OF_TWO, resume=True).__enter__()
    assert (path / COPIES.file).read_bytes() == content


def test_resume_refuses_damage_in_the_middle(tmp_path: Path) -> None:
    """Nothing is repaired silently."""
    path = unfinished(
        tmp_path / "run", RECORDS_OF_TWO[:1], b"{}\n" + RECORDS.encode(RECORDS_OF_TWO[1])
    )
    before = (path / RECORDS.file).read_bytes()
    with pytest.raises(BenchError, match=r"records.jsonl, line 2: not a record"):
        RunWriter(path, PLAN_OF_TWO, resume=True).__enter__()
    assert (path / RECORDS.file).read_bytes() == before


@pytest.mark.parametrize(
    "other",
    [
        plan(PLAN_OF_TWO.items, seeds=(0, 1, 2)),
        plan(PLAN_OF_TWO.items[:1], seeds=(0, 1)),
        msgspec.structs.replace(PLAN_OF_TWO, device="gpu"),
        msgspec.structs.replace(PLAN_OF_TWO, tier="full"),
    ],
)
def test_resume_refuses_another_plan(tmp_path: Path, other: Plan) -> None:
    """Other seeds, cells, device or tier: the message says so, and the lock is free again."""
    path = unfinished(tmp_path / "run", RECORDS_OF_TWO[:1])
    with pytest.raises(BenchError, match="same cells, seeds and device only"):
        RunWriter(path, other, resume=True).__enter__()
    with RunWriter(path, PLAN_OF_TWO, resume=True):
        pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"software": {"tensorflow": "2.20.0"}},
            "other software: tensorflow '2.21.0', now '2.20.0'",
        ),
        ({"data": {"fingerprint": "ffff"}}, "other data: fingerprint '741c988805d008ac', now"),
        (
            {"numerics": msgspec.structs.replace(environment().numerics, isa="avx2")},
            "other numerics: isa 'avx512_bf16', now 'avx2'",
        ),
        ({"run": {"commit": "abc"}}, "by other code: commit unknown, now abc"),
    ],
)
def test_resume_refuses_another_environment(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    """Records of two TensorFlows in one file would be judged as one."""
    path = unfinished(tmp_path / "run", RECORDS_OF_TWO[:1])
    with RunWriter(path, PLAN_OF_TWO, resume=True) as writer:
        with pytest.raises(BenchError, match=re.escape(message)):
            writer.write_environment(environment(**changes))
        writer.write_environment(environment(machine={"memory": "16 GiB"}))


def test_resume_of_nothing(tmp_path: Path) -> None:
    """A mistyped run name is an error, not a new run."""
    with pytest.raises(BenchError, match=r"plan\.json: cannot be read"):
        RunWriter(tmp_path / "run", PLAN_OF_TWO, resume=True).__enter__()


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    """A second run under one name is refused and leaves the first as it was."""
    path = unfinished(tmp_path / "run", RECORDS_OF_TWO)
    with pytest.raises(BenchError, match="already holds a run") as caught:
        RunWriter(path, PLAN_OF_TWO).__enter__()
    assert "--resume" in caught.value.hint
    assert RECORDS.read(path / RECORDS.file) == RECORDS_OF_TWO


# Trouble


def test_two_writers_in_one_process(tmp_path: Path) -> None:
    """The second is refused at once and names the remedy; the first is not disturbed."""
    with RunWriter(tmp_path / "run", PLAN_OF_TWO) as first:
        with pytest.raises(BenchError, match="another process is writing to this run") as caught:
            RunWriter(tmp_path / "run", PLAN_OF_TWO, resume=True).__enter__()
        assert "--run NAME" in caught.value.hint
        first.append(RECORDS_OF_TWO[0])
    assert RECORDS.read(tmp_path / "run" / RECORDS.file) == RECORDS_OF_TWO[:1]


def test_two_writers_in_two_processes(tmp_path: Path) -> None:
    """The lock holds between processes, and a killed one leaves none behind."""
    code = """
        import sys
        from pathlib import Path
        from support.builders import PLAN_OF_TWO
        from bench.errors import BenchError
        from bench.results.writer import RunWriter
        try:
            RunWriter(Path(sys.argv[1]), PLAN_OF_TWO, resume=True).__enter__()
        except BenchError as error:
            print(error.message)
    """
    path = tmp_path / "run"
    with RunWriter(path, PLAN_OF_TWO):
        assert "another process is writing" in run_python(code, path).stdout
    refused_no_more = run_python(code, path)
    assert refused_no_more.stdout == ""
    assert refused_no_more.stderr == ""


def test_below_a_regular_file(below_a_file: Path) -> None:
    """A place that is no place is trouble with a hint, not a traceback."""
    with pytest.raises(BenchError, match="cannot be written: Not a directory") as caught:
        RunWriter(below_a_file, PLAN_OF_TWO).__enter__()
    assert "--results DIR" in caught.value.hint
    with pytest.raises(BenchError, match="cannot be written: Not a directory"):
        write_atomically(below_a_file / "report.md", b"")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_read_only_directory() -> None:
    """A folder of another user: the message names the folder and the reason."""
    code = """
        import os, sys, tempfile
        from pathlib import Path
        from support.builders import PLAN_OF_TWO
        from bench.errors import BenchError
        from bench.results.writer import RunWriter
        from bench.results.files import write_atomically
        folder = Path(tempfile.mkdtemp())
        (folder / "run").mkdir(mode=0o755)
        folder.chmod(0o755)
        os.setuid(65534)
        for act in (
            lambda: RunWriter(folder / "run", PLAN_OF_TWO).__enter__(),
            lambda: RunWriter(folder / "other", PLAN_OF_TWO).__enter__(),
            lambda: write_atomically(folder / "report.md", b""),
        ):
            try:
                act()
            except BenchError as error:
                print(error.message)
    """
    result = run_python(code)
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.endswith("cannot be written: Permission denied") for line in lines)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run stops with the reason and the way on."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "run"
    with RunWriter(path, PLAN_OF_TWO) as writer:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(BenchError, match="cannot be written: No space left") as caught:
            writer.append(RECORDS_OF_TWO[0])
        assert "--resume" in caught.value.hint
        assert writer.missing() == PLAN_OF_TWO.replicas()


@pytest.mark.parametrize("resume", [False, True])
def test_links_are_not_written_through(tmp_path: Path, *, resume: bool) -> None:
    """A folder that came from elsewhere may lead anywhere; what it points to stays as it was."""
    path, target = tmp_path / "run", tmp_path / "precious"
    target.write_text("precious")
    if resume:
        with RunWriter(path, PLAN_OF_TWO):
            pass
    path.mkdir(exist_ok=True)
    (path / RECORDS.file).unlink(missing_ok=True)
    (path / RECORDS.file).symlink_to(target)
    with (
        pytest.raises(BenchError, match="cannot be written"),
        RunWriter(path, PLAN_OF_TWO, resume=resume),
    ):
        pass
    assert target.read_text() == "precious"


def test_a_lock_that_is_a_link(tmp_path: Path) -> None:
    """filelock empties what it opens."""
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(target)
    with pytest.raises(BenchError, match="cannot be written: it is a link"):
        claim(tmp_path / "run", resume=False)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("name", ["report.md", "figures/a.svg"])
def test_files_below_a_folder(tmp_path: Path, name: str) -> None:
    """A link of a file's name is replaced, one of a folder's name is an error."""
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "a.svg").write_text("precious")
    folder = tmp_path / "run"
    folder.mkdir()
    if name == "report.md":
        (folder / name).symlink_to(target / "a.svg")
        write_below(folder, name, b"new")
        assert (folder / name).read_text() == "new"
    else:
        (folder / "figures").symlink_to(target)
        with pytest.raises(BenchError, match="figures: is a link"):
            write_below(folder, name, b"new")
    assert [path.read_text() for path in target.iterdir()] == ["precious"]


@pytest.mark.parametrize("file", [PLAN, ENVIRONMENT, RECORDS.file])
def test_what_is_no_file(tmp_path: Path, file: str) -> None:
    """A FIFO would hang, a device would never end."""
    path = write(stored(PLAN_OF_TWO, RECORDS_OF_TWO, path=tmp_path / "run"))
    (path / file).unlink()
    os.mkfifo(path / file)
    with pytest.raises(BenchError, match="not a regular file"):
        read_run(path)
    (path / file).unlink()
    (path / file).symlink_to("/dev/zero")
    with pytest.raises(BenchError, match="not a regular file"):
        read_run(path)


class Disk:
    """What a power cut leaves of a file: what was synchronized, and any part of what was not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.safe: dict[str, bytes] = {}
        fsync = os.fsync

        def synchronized(number: int) -> None:
            fsync(number)
            path = Path(f"/proc/self/fd/{number}").readlink()
            if path.is_file():
                self.safe[str(path)] = path.read_bytes()

        monkeypatch.setattr(os, "fsync", synchronized)

    def cut(self, path: Path, *, more: int) -> None:
        """The power goes: of what was written since the last barrier, ``more`` bytes are there."""
        now = path.read_bytes()
        safe = self.safe.get(str(path), b"")
        assert now.startswith(safe)
        path.write_bytes(now[: len(safe) + more])


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no names of open files")
@pytest.mark.parametrize("torn", [0, 1, 700])
def test_a_power_cut_loses_no_record_that_was_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: int
) -> None:
    """Each is behind a write barrier when ``append`` returns; a torn line behind them is cut off, and
    the run goes on."""
    disk, path = Disk(monkeypatch), tmp_path / "run"
    with RunWriter(path, PLAN_OF_TWO) as writer:
        for record in RECORDS_OF_TWO[:2]:
            writer.append(record)
        with (path / RECORDS.file).open("ab") as file:
            file.write(RECORDS.encode(RECORDS_OF_TWO[2])[:torn])
    disk.cut(path / RECORDS.file, more=torn)
    with RunWriter(path, PLAN_OF_TWO, resume=True) as writer:
        assert list(writer.outcomes.values()) == RECORDS_OF_TWO[:2]
        for record in RECORDS_OF_TWO[2:]:
            writer.append(record)
    assert RECORDS.read(path / RECORDS.file) == RECORDS_OF_TWO


def limited(room: int, path: Path) -> subprocess.CompletedProcess[str]:
    """Appends two records where ``room`` bytes fit after the first."""
    code = """
        import resource, signal, sys
        from pathlib import Path
        from support.builders import PLAN_OF_TWO, RECORDS_OF_TWO
        from bench.errors import BenchError
        from bench.results.record import RECORDS
        from bench.results.writer import RunWriter
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        path = Path(sys.argv[1])
        with RunWriter(path, PLAN_OF_TWO) as writer:
            writer.append(RECORDS_OF_TWO[0])
            size = (path / RECORDS.file).stat().st_size + int(sys.argv[2])
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                writer.append(RECORDS_OF_TWO[1])
            except BenchError as error:
                print(error.message)
            print(len(writer.missing()))
    """
    return run_python(code, path, room)


@pytest.mark.parametrize("room", [0, 1, 100])
def test_half_a_write_is_taken_back(tmp_path: Path, room: int) -> None:
    """Where only part of a line fits, none of it stays, and the records before it are whole."""
    assert resource.RLIMIT_FSIZE >= 0
    result = limited(room, tmp_path / "run")
    assert result.stderr == ""
    message, missing = result.stdout.splitlines()
    assert "records.jsonl: cannot be written: " in message
    assert missing == "3"
    assert (tmp_path / "run" / RECORDS.file).read_bytes() == RECORDS.encode(RECORDS_OF_TWO[0])


def test_atomic_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed replacement leaves the old content and no litter."""
    path = tmp_path / "report.md"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BenchError, match="cannot be written: No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.md"]


def test_the_collector_is_as_it_was_after_reading() -> None:
    """What reads and judges in one go is not looked through; after it, also after an error, all is as
    before."""

    @no_collection()
    def reads_damaged() -> None:
        with no_collection():
            pass
        assert not gc.isenabled()
        raise BenchError("damaged")

    assert gc.isenabled()
    with pytest.raises(BenchError, match="damaged"):
        reads_damaged()
    assert gc.isenabled()
