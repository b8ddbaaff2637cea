"""Probe: every tensor of a pass, in its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.cell import Cell
from bench.nets.gradients import Probe
from bench.theory.rounding import FLOAT32

U = 2.0**-24
LABELS = np.arange(12) % 10
CELLS = [
    Cell(depth=2, width=8),
    Cell(depth=3, width=8, architecture="residual", branch="scaled", activation="tanh"),
    Cell(depth=2, width=8, normalization="batch"),
    Cell(depth=2, width=8, normalization="layer"),
    Cell(depth=0),
]


def look(cell: Cell, factors: Any = (1.0,)) -> Any:
    probe = Probe(cell, form=FLOAT32, output_form=FLOAT32, seen=np.asarray)
    probe.reset(cell, 0)
    pixels = np.random.default_rng(0).integers(0, 128, (12, 784)) / 128
    return probe, probe.look(pixels, LABELS, factors)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id(("depth",)))
def test_tensors_are_where_they_belong(cell: Cell) -> None:
    """Each product of a layer, forward and backward, to 64 roundings of its terms' sizes."""
    _, (trace,) = look(cell)
    assert len(trace.layers) == cell.depth + 1
    for index, layer in enumerate(trace.layers):
        products = [
            (layer.outputs - layer.bias, layer.inputs, layer.kernel),
            (layer.kernel_gradient, layer.inputs.T, layer.outputs_gradient),
        ]
        if index and not layer.skip:
            products.append((layer.inputs_gradient, layer.outputs_gradient, layer.kernel.T))
        for got, left, right in products:
            sizes = np.abs(left) @ np.abs(right)
            assert np.all(np.abs(got - left @ right) <= 64 * U * (sizes + 1e-9))
        hidden = layer.a is not None
        assert hidden == (index < cell.depth)
        assert (layer.norm is not None) == (hidden and cell.normalization != "none")
        assert layer.skip == (cell.architecture == "residual" and 0 < index < cell.depth)
        if layer.norm is not None:
            assert layer.norm.epsilon == pytest.approx(1e-3)
            assert 0.5 <= layer.norm.scale.min() < layer.norm.scale.max() <= 1.5


def test_the_loss_may_be_multiplied() -> None:
    """One pass per factor, forward tensors alike."""
    _, (single, double) = look(CELLS[0], (1.0, 2.0))
    for one, two in zip(single.layers, double.layers, strict=True):
        np.testing.assert_array_equal(2 * one.kernel_gradient, two.kernel_gradient)
        np.testing.assert_array_equal(one.outputs, two.outputs)


def test_gradients_are_clipped_by_the_cells_optimizer() -> None:
    """By value: at most the threshold."""
    probe, (trace,) = look(CELLS[0])
    clipped = probe.clip(Cell(depth=2, width=8, clipping="value_0.001"), trace.gradients)
    assert max(np.abs(array).max() for array in clipped) == np.float32(0.001)
    assert max(np.abs(array).max() for array in trace.gradients) > 0.001
