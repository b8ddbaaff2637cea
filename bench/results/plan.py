"""Plan: all that a run set out to measure, as ``plan.json`` keeps it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from bench.cells.cell import Cell
from bench.results.bounds import MOST_SEEDS, Name, Seed, Word
from bench.results.check import Check
from bench.results.kind import Task
from bench.results.pace import Pace
from bench.results.record import Replica
from bench.results.trial import Trial

SCHEMA = 1


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell's place in a grid. One cell may stand in several grids; it is trained once."""

    grid: Word
    id: Name
    cell: Cell

    @property
    def name(self) -> str:
        """``<grid>/<id>``."""
        return f"{self.grid}/{self.id}"


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a run set out to measure: every item under every seed, every check, trial and pace."""

    schema: int = SCHEMA
    tier: Name
    device: Name
    seeds: Annotated[list[Seed], Meta(max_length=MOST_SEEDS)]
    items: list[Item]
    checks: list[Check] = []
    trials: list[Trial] = []
    paces: list[Pace] = []
    selected: bool = False
    """True if options left out cells of the tier: their absence is then no finding."""
    decide: Annotated[int, Meta(ge=0, le=MOST_SEEDS)] = 0
    """Seeds up to which undecided cells are given more; 0: none are."""
    further: Annotated[list[Seed], Meta(max_length=MOST_SEEDS)] = []
    """Seeds that cells get beside ``seeds`` if their bits differ from those that they are compared
    with."""

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")
        planned = [*self.seeds, *self.further]
        if len(set(planned)) < len(planned) or (self.items and not self.seeds):
            raise ValueError("a seed is planned twice, or cells are under none")
        if len({(item.grid, item.id) for item in self.items}) < len(self.items):
            raise ValueError("a cell stands in its grid twice")

    def tasks(self) -> list[Task]:
        """All tasks, each once."""
        return [*self.paces, *self.replicas(), *self.checks, *self.trials]

    def replicas(self) -> list[Replica]:
        """Every cell under every seed once, in the order of the items."""
        return [Replica(cell, seed) for cell in self.names() for seed in self.seeds]

    def names(self) -> dict[Cell, str]:
        """``grid/id`` by cell, in the order of the items; the first one of a cell in two grids."""
        names: dict[Cell, str] = {}
        for item in self.items:
            names.setdefault(item.cell, f"{item.grid}/{item.id}")
        return names

    def grids(self) -> dict[str, list[Item]]:
        """Items by grid, both in the order of the plan."""
        grids: dict[str, list[Item]] = {}
        for item in self.items:
            grids.setdefault(item.grid, []).append(item)
        return grids
