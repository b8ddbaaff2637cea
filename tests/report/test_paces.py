"""Speed and memory of a run: answer, exit code, report and history."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.commands.main import main
from bench.report.full import full_report
from bench.report.markdown import markdown
from bench.report.terminal import summary_lines
from bench.results.files import write_atomically
from bench.results.kind import Crash
from bench.results.live import LIVE, Compared, Live
from bench.results.pace import PaceResult
from bench.results.run import StoredRun
from bench.verdict.baselines.speeds import accept
from bench.verdict.conclusion import Answer, Conclusion, against_baseline
from support.builders import environment, plan, write
from support.builders import stored as stored_run
from support.paces import FIT, result, stored


@pytest.fixture
def baselines(tmp_path: Path) -> Path:
    """Eight nights of TensorFlow 2.21, whose steps differ by a percent."""
    random = np.random.default_rng(1)
    for night in range(8):
        step = 2.0 * float(np.exp(random.normal(0, 0.01)))
        accept(tmp_path / "baselines", stored(night, [result(step=step)]))
    return tmp_path / "baselines"


def run(path: Path, found: PaceResult, *, tensorflow: str = "2.22.0") -> StoredRun:
    planned = msgspec.structs.replace(plan([]), paces=[found.pace])
    started = {"started": f"2026-11-21T03:15:0{len(path.name)}Z"}
    of = environment(software={"tensorflow": tensorflow}, run=started)
    made = stored_run(planned, [], path=path, of=of)
    return msgspec.structs.replace(made, outcomes={found.pace: found})


def concluded(made: StoredRun, baselines: Path) -> Conclusion:
    return against_baseline(made, None, speeds=baselines)


def live(path: Path, factor: float) -> None:
    random = np.random.default_rng(3)
    noise = np.exp(random.normal(0, 0.004, (8, 4, 4, 2)))
    seconds = np.array([1.0, factor, 1.0, factor])[None, None, :, None] * noise
    compared = Compared(pace=FIT, quantity="step", rounds=seconds.tolist())
    found = Live(sides={"old": "2.21.0", "new": "2.22.0"}, compared=[compared])
    write_atomically(path / LIVE, msgspec.json.encode(found))


def test_within_limits_is_safe(tmp_path: Path, baselines: Path) -> None:
    found = concluded(run(tmp_path / "r", result()), baselines)
    assert (found.answer, found.exit_code) == (Answer.SAFE, 0)
    assert found.because == ["4 numbers of speed and memory within this machine's limits"]


def test_numbers_have_units(tmp_path: Path, baselines: Path) -> None:
    """Times say what they are multiples of; on a GPU, where nothing is calibrated, they are seconds."""
    text = markdown(full_report(concluded(run(tmp_path / "r", result()), baselines)))
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    shown = {row[2]: row[3] for row in rows if row[1:2] == ["training, MLP of depth 3, fit"]}
    assert shown == {
        "time of a step": "2 × calibration",
        "time to the first step": "50 × calibration",
        "memory at peak": "20 MiB",
        "growth of memory": "0.1 KiB/step",
    }
    assert "The calibration is a matrix product" in text
    gpu = run(tmp_path / "g", result(device="gpu"))
    told = markdown(full_report(concluded(gpu, tmp_path / "none")))
    assert "| 0.02 s " in told.replace("  ", "")
    assert "calibration" not in told


def test_beyond_is_undecided_and_names_what_decides(tmp_path: Path, baselines: Path) -> None:
    found = concluded(run(tmp_path / "r", result(step=2.4)), baselines)
    assert (found.answer, found.exit_code) == (Answer.UNDECIDED, 3)
    text = markdown(full_report(found))
    assert "Beyond this machine's limits" in text
    assert "speed check" in text and "--decide" in text
    assert "beyond: to be decided side by side" in text
    assert "to be decided side by side" in " ".join(" ".join(summary_lines(found)).split())


@pytest.mark.parametrize(
    ("factor", "answer", "code"), [(1.1, Answer.UNSAFE, 1), (1.0, Answer.SAFE, 0)]
)
def test_side_by_side_decides(
    tmp_path: Path, baselines: Path, factor: float, answer: Answer, code: int
) -> None:
    (tmp_path / "r").mkdir()
    live(tmp_path / "r", factor)
    found = concluded(run(tmp_path / "r", result(step=2.4)), baselines)
    assert (found.answer, found.exit_code) == (answer, code)
    text = markdown(full_report(found))
    assert "side by side" in text


def test_nothing_stored_is_nothing_compared(tmp_path: Path) -> None:
    found = concluded(run(tmp_path / "r", result()), tmp_path / "none")
    assert found.exit_code == 3
    assert found.because == ["nothing could be compared"]


def test_a_crash_while_measured_counts(tmp_path: Path, baselines: Path) -> None:
    crash = FIT.crashed(Crash(reason="signal", message="killed by SIGSEGV"))
    found = concluded(run(tmp_path / "r", crash), baselines)
    assert found.exit_code == 1
    assert "crashed while measured" in found.because[0]


def test_commands(tmp_path: Path, baselines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """check, accept, history with its figure, export."""
    results = tmp_path / "results"
    for name, step in (("night", 2.0), ("night-b", 2.5)):
        made = run(results / name, result(step=step))
        write(made)
    folders = ["--results", str(results), "--baselines", str(baselines)]
    assert main(["speed", "check", "night", *folders]) == 0
    assert "4 within this machine's limits" in capsys.readouterr().out
    assert main(["speed", "check", "night-b", *folders]) == 3
    assert main(["speed", "check", "night-b", "--allow-undecided", *folders]) == 0
    assert main(["speed", "accept", "night-b", "--reason", "as meant", *folders]) == 0
    assert main(["speed", "accept", "night-b", "--reason", "twice", *folders]) == 2
    assert "has the run night-b already" in capsys.readouterr().err
    picture, file = tmp_path / "speed.svg", tmp_path / "night.json"
    assert main(["speed", "history", "fit", "--plot", str(picture), *folders]) == 0
    assert "1 step in 10 runs" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"<?xml")
    assert main(["speed", "export", "night-3", "--output", str(file), *folders]) == 0
    assert main(["speed", "check", str(file), *folders]) == 0
    assert main(["speed", "history", "cnn", *folders]) == 2
    assert main(["speed", "history", "fit", "--quantity", "x", *folders]) == 2
