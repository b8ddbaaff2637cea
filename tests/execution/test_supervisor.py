"""Tests of the supervisor: training processes that really die, hang and fill the memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.execution import machine, protocol
from bench.execution.protocol import Burst
from bench.execution.supervisor import CrashError, Supervisor
from bench.results.copy_result import Copy, CopyResult
from bench.results.record import Record, Replica
from support import faults

TIMEOUT_SEC = 60.0


def make(cache: tuple[Path, str], environment: dict[str, str], **options: Any) -> Supervisor:
    """A supervisor of faulty training processes."""
    settings = protocol.Settings(device="cpu", data=cache[1], cache_dir=str(cache[0]))
    return Supervisor(settings, environment=environment, name="7", **options)


@pytest.fixture
def supervisor(
    image_cache: tuple[Path, str], faulty_variables: dict[str, str]
) -> Iterator[Supervisor]:
    """A supervisor with a limit of 400 MiB."""
    made = make(image_cache, faulty_variables, memory_limit_bytes=400 * 2**20)
    yield made
    made.close()


def test_a_process_says_what_it_may_use(supervisor: Supervisor) -> None:
    """As its supervisor, which it is a child of."""
    assert supervisor.start().machine == machine.describe(machine.limits())


def train(supervisor: Supervisor, width: int, timeout_sec: float = TIMEOUT_SEC) -> Record:
    record = supervisor.do(Replica(Cell(width=width), 3), timeout_sec=timeout_sec)
    assert isinstance(record, Record)
    return record


@pytest.mark.parametrize(
    ("width", "reason", "message"),
    [
        (faults.ABORT, "signal", "killed by SIGABRT"),
        (faults.KILL, "signal", "killed by SIGKILL (the system does this when memory runs out)"),
        (faults.SEGFAULT, "signal", "killed by SIGSEGV"),
        (faults.EXIT, "exit", "exited with status 7"),
        (faults.RAISE, "exception", "ValueError: shapes (3,) and (4,) do not match"),
        (faults.RESOURCES, "memory", "ResourceExhaustedError: OOM when allocating tensor"),
    ],
)
def test_a_failure_costs_its_replica_and_says_how(
    supervisor: Supervisor, width: int, reason: str, message: str
) -> None:
    """The record names signal, status or exception and the last output; the next cell is trained."""
    record = train(supervisor, width)
    assert record.outcome == "crashed"
    assert record.crash is not None
    assert (record.crash.reason, record.crash.message) == (reason, message)
    assert f"about to train width {width}" in record.crash.output
    assert (record.cell, record.seed, record.worker) == (Cell(width=width), 3, "7")
    assert train(supervisor, 100).outcome == "trained"


def test_a_result_that_cannot_be_written_is_no_crash(supervisor: Supervisor) -> None:
    """It is trouble of this package, which names the task, and the process goes on."""
    with pytest.raises(BenchError, match="its result cannot be written: TypeError") as raised:
        train(supervisor, faults.UNWRITABLE)
    assert f"{Replica(Cell(width=faults.UNWRITABLE), 3).id}: its result" in str(raised.value)
    assert "this says nothing about TensorFlow" in str(raised.value)
    assert "Traceback" in str(raised.value)
    assert "a fault of bench" in raised.value.hint
    assert train(supervisor, 100).outcome == "trained"


def test_a_fatal_signal_leaves_a_traceback(supervisor: Supervisor) -> None:
    """What the process printed last is kept, with Python's own stack."""
    crash = train(supervisor, faults.ABORT).crash
    assert crash is not None
    assert "corrupted size vs. prev_size" in crash.output
    assert "Fatal Python error: Aborted" in crash.output


def test_output_of_earlier_replicas_is_left_out(supervisor: Supervisor) -> None:
    """The last output is the crashed replica's own."""
    train(supervisor, 100)
    crash = train(supervisor, faults.EXIT).crash
    assert crash is not None
    assert "width 100" not in crash.output


