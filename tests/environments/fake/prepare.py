"""Prepares an environment in a process of its own: ``prepare.py CACHE REQUIREMENTS``."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.environments.prepare import prepare
from bench.environments.requirements import parse_side

print(prepare(parse_side(sys.argv[2]), cache=Path(sys.argv[1])).python)
