"""Claim: a statement that must hold for any TensorFlow version, and the result of checking it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from bench.cells.cell import Cell
from bench.results.record import Record

#: Whether a claim holds on a cell, and what was measured against what bound.
Finding = tuple[bool, str]


class ClaimResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a claim on one cell."""

    claim: str
    """Its name, such as ``sigmoid-signal-ratio``."""
    statement: str
    """Statement that must hold, with its source."""
    holds: bool
    evidence: str
    """Measurement, and the bound against which it is held."""


@dataclass(frozen=True)
class Claim:
    """A statement about all cells that satisfy ``applies``.

    Args:
        name: name in reports and test ids.
        statement: statement and its reason, with its source.
        applies: whether it speaks of this cell.
        check: its finding on the cell's records, trained or diverged; None if they lack what it needs.
    """

    name: str
    statement: str
    applies: Callable[[Cell], bool]
    check: Callable[[Cell, Sequence[Record]], Finding | None]

    def of(self, cell: Cell, records: Sequence[Record]) -> ClaimResult | None:
        """The claim's result on a cell; None if it does not apply or nothing was measured."""
        if all(record.outcome == "crashed" for record in records) or not self.applies(cell):
            return None  # in this order: whether it applies may take a prediction
        measured = [record for record in records if record.outcome != "crashed"]
        finding = self.check(cell, measured)
        if finding is None:
            return None
        holds, evidence = finding
        return ClaimResult(
            claim=self.name, statement=self.statement, holds=holds, evidence=evidence
        )
