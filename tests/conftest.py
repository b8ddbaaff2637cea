"""Settings for all tests of bench. ``builders.py`` beside this file makes synthetic runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine stalls now and then: a slow example says nothing about the code. The examples
# are the same in every run, so a red test is red for everybody.
settings.register_profile("bench", deadline=None, derandomize=True, max_examples=100, database=None)
settings.load_profile("bench")


@pytest.fixture
def below_a_file(tmp_path: Path) -> Path:
    """A path nobody can write to, root included: its parent is a regular file."""
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    return blocker / "run"
