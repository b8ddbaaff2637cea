"""What a run set out to measure: ``plan.json``."""

from __future__ import annotations

import msgspec

from bench.cells.cell import Cell
from bench.results.check import Check
from bench.results.trial import Trial

SCHEMA = 1


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell's place in a grid. One cell may stand in several grids; it is trained once."""

    grid: str
    id: str
    cell: Cell

    @property
    def name(self) -> str:
        """``<grid>/<id>``."""
        return f"{self.grid}/{self.id}"


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run set out to measure: every item under every seed, every check, every trial."""

    schema: int = SCHEMA
    tier: str
    device: str
    seeds: list[int]
    items: list[Item]
    checks: list[Check] = []
    trials: list[Trial] = []
    selected: bool = False
    """True if options left out cells of the tier: their absence is then no finding."""
    decide: int = 0
    """Seeds up to which undecided cells are given more; 0: none are."""
    further: list[int] = []
    """Seeds that cells get beside ``seeds`` if their bits differ from those that they are compared
    with."""

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")

    def replicas(self) -> list[tuple[Cell, int]]:
        """Every (cell, seed) once, in the order of the items."""
        cells = dict.fromkeys(item.cell for item in self.items)
        return [(cell, seed) for cell in cells for seed in self.seeds]

    def grids(self) -> dict[str, list[Item]]:
        """Items by grid, both in the order of the plan."""
        grids: dict[str, list[Item]] = {}
        for item in self.items:
            grids.setdefault(item.grid, []).append(item)
        return grids
