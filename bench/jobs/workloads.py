"""What is timed of both sides of an upgrade, and for how long."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from bench.cells.cell import Cell
from bench.results.timings import Timings, Workload
from bench.verdict.speed import unsettled

_MLP = Cell(depth=3, learning_rate=0.01)
_CNN = Cell(architecture="cnn", learning_rate=0.01, batch=50)


def _on(cell: Cell, engine: str) -> Cell:
    return msgspec.structs.replace(cell, engine=engine)


_QUICK = (
    Workload(_on(_MLP, "in_graph"), "training"),
    Workload(_on(_MLP, "fit"), "training"),
    Workload(_on(_MLP, "in_graph"), "inference"),
)
_STANDARD = (
    *_QUICK,
    *(Workload(_on(_MLP, engine), "training") for engine in ("function", "eager", "xla")),
    Workload(_on(_MLP, "fit"), "inference"),
    Workload(_on(_CNN, "in_graph"), "training"),
    Workload(_on(_CNN, "in_graph"), "inference"),
)

#: What is timed at each tier, and for how many seconds at most; see :func:`next_round`. A round of the
#: quick tier's three workloads takes about 40 s on two cores, one of a single workload 15 s, and there
#: are four before the first look: the rest is for what that look leaves open, and keeps a whole check
#: within ten minutes.
WORKLOADS: Mapping[str, tuple[Sequence[Workload], float]] = {
    "quick": (_QUICK, 200.0),
    "standard": (_STANDARD, 1800.0),
    "full": (_STANDARD, 3600.0),
}

#: Seconds where speed is undecided: 300 s in the quick tier.
GROWTH = 1.5


def of_model(cells: Sequence[Cell]) -> list[Workload]:
    """Those of a model of the user's: training in each way, and inference."""
    return [*(Workload(cell, "training") for cell in cells), Workload(cells[0], "inference")]


def next_round(
    found: Mapping[Workload, Timings], ends_sec: float, *, limit_sec: float
) -> Collection[Workload]:
    """Workloads that have another round, which would end after ``ends_sec``: up to the limit all that
    it may decide or make sharper; then, for half as long again, those that are undecided, as the whole
    answer would be because of them."""
    if ends_sec > GROWTH * limit_sec:
        return ()
    rounds = {workload: timings.rounds for workload, timings in found.items()}
    return unsettled(rounds, late=ends_sec > limit_sec)
