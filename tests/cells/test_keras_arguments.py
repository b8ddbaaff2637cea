"""What a cell's optimizer and clipping are called in Keras."""

from __future__ import annotations

import pytest

from bench.cells.cell import Cell
from bench.cells.keras_arguments import clipping_arguments, optimizer_arguments


@pytest.mark.parametrize(
    ("clipping", "arguments"),
    [
        ("none", {}),
        ("value_2.0", {"clipvalue": 2.0}),
        ("norm_2.0", {"clipnorm": 2.0}),
        ("global_norm_2.0", {"global_clipnorm": 2.0}),
    ],
)
def test_clipping_is_one_argument(clipping: str, arguments: dict[str, float]) -> None:
    """Keras takes at most one of the three."""
    assert clipping_arguments(Cell(clipping=clipping)) == arguments


def test_arguments_are_what_the_cell_asks_for() -> None:
    """No weight decay and no clipping unless asked for: an argument of 0 may mean another formula."""
    assert optimizer_arguments(Cell(optimizer="adam", learning_rate=0.01)) == (
        "Adam",
        {"learning_rate": 0.01},
    )
    cell = Cell(optimizer="nesterov", learning_rate=0.01, weight_decay=0.02, clipping="value_0.5")
    expected = {
        "learning_rate": 0.01,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.02,
        "clipvalue": 0.5,
    }
    assert optimizer_arguments(cell) == ("SGD", expected)
