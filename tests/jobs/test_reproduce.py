"""Reproduce: scripts are short, self-contained and show a difference if, and only if, there is one."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import assume, given, settings

from bench.cells.cell import ENGINES, LOSSES, Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.errors import BenchError
from bench.jobs.reproduce import SEEDS, Reproduction, check, steps_to_show
from bench.report.reproducer.body import COLUMNS
from bench.report.reproducer.script import LINES, script, watched
from bench.results.plan import Item
from bench.verdict.judgement import Departure, EnvelopeTest, Judgement, Verdict
from support.strategies import cells

VERSIONS = ("2.12.1", "2.21.0")
REASON = (
    "losses leave the rounding envelope at step 3, up to 14.2 times beyond it at step 60 (12 copies "
    "over 3 seeds; sharp for 140 of 200 steps); it begins in layer 2, kernel, which departs by 0.0013 "
    "of its size before step 1 (at step 0 all was within rounding), where rounding explains 1.3e-06"
)
QUICK = {
    item: cell for grid in UPGRADE_GRIDS.values() for item, cell in grid.cells("quick").items()
}


def judged(
    cell: Cell,
    verdict: Verdict = Verdict.CHANGED,
    *,
    reason: str = REASON,
    rung: str = "envelope",
    first_step: int | None = None,
    departure: Departure | None = None,
) -> Judgement:
    """A judgement of one cell; with an envelope's test where a step or a departure is given."""
    test = EnvelopeTest(
        copies=12,
        seeds=3,
        steps=200,
        inside=False,
        starts=0,
        first_step=first_step,
        ratio=14.2,
        worst_step=60,
        strays=3,
        sharp_steps=140,
        risk=0.0,
        departure=departure,
    )
    return Judgement(
        item=Item(grid="depth", id=cell.id(("depth",)), cell=cell),
        verdict=verdict,
        reason=reason,
        rung=rung,
        envelope=test if first_step is not None or departure else None,
    )


def begins(tensor: str, step: int = 1) -> Departure:
    """A difference that begins in a tensor."""
    return Departure(step=step, earlier=None, tensor=tensor, distance=1e-3, allowed=1e-6)


def written(cell: Cell, *, steps: int = 20) -> str:
    """The script of a cell that was judged changed."""
    return script(judged(cell), seed=0, steps=steps, versions=VERSIONS)


def fits(text: str) -> None:
    """Checks what holds for every script."""
    compile(text, "script.py", "exec")
    lines = text.splitlines()
    assert len(lines) <= LINES == 60
    assert max(map(len, lines)) <= COLUMNS == 100
    assert not [line for line in lines if line != line.rstrip()]
    imported = {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported == {"json", "numpy", "tensorflow"}
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    assert lines[0].startswith("# TensorFlow 2.12.1 and 2.21.0: ")


@pytest.mark.slow
def test_every_cell_of_the_quick_tier() -> None:
    """Each gives a script of at most 60 lines of 100 characters that compiles and imports NumPy and
    TensorFlow alone, but for dropout. Transformers take all lines: their scripts lack the reason."""
    assert len(QUICK) > 200
    for cell in QUICK.values():
        if not cell.dropout:
            text = written(cell)
            fits(text)
            reasoned = "\n# losses leave the rounding envelope" in text
            assert reasoned or cell.architecture == "transformer"


@settings(max_examples=40, deadline=None)
@given(
    cells(),
    st.sampled_from(ENGINES),
    st.sampled_from(LOSSES),
    st.integers(0, 9),
    st.integers(1, 200),
)
def test_any_cell(cell: Cell, engine: str, loss: str, seed: int, steps: int) -> None:
    """Any dense or tutorial's cell without dropout has such a script, in every engine and with either
    loss."""
    assume(cell.architecture in ("mlp", "residual", "cnn"))
    even = 2 * cell.steps
    cell = msgspec.structs.replace(cell, engine=engine, loss=loss, dropout=0.0, steps=even)
    fits(script(judged(cell), seed=seed, steps=steps, versions=VERSIONS))


@pytest.mark.parametrize("grid", ["sequence", "attention", "convdepth"])
def test_every_cell_of_grids_of_other_networks(grid: str) -> None:
    """In every tier."""
    for cell in UPGRADE_GRIDS[grid].cells("full").values():
        fits(written(cell))


@given(st.text())
def test_any_reason(reason: str) -> None:
    """What a crashed process printed stays a comment: no reason adds a statement to the script."""
    text = script(judged(Cell(), reason=reason), seed=0, steps=20, versions=VERSIONS)
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(written(Cell())))


