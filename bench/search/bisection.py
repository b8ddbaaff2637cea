"""Bisection: the neighbouring releases between which a change comes, over an ordered chain.

A probe tells what a release shows: what the first one shows, or what the last one does. Some releases
cannot be tested; the search goes round them, as ``git bisect skip`` does, and names those that lie in
the gap it ends with. What decides - both ends, and the two releases of the answer - is probed more than
once, so that a finding that comes and goes by chance is told as such and blamed on no release.

Halving finds one place where the change comes. Whether it comes and goes again between the releases
probed, only a look at every release can say.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


class Seen(str, enum.Enum):
    """What a probe shows."""

    SAME = "same"
    """What the first release shows."""
    CHANGED = "changed"
    """What the last one shows."""
    UNTESTABLE = "untestable"
    """Neither: it cannot be built, does not start, or shows something else."""


class Outcome(str, enum.Enum):
    """How a search ended."""

    FOUND = "found"
    NOT_SHOWN = "not shown"
    """The last release is as the first."""
    THERE_BEFORE = "there before"
    """The first release shows the change already."""
    UNTESTABLE = "untestable"
    """The first or the last release cannot be tested."""
    FLAKY = "flaky"
    """A release showed both."""


@dataclass(frozen=True)
class Change:
    """Two releases, by position, between which what is shown changes."""

    before: int
    after: int
    """The next release that can be tested; ``before + 1`` if all can."""
    comes: bool = True
    """False where the change goes away again."""


@dataclass(frozen=True, kw_only=True)
class Bisection:
    """What a search found."""

    outcome: Outcome
    changes: Sequence[Change] = ()
    """One after halving; all of them, in order, if every release was probed."""
    seen: Mapping[int, Sequence[Seen]] = field(default_factory=dict)
    """What each probe showed, by position."""
    flaky: int | None = None
    """The release that showed both."""

    @property
    def probes(self) -> int:
        """How many probes it took."""
        return sum(len(turns) for turns in self.seen.values())


#: Asked for what the release at a position shows, each time anew.
Probe = Callable[[int], Seen]


class _Flaky(Exception):  # noqa: N818 - no error: it ends the search
    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def bisect(count: int, probe: Probe, *, repeats: int = 2, every: bool = False) -> Bisection:
    """Searches a chain of releases.

    Args:
        count: how many there are; at least two.
        probe: what the one at a position shows.
        repeats: how often the ends and the releases of the answer are probed.
        every: probe all releases, which finds every change.

    Raises:
        ValueError: fewer than two releases, or fewer than one repeat.
    """
    if count < 2 or repeats < 1:
        raise ValueError(f"{count} releases, {repeats} repeats: nothing can be searched")
    search = _Search(probe, repeats)
    try:
        outcome, changes = search.run(count, every=every)
    except _Flaky as found:
        return Bisection(outcome=Outcome.FLAKY, seen=search.seen, flaky=found.position)
    return Bisection(outcome=outcome, changes=changes, seen=search.seen)


class _Search:
    def __init__(self, probe: Probe, repeats: int) -> None:
        self._probe = probe
        self._repeats = repeats
        self.seen: dict[int, list[Seen]] = {}

    def run(self, count: int, *, every: bool) -> tuple[Outcome, list[Change]]:
        last = count - 1
        ends = self._surely(0), self._surely(last)
        if Seen.UNTESTABLE in ends:
            return Outcome.UNTESTABLE, []
        if every:
            changes = self._every(count)
            return (Outcome.FOUND if changes else _alike(ends)), changes
        if ends != (Seen.SAME, Seen.CHANGED):
            return _alike(ends), []
        before, after = self._halve(0, last)
        self._surely(before), self._surely(after)
        return Outcome.FOUND, [Change(before, after)]

    def _once(self, position: int) -> Seen:
        """The first probe of a release."""
        if position not in self.seen:
            self.seen[position] = [self._probe(position)]
        return self.seen[position][0]

    def _surely(self, position: int) -> Seen:
        """What all probes of a release agree on."""
        first = self._once(position)
        turns = self.seen[position]
        while first is not Seen.UNTESTABLE and len(turns) < self._repeats:
            turns.append(self._probe(position))
            if turns[-1] is not first:
                raise _Flaky(position)
        return first

    def _halve(self, before: int, after: int) -> tuple[int, int]:
        untestable: set[int] = set()
        while inside := [i for i in range(before + 1, after) if i not in untestable]:
            middle = (before + after) / 2
            position = min(inside, key=lambda i: abs(i - middle))
            seen = self._once(position)
            if seen is Seen.UNTESTABLE:
                untestable.add(position)
            elif seen is Seen.SAME:
                before = position
            else:
                after = position
        return before, after

    def _every(self, count: int) -> list[Change]:
        tested = [i for i in range(count) if self._once(i) is not Seen.UNTESTABLE]
        changes = [
            Change(one, other, comes=self._once(other) is Seen.CHANGED)
            for one, other in itertools.pairwise(tested)
            if self._once(one) is not self._once(other)
        ]
        for change in changes:
            self._surely(change.before), self._surely(change.after)
        return changes


def _alike(ends: tuple[Seen, Seen]) -> Outcome:
    return Outcome.THERE_BEFORE if ends[0] is Seen.CHANGED else Outcome.NOT_SHOWN
