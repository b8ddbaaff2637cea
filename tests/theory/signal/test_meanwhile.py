"""Predictions that a second process makes are those that this one would make."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from bench.cells.cell import Cell
from bench.results import aside
from bench.results.aside import Aside
from bench.theory.signal import meanfield, meanwhile
from bench.theory.signal.meanfield import Prediction, predict
from bench.theory.signal.meanwhile import predicted_meanwhile
from support.builders import items, plan, stored, trained, write

#: No other test predicts these.
CELLS = [Cell(depth=4, activation=name, width=87) for name in ("relu", "tanh")]


class Killed(Aside):
    def submit(self, *request: Any) -> None:
        os.kill(self.pid, signal.SIGKILL)
        super().submit(*request)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of :data:`CELLS`, which counts as large."""
    monkeypatch.setattr(aside, "_cores", lambda: 2)
    monkeypatch.setattr(meanwhile, "LARGE", 0)
    monkeypatch.setattr(meanfield, "PREDICTED", {})
    run = stored(
        plan(items("depth", CELLS, ("depth", "act")), seeds=[0]),
        [trained(cell, 0) for cell in CELLS],
        path=tmp_path / "run",
    )
    return write(run)


def known() -> list[Prediction]:
    return [*meanfield.PREDICTED.values()]


def test_cells_are_predicted_while_the_block_runs(folder: Path) -> None:
    with predicted_meanwhile(folder):
        assert not known()
    found = known()
    meanfield.PREDICTED.clear()
    assert found == [predict(cell) for cell in CELLS] == known()


def test_a_killed_process_leaves_it_to_whoever_asks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meanwhile, "Aside", Killed)
    with predicted_meanwhile(folder):
        pass
    assert not known()
    assert predict(CELLS[0]) is not None


def test_a_damaged_plan_is_not_told_here(folder: Path) -> None:
    (folder / "plan.json").write_text("{")
    with predicted_meanwhile(folder, folder / "absent"):
        pass
    assert not known()


def test_an_error_of_the_block_ends_the_process(folder: Path) -> None:
    with pytest.raises(KeyError), predicted_meanwhile(folder):
        raise KeyError
    assert not known()


def test_a_small_run_starts_no_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meanwhile, "LARGE", 1 << 20)
    monkeypatch.delattr(meanwhile, "Aside")
    with predicted_meanwhile(folder):
        pass
    assert not known()
