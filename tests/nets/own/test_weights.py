"""Weights are matched by name, then by name without numbers, then by shape."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.nets.own.weights import matched, named


def model(**shapes: tuple[int, ...]) -> Any:
    """A model with these weights: what :func:`named` asks of one."""
    weights = [
        SimpleNamespace(path=name.replace("__", "/"), shape=shape) for name, shape in shapes.items()
    ]
    return SimpleNamespace(weights=weights)


def pairs(stored: dict[str, tuple[int, ...]], **shapes: tuple[int, ...]) -> dict[str, str]:
    return {name: found.path for name, found in matched(stored, model(**shapes)).items()}


def test_names_come_before_places() -> None:
    stored = {"a/kernel": (2, 2), "b/kernel": (2, 2)}
    assert pairs(stored, b__kernel=(2, 2), a__kernel=(2, 2)) == {n: n for n in stored}


def test_numbers_of_layers_do_not_matter() -> None:
    """Keras 2 counts the cells of all LSTMs, Keras 3 those of each."""
    stored = {"lstm/lstm_cell/bias": (4,), "lstm_1/lstm_cell_1/bias": (4,)}
    found = pairs(stored, lstm__lstm_cell__bias=(4,), lstm_1__lstm_cell__bias=(4,))
    assert found == {
        "lstm/lstm_cell/bias": "lstm/lstm_cell/bias",
        "lstm_1/lstm_cell_1/bias": "lstm_1/lstm_cell/bias",
    }


def test_the_rest_goes_by_shape() -> None:
    assert pairs({"Variable": (3,), "b": (2,)}, block__variable=(3,), b=(2,)) == {
        "Variable": "block/variable",
        "b": "b",
    }


@pytest.mark.parametrize(
    ("stored", "shapes", "told"),
    [
        ({"a": (2,)}, {"a": (3,)}, r"stored are a \(2,\), and the model has a \(3,\)"),
        ({"a": (2,)}, {}, r"stored are a \(2,\), and the model has nothing else"),
        ({}, {"b": (1,)}, r"stored are nothing else, and the model has b \(1,\)"),
    ],
)
def test_what_has_no_counterpart_is_listed(stored: Any, shapes: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        matched(stored, model(**shapes))


def test_names_that_come_again_are_counted() -> None:
    twice = model(a=(1,))
    twice.weights *= 2
    assert list(named(twice)) == ["a", "a#2"]
