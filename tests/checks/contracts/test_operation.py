"""What the machinery of keras.ops' contracts sees, with functions of this test in Keras' place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.checks.contracts import operation
from bench.checks.contracts.operation import Operation, call
from bench.checks.contracts.ops_slopes import Slope
from bench.checks.lab import Lab

pytestmark = pytest.mark.skipif(keras.__version__ < "3", reason="Keras 2 has no ops")

X = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
TWICE = Operation("twice", lambda: [call(X)], lambda x: 2.0 * x, "2 x")


def _out(one: Operation, function: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What does not hold of a function."""
    monkeypatch.setattr(operation, "function_of", lambda _: function)
    lab = Lab(None, "cpu")  # type: ignore[arg-type]
    return [each.tensor for each in one.test(lab) if each.out]


def test_what_is_not_unique_is_compared_by_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, up to the sign."""
    one = replace(TWICE, alike=lambda parts: [np.abs(part) for part in parts])
    assert not _out(one, lambda x: x * -2.0, monkeypatch)
    assert _out(one, lambda x: x * -3.0, monkeypatch)


def test_a_gradient_is_held_against_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the truth: values alone may be right."""
    slope = Slope("square", lambda: [call(X)], np.square, "x^2")

    def without(x: Any) -> Any:
        return x * tf.stop_gradient(x)

    assert not _out(slope, tf.square, monkeypatch)
    assert _out(slope, without, monkeypatch) == ["(2x2), argument 0"]
