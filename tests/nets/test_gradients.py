"""Probe: every tensor of a pass, in its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.nets.gradients import Probe
from bench.theory.rounding.formats import FLOAT32

U = 2.0**-24
LABELS = np.arange(12) % 10
CELLS = [
    Cell(depth=2, width=8),
    Cell(depth=3, width=8, architecture="residual", branch="scaled", activation="tanh"),
    Cell(depth=2, width=8, normalization="batch"),
    Cell(depth=2, width=8, normalization="layer"),
    Cell(depth=0),
]


def look(cell: Cell, factors: Any = (1.0,), *, traced: bool = False) -> Any:
    probe = Probe(cell, form=FLOAT32, output_form=FLOAT32, seen=np.asarray, traced=traced)
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


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id(("depth",)))
def test_a_traced_pass_is_the_eager_one(cell: Cell) -> None:
    """Every tensor to 160 roundings of its largest entry, for each factor; of a bias gradient, which
    batch norm makes 0, to those of the terms it sums. A batch of another size needs no other trace."""
    factors = (1.0, 8.0)
    _, eager = look(cell, factors)
    probe, traced = look(cell, factors, traced=True)
    for one, other in zip(eager, traced, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-6)
        for here, there in zip(one.layers, other.layers, strict=True):
            for name, value in vars(here).items():
                if isinstance(value, np.ndarray):
                    terms = here.outputs_gradient if name == "bias_gradient" else value
                    near = 160 * U * np.abs(terms).max() * (len(terms) if terms is not value else 1)
                    np.testing.assert_allclose(getattr(there, name), value, rtol=0, atol=near)
    (half,) = probe.look(np.zeros((6, 784)), LABELS[:6])
    assert half.layers[-1].outputs.shape == (6, 10)
    assert probe._trace.experimental_get_tracing_count() == 1


def test_another_start_is_read_anew() -> None:
    """Variables are read once after each reset, not once for all."""
    probe, (before,) = look(CELLS[0])
    probe.reset(CELLS[0], 1)
    (after,) = probe.look(np.zeros((12, 784)), LABELS)
    for one, other in zip(before.layers, after.layers, strict=True):
        assert not np.array_equal(one.kernel, other.kernel)


def test_gradients_are_clipped_by_the_cells_optimizer() -> None:
    """By value: at most the threshold."""
    probe, (trace,) = look(CELLS[0])
    clipped = probe.clip(Cell(depth=2, width=8, clipping="value_0.001"), trace.gradients)
    assert max(np.abs(array).max() for array in clipped) == np.float32(0.001)
    assert max(np.abs(array).max() for array in trace.gradients) > 0.001
