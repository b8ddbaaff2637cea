"""Golden files: what commands and reports print, to be read in a review."""

from __future__ import annotations

from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "report" / "golden"


def check_golden(name: str, actual: str) -> None:
    """Fails unless ``golden/<name>`` holds exactly ``actual``, which is then written beside it."""
    __tracebackhide__ = True
    path = GOLDEN / name
    written = path.with_name(f"{path.stem}.actual{path.suffix}")
    expected = path.read_text(encoding="utf-8") if path.exists() else None
    if expected == actual:
        written.unlink(missing_ok=True)
        return
    written.write_text(actual, encoding="utf-8")
    state = "differs" if expected is not None else "does not exist"
    pytest.fail(f"{path} {state}: read {written.name} beside it and, if it is right, rename it")
