"""Images on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.cells.cell import Cell
from bench.nets.images import Images, on_device, pixel_scale, scaled

pytestmark = pytest.mark.filterwarnings(
    "error",
    # Python 3.13 deprecates how AutoGraph of TensorFlow 2.20 annotates syntax trees.
    "ignore:.* got an unexpected keyword argument:DeprecationWarning",
)


@pytest.mark.parametrize(("device", "dtype"), [("cpu", tf.uint8), ("gpu", tf.float32)])
def test_images_keep_their_values(data: Any, device: str, dtype: Any) -> None:
    """Flat, in order; as bytes on a CPU, as the same numbers for a GPU."""
    images = on_device(data, device)
    for tensor, array in (
        (images.train_images, data.train_images),
        (images.test_images, data.test_images),
    ):
        assert tensor.dtype == dtype
        np.testing.assert_array_equal(tensor.numpy(), array.reshape(-1, 784))
    for tensor, array in (
        (images.train_labels, data.train_labels),
        (images.test_labels, data.test_labels),
    ):
        assert tensor.dtype == (tf.int64 if device == "gpu" else tf.int32)
        np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("input_scale", [1.0, 0.02])
@pytest.mark.parametrize("precision", ["float32", "float64", "mixed_bfloat16"])
def test_scaled(images: Images, data: Any, precision: str, input_scale: float) -> None:
    """Bytes times input_scale / 255, rounded once to the network's inputs: bit by bit NumPy's."""
    cell = Cell(precision=precision, input_scale=input_scale)
    dtype = np.float64 if precision == "float64" else np.float32
    values = scaled(cell, images.train_images[:50], pixel_scale(cell)).numpy()
    assert values.dtype == dtype
    expected = data.train_images[:50].reshape(50, 784).astype(dtype) * dtype(input_scale / 255)
    np.testing.assert_array_equal(values, expected)
    assert values.max() == pytest.approx(input_scale, rel=0.01)


def test_a_cnn_sees_rows_and_columns(images: Images, data: Any) -> None:
    """(n, 28, 28, 1), not transposed."""
    cell = Cell(architecture="cnn")
    values = scaled(cell, images.train_images[:3], pixel_scale(cell)).numpy()
    assert values.shape == (3, 28, 28, 1)
    np.testing.assert_allclose(values[..., 0] * 255, data.train_images[:3], rtol=1e-6)
