"""Networks: weights from bench.cells.initial_values, and a forward pass that is the formula's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.cells import initial_values
from bench.cells.cell import ACTIVATIONS, Cell
from bench.nets.network import Network, build

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)

ULP = {"float32": 2.0**-24, "float64": 2.0**-53}
WIDTH = 24


def built(cell: Cell, seed: int = 5) -> Network:
    network = build(cell)
    network.reset(cell, seed)
    return network


def look(network: Network, inputs: np.ndarray, *, training: bool = True) -> list[np.ndarray]:
    dtype = "float64" if network.cell.precision == "float64" else "float32"
    outputs = network.view(tf.constant(inputs.astype(dtype)), training=training)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return [np.asarray(output, np.float64) for output in outputs]


# --- Weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "float64", "mixed_bfloat16"])
def test_weights_are_what_bench_initial_draws(precision: str) -> None:
    """Rounded once to the variables' precision; biases as the cell says, one per kernel."""
    cell = Cell(depth=3, width=WIDTH, initializer="glorot_normal", bias=0.1, precision=precision)
    network = built(cell, seed=7)
    dtype = np.float64 if precision == "float64" else np.float32
    shapes = [(784, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, 10)]
    assert len(network.kernels) == len(network.biases) == 4
    for layer, (kernel, bias, shape) in enumerate(
        zip(network.kernels, network.biases, shapes, strict=True)
    ):
        drawn = initial_values.kernel("glorot_normal", shape, seed=7, layer=layer).astype(dtype)
        assert kernel.numpy().dtype == dtype
        np.testing.assert_array_equal(kernel.numpy(), drawn)
        np.testing.assert_array_equal(bias.numpy(), np.full(shape[1], 0.1, dtype))


def test_weights_of_a_cnn() -> None:
    """The MNIST tutorial's network: 5x5x32, 5x5x64, 3136 to 1024, 1024 to 10."""
    cell = Cell(architecture="cnn", initializer="truncated_normal_0.1", bias=0.1)
    network = built(cell)
    shapes = [(5, 5, 1, 32), (5, 5, 32, 64), (7 * 7 * 64, 1024), (1024, 10)]
    assert [tuple(kernel.shape) for kernel in network.kernels] == shapes
    for layer, (kernel, shape) in enumerate(zip(network.kernels, shapes, strict=True)):
        drawn = initial_values.kernel("truncated_normal_0.1", shape, seed=5, layer=layer)
        np.testing.assert_array_equal(kernel.numpy(), drawn.astype(np.float32))
    outputs = network.view.outputs
    assert [tuple(output.shape[1:]) for output in outputs] == [
        *[(28, 28, 32), (14, 14, 64), (1024,)] * 2,
        (10,),
    ]


def test_a_narrow_cnn() -> None:
    """All widths follow from those of the first convolution."""
    network = built(Cell(architecture="cnn", filters=3))
    shapes = [(5, 5, 1, 3), (5, 5, 3, 6), (7 * 7 * 6, 96), (96, 10)]
    assert [tuple(kernel.shape) for kernel in network.kernels] == shapes


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_pooling(pooling: str, data: Any) -> None:
    """Largest or mean of each 2 x 2 window of what the convolution's activation gives; a mean of four
    float32 numbers is off by at most 3 u of the sum of their sizes, and a product with 1/4 is exact."""
    network = built(Cell(architecture="cnn", filters=3, pooling=pooling))
    names = ["layer 1, activation", "layer 1, pooled"]
    inside = tf.keras.Model(network.model.inputs, [network.inside[name] for name in names])
    images = data.train_images[:5].reshape(-1, 28, 28, 1).astype(np.float32) / 255
    before, pooled = (np.asarray(output, np.float64) for output in inside(tf.constant(images)))
    windows = before.reshape(5, 14, 2, 14, 2, 3)
    expected = windows.max(axis=(2, 4)) if pooling == "max" else windows.mean(axis=(2, 4))
    bound = 0.0 if pooling == "max" else 3 * ULP["float32"] * np.abs(windows).mean(axis=(2, 4))
    assert np.all(np.abs(pooled - expected) <= bound)
    other = windows.mean(axis=(2, 4)) if pooling == "max" else windows.max(axis=(2, 4))
    assert np.max(np.abs(pooled - other)) > 0.1


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_reset_leaves_nothing_of_earlier_training(normalization: str) -> None:
    """Moving statistics and scales included."""
    cell = Cell(depth=2, width=8, normalization=normalization)
    network = built(cell, seed=1)
    before = [variable.numpy() for variable in network.model.variables]
    for variable in network.model.variables:
        variable.assign(variable.numpy() + 1)
    network.reset(cell, 1)
    after = [variable.numpy() for variable in network.model.variables]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(before) == 6 + {"none": 0, "batch": 8, "layer": 4}[normalization]


def test_softmax_regression_has_no_hidden_layer(data: Any, oracle: Any, pixels: Any) -> None:
    """Its view is the logits alone."""
    cell = Cell(depth=0, initializer="normal_0.01")
    inputs = pixels(cell, data.train_images[:20])
    seen = oracle(cell, 5)(inputs)
    (logits,) = look(built(cell), inputs)
    assert np.all(np.abs(logits - seen.logits) <= seen.logits_bound)


# --- Forward pass -------------------------------------------------------------------------------

