"""Delta debugging: which of many differences make a finding (Zeller and Hildebrandt, "Simplifying and
isolating failure-inducing input", IEEE Transactions on Software Engineering 28(2), 2002).

A configuration is the set of differences that are taken over from NEW; all others are as in OLD. A test
of one shows what OLD shows (SAME), what NEW shows (CHANGED), or nothing of use (UNTESTABLE: the
package's versions do not go together). :func:`isolate` is their algorithm dd (figure 5), and
:func:`minimize` their ddmin (figure 3). :func:`attribute` makes of both one cause after another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bench.search.bisection import Seen

P = TypeVar("P")
#: Asked for what a configuration shows.
Test = Callable[[frozenset[P]], Seen]


@dataclass(frozen=True)
class Cause(Generic[P]):
    """Differences that make the finding together, none of which may be missing."""

    parts: Sequence[P]
    """What was blamed: several only if no test can tell them apart."""
    together: Sequence[P] = ()
    """What must be as in NEW, too: without it a test showed no change."""
    inseparable: Sequence[P] = ()
    """What must be as in NEW, too, as far as can be told: without it nothing could be tested."""


@dataclass(frozen=True)
class Attribution(Generic[P]):
    """Causes of a finding; each of them makes it without the others."""

    causes: Sequence[Cause[P]]
    tests: int
    """How many configurations were tested."""
    ends: tuple[Seen, Seen]
    """What none and all of the differences showed; there are causes only if SAME and CHANGED."""
    rest: Seen = Seen.SAME
    """What all differences but the causes' show; if UNTESTABLE, there may be another cause."""


def attribute(parts: Sequence[P], test: Test[P]) -> Attribution[P]:
    """The causes of a finding among some differences.

    Args:
        parts: the differences, the likeliest causes first.
        test: what a configuration shows; asked once for each.
    """
    memory: dict[frozenset[P], Seen] = {}

    def once(chosen: frozenset[P]) -> Seen:
        if chosen not in memory:
            memory[chosen] = test(chosen)
        return memory[chosen]

    every = frozenset(parts)
    ends = once(frozenset()), once(every)
    causes: list[Cause[P]] = []
    if ends != (Seen.SAME, Seen.CHANGED):
        return Attribution(causes, len(memory), ends)
    remaining = every
    while (rest := once(remaining)) is Seen.CHANGED:
        cause = _cause([part for part in parts if part in remaining], once)
        causes.append(cause)
        remaining -= frozenset(cause.parts)
    return Attribution(causes, len(memory), ends, rest)


def _cause(parts: Sequence[P], test: Test[P]) -> Cause[P]:
    passing, failing = isolate(parts, test)
    blamed = failing - passing
    context = [part for part in parts if part in passing]

    def with_blamed(chosen: frozenset[P]) -> Seen:
        return test(blamed | chosen)

    needed = minimize(context, with_blamed) if context else frozenset()
    without = {part: with_blamed(needed - {part}) for part in parts if part in needed}
    return Cause(
        [part for part in parts if part in blamed],
        [part for part, seen in without.items() if seen is Seen.SAME],
        [part for part, seen in without.items() if seen is not Seen.SAME],
    )


def isolate(parts: Sequence[P], test: Test[P]) -> tuple[frozenset[P], frozenset[P]]:
    """A configuration that shows no change and one that does, which differ by as little as tests allow.

    Args:
        parts: none of them shows no change; all of them show it.
        test: what a configuration shows.

    Returns:
        (passing, failing), passing a subset of failing; no single part of their difference could be
        moved from one to the other by a test that shows SAME or CHANGED.
    """
    passing, failing = frozenset[P](), frozenset(parts)
    pieces = 2
    while len(failing - passing) > 1:
        difference = [part for part in parts if part in failing - passing]
        pieces = min(pieces, len(difference))
        chunks = _split(difference, pieces)
        found = next(filter(None, (_moved(passing, failing, c, test) for c in chunks)), None)
        if found is not None:
            small = len(found[1] - found[0]) <= max(map(len, chunks))
            passing, failing = found
            pieces = 2 if small else max(pieces - 1, 2)
        elif pieces < len(difference):
            pieces *= 2
        else:
            break
    return passing, failing


def _moved(
    passing: frozenset[P], failing: frozenset[P], chunk: frozenset[P], test: Test[P]
) -> tuple[frozenset[P], frozenset[P]] | None:
    """A smaller difference, by one chunk that goes to the one side or to the other."""
    more, less = test(passing | chunk), test(failing - chunk)
    if more is Seen.CHANGED:
        return passing, passing | chunk
    if less is Seen.SAME:
        return failing - chunk, failing
    if more is Seen.SAME:
        return passing | chunk, failing
    return (passing, failing - chunk) if less is Seen.CHANGED else None


def minimize(parts: Sequence[P], test: Test[P]) -> frozenset[P]:
    """A set of parts that shows the change, and does not without any single one of them.

    Args:
        parts: all of them show it.
        test: what a configuration shows.
    """
    if test(frozenset()) is Seen.CHANGED:
        return frozenset()
    failing = list(parts)
    pieces = 2
    while len(failing) > 1:
        chunks = _split(failing, min(pieces, len(failing)))
        complements = [frozenset(failing) - chunk for chunk in chunks]
        for number, chosen in enumerate([*chunks, *complements]):
            if test(chosen) is Seen.CHANGED:
                failing = [part for part in failing if part in chosen]
                pieces = 2 if number < len(chunks) else max(pieces - 1, 2)
                break
        else:
            if pieces >= len(failing):
                break
            pieces *= 2
    return frozenset(failing)


def _split(parts: Sequence[P], pieces: int) -> list[frozenset[P]]:
    """The parts in order, in so many chunks of nearly equal size."""
    ends = [len(parts) * i // pieces for i in range(pieces + 1)]
    return [frozenset(parts[a:b]) for a, b in itertools.pairwise(ends) if b > a]
