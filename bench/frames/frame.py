"""Frames of runs, baselines and conclusions: one row per replica, or one per cell.

Every frame has the columns ``grid`` and ``cell`` and one for each axis, named as in ids (``depth``,
``act``, ``init``, ``norm``). Metrics are named as in :mod:`bench.verdict.metrics` and are raw: shares,
ratios, steps; NaN where a replica has none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from bench.cells.cell import AXES, Cell
from bench.results.plan import Item
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.verdict.baselines.samples import Baseline
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement
from bench.verdict.metrics import METRICS

#: Columns that tell which cell a row is of.
CELL = ("grid", "cell", *AXES)
NUMBERS = (*(metric.name for metric in METRICS), "images_per_sec")
#: Columns of a frame of replicas, in order.
REPLICAS = (
    *("side", *CELL, "seed", "outcome", *NUMBERS),
    *("digest", "tensorflow", "keras", "environment_class"),
)
_ENVELOPE = ("first_step", "ratio", "worst_step", "sharp_steps", "copies", "sensitivity")
_DEPARTURE = ("tensor", "step", "distance")
#: Columns of a frame of cells that are the same whatever is compared; metrics of both sides follow.
CELLS = (
    *(*CELL, "verdict", "evidence", "fails", "reason"),
    *(*_ENVELOPE, *(f"departs_{name}" for name in _DEPARTURE)),
)


def of_run(run: StoredRun, *, side: str = "run") -> pd.DataFrame:
    """One row per item and seed that was measured, in the order of the plan.

    Returns:
        the columns :data:`REPLICAS`; ``side`` is the one that is given.
    """
    versions = _versions(run.environment.software, run.environment.environment_class)
    values = {record.key: _measured(record) for record in run.records.values()}
    rows = (
        {"side": side, **_cell(item), **values[record.key], **versions}
        for item in run.plan.items
        for record in run.of(item.cell)
    )
    return _frame(rows, REPLICAS)


def of_baseline(baseline: Baseline, *, side: str = "baseline") -> pd.DataFrame:
    """One row per stored cell and seed, in the order of the files; a fallback's cells are not in it.

    Returns:
        the columns :data:`REPLICAS`. ``tensorflow`` and ``keras`` are those of the acceptance that a
        cell came with. Speed is not stored.
    """
    rows = (
        {
            "side": side,
            **_cell(Item(grid=grid, id=stored.id, cell=stored.cell)),
            "seed": sample.seed,
            "outcome": sample.outcome,
            **sample.metrics,
            "digest": sample.digest,
            **_versions(baseline.versions(stored), baseline.environment_class),
        }
        for grid, cells in baseline.grids.items()
        for stored in cells.values()
        for sample in stored.samples
    )
    return _frame(rows, REPLICAS)


def of_sides(found: Conclusion) -> pd.DataFrame:
    """The replicas of both sides of a comparison, one below the other: ``baseline`` and ``run``, or
    ``old`` and ``new``. Of a stored baseline, and of its fallbacks, only cells of the run are in it.

    Returns:
        the columns :data:`REPLICAS` and ``verdict``, which is its cell's.
    """
    if found.old is not None:
        sides = [of_run(found.old, side="old"), of_run(found.run, side="new")]
    else:
        sides = [*_holders(found), of_run(found.run)]
    frame = pd.concat([side for side in sides if len(side)] or sides[:1], ignore_index=True)
    verdicts = pd.Series(
        {(j.item.grid, j.item.id): j.verdict.value for j in found.judgements}, dtype=object
    )
    places = pd.MultiIndex.from_frame(frame[["grid", "cell"]])
    frame["verdict"] = verdicts.reindex(places).to_numpy() if len(verdicts) else None
    return frame


def records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows for JSON, of Python's own types; what is absent is None."""
    return list(frame.astype(object).where(frame.notna(), None).to_dict("records"))


