"""What a wheel brings along: the suites and the baselines, so that no checkout is needed."""

from __future__ import annotations

from pathlib import Path

import bench
from bench.errors import BenchError

#: In a wheel only; a checkout has ``suites/`` and ``baselines/`` beside the package.
_SHIPPED = Path(bench.__file__).parent / "shipped"


def suites() -> Path:
    """``suites`` of the working directory or, without one, those that are shipped."""
    return _here("suites")


def baselines() -> Path:
    """``baselines`` of the working directory or, without one, those that are shipped."""
    return _here("baselines")


def refuse_shipped(baselines: Path) -> None:
    """Raises BenchError if a folder is the installed package's, where nothing is to be written."""
    if baselines.is_relative_to(_SHIPPED):
        raise BenchError(
            f"{baselines}: part of the installed package",
            hint="name a folder of yours: --baselines baselines",
        )


def _here(name: str) -> Path:
    shipped = _SHIPPED / name
    return shipped if shipped.is_dir() and not Path(name).is_dir() else Path(name)
