"""The history of a cell: what every acceptance and every stored run measured, in order of time."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bench.cells.cell import Cell
from bench.cells.selection import find_cell
from bench.errors import BenchError
from bench.results.find import holds_upgrades
from bench.results.plan import Item
from bench.results.run import PLAN, StoredRun, read_run
from bench.statistics.steps import Measured, Step, find_steps
from bench.verdict.baselines.folder import (
    CLASS,
    Baseline,
    BaselineCell,
    baseline_cell,
    read_baseline,
)
from bench.verdict.metrics import Metric

Place = tuple[str, str]
"""Grid and cell id."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A cell as one run measured it, accepted or not."""

    time: str
    """When the run started, ``2026-11-21T03:15:02``; only the day of the acceptance where that is
    not known."""
    run: str
    acceptance: int
    """The number of the acceptance that took it; 0 if none did."""
    tensorflow: str
    keras: str
    commit: str
    stored: BaselineCell
    images: str
    """Their fingerprint."""

    def values(self, metric: Metric) -> dict[int, float]:
        """Values by seed, on the metric's scale, where it is defined."""
        raw = {one.seed: one.metrics.get(metric.name) for one in self.stored.samples}
        return {
            seed: metric.transform(value)
            for seed, value in raw.items()
            if value is not None and (value > 0 or metric.scale == "linear")
        }

    def outcomes(self, outcome: str) -> int:
        """How many seeds ended so."""
        return sum(sample.outcome == outcome for sample in self.stored.samples)

    @property
    def terms(self) -> tuple[Cell, int, str]:
        """What must be equal for two points to be comparable."""
        return self.stored.cell, self.stored.recipe, self.images

    def other_terms(self, last: Point) -> str:
        """The terms in which a point differs from the last one, so that it is not compared with it."""
        names = ("another cell under this id", "another recipe", "other images")
        pairs = zip(names, self.terms, last.terms, strict=True)
        different = [name for name, one, other in pairs if one != other]
        return f"not comparable with the last row: {', '.join(different)}" if different else ""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one cell in one environment class, and the steps of one metric over them."""

    place: Place
    environment_class: str
    metric: str
    points: list[Point]
    steps: dict[int, Step]
    """By the first point after the step."""
    untested: str
    """Why some points or all were not searched for steps, or nothing."""


def find_history(
    text: str,
    metric: Metric,
    *,
    baselines: Path,
    results: Path,
    environment_class: str | None = None,
) -> tuple[History, list[str]]:
    """The history of the cell that a user means, and warnings of runs that cannot be read.

    Args:
        text: as :func:`bench.cells.selection.find_cell` takes it.
        metric: what is searched for steps.
        baselines: the folder of all classes.
        results: the folder of all runs.
        environment_class: None for the one of the newest point.

    Raises:
        BenchError: a baseline is damaged, no or several cells are meant, or no such class.
    """
    runs, warnings = stored_runs(results)
    stored = {path.parent.name for path in baselines.glob(f"*/{CLASS}")}
    classes = sorted(stored | {run.environment.environment_class for run in runs})
    if environment_class is not None:
        if environment_class not in classes:
            raise BenchError(
                f"nothing is stored of class {environment_class!r}",
                hint=f"there are: {', '.join(classes) or 'none'}",
            )
        classes = [environment_class]
    of_class = {
        name: (read_baseline(baselines, name), [run for run in runs if _of_class(run, name)])
        for name in classes
    }
    known = {name: places(*parts) for name, parts in of_class.items()}
    by_name = {"/".join(place): place for stored in known.values() for place in stored}
    place = by_name[find_cell(text, by_name, where=f"among {len(by_name)} stored ones")]
    histories = [
        history_of(place, metric, *of_class[name], environment_class=name)
        for name in classes
        if place in known[name]
    ]
    newest = max(histories, key=lambda each: each.points[-1].time if each.points else "")
    others = [each.environment_class for each in histories if each is not newest]
    if others:
        warnings = [*warnings, f"not shown: {', '.join(others)}; --class chooses"]
    return newest, warnings


def history_of(
    place: Place,
    metric: Metric,
    baseline: Baseline | None,
    runs: Iterable[StoredRun],
    *,
    environment_class: str,
) -> History:
    """What an environment class has of a cell.

    A run that was accepted and is still stored is one point, not two. Steps are searched for among
    the points of one cell, recipe and set of images, so that a change of these is none.

    Args:
        place: grid and id of the cell.
        metric: what is searched for steps.
        baseline: of this class, None if there is none.
        runs: stored ones; those of other classes, or without the cell, are left out.
        environment_class: which one.
    """
    points = list(_accepted(place, baseline)) if baseline is not None else []
    known = {(point.run, *_identity(point.stored)): n for n, point in enumerate(points)}
    for run in runs:
        for item in run.plan.items:
            if (item.grid, item.id) == place and _of_class(run, environment_class):
                point = _measured(run, item)
                number = known.get((point.run, *_identity(point.stored)))
                if number is None:
                    points.append(point)
                else:
                    points[number] = msgspec.structs.replace(points[number], time=point.time)
    points = [point for point in points if point.stored.samples]
    points.sort(key=lambda point: (point.time, point.acceptance or len(points), point.run))
    steps, untested = _steps(points, metric)
    return History(
        place=place,
        environment_class=environment_class,
        metric=metric.name,
        points=points,
        steps=steps,
        untested=untested,
    )


def same_digests(before: Point, after: Point) -> tuple[int, int] | None:
    """How many of the seeds that two points share have the same bits, and how many are shared; None
    if none is."""
    old, new = before.stored.digests, after.stored.digests
    common = old.keys() & new.keys()
    return (sum(old[seed] == new[seed] for seed in common), len(common)) if common else None


def stored_runs(results: Path) -> tuple[list[StoredRun], list[str]]:
    """All runs below a folder that can be read, and a warning for each folder that cannot; upgrades are
    none."""
    runs, warnings = [], []
    for folder in sorted(path for path in results.glob("*") if path.is_dir()):
        if holds_upgrades(folder):
            continue
        if not (folder / PLAN).exists():
            warnings.append(f"{folder}: holds no run and is left out")
            continue
        try:
            runs.append(read_run(folder))
        except BenchError as error:
            warnings.append(f"{error.message}; the run is left out")
    return runs, warnings


def places(baseline: Baseline | None, runs: Iterable[StoredRun]) -> dict[Place, None]:
    """Every cell that a baseline, its history and runs have, in this order."""
    found: dict[Place, None] = {}
    if baseline is not None:
        found |= {(grid, id_): None for grid, cells in baseline.grids.items() for id_ in cells}
        found |= {(grid, c.id): None for grid, cells in baseline.history.items() for c in cells}
    for run in runs:
        found |= {(item.grid, item.id): None for item in run.plan.items}
    return found


def _of_class(run: StoredRun, environment_class: str) -> bool:
    return run.environment.environment_class == environment_class


def _identity(cell: BaselineCell) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(cell.digests.items()))


def _accepted(place: Place, baseline: Baseline) -> Iterable[Point]:
    grid, id_ = place
    if not baseline.acceptances:
        return
    stored = [cell for cell in baseline.history.get(grid, ()) if cell.id == id_]
    stored += [cell for cell in [baseline.grids.get(grid, {}).get(id_)] if cell is not None]
    for cell in stored:
        taken = baseline.acceptances[cell.acceptance - 1]
        yield Point(
            time=_time(taken.measured) or _time_in_name(taken.run) or taken.date,
            run=taken.run,
            acceptance=cell.acceptance,
            tensorflow=taken.tensorflow,
            keras=taken.keras,
            commit=taken.commit,
            stored=cell,
            images=baseline.data.get("fingerprint", ""),
        )


def _measured(run: StoredRun, item: Item) -> Point:
    environment = run.environment
    return Point(
        time=_time(str(environment.run.get("started", ""))) or _time_in_name(run.path.name),
        run=run.path.name,
        acceptance=0,
        tensorflow=environment.software.get("tensorflow", ""),
        keras=environment.software.get("keras", ""),
        commit=str(environment.run.get("commit", "")),
        stored=baseline_cell(run, item),
        images=environment.data.get("fingerprint", ""),
    )


def _time(text: str) -> str:
    """The part of an ISO time that sorts, or nothing. All times are UTC."""
    found = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text)
    return found[0] if found else ""


def _time_in_name(run: str) -> str:
    found = re.match(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-", run)
    return "{}-{}-{}T{}:{}:{}".format(*found.groups()) if found else ""


def _steps(points: Sequence[Point], metric: Metric) -> tuple[dict[int, Step], str]:
    """The steps, and why points were not searched for them."""
    groups: dict[tuple[Cell, int, str], list[int]] = {}
    for number, point in enumerate(points):
        groups.setdefault(point.terms, []).append(number)
    steps: dict[int, Step] = {}
    reasons = []
    for numbers in groups.values():
        defined = [number for number in numbers if points[number].values(metric)]
        if len(defined) < 2:
            continue
        series = [_series(points[number], metric) for number in defined]
        if all(before == after for before, after in itertools.pairwise(series)):
            continue
        means = np.array([_raw_mean(points[number], metric) for number in defined])
        floor = float(np.max(metric.floor(means)))
        found = find_steps(series, floor=floor, paired=metric.paired)
        if found is None:
            why = "their seeds differ" if metric.paired else "each has one seed"
            reasons.append(f"{len(defined)} points were not searched for steps: {why}")
        steps |= {defined[step.place]: step for step in found or ()}
    return steps, "; ".join(reasons)


def _series(point: Point, metric: Metric) -> Measured:
    digests: Mapping[int, str] = point.stored.digests
    return {seed: (digests[seed], value) for seed, value in point.values(metric).items()}


def _raw_mean(point: Point, metric: Metric) -> float:
    raw = [one.metrics.get(metric.name) for one in point.stored.samples]
    return statistics.fmean(value for value in raw if value is not None)
