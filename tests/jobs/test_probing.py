"""Tests of what findings show in environments whose training processes are stand-ins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import mnist
from bench.environments.prepare import Built
from bench.execution import patience
from bench.execution.cluster import Placement
from bench.jobs.asking import State
from bench.jobs.findings import Finding, everything, named, of_check, of_item
from bench.jobs.probing import Processes
from bench.results.check import Check
from support.main_jobs import FAULTY_PATH

CELL = next(finding for finding in everything() if finding.item is not None)
HELD, ABSENT, KILLED = (
    of_check(Check(family="optimizer", subject=subject))
    for subject in ("fine", "absent:optimizer", "fault:902")
)


def built(name: str, **variables: str) -> Built:
    """An environment of this interpreter."""
    return Built(
        python=Path(sys.executable),
        lock=f"keras=={name}\n",
        key=name,
        variables={"PYTHONPATH": FAULTY_PATH, **variables},
        label=name,
    )


@pytest.fixture
def ask(
    tmp_path: Path,
    images_file: Path,
    image_variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    faulty: None,
) -> object:
    """States of some findings in an environment, OLD being this one without a fault."""
    for name, value in image_variables.items():
        monkeypatch.setenv(name, value)

    def asked(findings: list[Finding], *environments: Built) -> list[dict[Finding, State]]:
        prober = Processes(
            findings,
            built("old"),
            folder=tmp_path / "asked",
            data=mnist.load(directory=images_file),
            placement=Placement(workers=2, cell_timeout_sec=60.0),
            seeds=range(3),
        )
        return [prober.states(each, turn) for turn, each in enumerate(environments)]

    return asked


def test_checks_are_right_wrong_crashed_or_nothing(ask: object) -> None:
    findings = [HELD, ABSENT, KILLED]
    fine, out = ask(findings, built("one"), built("two", FAULTY_CHECKS="1"))
    assert [fine[finding].name for finding in findings] == ["right", "", "crashed"]
    assert out[HELD].name == "wrong"
    assert "got 1, expected 2" in out[HELD].detail
    assert "no optimizer here" in fine[ABSENT].detail
    assert "SIGKILL" in fine[KILLED].detail


def test_a_release_that_hangs_does_not_take_the_whole_time_out(
    ask: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LEAST_SEC", 3.0)
    monkeypatch.setattr(patience, "PATIENCE", 0.0)
    fine, hung = ask([HELD], built("one"), built("two", FAULTY_CHECKS="hang"))
    assert fine[HELD].name == "right"
    assert hung[HELD] == State("crashed", hung[HELD].detail)
    assert "3 s" in hung[HELD].detail


def test_cells_are_held_against_old(ask: object, tmp_path: Path) -> None:
    """What OLD trained is kept: its run is there once."""
    same, changed, again = ask(
        [CELL], built("one"), built("two", FAULTY_SHIFT="0.3"), built("two", FAULTY_SHIFT="0.3")
    )
    assert same[CELL].name == "identical"
    assert changed[CELL].name == again[CELL].name == "changed"
    assert len(list((tmp_path / "asked").iterdir())) == 4


def test_an_environment_that_does_not_start_says_nothing(ask: object) -> None:
    (states,) = ask([HELD, CELL], built("broken", FAULTY_START="abort"))
    assert {state.name for state in states.values()} == {""}
    assert "did not start" in states[HELD].detail


def test_findings_are_named_by_a_part() -> None:
    known = everything()
    assert named("loops:train_on_batch-returns:loss", known).check is not None
    assert named("saved:mlp-keras", known).saved == ("mlp", "keras")
    assert named(CELL.name, known) == of_item(CELL.item)
    assert len({finding.name for finding in known}) == len(known)
