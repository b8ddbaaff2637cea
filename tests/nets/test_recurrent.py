"""Recurrent networks: first values, the same ones each time, and gradients over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.nets.images import Images, scaled
from bench.nets.network import build
from bench.nets.replica import Trainer, Viewed
from bench.results.flow import Products
from bench.theory.claims import check_claims
from bench.theory.oracle.network import Oracle
from support.zeros import by_oracle


def cell(architecture: str, **axes: Any) -> Cell:
    common = {"depth": 1, "width": 6, "activation": "tanh", "initializer": "glorot_uniform"}
    return Cell(**{**common, "architecture": architecture, "batch": 8, "steps": 2, **axes})


NETWORKS = [
    cell("simple_rnn", depth=2, normalization="layer", recurrent="normal_0.5"),
    cell("simple_rnn", activation="relu", recurrent="identity", bias=0.1),
    cell("lstm", direction="bidirectional", bias=0.25),
    cell("gru", depth=2, direction="bidirectional", pixels=49),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda cell: cell.id(("arch",)))
def test_first_values_are_those_of_the_oracle(network: Cell) -> None:
    """Names, shapes and bits, LSTM's forget gate among them; a second network has the same."""
    oracle, built = Oracle(network), build(network)
    built.reset(network, 3)
    values = built.named_values()
    trainable = {id(variable) for variable in built.model.trainable_variables}
    names = [name for name, variable in built.variables.items() if id(variable) in trainable]
    assert tuple(names) == oracle.parameters
    for name, truth in zip(oracle.parameters, oracle.initial(3), strict=True):
        np.testing.assert_array_equal(values[name], truth, err_msg=name)
    again = build(network)
    again.reset(network, 3)
    for first, second in zip(built.values(), again.values(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda cell: cell.id(("arch",)))
def test_gradients_over_time_are_products_of_jacobians(network: Cell, trainer: Trainer) -> None:
    """Every claim about them holds; at the end there are no products, but gradients."""
    record = trainer.train(network, 0)
    steps = 784 // network.pixels
    assert record.start is not None
    assert record.end is not None
    for flow in (record.start, record.end):
        assert isinstance(flow.over_time, list)
        assert [len(layer) for layer in flow.over_time] == [steps] * network.depth
        for signal, layer in zip(flow.signal, flow.over_time, strict=True):
            assert signal == pytest.approx(np.mean(layer))
    assert isinstance(record.start.products, Products)
    assert not isinstance(record.end.products, Products)
    claims = check_claims(network, [record])
    assert "jacobian-products" in {result.claim for result in claims}
    assert [result for result in claims if not result.holds] == []


def test_a_gradient_of_zero_far_back_in_time_was_flushed(images: Images, data: Any) -> None:
    """LSTM, pixel by pixel: in float64 what arrives at each of 784 steps is what the oracle computes,
    but for rounding. In float32 it is 0 where no entry of that reaches the smallest number, 2^-126 in
    the mean loss of a batch of 8, and as the oracle has it where entries are 1e10 times as large."""
    for precision in ("float64", "float32"):
        network = cell("lstm", pixels=1, precision=precision)
        viewed = Viewed.of(network, images)
        viewed.network.reset(network, 0)
        inputs = scaled(network, images.train_images[: network.batch], 1 / 255)
        assert viewed.time_view is not None
        seen = viewed.time_view(inputs, images.train_labels[: network.batch]).gradients[-1][0]
        truth = by_oracle(network, np.asarray(inputs, float), data.train_labels[: network.batch])
        if precision == "float64":
            np.testing.assert_allclose(seen, truth, rtol=1e-9, atol=0)
        largest = np.abs(truth).max(axis=(0, 2)) / network.batch
        small, large = largest < 2.0**-126, largest > 1e10 * 2.0**-126
        assert min(small.sum(), large.sum()) > 100
        squares, truths = (np.square(array).mean(axis=(0, 2)) for array in (seen, truth))
        np.testing.assert_allclose(squares[large], truths[large], rtol=1e-3)
        assert (squares[small] == 0).all() == (precision == "float32")
        products = viewed.time_view(inputs, images.train_labels[: network.batch]).products(network)
        assert products is not None
        assert len(products.product) == 112
        np.testing.assert_allclose(products.measured, products.product, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float64", "mixed_bfloat16"])
def test_other_precisions(precision: str, trainer: Trainer) -> None:
    """In float64 products are as exact as it is; of 16 bits there are none."""
    record = trainer.train(cell("lstm", precision=precision), 0)
    assert record.outcome == "trained"
    assert record.start is not None
    products = record.start.products
    assert isinstance(products, Products) == (precision == "float64")
    if isinstance(products, Products):
        np.testing.assert_allclose(
            np.array(products.measured, float), np.array(products.product, float), rtol=1e-12
        )
