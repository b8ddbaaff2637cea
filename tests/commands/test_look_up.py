"""Commands that look at what is stored: runs, show, cache, data verify."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.commands import run as run_command
from bench.commands import show
from bench.commands.main import main
from bench.errors import EXIT_OK, EXIT_TROUBLE
from bench.jobs import shipped
from bench.jobs.findings import found_by
from bench.mnist import MNIST_FINGERPRINT
from bench.report.full import full_report
from bench.report.markdown import markdown, printed
from bench.results.check import Check, CheckResult, Deviation
from bench.results.writer import claim
from support.builders import flow, healthy, items, plan, stored, trained, write
from support.pages import REPOSITORY
from support.upgraded import exchange, upgraded


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_are_listed_with_their_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """The newest first; what was not judged says how to."""
    assert main(["runs"]) == EXIT_TROUBLE
    assert "holds no run and no upgrade" in capsys.readouterr().err
    for number, name in enumerate(("old", "new")):
        folder = write(healthy(Path("results") / name))
        os.utime(folder / "plan.json", (number, number))
    Path("results/old/report.md").write_text("**Safe**: 6 cells identical.\n\nmore\n")
    assert main(["runs"]) == EXIT_OK
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [
        "new run 2.21.0 + 3.15.1 no report: bench report new",
        "old run 2.21.0 + 3.15.1 Safe: 6 cells identical",
    ]
    assert main(["report", "odl"]) == EXIT_TROUBLE
    assert "did you mean old?" in capsys.readouterr().err


def test_a_run_that_is_being_measured_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """In the list, and by `bench report`, which writes nothing where the run will."""
    folder = write(healthy(Path("results/here")))
    lock = claim(folder, resume=True)
    try:
        assert main(["runs"]) == EXIT_OK
        assert "being measured now; so far: bench report here" in capsys.readouterr().out
        main(["report", "latest"])
        said = capsys.readouterr()
        assert "results/here is being measured now: what follows is the answer so far" in said.err
        assert "run here: " in said.out
        assert not (folder / "report.md").exists()
    finally:
        lock.release()
    main(["report", "latest"])
    assert "being measured" not in capsys.readouterr().err
    assert (folder / "report.md").exists()
    assert main(["runs"]) == EXIT_OK
    assert "being measured" not in capsys.readouterr().out


def test_an_upgrade_that_never_began_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It was killed, say, while its model was built."""
    Path("results/u").mkdir(parents=True)
    Path("results/u/upgrade.json").write_text("{}")
    assert main(["runs"]) == EXIT_OK
    assert "nothing was measured: delete results/u, or repeat" in capsys.readouterr().out


