"""``bench published`` as users start it; the training processes are stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.commands import main as cli
from bench.errors import EXIT_OK, EXIT_TROUBLE
from bench.published.experiments import EXPERIMENTS
from bench.results.run import read_run
from bench.results.trial import TRIALS


@pytest.fixture
def place(tmp_path: Path, faulty: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with images, and faulty training processes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_trains_what_the_tier_has(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All trials, their results on disk, a report, the remaining time on the way; then --resume has
    nothing to do, and half a result is trained again."""
    cli.main(["published", "p3", "--run", "r", "--workers", "1"])
    output = capsys.readouterr().out
    run = read_run(place / "results" / "r")
    assert run.plan.trials == EXPERIMENTS["P3"].trials("quick")
    assert set(run.trials) == set(run.plan.trials)
    assert "4/4 trials" in output
    assert "report: results/r/report.md" in output
    assert "P3" in (place / "results" / "r" / "report.md").read_text()
    path = place / "results" / "r" / TRIALS.file
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:60])
    cli.main(["published", "P3", "--run", "r", "--workers", "1", "--resume"])
    assert path.read_bytes().splitlines(keepends=True) == lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["P9"], "no published experiment 'P9'"),
        (["P2"], "P2: not in the quick tier"),
        (["P1", "P7"], "P7: not in the quick tier"),
        (["P1", "--tier", "fast"], "no tier 'fast'"),
        (["P1", "--resume", "--run", "gone"], "results/gone: no such run"),
        (["P1", "--device", "gpu"], "no GPU"),
    ],
)
def test_bad_input(
    place: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, the reason and the way out, before anything is trained."""
    assert cli.main(["published", *arguments]) == EXIT_TROUBLE
    told = capsys.readouterr().err
    assert message in told
    assert "\n" in told.strip(), "a hint follows"
    assert not list(place.glob("results/*/plan.json"))


def test_a_crashed_trial_fails_the_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a finding about TensorFlow: exit code 1, and its name and reason are told."""
    monkeypatch.setenv("FAULTY_TRIALS", "abort")
    assert cli.main(["published", "P3", "--run", "r", "--workers", "1"]) not in (
        EXIT_OK,
        EXIT_TROUBLE,
    )
    output = capsys.readouterr().out
    assert "crashed: P3/batch norm/keras/seed 0: killed by SIGABRT" in output
    assert "SIGABRT" in (place / "results" / "r" / "report.md").read_text()
