"""Findings: what an upgrade changed, as something that can be tried again on its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.selection import find_cell
from bench.checks import catalogue
from bench.checks.contracts.known_faults import KNOWN_FAULTS
from bench.environments.exchange import Installed
from bench.results.check import Check
from bench.results.plan import Item
from bench.results.saved_models import COMPOSED, MODELS, formats
from bench.verdict.conclusion import Conclusion


@dataclass(frozen=True)
class Finding:
    """A cell, a check (of arithmetic, or a contract), or a saved model in one format."""

    name: str
    item: Item | None = None
    check: Check | None = None
    saved: tuple[str, str] | None = None
    """Model and format."""


def of_item(item: Item) -> Finding:
    """Training of a cell, which then leaves the envelope of OLD's, or violates a claim."""
    return Finding(item.name, item=item)


def of_check(check: Check) -> Finding:
    """A check that is right on one side and wrong on the other."""
    return Finding(check.id, check=check)


def of_saved(model: str, format_: str) -> Finding:
    """A model that OLD saves, and what is read back."""
    return Finding(f"saved:{model}-{format_}", saved=(model, format_))


def everything() -> list[Finding]:
    """All that can be asked about, whatever was measured."""
    cells = [
        of_item(Item(grid=grid.name, id=id_, cell=cell))
        for grid in UPGRADE_GRIDS.values()
        for id_, cell in grid.cells("full").items()
    ]
    checks = map(of_check, catalogue.checks("full"))
    models = [of_saved(model, form) for model in (*MODELS, *COMPOSED) for form in formats(model)]
    return [*cells, *checks, *models]


def found_by(conclusion: Conclusion) -> list[Finding]:
    """What speaks against an upgrade: one cell for each group of changed ones, then crashes, claims,
    checks and saved models. A model of the user's is left out: only its upgrade can train it; and so is
    a file of NEW in OLD, as no version between them decides it."""
    grouped = {j.item for group in conclusion.groups for j in group.judgements}
    items = [group.judgements[0].item for group in conclusion.groups]
    items += [j.item for j in conclusion.failing if j.item not in grouped]
    items += [c.item for c in conclusion.claims if c.wrong.name == "NEW"]
    checks = [c.check for c in conclusion.checks if c.counts_against]
    items = [item for item in items if not item.cell.model]
    known = (*MODELS, *COMPOSED)
    models = [
        (s.model, s.format)
        for s in conclusion.savings
        if s.outcome.fails and s.model in known and not s.back
    ]
    every = [
        *map(of_item, items),
        *map(of_check, checks),
        *(of_saved(model, format_) for model, format_ in models),
    ]
    return list(dict.fromkeys(every))


def named(text: str, among: Iterable[Finding]) -> Finding:
    """The finding that a user means by its name or a part of it.

    Args:
        text: what the user wrote.
        among: which it is looked for.

    Raises:
        BenchError: none is meant, and what comes close; or several, which are listed.
    """
    by_name = {finding.name: finding for finding in among}
    where = "among cells, checks and saved models"
    return by_name[find_cell(text, by_name, where=where, noun="finding")]


def known_reports(finding: Finding, locks: Iterable[str]) -> list[str]:
    """Faults that are known of the versions of any of some locks, with their report: of contracts."""
    check = finding.check
    if check is None or not check.is_contract:
        return []
    ends = [Installed(lock=lock) for lock in locks]
    return [
        fault.what
        for fault in KNOWN_FAULTS
        if fault.breaks(check.id)
        and any(fault.applies(end.keras, end.versions.get(end.tensorflow, "")) for end in ends)
    ]
