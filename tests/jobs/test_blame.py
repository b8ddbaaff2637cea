"""Tests of blame, with an index and environments that exist on paper only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.environments.prepare import Built
from bench.environments.releases import Chain
from bench.environments.requirements import Side, lock_of, lock_versions
from bench.errors import BenchError
from bench.jobs import asking as asking_module
from bench.jobs.asking import Asking, State
from bench.jobs.blame import Investigation
from bench.jobs.findings import Finding
from bench.report.sections.blame import answer
from bench.results.blame import Blame

FINDING = Finding("a finding")
KERAS = ["3.0.0", "3.1.0", "3.2.0", "3.3.0", "3.4.0", "3.5.0", "3.6.0", "3.7.0"]
OLD = {"tensorflow-cpu": "2.18.0", "keras": "3.0.0", "numpy": "2.0.0", "h5py": "3.10"}
NEW = {"tensorflow-cpu": "2.18.0", "keras": "3.7.0", "numpy": "2.0.0", "h5py": "3.10"}

#: What the finding shows, of versions by name, variables, and how often it was asked.
Shows = Callable[[Mapping[str, str], Mapping[str, str], int], str | State]


def built(versions: Mapping[str, str], variables: Mapping[str, str] | None = None) -> Built:
    lock = lock_of(versions)
    return Built(
        python=Path("python"),
        lock=lock,
        key=lock,
        variables=dict(variables or {}),
        label="an environment",
    )


class World:
    """An index whose packages go together unless ``refuses`` says otherwise, and what is asked."""

    def __init__(
        self, shows: Shows, refuses: Callable[[Mapping[str, str]], bool] = lambda _: False
    ) -> None:
        self.machine = {"cpu": "one"}
        self.shows = shows
        self.refuses = refuses
        self.asked: list[Mapping[str, str]] = []
        self.releases: dict[str, list[str]] = {"keras": KERAS}
        self.skipped: dict[str, str] = {}
        self.said: list[str] = []
        #: Whether Keras moves with TensorFlow, as it does up to 2.15.
        self.tied = False

    def build(self, side: Side) -> Built:
        versions = dict(lock_versions(side.preferred))
        versions |= dict(one.split("==") for one in side.requirements)
        if self.tied and not any(one.startswith("keras==") for one in side.requirements):
            versions["keras"] = f"{versions['tensorflow-cpu'].rpartition('.')[0]}.0"
        if self.refuses(versions):
            raise BenchError("uv finds no versions")
        if side.legacy_keras:
            versions["tf-keras"] = "2.16.0"
        return built(versions, side.variables)

    def chain(self, package: str, old: str, new: str) -> Chain:
        releases = self.releases[package]
        if releases.index(old) > releases.index(new):
            releases = releases[::-1]
        inside = releases[releases.index(old) : releases.index(new) + 1]
        kept = [version for version in inside if version not in self.skipped]
        return Chain(package=package, releases=kept, skipped=self.skipped)

    def changelog(self, environment: Built, package: str) -> str:
        return f"changelog of {package}"

    def states(self, environment: Built, turn: int) -> dict[Finding, State]:
        versions = lock_versions(environment.lock)
        self.asked.append(versions)
        shown = self.shows(versions, environment.variables, turn)
        return {FINDING: shown if isinstance(shown, State) else State(shown, f"it is {shown}")}

    def blame(
        self,
        old: Mapping[str, str] = OLD,
        new: Mapping[str, str] = NEW,
        *,
        variables: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
        ends_sec: float | None = None,
        **options: Any,
    ) -> Blame:
        asking = Asking(self, self, say=self.said.append, ends_sec=ends_sec)
        pair = [built(side, set_) for side, set_ in zip((old, new), variables, strict=True)]
        return Investigation(*pair, variables=variables, asking=asking).blame(FINDING, **options)


def keras_at_least(version: str) -> Shows:
    """Wrong since a release of Keras."""
    return lambda v, _, __: "wrong" if KERAS.index(v["keras"]) >= KERAS.index(version) else "right"


def test_the_pair_of_releases_is_named() -> None:
    world = World(keras_at_least("3.5.0"))
    found = world.blame()
    ((pair,), (cause,)) = found.pairs, found.causes
    assert (found.outcome, found.package, pair.before, pair.after) == (
        "found",
        "keras",
        "3.4.0",
        "3.5.0",
    )
    assert cause.parts == ["keras 3.0.0 -> 3.7.0"]
    assert (found.old, found.new) == ("it is right", "it is wrong")
    assert found.changelog == "changelog of keras"
    assert [lock_versions(lock)["keras"] for lock in found.locks] == ["3.4.0", "3.5.0"]
    assert pair.drift == []


def test_about_log2_environments_are_asked() -> None:
    """Two ends, three halvings of seven steps; NEW without oneDNN and with Keras 2 as remedies."""
    world = World(keras_at_least("3.5.0"))
    assert world.blame().environments == 2 + 3 + 2


def test_remedies_are_tried_on_new() -> None:
    def shows(versions: Mapping[str, str], variables: Mapping[str, str], _: int) -> str:
        legacy, onednn = (
            variables.get("TF_USE_LEGACY_KERAS"),
            variables.get("TF_ENABLE_ONEDNN_OPTS"),
        )
        wrong = versions["keras"] == "3.7.0" and not legacy and onednn != "0"
        return "wrong" if wrong else "right"

    pin, onednn, legacy = World(shows).blame().remedies
    assert (pin.pins, pin.avoids) == (["tensorflow-cpu==2.18.0", "keras==3.6.0"], True)
    assert (onednn.variables, onednn.avoids) == ({"TF_ENABLE_ONEDNN_OPTS": "0"}, True)
    assert (legacy.variables, legacy.avoids) == ({"TF_USE_LEGACY_KERAS": "1"}, True)
    assert legacy.pins == ["tensorflow-cpu==2.18.0", "tf-keras==2.16.0"]


def test_a_remedy_that_does_not_help_is_no_remedy() -> None:
    pin, onednn, legacy = World(keras_at_least("3.5.0")).blame().remedies
    assert [pin.avoids, onednn.avoids, legacy.avoids] == [True, False, False]


def test_keras_is_blamed_although_tensorflow_changed_too() -> None:
    """The older TensorFlow has no Keras 3; the newer one has Keras 2 as tf-keras."""

    def shows(versions: Mapping[str, str], variables: Mapping[str, str], _: int) -> str:
        three = versions["keras"].startswith("3.") and not variables.get("TF_USE_LEGACY_KERAS")
        return "wrong" if three else "right"

    def refuses(versions: Mapping[str, str]) -> bool:
        return versions["tensorflow-cpu"] == "2.15.1" and versions["keras"].startswith("3.")

    world = World(shows, refuses)
    world.releases = {"keras": ["2.15.0", "2.15.1", *KERAS]}
    old = {"tensorflow-cpu": "2.15.1", "keras": "2.15.0", "numpy": "1.26.4", "wrapt": "1.14"}
    new = {"tensorflow-cpu": "2.16.2", "keras": "3.3.0", "numpy": "1.26.5", "wrapt": "2.0"}
    found = world.blame(old, new)
    (cause,) = found.causes
    assert cause.parts == ["keras 2.15.0 -> 3.3.0"]
    assert cause.inseparable == ["tensorflow 2.15.1 -> 2.16.2"]
    (pair,) = found.pairs
    assert (pair.before, pair.after) == ("2.15.0", "3.0.0")
    assert "TF_USE_LEGACY_KERAS 1 -> unset" in pair.drift
    assert "tf-keras, whichever release of Keras it was" in found.skipped["2.15.1"]
    assert found.remedies[0].variables == {"TF_USE_LEGACY_KERAS": "1"}
    assert found.remedies[0].avoids


def test_what_tensorflow_drags_along_is_part_of_it() -> None:
    """No version of Keras goes with the other TensorFlow: one step, whose releases are TensorFlow's."""
    releases = ["2.12.0", "2.13.0", "2.14.0", "2.15.0"]

    def shows(versions: Mapping[str, str], _: Mapping[str, str], __: int) -> str:
        return "wrong" if versions["keras"] >= "2.14.0" else "right"

    def refuses(versions: Mapping[str, str]) -> bool:
        return versions["tensorflow-cpu"] != versions["keras"]

    world = World(shows, refuses)
    world.tied = True
    world.releases = {"tensorflow-cpu": releases}
    pair = [
        {"tensorflow-cpu": v, "keras": v, "numpy": n, "gast": n}
        for v, n in zip(releases[::3], "12", strict=True)
    ]
    found = world.blame(*pair)
    (cause,), (change,) = found.causes, found.pairs
    assert cause.parts == ["tensorflow 2.12.0 -> 2.15.0 (with keras 2.12.0 -> 2.15.0)"]
    assert cause.together == cause.inseparable == []
    assert (found.package, change.before, change.after) == ("tensorflow-cpu", "2.13.0", "2.14.0")
    assert change.drift == ["keras 2.13.0 -> 2.14.0"]
    assert found.remedies[0].pins == ["tensorflow-cpu==2.13.0"]


