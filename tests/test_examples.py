"""Tests that the examples in docstrings give what they say, and that the example workflow works."""

from __future__ import annotations

import configparser
import doctest
import functools
import importlib
import json
import os
import pkgutil
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import bench
from bench.cells.grids import GRIDS
from bench.commands import main as cli
from bench.results.plan import Item
from bench.results.run import StoredRun
from support.builders import environment, plan, replaced, stored, trained, write
from support.forked import Forked

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parent.parent
WORKFLOW = REPOSITORY / "examples" / "github-actions.yml"

#: What imports TensorFlow, and what would run.
_LEFT_OUT = ("bench.nets", "bench.execution.trainer", "bench.__main__")


def test_examples_in_docstrings() -> None:
    """Every example of every module that needs no TensorFlow."""
    names = [
        module.name
        for module in pkgutil.walk_packages(bench.__path__, "bench.")
        if not module.name.startswith(_LEFT_OUT) and ">>> " in _source(module)
    ]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert not {name: result.failed for name, result in results.items() if result.failed}
    assert sum(result.attempted for result in results.values()) >= 10


def _source(module: pkgutil.ModuleInfo) -> str:
    """Text of a module: doctest looks through the lines of every function of those that it is given."""
    spec = module.module_finder.find_spec(module.name, None)
    return Path(str(spec and spec.origin)).read_text()


# The workflow's text


@functools.cache
def workflow() -> Any:
    return yaml.safe_load(WORKFLOW.read_text())


def jobs() -> dict[str, Any]:
    return workflow()["jobs"]


def script(job: str) -> str:
    """The one step of a job that runs commands; empty where the action does it all."""
    found = [step["run"] for step in jobs()[job]["steps"] if "run" in step]
    assert len(found) == 1 or any(step.get("uses") == "./" for step in jobs()[job]["steps"])
    return "".join(found)


def test_actionlint() -> None:
    """actionlint, and with it shellcheck, find nothing; where actionlint is installed."""
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed")
    done = subprocess.run([program, str(WORKFLOW)], capture_output=True, text=True)
    assert not done.stdout + done.stderr
    assert done.returncode == 0


def test_scripts_take_no_text_from_outside() -> None:
    """No expression stands in a script, where a branch's name could become a command: values come
    in variables. Every script stops at its first error."""
    for job in jobs():
        assert "${{" not in script(job)
        assert script(job).startswith("set -euo pipefail\n") or not script(job)


def test_least_permissions() -> None:
    """Jobs that run a pull request's code may only read; the one that may write runs none of it."""
    assert workflow()["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in jobs().items() if "permissions" in job}
    assert granted == {
        "comment": {"pull-requests": "write"},
        "accept": {"actions": "read", "contents": "write", "pull-requests": "write"},
    }
    used = [step.get("uses", "") for step in jobs()["comment"]["steps"]]
    assert not any("checkout" in action for action in used)
    assert "tox" not in script("comment")
    for name, job in jobs().items():
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                keeps = step.get("with", {}).get("persist-credentials", True)
                assert keeps == (name == "accept"), name
    # `on` is read as a word for true.
    assert "pull_request_target" not in workflow()[True]


def test_jobs_end_and_actions_are_pinned() -> None:
    """Every job has a limit of time, every action a major version; none of a pull request's code gets
    onto a self-hosted runner."""
    for name, job in jobs().items():
        assert 0 < job["timeout-minutes"] <= 240
        for step in job["steps"]:
            assert re.fullmatch(r"\./|actions/[\w/-]+@v\d+", step.get("uses", "./"))
        if "self-hosted" in job["runs-on"]:
            assert name == "shard"
            assert "pull_request" not in job["if"]


def test_every_suite_has_a_shard() -> None:
    """The nightly matrix names all suites but those of speed and of what users bring, and ``-k`` picks
    one file each."""
    suites = {path.stem.removeprefix("test_") for path in (REPOSITORY / "suites").glob("test_*.py")}
    shards = jobs()["shard"]["strategy"]["matrix"]["suite"]
    assert set(shards) == suites - {"throughput", "bench_speed", "speed", "model", "own_grids"}
    assert shards == sorted(shards)
    assert not [(a, b) for a in suites for b in suites - {a} if f"test_{a}" in f"test_{b}.py"]


def commands() -> list[tuple[str, list[str]]]:
    """Every (tox environment, arguments) of the scripts, with values for their variables."""
    values = {"SUITE": "clipping", "CELLS": "depth:3-"}
    found = []
    for job in jobs():
        text = re.sub(r"\\\n\s*", "", script(job)).replace('"${only[@]}"', '-k "$CELLS"')
        for name, rest in re.findall(r"-m tox run (?:-qq )?-e (\w+) -- (.*)", text):
            plain = re.split(r" \|\|? ", rest)[0]
            plain = re.sub(r"\$(\w+)", lambda match: values.get(match[1], "text"), plain)
            found.append((name, shlex.split(plain)))
    return found


def test_commands_are_known() -> None:
    """Every ``bench`` command of the workflow is one that the parser takes, with all its options."""
    told = [arguments for name, arguments in commands() if name == "bench"]
    assert {arguments[0] for arguments in told} == {"merge", "report", "baseline"}
    for arguments in told:
        assert cli.parse(arguments)[0].__name__ in arguments


def test_runs_collect_cells(tmp_path: Path) -> None:
    """The pytest command of the workflow, as tox.ini completes it, collects the suite it means."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(REPOSITORY / "tox.ini")
    started = dict(re.findall(r"^(\w+): pytest (.*)$", tox["testenv"]["commands"], re.M))
    told = [(name, arguments) for name, arguments in commands() if name != "bench"]
    assert [name for name, _ in told] == ["gpu"]
    for name, arguments in told:
        # Two suites are enough to see what the options pick, and quicker.
        some = f"{REPOSITORY}/suites/test_clipping.py {REPOSITORY}/suites/test_depth.py"
        text = started[name].replace("{posargs}", "").replace("suites", some, 1)
        options = [*text.split(), *arguments]
        words = [*options, "--collect-only", "-q", "-p", "no:cacheprovider"]
        code, listing = Forked.start(words, tmp_path, dict(os.environ)).wait()
        assert code == 0, listing
        suites = set(re.findall(r"^suites/test_(\w+)\.py::", listing, re.M))
        assert suites == {"clipping"}


# The workflow's scripts, run

needs_linux = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("git"), reason="scripts for Ubuntu's sed and git"
)
needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")

#: Stands for python: tox's environments run here, or give the exit code that a test wants.
_PYTHON = """#!/usr/bin/env bash
echo "$*" >> "$CALLS"
case "$*" in
  "-m pip install "*) exit 0 ;;
  *"-e gpu -- "*) exit "$CODE" ;;
  "-m tox run -qq -e bench -- "*) shift 7; exec "$REAL_PYTHON" -m bench.commands.main "$@" ;;
  "-m tox run -e bench -- "*) shift 6; exec "$REAL_PYTHON" -m bench.commands.main "$@" ;;
