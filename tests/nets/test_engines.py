"""Engines: ways to execute the same steps."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from bench.cells.cell import ENGINES, Cell
from bench.cells.initial_values import batch_order, epochs_order
from bench.nets import optimizers
from bench.nets.images import Images, pixel_scale
from bench.nets.replica import Graph

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)

RATES = {"sgd": 0.1, "momentum": 0.01, "adam": 0.001}
STEPS = 10
ORDER = batch_order(0, examples=2000, batch=50, steps=STEPS)


def cell_of(optimizer: str, engine: str) -> Cell:
    return Cell(
        depth=2,
        width=24,
        batch=50,
        optimizer=optimizer,
        learning_rate=RATES[optimizer],
        engine=engine,
    )


def run(graph: Graph, cell: Cell, *, moved: float = 0.0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Losses and final variables; every weight first multiplied by up to 1 +- ``moved``."""
    graph.network.reset(cell, 0)
    random = np.random.default_rng(1)
    for kernel in graph.network.kernels if moved else ():
        factor = 1 + moved * random.uniform(-1, 1, tuple(kernel.shape))
        kernel.assign((kernel.numpy() * factor).astype(np.float32))
    optimizers.reset(graph.optimizer, graph.optimizer_start, cell.learning_rate)
    losses, seconds = graph.engine.train(ORDER, pixel_scale(cell))
    assert seconds > 0
    return losses, [variable.numpy() for variable in graph.network.model.variables]


@pytest.fixture(scope="module")
def graphs(images: Images) -> Any:
    """Compiled once for all tests here."""

    @functools.cache
    def graph(cell: Cell) -> Graph:
        return Graph.of(cell, images)

    return graph


@pytest.mark.parametrize("engine", [name for name in ENGINES if name not in ("in_graph", "xla")])
@pytest.mark.parametrize("optimizer", RATES)
def test_engines_train_bit_identically(graphs: Any, optimizer: str, engine: str) -> None:
    """Losses of ten steps and the weights after them."""
    reference, other = cell_of(optimizer, "in_graph"), cell_of(optimizer, engine)
    losses, weights = run(graphs(reference), reference)
    again, same = run(graphs(other), other)
    assert losses.dtype == again.dtype == np.float32
    assert losses.shape == (STEPS,)
    np.testing.assert_array_equal(losses, again)
    for ours, theirs in zip(weights, same, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("changes", [{"loss": "mse"}, {"precision": "float64"}])
def test_fit_trains_alike_whatever_keras_converts(graphs: Any, changes: dict[str, Any]) -> None:
    """Keras 3 hands labels to a loss as floats, makes float32 of arrays of float64, and weights in
    float32 the loss that it logs, at the price of a last bit: the same steps come of it."""
    reference, other = (
        Cell(depth=2, width=24, batch=50, engine=engine, **changes)
        for engine in ("in_graph", "fit")
    )
    losses, weights = run(graphs(reference), reference)
    again, same = run(graphs(other), other)
    np.testing.assert_array_max_ulp(losses, again, maxulp=1)
    for ours, theirs in zip(weights, same, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("optimizer", RATES)
def test_xla_differs_by_rounding_alone(graphs: Any, optimizer: str) -> None:
    """XLA sums in another order. That is as if every weight were moved by up to 4 sqrt(784) u =
    112 u (the backward error of a product of length 784: Higham and Mary 2019, lambda = 4), so at
    no step may it lie further away than twice what that does by then."""
    reference, other = cell_of(optimizer, "in_graph"), cell_of(optimizer, "xla")
    losses, _ = run(graphs(reference), reference)
    moved, _ = run(graphs(reference), reference, moved=112 * 2.0**-24)
    compiled, _ = run(graphs(other), other)
    reach = np.maximum.accumulate(np.abs(moved - losses)) + 4 * 2.0**-24 * losses
    assert np.all(np.abs(compiled - losses) <= 2 * reach)
    assert np.max(reach / losses) < 1e-4, "a bound that a semantic change would pass"


@pytest.mark.parametrize("engine", ENGINES)
def test_losses_are_those_before_each_step(graphs: Any, engine: str) -> None:
    """Steps one by one see the same as all at once, and the first one sees the initial weights."""
    cell = cell_of("sgd", engine)
    graph = graphs(cell)
    losses, _ = run(graph, cell)
    graph.network.reset(cell, 0)
    scale = pixel_scale(cell)
    single = [graph.engine.train(ORDER[step : step + 1], scale)[0] for step in range(3)]
    np.testing.assert_array_equal(np.concatenate(single), losses[:3])


def test_one_fit_of_two_epochs_takes_the_steps_of_a_loop(graphs: Any) -> None:
    """Short last batches included: losses within a last bit (Keras weights those it logs), weights at
    each stop, from the initial ones to the end, bit for bit."""
    order = epochs_order(0, examples=2000, batch=48, steps=6)
    assert [len(batch) for batch in order] == [48, 48, 32] * 2
    found = []
    for engine in ("function", "fit_epochs"):
        cell = cell_of("sgd", engine)
        graph = graphs(cell)
        graph.network.reset(cell, 0)
        optimizers.reset(graph.optimizer, graph.optimizer_start, cell.learning_rate)
        model = graph.network.model
        stops = (0, 1, 2, 3, 4, 5, 6) if engine == "function" else (0, 2, 3, 6)
        seen: dict[int, list[np.ndarray]] = {}
        losses, seconds = graph.engine.train_all(
            order,
            pixel_scale(cell),
            stops=stops,
            at=lambda step, model=model, seen=seen: seen.update(
                {step: [variable.numpy() for variable in model.variables]}
            ),
        )
        assert seconds > 0
        assert tuple(seen) == stops
        found.append((losses, seen))
    (losses, weights), (again, same) = found
    np.testing.assert_array_max_ulp(losses, again, maxulp=1)
    for step, values in same.items():
        for ours, theirs in zip(weights[step], values, strict=True):
            np.testing.assert_array_equal(ours, theirs)
