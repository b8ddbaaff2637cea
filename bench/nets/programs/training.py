"""Trains a program, looks at it on the way, and tells what was seen. The same for both forms."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from bench.cells.numbers import split_number
from bench.measure.histogram import histogram
from bench.measure.trajectory import digest
from bench.nets.programs import program as kinds
from bench.nets.programs.program import Array, Part, Program, Stretch, watches
from bench.results.flow import finite
from bench.results.histogram import Histogram
from bench.results.trial import Curve, Trial, TrialResult

#: Steps over which the variance of a gradient's entries is taken.
VARIANCE_STEPS = 1000

_PARTS: tuple[Part, ...] = ("test", "validation")


def train(
    program: Program, trial: Trial, *, data: str, environment: str, begin: float
) -> TrialResult:
    """Trains as the trial says. A loss that is not finite ends it: an outcome, not an error.

    Args:
        program: at its initial values.
        trial: what is watched, and when.
        data: fingerprint of the images.
        environment: class that the result carries.
        begin: when its time began, by ``time.perf_counter``.
    """
    watch = _Watch(trial, program)
    position, diverged = 0, False
    for look in (*(look for look in trial.looks if look <= trial.recipe.steps), None):
        stop = trial.recipe.steps if look is None else look
        diverged = not watch.advance(position, stop)
        if look is not None:
            watch.look(look, since=position)
        if diverged:
            break
        position = stop
    values = program.variables()
    diverged = diverged or not all(np.isfinite(value).all() for value in values.values())
    outcome: Literal["diverged", "trained"] = "diverged" if diverged else "trained"
    return TrialResult(
        trial=trial,
        outcome=outcome,
        curves=watch.curves(),
        numbers={**watch.numbers(values), **_largest(trial, values)},
        histograms=watch.histograms,
        digest=digest([watch.losses(), *values.values()]),
        environment=environment,
        data=data,
        total_sec=time.perf_counter() - begin,
    )


class _Watch:
    """Collects what is seen of one training."""

    def __init__(self, trial: Trial, program: Program) -> None:
        self._trial, self._program = trial, program
        self._stretches: list[Stretch] = []
        self._points: dict[str, list[tuple[int, float | None]]] = defaultdict(list)
        self.histograms: list[Histogram] = []

    def advance(self, start: int, stop: int) -> bool:
        """Trains from the look before step ``start`` to the one before ``stop``; whether all losses
        are finite."""
        if start == stop:
            return True
        parts, at_look = [], start in self._trial.looks
        if at_look and watches(self._trial, "histograms"):
            stretch, gradients = self._program.step(start)
            self._note(start, gradients, gradient=True)
            parts.append(stretch)
        first = start + len(parts)
        if first < stop:
            parts.append(self._program.train(first, stop))
        if at_look and watches(self._trial, "norms"):
            self._norms(start, parts[0].gradients[0])
        self._stretches += parts
        return all(bool(np.isfinite(part.losses).all()) for part in parts)

    def look(self, step: int, *, since: int) -> None:
        """What is seen before a step; the mean loss since the last look."""
        if step > since:
            mean = self.losses()[since:step].mean(dtype=np.float64)
            self._point("loss", step, mean)
        for part in _PARTS:
            if watches(self._trial, part):
                accuracy, loss = self._program.evaluate(part)
                # Outputs that are not finite name a class all the same.
                self._point(f"{part} accuracy", step, accuracy if np.isfinite(loss) else np.nan)
                if part == "test":
                    self._point("test loss", step, loss)
        if watches(self._trial, "dead"):
            self._point("dead share", step, self._program.dead_share())
        if watches(self._trial, "histograms"):
            values = self._program.variables()
            names = self._trial.recipe.names
            self._note(step, [values[name] for name in names], gradient=False)

    def losses(self) -> Array:
        """Losses of all steps so far, float32."""
        return np.concatenate([np.zeros(0, np.float32), *(part.losses for part in self._stretches)])

    def curves(self) -> dict[str, Curve]:
        return {
            name: Curve(steps=[step for step, _ in points], values=[value for _, value in points])
            for name, points in self._points.items()
        }

    def numbers(self, values: Mapping[str, Array]) -> dict[str, float | None]:
        """Over all steps; see :attr:`bench.results.trial.TrialResult.numbers`."""
        if not watches(self._trial, "norms") or not self._stretches:
            return {}
        seen = np.concatenate([part.gradients for part in self._stretches])
        sizes = np.array([values[name].size for name in self._trial.recipe.names])
        return gradient_numbers(self._trial, seen, sizes)

    def _point(self, curve: str, step: int, value: float) -> None:
        self._points[curve].append((step, finite(value)))

    def _norms(self, step: int, numbers: Array) -> None:
        for at, name in enumerate(self._trial.recipe.names):
            self._point(f"norm {name}", step, np.sqrt(numbers[kinds.SQUARES, at]))
            self._point(f"clipped norm {name}", step, np.sqrt(numbers[kinds.CLIPPED_SQUARES, at]))

    def _note(self, step: int, arrays: Sequence[Array], *, gradient: bool) -> None:
        for name, array in zip(self._trial.recipe.names, arrays, strict=True):
            self.histograms.append(histogram(name, array, step=step, gradient=gradient))


def gradient_numbers(trial: Trial, seen: Array, sizes: Array) -> dict[str, float | None]:
    """What the numbers of all steps' gradients come to.

    The cosine between gradients g and clipped gradients c, all variables together, is
    <g, c> / (|g| |c|); steps in which either is zero have none.

    Args:
        trial: its clipping and names.
        seen: (steps, 5, variables), as :func:`bench.nets.programs.program.of_gradients` gives them.
        sizes: entries of each variable.
    """
    names = trial.recipe.names
    norms = np.sqrt(seen[:, kinds.SQUARES]).max(axis=0)
    before, after = (
        np.sqrt(seen[:, row].sum(axis=1)) for row in (kinds.SQUARES, kinds.CLIPPED_SQUARES)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = seen[:, kinds.PRODUCT].sum(axis=1) / (before * after)
    cosines = cosines[(before > 0) & (after > 0)]
    rule, limit = split_number(trial.recipe.clipping)
    early = seen[:VARIANCE_STEPS]
    # Var(x) = E[x^2] - E[x]^2 over entries and steps; no less than 0 but for rounding.
    squares = (early[:, kinds.SQUARES] / sizes).mean(axis=0)
    variances = np.maximum(squares - early[:, kinds.MEAN].mean(axis=0) ** 2, 0.0)
    return {
        **{f"largest norm {name}": finite(value) for name, value in zip(names, norms, strict=True)},
        "largest clipped norm": finite(after.max()),
        **(
            {"largest clipping error": finite(_clipping_error(before, after, limit))}
            if rule == "global_norm" and limit is not None
            else {}
        ),
        "clipped steps": finite(_clipped(trial, seen, before).mean()),
        "smallest cosine": finite(cosines.min()) if cosines.size else None,
        **{f"variance {name}": finite(value) for name, value in zip(names, variances, strict=True)},
    }


def _clipping_error(before: Array, after: Array, limit: float) -> float:
    """How far any norm after clipping lies from min(norm, limit), relatively; steps without a gradient
    must be left without one."""
    due = np.minimum(before, limit)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(due > 0, np.abs(after / due - 1.0), np.where(after > 0, np.inf, 0.0))
    return float(errors.max())


def _clipped(trial: Trial, seen: Array, norms: Array) -> Array:
    """Whether each step's gradients are beyond the threshold of the trial's clipping."""
    rule, threshold = split_number(trial.recipe.clipping)
    if threshold is None:
        return np.zeros(len(seen), bool)
    if rule == "global_norm":
        return np.asarray(norms > threshold)
    if rule == "norm":
        return np.asarray((np.sqrt(seen[:, kinds.SQUARES]) > threshold).any(axis=1))
    return np.asarray((seen[:, kinds.LARGEST] > threshold).any(axis=1))


def _largest(trial: Trial, values: Mapping[str, Array]) -> dict[str, float | None]:
    return {f"largest {name}": finite(np.abs(values[name]).max()) for name in trial.recipe.names}
