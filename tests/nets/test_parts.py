"""Parts on their own: initializers, activations and normalization layers do what they are asked."""

from __future__ import annotations

import numpy as np
import pytest

from bench.nets import parts
from bench.nets.keras_version import keras_generation

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)


def test_samples_are_matrices_one_for_each_seed() -> None:
    """A convolution's kernel has its last axis as columns; a vector is one row; seeds differ."""
    kernels = parts.samples("HeNormal", (3, 3, 2, 5), [1, 2, 1], config={})
    assert kernels.shape == (3, 18, 5)
    assert kernels.dtype == np.float32
    np.testing.assert_array_equal(kernels[0], kernels[2])
    assert np.all(kernels[0] != kernels[1])
    vector = parts.samples("RandomNormal", (7,), [1], dtype="float64", config={"mean": 5.0})
    assert vector.shape == (1, 1, 7)
    assert vector.dtype == np.float64
    assert np.all(np.abs(vector - 5.0) < 1.0)


@pytest.mark.parametrize(
    ("kind", "shape"), [("Dense", (6, 4)), ("Conv2D", (3, 3, 2, 4))], ids=["dense", "convolution"]
)
def test_a_layer_shows_its_initializers(kind: str, shape: tuple[int, ...]) -> None:
    """Their classes by default, and what one of ours made of the kernel."""
    built = parts.layer(kind, shape, seed=3)
    assert list(built.defaults) == ["GlorotUniform", "Zeros"]
    assert built.kernel.shape == shape
    np.testing.assert_array_equal(built.kernel, built.given)
    np.testing.assert_array_equal(built.bias, np.zeros(4))


@pytest.mark.parametrize("mode", parts.MODES)
def test_value_and_slope_of_arrays_of_any_length(mode: str) -> None:
    """(x + 1)^2 has slope 2 (x + 1); one compiled function takes two lengths."""
    compute = parts.value_and_slope(lambda x: (x + 1.0) ** 2, mode)
    for x in ([1.0, 2.0, -3.0], [0.5]):
        value, slope = compute(x)
        np.testing.assert_array_equal(value, (np.asarray(x) + 1) ** 2)
        np.testing.assert_array_equal(slope, 2 * (np.asarray(x) + 1))
        assert value.dtype == np.float32


def test_activations_come_by_three_routes() -> None:
    """The layer's leaky slope is .3 and the function's .2; Keras 2.12 has no function of that name."""
    x = np.asarray([-1.0, 2.0])
    for route in parts.ROUTES:
        function = parts.activation("leaky_relu", route)
        if function is None:
            assert (route, keras_generation()) == ("keras", 2)
            continue
        value, slope = parts.value_and_slope(function, "eager")(x)
        below = 0.3 if route == "layer" else 0.2
        np.testing.assert_allclose(value, [-below, 2.0], rtol=1e-6)
        np.testing.assert_allclose(slope, [below, 1.0], rtol=1e-6)


def test_an_activation_in_bfloat16_stays_there() -> None:
    """1.001 is 1 in bfloat16, and comes back in float32."""
    function = parts.activation("relu", "layer", dtype="mixed_bfloat16")
    value, _ = parts.value_and_slope(function, "eager", dtype="bfloat16")([1.001])
    assert value.dtype == np.float32
    assert value[0] == 1.0


@pytest.mark.parametrize("mode", parts.MODES)
def test_batch_normalization_by_hand(mode: str) -> None:
    """Batch (1, 3): mean 2, variance 1; epsilon 3 makes the divisor 2, so the outputs are
    2 (-+1 / 2) + 5 = 4 and 6; momentum .75 moves 0 and 1 to .5 and 1. In inference the divisor is
    2 again: 2 (1 - .5) / 2 + 5 = 5.5, and the slope 2 / 2.
    """
    made = parts.Normalization(
        "BatchNormalization",
        (2, 1),
        dtype="float32",
        variables={"gamma": np.asarray([2.0]), "beta": np.asarray([5.0])},
        options={"epsilon": 3.0, "momentum": 0.75},
    )
    x, upstream = np.float32([[1.0], [3.0]]), np.float32([[1.0], [0.0]])
    passed = made(x, upstream, training=True, mode=mode)
    np.testing.assert_allclose(passed.outputs, [[4.0], [6.0]])
    np.testing.assert_allclose(passed.gradients["gamma"], [-0.5])
    np.testing.assert_allclose(passed.gradients["beta"], [1.0])
    # dx = gamma / 2 (g - mean(g) - xc mean(g xc) / 4), with g = (1, 0), xc = (-1, 1): (.375, -.375)
    np.testing.assert_allclose(passed.inputs_gradient, [[0.375], [-0.375]])
    np.testing.assert_allclose([passed.moving["mean"], passed.moving["variance"]], [[0.5], [1.0]])
    passed = made(x, upstream, training=False, mode=mode)
    np.testing.assert_allclose(passed.outputs[0], [5.5])
    np.testing.assert_allclose(passed.inputs_gradient, [[1.0], [0.0]])
    np.testing.assert_allclose(made.variables()["moving_mean"], [0.5])


def test_layer_normalization_has_no_moving_statistics() -> None:
    """And the first values of gamma and beta are 1 and 0."""
    made = parts.Normalization(
        "LayerNormalization", (2, 3), dtype="float32", variables={}, options={}
    )
    first = made.variables()
    assert sorted(first) == ["beta", "gamma"]
    np.testing.assert_array_equal(first["gamma"], np.ones(3))
    passed = made(np.float32([[1, 2, 3]]), np.float32([[1, 1, 1]]), training=True)
    assert passed.moving == {}
    np.testing.assert_allclose(passed.outputs.sum(), 0.0, atol=1e-6)
