"""The type of the fixture ``shared``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Shared = Callable[[str, Callable[[Path], None]], Path]
