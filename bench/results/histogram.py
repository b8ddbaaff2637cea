"""Histograms of tensors, as TensorBoard shows them."""

from __future__ import annotations

import msgspec

from bench.results.bounds import Count, Finite, Name, NotNegative, Step


class Histogram(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Distribution of a tensor's entries at one step, but for those that are not finite or beyond
    :data:`bench.measure.histogram.LARGEST`."""

    name: Name
    """The variable's name."""
    gradient: bool
    """Whether entries are of the variable's gradient, not its value."""
    step: Step
    edges: list[Finite]
    """One more than counts, rising; the first is the smallest entry, the last one the largest."""
    counts: list[Count]
    total: Finite
    """Sum of the entries."""
    squares: NotNegative
    """Sum of their squares."""

    def __post_init__(self) -> None:
        if not self.counts or len(self.edges) != len(self.counts) + 1:
            raise ValueError("a histogram has an edge more than counts")
        if sorted(self.edges) != self.edges:
            raise ValueError("edges of a histogram do not rise")
