"""Judgement: the verdict on one cell, with what it rests on."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from bench.run import Item
from bench.theory.claim import ClaimResult


class Verdict(str, enum.Enum):
    """What is concluded. The order is the order of attention: what to look at first comes first."""

    CRASHED = "crashed"
    CLAIM_VIOLATED = "claim violated"
    REGRESSED = "regressed"
    CHANGED = "changed"
    MISSING = "missing"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"
    NEW = "new"
    IMPROVED = "improved"
    EQUIVALENT = "equivalent"
    ROUNDING = "rounding"
    IDENTICAL = "identical"

    @property
    def fails(self) -> bool:
        """Whether it makes a run fail (exit 1)."""
        return self in _FAILING


_FAILING = frozenset({Verdict.CRASHED, Verdict.CLAIM_VIOLATED, Verdict.REGRESSED, Verdict.CHANGED})
ATTENTION = tuple(Verdict)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one cell against its baseline."""

    metric: str
    baseline_mean: float | None
    mean: float | None
    change: float | None
    """On the metric's own scale: a difference, or a natural logarithm of a ratio."""
    p_value: float | None
    """Before correction; None where no test was possible."""
    adjusted_p: float | None
    """After Holm's correction over everything tested in the run."""
    verdict: Verdict
    """``regressed``, ``improved``, ``changed``, ``equivalent`` or ``inconclusive``."""
    reason: str


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one cell of one grid."""

    item: Item
    verdict: Verdict
    reason: str
    """One line that a person can act on."""
    rung: str
    """The evidence that decided: ``digest``, ``distribution``, ``claim``, ``outcome``, ``none``."""
    comparisons: Sequence[Comparison] = ()
    claims: Sequence[ClaimResult] = ()
