"""Tests of delta debugging against what is planted: causes, pairs, versions that do not go together."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from bench.search.bisection import Seen
from bench.search.delta import Cause, Test, attribute, isolate, minimize

PARTS = "abcdefgh"
sets = st.frozensets(st.sampled_from(PARTS), min_size=1, max_size=3)


def planted(causes: Iterable[frozenset[str]], *, bound: str = "") -> Test[str]:
    """Any whole cause makes the finding. The parts of ``bound`` go together only."""

    def test(chosen: frozenset[str]) -> Seen:
        if 0 < len(chosen & set(bound)) < len(bound):
            return Seen.UNTESTABLE
        return Seen.CHANGED if any(cause <= chosen for cause in causes) else Seen.SAME

    return test


@given(sets)
def test_minimize_finds_the_set(cause: frozenset[str]) -> None:
    assert minimize(PARTS, planted([cause])) == cause


@given(st.lists(sets, min_size=1, max_size=3))
def test_minimize_keeps_nothing_that_can_go(causes: list[frozenset[str]]) -> None:
    test = planted(causes)
    found = minimize(PARTS, test)
    assert test(found) is Seen.CHANGED
    assert all(test(found - {part}) is Seen.SAME for part in found)


@given(st.lists(sets, min_size=1, max_size=3))
def test_isolate_ends_one_part_apart(causes: list[frozenset[str]]) -> None:
    test = planted(causes)
    passing, failing = isolate(PARTS, test)
    assert passing < failing
    assert len(failing - passing) == 1
    assert (test(passing), test(failing)) == (Seen.SAME, Seen.CHANGED)


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4, unique=True))
def test_single_causes_are_all_found(causes: list[str]) -> None:
    found = attribute(PARTS, planted([frozenset(one) for one in causes]))
    assert {tuple(cause.parts) for cause in found.causes} == {(one,) for one in causes}
    assert all(cause == Cause(cause.parts, [], []) for cause in found.causes)
    assert found.rest is Seen.SAME


@given(st.frozensets(st.sampled_from(PARTS), min_size=2, max_size=4))
def test_what_does_it_together_is_named(cause: frozenset[str]) -> None:
    (found,) = attribute(PARTS, planted([cause])).causes
    assert len(found.parts) == 1
    assert {*found.parts, *found.together} == cause
    assert not found.inseparable


@given(st.sampled_from(PARTS[3:]))
def test_parts_that_go_together_only_do_not_hide_another(cause: str) -> None:
    (found,) = attribute(PARTS, planted([frozenset(cause)], bound="abc")).causes
    assert found == Cause([cause], [], [])


def test_a_cause_among_parts_that_go_together_only() -> None:
    (found,) = attribute(PARTS, planted([frozenset("b")], bound="abc")).causes
    assert found == Cause(["a", "b", "c"], [], [])


def test_a_cause_that_needs_another_version_to_run_at_all() -> None:
    """Keras 3 needs the newer TensorFlow, which runs Keras 2, too: Keras is to blame."""

    def test(chosen: frozenset[str]) -> Seen:
        if "keras" in chosen:
            return Seen.CHANGED if "tensorflow" in chosen else Seen.UNTESTABLE
        return Seen.SAME

    found = attribute(["keras", "tensorflow", "numpy"], test)
    assert found.causes == [Cause(["keras"], [], ["tensorflow"])]
    assert found.rest is Seen.SAME


def test_no_causes_where_the_ends_show_nothing() -> None:
    for ends in ((Seen.SAME, Seen.SAME), (Seen.CHANGED, Seen.CHANGED)):
        found = attribute(PARTS, lambda chosen, ends=ends: ends[bool(chosen)])
        assert (found.causes, found.ends, found.tests) == ([], ends, 2)


@given(st.lists(sets, min_size=1, max_size=3))
def test_each_configuration_is_tested_once(causes: list[frozenset[str]]) -> None:
    asked: list[frozenset[str]] = []

    def test(chosen: frozenset[str]) -> Seen:
        asked.append(chosen)
        return planted(causes)(chosen)

    assert attribute(PARTS, test).tests == len(asked) == len(set(asked))
