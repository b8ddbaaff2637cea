"""Transformers before their first step: theory against the float64 oracle under many seeds."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.theory.oracle.network import Oracle
from bench.theory.signal.transformer import Interval, last_gradient, last_sum, speaks, stream

BATCH = 10
SEEDS = 12

transformer = functools.partial(
    Cell,
    architecture="transformer",
    width=16,
    activation="gelu",
    initializer="glorot_normal",
    normalization="layer",
    batch=BATCH,
)
CELLS = [
    transformer(depth=1, placement="post", mask="causal"),
    transformer(depth=4),
    transformer(depth=4, placement="post"),
    transformer(depth=2, initializer="he_normal", activation="relu", heads=4),
]


@functools.cache
def drawn(cell: Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """S, g and root mean square of the logits, of each seed; a third of the pixels has ink, and the
    patches of the first row have none."""
    oracle, seen = Oracle(cell), []
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        images = random.uniform(size=(BATCH, 784)) * (random.uniform(size=(BATCH, 784)) < 1 / 3)
        images[:, : 7 * 28] = 0.0
        labels = np.arange(BATCH)
        parameters = oracle.initial(seed)
        tensors = oracle.forward(parameters, images)
        gradients = oracle.backward(parameters, images, tensors, labels)
        at = gradients[f"block {cell.depth}, feed-forward, kernel output"] * BATCH
        looked = (tensors[last_sum(cell)], at, tensors["logits"])
        seen.append([float(np.mean(np.square(array))) for array in looked])
    total, signal, logits = np.array(seen).T
    return total, signal, np.sqrt(logits)


def off(values: np.ndarray, expected: Interval) -> float:
    """Distance of the mean logarithm from the range, beyond what theory leaves out and four standard
    errors of the mean."""
    logs = np.log(values)
    below, above = np.log(expected.lowest) - logs.mean(), logs.mean() - np.log(expected.highest)
    return float(max(below, above) - expected.error - 4 * logs.std() / np.sqrt(len(logs)))


@pytest.mark.parametrize("cell", CELLS, ids=Cell.id)
def test_stream_and_gradient_are_as_predicted(cell: Cell) -> None:
    """And vary no more from seed to seed than is granted, though by a third of it at least."""
    total, signal, logits = drawn(cell)
    around = stream(cell)
    expected = last_gradient(cell, float(np.sqrt(np.mean(logits**2))))
    for values, interval in ((total, around), (signal, expected)):
        assert off(values, interval) <= 0.0
        assert 0.2 * interval.std < np.log(values).std() < interval.std
        assert interval.holds([float(value) for value in values])[0]


def test_placements_are_told_apart() -> None:
    """Pre-LN of 6 blocks by its gradient is no Post-LN, which by its stream is no Pre-LN."""
    pre, post = transformer(depth=6, width=32), transformer(depth=6, width=32, placement="post")
    for cell, other, told in ((pre, post, {1}), (post, pre, {0})):
        total, signal, logits = (values[:5] for values in drawn(cell))
        size = float(np.sqrt(np.mean(logits**2)))
        for seen, out in ((cell, set()), (other, told)):
            claims = enumerate(((stream(seen), total), (last_gradient(seen, size), signal)))
            found = {at for at, (expected, values) in claims if not expected.holds(list(values))[0]}
            assert found >= out if out else not found


def test_depth_shrinks_the_gradient_behind_pre_normalization_alone() -> None:
    """As 1 over depth, once branches outweigh the embedding; attention may be 0 or all."""
    shallow, deep = (last_gradient(transformer(depth=depth), 0.0) for depth in (50, 200))
    assert shallow.lowest / deep.lowest == pytest.approx(4, rel=0.1)
    assert shallow.highest / deep.highest == pytest.approx(4, rel=0.3)
    after = [transformer(depth=depth, placement="post") for depth in (1, 50)]
    assert last_gradient(after[0], 0.0) == last_gradient(after[1], 0.0)
    assert stream(after[0]) == stream(after[1])


def test_of_what_it_speaks() -> None:
    """Drawn kernels without biases; a cell of another architecture has no such stream."""
    assert speaks(transformer())
    for cell in (
        Cell(),
        transformer(bias=0.1),
        transformer(initializer="zeros"),
        transformer(dropout=0.5),
        transformer(precision="mixed_bfloat16"),
    ):
        assert not speaks(cell)
