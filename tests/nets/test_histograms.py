"""Histograms of a replica's variables and gradients: true, and without any effect on the replica."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.nets.replica import Trainer
from bench.results.record import Record

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)

PLAIN = Cell(depth=2, width=16, batch=20, steps=12)
CELLS = {
    "plain": PLAIN,
    "batch norm, clipping, momentum": Cell(
        depth=2,
        width=16,
        batch=20,
        steps=12,
        normalization="batch",
        clipping="norm_1.0",
        optimizer="momentum",
    ),
    "dropout, bfloat16": Cell(
        depth=2, width=16, batch=20, steps=12, dropout=0.5, precision="mixed_bfloat16"
    ),
    "diverging": Cell(depth=2, width=16, batch=20, steps=30, learning_rate=1e8),
}


def measured(record: Record) -> Record:
    """Without what no two trainings share, and without histograms."""
    return msgspec.structs.replace(
        record, images_per_sec=None, training_sec=0.0, total_sec=0.0, histograms=msgspec.UNSET
    )


@pytest.mark.parametrize("name", CELLS)
def test_histograms_change_nothing_that_is_measured(data: Any, name: str) -> None:
    """Digest, losses, fingerprints, flow, accuracy: the same bits with and without."""
    without = Trainer(data, "cpu", "made-up").train(CELLS[name], 0)
    with_them = Trainer(data, "cpu", "made-up", histograms=True).train(CELLS[name], 0)
    assert not without.histograms
    assert with_them.histograms
    assert measured(with_them) == measured(without)
    if name == "diverging":
        assert with_them.outcome == "diverged"


def test_which_histograms_there_are(data: Any) -> None:
    """Of every variable before steps 0, 1 and 10 and at the end; of gradients where there are some:
    moving statistics have none. Every entry counts once."""
    record = Trainer(data, "cpu", "made-up", histograms=True).train(
        CELLS["batch norm, clipping, momentum"], 0
    )
    sizes = {
        f"layer {layer}, {kind}": size
        for layer, inputs in ((1, 784), (2, 16))
        for kind, size in (
            ("kernel", inputs * 16),
            *((name, 16) for name in ("bias", "gamma", "beta", "moving mean", "moving variance")),
        )
    } | {"output layer, kernel": 16 * 10, "output layer, bias": 10}
    found = {(each.name, each.gradient, each.step): each for each in record.histograms or ()}
    assert set(found) == {
        (name, gradient, step)
        for name in sizes
        for gradient in (False, True)
        for step in (0, 1, 10, 12)
        if not (gradient and "moving" in name)
    }
    for (name, _, _), each in found.items():
        assert sum(each.counts) == sizes[name]


def test_histograms_are_of_the_step_that_they_name(data: Any) -> None:
    """Step 0 has the start's kernel gradients, the end has the end's and what training left, and the
    first update leads from one to the next."""
    trainer = Trainer(data, "cpu", "made-up", histograms=True)
    record = trainer.train(PLAIN, 0)
    found = {(each.name, each.gradient, each.step): each for each in record.histograms or ()}
    assert record.start is not None
    assert record.end is not None
    for step, layer, variance in (
        (step, layer, variance)
        for step, flow in ((0, record.start), (12, record.end))
        for layer, variance in enumerate(flow.kernel_gradient, start=1)
    ):
        each = found[f"layer {layer}, kernel", True, step]
        count = sum(each.counts)
        # Flow and histogram round sums of at most 12,544 entries in float64 each: 12,544 * 2^-53.
        # Mean squares cancel at most by the squared mean, which is below the variance here.
        mean = each.total / count
        assert mean**2 < variance
        assert each.squares / count - mean**2 == pytest.approx(variance, rel=12_544 * 2**-50)
    seen = 0.0  # the largest update in units of its bound: only then can a wrong step be told
    for name, variable in trainer.graph(PLAIN).network.variables.items():
        value = variable.numpy().astype(float)
        last = found[name, False, 12]
        assert (last.edges[0], last.edges[-1]) == (value.min(), value.max())
        before, after = found[name, False, 0], found[name, False, 1]
        step = PLAIN.learning_rate * found[name, True, 0].total
        # Each entry's float32 update rounds twice by up to 2^-24 of the largest entry.
        largest = max(map(abs, (*before.edges, *after.edges)))
        bound = 2 * value.size * 2**-24 * max(largest, abs(step))
        assert after.total == pytest.approx(before.total - step, abs=bound)
        seen = max(seen, abs(step) / bound)
    assert seen > 10


def test_histograms_begin_with_the_drawn_weights(data: Any) -> None:
    """Another seed, other weights: kernels' histograms differ, biases' start at 0 in both."""
    trainer = Trainer(data, "cpu", "made-up", histograms=True)
    first, second = (
        {
            (each.name, each.step): each.edges
            for each in trainer.train(PLAIN, seed).histograms or ()
            if not each.gradient
        }
        for seed in (0, 1)
    )
    for layer in ("layer 1", "layer 2", "output layer"):
        assert first[f"{layer}, kernel", 0] != second[f"{layer}, kernel", 0]
        assert np.array_equal(first[f"{layer}, bias", 0], [0.0, 0.0])
