"""Views: signals, gradients, accuracy and dead units against NumPy and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.measure.flow import flow
from bench.nets import optimizers, views
from bench.nets.images import Images, pixel_scale
from bench.nets.network import Network, build
from bench.nets.views import BatchView, TestView, images_at_once

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)

BATCH = np.arange(16, dtype=np.int32) * 7


def double(**axes: Any) -> Cell:
    return Cell(width=12, precision="float64", **axes)


DIFFERENTIATED = [
    double(depth=3, activation="tanh", initializer="glorot_normal", bias=0.1),
    double(depth=2, activation="sigmoid", initializer="glorot_uniform"),
    double(depth=2, activation="relu", bias=0.1),
    double(depth=3, activation="elu", architecture="residual", branch="scaled"),
    double(depth=2, activation="tanh", normalization="batch"),
    double(depth=2, activation="tanh", normalization="layer"),
]


def built(cell: Cell) -> Network:
    network = build(cell)
    network.reset(cell, 3)
    return network


@pytest.mark.parametrize("cell", DIFFERENTIATED, ids=lambda cell: cell.id(("depth", "act")))
def test_gradients_and_signals_are_finite_differences(
    cell: Cell, images: Images, data: Any, oracle: Any, pixels: Any
) -> None:
    """Central differences of the NumPy network's loss along random directions, step h = 1e-6: off by
    a multiple of h^2 and by the rounding of two losses, some 2^-52 / h = 2e-10. A loss or a layer
    computed in float32 would be off by more than the 1e-7 that is allowed.

    dL/dW is of the batch's mean loss; dC/dz of each example's own loss, of which the batch sums 16.
    """
    network = built(cell)
    seen = BatchView(network, optimizers.loss(cell), images)(BATCH, pixel_scale(cell))
    inputs = pixels(cell, data.train_images[BATCH])
    labels = data.train_labels[BATCH]
    reference = oracle(cell, 3)
    h, random = 1e-6, np.random.default_rng(0)
    kernels = [index for index, gradient in enumerate(seen.gradients) if gradient.ndim > 1]
    assert len(kernels) == cell.depth + 1

    def loss() -> float:
        return float(np.mean(reference(inputs).losses(labels)))

    for layer, index in enumerate(kernels):
        for variable, gradient in (
            (reference.kernels, seen.gradients[index]),
            (reference.biases, seen.gradients[index + 1]),
        ):
            start = variable[layer]
            way = random.normal(size=start.shape)
            variable[layer] = start + h * way
            above = loss()
            variable[layer] = start - h * way
            slope = (above - loss()) / (2 * h)
            variable[layer] = start
            assert float(np.sum(gradient * way)) == pytest.approx(slope, rel=1e-7, abs=1e-8)
    for layer, signal in enumerate(seen.signals):
        way = random.normal(size=signal.shape)
        reference.shifts = {layer: h * way}
        above = loss()
        reference.shifts = {layer: -h * way}
        slope = len(BATCH) * (above - loss()) / (2 * h)
        reference.shifts = {}
        assert float(np.sum(signal * way)) == pytest.approx(slope, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize(
    ("axes", "images"),
    [
        (
            {"pixels": 28, "width": 100},
            1000,
        ),  # 28 x 100 states of each: 1000 are a quarter of what fits
        ({"pixels": 7, "width": 100}, 1000),  # 112 x 100: just so many fit
        ({"pixels": 1, "width": 100}, 125),  # 784 x 100: 142 fit, of which 125 divides 10,000
        ({"pixels": 1, "width": 50, "direction": "bidirectional"}, 125),
        ({"pixels": 1, "width": 100_000}, 1),
    ],
)
def test_a_pass_takes_as_many_images_as_fit(axes: dict[str, Any], images: int) -> None:
    """Of networks that are not recurrent always a thousand."""
    assert images_at_once(Cell(architecture="gru", activation="tanh", **axes), 10_000) == images
    assert images_at_once(Cell(architecture="cnn", filters=100), 10_000) == 1000


def test_signals_of_an_example_do_not_depend_on_its_batch(images: Images) -> None:
    """Per example: alone or among 16, but for rounding."""
    cell = double(depth=3)
    look = BatchView(built(cell), optimizers.loss(cell), images)
    alone = look(BATCH[:1], pixel_scale(cell))
    among = look(BATCH, pixel_scale(cell))
    for one, many in zip(alone.signals, among.signals, strict=True):
        np.testing.assert_allclose(one[0], many[0], rtol=1e-10, atol=1e-15)
        assert np.any(one)


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_looking_changes_nothing(normalization: str, images: Images) -> None:
    """Not even moving statistics, which a pass in training mode moves."""
    cell = Cell(depth=2, width=12, normalization=normalization)
    network = built(cell)
    look = BatchView(network, optimizers.loss(cell), images)
    before = [variable.numpy() for variable in network.model.variables]
    first = look(BATCH, pixel_scale(cell))
    for variable, value in zip(network.model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    again = look(BATCH, pixel_scale(cell))
    for ours, theirs in zip(first.gradients, again.gradients, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_zero_weights_have_exactly_zero_kernel_gradients(images: Images) -> None:
    """Behind ReLU only the output bias has a gradient: share of the class in the batch against .1."""
    cell = Cell(depth=3, width=12, initializer="zeros")
    seen = BatchView(built(cell), optimizers.loss(cell), images)(BATCH, pixel_scale(cell))
    *others, output_bias = seen.gradients
    assert all(not np.any(gradient) for gradient in others)
    assert np.any(output_bias)
    measured = flow(
        signals=seen.signals,
        activations=seen.activations,
        gradients=seen.gradients,
        clipped=None,
        dead_units=[],
    )
    assert measured.kernel_gradient_peak == 0.0
    assert measured.signal == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("chunk", [1000, 130])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_evaluation_is_numpys(
    normalization: str,
    chunk: int,
    images: Images,
    data: Any,
    oracle: Any,
    pixels: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All 500 images counted once, at once or as 4 times 125; batch norm by its moving statistics,
    at the start mean 0 and variance 1."""
    monkeypatch.setattr(views, "CHUNK", chunk)
    cell = double(depth=2, normalization=normalization, bias=0.1)
    network = built(cell)
    moving = [(np.zeros(12), np.ones(12))] * 2
    found = TestView(network, optimizers.loss(cell), images)(pixel_scale(cell))
    seen = oracle(cell, 3, moving=moving)(pixels(cell, data.test_images))
    labels = data.test_labels
    assert found.accuracy == np.mean(seen.logits.argmax(1) == labels)
    assert 0 < found.accuracy < 1
    assert found.loss == pytest.approx(np.mean(seen.losses(labels)), rel=1e-10)
    for ours, theirs in zip(seen.activations, found.dead_units, strict=True):
        np.testing.assert_array_equal(np.all(ours == 0, axis=0), theirs)


