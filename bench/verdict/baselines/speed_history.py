"""The history of a workload's speed or memory on each machine: stored runs and runs beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.results.pace import QUANTITIES, Pace, Quantity, unit
from bench.results.run import StoredRun
from bench.statistics import single_steps
from bench.statistics.steps import Step
from bench.verdict.baselines.history import stored_runs
from bench.verdict.baselines.speeds import SPEEDS, StoredPaces, of_run, path_of, read_file

#: Smallest spread that is believed, a tenth of the smallest change that matters; 1 KiB of growth.
_LEAST = 0.1


class SpeedPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One run's value."""

    measured: str
    run: str
    accepted: bool
    tensorflow: str
    keras: str
    value: float


class SpeedHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one quantity of one pace on one machine, and its steps."""

    pace: Pace
    quantity: Quantity
    unit: str
    machine: str
    """Name of its file: class, processor and a hash."""
    points: list[SpeedPoint]
    steps: Mapping[int, Step] | None
    """By the first point after the step; None if there are too few points."""


def find_histories(
    text: str,
    quantity: Quantity,
    *,
    baselines: Path,
    results: Path,
    environment_class: str = "",
) -> tuple[list[SpeedHistory], list[str]]:
    """Histories of all workloads that a user means, and warnings of runs that cannot be read.

    Args:
        text: part of a workload's title; empty for all.
        quantity: what is shown.
        baselines: the folder of all baselines.
        results: the folder of all runs.
        environment_class: only this one; empty for all.

    Raises:
        BenchError: stored speeds are damaged, or nothing of this name is known.
    """
    runs, warnings = stored_runs(results) if results.is_dir() else ([], [])
    by_machine: dict[Path, list[tuple[StoredPaces, bool]]] = {}
    for path in sorted(baselines.glob(f"{SPEEDS}/{environment_class or '*'}/*.jsonl")):
        by_machine[path] = [(one, True) for one in read_file(path)]
    for run in runs:
        _add(by_machine, run, baselines, environment_class)
    found = [
        history
        for path, stored in by_machine.items()
        for history in _histories(path, stored, quantity)
        if text.lower() in history.pace.workload.title.lower()
    ]
    if not found:
        raise BenchError(
            f"no speed of {text!r} is stored" if text else "no speed is stored",
            hint="bench speed accept RUN stores it; reports name the workloads",
        )
    return found, warnings


def _add(
    by_machine: dict[Path, list[tuple[StoredPaces, bool]]],
    run: StoredRun,
    baselines: Path,
    environment_class: str,
) -> None:
    """Adds a run that was not accepted."""
    environment = run.environment
    if environment_class not in ("", environment.environment_class):
        return
    if all(result.crash is not None for result in run.paces.values()):
        return
    path = path_of(baselines, environment.environment_class, environment.machine)
    known = by_machine.setdefault(path, [])
    if all(one.run != run.path.name for one, _ in known):
        known.append((of_run(run), False))


def _histories(
    path: Path, stored: list[tuple[StoredPaces, bool]], quantity: Quantity
) -> list[SpeedHistory]:
    points: dict[Pace, list[SpeedPoint]] = {}
    units: dict[Pace, str] = {}
    for one, accepted in sorted(stored, key=lambda pair: pair[0].measured):
        for result in one.paces:
            if quantity in result.values:
                point = SpeedPoint(
                    measured=one.measured,
                    run=one.run,
                    accepted=accepted,
                    tensorflow=one.software.get("tensorflow", ""),
                    keras=one.software.get("keras", ""),
                    value=result.values[quantity],
                )
                points.setdefault(result.pace, []).append(point)
                units[result.pace] = unit(quantity, result.device)
    machine = f"{path.parent.name}/{path.stem}"
    return [
        SpeedHistory(
            pace=pace,
            quantity=quantity,
            unit=units[pace],
            machine=machine,
            points=measured,
            steps=_steps(measured, quantity),
        )
        for pace, measured in points.items()
    ]


def _steps(points: list[SpeedPoint], quantity: Quantity) -> Mapping[int, Step] | None:
    measure = QUANTITIES[quantity]
    values = [math.log(p.value) if measure.logarithmic else p.value for p in points]
    found = single_steps.find_steps(values, floor=measure.smallest * _LEAST or 1.0)
    return None if found is None else {step.place: step for step in found}