esac
echo "unexpected: $*" >&2
exit 99
"""
#: Stands for GitHub's command line: keeps what it was told, and lists the comments that a test wants.
_GH = """#!/usr/bin/env bash
echo "$*" >> "$CALLS"
case "$*" in
  *--paginate*) jq -r "${@: -1}" "$COMMENTS" ;;
esac
"""


class Runner:
    """A folder in which scripts run as on a runner."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.summary, self.output = folder / "summary.md", folder / "output"
        self.calls = folder / "calls"
        self._folder = folder
        for name, text in (("python", _PYTHON), ("gh", _GH)):
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(text)
            program.chmod(0o755)
        self.work.mkdir()
        for path in (self.summary, self.output, self.calls):
            path.touch()

    def run(self, job: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a job's script."""
        path = f"{self._folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        given = {
            **os.environ,
            "PATH": path,
            "HOME": str(self._folder),
            "PYTHONPATH": str(REPOSITORY),
            "REAL_PYTHON": sys.executable,
            "CALLS": str(self.calls),
            "CODE": "0",
            "RUNNER_TEMP": str(self._folder),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_REPOSITORY": "owner/name",
            "REQUIREMENTS": "requirements.txt",
        }
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script(job)],
            cwd=self.work,
            env={**given, **variables},
            capture_output=True,
            text=True,
            timeout=600,
        )

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.work, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")