def test_a_process_that_hangs_is_ended(supervisor: Supervisor) -> None:
    """After the limit its replica has crashed, and the next one gets a new process."""
    supervisor.start()
    begin = time.monotonic()
    record = train(supervisor, faults.HANG, timeout_sec=1.0)
    assert time.monotonic() - begin < 30
    assert record.crash is not None
    assert (record.crash.reason, record.crash.message) == ("timeout", "no answer for 1 s")
    assert train(supervisor, 100).outcome == "trained"


def test_a_process_that_fills_the_memory_is_ended(supervisor: Supervisor) -> None:
    """Beyond its limit, long before the machine's."""
    record = train(supervisor, faults.EAT_MEMORY)
    assert record.crash is not None
    assert record.crash.reason == "memory"
    assert re.fullmatch(
        r"out of memory: \d\.\d GiB, and the worker's limit is 0\.4 GiB", record.crash.message
    )
    assert train(supervisor, 100).outcome == "trained"


def test_a_process_killed_from_outside(supervisor: Supervisor) -> None:
    """Also while it sleeps."""
    supervisor.start()
    (child,) = _trainers()
    threading.Timer(0.5, os.kill, (child.pid, signal.SIGKILL)).start()
    crash = train(supervisor, faults.HANG).crash
    assert crash is not None
    assert crash.message.startswith("killed by SIGKILL")


