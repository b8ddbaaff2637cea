"""Figure of gradients that go back through the steps of recurrent layers: predicted, and measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.cells.cell import Cell
from bench.report.figures.picture import HUGE, TINY, Band, Panel, Picture, Trace
from bench.theory.signal.over_time import measured, predict
from bench.theory.signal.predicted import exp

#: A cell's mean squares of dC/ds at each step, seed by seed; empty where nothing was measured.
Signals = Sequence[Sequence[float | None]]


def over_time_panel(cells: Mapping[Cell, Signals], *, title: str = "") -> Panel:
    """Gradient after each step over that after the last.

    A cell's band is what theory allows the mean of as many seeds as were measured: one standard
    deviation, and the bound on what it is off by. Points are that mean; without any, a line is what
    theory expects, and the band that of one seed.

    Args:
        cells: that theory predicts, with what was measured.
        title: above the panel.
    """
    traces, bands = [], []
    for colour, (cell, signals) in enumerate(cells.items()):
        theory, name = predict(cell), f"{cell.width} units, {cell.recurrent}"
        assert theory is not None
        reach = theory.log_std / math.sqrt(max(len(signals), 1)) + theory.log_error
        ends = zip(theory.log_ratio - reach, theory.log_ratio + reach, strict=True)
        ranges = (
            (step, max(exp(low), TINY), min(exp(high), HUGE))
            for step, (low, high) in enumerate(ends, start=1)
        )
        bands.append(Band(f"{name}: {'theory' if signals else 'one seed'}", tuple(ranges), colour))
        logs = measured(signals) if signals else theory.log_ratio
        points = tuple(
            (step, value if TINY < (value := exp(log - logs[-1])) < HUGE else None)
            for step, log in enumerate(logs, start=1)
        )
        traces.append(
            Trace(f"{name}: {len(signals)} seeds", points, colour, marker="o", size=4.0)
            if signals
            else Trace(f"{name}: predicted", points, colour)
        )
    return Panel(
        title,
        "step in time",
        "gradient, after step t / after the last",
        tuple(traces),
        bands=tuple(bands),
        scale="log",
        legend=True,
    )


def over_time_picture(cell: Cell, *, title: str) -> Picture:
    """The prediction for a cell that has one, its band that of one seed."""
    heading = "Predicted gradient over time at step 0; band: one seed"
    return Picture(
        path="figures/theory.svg",
        heading=heading,
        alternative=f"{heading}, step by step: 1 cell",
        caption="",
        panels=(over_time_panel({cell: ()}, title=title),),
        columns=1,
        size=(6.6, 3.6),
    )
