"""Tests of bisection: chains with holes, flaky releases, changes that come and go."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.search.bisection import Bisection, Change, Outcome, Seen, bisect

_LETTERS = {".": Seen.SAME, "X": Seen.CHANGED, "?": Seen.UNTESTABLE}


def search(chain: str, **options: bool) -> Bisection:
    return bisect(len(chain), lambda i: _LETTERS[chain[i]], **options)


@st.composite
def chains(draw: st.DrawFn) -> str:
    """One change, and releases in between that cannot be tested."""
    before = "." + draw(st.text(".?", max_size=12))
    return before + draw(st.text("X?", max_size=12)) + "X"


@given(chains())
def test_finds_the_narrowest_testable_pair(chain: str) -> None:
    found = search(chain)
    assert found.outcome is Outcome.FOUND
    assert found.changes == [Change(chain.rindex("."), chain.index("X"))]


@given(st.integers(2, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))))
def test_probes_as_many_as_halving_takes(sizes: tuple[int, int]) -> None:
    """Both ends and both neighbours twice, and each halving once."""
    count, first = sizes
    found = search("." * first + "X" * (count - first))
    assert found.changes == [Change(first - 1, first)]
    assert len(found.seen) <= 2 + math.ceil(math.log2(count - 1))
    assert found.probes <= len(found.seen) + 4


@given(st.text(".X?", min_size=1, max_size=20))
def test_every_release_shows_every_change(middle: str) -> None:
    """Against a plain scan; whatever the ends show."""
    chain = f".{middle}."
    found = search(chain, every=True)
    tested = [i for i, letter in enumerate(chain) if letter != "?"]
    scanned = [
        Change(a, b, comes=chain[b] == "X")
        for a, b in itertools.pairwise(tested)
        if chain[a] != chain[b]
    ]
    assert found.changes == scanned
    assert found.outcome is (Outcome.FOUND if scanned else Outcome.NOT_SHOWN)


@given(st.text(".X?", max_size=20))
def test_ends_on_a_true_pair_although_the_change_comes_and_goes(middle: str) -> None:
    chain = f".{middle}X"
    (change,) = search(chain).changes
    assert (chain[change.before], chain[change.after]) == (".", "X")
    assert set(chain[change.before + 1 : change.after]) <= {"?"}


def test_names_two_neighbours_that_cannot_be_tested() -> None:
    found = search("..??XX")
    assert found.changes == [Change(1, 4)]
    assert {i for i, seen in found.seen.items() if Seen.UNTESTABLE in seen} == {2, 3}


@pytest.mark.parametrize(
    ("chain", "outcome"),
    [
        ("....", Outcome.NOT_SHOWN),
        (".XX.", Outcome.NOT_SHOWN),
        ("X..X", Outcome.THERE_BEFORE),
        ("X...", Outcome.THERE_BEFORE),
        ("?..X", Outcome.UNTESTABLE),
        ("...?", Outcome.UNTESTABLE),
    ],
)
def test_ends_that_do_not_show_it(chain: str, outcome: Outcome) -> None:
    found = search(chain)
    assert (found.outcome, found.changes) == (outcome, [])
    assert set(found.seen) == {0, 3}


@pytest.mark.parametrize("flaky", [0, 5, 6, 9])
def test_a_flaky_release_that_decides_is_named(flaky: int) -> None:
    """At an end, or next to the change; others are probed once, and decide nothing alone."""
    asked: list[int] = []

    def probe(position: int) -> Seen:
        asked.append(position)
        seen = Seen.SAME if position < 6 else Seen.CHANGED
        again = position == flaky and asked.count(position) > 1
        return seen if not again else (Seen.CHANGED if position < 6 else Seen.SAME)

    found = bisect(10, probe)
    assert (found.outcome, found.flaky, found.changes) == (Outcome.FLAKY, flaky, ())


@pytest.mark.parametrize(("count", "repeats"), [(1, 2), (2, 0)])
def test_refuses_what_cannot_be_searched(count: int, repeats: int) -> None:
    def probe(_: int) -> Seen:
        raise AssertionError

    with pytest.raises(ValueError, match="nothing can be searched"):
        bisect(count, probe, repeats=repeats)