def test_two_packages_that_do_it_together() -> None:
    def shows(versions: Mapping[str, str], _: Mapping[str, str], __: int) -> str:
        both = versions["keras"] == "3.7.0" and versions["numpy"] == "2.1.0"
        return "wrong" if both else "right"

    (cause,) = World(shows).blame(OLD, {**NEW, "numpy": "2.1.0", "h5py": "3.11"}).causes
    assert {*cause.parts, *cause.together} == {"keras 3.0.0 -> 3.7.0", "numpy 2.0.0 -> 2.1.0"}


def test_two_packages_each_of_which_does_it_alone() -> None:
    """Each is bisected where the other one is as in OLD, or all of its releases would show it, and the
    releases before of both avoid the finding."""

    def shows(versions: Mapping[str, str], _: Mapping[str, str], __: int) -> str:
        keras = KERAS.index(versions["keras"]) >= 5
        return "wrong" if keras or versions["numpy"] == "2.1.0" else "right"

    world = World(shows)
    world.releases["numpy"] = ["2.0.0", "2.0.1", "2.1.0"]
    found = world.blame(OLD, {**NEW, "numpy": "2.1.0"})
    assert [cause.parts for cause in found.causes] == [
        ["keras 3.0.0 -> 3.7.0"],
        ["numpy 2.0.0 -> 2.1.0"],
    ]
    assert [(pair.before, pair.after) for pair in found.pairs] == [("3.4.0", "3.5.0")]
    [other] = found.others
    assert other.package == "numpy"
    assert [(pair.before, pair.after) for pair in other.pairs] == [("2.0.1", "2.1.0")]
    assert lock_versions(found.locks[1])["keras"] == "3.5.0"
    [remedy] = [remedy for remedy in found.remedies if remedy.avoids]
    assert remedy.pins == ["tensorflow-cpu==2.18.0", "keras==3.4.0", "numpy==2.0.1"]
    assert "keras 3.5.0 (3.4.0 is as before); or since numpy 2.1.0" in answer(found)


