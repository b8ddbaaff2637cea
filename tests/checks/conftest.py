"""TensorFlow in this process, quietly and on one thread."""

from __future__ import annotations

import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its notes on oneDNN say nothing here

# TensorFlow 2.12 and 2.13 import modules that newer Pythons deprecate; their own business.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow  # noqa: F401

import pytest

from bench.nets import device


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As in a worker, and as the tests of bench.nets ask for in the same process."""
    device.configure("cpu", threads=1)
