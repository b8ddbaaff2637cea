"""What the figure of a series over time shows, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dot:
    """One point of a series: the values of its seeds, raw, and their mean."""

    label: str
    values: tuple[float, ...]
    """Empty where no seed has one; its place stays empty."""
    mean: float
    accepted: bool
    """Whether it became part of a baseline."""


@dataclass(frozen=True)
class Series:
    """A metric of one cell over time."""

    heading: str
    unit: str
    logarithmic: bool
    dots: tuple[Dot, ...]
    steps: tuple[tuple[int, str], ...]
    """The first point after each step, and what it changed by."""
