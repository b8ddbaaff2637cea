"""Tests of the main job as users start it: ``pytest suites`` in a process of its own.

Training processes are the stand-in of ``support/faulty``; all else is real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.results import check
from bench.results.record import RECORDS
from support.faults import ABORT, FAULTY
from support.main_jobs import FAULTY_PATH, Job
from support.shared import Shared

CLASS = "cpu-fake-onednn-1thread"


@pytest.fixture
def other_images(tmp_path: Path, images_file: Path) -> Path:
    """The images of :func:`images_file`, one pixel changed."""
    with np.load(images_file) as arrays:
        changed = dict(arrays)
    changed["x_test"][0, 0, 0] ^= 1
    np.savez(tmp_path / "other.npz", **changed)
    return tmp_path / "other.npz"


FEW = ("suites/test_clipping.py", "--axis", "depth=3", "-k", "clip:norm", "--run", "r")
#: Other digests, and losses that are off by as much: a hundred times what copies are.
SHIFTED = {"FAULTY_SHIFT": "0.001"}


@pytest.fixture(scope="session")
def first(shared: Shared, faulty_variables: dict[str, str]) -> Path:
    """A folder with a run "first", by as many workers as there are by default; what it printed is in
    ``output``, its summary in ``summary.md``."""

    def fill(folder: Path) -> None:
        job = Job(folder, faulty_variables, options=("--seeds", "3", "--all-seeds"))
        summary = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
        output = job.run(*FEW[:-1], "first", "--allow-undecided", **summary)
        (folder / "output").write_text(output)

    return shared("first", fill)


@pytest.fixture(scope="session")
def shifted(shared: Shared, first: Path, faulty_variables: dict[str, str]) -> Path:
    """A folder in which a run "other" was compared with "first", and is changed."""

    def fill(folder: Path) -> None:
        shutil.copytree(first, folder, dirs_exist_ok=True)
        output = against(Job(folder, faulty_variables), "other", 1, **SHIFTED)
        (folder / "output").write_text(output)

    return shared("shifted", fill)


@pytest.fixture
def second(job: Job, first: Path) -> Job:
    """Jobs in a folder that has the run "first"."""
    shutil.copytree(first, job.folder, dirs_exist_ok=True)
    return job


def against(job: Job, run: str, expect: int, *more: str, **environment: str) -> str:
    """Runs the cells of "first", and compares with it."""
    arguments = [*FEW[:-1], run, "--against", "results/first", *more]
    return job.run(*arguments, expect=expect, **environment)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class TestMainJob:
    def test_leaves_all_its_files(self, first: Path) -> None:
        """Records, report, JUnit, environment, and plain progress lines without a terminal."""
        output = (first / "output").read_text()
        folder = first / "results" / "first"
        assert len(RECORDS.read(folder / "records.jsonl")) == 4 * 3
        assert "4/4 cells, 12/12 replicas" in output
        assert re.search(r"elapsed \d+:\d\d, remaining 0:00", output)
        assert re.search(r"^cells: (.*, )?4 new\b", output, re.MULTILINE)
        assert "report: results/first/report.md" in output
        assert re.search(r"^time: ", output, re.MULTILINE)
        assert "clip:norm_0.1" in (folder / "report.md").read_text()
        assert "4 cells" in (first / "summary.md").read_text()
        environment = json.loads((folder / "environment.json").read_text())
        assert environment["software"]["tensorflow"] == "9.9.9"
        cases = ET.parse(folder / "junit.xml").getroot().iter("testcase")
        assert sum("clip:norm" in case.attrib["name"] for case in cases) == 4

    def test_identical_then_regressed(self, second: Job) -> None:
        """The same bits again are identical, exit 0; 20 points less accuracy is exit 1."""
        second.accept("first")
        again = second.run(*FEW[:-1], "again")
        assert re.search(r"^cells: (.*, )?4 identical\b", again, re.MULTILINE)
        worse = second.run(*FEW[:-1], "worse", expect=1, FAULTY_SHIFT="0.2")
        assert "regressed" in worse
        assert "4 failed" in worse

    def test_other_images_are_not_comparable(self, second: Job, other_images: Path) -> None:
        """Images of MNIST's shape with another fingerprint are trained on, recorded, not compared."""
        second.accept("first")
        output = second.run(*FEW[:-1], "other", BENCH_MNIST_DIR=str(other_images))
        assert re.search(r"^cells: (.*, )?4 not comparable\b", output, re.MULTILINE)
        assert "Trained on other images" in " ".join(output.split())
        prints = {record.data for run in ("first", "other") for record in second.records(run)}
        assert len(prints) == 2

    def test_a_crash_is_a_finding(self, job: Job) -> None:
        """Exit 1, with the signal and the cell in the lines that come first."""
        (job.folder / "sitecustomize.py").write_text(
            "import os, sys\n"
            "if 'bench.execution.trainer' in sys.orig_argv:\n"
            f"    sys.path.insert(0, {str(FAULTY)!r})\n"
            "    import importlib.util as u\n"
            f"    spec = u.spec_from_file_location('faulty', {str(FAULTY / 'sitecustomize.py')!r})\n"
            "    module = u.module_from_spec(spec); spec.loader.exec_module(module)\n"
            "    train = module.Trainer.train\n"
            "    def wrapped(self, cell, seed):\n"
            "        if cell.clipping == 'norm_0.1' and seed == 1: os.abort()\n"
            "        return train(self, cell, seed)\n"
            "    module.Trainer.train = wrapped\n"
        )
        path = f"{job.folder}{os.pathsep}{FAULTY_PATH}"
        output = job.run(*FEW, expect=1, PYTHONPATH=path)
        assert re.search(r"^- \d cells? crash(es)?: clipping/", output, re.MULTILINE)
        assert "killed by SIGABRT" in output
        assert Counter(record.outcome for record in job.records("r")) == {
            "trained": 10,
            "crashed": 2,
        }

    def test_claims_are_items(self, job: Job) -> None:
        """A claim has an item of its own, and the stand-in's flat signal breaks one."""
        output = job.run("suites/test_depth.py", "--axis", "act=sigmoid", "--run", "r", expect=1)
        assert re.search(r"^- Claim \S+ does not hold in", output, re.MULTILINE)
        assert "test_claim[sigmoid-signal-ratio]" in output


