"""Tests that workflows, hooks, issue forms and decisions agree with each other and with tox.ini."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent
GITHUB = REPOSITORY / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(
    set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) - {GITHUB / "ISSUE_TEMPLATE/config.yml"}
)
DECISIONS = sorted((REPOSITORY / "docs/decisions").glob("0*.md"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def jobs(name: str = "ci") -> dict[str, Any]:
    return read(GITHUB / "workflows" / f"{name}.yml")["jobs"]


def steps() -> list[dict[str, Any]]:
    """All steps of all workflows."""
    every = [job for path in WORKFLOWS for job in read(path)["jobs"].values()]
    return [step for job in every for step in job.get("steps", [])]


def calls() -> list[tuple[str, str]]:
    """Every (environments of tox, Python) that CI runs, matrices expanded; no Python is the default."""
    found = []
    for job in jobs().values():
        given = job.get("with", {})
        matrix = job.get("strategy", {}).get("matrix", {})
        cases = matrix.get("include") or [
            {"python": python} for python in matrix.get("python", [""])
        ]
        for case in cases if given else []:
            environment = case.get("environment", given["environment"])
            found += [(one, case["python"]) for one in environment.split(",")]
    return found


# --- Workflows


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actionlint(path: Path) -> None:
    """actionlint, and with it shellcheck, find nothing; where actionlint is installed."""
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed")
    done = subprocess.run([program, str(path)], capture_output=True, text=True)
    assert not done.stdout + done.stderr
    assert done.returncode == 0


def test_ci_may_only_read() -> None:
    """No job may write or keeps a token in its checkout; a fork's code never runs with our rights. A
    release alone may ask for an identity, for a tag."""
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {"contents": "read"}
        more = [job["permissions"] for job in read(path)["jobs"].values() if "permissions" in job]
        release = [{"contents": "read", "id-token": "write"}]
        assert more == (release if path.stem == "release" else [])
        assert path.stem != "release" or read(path)[True] == {"push": {"tags": ["v*"]}}
        assert "pull_request_target" not in path.read_text()
    for step in steps():
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_actions_are_pinned_by_commit() -> None:
    """A tag can be moved; a comment names the release, and one action has one pin."""
    pins = {}
    for path in WORKFLOWS:
        for line in re.findall(r"uses: (?!\./)(.*)", path.read_text()):
            action = re.fullmatch(r"(actions/[\w-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+", line)
            assert action, line
            assert pins.setdefault(action[1], action[2]) == action[2]
    assert len(pins) >= 3


def test_scripts_take_no_text_from_outside() -> None:
    """No expression stands in a script, where an input could become a command."""
    assert not [step["run"] for step in steps() if "${{" in step.get("run", "")]


def action() -> dict[str, Any]:
    return read(REPOSITORY / "action.yml")


def scripts() -> dict[str, str]:
    """The action's scripts by the ids of their steps."""
    return {step["id"]: step["run"] for step in action()["runs"]["steps"] if "run" in step}


def test_the_action_is_pinned_and_takes_no_text() -> None:
    """Its actions are those of our workflows; inputs reach its script as variables alone."""
    used = [step["uses"] for step in action()["runs"]["steps"] if "uses" in step]
    ours = {step["uses"] for step in steps() if "uses" in step}
    assert len(used) == 2 and set(used) <= ours
    assert set(scripts()) == {"key", "bench"}
    assert not any("${{" in script for script in scripts().values())


def test_a_requirement_with_a_comma_is_no_key_of_a_cache(tmp_path: Path) -> None:
    """actions/cache refuses a key with a comma; another requirement has another key."""
    keys = set()
    for asked in ("2.20 tensorflow-cpu>=2.20,<2.22 3.12", "2.20 tensorflow-cpu>=2.20,<2.21 3.12"):
        output = tmp_path / "output"
        output.write_text("")
        variables = {"ASKED": asked, "GITHUB_OUTPUT": str(output), "PATH": "/usr/bin:/bin"}
        subprocess.run(["bash", "-c", scripts()["key"]], env=variables, check=True)
        name, _, key = output.read_text().strip().partition("=")
        assert name == "of" and re.fullmatch(r"[0-9a-f]{16}", key)
        keys.add(key)
    assert len(keys) == 2
    (cache,) = [one for one in action()["runs"]["steps"] if "cache@" in one.get("uses", "")]
    assert cache["with"]["key"] == "bench-${{ steps.key.outputs.of }}"