HOSTILE = (
    "2.21.0\nimport os",
    "2.21.0\rimport os",
    "2.21.0\x0cimport os",
    "2.21.0\u2028import os",
    "",
    "2" * 41,
    "coding: utf-7 +AAo-import os",
    '"""',
)


@pytest.mark.parametrize("version", HOSTILE)
def test_a_version_that_is_none(version: str) -> None:
    """It comes from a file that anybody may have written: it enters no script."""
    with pytest.raises(BenchError, match="no version"):
        script(judged(Cell()), seed=0, steps=20, versions=("2.12.1", version))


@pytest.mark.parametrize("version", ["2.15.0.post1", "2.21.0-rc1", "2.22.0-dev20261101", "9.9.9"])
def test_versions_there_are(version: str) -> None:
    text = script(judged(Cell()), seed=0, steps=20, versions=(version, version))
    assert f"# TensorFlow {version} and {version}: " in text


@pytest.mark.parametrize("reason", [*HOSTILE, "vim: set coding=utf-7: +AAo-import os+AAo-"])
def test_a_reason_does_not_choose_how_python_reads_the_file(reason: str) -> None:
    """A cookie in the second line (PEP 263) could make statements of a comment."""
    text = script(judged(Cell(), reason=reason), seed=0, steps=20, versions=VERSIONS)
    assert ast.dump(ast.parse(text.encode())) == ast.dump(ast.parse(written(Cell()).encode()))


@pytest.mark.parametrize("tensor", HOSTILE)
def test_a_tensor_that_is_none(tensor: str) -> None:
    """Only names that the cell's own tensors have are printed."""
    text = script(
        judged(Cell(), first_step=3, departure=begins(tensor)), seed=0, steps=20, versions=VERSIONS
    )
    assert ast.dump(ast.parse(text.encode())) == ast.dump(ast.parse(written(Cell()).encode()))


def test_only_what_the_cell_needs() -> None:
    """The optimizer has the cell's arguments; layers that it lacks are not there."""
    cell = Cell(
        optimizer="lamb", learning_rate=0.01, weight_decay=0.02, clipping="norm_0.5", depth=7
    )
    text = written(cell)
    assert "Lamb(learning_rate=0.01, weight_decay=0.02, clipnorm=0.5)" in text
    assert "for _ in range(7):" in text
    assert not re.search(r"Normalization|Conv2D|Dropout|Rescaling|bias_init|fit\(|jit", text)


def test_names_of_numbers_are_their_places() -> None:
    """WATCHED counts loss, logits, gradients, trainable weights, moving statistics: the first tensor
    that departed is among them whatever layer it is in."""
    cell = Cell(depth=50, normalization="batch")
    names = watched(judged(cell, departure=begins("layer 37, kernel, gradient")))
    trainable = 50 * 4 + 2
    assert names[0] == "loss" and names[1] == "logits"
    assert names[2] == "layer 1 kernel gradient"
    assert names[2 + 36 * 4] == "layer 37 kernel gradient"
    assert names[2 + 50 * 4] == "output layer kernel gradient"
    assert names[2 + trainable] == "layer 1 kernel"
    assert names[2 + 2 * trainable] == "layer 1 moving mean"
    assert "layer 37 kernel" not in names.values()


def test_fit_shows_no_gradients() -> None:
    """What Model.fit does between two batches cannot be seen: loss and weights only."""
    names = watched(judged(Cell(depth=1, engine="fit", normalization="batch")))
    assert names == {
        0: "loss",
        1: "layer 1 kernel",
        2: "layer 1 bias",
        3: "layer 1 gamma",
        5: "output layer kernel",
        6: "output layer bias",
        7: "layer 1 moving mean",
        8: "layer 1 moving variance",
    }


