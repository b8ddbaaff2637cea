"""Scripts of contracts stand alone, in 60 lines, and of what a run says only literals enter them."""

from __future__ import annotations

import ast
import re

import pytest

from bench.errors import BenchError
from bench.report.reproducer.contracts.script import contract_script
from bench.results.check import Check, Deviation

LOSS = Check(family="loops", subject="train_on_batch-returns:loss")
OUT = Deviation(
    tensor="call 1, loss",
    excess=1e5,
    evidence="got 7.95329094, expected 5.42585485 within 1.81e-05",
)
#: A contract of each kind: a loop, a closure's arguments, an object's methods, gradients of a layer, an
#: error where none is to be, and a shape.
SAMPLE = [
    (LOSS, OUT),
    (
        Check(family="models", subject="fit-outputs:list"),
        Deviation(tensor="loss", excess=None, evidence="got nan, expected 2.5 within 1e-06"),
    ),
    (
        Check(family="losses", subject="formula-tversky-alpha:0.25"),
        Deviation(tensor="all", excess=9.0, evidence="got 0.5, expected 0.25 within 1e-06"),
    ),
    (
        Check(family="layers", subject="dense-rank:3"),
        Deviation(
            tensor="gradient of weight 0",
            excess=9.0,
            evidence="got 1, expected -0.5 within 1e-06 at [4, 5]",
        ),
    ),
    (
        Check(family="seeds", subject="alpha_dropout"),
        Deviation(tensor="raises", excess=None, evidence="TypeError: no such argument"),
    ),
    (
        Check(family="loops", subject="predict-order"),
        Deviation(tensor="outputs", excess=None, evidence="shape (8, 2), expected (23, 2)"),
    ),
]


def written(check: Check, deviation: Deviation, kept: str = "keras 3.15.0") -> str:
    return contract_script(check, deviation, kept=kept, broken="keras 3.14.1")


@pytest.mark.parametrize(("check", "out"), SAMPLE, ids=[check.id for check, _ in SAMPLE])
def test_a_script_stands_alone(check: Check, out: Deviation) -> None:
    text = written(check, out)
    assert len(text.splitlines()) <= 60
    assert "bench" not in text
    nodes = list(ast.walk(ast.parse(text)))
    modules = {each.module for each in nodes if isinstance(each, ast.ImportFrom)}
    modules |= {name.name for each in nodes if isinstance(each, ast.Import) for name in each.names}
    assert modules <= {"numpy", "tensorflow", "keras", "zlib", "warnings", "math"}
    assert text.startswith(f"# keras.{'Model' if check.family in ('loops', 'models') else ''}")
    assert "Kept by keras 3.15.0, broken by keras 3.14.1" in " ".join(text.split())
    assert text == written(check, out)


def test_truth_is_a_literal_and_what_computes_it_is_left_out() -> None:
    text = written(LOSS, OUT)
    (expected,) = re.findall(r"AT, EXPECTED, BOUND = \(\), (\S+), (\S+)", text)
    assert float(expected[0]) == 5.42585485
    # half a unit of the ninth digit: 5e-9 * 5.4 = 2.7e-8
    assert float(expected[1]) == pytest.approx(1.81e-05 + 2.71e-08, rel=1e-4)
    assert "replay.loss" not in text
    assert "train_on_batch" in text


def test_what_a_run_says_is_no_code() -> None:
    """A name with quotes and ends of lines, versions with such and with a declaration of encoding."""
    name = 'call 1, loss\'\n"""; import os  # coding: latin-1 \u2028'
    hostile = Deviation(tensor=name, excess=None, evidence=OUT.evidence)
    text = written(LOSS, hostile, kept="1\nimport os\n# coding: utf-7 \u2028import os")
    assert "import os" not in {line.strip() for line in text.splitlines()}
    compile(text.encode(), "script", "exec")
    values = [each.value for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Constant)]
    assert name in values
    assert not re.search(r"^#.*coding[:=]", text, re.MULTILINE)


@pytest.mark.parametrize(
    "evidence",
    [
        "got 1, expected __import__('os') within 1",
        "got 1, expected exactly __import__('os')",
        "got 1, expected 1 within 1 at [exit()]",
        "got 1, expected exactly 1e5n",
        "shape (), expected (().__class__,)",
        "not ended after 120 s",
    ],
)
def test_evidence_that_has_no_number_is_refused(evidence: str) -> None:
    """Of a verdict without a number, and of a hostile folder, which may hold anything."""
    with pytest.raises(BenchError, match="no script can show it") as caught:
        written(LOSS, Deviation(tensor="call 1, loss", excess=None, evidence=evidence))
    assert LOSS.id in str(caught.value.hint)


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (Check(family="saving", subject="nested-format:weights"), "it imports bench.nets"),
        (Check(family="loops", subject="gone"), "is no contract"),
    ],
)
def test_what_cannot_be_cut_out_says_so(check: Check, why: str) -> None:
    with pytest.raises(BenchError, match=why):
        written(check, OUT)