def test_a_build_of_ones_own_can_be_the_end() -> None:
    """It is on no index, and so not built anew."""
    own = "3.7.0+sha256.0123456789ab"
    world = World(
        lambda versions, _, __: "wrong" if versions["keras"] == own else "right",
        lambda versions: versions["keras"] == own,
    )
    world.releases = {"keras": [*KERAS[:-1], own]}
    (pair,) = world.blame(OLD, {**NEW, "keras": own}).pairs
    assert (pair.before, pair.after) == ("3.6.0", own)


def test_a_variable_is_to_blame() -> None:
    def shows(_: Mapping[str, str], variables: Mapping[str, str], __: int) -> str:
        return "wrong" if variables.get("TF_ENABLE_ONEDNN_OPTS") == "1" else "right"

    found = World(shows).blame(variables=({}, {"TF_ENABLE_ONEDNN_OPTS": "1"}))
    assert [cause.parts for cause in found.causes] == [["TF_ENABLE_ONEDNN_OPTS unset -> 1"]]
    assert (found.outcome, found.reason) == ("attributed", "a variable, which has no releases")
    assert found.remedies[0].avoids


def test_a_rollback_is_searched_downwards() -> None:
    world = World(keras_at_least("3.5.0"))
    found = world.blame(NEW, OLD)
    (pair,) = found.pairs
    assert (pair.before, pair.after) == ("3.5.0", "3.4.0")
    assert found.remedies[0].pins == ["tensorflow-cpu==2.18.0", "keras==3.5.0"]


