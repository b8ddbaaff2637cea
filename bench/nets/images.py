"""MNIST on the device: bytes there, scaled inside the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from bench.cells.cell import Cell
from bench.mnist import Mnist
from bench.nets.builder import variable_dtype
from bench.nets.network import input_shape


@dataclass(frozen=True)
class Images:
    """Tensors of one data set; images are (n, 784), labels integers (n,)."""

    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any


def on_device(data: Mnist, device: str) -> Images:
    """Puts a data set on the device.

    A CPU keeps bytes and int32. A GPU has no kernel that gathers uint8, and TensorFlow leaves eager
    int32 tensors on the host: it holds the same values as float32 and int64.
    """
    on_gpu = device == "gpu"
    dtype, label_dtype = (np.float32, np.int64) if on_gpu else (np.uint8, np.int32)

    def images(array: Any) -> Any:
        return tf.constant(np.asarray(array.reshape(len(array), 784), dtype=dtype))

    def labels(array: Any) -> Any:
        return tf.constant(np.asarray(array, dtype=label_dtype))

    return Images(
        train_images=images(data.train_images),
        train_labels=labels(data.train_labels),
        test_images=images(data.test_images),
        test_labels=labels(data.test_labels),
    )


def scaled(cell: Cell, pixels: Any, pixel_scale: Any) -> Any:
    """Bytes (n, 784) as the cell's model takes them, times ``pixel_scale``, a scalar float64."""
    dtype, shape = variable_dtype(cell), input_shape(cell)
    floats = tf.cast(pixels, dtype) * tf.cast(pixel_scale, dtype)
    return tf.reshape(floats, (-1, *shape)) if len(shape) > 1 else floats


def pixel_scale(cell: Cell) -> Any:
    """What :func:`scaled` multiplies bytes by for this cell."""
    return tf.constant(cell.input_scale / 255, tf.float64)
