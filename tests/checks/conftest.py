"""TensorFlow in this process, quietly and on one thread, and labs of made-up images."""

from __future__ import annotations

import os
import warnings
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its notes on oneDNN say nothing here

# TensorFlow 2.12 and 2.13 import modules that newer Pythons deprecate; their own business.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow  # noqa: F401

import numpy as np
import pytest

from bench.checks.lab import Lab
from bench.nets import device


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As in a worker, and as the tests of bench.nets ask for in the same process."""
    device.configure("cpu", threads=1)


@pytest.fixture(scope="session")
def images() -> Any:
    """200 images for training and 20 for tests: a fifth of the pixels is bright, as in MNIST."""
    random = np.random.default_rng(1)
    bright = random.random((200, 28, 28)) < 0.2
    pixels = (bright * random.integers(50, 256, (200, 28, 28))).astype(np.uint8)
    labels = (np.arange(200) % 10).astype(np.uint8)
    return SimpleNamespace(
        train_images=pixels, train_labels=labels, test_images=pixels[:20], test_labels=labels[:20]
    )


@pytest.fixture
def lab(images: Any) -> Lab:
    """The surroundings of one check, which has seen nothing yet."""
    return Lab(images, "cpu")
