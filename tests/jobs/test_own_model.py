"""``--model``: bad input is told in a line, and a model is judged as cells are."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench import mnist
from bench.commands import main as cli
from bench.environments.prepare import Built
from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE, BenchError
from bench.execution.cluster import Placement
from bench.jobs import reproducers
from bench.jobs.findings import found_by, of_model
from bench.jobs.own_model import asked, still_the_same
from bench.jobs.probing import Processes
from bench.results.checksum import checksum
from bench.results.upgrade import read_upgrade
from bench.verdict.conclusion import Conclusion, of_upgrade
from bench.verdict.judgement import Verdict
from support.described import TOLD

MODELS = Path(__file__).parents[1] / "support" / "own_models.py"


def refused(text: str, arrays: Path | None = None, **sizes: int) -> str:
    """What the user is told."""
    with pytest.raises(BenchError) as told:
        asked(text, arrays=arrays, **{"steps": 10, "batch": 8, **sizes})
    return told.value.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("own_models.py", "not FILE.py:FUNCTION"),
        ("missing.py:build", "missing.py: cannot be read: No such file or directory"),
        ("text.py:build", "text.py: not Python: "),
        (f"{MODELS}:missing", "has no function missing"),
    ],
)
def test_files_and_functions_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.py").write_text("no Python at all")
    assert told in refused(text)


def test_a_function_may_be_imported_or_assigned(tmp_path: Path) -> None:
    """Whether it is one is for the training process to find out: nothing is run here."""
    file = tmp_path / "net.py"
    file.write_text("from elsewhere import build\nother = build\nraise SystemExit('was run')\n")
    for name in ("build", "other"):
        assert asked(f"{file}:{name}", arrays=None, steps=1, batch=1).function == name


@pytest.mark.parametrize("size", ["steps", "batch"])
def test_sizes_are_above_0(size: str) -> None:
    assert f"--{size} must be above 0" in refused(f"{MODELS}:functional", **{size: 0})


def save(path: Path, **arrays: Any) -> None:
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.write_bytes(b"PK nothing"), "is damaged, or no npz file"),
        (one_array, "one array, no npz file"),
        (lambda path: save(path, x=[{}], y=[1]), "is damaged, or holds pickled objects"),
        (lambda path: save(path, x=["a"], y=[1]), "'x' is of <U1, not of numbers"),
        (lambda path: save(path, x=[1.0, np.nan], y=[1, 2]), "'x' has numbers that are not finite"),
        (lambda path: save(path, x=[1, 2], y=[1]), "not as many rows in all: x (2,), y (1,)"),
        (lambda path: save(path, x=1, y=1), "not as many rows in all"),
        (lambda path: save(path), "not as many rows in all: nothing"),
    ],
)
def test_arrays_that_cannot_be_used(tmp_path: Path, write: Any, told: str) -> None:
    path = tmp_path / "arrays.npz"
    write(path)
    message = refused(f"{MODELS}:functional", path)
    assert told in message
    assert "\n" not in message


def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["upgrade", "2.20", "2.21", "--arrays", "a.npz"]) == EXIT_TROUBLE
    assert "--arrays are of a model" in capsys.readouterr().err
    words = ["upgrade", "2.20", "2.21", "--model", f"{MODELS}:functional", "--grid", "depth"]
    assert cli.main(words) == EXIT_TROUBLE
    assert "--grid selects grids, and a model is none" in capsys.readouterr().err
    assert cli.main([*words[:-2], "--skip", "cells"]) == EXIT_TROUBLE
    assert "--skip cells leaves out the model" in capsys.readouterr().err


# --- Whole upgrades, of this interpreter against itself


@pytest.fixture
def upgrade(
    tmp_path: Path,
    image_variables: dict[str, str],
    preloaded_python: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """``upgrade(function, fault, ...)``: exit code and conclusion; NEW has the fault. Scripts, which
    import TensorFlow six times, are made where a test asks for them; two seeds are compared where bits
    differ, or as many as it asks for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reproducers, "MOST", 0)
    for name, value in image_variables.items():
        monkeypatch.setenv(name, value)

    def run(function: str, fault: str = "", *words: str, seeds: int = 2) -> tuple[int, Conclusion]:
        sides = [f"--{side}-python={preloaded_python}" for side in ("old", "new")]
        code = cli.main(
            [
                *("upgrade", *sides, "--new-env", f"OWN_FAULT={fault}", "--run", "u"),
                *("--model", f"{MODELS}:{function}", "--steps", "12", "--batch", "8"),
                *("--seeds", str(seeds), "--workers", "2", *words),
            ]
        )
        return code, of_upgrade(read_upgrade(Path("results/u")))

    return run


