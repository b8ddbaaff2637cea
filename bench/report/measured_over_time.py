"""What runs measured of a recurrent network's gradients, step by step in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.cells.cell import Cell
from bench.errors import count
from bench.report.document import Block, Table
from bench.report.text import NOTHING, significant
from bench.results.record import Record
from bench.theory.rounding.formats import OF_PRECISION

#: Steps that the table shows, both ends among them.
_MOST_STEPS = 10


def why_zero(cell: Cell) -> str:
    """What it means that a gradient over time is exactly 0."""
    form = OF_PRECISION[cell.precision]
    flushed = (
        f"{form.name} flushes to 0 what falls below {form.smallest:.2g} in the batch's mean loss"
    )
    if cell.activation == "relu":
        return f"0: no ReLU passes a gradient back, or it was rounded to 0: {flushed}."
    return (
        f"0: rounded to it, since slopes of tanh and of gates are above 0: {flushed}, and a saturated "
        "unit's slope is rounded to 0."
    )


def blocks(cell: Cell, records: Sequence[Record]) -> list[Block]:
    """Gradients of the last layer; nothing of networks that are not recurrent."""
    before, after = (
        [flow.over_time[-1] for flow in flows if flow and isinstance(flow.over_time, list)]
        for flows in ([r.start for r in records], [r.end for r in records])
    )
    if not before:
        return []
    steps = len(before[0])
    rows = [
        [str(step + 1), *(_geometric([each[step] for each in seen]) for seen in (before, after))]
        for step in sorted({round(at) for at in np.linspace(0, steps - 1, min(steps, _MOST_STEPS))})
    ]
    heading = (
        "Mean square of the gradient with respect to the last layer's state after each step that it "
        f"takes, geometric mean of {count(len(before), 'seed')}; 0: exactly 0 under some seed; "
        f"{NOTHING}: not finite under some seed."
    )
    zero = any("0" in row[1:] for row in rows)
    return [
        heading,
        Table(("step", "before training", "after"), rows, "rrr"),
        *([why_zero(cell)] if zero else []),
    ]


def _geometric(values: Sequence[float | None]) -> str:
    """Geometric mean over seeds."""
    finite = [value for value in values if value is not None]
    if not finite or len(finite) < len(values):
        return NOTHING
    if 0.0 in finite:
        return "0"
    return significant(math.exp(math.fsum(map(math.log, finite)) / len(finite)))
