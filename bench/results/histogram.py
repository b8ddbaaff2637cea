"""Histograms of tensors, as TensorBoard shows them."""

from __future__ import annotations

import msgspec


class Histogram(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Distribution of a tensor's entries at one step, but for those that are not finite or beyond
    :data:`bench.measure.histogram.LARGEST`."""

    name: str
    """The variable's name."""
    gradient: bool
    """Whether entries are of the variable's gradient, not its value."""
    step: int
    edges: list[float]
    """One more than counts, rising; the first is the smallest entry, the last one the largest."""
    counts: list[int]
    total: float
    """Sum of the entries."""
    squares: float
    """Sum of their squares."""