def test_folders_of_killed_runs_are_swept(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next supervisor removes what nobody holds any more, and nothing that somebody holds."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    held, left, other = (tmp_path / f"bench-training-{name}" for name in ("held", "left", "other"))
    for folder in (held, left):
        folder.mkdir()
        (folder / "held").touch()
    other.mkdir()
    (tmp_path / "bench-training-link").symlink_to(left)
    with (held / "held").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        made = Supervisor(supervisor._settings)
        assert held.exists()
        assert other.exists()
        assert not left.exists()
        made.close()
    assert {path.name for path in tmp_path.iterdir()} == {
        *("bench-training-held", "bench-training-other", "bench-training-link")
    }


def test_the_process_finds_what_its_variables_name_and_nothing_else(
    image_cache: tuple[Path, str],
    faulty_variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It works in an empty folder, as Python 3.10 takes modules from there first; paths in this
    process' own variables lead where they led from here."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("raise RuntimeError('a foreign bench')")
    monkeypatch.chdir(tmp_path)
    folders = faulty_variables["PYTHONPATH"].split(os.pathsep)
    relative = [os.path.relpath(one) for one in folders]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(relative))
    monkeypatch.setenv("BENCH_CACHE_DIR", os.path.relpath(image_cache[0]))
    settings = protocol.Settings(device="cpu", data=image_cache[1], cache_dir="")
    with contextlib.closing(Supervisor(settings)) as supervisor:
        supervisor.start()
        (child,) = _trainers()
        assert list(Path(child.cwd()).iterdir()) == []
        assert child.cwd() != child.environ()["KERAS_HOME"]
        assert train(supervisor, 100).outcome == "trained"


def test_a_process_killed_between_replicas_is_replaced(supervisor: Supervisor) -> None:
    """Nobody's replica was in it."""
    supervisor.start()
    (child,) = _trainers()
    child.kill()
    child.wait()
    assert train(supervisor, 100).outcome == "trained"


def test_close_leaves_no_process_and_no_file(
    image_cache: tuple[Path, str],
    faulty_variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even what the process wrote to its temporary folder, as AutoGraph does: it is killed, and
    removes nothing itself."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    supervisor = make(image_cache, faulty_variables)
    train(supervisor, 100)
    (child,) = _trainers()
    temporary = Path(child.environ()["TMPDIR"])
    assert temporary.is_relative_to(tmp_path)
    (temporary / "left behind").touch()
    supervisor.close()
    assert not _trainers()
    assert list(tmp_path.iterdir()) == []


def copied(supervisor: Supervisor, timeout_sec: float = TIMEOUT_SEC) -> CopyResult:
    """The second copy of a cell of width 100."""
    copy = Copy(cell=Cell(), seed=3, number=1)
    result = supervisor.do(copy, timeout_sec=timeout_sec)
    assert result.copy == copy
    return result


def test_a_copy_is_trained(supervisor: Supervisor) -> None:
    """It comes back with its trajectory."""
    result = copied(supervisor)
    assert result.crash is None
    assert len(result.trajectory) == 4 * 20


@pytest.mark.parametrize(
    ("fault", "reason", "message"),
    [
        (faults.ABORT, "signal", "killed by SIGABRT"),
        (faults.HANG, "timeout", "no answer for 2 s"),
        (faults.RAISE, "exception", "ValueError: shapes (3,) and (4,) do not match"),
        (faults.EXIT, "exit", "exited with status 7"),
    ],
)
def test_a_copy_that_fails_says_how(
    image_cache: tuple[Path, str],
    faulty_variables: dict[str, str],
    fault: int,
    reason: str,
    message: str,
) -> None:
    """As a replica does; the next replica gets a process that works."""
    made = make(image_cache, {**faulty_variables, "FAULTY_COPIES": f"100:{fault}"})
    made.start()
    result = copied(made, timeout_sec=2.0 if fault == faults.HANG else TIMEOUT_SEC)
    assert result.crash is not None
    assert (result.crash.reason, result.crash.message) == (reason, message)
    assert f"about to train width {fault}" in result.crash.output
    assert result.trajectory == b""
    assert train(made, 100).outcome == "trained"
    made.close()


def test_a_burst_that_crashes_is_an_exception(supervisor: Supervisor) -> None:
    """Throughput has no records."""
    burst = Burst(cell=Cell(), work="training", steps=5)
    assert supervisor.ask(burst, timeout_sec=60) == pytest.approx(5e-4)
    faulty = msgspec.structs.replace(burst, cell=Cell(width=faults.ABORT))
    with pytest.raises(CrashError, match="killed by SIGABRT"):
        supervisor.ask(faulty, timeout_sec=60)


def test_a_process_that_cannot_start_is_trouble(
    image_cache: tuple[Path, str], faulty_variables: dict[str, str]
) -> None:
    """Not a crash of whichever cell came first; the last output says why."""
    made = make(image_cache, {**faulty_variables, "FAULTY_START": "abort"})
    with pytest.raises(
        BenchError, match="7: the training process did not start: killed by SIGABRT"
    ) as caught:
        made.start()
    assert "cannot load libfake.so" in str(caught.value)
    made.close()


def test_images_that_are_not_cached_are_trouble(
    image_cache: tuple[Path, str], faulty_variables: dict[str, str]
) -> None:
    """The process says so itself."""
    made = make((image_cache[0], "0" * 64), faulty_variables)
    with pytest.raises(BenchError, match=re.escape("0" * 12)):
        made.start()
    made.close()


def _trainers() -> list[psutil.Process]:
    """The training processes that are alive below this one."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE  # of other tests, not waited for yet
        and "bench.execution.trainer" in " ".join(child.cmdline())
    ]


def test_what_is_closed_starts_no_more(image_cache: tuple[Path, str]) -> None:
    """Nor does what is closed by another thread just before its process begins."""
    made = make(image_cache, {})
    made.close()
    with pytest.raises(BenchError, match="did not start: ended with its worker"):
        made.start()


@pytest.mark.parametrize("child", ["sleep 60 &\necho $! > child", "echo $$ > child"])
def test_who_waits_for_a_closed_process_is_told(
    child: str, tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """Also where a child of it, which holds its pipe, goes on."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{child}\nmv child pid\nexec sleep 60\n")
    python.chmod(0o755)
    made = make(image_cache, {}, python=str(python))
    said: list[BenchError] = []

    def start() -> None:
        with pytest.raises(BenchError) as raised:
            made.start()
        said.append(raised.value)

    waiting = threading.Thread(target=start, daemon=True)
    waiting.start()
    working = Path(made._folder.name, "working", "pid")
    while not working.exists():
        time.sleep(0.01)
    number = int(working.read_text())
    made.close()
    waiting.join(30)
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)
    assert "ended with its worker" in said[0].message