def test_dead_units_are_those_of_no_test_image(images: Images) -> None:
    """Planted: units 0 and 5 of the first layer get a bias that nothing lifts above 0."""
    cell = Cell(depth=2, width=12, bias=1.0)
    network = built(cell)
    bias = np.ones(12, np.float32)
    bias[[0, 5]] = -1e4
    network.biases[0].assign(bias)
    found = TestView(network, optimizers.loss(cell), images)(pixel_scale(cell))
    assert np.flatnonzero(found.dead_units[0]).tolist() == [0, 5]
    assert not np.all(found.dead_units[1])


def test_dead_channels_of_a_convolution(images: Images) -> None:
    """One bool a channel: dead if 0 at every place of every image."""
    cell = Cell(architecture="cnn", initializer="truncated_normal_0.1", bias=0.1)
    network = built(cell)
    bias = np.full(32, 0.1, np.float32)
    bias[3] = -1e4
    network.biases[0].assign(bias)
    few = Images(
        images.train_images[:20],
        images.train_labels[:20],
        images.test_images[:20],
        images.test_labels[:20],
    )
    found = TestView(network, optimizers.loss(cell), few)(pixel_scale(cell))
    assert [units.shape for units in found.dead_units] == [(32,), (64,), (1024,)]
    assert np.flatnonzero(found.dead_units[0]).tolist() == [3]
