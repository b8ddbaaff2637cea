"""Contrasts: claims and checks that need no baseline, on the two sides of a comparison."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bench.checks.catalogue import contract_of
from bench.checks.contracts.contract import Contract
from bench.results.check import NOT_INSTALLED, Check, CheckResult
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.theory.claim import ClaimResult
from bench.theory.claims import check_claims


class Wrong(str, enum.Enum):
    """The sides on which a claim does not hold, or a check fails."""

    NEW = "wrong on the new side only"
    BOTH = "wrong on both sides"
    OLD = "wrong on the old side only"


@dataclass(frozen=True, kw_only=True)
class ClaimContrast:
    """A claim that does not hold of a cell on one side or on both."""

    item: Item
    wrong: Wrong
    old: ClaimResult | None
    new: ClaimResult | None


@dataclass(frozen=True, kw_only=True)
class CheckContrast:
    """A check that fails on one side or on both."""

    check: Check
    wrong: Wrong
    old: CheckResult | None
    """None where the other side is a stored baseline: checks need none."""
    new: CheckResult | None

    @property
    def counts_against(self) -> bool:
        """Whether something changed for users: it newly fails; or a contract is kept that was broken,
        and whoever lived with that gets other results."""
        return self.wrong is Wrong.NEW or (self.mended and self.check.is_contract)

    @property
    def mended(self) -> bool:
        """Whether it failed before, and does not any more."""
        return self.wrong is Wrong.OLD


@dataclass(frozen=True, kw_only=True)
class DocumentContrast:
    """A contract of OLD that the documentation of NEW does not have."""

    check: Check
    old: Contract
    new: Contract | None
    """What is documented in its place; None where there is nothing."""


def _sides(fails: Sequence[bool]) -> Wrong:
    """Tells which side it fails on, the old or the new; one of them does."""
    if all(fails):
        return Wrong.BOTH
    return Wrong.NEW if fails[1] else Wrong.OLD


def contrast_claims(old: StoredRun, new: StoredRun) -> list[ClaimContrast]:
    """Claims that do not hold on a side, those newly violated first."""
    contrasts = []
    for item in new.plan.items:
        before, after = (
            {result.claim: result for result in check_claims(item.cell, run.of(item.cell))}
            for run in (old, new)
        )
        for name in dict.fromkeys([*before, *after]):
            pair = before.get(name), after.get(name)
            violated = [result is not None and not result.holds for result in pair]
            if any(violated):
                contrasts.append(
                    ClaimContrast(item=item, wrong=_sides(violated), old=pair[0], new=pair[1])
                )
    return sorted(contrasts, key=lambda contrast: list(Wrong).index(contrast.wrong))


def contrast_checks(old: StoredRun, new: StoredRun) -> list[CheckContrast]:
    """Checks of NEW that fail on a side, those that newly fail first.

    What OLD did not run, or does not have, is no contrast where NEW's fault is a known one; what NEW
    did not run is none at all.
    """
    contrasts = []
    for check in new.plan.checks:
        before, after = old.checks.get(check), new.checks.get(check)
        if after is None or after.absent or not (_ran(before) or after.fails):
            continue
        fails = [before is not None and before.wrong, after.wrong]
        if any(fails):
            contrasts.append(CheckContrast(check=check, wrong=_sides(fails), old=before, new=after))
    return sorted(contrasts, key=lambda contrast: list(Wrong).index(contrast.wrong))


def _ran(result: CheckResult | None) -> bool:
    return result is not None and not result.absent


def contrast_documents(old: StoredRun, new: StoredRun) -> list[DocumentContrast]:
    """Contracts that OLD was held to, and of which NEW has nothing, with what NEW was held to in their
    place: whoever relies on one gets something else, though neither side breaks a promise."""
    contrasts = []
    for check, before in old.checks.items():
        contract, after = contract_of(check), new.checks.get(check)
        if contract is None or before.absent or after is None or not after.absent:
            continue
        if after.absent.endswith(NOT_INSTALLED):
            continue
        place = new.checks.get(msgspec.structs.replace(check, subject=contract.counterpart))
        held = place is not None and not place.absent
        instead = contract_of(place.check) if place is not None and held else None
        contrasts.append(DocumentContrast(check=check, old=contract, new=instead))
    return contrasts
