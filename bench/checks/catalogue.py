"""Catalogue: which checks there are at a tier. Imports no TensorFlow."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import msgspec

from bench.cells.grid import TIERS
from bench.errors import BenchError
from bench.results.check import FAMILIES, Check


def checks(tier: str, families: Iterable[str] = FAMILIES, *, seeds: int = 1) -> list[Check]:
    """The checks of some families, in a stable order; each once per seed.

    Raises:
        BenchError: no such tier.
    """
    if tier not in TIERS:
        raise BenchError(f"no tier {tier!r}", hint=f"one of {', '.join(TIERS)}")
    listed: list[Check] = []
    for family in families:
        listed += importlib.import_module(f"bench.checks.{family}").checks(tier)
    return [msgspec.structs.replace(check, seed=seed) for check in listed for seed in range(seeds)]
