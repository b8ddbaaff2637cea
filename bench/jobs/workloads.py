"""What is timed: of a run, and of both sides of an upgrade, and for how long."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from bench.cells.cell import Cell
from bench.results.pace import Pace
from bench.results.timings import Timings, Work, Workload
from bench.verdict.scaling import flops
from bench.verdict.speed import ALPHA, unsettled

_MLP = Cell(depth=3, learning_rate=0.01)
_CNN = Cell(architecture="cnn", learning_rate=0.01, batch=50)


def _on(cell: Cell, engine: str) -> Cell:
    return msgspec.structs.replace(cell, engine=engine)


_QUICK = (
    Workload(_on(_MLP, "in_graph"), "training"),
    Workload(_on(_MLP, "fit"), "training"),
    Workload(_on(_MLP, "in_graph"), "inference"),
)
#: Nothing but what an epoch costs beside its steps, which Keras 3.7 made 25 times that of Keras 2.
_EPOCHS = Workload(_on(_MLP, "fit"), "epochs")
_STANDARD = (
    *_QUICK,
    *(Workload(_on(_MLP, engine), "training") for engine in ("function", "eager", "xla")),
    Workload(_on(_MLP, "fit"), "inference"),
    Workload(_on(_CNN, "in_graph"), "training"),
    Workload(_on(_CNN, "in_graph"), "inference"),
    _EPOCHS,
)

#: What is timed at each tier, and for how many seconds at most; see :func:`next_round`. A round of the
#: quick tier's four workloads takes about 50 s on two cores, one of a single workload 15 s, and there
#: are four before the first look: the rest is for what that look leaves open.
WORKLOADS: Mapping[str, tuple[Sequence[Workload], float]] = {
    "quick": ((*_QUICK, _EPOCHS), 240.0),
    "standard": (_STANDARD, 1800.0),
    "full": (_STANDARD, 3600.0),
}

#: Steps of a burst of the throughput suite, by network: a fifth of a second or less, and long enough
#: that calls don't matter.
THROUGHPUT_STEPS = {"mlp": 50, "cnn": 5}

#: Steps of a burst, some 20 ms on a core of 2024, by work and engine; Model.fit takes as long to begin.
_STEPS: Mapping[tuple[Work, str], int] = {
    ("training", "in_graph"): 30,
    ("training", "function"): 20,
    ("training", "fit"): 10,
    ("training", "eager"): 4,
    ("training", "xla"): 30,
    ("inference", "in_graph"): 60,
    ("inference", "fit"): 10,
    ("epochs", "fit"): 4,
    ("models", "eager"): 1,
    ("sequences", "in_graph"): 8,
}


def _paces(workloads: Sequence[Workload]) -> list[Pace]:
    others = (Workload(_on(_MLP, "eager"), "models"), Workload(_MLP, "sequences"))
    return [
        Pace(workload=each, steps=2 if each.cell == _CNN else _STEPS[each.work, each.cell.engine])
        for each in (*workloads, *others)
    ]


_AXES: Mapping[str, Sequence[int]] = {
    "batch": (1, 8, 64, 512, 4096),
    "width": (16, 64, 256, 1024, 2048),
    "depth": (1, 10, 25, 50),
}


def _scale() -> list[Pace]:
    """Points of the scaling: one axis at a time, from batches of 100 through 3 layers of 100 units."""
    cells = [
        _MLP,
        *(
            msgspec.structs.replace(_MLP, **{axis: value})
            for axis, values in _AXES.items()
            for value in values
        ),
    ]
    return [
        Pace(workload=Workload(cell, "training"), steps=_scale_steps(cell), scale=True)
        for cell in cells
    ]


def _scale_steps(cell: Cell) -> int:
    """Steps that take 10 ms or so, a step taking .2 ms, a layer .1 ms, a core doing 30 GFLOP/s."""
    step_sec = 2e-4 + 1e-4 * cell.depth + flops(cell) / 3e10
    return max(1, round(0.01 / step_sec))


#: What a run measures at each tier; the quick tier's takes about five seconds of one worker.
PACES: Mapping[str, Sequence[Pace]] = {
    "quick": _paces(_QUICK),
    "standard": _paces(_STANDARD),
    "full": [*_paces(_STANDARD), *_scale()],
}

#: Seconds where speed is undecided: 360 s in the quick tier.
GROWTH = 1.5


def of_model(cells: Sequence[Cell]) -> list[Workload]:
    """Those of a model of the user's: training in each way, and inference."""
    return [*(Workload(cell, "training") for cell in cells), Workload(cells[0], "inference")]


def next_round(
    found: Mapping[Workload, Timings],
    ends_sec: float,
    *,
    limit_sec: float,
    alpha: float = ALPHA,
) -> Collection[Workload]:
    """Workloads that have another round, which would end after ``ends_sec``: up to the limit all that
    it may decide or make sharper; then, for half as long again, those that are undecided, as the whole
    answer would be because of them."""
    if ends_sec > GROWTH * limit_sec:
        return ()
    rounds = {workload: timings.rounds for workload, timings in found.items()}
    return unsettled(rounds, late=ends_sec > limit_sec, alpha=alpha)
