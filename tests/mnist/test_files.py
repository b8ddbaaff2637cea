"""IDX and npz files, whole and damaged."""

from __future__ import annotations

import dataclasses
import gzip
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.mnist import arrays as _arrays
from bench.mnist import files as _files
from bench.mnist.arrays import Arrays
from support.small_mnist import fuzz, idx_bytes, keras_bytes, mutated, stand_in

small_images = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.binary(min_size=int(np.prod(shape)), max_size=int(np.prod(shape))).map(
        lambda content: np.frombuffer(content, np.uint8).reshape(shape)
    )
)


@fuzz
@given(small_images)
def test_idx_round_trip(array: Any) -> None:
    np.testing.assert_array_equal(_files.parse_idx(idx_bytes(array), array.shape), array)


@fuzz
@given(small_images, st.data())
def test_idx_of_any_other_length_is_an_error(array: Any, data: st.DataObject) -> None:
    content = idx_bytes(array)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(BenchError, match="truncated"):
        _files.parse_idx(content[:cut], array.shape)
    more = data.draw(st.binary(min_size=1, max_size=3))
    with pytest.raises(BenchError, match="more data than"):
        _files.parse_idx(content + more, array.shape)


@fuzz
@given(small_images, st.data())
def test_idx_with_any_changed_byte_is_an_error_or_other_data(
    array: Any, data: st.DataObject
) -> None:
    content = bytearray(idx_bytes(array))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    if position < 4 + 4 * array.ndim:
        with pytest.raises(BenchError, match=r"magic|shape"):
            _files.parse_idx(bytes(content), array.shape)
    else:
        parsed = _files.parse_idx(bytes(content), array.shape)
        assert not np.array_equal(parsed, array)


@fuzz
@given(st.data())
def test_damaged_gzip_is_an_error_or_harmless(data: st.DataObject) -> None:
    """Only what gzip does not protect (time stamp, system) may change, and it alters nothing."""
    labels = stand_in().train_labels
    content = gzip.compress(idx_bytes(labels))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "labels.gz")
        path.write_bytes(mutated(content, data))
        try:
            parsed = _files.read_idx(path, labels.shape)
        except BenchError as error:
            assert str(path) in str(error)
        else:
            np.testing.assert_array_equal(parsed, labels)


@fuzz
@given(st.data())
def test_damaged_npz_is_an_error_or_recognisable(data: st.DataObject) -> None:
    published = dataclasses.replace(_arrays.MNIST, train_count=2, test_count=1)
    arrays = Arrays(*(a[:n] for a, n in zip(stand_in(), (2, 2, 1, 1), strict=True)))
    content = mutated(keras_bytes(arrays), data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mnist.npz")
        path.write_bytes(content)
        try:
            parsed = _files.read_npz(path, published)
        except BenchError as error:
            assert str(path) in str(error)
        else:
            for got, expected in zip(parsed, arrays, strict=True):
                np.testing.assert_array_equal(got, expected)
