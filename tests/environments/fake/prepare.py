"""Prepares an environment in a process of its own: ``prepare.py UV CACHE REQUIREMENTS``."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.environments import installer
from bench.environments.prepare import prepare
from bench.environments.requirements import parse_side

uv, cache, requirements = sys.argv[1:]
installer.find_uv_bin = lambda: uv
(built,) = prepare([parse_side(requirements)], cache=Path(cache))
print(built.python)
