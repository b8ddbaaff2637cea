"""Differences of losses between trainings, step by step, and the envelope that copies span.

Steps are counted from where a seed's two sides part, before which all bits are equal: its copies
are moved there (:func:`bench.verdict.traces.equal_until`), and a difference can have grown no
longer than they."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.cells.cell import Cell
from bench.verdict.departures import rounding_factor
from bench.verdict.traces import Seed, equal_until

Array = npt.NDArray[np.float64]

#: The envelope at step t covers copies up to this many times t + 1.
LOOK_AHEAD = 2


@dataclass(frozen=True)
class Differences:
    """Absolute differences of losses, infinite where one of two losses is not finite."""

    parted: Sequence[int]
    """Of each seed, the step from which the others are counted."""
    seeds: Array
    """Between the run and what it is compared with, (seeds, steps); 0 beyond the end of training."""
    copies: Array
    """Between copies and their replicas, (copies, steps)."""
    factor: float
    """:func:`bench.verdict.departures.rounding_factor`."""
    unit: Array
    """One unit in the last place of the loss, to which losses are rounded, (steps,)."""
    spread: Array
    """How far seeds lie apart, at most so far; with one seed, how far the loss has moved since the
    start, (steps,)."""

    @classmethod
    def of(cls, cell: Cell, seeds: Sequence[Seed]) -> Differences:
        """Over the steps that all trajectories have."""
        sides = [s for seed in seeds for pair in seed.moved() for s in pair]
        sides += [side for seed in seeds for side in (seed.run, seed.baseline)]
        length = min(len(side.losses) for side in sides)
        parted = [equal_until(cell, seed.run, seed.baseline) for seed in seeds]
        first = min(parted)
        steps = max(length - first, 1)

        def counted(values: Array, since: int) -> Array:
            row, part = np.zeros(steps), values[since:length]
            row[: part.size] = part
            return row

        losses = np.stack([seed.run.losses[:length] for seed in seeds])
        with np.errstate(invalid="ignore"):
            unit = np.spacing(np.abs(losses).astype(np.float32)).astype(np.float64)
            if len(seeds) > 1:
                width = losses.max(axis=0) - losses.min(axis=0)
            else:
                width = np.abs(losses[0] - losses[0, :1])
        units = np.nan_to_num(unit, nan=0.0, posinf=0.0).max(axis=0)
        widths = np.maximum.accumulate(np.nan_to_num(width))
        return cls(
            parted=parted,
            seeds=np.stack(
                [
                    counted(_apart(seed.baseline.losses[:length], seed.run.losses[:length]), since)
                    for seed, since in zip(seeds, parted, strict=True)
                ]
            ),
            copies=np.stack(
                [
                    counted(_apart(copy.losses[:length], replica.losses[:length]), since)
                    for seed, since in zip(seeds, parted, strict=True)
                    for copy, replica in seed.moved()
                ]
            ),
            factor=rounding_factor(cell),
            unit=counted(units, first) if first < length else units[-1:],
            spread=counted(widths, first) if first < length else widths[-1:],
        )

    @functools.cached_property
    def envelope(self) -> Array:
        """(steps,)"""
        return self._spanned(self._so_far.max(axis=0))

    @functools.cached_property
    def ratios(self) -> Array:
        """Differences of seeds over the envelope, (seeds, steps)."""
        return _ratio(self.seeds, self.envelope)

    @property
    def sharp(self) -> int:
        """Steps until the envelope is as wide as seeds lie apart: from there on it tells no more than
        another seed would. The first is sharp."""
        blunt = ~(self.factor * self._ahead(self._so_far.max(axis=0)) <= self.spread)
        first = first_of(blunt[1:])
        return blunt.size if first is None else first + 1

    def leave_one_out(self) -> tuple[int, int]:
        """How many copies lie inside the envelope of the others, and how many there are."""
        ordered = np.sort(self._so_far, axis=0)
        largest = ordered[-1]
        second = ordered[-2] if len(ordered) > 1 else np.zeros_like(largest)
        inside = 0
        for copy, so_far in zip(self.copies, self._so_far, strict=True):
            others = self._spanned(np.where(so_far == largest, second, largest))
            inside += bool((_ratio(copy, others) <= 1).all())
        return inside, len(self.copies)

    @functools.cached_property
    def _so_far(self) -> Array:
        """The largest difference of each copy up to a step, (copies, steps)."""
        return np.maximum.accumulate(self.copies, axis=1)

    def _ahead(self, largest: Array) -> Array:
        ahead = LOOK_AHEAD * (np.arange(largest.size) + 1) - 1
        return np.maximum(largest[np.minimum(ahead, largest.size - 1)], self.unit)

    def _spanned(self, largest: Array) -> Array:
        """The envelope of copies that differ so much at most: scaled for another order of
        summation, and capped where that exceeds the distance between seeds."""
        shown = self._ahead(largest)
        scaled = self.factor * shown
        if len(self.seeds) < 2:
            return scaled
        cap = np.maximum(self.spread, self.factor * self.unit)
        with np.errstate(invalid="ignore"):
            return np.fmax(np.minimum(scaled, cap), shown)


def first_of(mask: npt.NDArray[np.bool_]) -> int | None:
    """The first place that is true."""
    found = np.flatnonzero(mask)
    return int(found[0]) if found.size else None


def _apart(first: Array, second: Array) -> Array:
    """|first - second|: 0 where both are not finite, infinite where one is."""
    finite = np.isfinite(first), np.isfinite(second)
    with np.errstate(invalid="ignore"):
        apart = np.abs(first - second)
    return np.where(finite[0] & finite[1], apart, np.where(finite[0] == finite[1], 0.0, np.inf))


def _ratio(apart: Array, envelope: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = apart / envelope
    return np.where(apart == 0, 0.0, np.where(np.isinf(envelope), 0.0, ratio))