@pytest.mark.parametrize(
    ("old", "code", "expected", "status"),
    [
        ("2.20", 1, "bench upgrade 2.20 a b --tier quick --run action --skip speed", 1),
        ("2.20", 3, "bench upgrade 2.20 a b --tier quick --run action --skip speed", 0),
        ("2.20", 2, "bench upgrade 2.20 a b --tier quick --run action --skip speed", 2),
        ("", 0, "bench run --tier quick --run action --skip speed", 0),
    ],
)
def test_the_action_measures(
    tmp_path: Path, old: str, code: int, expected: str, status: int
) -> None:
    """Two versions, or the installed one; undecided is a warning, and the code and the summary are
    outputs, whatever the answer."""
    # Stands for python, of which a venv is a folder with another of it and bench.
    stand_in = (
        '#!/bin/bash\necho "$(basename "$0") $*" >> "$LOG"\n'
        'if [ "${2:-}" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/"; '
        'cp "$0" "$3/bin/bench"; fi\n'
        'if [ "$(basename "$0")" = bench ]; then echo report >> "$GITHUB_STEP_SUMMARY"; '
        f"exit {code}; fi\n"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(stand_in)
    (tmp_path / "bin/python").chmod(0o755)
    variables = {"OLD": old, "NEW": "a b", "TIER": "quick", "ARGUMENTS": "--skip speed"}
    names = ("LOG", "RUNNER_TEMP", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    places = {name: str(tmp_path / name) for name in names}
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-c", scripts()["bench"]],
        env={**variables, **places, "ACTION": "/here", "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert {0: ": safe\n", 1: "::error", 2: "::error", 3: "::warning"}[code] in done.stdout
    assert expected in (tmp_path / "LOG").read_text().splitlines()
    told = dict(
        line.split("=", 1) for line in (tmp_path / "GITHUB_OUTPUT").read_text().splitlines()
    )
    assert told["exit-code"] == str(code)
    assert Path(told["summary"]).read_text() == "report\n"


def test_every_job_ends() -> None:
    """A job has a limit of time, of its own or by what it calls."""
    for job in jobs().values():
        called = job.get("uses") == "./.github/workflows/tox.yml"
        assert called or 0 < job["timeout-minutes"] <= 90
        assert job.get("with", {}).get("minutes", 1) <= 90
    inputs = read(GITHUB / "workflows/tox.yml")[True]["workflow_call"][
        "inputs"
    ]  # `on` reads as true
    assert 0 < inputs["minutes"]["default"] <= 90
    assert jobs("tox")["tox"]["timeout-minutes"] == "${{ inputs.minutes }}"


def test_tests_run_on_every_supported_python() -> None:
    """The matrix is the range of ``requires-python``."""
    text = (REPOSITORY / "pyproject.toml").read_text()
    low, high = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', text).groups()
    expected = {f"3.{minor}" for minor in range(int(low), int(high))}
    assert {python for environment, python in calls() if environment == "tests"} == expected


def test_ci_runs_what_tox_names() -> None:
    """Every environment that CI asks for is one of tox.ini, and CI has all that ``.ci/run`` has."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(REPOSITORY / "tox.ini")
    sections = {section.partition(":")[2] for section in tox.sections()}
    commands = set(re.findall(r"^([\w-]+): ", tox["testenv"]["commands"], re.M))
    asked = {environment for environment, _ in calls()}
    assert {re.sub(r"-tf\d+$", "", one) for one in asked} <= sections | commands
    script = re.findall(r"tox run -e (\S+)", (REPOSITORY / ".ci/run").read_text())
    assert {one for several in script for one in several.split(",")} <= asked


def test_tox_lists_no_condition_as_an_environment() -> None:
    """It takes each condition of a test environment for the name of another one; those with a "not" in
    them would make names that say nothing, so they stand in a section that it does not look through."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(REPOSITORY / "tox.ini")
    values = {name: " ".join(tox[name].values()) for name in tox.sections()}
    negated = {name for name, text in values.items() if re.search(r"(?:^|[\s,-])!\w", text)}
    assert negated == {"versions"}


# --- Hooks


def test_hooks_are_those_of_tox() -> None:
    """One version of ruff formats at a commit and is asked in CI; mypy runs in tox's environment."""
    repos = {
        repo["repo"].rpartition("/")[2]: repo
        for repo in read(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    }
    assert set(repos) == {"ruff-pre-commit", "actionlint", "local"}
    tox = (REPOSITORY / "tox.ini").read_text()
    assert f"ruff=={repos['ruff-pre-commit']['rev'].removeprefix('v')}\n" in tox
    assert re.search(r"^    mypy==[\d.]+$", tox, re.M)
    (types,) = repos["local"]["hooks"]
    assert types["entry"] == "tox run -q -e types"


def test_hooks_see_both_kinds_of_workflow() -> None:
    """actionlint reads CI's own workflows and the one for users."""
    repos = read(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    (pattern,) = [
        hook["files"] for repo in repos for hook in repo["hooks"] if hook["id"] == "actionlint"
    ]
    read_by_it = [*WORKFLOWS, REPOSITORY / "examples/github-actions.yml"]
    assert all(re.search(pattern, str(path.relative_to(REPOSITORY))) for path in read_by_it)


# --- Forms


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_ask_for_the_evidence(path: Path) -> None:
    """Each asks for the command, report.md and environment.json, in fields or within one."""
    assert all(word in path.read_text() for word in ("command", "report.md", "environment.json"))
    fields = [field["id"] for field in read(path)["body"]]
    assert len(fields) == len(set(fields))


def test_a_wrong_verdict_comes_with_its_evidence() -> None:
    """None of it may be left out."""
    fields = {field["id"]: field for field in read(GITHUB / "ISSUE_TEMPLATE/verdict.yml")["body"]}
    for name in ("command", "report", "environment"):
        assert fields[name]["validations"]["required"] is True


# --- Decisions


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_one_page(path: Path) -> None:
    """Its headings are the usual ones, and it fits on a page."""
    lines = path.read_text().splitlines()
    assert re.fullmatch(rf"# {int(path.name[:4])}\. [A-Z].*[^.]", lines[0])
    headings = [line[3:] for line in lines if line.startswith("## ")]
    assert headings == ["Context", "Decision", "Consequences", "Evidence"]
    assert len(lines) <= 60


def test_the_index_has_every_decision() -> None:
    """Numbers have no gap, and titles are those of the pages."""
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    index = (REPOSITORY / "docs/decisions/README.md").read_text()
    rows = re.findall(r"^\| \[(\d+)\]\((\S+)\) \| (.*) \|$", index, re.M)
    pages = [path.read_text().partition("\n")[0].partition(". ")[2] for path in DECISIONS]
    assert rows == [(p.name[:4], p.name, title) for p, title in zip(DECISIONS, pages, strict=True)]


def test_links_of_decisions_lead_somewhere() -> None:
    """Files and headings that pages refer to exist."""
    for path in DECISIONS:
        for target, anchor in re.findall(r"\]\((?!http)([^)#]+)#?([^)]*)\)", path.read_text()):
            text = (path.parent / target).read_text()
            titles = [
                re.sub(r"[^\w -]", "", t.lower()) for t in re.findall(r"^#+ (.*)$", text, re.M)
            ]
            assert not anchor or anchor in [title.replace(" ", "-") for title in titles]