def activation_run(path: Path, part: slice) -> StoredRun:
    """A run of a part of the quick tier's activation grid, from committed code."""
    cells = GRIDS["activation"].cells("quick")
    items = [Item(grid="activation", id=id_, cell=cell) for id_, cell in list(cells.items())[part]]
    the_plan = plan(items, selected=True)
    records = [trained(key.cell, key.seed) for key in the_plan.replicas()]
    return stored(the_plan, records, path=path, of=environment(run={"dirty": "false"}))


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@needs_linux
@pytest.mark.parametrize(
    ("before", "after", "versions"),
    [
        ("tensorflow-cpu==2.20.0\n", "tensorflow-cpu==2.21.0\n", ("2.20.0", "2.21.0")),
        (
            "numpy==2.1\nTensorFlow == 2.20.0  # pinned\n",
            "numpy==2.2\nTensorFlow == 2.21.0\n",
            ("2.20.0", "2.21.0"),
        ),
        (
            "tensorflow[and-cuda]==2.20.0 ; python_version < '3.14' \\\n    --hash=sha256:ab\n",
            "tensorflow[and-cuda]==2.21.0rc1 ; python_version < '3.14' \\\n    --hash=sha256:cd\n",
            ("2.20.0", "2.21.0rc1"),
        ),
        ("tensorflow_cpu===2.9.3\r\n", "tensorflow_cpu===2.10.0\r\n", ("2.9.3", "2.10.0")),
        ("tensorflow-cpu==2.20.*,!=2.20.1\n", "tensorflow-cpu==2.21.*\n", ("2.20.*", "2.21.*")),
        # No bump of TensorFlow:
        ("tensorflow==2.20.0\nkeras==3.11\n", "tensorflow==2.20.0\nkeras==3.12\n", None),
        ("tensorflow==2.20.0\n", "# first\n\ntensorflow==2.20.0\n", None),
        ("tensorflow-datasets==4.8\n", "tensorflow-datasets==4.9\n", None),
        ("tensorflow-io==0.36\ntensorflow==2.20.0\n", "tensorflow-io==0.37\n", None),
        ("# tensorflow==2.20.0\n", "# tensorflow==2.21.0\n", None),
        ("tensorflow>=2.20\n", "tensorflow>=2.21\n", None),
        ("tensorflow==2.20.0\n", None, None),
        (None, "tensorflow==2.20.0\n", None),
        # What a pull request says goes nowhere but into a version:
        ("tensorflow==2.20.0\n", "tensorflow==2.21.0$(touch x);`touch y`\n", ("2.20.0", "2.21.0")),
    ],
)
def test_version_bump(
    runner: Runner, before: str | None, after: str | None, versions: tuple[str, str] | None
) -> None:
    """Old and new version are those of the merge's first parent and of the merge, if both are pinned
    and differ; commits that the target branch got meanwhile don't matter."""
    runner.git("init", "--quiet", "--initial-branch", "main")
    runner.commit({"a": "", **({"requirements.txt": before} if before else {})})
    runner.git("switch", "--quiet", "--create", "bot/tensorflow")
    if after is None:
        (runner.work / "requirements.txt").unlink()
    runner.commit({"requirements.txt": after} if after else {})
    runner.git("switch", "--quiet", "main")
    runner.commit({"meanwhile": ""})
    runner.git("merge", "--quiet", "--no-ff", "bot/tensorflow", "--message", "merge")
    done = runner.run("pins")
    assert done.returncode == 0, done.stderr
    told = dict(line.split("=", 1) for line in runner.output.read_text().splitlines())
    pinned = told.pop("pinned", None)
    assert told == (dict(zip(("old", "new"), versions, strict=True)) if versions else {})
    assert pinned in ({f"=={versions[1]}"} if versions else {None, "==2.20.0"})
    assert not {"x", "y"} & {path.name for path in runner.work.iterdir()}


def test_the_action_does_the_work_of_pull_requests() -> None:
    """Its inputs and outputs are those that the jobs name; what is pinned is what is tested."""
    action = yaml.safe_load((REPOSITORY / "action.yml").read_text())
    for name, given in (("quick", {"new"}), ("upgrade", {"old", "new"})):
        (step,) = [step for step in jobs()[name]["steps"] if step.get("uses") == "./"]
        assert step["with"].keys() == {*given, "python"} <= action["inputs"].keys()
        assert "needs.pins.outputs" in step["with"]["new"]
        used = re.findall(r"steps\.bench\.outputs\.([\w-]+)", json.dumps(jobs()[name]))
        assert {*used} == {"results", "summary"} <= action["outputs"].keys()


@needs_linux
@pytest.mark.parametrize(("code", "ends"), [("0", 0), ("1", 0), ("2", 2), ("137", 137)])
def test_shard_fails_on_trouble_only(runner: Runner, code: str, ends: int) -> None:
    """A shard's verdict is left to the union."""
    done = runner.run("shard", CODE=code, SUITE="depth", GITHUB_STEP_SUMMARY="")
    assert done.returncode == ends
    assert "-k test_depth" in runner.calls.read_text()


