"""Paces of a run: measured, held against what is stored, and none where cells are named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.commands.main import main
from bench.results.pace import PACES
from bench.results.run import read_run
from bench.verdict.baselines.speeds import accept, of_run
from support.main_jobs import Job


@pytest.mark.slow
def test_a_run_measures_and_compares(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """The first has nothing to compare with; stored five times under other names it gives limits."""
    output = job.run("suites/test_speed.py", "--run", "first")
    assert "nothing could be compared" in output
    run = read_run(job.folder / "results" / "first")
    assert len(run.paces) == 5
    assert all(result.crash is None for result in run.paces.values())
    for night in range(5):
        offered = of_run(run, reason="a test")
        accept(job.folder / "baselines", msgspec.structs.replace(offered, run=f"night{night}"))
    output = job.run("suites/test_speed.py", "--run", "later")
    assert "of speed and memory" in output
    folders = [
        *("--results", str(job.folder / "results")),
        *("--baselines", str(job.folder / "baselines")),
    ]
    assert main(["speed", "check", "later", *folders]) == 0
    assert "in 5 runs" in capsys.readouterr().out


@pytest.mark.slow
def test_who_names_cells_measures_none(job: Job) -> None:
    suites = ("suites/test_speed.py", "suites/test_clipping.py")
    job.run(*suites, "--axis", "depth=3", "-k", "clip:norm_0.1", "--run", "r")
    assert Path(job.folder / "results" / "r" / PACES.file).read_bytes() == b""