def test_the_same_version_is_identical_and_safe(
    upgrade: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved models and all, with dropout that draws the same; the user's code runs in training
    processes alone."""
    witness = tmp_path / "processes"
    monkeypatch.setenv("OWN_WITNESS", str(witness))
    before = {*sys.modules}  # tests that train in this process import it
    code, found = upgrade("random", "", "--skip", "speed")
    assert code == EXIT_OK
    assert [j.verdict for j in found.judgements] == [Verdict.IDENTICAL] * 2
    assert {j.item.cell.engine for j in found.judgements} == {"fit", "train_on_batch"}
    assert len(found.savings) > 5
    processes = set(witness.read_text().split())
    assert processes
    assert str(os.getpid()) not in processes
    imported = {getattr(sys.modules[name], "__file__", None) for name in {*sys.modules} - before}
    assert str(MODELS) not in imported
    report = Path("results/u/report.md").read_text()
    assert "## Your model, own\\_models.random" in report.replace("own_models", "own\\_models")
    assert re.search(r"`fit`.*`accuracy`", report)


def test_another_formula_is_located_in_the_users_layer(
    upgrade: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own name, at the first step, with a script that shows it."""
    monkeypatch.setattr(reproducers, "MOST", 1)
    words = ("--skip", "speed", "--skip", "saving", "-k", "fit")
    code, found = upgrade("functional", "scale", *words, seeds=3)
    assert code == EXIT_REGRESSED
    (judgement,) = found.judgements
    assert judgement.verdict is Verdict.CHANGED
    assert judgement.envelope is not None
    departure = judgement.envelope.departure
    assert departure is not None
    assert departure.step == 0
    assert departure.tensor == "scaled, output"
    assert departure.distance == pytest.approx(0.001, rel=0.5)
    told = json.loads(Path("results/u/upgrade-report.json").read_text())
    assert told["answer"] == "not safe"
    (script, *_) = Path("results/u/reproducers").glob("*.py")
    assert len(script.read_text().splitlines()) <= 60


def test_a_model_that_cannot_be_built_any_more_is_the_first_finding(upgrade: Any) -> None:
    code, found = upgrade("functional", "build", "--skip", "speed", "--skip", "saving", "-k", "fit")
    assert code == EXIT_REGRESSED
    assert {j.verdict for j in found.judgements} == {Verdict.CRASHED}
    for judgement in found.judgements:
        assert "AttributeError: module 'tensorflow' has no attribute 'old'" in judgement.reason


def test_dropout_whose_bits_differ_is_compared_as_samples(upgrade: Any) -> None:
    _, found = upgrade("random", "scale", "--skip", "speed", "--skip", "saving", "-k", "fit")
    (judgement,) = found.judgements
    assert judgement.envelope is None
    assert "no envelope: forgetful draw from TensorFlow's own random stream" in judgement.reason


def test_findings_of_a_model_are_asked_about_again(upgrade: Any, tmp_path: Path) -> None:
    """By the names that the upgrade has, from the weights and rows that it keeps, in environments
    between the sides. Files go both ways."""
    _, found = upgrade("functional", "scale", "--skip", "speed", "-k", "fit")
    wanted = [found.judgements[0].item.name, "saved:own_models.functional-keras"]
    findings = [finding for finding in found_by(found) if finding.name in wanted]
    assert [finding.name for finding in findings] == wanted
    known = {finding.name for finding in of_model(found)}
    assert known > {finding.name for finding in found_by(found)}
    assert {each.name for each in found.savings if not each.back} < known
    prober = Processes(
        findings,
        environment("", found),
        folder=tmp_path / "asked",
        data=mnist.load(),
        placement=Placement(workers=2),
        seeds=range(2),  # whose weights were drawn
        own=str(tmp_path / "results/u/model"),
    )
    names = [
        {one.name for one in prober.states(environment(fault, found), 0).values()}
        for fault in ("", "scale", "build")
    ]
    assert names == [
        {"identical", "read back"},
        {"changed", "differs"},
        {"crashed", "read back"},
    ]


def environment(fault: str, found: Conclusion) -> Built:
    """A side of an upgrade with this fault."""
    return Built(
        python=Path(found.sides["old"].python),
        lock=f"fault=={fault}",
        key=fault,
        variables={"OWN_FAULT": fault},
        label=fault,
    )


def test_a_file_that_was_edited_since_is_another_model(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("build = 1")
    told = msgspec.structs.replace(TOLD, path=str(file), file=checksum(file.read_bytes()))
    still_the_same(told)
    file.write_text("build = 2")
    with pytest.raises(BenchError, match=r"net.py was edited since the upgrade began"):
        still_the_same(told)
    file.unlink()
    with pytest.raises(BenchError, match=r"net.py: cannot be read: No such file"):
        still_the_same(told)


def test_a_model_that_cannot_be_fed_is_trouble(
    upgrade: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("arrays.npz", x=np.zeros((20, 4)), y=np.zeros(20))
    with pytest.raises(BenchError):  # nothing was measured
        upgrade("functional", "", "--arrays", "arrays.npz")
    told = capsys.readouterr().err
    assert "the array 'x' has shape (20, 4) and does not fit the input 'numbers'" in told