@needs_linux
@needs_jq
def test_one_comment(runner: Runner) -> None:
    """The first push writes a comment, later ones write it anew; those of others stay. A long one is
    cut where GitHub would refuse it."""
    folder = runner.work / "comment"
    for name, text in (
        ("2-upgrade", "é" * 70_000),
        ("1-quick", '**Nothing regressed** "quoted"\n'),
    ):
        (folder / f"comment-{name}").mkdir(parents=True)
        (folder / f"comment-{name}/bench.md").write_text(text)
    variables = {"FORK": "false", "NUMBER": "7", "HEAD_SHA": "abc", "RUN_URL": "https://x/1"}
    theirs = [
        {"id": 1, "user": {"type": "User"}, "body": "<!-- bench report --> mine"},
        {"id": 2, "user": {"type": "Bot"}, "body": "coverage"},
    ]
    comments = runner.work / "comments.json"
    comments.write_text(json.dumps(theirs))
    variables["COMMENTS"] = str(comments)
    done = runner.run("comment", **variables)
    assert done.returncode == 0, done.stderr
    body = json.loads((runner.work / "body.json").read_text())["body"]
    assert body.startswith('<!-- bench report -->\n**Nothing regressed** "quoted"\n')
    assert 65_000 < len(body) < 65_536
    posted = "api --silent --method POST repos/owner/name/issues/7/comments --input body.json"
    assert runner.calls.read_text().splitlines()[-1] == posted
    ours = {"id": 3, "user": {"type": "Bot"}, "body": body}
    comments.write_text(json.dumps([*theirs, ours]))
    done = runner.run("comment", **variables)
    assert done.returncode == 0, done.stderr
    patched = "api --silent --method PATCH repos/owner/name/issues/comments/3 --input body.json"
    assert runner.calls.read_text().splitlines()[-1] == patched


@needs_linux
def test_no_comment_on_a_fork(runner: Runner) -> None:
    """Its token cannot write: said, and no failure."""
    done = runner.run("comment", FORK="true", NUMBER="7", HEAD_SHA="abc", RUN_URL="https://x/1")
    assert done.returncode == 0
    assert "::notice::" in done.stdout
    assert not runner.calls.read_text()


@needs_linux
def test_nightly_merges_and_reports(runner: Runner) -> None:
    """Artifacts of shards become one run with a report, in the step's summary too. The exit code is
    the report's: a shard that was killed leaves its cells missing."""
    write(activation_run(runner.work / "results/shards/shard-a", slice(0, 3)))
    killed = activation_run(runner.work / "results/shards/shard-b", slice(2, 5))
    lost = killed.plan.items[-1].cell
    records = {key: record for key, record in killed.records.items() if key.cell != lost}
    write(replaced(killed, records=records))
    (runner.work / "baselines").mkdir()
    done = runner.run("nightly")
    assert done.returncode == 2, done.stderr
    assert "3 results stand in two shards" in done.stdout
    assert "shard-b is incomplete: it lacks 3 of 9 replicas" in done.stdout
    assert (runner.work / "results/nightly/report.md").exists()
    assert "## All cells" in runner.summary.read_text()


@needs_linux
@needs_jq
def test_acceptance_opens_a_pull_request(runner: Runner) -> None:
    """A run's results become a commit on a branch and a pull request with the preview; a second time
    there is nothing to accept."""
    runner.git("init", "--quiet", "--bare", "--initial-branch", "main", "../remote")
    runner.git("init", "--quiet", "--initial-branch", "main")
    runner.git("remote", "add", "origin", "../remote")
    runner.commit({".gitignore": "results\n", "baselines/README": "reviewed\n"})
    write(activation_run(runner.work / "results/accepted", slice(None)))
    variables = {
        "BASE": "main",
        "BRANCH": "baseline-1-2",
        "CELLS": "depth:3- and he_normal and (selu or tanh)",
        "REASON": 'He said "$(touch x)"; 100 %',
        "REVIEWER": "somebody",
        "SOURCE": "https://x/1",
    }
    done = runner.run("accept", **variables)
    assert done.returncode == 0, done.stderr + done.stdout
    assert not (runner.work / "x").exists()
    assert runner.git("log", "-1", "--format=%s", "origin/baseline-1-2") == (
        f"Baseline: {variables['REASON']}"
    )
    changed = runner.git("diff", "--name-only", "main", "baseline-1-2").splitlines()
    assert any(name.endswith("activation.json") for name in changed)
    assert all(name.startswith("baselines/") for name in changed)
    body = (runner.calls.parent / "body.md").read_text()
    assert body.startswith(
        f"{variables['REASON']}\n\nMeasured by https://x/1, accepted by @somebody."
    )
    assert "Accepted 2 cells" in body
    assert "pr create --base main --head baseline-1-2" in runner.calls.read_text()
    again = runner.run("accept", **{**variables, "BRANCH": "baseline-1-3"})
    assert again.returncode == 0, again.stderr + again.stdout
    assert "nothing to accept" in again.stdout
    assert "baseline-1-3" not in runner.git("branch", "--all")


def test_the_notebook_example_draws_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stored run in, a table and a picture out."""
    (item, *_) = GRIDS["depth"].cells("quick").items()
    chosen = Item(grid="depth", id=item[0], cell=item[1])
    run = stored(plan([chosen], seeds=(0,)), [trained(chosen.cell, 0)], path=tmp_path / "run")
    picture = tmp_path / "accuracy.svg"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["notebook.py", str(write(run)), str(picture)])
    runpy.run_path(str(REPOSITORY / "examples" / "notebook.py"))
    assert "depth" in capsys.readouterr().out
    assert picture.read_text().lstrip().startswith("<?xml")
