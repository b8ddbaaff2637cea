"""Settings and fixtures of all tests of bench; ``support`` holds what else they share."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

from bench import mnist
from support.main_jobs import FAULTY_PATH, Job
from support.preloaded import preloaded
from support.shared import Shared

# A shared machine stalls now and then: a slow example says nothing about the code. The examples
# are the same in every run, so a red test is red for everybody.
settings.register_profile("bench", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("bench")


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors here; users' runs of the suites decide for themselves. What tests report is
    no part of the summary of the job that runs them."""
    config.addinivalue_line("filterwarnings", "error")
    os.environ.pop("GITHUB_STEP_SUMMARY", None)


ROOT = Path(__file__).parent
#: Rooms whose tests have TensorFlow in their process.
TENSORFLOW_ROOMS = (ROOT / "checks", ROOT / "nets")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Rooms that are deselected as a whole need not import TensorFlow."""
    deselected = "not slow" in config.option.markexpr
    return True if deselected and collection_path in TENSORFLOW_ROOMS else None


@functools.cache
def _imports_tensorflow(path: Path) -> bool:
    return any(room in path.parents for room in TENSORFLOW_ROOMS)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that train are slow, here or in processes of their own, which need images."""
    if _imports_tensorflow(item.path) or "image_cache" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.slow)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Modules and tests stay until the end: with TensorFlow these are a million objects, and each graph
    that is traced would have Python look through them for garbage. A quarter of its tests' time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def below_a_file(tmp_path: Path) -> Path:
    """A path nobody can write to, root included: its parent is a regular file."""
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    return blocker / "run"


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """``shared(name, fill)``: a folder that all processes of pytest-xdist share. The first to ask for
    it has ``fill`` fill it, others wait; nobody may change it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def folder(name: str, fill: Callable[[Path], None]) -> Path:
        path = base / f"shared-{name}"
        with FileLock(f"{path}.lock"):
            if not path.exists():
                scratch = path.with_suffix(".scratch")
                scratch.mkdir()
                fill(scratch)
                scratch.rename(path)
        return path

    return folder


@pytest.fixture(scope="session")
def preloaded_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An interpreter that starts with TensorFlow imported."""
    with preloaded(tmp_path_factory.mktemp("preloaded")) as python:
        yield python


@pytest.fixture(scope="session")
def images_file(shared: Shared) -> Path:
    """An npz file with images of MNIST's shapes that are not MNIST: noise around ten templates."""

    def fill(folder: Path) -> None:
        generator = np.random.default_rng(0)
        templates = generator.integers(0, 200, (10, 28, 28), dtype=np.uint8)

        def split(count: int) -> tuple[np.ndarray, np.ndarray]:
            labels = generator.integers(0, 10, count, dtype=np.uint8)
            noise = generator.integers(0, 55, (count, 28, 28), dtype=np.uint8)
            return templates[labels] + noise, labels

        train, test = split(60_000), split(10_000)
        np.savez(
            folder / "images.npz",
            x_train=train[0],
            y_train=train[1],
            x_test=test[0],
            y_test=test[1],
        )

    return shared("images", fill) / "images.npz"


@pytest.fixture(scope="session")
def image_cache(shared: Shared, images_file: Path) -> tuple[Path, str]:
    """A cache that holds :func:`images_file`, and its fingerprint."""
    cache = shared("cache", lambda folder: mnist.load(directory=images_file, cache_dir=folder))
    return cache, mnist.load(directory=images_file, cache_dir=cache).fingerprint


@pytest.fixture(scope="session")
def image_variables(images_file: Path, image_cache: tuple[Path, str]) -> dict[str, str]:
    """Environment variables under which commands train on these images, and write no summary."""
    return {
        "BENCH_CACHE_DIR": str(image_cache[0]),
        "BENCH_MNIST_DIR": str(images_file),
        "GITHUB_STEP_SUMMARY": "",
    }


@pytest.fixture(scope="session")
def faulty_variables(image_variables: dict[str, str]) -> dict[str, str]:
    """Those under which training processes are the stand-in, too."""
    return {**image_variables, "PYTHONPATH": FAULTY_PATH}


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, faulty_variables: dict[str, str]) -> None:
    """Training processes that this process starts are the stand-in."""
    for name, value in faulty_variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def job(tmp_path: Path, faulty_variables: dict[str, str]) -> Job:
    """Main jobs in an empty folder, with the stand-in."""
    return Job(tmp_path, faulty_variables)
