"""Training processes without TensorFlow, which fail as they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.main_jobs import FAULTY_PATH


@pytest.fixture(scope="session")
def faulty_environment(image_cache: tuple[Path, str]) -> dict[str, str]:
    """Environment variables under which training processes are the faulty ones."""
    return {
        "PYTHONPATH": FAULTY_PATH,
        "BENCH_CACHE_DIR": str(image_cache[0]),
    }


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, faulty_environment: dict[str, str]) -> None:
    """Training processes of this process' clusters are the faulty ones."""
    for name, value in faulty_environment.items():
        monkeypatch.setenv(name, value)
