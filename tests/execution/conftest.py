"""Training processes without TensorFlow, which fail as they are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

#: Holds the stand-in; two folders up lies what it imports.
FAULTY = Path(__file__).parent / "faulty"


@pytest.fixture(scope="session")
def faulty_environment(image_cache: tuple[Path, str]) -> dict[str, str]:
    """Environment variables under which training processes are the faulty ones."""
    return {
        "PYTHONPATH": f"{FAULTY}{os.pathsep}{FAULTY.parents[1]}",
        "BENCH_CACHE_DIR": str(image_cache[0]),
    }


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, faulty_environment: dict[str, str]) -> None:
    """Training processes of this process' clusters are the faulty ones."""
    for name, value in faulty_environment.items():
        monkeypatch.setenv(name, value)