def of_cells(found: Conclusion) -> pd.DataFrame:
    """One row per cell of a comparison, in the order of the plan.

    Returns:
        the columns :data:`CELLS`, then ``METRIC_a`` and ``METRIC_b`` of each of :data:`NUMBERS`, of the
        side that the run is held against and of the run, over the seeds that both have (over each
        side's own where they share none): the mean of accuracy, of others the median; and
        ``outcomes_a``, ``outcomes_b``, such as ``2 trained, 1 diverged``. ``ratio`` and
        ``departs_distance`` may be infinite.
    """
    frame = _frame((_judged(found, judgement) for judgement in found.judgements), CELLS)
    sides = of_sides(found)
    shared = sides.duplicated(["grid", "cell", "seed"], keep=False)
    matched = shared.groupby([sides["grid"], sides["cell"]]).transform("any")
    sides = sides[shared | ~matched.astype(bool)]
    for suffix, names in (("a", ("baseline", "old")), ("b", ("run", "new"))):
        side = sides[sides["side"].isin(names)]
        values = side.groupby(["grid", "cell"]).agg({"outcome": _counted, **_CENTRE})
        values = values.rename(columns={"outcome": "outcomes"})
        frame = frame.join(values.add_suffix(f"_{suffix}"), on=["grid", "cell"])
    return frame


_CENTRE = {name: "mean" if name == "test_accuracy" else "median" for name in NUMBERS}


def _counted(outcomes: pd.Series[str]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in Counter(outcomes).items())


def _holders(found: Conclusion) -> Iterator[pd.DataFrame]:
    """What the run was judged against, cell by cell, as a frame for each baseline that holds some."""
    baseline = found.baseline
    present = pd.MultiIndex.from_tuples(
        [(item.grid, item.id) for item in found.run.plan.items], names=["grid", "cell"]
    )
    while baseline is not None:
        frame = of_baseline(baseline)
        places = pd.MultiIndex.from_frame(frame[["grid", "cell"]])
        kept = places.isin(present)
        yield frame[kept]
        present = present.difference(places)
        baseline = baseline.fallback


def _cell(item: Item) -> dict[str, Any]:
    return {"grid": item.grid, "cell": item.id, **axes(item.cell)}


def axes(cell: Cell) -> dict[str, Any]:
    """Axis -> value, a number where the axis has numbers."""
    return {axis: cell.raw(axis) for axis in AXES}


def _measured(record: Record) -> dict[str, Any]:
    return {
        "seed": record.seed,
        "outcome": record.outcome,
        **{metric.name: metric.get(record) for metric in METRICS},
        "images_per_sec": record.images_per_sec,
        "digest": record.digest,
    }


def _versions(software: Mapping[str, str], environment_class: str) -> dict[str, str]:
    names = ("tensorflow", "keras")
    return {
        **{name: software.get(name, "") for name in names},
        "environment_class": environment_class,
    }


def _judged(found: Conclusion, judgement: Judgement) -> dict[str, Any]:
    test = judgement.envelope
    departure = test.departure if test is not None else None
    row = {
        **_cell(judgement.item),
        "verdict": judgement.verdict.value,
        "evidence": judgement.rung,
        "fails": judgement.verdict.fails and not found.known_crash(judgement),
        "reason": judgement.reason,
    }
    row |= {name: getattr(test, name, None) for name in _ENVELOPE}
    row |= {f"departs_{name}": getattr(departure, name, None) for name in _DEPARTURE}
    if departure is not None and departure.distance is None:
        row["departs_distance"] = math.inf
    return row


def _frame(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Numbers are numbers also where all are absent."""
    frame = pd.DataFrame(list(rows), columns=list(columns))
    numbers = [name for name in (*NUMBERS, *_REALS) if name in frame]
    frame[numbers] = frame[numbers].astype(float)
    for name in _INTEGERS:
        if name in frame:
            frame[name] = frame[name].astype("Int64")
    return frame


_REALS = ("ratio", "sensitivity", "departs_distance")
_INTEGERS = ("seed", "first_step", "worst_step", "sharp_steps", "copies", "departs_step")
