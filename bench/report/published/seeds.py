"""Curves of several seeds: each of them and their mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from bench.report.figures.picture import Points, Trace
from bench.results.trial import FORMS, Form, TrialResult

FORM_NAMES: Mapping[Form, str] = {"keras": "Keras", "session": "session"}


def having(
    results: Iterable[TrialResult],
    curve: str,
    *,
    variant: str | None = None,
    form: Form | None = None,
) -> list[TrialResult]:
    """Those that have a curve, of one variant and form or of all."""
    return [
        result
        for result in results
        if curve in result.curves
        and result.curves[curve].steps
        and variant in (None, result.trial.variant)
        and form in (None, result.trial.form)
    ]


def points_of(result: TrialResult, curve: str, unit: float = 1.0) -> Points:
    """A curve over steps, or over stretches of ``unit`` steps."""
    found = result.curves[curve]
    return tuple(
        (step / unit, value) for step, value in zip(found.steps, found.values, strict=True)
    )


def arithmetic(values: Sequence[float]) -> float | None:
    """The usual mean."""
    return fmean(values)


def geometric(values: Sequence[float]) -> float | None:
    """The mean of what varies by factors; None if a value is 0."""
    return math.exp(fmean(map(math.log, values))) if min(values) > 0 else None


def mean(
    seeds: Sequence[Points], centre: Callable[[Sequence[float]], float | None] = arithmetic
) -> Points:
    """The mean at each place that any seed has.

    Where one of them has no value there is a gap: a mean over the others would mislead.
    """
    places = sorted({x for points in seeds for x, _ in points})
    tables = [dict(points) for points in seeds]
    means: list[tuple[float, float | None]] = []
    for x in places:
        values = [value for table in tables if (value := table.get(x)) is not None]
        means.append((x, centre(values) if len(values) == len(tables) else None))
    return tuple(means)


def seeds_and_mean(
    results: Sequence[TrialResult],
    curve: str,
    name: str,
    colour: int,
    *,
    unit: float = 1.0,
    dashes: int = 0,
) -> list[Trace]:
    """The mean, in front of a faint line for each seed."""
    seeds = [points_of(result, curve, unit) for result in results]
    if not seeds:
        return []
    faint = [Trace("", points, colour, faint=True) for points in seeds]
    return [
        *(faint if len(seeds) > 1 else ()),
        Trace(name, mean(seeds), colour, dashes=dashes),
    ]


def of_one_form(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Those of one form, today's API where it is there."""
    for form in FORMS:
        own = [result for result in results if result.trial.form == form]
        if own:
            return own
    return []


def values_of(traces: Iterable[Trace]) -> list[float]:
    """All that is to be drawn."""
    return [y for trace in traces for _, y in trace.points if y is not None]


def enclosing(values: Sequence[float]) -> tuple[float, float] | None:
    """The smallest and the largest, with a margin of a twentieth on either side; None of nothing."""
    if not values:
        return None
    low, high = min(values), max(values)
    margin = (high - low) / 20 or 0.01
    return low - margin, high + margin
