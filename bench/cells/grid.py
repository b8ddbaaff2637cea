"""Grid: one question, asked of many cells. Tier: how much of it is run, the tiers below it included."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cells.cell import Cell
from bench.errors import BenchError


@dataclass(frozen=True)
class Tier:
    """Extent of a run."""

    name: str
    seeds: int
    purpose: str
    one_first: bool = False
    """Whether seeds beyond the first are trained only where bits differ from the baseline's."""


TIERS: Mapping[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier("quick", 5, "pull requests", one_first=True),
        Tier("standard", 5, "nightly, or an upgrade"),
        Tier("full", 10, "a release, or a GPU"),
    )
}


def tiers_within(tier: str) -> list[str]:
    """A tier's name, after those of the tiers below it.

    Raises:
        BenchError: no such tier.
    """
    names = list(TIERS)
    if tier not in names:
        raise BenchError(f"no tier {tier!r}", hint=f"one of {', '.join(names)}")
    return names[: names.index(tier) + 1]


@dataclass(frozen=True)
class Grid:
    """A question, asked of many cells.

    Args:
        name: prefix of its cells in baselines and reports.
        title: heading of its table.
        question: the question that the table answers, one sentence.
        axes: the axes that define the grid; they appear in every id.
        added: the cells that each tier adds to those of the tiers below it.
    """

    name: str
    title: str
    question: str
    axes: tuple[str, ...]
    added: Mapping[str, Sequence[Cell]]

    def __post_init__(self) -> None:
        """Makes sure that cells are there more than once, of an iterator as well."""
        if not isinstance(self.added, Mapping):
            raise TypeError("added has cells by tier: {'quick': [...]}")
        kept = {tier: tuple(cells) for tier, cells in self.added.items()}
        object.__setattr__(self, "added", kept)

    def cells(self, tier: str) -> dict[str, Cell]:
        """The tier's cells by id, in a stable order.

        Raises:
            BenchError: no such tier.
        """
        within = tiers_within(tier)
        cells = itertools.chain.from_iterable(self.added.get(name, ()) for name in within)
        return {cell.id(self.axes): cell for cell in cells}


def product(**axes: Sequence[Any]) -> Iterator[Cell]:
    """All combinations of the given attribute values of :class:`Cell`, the last varying fastest."""
    for values in itertools.product(*axes.values()):
        yield Cell(**dict(zip(axes, values, strict=True)))


def fitted(**axes: Sequence[Any]) -> Iterator[Cell]:
    """Small networks, trained by one ``Model.fit`` of two epochs; the rest that batches of 128 leave of
    60,000 images, 96, is each epoch's last batch."""
    small: dict[str, Sequence[Any]] = {
        "depth": [2],
        "batch": [128],
        "steps": [100],
        "engine": ["fit_epochs"],
    }
    yield from product(**{**small, **axes})


def compiled(**axes: Sequence[Any]) -> Iterator[Cell]:
    """Small networks, trained by steps that XLA compiles."""
    small: dict[str, Sequence[Any]] = {"depth": [2], "steps": [100], "engine": ["xla"]}
    yield from product(**{**small, **axes})


def as_users_train(**axes: Sequence[Any]) -> Iterator[Cell]:
    """Both of these."""
    yield from fitted(**axes)
    yield from compiled(**axes)