FORWARD = [
    *(Cell(depth=3, activation=activation) for activation in ACTIVATIONS),
    Cell(depth=4, architecture="residual", initializer="glorot_uniform"),
    Cell(depth=4, architecture="residual", branch="scaled"),
    Cell(depth=2, normalization="layer"),
    Cell(depth=2, normalization="batch"),
    Cell(depth=2, normalization="layer", activation="tanh"),
    Cell(depth=2, normalization="batch", activation="sigmoid", initializer="glorot_normal"),
    Cell(depth=2, normalization="batch", architecture="residual"),
    Cell(depth=2, normalization="layer", architecture="residual", branch="scaled"),
    Cell(depth=2, initializer="orthogonal", input_scale=3.0),
]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("cell", FORWARD, ids=lambda cell: cell.id(("depth", "act")))
def test_forward_pass_is_the_formula(
    cell: Cell, precision: str, data: Any, oracle: Any, pixels: Any
) -> None:
    """Every hidden layer's input and output, and the logits, within the rounding of their
    arithmetic. In double precision that is below 1e-9, so no formula but the right one passes."""
    cell = _with(cell, width=WIDTH, bias=0.1, precision=precision)
    inputs = pixels(cell, data.train_images[:40])
    seen = oracle(cell, 5, u=ULP[precision])(inputs)
    outputs = look(built(cell), inputs)
    expected = [*seen.pre_activations, *seen.activations, seen.logits]
    # The bound of a layer's output holds for its input, too, once its slope is taken out.
    bounds = [*(8 * bound for bound in seen.bounds), *seen.bounds, seen.logits_bound]
    assert len(outputs) == 2 * cell.depth + 1
    for ours, theirs, bound in zip(expected, outputs, bounds, strict=True):
        assert ours.shape == theirs.shape
        assert np.all(np.abs(ours - theirs) <= 1.01 * bound)
    double = precision == "float64" and cell.activation != "gelu"
    assert np.max(seen.logits_bound) < np.std(seen.logits) * (1e-9 if double else 0.5)


def test_the_oracle_can_disagree(data: Any, oracle: Any, pixels: Any) -> None:
    """Planted: another slope of the leaky ReLU (.2, that of the function) is far out of bounds."""
    cell = Cell(depth=1, width=WIDTH, activation="leaky_relu")
    inputs = pixels(cell, data.train_images[:40])
    seen = oracle(cell, 5)(inputs)
    z, activation = look(built(cell), inputs)[:2]
    other = np.where(z > 0, z, 0.2 * z)
    assert np.all(np.abs(activation - seen.activations[0]) <= seen.bounds[0])
    assert not np.all(np.abs(other - seen.activations[0]) <= 10 * seen.bounds[0])


def test_inference_uses_moving_statistics(data: Any, oracle: Any, pixels: Any) -> None:
    """Of batch normalization: planted ones, not the batch's."""
    cell = Cell(depth=2, width=WIDTH, normalization="batch", precision="float64")
    network = built(cell)
    random = np.random.default_rng(1)
    moving = [(random.normal(size=WIDTH), random.uniform(0.5, 2, WIDTH)) for _ in range(2)]
    states = iter(network.model.non_trainable_variables)
    for mean, variance in moving:
        next(states).assign(mean)
        next(states).assign(variance)
    inputs = pixels(cell, data.train_images[:40])
    seen = oracle(cell, 5, moving=moving)(inputs)
    logits = look(network, inputs, training=False)[-1]
    np.testing.assert_allclose(logits, seen.logits, rtol=0, atol=1e-11)
    batch = look(network, inputs, training=True)[-1]
    assert np.max(np.abs(batch - seen.logits)) > 0.1


def test_mixed_precision_computes_hidden_layers_in_bfloat16(
    data: Any, oracle: Any, pixels: Any
) -> None:
    """8 bits of mantissa: off by about 2^-9 a layer, not by 2^-24 and not by a tenth."""
    cell = Cell(depth=2, width=WIDTH, precision="mixed_bfloat16")
    inputs = pixels(cell, data.train_images[:40])
    network = built(cell)
    assert all(kernel.numpy().dtype == np.float32 for kernel in network.kernels)
    hidden = network.view(tf.constant(inputs, tf.float32), training=True)[:-1]
    assert {output.dtype for output in hidden} == {tf.bfloat16}
    logits = look(network, inputs)[-1]
    exact = oracle(cell, 5)(inputs).logits
    assert 2.0**-14 < np.max(np.abs(logits - exact)) / np.std(exact) < 0.1


def test_dropout_is_before_the_logits_and_off_in_inference(data: Any, pixels: Any) -> None:
    """Hidden layers do not change; the logits of training do, those of inference do not."""
    plain = Cell(depth=2, width=WIDTH)
    inputs = pixels(plain, data.train_images[:40])
    without = look(built(plain), inputs)
    network = built(_with(plain, dropout=0.5))
    training, inference = look(network, inputs), look(network, inputs, training=False)
    for ours, theirs in zip(without[:-1], training[:-1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.allclose(without[-1], training[-1])
    np.testing.assert_array_equal(without[-1], inference[-1])


def test_a_deep_residual_network_adds_a_skip_per_layer(data: Any, oracle: Any, pixels: Any) -> None:
    """From the second layer on: 50 layers, 49 skips, in double precision against the formula."""
    cell = Cell(depth=50, width=8, architecture="residual", branch="scaled", precision="float64")
    inputs = pixels(cell, data.train_images[:10])
    exact = oracle(cell, 5)(inputs).logits
    logits = look(built(cell), inputs)[-1]
    np.testing.assert_allclose(logits, exact, rtol=1e-11, atol=1e-11 * math.sqrt(50))


def _with(cell: Cell, **changes: Any) -> Cell:
    return Cell(**{**{name: getattr(cell, name) for name in cell.__struct_fields__}, **changes})
