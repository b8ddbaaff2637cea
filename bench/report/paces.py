"""The history of speed and memory in words and as a figure: ``bench speed history``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.errors import count
from bench.report.document import Block, Section, Table
from bench.report.figures.series import Dot, Series
from bench.report.markup import strong
from bench.report.text import NOTHING, clipped, significant
from bench.results.pace import QUANTITIES
from bench.statistics.steps import ALPHA, Step
from bench.verdict.baselines.speed_history import SpeedHistory

_HEADERS = ("measured (UTC)", "from", "TensorFlow", "Keras", "value", "note")


def history_blocks(histories: Sequence[SpeedHistory]) -> list[Block | None]:
    """A table for each workload and machine, and what a step is."""
    return [
        *(
            Section(_title(one), [f"{_answer(one)}.", Table(_HEADERS, _rows(one), "llllrl")])
            for one in histories
        ),
        "Steps: found by binary segmentation, with the noise among neighbours; a series that never "
        f"changes shows one with a chance of {ALPHA:g}, if its values vary normally.",
    ]


def history_series(history: SpeedHistory) -> Series:
    """What its figure shows."""
    measure = QUANTITIES[history.quantity]
    return Series(
        heading=f"{_title(history)}\n{_answer(history)}",
        unit=history.unit,
        logarithmic=measure.logarithmic,
        dots=tuple(
            Dot(
                label=f"{point.measured[:10]} TF {point.tensorflow or '?'}",
                values=(point.value,),
                mean=point.value,
                accepted=point.accepted,
            )
            for point in history.points
        ),
        steps=tuple(
            (place, _change(history, step)) for place, step in (history.steps or {}).items()
        ),
    )


def _title(history: SpeedHistory) -> str:
    measure = QUANTITIES[history.quantity]
    return f"{measure.title}, {history.pace.workload.title}, on {history.machine}"


def _answer(history: SpeedHistory) -> str:
    measured = count(len(history.points), "run")
    if history.steps is None:
        return f"{measured}, too few to search for steps"
    if not history.steps:
        return f"No step in {measured}"
    return f"{count(len(history.steps), 'step')} in {measured}"


def _rows(history: SpeedHistory) -> list[list[str]]:
    steps = history.steps or {}
    return [
        [
            point.measured.replace("T", " ")[:16] or NOTHING,
            ("accepted: " if point.accepted else "") + clipped(point.run),
            clipped(point.tensorflow) or NOTHING,
            clipped(point.keras) or NOTHING,
            f"{significant(point.value)} {history.unit}",
            strong(f"step {_change(history, steps[place])}") if place in steps else "",
        ]
        for place, point in enumerate(history.points)
    ]


def _change(history: SpeedHistory, step: Step) -> str:
    measure = QUANTITIES[history.quantity]
    if measure.logarithmic:
        return f"{100 * math.expm1(step.change):+.1f} %"
    return f"{step.change:+.1f} {history.unit}"
