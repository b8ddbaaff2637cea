"""Convolution and max-pooling of images (batch, height, width, channels), with gradients.

Written with operations that every kind of array in :mod:`bench.theory.rounding.arrays` knows: a
convolution gathers patches by indexing and is then a matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.theory.rounding.arrays import decide


def conv2d(images: Any, kernel: Any, bias: Any) -> Any:
    """Cross-correlation, stride 1, padding ``same``, plus bias: what frameworks call convolution.

    Args:
        images: (batch, height, width, inputs).
        kernel: (rows, columns, inputs, outputs), rows and columns odd, so that padding is symmetric.
        bias: (outputs,).

    Returns:
        (batch, height, width, outputs).

    Raises:
        ValueError: a kernel with an even side.
    """
    return _correlated(images, kernel) + bias


def conv2d_backward(images: Any, kernel: Any, upstream: Any) -> tuple[Any, Any, Any]:
    """Gradients with respect to images, kernel and bias, from that of the output.

    The gradient of the images is the correlation of upstream with the kernel turned by 180 degrees.
    """
    rows, columns, inputs, outputs = kernel.shape
    turned = kernel[::-1, ::-1].transpose((0, 1, 3, 2))
    flat = upstream.reshape((-1, outputs))
    products = _patches(images, rows, columns).T @ flat
    return (
        _correlated(upstream, turned),
        products.reshape((rows, columns, inputs, outputs)),
        flat.sum(axis=0),
    )


def _correlated(images: Any, kernel: Any) -> Any:
    rows, columns, inputs, outputs = kernel.shape
    if not rows % 2 or not columns % 2:
        raise ValueError(f"a kernel of {rows} x {columns} has no centre; sides must be odd")
    products = _patches(images, rows, columns) @ kernel.reshape((rows * columns * inputs, outputs))
    return products.reshape((*images.shape[:-1], outputs))


def _patches(images: Any, rows: int, columns: int) -> Any:
    """Patch under the kernel at each place: (batch * height * width, rows * columns * inputs)."""
    batch, height, width, inputs = images.shape
    around = ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0))
    padded = np.pad(images, around)
    down = np.arange(height)[:, None, None, None] + np.arange(rows)[:, None]
    across = np.arange(width)[:, None, None] + np.arange(columns)
    gathered = padded[:, down, across]  # (batch, height, width, rows, columns, inputs)
    return gathered.reshape((batch * height * width, rows * columns * inputs))


def max_pool(images: Any) -> Any:
    """The largest of each 2 x 2 window: (batch, height, width, channels) -> half the sides, rounded
    down."""
    first = _first_largest(images)
    *others, taken = _windows(images)
    for place, entries in enumerate(others):
        taken = np.where(first == place, entries, taken)
    return taken


def max_pool_backward(images: Any, upstream: Any) -> Any:
    """Gradient with respect to the images: upstream goes to the first of a window's largest entries,
    row by row, as in TensorFlow's CPU kernels; which of equal ones gets it, no document says."""
    first = _first_largest(images)
    return _spread(images.shape, [np.where(first == place, upstream, 0.0) for place in range(4)])


def max_pool_ties(images: npt.NDArray[Any], upstream: npt.NDArray[Any]) -> Any:
    """Distance of another choice among equal entries from :func:`max_pool_backward`: the size of
    upstream at each of a window's several largest entries, 0 elsewhere. Plain arrays only."""
    windows = np.stack(_windows(images))
    largest = windows == windows.max(axis=0)
    tied = largest & (largest.sum(axis=0) > 1)
    return _spread(images.shape, list(np.where(tied, np.abs(upstream), 0.0)))


def _spread(shape: tuple[int, ...], entries: list[Any]) -> Any:
    """Images of a shape from the four entries of every window; 0 beyond the last whole window."""
    batch, height, width, channels = shape
    rows = [np.stack(entries[row : row + 2], axis=3) for row in (0, 2)]
    windows = np.stack(rows, axis=2)  # (batch, height / 2, 2, width / 2, 2, channels)
    inner = windows.reshape((batch, height // 2 * 2, width // 2 * 2, channels))
    return np.pad(inner, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))


def _windows(images: Any) -> list[Any]:
    """The four entries of every window, row by row."""
    height, width = (side // 2 * 2 for side in images.shape[1:3])
    return [images[:, row:height:2, column:width:2] for row in (0, 1) for column in (0, 1)]


def _first_largest(images: Any) -> Any:
    return np.argmax(np.stack([decide(window) for window in _windows(images)]), axis=0)
