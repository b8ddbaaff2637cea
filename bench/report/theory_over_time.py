"""What theory predicts of a recurrent network's gradients, step by step in time: ``bench theory``."""

from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.report.document import Table
from bench.report.figures.over_time import over_time_picture
from bench.report.figures.picture import Picture
from bench.report.markdown import markdown
from bench.report.markup import code, strong
from bench.report.text import as_json, significant
from bench.theory.signal.over_time import OverTime, predict, why_not
from bench.theory.signal.predicted import exp

_HEADERS = ("step", "signal, step/last", "step/next", "one seed, measured/predicted")
_LEGEND = (
    "Signal: mean square of the loss gradient with respect to the state after a step. One seed: how "
    "finite width moves its ratio, ×÷ one standard deviation and the bound on what the mean is off by."
)


def prediction_of(cell: Cell) -> OverTime:
    """The prediction for a recurrent network.

    Raises:
        BenchError: there is none; says why.
    """
    prediction = predict(cell)
    if prediction is None:
        raise BenchError(
            f"{cell.id()}: no prediction: {why_not(cell)}",
            hint="`bench show CELL` prints what a run measured, step by step",
        )
    return prediction


def picture(cell: Cell) -> Picture:
    """The prediction as a figure, its band that of one seed.

    Raises:
        BenchError: there is none, or nothing to draw: a single step.
    """
    if len(prediction_of(cell).log_ratio) < 2:
        raise BenchError("--plot: one step is one point", hint="draw --pixels 112 or fewer")
    return over_time_picture(cell, title=_called(cell).replace("-", " "))


def text(cell: Cell, *, form: str) -> str:
    """What ``bench theory`` prints for a recurrent network.

    Args:
        cell: the network.
        form: ``markdown``, ``csv`` (the table) or ``json`` (everything).

    Raises:
        BenchError: there is no prediction for this cell.
    """
    prediction = prediction_of(cell)
    steps = [_values(prediction, step) for step in range(len(prediction.log_ratio))]
    if form == "csv":
        return pd.DataFrame(steps).to_csv(index=False, lineterminator="\n")
    first = exp(float(prediction.log_ratio[0]))
    headline = f"Back through time the signal is multiplied by {significant(first)}"
    if form == "json":
        content = {"cell": msgspec.to_builtins(cell), "headline": headline, "steps": steps}
        return as_json({**content, "signal_ratio": first})
    rows = [
        [
            str(values["step"]),
            f"{exp(values['log_ratio']):.4g}",
            "–" if values["log_step"] is None else f"{exp(values['log_step']):.4g}",
            f"×÷ {exp(values['log_std'] + values['log_error']):.2f}",
        ]
        for values in steps
    ]
    blocks = [strong(f"{headline}, from step {len(steps)} to step 1."), f"{code(_called(cell))}."]
    return markdown([*blocks, Table(_HEADERS, rows, "rrrr"), _LEGEND])


def _called(cell: Cell) -> str:
    return cell.id(("arch", "width", "act", "init", "recurrent"))


def _values(prediction: OverTime, step: int) -> dict[str, Any]:
    """One line of the table; ``step`` counts from 0."""
    last = step == len(prediction.step)
    return {
        "step": step + 1,
        "log_ratio": float(prediction.log_ratio[step]),
        "log_step": None if last else float(prediction.step[step]),
        "log_std": float(prediction.log_std[step]),
        "log_error": float(prediction.log_error[step]),
    }
