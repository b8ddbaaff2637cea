"""Contracts of keras.ops: they hold here, and each thing that is compared can be out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from bench.checks.catalogue import checks, contract_of
from bench.checks.contracts.operation import Operation, apart, call
from bench.checks.contracts.ops import promoted
from bench.checks.examiner import Examiner
from bench.checks.lab import AbsentError, Lab
from bench.nets.api import KERAS_MAJOR
from bench.report.reproducer.contracts.operations import attempts
from bench.report.reproducer.contracts.script import contract_script
from bench.results.check import Check, Deviation
from tests.checks.contracts.scripts import otherwise, status

pytestmark = pytest.mark.skipif(KERAS_MAJOR < 3, reason="keras.ops is of Keras 3")
keras = tf.keras

#: Of each table and of each kind of argument; suites run them all.
SAMPLE = (
    *("ops:exp", "ops:mod", "ops:roll", "ops:split", "ops:meshgrid", "ops:arange", "ops:top_k"),
    *("ops:select-broadcast", "ops:nonzero", "ops:quantile", "ops:cumsum", "ops:multiply-types"),
)
X = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    "check", [one for one in checks("quick", ("ops",)) if one.id in SAMPLE], ids=lambda one: one.id
)
def test_holds(check: Check) -> None:
    """Or is known to be broken in this version."""
    found = Examiner(None, "cpu").examine(check)  # type: ignore[arg-type] # no images here
    assert bool(found.wrong) == bool(found.known), found.reason
    assert found.compared or found.absent


def out(one: Operation, function: Callable[..., Any]) -> list[str]:
    """Names of what is out if ``keras.ops`` has another function of the name."""
    with mock.patch.object(keras.ops, one.name, function):
        return [each.tensor for each in one.test(Lab(None, "cpu")) if each.out]  # type: ignore[arg-type]


FLIP = Operation("flip", lambda: [call(X, axis=1)], rounds=False)


def _in_graphs_otherwise(x: Any, axis: int) -> Any:
    if isinstance(x, tf.Tensor) and not hasattr(x, "numpy"):
        return tf.reverse(x, [0])
    return keras.ops.concatenate([x[:, 3:], x[:, 2:3], x[:, 1:2], x[:, :1]], axis=axis)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, axis: x, ["(3x4, axis=1)", "(3x4, axis=1) in a graph"]),
        (lambda x, axis: keras.ops.cast(x[:, ::-1], "float64"), ["type of (3x4, axis=1)"]),
        (
            lambda x, axis: x if isinstance(x, keras.KerasTensor) else x[:, ::-1][:, :, None],
            ["(3x4, axis=1)", "symbol of (3x4, axis=1)", "(3x4, axis=1) in a graph"],
        ),
        (
            lambda x, axis: (
                keras.KerasTensor((4, 3), "float32")
                if isinstance(x, keras.KerasTensor)
                else x[:, ::-1]
            ),
            ["symbol of (3x4, axis=1)"],
        ),
        (_in_graphs_otherwise, ["(3x4, axis=1) in a graph"]),
    ],
    ids=["numbers", "type", "shape", "symbol", "graph"],
)
def test_each_part_can_be_out(function: Callable[..., Any], expected: list[str]) -> None:
    """Numbers, their type, the shape of a symbol, and numbers in a graph alone."""
    assert out(FLIP, function) == expected


def test_rounding_is_allowed_and_no_more() -> None:
    """A unit of rounding passes where a function rounds, a share of 2^-13 does not."""
    one = Operation("exp", lambda: [call(X / np.float32(4.0))])
    assert out(one, lambda x: keras.ops.power(np.float32(np.e), x)) == []
    assert out(one, lambda x: keras.ops.power(np.float32(np.e), x) * (1 + 2.0**-13)) != []
    exactly = Operation("square", lambda: [call(X)], rounds=False)
    assert out(exactly, lambda x: x * x * (1 + 2.0**-22)) != []


def test_an_option_that_this_keras_lacks_is_absent() -> None:
    """Its calls are left out; a contract without any is absent, as that of no function."""
    both = Operation("flip", lambda: [call(X), call(X, upwards=True)], rounds=False)
    assert out(both, lambda x: x[::-1, ::-1]) == []
    lacking = Operation("flip", lambda: [call(X, upwards=True)])
    with pytest.raises(AbsentError, match="no such options"):
        list(lacking.test(Lab(None, "cpu")))  # type: ignore[arg-type]
    with pytest.raises(AbsentError, match=r"has no ops\.turn"):
        list(Operation("turn", list, np.flip).test(Lab(None, "cpu")))  # type: ignore[arg-type]


def test_what_is_broken_apart_from_the_rest_hides_nothing() -> None:
    """A graph that raises is out in a contract of its own."""
    rest, graph = apart(FLIP, "graph")
    assert (rest.subject, graph.subject) == ("flip", "flip-graph")
    assert out(rest, _in_graphs_otherwise) == []
    assert out(graph, _in_graphs_otherwise) == ["(3x4, axis=1) in a graph"]


@pytest.mark.parametrize(
    ("subject", "prefix", "suffix"),
    [("argmax", "", ""), ("argmax", "type of ", ""), ("roll", "type of ", ""),
     ("roll", "symbol of ", ""), ("roll", "", " in a graph"), ("top_k", "", "[1]")],
)  # fmt: skip
def test_scripts(subject: str, prefix: str, suffix: str) -> None:
    """A script of each part ends with 0 here, and with 1 of another truth."""
    check = Check(family="ops", subject=subject)
    contract = contract_of(check)
    assert contract is not None
    found = next(
        each
        for each in contract.test(Lab(None, "cpu"))  # type: ignore[arg-type]
        if each.tensor.startswith(prefix or "(") and each.tensor.endswith(suffix or ")")
    )
    text = contract_script(check, found, kept="one", broken="another")
    assert status(text) == 0
    assert status(otherwise(text)) == 1


def test_a_call_that_raises_is_shown_by_a_script() -> None:
    """All calls are made; none raises here."""
    raised = Deviation(tensor="raises", excess=None, evidence="Error")
    text = contract_script(Check(family="ops", subject="roll"), raised, kept="a", broken="b")
    assert status(text) == 0
    assert status(text.replace("ops.roll(", "ops.roll('text', ")) == 1


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("bool", "int8", "int8"),
        ("uint8", "int8", "int16"),
        ("uint32", "int32", "int64"),
        ("int64", "float16", "float16"),
        ("float16", "bfloat16", "float32"),
        ("float32", "float64", "float64"),
    ],
)
def test_promotion(one: str, other: str, expected: str) -> None:
    """Rows of JAX' table, either way round."""
    assert promoted(one, other) == promoted(other, one) == expected


def test_a_call_that_is_made_in_graphs_alone_is_shown_in_one() -> None:
    """At once it may end the process, as pooling to a size of 1 does."""
    [alone] = apart(FLIP, "graph")[1:]
    lines = attempts(alone, Check(family="ops", subject="flip-graph"))
    calls = [line for line in lines if line.startswith("got")]
    assert len(calls) == 1
    assert "tf.function" in calls[0]