@pytest.mark.parametrize(
    ("judgement", "message"),
    [
        (judged(Cell(), Verdict.IDENTICAL), "both versions train it bit for bit alike"),
        (judged(Cell(), Verdict.ROUNDING), "the versions differ by rounding alone"),
        (judged(Cell(), Verdict.NEW), "there is nothing to compare with"),
        (judged(Cell(), Verdict.CLAIM_VIOLATED), "a claim is held against theory"),
        (
            judged(Cell(), reason="Keras 2.12.0 has no optimizer Lamb", rung="absent"),
            "no optimizer",
        ),
        (judged(Cell(dropout=0.5)), "dropout draws its random numbers in the framework"),
    ],
    ids=lambda value: value.verdict.value if isinstance(value, Judgement) else "",
)
def test_what_no_script_can_show(judgement: Judgement, message: str) -> None:
    """Such a cell is refused with the reason and what to do instead."""
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        script(judgement, seed=0, steps=20, versions=VERSIONS)
    assert caught.value.hint
    assert judgement.item.id in caught.value.message


def test_a_crash_with_dropout_has_a_script() -> None:
    """To see a crash, no number has to agree."""
    text = script(judged(Cell(dropout=0.5), Verdict.CRASHED), seed=0, steps=20, versions=VERSIONS)
    fits(text)
    assert "Dropout(0.5, seed=1)" in text
    assert "fails in one of them" in text


@pytest.mark.parametrize(
    ("judgement", "steps"),
    [
        (judged(Cell()), 20),
        (judged(Cell(steps=5)), 5),
        (judged(Cell(), first_step=60, departure=begins("layer 1, kernel", 10)), 22),
        (judged(Cell(), first_step=40), 82),
        (judged(Cell(), departure=begins("layer 1, kernel", 100)), 202),
        (judged(Cell(steps=1), first_step=0), 2),
    ],
)
def test_steps_to_show(judgement: Judgement, steps: int) -> None:
    """Twice as many as the difference took, 2 (t + 1); 20 at least, as many as the cell has at
    most; and never fewer than the two that a script needs."""
    assert steps_to_show(judgement) == steps


# --- Runs. What stands for a script below prints what a script does, without TensorFlow.


class Here(NamedTuple):
    """This interpreter under some variables."""

    variables: Mapping[str, str] = {}
    python: str = sys.executable


FAKE = """
import json, os, sys, time
SEED, STEPS = 0, 3
print(json.dumps({"tensorflow": os.environ["VERSION"], "numpy": "1"}), flush=True)
changed = float(os.environ.get("CHANGED", "0")) if str(SEED) in os.environ.get("AT", "012") else 0.0
for step in range(STEPS):
    numbers = {"loss": 2.0 + SEED, "kernel": 1.0 + (changed if step == 2 else 0.0)}
    print(json.dumps({"step": step, "numbers": numbers, "rounding": {"loss": 1e-6, "kernel": 1e-4}}))
exec(os.environ.get("END", ""))
"""


def compared(
    tmp_path: Path,
    new: Mapping[str, str],
    old: Mapping[str, str] | None = None,
    *,
    timeout_sec: float = 60.0,
    seeds: int = SEEDS,
) -> Reproduction:
    path = tmp_path / "fake.py"
    path.write_text(FAKE)
    return check(
        path,
        old=Here({"VERSION": "1", **(old or {})}),
        new=Here({"VERSION": "2", **new}),
        timeout_sec=timeout_sec,
        seeds=seeds,
    )


def test_a_change_under_every_seed_is_shown(tmp_path: Path) -> None:
    """The first step and the number that is furthest out are named: 1.25 for 1, 2500 times 1e-4."""
    found = compared(tmp_path, {"CHANGED": "0.25"})
    assert found.shown
    assert (found.step, found.name, found.old, found.new) == (2, "kernel", 1.0, 1.25)
    assert found.ratio == pytest.approx(2500)
    assert found.seeds == list(range(SEEDS))
    assert found.versions == ("1", "2")
    assert found.reason == (
        "kernel at step 2 is 1 in the old version and 1.25 in the new one: 2.5e+03 times what "
        "rounding explains"
    )
    # 9 copies over 3 seeds: 3!/18^3 + (3/(9e))^3.
    assert found.risk == pytest.approx(6 / 18**3 + (3 / (9 * 2.718281828)) ** 3)


@pytest.mark.parametrize(
    ("new", "reason", "seeds"),
    [
        ({}, "not shown: no number differs at all", [0]),
        (
            {"CHANGED": "0.00005"},
            "not shown: at most 0.5 of what rounding explains, kernel at step 2",
            [0],
        ),
        (
            {"CHANGED": "0.25", "AT": "01"},
            "not shown: what differs under one seed does not under another",
            [0, 1, 2],
        ),
    ],
    ids=["same", "rounding", "one seed without"],
)
def test_what_is_not_shown(
    tmp_path: Path, new: Mapping[str, str], reason: str, seeds: list[int]
) -> None:
    """Equal numbers, a difference within rounding, and one that a seed lacks: the reason says how near
    it came, and no further seed is run."""
    found = compared(tmp_path, new)
    assert (found.shown, found.reason, found.seeds) == (False, reason, seeds)
    assert found.step is None