class TestCopies:
    """Cells whose bits differ get copies, and an envelope."""

    def test_the_same_bits_need_no_copy(self, second: Job) -> None:
        output = against(second, "same", 0)
        assert re.search(r"^cells: (.*, )?4 identical\b", output, re.MULTILINE)
        assert second.copies("same") == []

    def test_other_bits_get_copies(self, shifted: Path, faulty_variables: dict[str, str]) -> None:
        """As many of each seed, and a loss that is beyond them from the first step on is a change,
        which the report explains."""
        job, output = Job(shifted, faulty_variables), (shifted / "output").read_text()
        assert re.search(r"^cells: (.*, )?4 changed\b", output, re.MULTILINE)
        assert "losses leave the rounding envelope at step 0" in output
        found = Counter(copy.copy.replica for copy in job.copies("other"))
        assert set(found) == set(job.plan("other").replicas())
        assert len(set(found.values())) == 1
        report = (job.folder / "results" / "other" / "report.md").read_text()
        assert "rounding envelope" in report

    def test_kill_among_the_copies_and_resume(self, second: Job) -> None:
        """SIGKILL while copies are trained: resuming keeps replicas and copies, and trains the rest;
        judged again without training, the verdicts are the same."""
        job = second
        arguments = [*FEW[:-1], "r", "--against", "results/first"]
        path = job.folder / "results" / "r" / "copies.jsonl"
        process = job.start(*arguments, FAULTY_COPY_SEC="0.3", **SHIFTED)
        wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") >= 4)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: not job.trainers())
        records, copies = job.records("r"), job.copies("r")
        with path.open("ab") as file:
            file.write(b'{"copy":{"cell":{"depth":3')
        output = job.run(*arguments, "--resume", expect=1, **SHIFTED)
        assert re.search(r"^cells: (.*, )?4 changed\b", output, re.MULTILINE)
        assert job.records("r") == records
        after = job.copies("r")
        assert after[: len(copies)] == copies
        assert set(Counter(result.copy for result in after).values()) == {1}
        whole = len(after)
        again = job.run(*arguments, "--resume", expect=1, **SHIFTED)
        assert re.search(r"^cells: (.*, )?4 changed\b", again, re.MULTILINE)
        assert len(job.copies("r")) == whole

    def test_copies_that_crash_are_no_finding(self, second: Job) -> None:
        """The run goes on and ends, and the distribution decides."""
        faults = {"FAULTY_COPIES": f"100:{ABORT}"}
        output = against(second, "r", 0, "-k", "he_normal-clip:norm_0.1", **SHIFTED, **faults)
        assert re.search(r"^cells: (.*, )?1 equivalent\b", output, re.MULTILINE)
        crashes = [copy.crash for copy in second.copies("r")]
        assert crashes
        assert {crash.message for crash in crashes if crash} == {"killed by SIGABRT"}

    def test_damaged_copies(self, job: Job, shifted: Path) -> None:
        """Exit 2 with file and line."""
        shutil.copytree(shifted, job.folder, dirs_exist_ok=True)
        path = job.folder / "results" / "other" / "copies.jsonl"
        path.write_bytes(b"{}\n" + path.read_bytes())
        output = against(job, "other", 2, "--resume", **SHIFTED)
        assert "results/other/copies.jsonl, line 1: not a copy's result" in output
        assert "Traceback" not in output

    def test_against_no_run(self, job: Job) -> None:
        """A mistyped folder is found before anything is trained."""
        output = job.run(*FEW, "--against", "results/none", expect=2)
        assert "results/none: no such run" in output
        assert not (job.folder / "results" / "r" / "records.jsonl").exists()


