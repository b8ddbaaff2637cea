"""Settings for all tests of bench. What they share lies in ``support``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from bench import mnist

# A shared machine stalls now and then: a slow example says nothing about the code. The examples
# are the same in every run, so a red test is red for everybody.
settings.register_profile("bench", deadline=None, derandomize=True, max_examples=100, database=None)
settings.load_profile("bench")


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors here; users' runs of the suites decide for themselves. What tests report is
    no part of the summary of the job that runs them."""
    config.addinivalue_line("filterwarnings", "error")
    os.environ.pop("GITHUB_STEP_SUMMARY", None)


@pytest.fixture
def below_a_file(tmp_path: Path) -> Path:
    """A path nobody can write to, root included: its parent is a regular file."""
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    return blocker / "run"


@pytest.fixture(scope="session")
def images_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An npz file with images of MNIST's shapes that are not MNIST: noise around ten templates."""
    generator = np.random.default_rng(0)
    templates = generator.integers(0, 200, (10, 28, 28), dtype=np.uint8)

    def split(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = generator.integers(0, 10, count, dtype=np.uint8)
        noise = generator.integers(0, 55, (count, 28, 28), dtype=np.uint8)
        return templates[labels] + noise, labels

    train, test = split(60_000), split(10_000)
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1])
    return path


@pytest.fixture(scope="session")
def image_cache(tmp_path_factory: pytest.TempPathFactory, images_file: Path) -> tuple[Path, str]:
    """A cache that holds :func:`images_file`, and its fingerprint."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, mnist.load(directory=images_file, cache_dir=cache).fingerprint
