"""What a wheel brings along: the suites and the baselines, so that no checkout is needed."""

from __future__ import annotations

from pathlib import Path

import bench

#: In a wheel only; a checkout has ``suites/`` and ``baselines/`` beside the package.
_SHIPPED = Path(bench.__file__).parent / "shipped"


def suites() -> Path:
    """``suites`` of the working directory or, without one, those that are shipped."""
    return _here("suites")


def baselines() -> Path:
    """``baselines`` of the working directory or, without one, those that are shipped."""
    return _here("baselines")


def is_shipped(folder: Path) -> bool:
    """Tells whether a folder belongs to the installed package, where nothing is to be written."""
    return folder.is_relative_to(_SHIPPED)


def _here(name: str) -> Path:
    shipped = _SHIPPED / name
    return shipped if shipped.is_dir() and not Path(name).is_dir() else Path(name)
