"""Tests of the executor on a real local cluster, with training processes that fail as told."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import dask
import distributed
import msgspec
import psutil
import pytest

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.execution.cluster import Placement, connect
from bench.execution.executor import Execution
from bench.results.check import CHECKS, Check
from bench.results.copy_result import COPIES, Copy, CopyResult
from bench.results.kind import Outcome, Task
from bench.results.record import RECORDS, Record, Replica
from bench.results.run import ENVIRONMENT, StoredRun, read_run
from bench.results.writer import RunWriter
from support import builders, faults
from support.executed import Follow, Watcher, execute, plan


@pytest.mark.usefixtures("faulty")
def test_trains_every_replica_once(tmp_path: Path, image_cache: tuple[Path, str]) -> None:
    """Two workers, one record per replica, in the file and told to whoever watches."""
    the_plan = plan(10, 11, 12, 13)
    watcher = execute(tmp_path / "run", the_plan, image_cache)
    records = RECORDS.read(tmp_path / "run" / RECORDS.file)
    assert Counter(record.key for record in records) == Counter(the_plan.replicas())
    assert {record.outcome for record in records} == {"trained"}
    assert {record.worker for record in records} == {"0", "1"}
    assert sorted(map(repr, watcher.started_tasks)) == sorted(map(repr, the_plan.replicas()))
    assert len(watcher.finished_tasks) == 12
    assert (tmp_path / "run" / ENVIRONMENT).is_file()


@pytest.mark.usefixtures("faulty")
def test_faults_cost_their_cells_and_the_run_goes_on(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """An abort, a hang and an exception among sound cells; seeds of a hung cell are not tried."""
    the_plan = plan(10, faults.ABORT, 11, faults.HANG, 12, faults.RAISE)
    execute(tmp_path / "run", the_plan, image_cache)
    records = RECORDS.read(tmp_path / "run" / RECORDS.file)
    by_width: dict[int, list[Record]] = {}
    for record in records:
        by_width.setdefault(record.cell.width, []).append(record)
    assert {width: len(found) for width, found in by_width.items()} == dict.fromkeys(by_width, 3)
    assert len(by_width) == 6
    sound = [record for width in (10, 11, 12) for record in by_width[width]]
    assert {record.outcome for record in sound} == {"trained"}
    reasons = {
        width: [record.crash.reason for record in by_width[width] if record.crash]
        for width in (faults.ABORT, faults.HANG, faults.RAISE)
    }
    assert reasons[faults.ABORT] == ["signal"] * 3
    assert reasons[faults.RAISE] == ["exception"] * 3
    assert reasons[faults.HANG][0] == "timeout"
    assert set(reasons[faults.HANG][1:]) <= {"timeout", "not attempted"}
    assert "not attempted" in reasons[faults.HANG]


def check(subject: str) -> Check:
    return Check(family="optimizer", subject=subject)


@pytest.mark.usefixtures("faulty")
def test_checks_run_beside_replicas_and_survive_faults(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """One that aborts, one that hangs, one that is out, one that is absent: each says so in its
    result, and all others are done."""
    subjects = [
        "adam",
        f"fault:{faults.ABORT}",
        f"fault:{faults.HANG}",
        f"fault:{faults.RAISE}",
        "out:1",
        "absent:Lamb",
        "nothing:1",
        "sgd",
    ]
    the_plan = msgspec.structs.replace(plan(10), checks=[check(subject) for subject in subjects])
    watcher = execute(tmp_path / "run", the_plan, image_cache)
    results = {
        result.check.subject: result for result in CHECKS.read(tmp_path / "run" / CHECKS.file)
    }
    assert set(results) == set(subjects)
    assert len(watcher.finished_tasks) == 3 + len(subjects)
    crashes = {subject: result.crash for subject, result in results.items() if result.crash}
    assert {subject: crash.reason for subject, crash in crashes.items()} == {
        f"fault:{faults.ABORT}": "signal",
        f"fault:{faults.HANG}": "timeout",
        f"fault:{faults.RAISE}": "exception",
    }
    assert {subject for subject, result in results.items() if not result.fails} == {
        "adam",
        "absent:Lamb",
        "sgd",
    }
    assert results["absent:Lamb"].absent == "no Lamb here"
    assert results["out:1"].reason.startswith("tensor 1: got 1, expected 2 within 0.4, 2.5 times")
    assert results["nothing:1"].reason == "nothing was compared"
    assert results["adam"].digest == results["sgd"].digest != ""


@pytest.mark.usefixtures("faulty")
def test_resume_runs_only_checks_that_are_missing(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """Half a line at the end of the file is checked again, the rest is kept."""
    the_plan = msgspec.structs.replace(plan(10, seeds=1), checks=[check("a"), check("b")])
    execute(tmp_path / "run", the_plan, image_cache)
    path = tmp_path / "run" / CHECKS.file
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:50])
    watcher = execute(tmp_path / "run", the_plan, image_cache, resume=True)
    assert len(watcher.finished_tasks) == 1
    assert {result.check for result in CHECKS.read(path)} == set(the_plan.checks)


@pytest.mark.usefixtures("faulty")
def test_resume_trains_only_what_is_missing(tmp_path: Path, image_cache: tuple[Path, str]) -> None:
    """Records that are there stay as they are; half a line at the end is trained again."""
    the_plan = plan(10, 11)
    execute(tmp_path / "run", the_plan, image_cache)
    path = tmp_path / "run" / RECORDS.file
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:100])
    watcher = execute(tmp_path / "run", the_plan, image_cache, resume=True)
    assert len(watcher.finished_tasks) == 3
    assert path.read_bytes().splitlines(keepends=True)[:3] == lines[:3]
    records = RECORDS.read(path)
    assert Counter(record.key for record in records) == Counter(the_plan.replicas())


@pytest.mark.usefixtures("faulty")
def test_resume_of_a_complete_run_trains_nothing(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """It ends at once, with all records as they were."""
    execute(tmp_path / "run", plan(10), image_cache)
    before = (tmp_path / "run" / RECORDS.file).read_bytes()
    assert not execute(tmp_path / "run", plan(10), image_cache, resume=True).finished_tasks
    assert (tmp_path / "run" / RECORDS.file).read_bytes() == before


@pytest.mark.usefixtures("faulty")
def test_resume_under_another_version_is_refused(
    tmp_path: Path, image_cache: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of two TensorFlow versions don't belong into one run."""
    execute(tmp_path / "run", plan(10), image_cache)
    (tmp_path / "run" / RECORDS.file).write_bytes(b"")
    monkeypatch.setenv("FAULTY_VERSION", "9.9.10")
    message = "started with other software: tensorflow '9.9.9', now '9.9.10'"
    with pytest.raises(BenchError, match=re.escape(message)):
        execute(tmp_path / "run", plan(10), image_cache, resume=True)