NUMERICS = "suites/test_numerics.py"
CHECKS = (NUMERICS, "-k", "optimizer:sgd-engine:eager-precision:float32", "--run", "r")


class TestChecks:
    def test_checks_alone_are_a_run(self, job: Job) -> None:
        """Counted in the progress, kept in the run's folder, told in report, terminal and JUnit."""
        output = job.run(*CHECKS)
        folder = job.folder / "results" / "r"
        assert "1/1 checks" in output
        assert "1 check against independent truth holds: 1 tensor compared." in output
        assert len(check.CHECKS.read(folder / "checks.jsonl")) == 1
        assert "`sgd-engine:eager`" in (folder / "report.md").read_text()
        cases = ET.parse(folder / "junit.xml").getroot().iter("testcase")
        assert [case.attrib["name"] for case in cases] == [
            "test_check[optimizer:sgd-engine:eager-precision:float32]"
        ]

    def test_a_check_that_is_out_fails_the_run(self, job: Job) -> None:
        """Exit 1, also when its cells are sound; tensor and bound are named."""
        chosen = "init:he_normal-clip:norm_0.1 or optimizer:sgd-engine:eager-precision:float32"
        which = ("suites/test_clipping.py", NUMERICS, "-k", chosen, "--run", "r")
        job.run(*which)
        job.accept("r")
        output = job.run("-v", *which[:-1], "other", expect=1, FAULTY_CHECKS="1")
        assert re.search(r"^identical +1$", output, re.MULTILINE)
        assert "CHECK FAILS optimizer:sgd-engine:eager-precision:float32: tensor 1: got 1" in output
        assert "2.5 times the bound" in output

    def test_seeds_of_checks(self, job: Job) -> None:
        """As many draws of the inputs as are asked for."""
        job.run(*CHECKS, "--check-seeds", "3")
        results = check.CHECKS.read(job.folder / "results" / "r" / "checks.jsonl")
        assert sorted(result.check.seed for result in results) == [0, 1, 2]

    def test_who_names_cells_gets_no_checks(self, job: Job) -> None:
        """``--axis`` and ``--cell`` speak of cells."""
        listed = ("suites/test_clipping.py", NUMERICS, "--collect-only", "-q")
        assert "test_numerics" not in job.run(*listed, "--axis", "depth=3")
        assert "test_check[" in job.run(*listed)