def test_not_finite_on_one_side(tmp_path: Path) -> None:
    """NaN where the other version has a number is a change without a ratio; NaN in both is none."""
    found = compared(tmp_path, {"CHANGED": "nan"})
    assert (found.shown, found.step, found.name) == (True, 2, "kernel")
    assert (found.old, found.new, found.ratio) == (1.0, None, None)
    assert "no rounding explains that" in found.reason
    assert not compared(tmp_path, {"CHANGED": "nan"}, {"CHANGED": "nan"}).shown


def test_a_failure_on_one_side(tmp_path: Path) -> None:
    """The script shows a crash that only one side has, with the last line and the output's end."""
    found = compared(tmp_path, {"END": "raise RuntimeError('no kernel')"})
    assert found.shown
    assert found.reason == (
        "the script fails in the new version only: it ended with status 1: RuntimeError: no kernel"
    )
    assert found.errors[0] == ""
    assert "Traceback" in found.errors[1]
    killed = compared(tmp_path, {}, {"END": "os.kill(os.getpid(), 6)"})
    assert killed.shown
    assert killed.reason.startswith(
        "the script fails in the old version only: it was killed by SIG"
    )


def test_a_failure_on_both_sides(tmp_path: Path) -> None:
    """It shows no difference, and is not run again."""
    end = {"END": "raise SystemExit(3)"}
    found = compared(tmp_path, end, end)
    assert not found.shown
    assert found.seeds == [0]
    assert "the old version under 1 of 1 seeds: it ended with status 3" in found.reason


def test_a_hang_has_a_deadline(tmp_path: Path) -> None:
    """What does not end is ended, and has failed."""
    found = compared(tmp_path, {"END": "time.sleep(600)"}, timeout_sec=1.5, seeds=1)
    assert found.shown
    assert found.reason.endswith("new version only: it had not ended after 2 s")


def test_trouble_is_no_finding(tmp_path: Path) -> None:
    """No TensorFlow, no interpreter, no script: these say nothing about a version."""
    path = tmp_path / "fake.py"
    path.write_text("import no_tensorflow\nSEED, STEPS = 0, 3\n")
    with pytest.raises(BenchError, match="did not come so far as to import TensorFlow"):
        check(path, old=Here(), new=Here(), timeout_sec=60)
    with pytest.raises(BenchError, match="does not start"):
        check(path, old=Here(python=str(tmp_path / "python")), new=Here(), timeout_sec=60)
    path.write_text("print()\n")
    with pytest.raises(BenchError, match="has no line 'SEED"):
        check(path, old=Here(), new=Here(), timeout_sec=60)
    with pytest.raises(BenchError, match="cannot be read"):
        check(tmp_path / "absent.py", old=Here(), new=Here(), timeout_sec=60)


PLANT = """
import os
import tensorflow as tf
tf.keras.layers.LeakyReLU = lambda: tf.keras.layers.Activation(
    lambda x: tf.maximum(x, float(os.environ["SLOPE"]) * x)
)
"""


@pytest.mark.parametrize(("slope", "shown"), [("0.2", True), ("0.3", False)])
@pytest.mark.slow
def test_a_planted_slope(tmp_path: Path, preloaded_python: str, slope: str, *, shown: bool) -> None:
    """A real script under this TensorFlow. A slope of .2 for .3 shows from the first step on; .3
    itself, computed by another function, does not."""
    (tmp_path / "sitecustomize.py").write_text(PLANT)
    path = tmp_path / "script.py"
    cell = Cell(depth=1, width=20, activation="leaky_relu", batch=20, engine="function")
    path.write_text(written(cell, steps=2))
    old = Here(python=preloaded_python)
    new = old._replace(variables={"PYTHONPATH": str(tmp_path), "SLOPE": slope})
    found = check(path, old=old, new=new, timeout_sec=300, seeds=1)
    assert found.shown == shown, found.reason
    if shown:
        assert found.step == 0
        assert found.ratio is not None and found.ratio > 1000
