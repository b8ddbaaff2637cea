"""Catalogue: which checks there are at a tier. Imports no TensorFlow."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import msgspec

from bench.cells.grid import TIERS
from bench.checks.contracts.contract import Catalogue, Contract
from bench.errors import BenchError
from bench.results.check import CONTRACTS, FAMILIES, Check


def module_of(family: str) -> str:
    """The name of the module that has the checks of a family."""
    return f"bench.checks.{'contracts.' if family in CONTRACTS else ''}{family}"


def catalogue_of(family: str) -> Catalogue:
    """The contracts of a family."""
    catalogue: Catalogue = importlib.import_module(module_of(family)).catalogue
    return catalogue


def contract_of(check: Check) -> Contract | None:
    """The contract that a check tests; None if it tests arithmetic, or what is no contract any more."""
    if not check.is_contract:
        return None
    return catalogue_of(check.family).contracts.get(check.subject)


def checks(tier: str, families: Iterable[str] = FAMILIES, *, seeds: int = 1) -> list[Check]:
    """The checks of some families, in a stable order; each once per seed.

    Raises:
        BenchError: no such tier.
    """
    if tier not in TIERS:
        raise BenchError(f"no tier {tier!r}", hint=f"one of {', '.join(TIERS)}")
    listed: list[Check] = []
    for family in families:
        listed += importlib.import_module(module_of(family)).checks(tier)
    return [msgspec.structs.replace(check, seed=seed) for check in listed for seed in range(seeds)]