class TestSelection:
    def test_by_axis_k_and_id(self, job: Job) -> None:
        """The three ways narrow each other down; the plan knows that it is a selection."""
        id_ = "depth:10-act:tanh-init:he_normal-lr:0.03"
        axes = ("--axis", "depth=3,10", "--axis", "act=tanh")
        job.run(*axes, "-k", "test_activation", "--seeds", "1", "--run", "a")
        assert {item.cell.activation for item in job.plan("a").items} == {"tanh"}
        assert len(job.plan("a").items) == 4
        job.run("suites/test_activation.py", "--cell", id_, "--seeds", "1", "--run", "b")
        assert [item.id for item in job.plan("b").items] == [id_]
        assert job.plan("b").selected

    def test_full_tier_is_reachable(self, job: Job) -> None:
        """Any axis value, one seed."""
        arguments = ["--tier", "full", "--axis", "init=uniform_.3", "--axis", "depth=10"]
        job.run(*arguments, "--axis", "act=tanh", "--seeds", "1", "--run", "r")
        assert {item.cell.initializer for item in job.plan("r").items} == {"uniform_0.3"}
        assert job.plan("r").seeds == [0]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--cell", "depth:3-act:rely"], "no such cell at tier quick"),
            (["--axis", "dept=3"], "no axis 'dept'"),
            (["--axis", "depth=99"], "no grid has depth:99"),
            (["--tier", "huge"], "no tier 'huge'"),
            (["--seeds", "0"], "--seeds must be above 0"),
            (["--data-sources", "ftp"], "ftp"),
            (["--resume"], "results: holds no run"),
        ],
    )
    def test_a_mistake_is_one_clear_message(
        self, job: Job, arguments: list[str], message: str
    ) -> None:
        """Exit 2, the mistake, what would be right, no traceback."""
        output = job.run("suites/test_clipping.py", *arguments, expect=2)
        assert message in output
        assert "->" in output
        assert "Traceback" not in output

    @pytest.mark.parametrize(
        "place",
        [
            "bench.plugin.session:Session.execute",
            "bench.plugin.session:write_reports",
            "bench.plugin.session:summary_lines",
            "bench.plugin.session:SuiteRun._options",
            "bench.plugin.session:SuiteRun.judgements",
            "bench.plugin.collection:Collection.of",
            "bench.plugin.collection:Selection",
        ],
    )
    def test_a_fault_of_bench_is_trouble(self, job: Job, place: str) -> None:
        """Exit 2, wherever it happens: 1 would say "regressed", and 3 "undecided"."""
        module, _, name = place.partition(":")
        (job.folder / "fault").mkdir()
        (job.folder / "fault" / "conftest.py").write_text(
            f"import {module} as module\n"
            "def fault(*_, **__):\n"
            "    raise KeyError('a fault')\n"
            f"module.{name} = {'property(fault)' if name.endswith('judgements') else 'fault'}\n"
        )
        output = job.run(*FEW, str(job.folder / "fault"), expect=2, TMPDIR=str(job.folder))
        assert "bench: error: unexpected KeyError: 'a fault'" in output
        (trouble,) = job.folder.glob("bench-trouble-*.txt")
        assert str(trouble) in output
        assert "in fault" in trouble.read_text()

    def test_nothing_selected_is_no_success(self, job: Job) -> None:
        """Exit 2: nothing was measured."""
        for expression in ("no_such_test", "test_claim"):
            output = job.run("suites/test_depth.py", "-k", expression, expect=2)
            assert "Nothing was measured" in output


class TestDevice:
    def test_an_absent_gpu_is_skipped_with_its_reason(self, job: Job) -> None:
        """And, as nothing was measured, it is no success either."""
        output = job.run(*FEW, "--device", "gpu", "-rs", expect=2, CUDA_VISIBLE_DEVICES="-1")
        assert "no GPU" in output
        assert "4 skipped" in output or "skipped" in output

    def test_a_required_gpu_fails(self, job: Job) -> None:
        """Before anything is trained."""
        arguments = [*FEW, "--device", "gpu", "--require-device"]
        output = job.run(*arguments, expect=2, CUDA_VISIBLE_DEVICES="-1")
        assert "bench: error: no GPU" in output
        assert not (job.folder / "results" / "r" / "records.jsonl").exists()

    def test_auto_is_the_cpu_where_there_is_no_gpu(self, job: Job) -> None:
        job.run(*FEW, "--device", "auto", CUDA_VISIBLE_DEVICES="-1")
        assert job.plan("r").device == "cpu"


