"""A few hundred damaged inputs; ``tox run -e fuzz`` has a hundred thousand."""

from __future__ import annotations

from pathlib import Path

from results.fuzz import fuzz


def test_no_damage_is_a_fault_of_bench(tmp_path: Path) -> None:
    """Whatever a file holds, it is read, or refused in words; nothing else, and never for long."""
    told: list[str] = []
    counts = fuzz(tmp_path, range(60), told.append)
    assert not told, told[0]
    assert counts["read"] >= 5
    assert counts["refused"] >= 20
