"""Selection of cells on the command line, by axis and by id; ``-k`` is pytest's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping

from bench.cells.cell import AXES, Cell
from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.grid import Grid, tiers_within
from bench.errors import BenchError

#: Other names of initializations, and ours.
_ALSO = {"xavier": "glorot", "kaiming": "he", "glorot": "glorot", "he": "he", "lecun": "lecun"}


class Selection:
    """The cells of a tier that the user asked for.

    Args:
        tier: whose cells.
        axes: texts like ``depth=3,10``; a cell has to satisfy all of them.
        ids: ids, or ``grid/id``, of the cells; all cells if there are none.
        known: all grids that there are.

    Raises:
        BenchError: an axis, value, id or tier that does not exist; names what comes close.
    """

    def __init__(
        self,
        tier: str,
        *,
        axes: Iterable[str] = (),
        ids: Iterable[str] = (),
        known: Mapping[str, Grid] = UPGRADE_GRIDS,
    ) -> None:
        self._tier = tier
        self._wanted = [dict([parse_axis(text, known)]) for text in axes]
        self._ids = frozenset(ids)
        tiers_within(tier)
        if self._ids:
            self._check_ids(known)

    def _check_ids(self, known: Mapping[str, Grid]) -> None:
        names = {
            name
            for grid in known.values()
            for id_ in grid.cells(self._tier)
            for name in (id_, f"{grid.name}/{id_}")
        }
        for name in sorted(self._ids - names):
            raise BenchError(
                f"--cell {name}: no such cell at tier {self._tier}",
                hint=f"{_did_you_mean(name, names)}`bench grids --tier {self._tier}` lists all",
            )

    def of(self, grid: Grid) -> dict[str, Cell]:
        """The grid's selected cells by id, in the grid's order."""
        cells = grid.cells(self._tier)
        for wanted in self._wanted:
            cells = select(cells, wanted)
        if not self._ids:
            return cells
        return {i: cell for i, cell in cells.items() if self._ids & {i, f"{grid.name}/{i}"}}


def select(cells: Mapping[str, Cell], wanted: Mapping[str, Iterable[str]]) -> dict[str, Cell]:
    """The cells whose value on each axis of ``wanted`` is one of those given."""
    return {
        id_: cell
        for id_, cell in cells.items()
        if all(cell.value(axis) in values for axis, values in wanted.items())
    }


def find_cell(
    text: str,
    known: Mapping[str, Hashable],
    *,
    where: str,
    noun: str = "cell",
    hint: str = "reports list them; part of GRID/ID suffices",
) -> str:
    """The name, GRID/ID, of the cell that a user means by it, by its id, or by a part of it.

    Args:
        text: what the user wrote.
        known: what each name stands for; a text may be part of several names that stand for the same.
        where: where the names come from, as part of a sentence: ``in results/u``.
        noun: what they name.
        hint: the way out where none is meant.

    Raises:
        BenchError: none is meant, and what comes close; or several, which are listed.
    """
    names = [name for name in known if text in (name, name.partition("/")[2])]
    names = names or [name for name in known if text in name]
    if not names:
        raise BenchError(
            f"no {noun} {text!r} {where}",
            hint=f"{_did_you_mean(text, known)}{hint}",
        )
    if len({known[name] for name in names}) > 1:
        listed = "".join(f"\n     {name}" for name in names[:_MOST_LISTED])
        more = f"\n     and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
        raise BenchError(
            f"{text!r} is a part of {len(names)} {noun}s", hint=f"name one of them:{listed}{more}"
        )
    return names[0]


_MOST_LISTED = 20


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """What comes close, as the begin of a hint; nothing if nothing does."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}? " if close else ""


def parse_axis(text: str, grids: Mapping[str, Grid] = UPGRADE_GRIDS) -> tuple[str, tuple[str, ...]]:
    """``depth=3,10`` as axis and values.

    Numbers may be written in any form: ``bias=.1`` finds ``bias:0.1``.

    Raises:
        BenchError: no such axis, no value, or a value that no tier of any grid has.
    """
    axis, _, tail = text.partition("=")
    if axis not in AXES:
        raise BenchError(f"--axis {text}: no axis {axis!r}", hint=f"one of {', '.join(AXES)}")
    known = {
        cell.value(axis)
        for grid in grids.values()
        for cells in grid.added.values()
        for cell in cells
    }
    by_number = {_as_number(value): value for value in known}
    values = []
    for value in filter(None, (part.strip() for part in tail.split(","))):
        known_value = value if value in known else by_number.get(_as_number(value))
        if known_value is None:
            meant = initializations(value) if axis == "init" else ""
            every = f"one of {', '.join(sorted(known, key=_natural))}"
            raise BenchError(
                f"--axis {text}: no grid has {axis}:{value}",
                hint=f"{axis} is {meant or every}",
            )
        values.append(known_value)
    if not values:
        raise BenchError(f"--axis {text}: no value", hint=f"write --axis {axis}=VALUE[,VALUE ...]")
    return axis, tuple(values)


def initializations(text: str) -> str:
    """Initializations that go by another name, or by half of one, elsewhere; empty if none does.

    >>> initializations("xavier")
    'glorot_normal or glorot_uniform'
    """
    unknown = re.match("[a-z]+", text.lower())
    ours = _ALSO.get(unknown[0], "") if unknown else ""
    return f"{ours}_normal or {ours}_uniform" if ours else ""


def _as_number(text: str) -> float | str:
    """The number in a value such as ``0.1`` or ``normal_.01``, with its name; else the text."""
    name, _, tail = text.rpartition("_")
    try:
        return f"{name}_{float(tail)!r}"
    except ValueError:
        return text


def _natural(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return float("inf"), text