class TestInterruption:
    SLOW = (
        *("suites/test_clipping.py", "--axis", "depth=3", "-k", "test_clipping"),
        *("--run", "r", "--workers", "2"),
    )

    def count(self, job: Job) -> int:
        path = job.folder / "results" / "r" / "records.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def test_kill_and_resume(self, job: Job) -> None:
        """SIGKILL of the run: resuming repeats no replica and loses none; no process is left."""
        process = job.start(*self.SLOW, FAULTY_SLEEP_SEC="0.2")
        wait_for(lambda: self.count(job) >= 5)
        assert job.trainers()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: not job.trainers())
        before = job.records("r")
        path = job.folder / "results" / "r" / "records.jsonl"
        with path.open("ab") as file:
            file.write(b'{"schema":1,"cell":{"depth":3')  # what a kill in mid-write leaves
        output = job.run(*self.SLOW, "--resume")
        after = job.records("r")
        assert after[: len(before)] == before
        assert Counter(r.key for r in after) == Counter(job.plan("r").replicas())
        assert "14/14 cells" in output

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ctrl_c_reports_what_is_done(self, job: Job, number: signal.Signals) -> None:
        """Exit 2; the report holds what was measured, and names the way to go on."""
        process = job.start(*self.SLOW, FAULTY_SLEEP_SEC="0.3")
        wait_for(lambda: self.count(job) >= 9)
        os.kill(process.pid, number)
        code, output = process.wait()
        assert code == 2, output
        assert re.search(r"^cells: (.*, )?\d+ missing\b", output, re.MULTILINE), output
        assert "--resume" in output
        report = (job.folder / "results" / "r" / "report.md").read_text()
        assert "not measured" in report or "missing" in report
        assert not job.trainers()
        job.run(*self.SLOW, "--resume")

    def test_two_runs_into_one_folder(self, job: Job) -> None:
        """The second one says so and leaves the first alone."""
        first = job.start(*self.SLOW, FAULTY_SLEEP_SEC="0.4")
        wait_for(lambda: self.count(job) >= 1)
        second = job.run(*self.SLOW, "--resume", expect=2)
        assert "another process is writing to this run" in second
        code, output = first.wait()
        assert code == 0, output
        junit = (job.folder / "results" / "r" / "junit.xml").read_bytes()
        third = job.run(*self.SLOW, expect=2)
        assert "already holds a run" in third
        fourth = job.run(*self.SLOW, "--axis", "init=he_normal", "--resume", expect=2)
        assert "repeat the options that it was started with" in fourth
        assert "--axis depth=3 -k test_clipping" in fourth
        assert (job.folder / "results" / "r" / "junit.xml").read_bytes() == junit


class TestTrouble:
    def test_a_damaged_baseline_is_found_before_training(self, job: Job) -> None:
        """Exit 2 at once, with the file's name."""
        folder = job.folder / "baselines" / CLASS
        folder.mkdir()
        (folder / "class.json").write_text('{"schema": 99}')
        output = job.run(*FEW, expect=2)
        assert f"baselines/{CLASS}/class.json" in output
        assert "schema" in output
        assert not (job.folder / "results" / "r" / "records.jsonl").exists()

    def test_results_that_cannot_be_written(self, job: Job) -> None:
        """A file where the folder should be; root cannot write there either."""
        (job.folder / "results").write_text("in the way")
        output = job.run(*FEW, expect=2)
        assert "bench: error:" in output
        assert "cannot be written" in output
        assert "Traceback" not in output

    def test_a_full_disk_keeps_what_is_there(self, job: Job) -> None:
        """The run stops with exit 2 at the first record that cannot be written."""
        (job.folder / "full").mkdir()
        (job.folder / "full" / "conftest.py").write_text(
            "import errno, os\n"
            "from bench.results import jsonl\n"
            "class Full:\n"
            "    def __getattr__(self, name):\n"
            "        return getattr(os, name)\n"
            "    def write(self, *_):\n"
            "        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
            "jsonl.os = Full()\n"
        )
        output = job.run(*FEW, str(job.folder / "full"), expect=2)
        assert "records.jsonl: cannot be written: No space left on device" in output
        assert "--resume" in output

    def test_no_data(self, job: Job) -> None:
        """Every source that was tried, and why it failed."""
        empty = {"BENCH_CACHE_DIR": str(job.folder / "empty"), "BENCH_MNIST_DIR": ""}
        output = job.run(*FEW, "--data-sources", "cache", expect=2, **empty)
        assert "cache" in output
        assert "bench: error:" in output

    def test_a_broken_tensorflow(self, job: Job) -> None:
        """Exit 2, with what the process printed: no cell is to blame."""
        output = job.run(*FEW, expect=2, FAULTY_START="abort")
        assert "the training process did not start" in output
        assert "cannot load libfake.so" in output
