"""The script of a user's model imports the user's file, and fits into 60 lines."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.report.reproducer.own_model import own_script
from bench.report.reproducer.script import LINES
from bench.results.plan import Item
from bench.verdict.judgement import Judgement, Verdict
from support.described import TOLD
from support.upgraded import ITEMS, outside


def script(verdict: Verdict = Verdict.CHANGED, tensor: str = "", **changes: Any) -> str:
    told = msgspec.structs.replace(TOLD, **changes)
    cell = Cell(own=told.model, engine="fit", batch=4, steps=20)
    judgement = Judgement(
        item=Item(grid="model", id=cell.id(), cell=cell),
        verdict=verdict,
        reason="losses leave the rounding envelope at step 1, " * 9,
        rung="envelope",
        envelope=outside(ITEMS[0], tensor).envelope,
    )
    versions = ("2.15.1", "2.16.2")
    return own_script(judgement, told, Path("results/u/model"), steps=9, versions=versions)


@pytest.mark.parametrize("changes", [{}, {"losses": {}}, {"named": False}])
def test_it_is_python_of_at_most_60_lines(changes: Any) -> None:
    text = script(**changes)
    ast.parse(text)
    assert len(text.splitlines()) <= LINES
    assert text.startswith("# TensorFlow 2.15.1 and 2.16.2: they train a network differently.")
    assert 'MODEL = "/home/me/net.py"' in text
    assert "SEED, STEPS, BATCH, COPIES = 0, 9, 4, 3" in text
    assert "FACTOR = 10.0" in text  # sqrt(600 / 6)


def test_what_is_evaluated_otherwise_is_evaluated_in_the_script() -> None:
    """Where the change begins there, losses and weights of training show nothing."""
    text = script(tensor="amount_loss of the held-out rows, inference")
    ast.parse(text)
    assert len(text.splitlines()) <= LINES
    assert "HELD = slice(8, None)" in text
    assert "model.evaluate(*parts, batch_size=BATCH" in text
    assert "evaluate" not in script(tensor="hidden, output")


def test_a_model_that_is_not_compiled_gets_its_losses() -> None:
    assert (
        "SparseCategoricalCrossentropy(from_logits=True), tf.keras.losses.MeanSquaredError()"
        in script()
    )
    assert "model.compile" not in script(losses={})


def test_random_layers_are_refused() -> None:
    random = msgspec.structs.replace(TOLD.model, random=("forgetful",))
    with pytest.raises(BenchError, match="forgetful draw random numbers in the framework"):
        script(model=random)
    assert script(Verdict.CRASHED, model=random)


def test_equal_models_are_refused() -> None:
    with pytest.raises(BenchError, match="both versions train it bit for bit alike"):
        script(Verdict.IDENTICAL)