def test_left_out_and_broken_neighbours_are_named() -> None:
    """A hole in the chain, and two releases next to the change that cannot be installed."""
    bad = ("3.4.0", "3.5.0")
    world = World(keras_at_least("3.4.0"), lambda versions: versions["keras"] in bad)
    world.skipped = {"3.2.0": "yanked: broken"}
    found = world.blame()
    (pair,) = found.pairs
    assert (pair.before, pair.after) == ("3.3.0", "3.6.0")
    assert pair.between == dict.fromkeys(bad, "uv finds no versions")
    assert found.skipped == {"3.2.0": "yanked: broken"}
    assert "3.2.0" not in [release.version for release in found.releases]


def test_another_failure_is_neither_old_nor_new() -> None:
    """A release that crashes where NEW is wrong says nothing of when it became wrong."""

    def shows(versions: Mapping[str, str], _: Mapping[str, str], __: int) -> str:
        here = KERAS.index(versions["keras"])
        return "crashed" if here == 3 else "wrong" if here > 3 else "right"

    (pair,) = World(shows).blame().pairs
    assert (pair.before, pair.after, pair.between) == (
        "3.2.0",
        "3.4.0",
        {"3.3.0": "it is crashed"},
    )


def test_what_fails_in_any_way_is_not_mended_yet() -> None:
    """A contract that raised first, and was wrong then, holds since the third of these."""

    def shows(versions: Mapping[str, str], _: Mapping[str, str], __: int) -> str:
        here = KERAS.index(versions["keras"])
        return "crashed" if here < 3 else "wrong" if here < 6 else "right"

    found = World(shows).blame()
    assert [(pair.before, pair.after) for pair in found.pairs] == [("3.5.0", "3.6.0")]
    assert found.mended
    assert not World(keras_at_least("3.5.0")).blame().mended


def test_rounding_is_as_old_where_new_differs_by_more() -> None:
    def shows(versions: Mapping[str, str], _: Mapping[str, str], __: int) -> str:
        here = KERAS.index(versions["keras"])
        return "identical" if here < 2 else "rounding" if here < 6 else "changed"

    (pair,) = World(shows).blame().pairs
    assert (pair.before, pair.after) == ("3.5.0", "3.6.0")


def test_rounding_is_blamed_on_who_changed_the_bits() -> None:
    """TensorFlow rounds as before; Keras went by more at first; one release of it crashes."""

    def shows(versions: Mapping[str, str], _: Mapping[str, str], __: int) -> str:
        here = KERAS.index(versions["keras"])
        return {1: "crashed", 3: "changed"}.get(here, "identical" if here < 3 else "rounding")

    found = World(shows).blame(new={**NEW, "tensorflow-cpu": "2.19.0"})
    assert [cause.parts for cause in found.causes] == [["keras 3.0.0 -> 3.7.0"]]
    assert [(pair.before, pair.after) for pair in found.pairs] == [("3.2.0", "3.3.0")]
    assert {one.version: one.seen for one in found.releases}["3.1.0"] == "untestable"
    assert found.rounding
    assert not World(keras_at_least("3.5.0")).blame().rounding


