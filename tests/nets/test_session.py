"""The graph-and-session program: the same ten steps as the Keras engines."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.cells.initial_values import batch_order
from bench.nets import session
from bench.nets.images import Images, pixel_scale
from bench.nets.replica import Graph

ORDER = batch_order(0, examples=2000, batch=20, steps=3)
SMALL = {"depth": 2, "width": 12, "batch": 20, "bias": 0.1}
CELLS = [
    Cell(**SMALL),
    Cell(**SMALL, activation="leaky_relu", optimizer="momentum", clipping="value_0.01"),
    Cell(**SMALL, activation="gelu", optimizer="adam", learning_rate=0.001, clipping="norm_0.1"),
    Cell(
        **SMALL, architecture="residual", branch="scaled", loss="mse", clipping="global_norm_0.01"
    ),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id())
def test_session_trains_as_the_eager_engine_does(cell: Cell, data: Any, images: Images) -> None:
    """In float64, where three steps leave no room for anything but the same formulas; constants that
    TensorFlow rounds to float32 move them by some 1e-8, and Adam's rounded betas by 1e-5."""
    cell = msgspec.structs.replace(cell, precision="float64", engine="eager")
    graph = Graph.of(cell, images)
    graph.network.reset(cell, 0)
    expected, _ = graph.engine.train(ORDER, pixel_scale(cell))
    inputs = data.train_images[ORDER].reshape(*ORDER.shape, 784).astype(np.float64) * (1 / 255)
    losses, variables = session.train(cell, 0, inputs=inputs, labels=data.train_labels[ORDER])
    room = 2e-5 if cell.optimizer == "adam" else 1e-7
    np.testing.assert_allclose(losses, expected, rtol=room)
    assert variables[0].dtype == np.float64
    for ours, theirs in zip(variables, graph.network.model.trainable_variables, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=room)
    assert losses[0] != losses[-1]


@pytest.mark.parametrize(
    "cell", [Cell(normalization="batch"), Cell(architecture="cnn"), Cell(dropout=0.5)]
)
def test_what_a_session_cannot_train_is_said(cell: Cell) -> None:
    """No other network in its place."""
    assert not session.supports(cell)
    with pytest.raises(ValueError, match="without normalization and dropout"):
        session.train(cell, 0, inputs=np.zeros((1, 2, 784)), labels=np.zeros((1, 2), int))
