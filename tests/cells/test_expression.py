"""``-k`` outside pytest means what it means inside."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from _pytest.mark.expression import Expression
from hypothesis import given

from bench.cells.expression import compile_expression
from bench.errors import BenchError

NAMES = [
    "depth/depth:3-act:relu-init:he_normal",
    "depth/depth:30-act:relu-init:he_normal",
    "depth/depth:3-act:tanh-init:normal_0.01",
    "clipping/depth:3-clip:value_1.0",
]
words = st.sampled_from(["depth:3-", "depth", "RELU", "tanh", "0.01", "clipping/", "zzz"])
expressions = st.recursive(
    words,
    lambda inner: st.one_of(
        st.builds("not {}".format, inner),
        st.builds("({})".format, inner),
        st.builds("{} and {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2, 3]),
        ("  ", [0, 1, 2, 3]),
        ("depth:3-", [0, 2, 3]),
        ("depth:3- and relu", [0]),
        ("not depth:3-", [1]),
        ("clipping/ or tanh", [2, 3]),
        ("depth/ and not (tanh or depth:30-)", [0]),
        ("tanh or relu and depth:30-", [1, 2]),
    ],
)
def test_selects(text: str, expected: list[int]) -> None:
    """Words are parts of names; not before and before or."""
    matches = compile_expression(text)
    assert [index for index, name in enumerate(NAMES) if matches(name)] == expected


@given(expressions)
def test_agrees_with_pytest(text: str) -> None:
    """pytest itself decides alike on every name."""
    ours, theirs = compile_expression(text), Expression.compile(text)
    for name in NAMES:
        lowered = name.lower()
        assert ours(name) == theirs.evaluate(lambda word, **_: word.lower() in lowered)  # noqa: B023


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth=3", "unexpected '=' at column 6"),
        ("a and", "expected a word, 'not' or '(' at column 6"),
        ("or a", "expected a word, 'not' or '(' at column 1"),
        ("(a", "a bracket is not closed at column 3"),
        ("a b", "unexpected 'b' at column 3"),
        ("a)", "unexpected ')' at column 2"),
        ("()", "expected a word, 'not' or '(' at column 2"),
    ],
)
def test_bad_expression(text: str, message: str) -> None:
    """The message has the expression and the place."""
    with pytest.raises(BenchError, match=re.escape(f"-k {text!r}: {message}")):
        compile_expression(text)