@pytest.mark.parametrize(
    ("shows", "outcome", "reason"),
    [
        (lambda v, e, t: "right", "not shown", "it does not reproduce: right on both sides"),
        (
            lambda v, e, t: State("", "no such layer") if v["keras"] == "3.7.0" else "right",
            "untestable",
            "NEW: no such layer",
        ),
        (
            lambda v, e, t: "wrong" if v["keras"] == "3.7.0" and not t else "right",
            "flaky",
            "NEW shows wrong, and run again right",
        ),
    ],
)
def test_a_finding_that_does_not_reproduce(shows: Shows, outcome: str, reason: str) -> None:
    world = World(shows)
    found = world.blame()
    assert (found.outcome, found.reason, found.pairs) == (outcome, reason, [])
    assert {versions["keras"] for versions in world.asked} <= {"3.0.0", "3.7.0"}


def test_a_release_that_is_flaky_is_blamed_for_nothing() -> None:
    def shows(versions: Mapping[str, str], _: Mapping[str, str], turn: int) -> str:
        here = KERAS.index(versions["keras"])
        return "wrong" if here > 4 or (here == 4 and turn) else "right"

    found = World(shows).blame()
    assert (found.outcome, found.pairs) == ("flaky", [])
    assert found.reason == "keras 3.4.0 shows it in one run and not in another"


def test_a_change_that_comes_and_goes() -> None:
    def shows(versions: Mapping[str, str], _: Mapping[str, str], __: int) -> str:
        return "wrong" if KERAS.index(versions["keras"]) in (2, 3, 6, 7) else "right"

    found = World(shows).blame(every=True)
    assert [(pair.before, pair.after, pair.comes) for pair in found.pairs] == [
        ("3.1.0", "3.2.0", True),
        ("3.3.0", "3.4.0", False),
        ("3.5.0", "3.6.0", True),
    ]
    assert [release.version for release in found.releases] == KERAS


def test_nothing_differs() -> None:
    found = World(keras_at_least("3.5.0")).blame(OLD, OLD)
    assert (found.outcome, found.environments) == ("same", 0)


def test_the_package_is_the_same_on_both_sides() -> None:
    with pytest.raises(BenchError, match="numpy is the same on both sides") as error:
        World(keras_at_least("3.5.0")).blame(over="numpy")
    assert error.value.hint == "what differs: keras 3.0.0 -> 3.7.0"


def test_the_package_that_is_asked_for_is_not_to_blame() -> None:
    """With all else as on the new side, its old version shows the finding already."""
    world = World(lambda v, _, __: "wrong" if v["numpy"] == "2.1.0" else "right")
    found = world.blame(OLD, {**NEW, "numpy": "2.1.0"}, over="keras")
    assert (found.outcome, found.causes, found.pairs) == ("there before", [], [])
    assert found.reason == "keras 3.0.0 shows it already, with all else as on the new side"


def test_findings_share_environments() -> None:
    """The second of two that came with one release asks nothing anew."""
    world = World(keras_at_least("3.5.0"))
    asking = Asking(world, world, say=world.said.append)
    pair = [built(OLD), built(NEW)]
    investigation = Investigation(*pair, variables=[{}, {}], asking=asking)
    first = investigation.blame(FINDING)
    asked = len(world.asked)
    assert investigation.blame(FINDING).pairs == first.pairs != []
    assert len(world.asked) == asked


def test_the_time_limit_ends_it_with_what_is_known() -> None:
    found = World(keras_at_least("3.5.0")).blame(ends_sec=0.0)
    assert (found.outcome, found.reason) == ("time", "the rest is open; a higher --limit goes on")


@pytest.mark.parametrize("asked", range(4, 11))
def test_the_time_may_be_up_before_any_answer(asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while releases are probed: those that were are told."""
    world = World(keras_at_least("3.5.0"))
    clock = SimpleNamespace(monotonic=lambda: float(len(world.asked)))
    monkeypatch.setattr(asking_module, "time", clock)
    found = world.blame(ends_sec=asked - 0.5)
    assert "the rest is open" in found.reason
    assert len(world.asked) == asked
    assert all(release.detail for release in found.releases)