def test_an_answer_is_not_that_of_results_that_were_altered_since(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A report stays behind when a digit of the results behind it is changed."""
    records = write(healthy(Path("results/here"))) / "records.jsonl"
    Path("results/here/report.md").write_text("**Safe**: 6 cells identical.\n")
    assert main(["runs"]) == EXIT_OK
    assert "Safe: 6 cells identical" in capsys.readouterr().out
    records.write_bytes(
        records.read_bytes().replace(b'"test_accuracy":0.', b'"test_accuracy":0.1', 1)
    )
    assert main(["runs"]) == EXIT_OK
    text = " ".join(capsys.readouterr().out.split())
    assert "damaged since its report: results/here/records.jsonl, line 1" in text
    assert "Safe" not in text


def test_a_cell_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict, reason, each training; a part of a name does if it is one cell's alone."""
    write(healthy(Path("results/here")))
    assert main(["show", "depth:10-act:tanh"]) == EXIT_OK
    text = capsys.readouterr().out
    assert text.startswith("## depth/depth:10-act:tanh-")
    assert "**claim violated**: " in text or "**new**: " in text
    assert sum(line.startswith("| run ") for line in text.splitlines()) == 3
    assert "`bench history depth/depth:10-act:tanh-" in text
    for where in (["latest"], ["here"], ["--run", "here"]):
        assert main(["show", "depth:10-act:tanh", *where]) == EXIT_OK
        assert capsys.readouterr().out == text
    assert main(["show", "depth:10-"]) == EXIT_TROUBLE
    assert "'depth:10-' is a part of " in capsys.readouterr().err
    assert main(["show", "depth:99-"]) == EXIT_TROUBLE
    refused = capsys.readouterr().err
    assert "no result 'depth:99-'" in refused
    assert "of another run: bench show NAME RUN" in refused
    for run in ("latest", "here"):
        assert main(["show", run]) == EXIT_TROUBLE
        assert f"-> bench show CELL {run}, or all of it: bench report {run}" in (
            capsys.readouterr().err
        )


def test_a_check_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The contract's truth, the state on each side, and all that is out of bounds."""
    holding, broken = (Check(family="losses", subject=f"formula-{n}") for n in ("mse", "hinge"))
    out = Deviation(tensor="rank 3", excess=7.0, evidence="got 2, expected 1 within 0.1")
    results = [
        CheckResult(check=holding, compared=5),
        CheckResult(check=broken, compared=5, deviations=[out]),
    ]
    run = healthy(Path("results/here"))
    plan = msgspec.structs.replace(run.plan, checks=[holding, broken])
    outcomes = {**run.outcomes, **{each.check: each for each in results}}
    write(msgspec.structs.replace(run, plan=plan, outcomes=outcomes))
    assert main(["show", "formula-mse"]) == EXIT_OK
    assert "| run    | holds   |  5 tensors |" in capsys.readouterr().out
    assert main(["show", "formula-hinge"]) == EXIT_OK
    text = capsys.readouterr().out
    assert "`keras.losses.Hinge`: " in text
    assert "| out of bounds |" in text
    assert "- run, rank 3: got 2, expected 1 within 0.1" in text
    assert "(with tox: `python -m tox run -e contracts -- -k 'losses:formula-hinge'`)" in text


def test_a_saved_model_is_shown_by_the_name_that_bisect_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And that the report of the upgrade has."""
    lost = exchange("keras", error="ValueError: no")
    found = upgraded(exchanges=[lost, exchange("h5"), exchange("keras", back=True)])
    monkeypatch.setattr(show, "find_folder", lambda *_: found.folder)
    monkeypatch.setattr(show, "concluded", lambda *_: found)
    (finding,) = found_by(found)
    assert main(["show", finding.name]) == EXIT_OK
    text = capsys.readouterr().out
    assert "**broken**: mlp as model, .keras, which OLD wrote, in NEW." in text
    assert "ValueError: no" in text
    assert f"`bench bisect saved:mlp-keras --of {found.folder}`" in text
    assert f"`{finding.name}`" in markdown(full_report(found))
    assert main(["show", "saved-by-new:mlp-keras"]) == EXIT_OK
    assert "which NEW wrote, in OLD" in capsys.readouterr().out


def test_what_is_printed_has_no_comments(capsys: pytest.CaptureFixture[str]) -> None:
    """They part what GitHub would make links of, in files alone."""
    assert "#1 @all" in printed(["Known: keras #1 @all"])
    assert "#<!-- -->1" in markdown(["Known: keras #1 @all"])


def test_a_run_without_tensorflow_says_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_command, "find_spec", lambda _: None)
    assert main(["run", "--tier", "quick"]) == EXIT_TROUBLE
    refused = capsys.readouterr().err
    assert "no TensorFlow in this environment" in refused
    assert "python -m tox run -e quick" in refused


def test_a_run_with_an_unknown_option_is_trouble() -> None:
    """By the exit code of every other command, though pytest has one of its own for it."""
    command = [sys.executable, "-m", "bench.commands.main", "run", "--depths", "3"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert "unrecognized arguments: --depths" in done.stderr
    assert done.returncode == EXIT_TROUBLE


def test_a_run_of_a_grid_is_that_of_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever writes --grid, as upgrades take it, is told what pytest takes."""
    assert main(["run", "--grid", "depth"]) == EXIT_TROUBLE
    assert "-> a grid's file has its name: bench run -k test_depth" in capsys.readouterr().err
    assert all((REPOSITORY / f"suites/test_{name}.py").exists() for name in UPGRADE_GRIDS)


def test_the_cache_is_listed_and_cleared(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes by environment; what was used today stays, unless all is to go; images always stay."""
    cache = place / "cache"
    for name, days in (("fresh", 0), ("idle", 2)):
        folder = cache / "environments" / name
        folder.mkdir(parents=True)
        (folder / "environment.json").write_text(
            '{"lock": "keras==3.1\\nnumpy==2\\ntensorflow-cpu==2.21.0"}'
        )
        (folder / "file").write_bytes(b"x" * 3_000_000)
        used = time.time() - 86400 * days
        os.utime(folder, (used, used))
    (cache / MNIST_FINGERPRINT).mkdir()
    (cache / MNIST_FINGERPRINT / "all.npy").write_bytes(b"x" * 1_000_000)
    assert main(["cache", "list", "--cache", str(cache)]) == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    assert "keras==3.1 tensorflow-cpu==2.21.0" in lines[2]
    assert "3 MB" in lines[2]
    assert lines[4].split()[:4] == ["images", "MNIST", "1", "MB"]
    assert lines[-1] == f"{cache}: 7 MB in all"
    assert main(["cache", "clear", "--cache", str(cache)]) == EXIT_OK
    assert capsys.readouterr().out == f"3 MB removed, 4 MB left in {cache}\n"
    assert [path.name for path in (cache / "environments").iterdir()] == ["fresh"]
    assert main(["cache", "clear", "--all", "--cache", str(cache)]) == EXIT_OK
    assert (cache / MNIST_FINGERPRINT / "all.npy").exists()
    assert not list((cache / "environments").iterdir())
    assert main(["cache", "list", "--cache", str(place / "nowhere")]) == EXIT_OK
    assert "nothing is kept there" in capsys.readouterr().out


def test_a_directory_of_images_is_checked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without training and without a copy in the cache; other images than MNIST are told from it."""
    images, labels = np.zeros((60_000, 28, 28), np.uint8), np.zeros(60_000, np.uint8)
    np.savez(
        place / "mine.npz",
        x_train=images,
        y_train=labels,
        x_test=images[:10_000],
        y_test=labels[:10_000],
    )
    assert main(["data", "verify", "mine.npz"]) == EXIT_OK
    assert "not MNIST" in capsys.readouterr().out
    (place / "mine.npz").write_bytes(b"no")
    assert main(["data", "verify", "mine.npz"]) == EXIT_TROUBLE


def test_xavier_is_called_by_our_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that the field uses is refused with the name that we use."""
    assert main(["theory", "--init", "xavier"]) == EXIT_TROUBLE
    assert "-> glorot_normal or glorot_uniform" in capsys.readouterr().err


def test_a_wheel_brings_suites_and_baselines(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a checkout the shipped ones are used, and nothing is accepted into them; a checkout's own
    come first."""
    asked: list[list[str]] = []
    monkeypatch.setattr(pytest, "main", lambda words: asked.append(words) or 3)
    monkeypatch.setattr(shipped, "_SHIPPED", place / "shipped")
    assert main(["run", "--tier", "quick"]) == EXIT_TROUBLE
    assert "no suites" in capsys.readouterr().err
    (place / "shipped/suites").mkdir(parents=True)
    (place / "shipped/baselines").mkdir()
    assert main(["run", "--tier", "quick", "-k", "relu and not leaky", "--resume"]) == 3
    assert asked[0][0] == str(place / "shipped/suites")
    assert asked[0][-5:] == ["--tier", "quick", "-k", "relu and not leaky", "--resume"]
    write(healthy(Path("results/here")))
    words = ["accept", "here", "--yes", "--baselines", str(shipped.baselines())]
    assert main(["baseline", *words]) == EXIT_TROUBLE
    assert "part of the installed package" in capsys.readouterr().err
    (place / "suites").mkdir()
    (place / "baselines").mkdir()
    assert (shipped.suites(), shipped.baselines()) == (Path("suites"), Path("baselines"))


def test_gradients_over_time_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Geometric means over seeds, both ends among at most ten steps; none of other networks."""
    cell = Cell(architecture="simple_rnn", depth=1, width=16, activation="tanh")
    steps = [10.0 ** (number - 27) for number in range(28)]
    records = []
    for seed, (scale, first) in enumerate(((1.0, 1e-27), (4.0, 0.0))):
        at_start = [[scale * value for value in steps]]
        at_end = [[first, *steps[1:]]]
        start, end = (
            msgspec.structs.replace(flow(cell), over_time=over_time)
            for over_time in (at_start, at_end)
        )
        records.append(msgspec.structs.replace(trained(cell, seed), start=start, end=end))
    chosen = items("sequence", [cell], ("arch", "act"))
    write(stored(plan(chosen, seeds=[0, 1]), records, path=Path("results/here")))
    assert main(["show", "simple_rnn"]) == EXIT_OK
    printed = capsys.readouterr().out
    assert (
        "slopes of tanh and of gates are above 0: float32 flushes to 0 what falls below 1.2e-38"
        in (" ".join(printed.split()))
    )
    rows = [
        [part.strip() for part in line.strip("|").split("|")]
        for line in printed.splitlines()
        if line.count("|") == 4
    ]
    assert rows[0] == ["step", "before training", "after"]
    assert rows[2] == ["1", "2e-27", "0"]  # the root of 1 times 4; one seed has none
    assert rows[-1] == ["28", "2", "1"]
    assert len(rows) == 2 + 10
    write(healthy(Path("results/other")))
    assert main(["show", "depth:10-act:tanh", "--run", "other"]) == EXIT_OK
    assert "before training" not in capsys.readouterr().out
