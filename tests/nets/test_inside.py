"""The inner tensors of a network: named as the oracle names them, and nothing is left changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.nets.images import pixel_scale, scaled
from bench.nets.inside import Inside, InsideView
from bench.nets.network import Network, build
from bench.nets.optimizers import loss
from bench.nets.views import BatchView
from bench.theory.oracle.network import Oracle

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)

CELLS = [
    Cell(depth=0),
    Cell(depth=2, width=8, bias=0.1, activation="gelu"),
    Cell(depth=3, width=8, architecture="residual", branch="scaled", normalization="batch"),
    Cell(depth=3, width=8, architecture="residual", normalization="layer", loss="mse"),
    Cell(architecture="cnn", normalization="batch"),
    Cell(architecture="cnn", pooling="average"),
    Cell(
        architecture="transformer",
        depth=2,
        width=8,
        normalization="layer",
        bias=0.1,
        placement="post",
    ),
    Cell(architecture="transformer", depth=1, width=8, normalization="layer", mask="causal"),
    Cell(
        architecture="conv",
        filters=2,
        normalization="group",
        activation="prelu",
        pooling="strided",
    ),
    Cell(architecture="conv_residual", filters=2, normalization="batch", convolution="separable"),
]


def ids(cell: Cell) -> str:
    return cell.id(("depth", "act"))


def look(cell: Cell, data: SimpleNamespace) -> tuple[Network, Inside]:
    network = build(cell)
    network.reset(cell, 3)
    view = InsideView(network, loss(cell))
    pixels = data.train_images[:6].reshape(6, -1)
    return network, view(pixels, data.train_labels[:6], pixel_scale(cell))


@pytest.mark.parametrize("cell", CELLS, ids=ids)
def test_names_are_the_oracles(cell: Cell, data: SimpleNamespace) -> None:
    """Tensors and variables, in the same order; parameters are Keras' trainable variables in its order,
    moving statistics its others."""
    network, inside = look(cell, data)
    oracle = Oracle(cell)
    names = [operation.output for operation in oracle.operations]
    assert list(inside.tensors) == ["inputs", *names]
    assert list(inside.inference) == names
    assert sorted(inside.gradients) == sorted([*names, *oracle.parameters])
    model = network.model
    for ours, theirs in (
        (oracle.parameters, model.trainable_variables),
        (oracle.moving, model.non_trainable_variables),
    ):
        assert [id(network.variables[name]) for name in ours] == [id(v) for v in theirs]
    assert list(inside.moved) == list(oracle.moving)
    for name, gradient in inside.gradients.items():
        shaped = inside.tensors if name in inside.tensors else inside.variables
        assert gradient.shape == shaped[name].shape


@pytest.mark.parametrize("cell", CELLS, ids=ids)
def test_the_oracle_starts_where_the_network_starts(cell: Cell, data: SimpleNamespace) -> None:
    """Bit for bit, moving statistics included."""
    _, inside = look(cell, data)
    oracle = Oracle(cell)
    for names, start in (
        (oracle.parameters, oracle.initial(3)),
        (oracle.moving, oracle.initial_moving()),
    ):
        for name, values in zip(names, start, strict=True):
            np.testing.assert_array_equal(inside.variables[name], values, err_msg=name)


def test_a_look_leaves_the_network_as_it_was(data: SimpleNamespace) -> None:
    """Though it shows what a step makes of the moving statistics."""
    cell = Cell(depth=2, width=8, normalization="batch")
    network, inside = look(cell, data)
    for name, variable in network.variables.items():
        np.testing.assert_array_equal(variable.numpy(), inside.variables[name])
    for name, after in inside.moved.items():
        assert np.any(after != inside.variables[name])


def test_it_sees_what_the_batch_view_sees(data: SimpleNamespace, images: Any) -> None:
    """The same gradients, activations and signals but for rounding: in double precision, where no
    tensor here is above 10, 1e-13 is 50 roundoffs of it."""
    cell = Cell(depth=2, width=8, normalization="batch", precision="float64")
    network, inside = look(cell, data)
    batch = np.arange(6, dtype=np.int32)
    signals = BatchView(network, loss(cell), images)(batch, pixel_scale(cell))
    oracle = Oracle(cell)
    pairs = [
        *zip(signals.gradients, oracle.parameters, strict=True),
        *((signal / 6, f"layer {n}, normalized") for n, signal in enumerate(signals.signals, 1)),
    ]
    assert len(pairs) == 12
    for theirs, name in pairs:
        np.testing.assert_allclose(inside.gradients[name], theirs, rtol=0, atol=1e-13)
    for number, activation in enumerate(signals.activations, 1):
        seen = inside.tensors[f"layer {number}, activation"]
        np.testing.assert_allclose(seen, activation, rtol=0, atol=1e-13)


def test_inference_takes_moving_statistics(data: SimpleNamespace) -> None:
    """Those before the step: at the start means of 0 and variances of 1, so only epsilon is felt."""
    cell = Cell(depth=1, width=8, normalization="batch", precision="float64")
    network, inside = look(cell, data)
    raw = inside.inference["layer 1, kernel output"]
    np.testing.assert_allclose(
        inside.inference["layer 1, normalized"], raw / np.sqrt(1.001), rtol=0, atol=1e-13
    )
    np.testing.assert_array_equal(raw, inside.tensors["layer 1, kernel output"])
    fed = scaled(cell, data.train_images[:6].reshape(6, -1), pixel_scale(cell))
    np.testing.assert_array_equal(inside.tensors["inputs"], fed)
    np.testing.assert_array_equal(network.model(fed, training=False), inside.inference["logits"])
