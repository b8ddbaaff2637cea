"""Findings: what an upgrade changed, as something that can be tried again on its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.cells.cell import Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.selection import find_cell
from bench.checks import catalogue
from bench.checks.contracts.known_faults import KNOWN_FAULTS
from bench.environments.exchange import Installed
from bench.results.check import Check
from bench.results.plan import Item
from bench.results.saved_models import COMPOSED, MODELS, formats, saved_name
from bench.verdict.conclusion import Conclusion


@dataclass(frozen=True)
class Finding:
    """A cell, a check (of arithmetic, or a contract), or a saved model in one format."""

    name: str
    item: Item | None = None
    check: Check | None = None
    saved: tuple[str, str] | None = None
    """Model and format."""
    own: Cell | None = None
    """Of the user's model, if it is the one that is saved."""

    @property
    def is_own(self) -> bool:
        """Whether it is about the user's model, which its upgrade alone describes."""
        return self.own is not None or (self.item is not None and bool(self.item.cell.model))


def of_item(item: Item) -> Finding:
    """Training of a cell, which then leaves the envelope of OLD's, or violates a claim."""
    return Finding(item.name, item=item)


def of_check(check: Check) -> Finding:
    """A check that is right on one side and wrong on the other."""
    return Finding(check.id, check=check)


def of_saved(model: str, format_: str, own: Cell | None = None) -> Finding:
    """A model that OLD saves, and what is read back; with its cell if it is the user's."""
    return Finding(saved_name(model, format_), saved=(model, format_), own=own)


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
    checks and saved models. A file of NEW in OLD is left out, as no version between them decides it."""
    grouped = {j.item for group in conclusion.groups for j in group.judgements}
    items = [group.judgements[0].item for group in conclusion.groups]
    items += [j.item for j in conclusion.failing if j.item not in grouped]
    items += [c.item for c in conclusion.claims if c.wrong.name == "NEW"]
    checks = [c.check for c in conclusion.checks if c.counts_against]
    lost = {(s.model, s.format) for s in conclusion.savings if s.outcome.fails and not s.back}
    models = [one for one in _saved_by(conclusion) if one.saved in lost]
    every = [*map(of_item, items), *map(of_check, checks), *models]
    return list(dict.fromkeys(every))


def of_model(conclusion: Conclusion) -> list[Finding]:
    """Cells and files of the user's model, whatever became of them."""
    items = [item for item in conclusion.run.plan.items if item.cell.model]
    return [*map(of_item, items), *(one for one in _saved_by(conclusion) if one.own is not None)]


def _saved_by(conclusion: Conclusion) -> list[Finding]:
    """The models that OLD saved."""
    # The first cell of a user's model is the one that was saved.
    own = {item.cell.model: item.cell for item in reversed(conclusion.run.plan.items)}
    savings = [each for each in conclusion.savings if not each.back]
    return [of_saved(each.model, each.format, own.get(each.model)) for each in savings]


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
    hint = "reports list them; those of your own model: bench bisect FINDING --of UPGRADE"
    return by_name[find_cell(text, by_name, where=where, noun="finding", hint=hint)]


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