@pytest.mark.usefixtures("faulty")
def test_a_process_that_cannot_start_stops_the_run(
    tmp_path: Path, image_cache: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken installation is trouble, not as many crashed cells as there are."""
    monkeypatch.setenv("FAULTY_START", "abort")
    with pytest.raises(BenchError, match="did not start: killed by SIGABRT"):
        execute(tmp_path / "run", plan(10, 11), image_cache)
    assert RECORDS.read(tmp_path / "run" / RECORDS.file) == []


@pytest.mark.usefixtures("faulty")
def test_workers_share_gpus(
    tmp_path: Path, image_cache: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two GPUs, two workers on each: every process sees one GPU and takes half of its memory, less
    what CUDA needs itself: .9 x 10,000 MiB / 2."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nfor i in 0 1; do echo $i, GPU-$i-x, Any, 570.1, 10000; done\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("FAULTY_SHOW_DEVICE", "1")
    monkeypatch.setenv("FAULTY_SLEEP_SEC", "0.2")
    placement = Placement(device="gpu", workers_per_gpu=2)
    execute(tmp_path / "run", plan(10, 11, 12, 13, seeds=4), image_cache, placement=placement)
    shown = {(r.worker, r.environment) for r in RECORDS.read(tmp_path / "run" / RECORDS.file)}
    settings = {"threads": 1, "gpu_memory_mib": 4500}
    assert shown <= {(str(i), f"gpu GPU-{i % 2}-x {settings}") for i in range(4)}
    assert len({environment for _, environment in shown}) == 2, "both GPUs are used"


@pytest.mark.usefixtures("faulty")
def test_workers_of_a_foreign_scheduler(tmp_path: Path, image_cache: tuple[Path, str]) -> None:
    """``--scheduler``: the same plan on workers that somebody else has started."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        placement = Placement(scheduler=cluster.scheduler_address)
        execute(tmp_path / "run", plan(10, faults.ABORT), image_cache, placement=placement)
    outcomes = Counter(record.outcome for record in RECORDS.read(tmp_path / "run" / RECORDS.file))
    assert outcomes == {"trained": 3, "crashed": 3}


@pytest.mark.usefixtures("faulty")
def test_what_is_killed_from_outside_is_tried_once_more(
    tmp_path: Path, image_cache: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system short of memory says nothing about TensorFlow; whoever is killed twice has crashed. The
    environment tells of both."""
    monkeypatch.setenv("FAULTY_MARK", str(tmp_path / "mark"))
    the_plan = plan(faults.KILL_ONCE, faults.KILL, seeds=1)
    with RunWriter(tmp_path / "run", the_plan) as writer:
        execution = Execution(
            writer,
            Placement(workers=1),
            data={"name": "custom", "fingerprint": image_cache[1], "source": "test"},
            cache_dir=image_cache[0],
            progress=Watcher(),
        )
        writer.finish(execution.run(), 1.0)
    run = read_run(tmp_path / "run")
    ended = {record.cell.width: record.outcome for record in run.records.values()}
    assert ended == {faults.KILL_ONCE: "trained", faults.KILL: "crashed"}
    told = [line.partition(": killed by SIGKILL")[0] for line in run.environment.run["retried"]]
    assert sorted(told) == sorted(task.id for task in the_plan.tasks())


class Listening(Watcher):
    """Looks for open ports while the run goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[tuple[str, int], None] = {}

    def tick(self) -> None:
        run = psutil.Process()
        for process in (run, *run.children(recursive=True)):
            for one in process.net_connections("inet"):
                if one.status == psutil.CONN_LISTEN:
                    self.places[one.laddr.ip, one.laddr.port] = None


@pytest.mark.usefixtures("faulty")
def test_no_other_machine_reaches_a_run(
    tmp_path: Path, image_cache: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that listens, in the run and its training processes, does so on the loopback interface, and
    answers nothing."""
    monkeypatch.setenv("FAULTY_SLEEP_SEC", "0.5")
    before = Listening()
    before.tick()
    watcher = Listening()
    listening: list[int] = []

    def ask() -> None:
        watcher.tick()
        for ip, port in watcher.places.keys() - before.places.keys():
            for page in ("/", "/health", "/info/main/workers.html", "/json/counts.json", "/status"):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    urllib.request.urlopen(f"http://{ip}:{port}{page}", timeout=10)
            listening.append(port)

    watcher.finished = lambda *_: ask() if not listening else None  # type: ignore[method-assign]
    execute(tmp_path / "run", plan(10, seeds=2), image_cache, watcher=watcher)
    assert len(listening) >= 3, "a scheduler and two workers"
    assert {ip for ip, _ in watcher.places.keys() - before.places.keys()} == {"127.0.0.1"}


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """Files of a certificate of its own, as Dask's configuration names them."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += [
        "-nodes",
        "-subj",
        "/CN=bench",
        "-days",
        "2",
        "-keyout",
        str(key),
        "-out",
        str(file),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return {"tls_ca_file": str(file), "tls_client_cert": str(file), "tls_client_key": str(key)}


def test_a_scheduler_behind_tls(tmp_path: Path, certificate: dict[str, str]) -> None:
    """With the certificates of Dask's configuration it is used; without, nobody is let in."""
    key, file = certificate["tls_client_key"], certificate["tls_ca_file"]
    security = distributed.Security(
        require_encryption=True,
        tls_ca_file=file,
        tls_scheduler_cert=file,
        tls_scheduler_key=key,
        tls_worker_cert=file,
        tls_worker_key=key,
        **{name: certificate[name] for name in ("tls_client_cert", "tls_client_key")},
    )
    named = {
        "distributed.comm.tls.ca-file": file,
        "distributed.comm.tls.client.cert": file,
        "distributed.comm.tls.client.key": key,
    }
    with distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tls", security=security, dashboard_address=":0"
    ) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        placement = Placement(scheduler=address)
        with dask.config.set(named), connect(placement, data="", cache_dir=tmp_path) as joined:
            assert len(joined.workers()) == 1
        with (
            pytest.raises(BenchError, match=r"(?s)no answer.*docs/security.md"),
            connect(placement, data="", cache_dir=tmp_path),
        ):
            pass
        plain = Placement(scheduler=address.replace("tls:", "tcp:"))
        with (
            pytest.raises(BenchError, match="no answer"),
            connect(plain, data="", cache_dir=tmp_path),
        ):
            pass


class Saboteur(Watcher):
    """Closes the Dask worker that starts the ``nth`` task, and its nanny, ``delay_sec`` later."""

    def __init__(self, cluster: distributed.LocalCluster, nth: int, delay_sec: float) -> None:
        super().__init__()
        self.cluster, self.nth, self.delay_sec = cluster, nth, delay_sec
        self.closing: threading.Timer | None = None

    def started(self, worker: str, task: Task) -> None:
        super().started(worker, task)
        if len(self.started_tasks) == self.nth:
            victim = next(w for w in self.cluster.workers.values() if w.worker_address == worker)
            self.closing = threading.Timer(
                self.delay_sec, lambda: self.cluster.sync(victim.close, timeout=1)
            )
            self.closing.start()

    def wait(self) -> None:
        """Until the worker is closed; a close that outlives its cluster would hang."""
        assert self.closing is not None, "no worker was to be lost"
        self.closing.join()


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize(
    ("nth", "delay_sec", "replicas"), [(4, 0.2, 8), (1, 1.0, 1)], ids=["busy", "last-replica"]
)
def test_a_lost_dask_worker_costs_no_replica(
    tmp_path: Path,
    image_cache: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    nth: int,
    delay_sec: float,
    replicas: int,
) -> None:
    """Its nanny is gone with it; what it was training is trained by the other, busy or idle."""
    monkeypatch.setenv("FAULTY_SLEEP_SEC", "2")
    the_plan = plan(10, seeds=replicas)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        watcher = Saboteur(cluster, nth, delay_sec)
        placement = Placement(scheduler=cluster.scheduler_address)
        execute(tmp_path / "run", the_plan, image_cache, placement=placement, watcher=watcher)
        watcher.wait()
    assert len(watcher.started_tasks) == replicas + 1, "the lost worker's replica starts again"
    records = RECORDS.read(tmp_path / "run" / RECORDS.file)
    assert Counter(record.key for record in records) == Counter(the_plan.replicas())
    assert {record.outcome for record in records} == {"trained"}


def test_a_scheduler_that_is_not_there(tmp_path: Path, image_cache: tuple[Path, str]) -> None:
    """The address is in the message, and what would start one."""
    placement = Placement(scheduler="tcp://127.0.0.1:9")
    with pytest.raises(BenchError, match=re.escape("--scheduler tcp://127.0.0.1:9: no answer")):
        execute(tmp_path / "run", plan(10), image_cache, placement=placement)


# What follows when the plan is done


def copies_missing(number: int, seen: list[StoredRun] | None = None) -> Follow:
    """Asks for ``number`` copies of each replica, those that the run does not have."""

    def follow(run: StoredRun) -> Sequence[Task]:
        if seen is not None:
            seen.append(run)
        asked = (
            Copy(cell=replica.cell, seed=replica.seed, number=n)
            for replica in run.plan.replicas()
            for n in range(number)
        )
        return [copy for copy in asked if copy not in run.copies]

    return follow


def copies_of(path: Path) -> dict[int, list[CopyResult]]:
    """By width."""
    found: dict[int, list[CopyResult]] = {}
    for result in COPIES.read(path / COPIES.file):
        found.setdefault(result.copy.cell.width, []).append(result)
    return found


@pytest.mark.usefixtures("faulty")
def test_copies_follow_when_all_replicas_are_done(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """Who decides sees every record of the plan, is asked again when the copies are there, and each
    is trained once, on both workers, and told to whoever watches."""
    the_plan, seen = plan(10, 11), list[StoredRun]()
    watcher = execute(tmp_path / "run", the_plan, image_cache, follow=copies_missing(2, seen))
    assert [len(run.records) for run in seen] == [6, 6]
    assert [len(run.copies) for run in seen] == [0, 12]
    assert len(watcher.added_tasks) == 12
    results = COPIES.read(tmp_path / "run" / COPIES.file)
    assert Counter(result.copy for result in results) == Counter(watcher.added_tasks)
    assert [result.crash for result in results] == [None] * 12
    assert len(RECORDS.read(tmp_path / "run" / RECORDS.file)) == 6
    assert [isinstance(task, Copy) for task in watcher.started_tasks] == [False] * 6 + [True] * 12
    assert len(watcher.finished_tasks) == 18
    assert read_run(tmp_path / "run").copies == seen[-1].copies


@pytest.mark.usefixtures("faulty")
def test_replicas_may_follow_copies(tmp_path: Path, image_cache: tuple[Path, str]) -> None:
    """Further seeds of undecided cells: asked for until nothing is."""
    cell = Cell(width=10)

    def follow(run: StoredRun) -> Sequence[Task]:
        if not run.copies:
            return [Copy(cell=cell, seed=0, number=0)]
        return [Replica(cell, len(run.records))] if len(run.records) < 4 else []

    execute(tmp_path / "run", plan(10, seeds=2), image_cache, follow=follow)
    run = read_run(tmp_path / "run")
    assert [record.seed for record in run.of(cell)] == [0, 1, 2, 3]
    assert len(run.copies) == 1


@pytest.mark.usefixtures("faulty")
def test_a_copy_that_fails_is_kept_and_the_run_goes_on(
    tmp_path: Path, image_cache: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An abort, a kill, a hang and an exception, each in a process of its own; the copies of a cell
    that hung are not attempted. None is asked for a second time, also not when resumed."""
    by_width = {10: faults.ABORT, 11: faults.KILL, 12: faults.HANG, 13: faults.RAISE}
    monkeypatch.setenv("FAULTY_COPIES", ",".join(f"{w}:{f}" for w, f in by_width.items()))
    the_plan, follow = plan(*by_width, 14, seeds=1), copies_missing(3)
    watcher = execute(tmp_path / "run", the_plan, image_cache, follow=follow)
    found = copies_of(tmp_path / "run")
    assert {width: len(results) for width, results in found.items()} == dict.fromkeys(
        range(10, 15), 3
    )
    reasons = {
        width: Counter(result.crash.reason if result.crash else "" for result in results)
        for width, results in found.items()
    }
    assert reasons[10] == reasons[11] == {"signal": 3}
    assert reasons[13] == {"exception": 3}
    assert reasons[14] == {"": 3}
    assert reasons[12]["timeout"] >= 1
    assert reasons[12]["timeout"] + reasons[12]["not attempted"] == 3
    assert {record.outcome for record in RECORDS.read(tmp_path / "run" / RECORDS.file)} == {
        "trained"
    }
    abort = found[10][0].crash
    assert abort is not None
    assert abort.message == "killed by SIGABRT"
    assert "corrupted size vs. prev_size" in abort.output
    assert len(watcher.finished_tasks) == 5 + 15
    again = execute(tmp_path / "run", the_plan, image_cache, resume=True, follow=follow)
    assert again.finished_tasks == []


class Impatient(Watcher):
    """Presses Ctrl-C once ``number`` copies are done."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def finished(self, worker: str, outcome: Outcome) -> None:
        super().finished(worker, outcome)
        if sum(isinstance(done, CopyResult) for done in self.finished_tasks) == self.number:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("faulty")
def test_an_interruption_among_the_copies_costs_what_was_in_flight(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """Replicas and copies that are there stay as they are; half a line is trained again."""
    path, the_plan, follow = tmp_path / "run", plan(10, 11, seeds=2), copies_missing(2)
    with pytest.raises(KeyboardInterrupt):
        execute(path, the_plan, image_cache, watcher=Impatient(4), follow=follow)
    records = (path / RECORDS.file).read_bytes()
    lines = (path / COPIES.file).read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    (path / COPIES.file).write_bytes(b"".join(lines[:3]) + lines[3][:40])
    watcher = execute(path, the_plan, image_cache, resume=True, follow=follow)
    assert len(watcher.started_tasks) == len(watcher.finished_tasks) == 8 - 3
    assert all(isinstance(task, Copy) for task in watcher.started_tasks)
    assert (path / RECORDS.file).read_bytes() == records
    assert (path / COPIES.file).read_bytes().splitlines(keepends=True)[:3] == lines[:3]
    assert Counter(r.copy for r in COPIES.read(path / COPIES.file)) == Counter(
        follow(builders.replaced(read_run(path), copies={}))
    )


@pytest.mark.usefixtures("faulty")
def test_a_lost_dask_worker_costs_no_copy(
    tmp_path: Path, image_cache: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copy is trained by the other worker."""
    monkeypatch.setenv("FAULTY_COPY_SEC", "2")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        watcher = Saboteur(cluster, 3, 0.2)
        execute(
            tmp_path / "run",
            plan(10, seeds=2),
            image_cache,
            placement=Placement(scheduler=cluster.scheduler_address),
            watcher=watcher,
            follow=copies_missing(1),
        )
        watcher.wait()
    results = COPIES.read(tmp_path / "run" / COPIES.file)
    assert Counter(result.copy for result in results) == Counter(watcher.added_tasks)
    assert [result.crash for result in results] == [None] * 2
    assert len(watcher.started_tasks) == 2 + 2 + 1, "the lost worker's copy starts again"
