"""Pivots: what a comparison says along one axis or two, such as activation by normalization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from bench.cells.cell import AXES
from bench.errors import BenchError
from bench.frames.frame import NUMBERS
from bench.verdict.judgement import ATTENTION

#: What may stand in the rows and columns of a pivot, and in its entries.
PROJECTIONS = ("grid", *AXES)
VALUES = ("verdict", *NUMBERS)


def pivot(
    cells: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], *, value: str = "verdict"
) -> pd.DataFrame:
    """What becomes of cells that agree in some axes, in a table.

    Args:
        cells: of :func:`bench.frames.frame.of_cells`.
        rows, columns: of :data:`PROJECTIONS`; no column: one for all.
        value: of :data:`VALUES`.

    Returns:
        an entry for each pair of values: how many cells have which verdict, or the mean of a metric on
        both sides, ``A -> B``; empty where there is no cell.

    Raises:
        BenchError: no such axis or value.
    """
    _known([*rows, *columns], PROJECTIONS, "axis")
    _known([value], VALUES, "value")
    named = cells.assign(all="all")
    index, across = list(rows), list(columns) or ["all"]
    groups = named.groupby([*index, *across], sort=True, dropna=False)
    if value == "verdict":
        entries = groups["verdict"].agg(_counts)
    else:
        a, b = (groups[f"{value}_{side}"].mean().map(_number) for side in "ab")
        entries = a + " -> " + b
    return entries.unstack(across).fillna("")


def _known(names: Sequence[str], known: Sequence[str], noun: str) -> None:
    for name in names:
        if name not in known:
            raise BenchError(f"no {noun} {name!r}", hint=f"one of {', '.join(known)}")


def _counts(verdicts: pd.Series[str]) -> str:
    """``2 changed, 3 identical``: what to look at first comes first."""
    counted = Counter(verdicts)
    order = [verdict.value for verdict in ATTENTION]
    return ", ".join(f"{counted[name]} {name}" for name in order if counted[name])


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.4g}"
