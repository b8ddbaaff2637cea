"""Bisection of one package: its releases from OLD's to NEW's version, in an environment in which all
else stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from packaging.version import Version

from bench.environments.exchange import KERAS_3, THREE, Installed, side_with
from bench.environments.prepare import Built
from bench.environments.releases import Chain
from bench.environments.requirements import LEGACY_VARIABLE, TENSORFLOWS, Side
from bench.errors import BenchError
from bench.jobs.asking import Asking, OutOfTimeError, State, Trial
from bench.results.blame import Blame, Pair, Release
from bench.search.bisection import Bisection, Change, Outcome, Seen, bisect


@dataclass(frozen=True, kw_only=True)
class Package:
    """What is searched."""

    name: str
    """Of the distribution."""
    old: str
    new: str


class ReleaseSearch:
    """The search of one package for one finding.

    Args:
        trial: the finding.
        package: whose releases are searched.
        end: the environment that shows the finding, with the new version of the package.
        variables: that were asked for there.
        asking: environments.

    Raises:
        BenchError: the index does not know the package.
    """

    def __init__(
        self,
        trial: Trial,
        package: Package,
        end: Built,
        variables: Mapping[str, str],
        asking: Asking,
    ) -> None:
        self._trial = trial
        self._name = package.name
        self._end = end
        self._variables = dict(variables)
        self._base = Installed(lock=end.lock, variables=self._variables)
        self._asking = asking
        chain = asking.workshop.chain(package.name, package.old, package.new)
        self._chain = _one_legacy_keras(chain, self._base)
        self._asked: dict[int, list[State]] = {}
        #: Environments of the pair that was found.
        self.neighbours: list[Built] = []

    def run(self, known: Blame, *, every: bool) -> Blame:
        """What is known of the finding, with the releases that were probed and the pair they end with.

        Args:
            known: of the finding so far.
            every: probe every release.
        """
        late = ""
        try:
            found = bisect(len(self._chain.releases), self._probe, every=every)
        except OutOfTimeError as error:
            found, late = Bisection(outcome=Outcome.NOT_SHOWN), error.message
        known = msgspec.structs.replace(
            known,
            package=self._name,
            skipped=self._chain.skipped,
            releases=[
                Release(
                    version=self._chain.releases[position],
                    seen=self._trial.seen(turns[0]).value,
                    detail=turns[0].detail,
                )
                for position, turns in sorted(self._asked.items())
            ],
        )
        if late:
            return msgspec.structs.replace(known, outcome="time", reason=late)
        known = msgspec.structs.replace(
            known,
            outcome=found.outcome.value,
            reason=self._no_pair(found),
            pairs=[self._pair(change) for change in found.changes],
        )
        if not found.changes:
            return known
        first = found.changes[0]
        self.neighbours = self._ends(first)
        return msgspec.structs.replace(
            known,
            locks=[built.lock for built in self.neighbours],
            changelog=self._asking.workshop.changelog(self.neighbours[1], self._name),
        )

    def _probe(self, position: int) -> Seen:
        turns = self._asked.get(position, [])
        built = self._environment(position)
        state = self._asking.state(self._trial.finding, built, len(turns))
        self._asked[position] = [*turns, state]  # not before: time may be up
        seen = self._trial.seen(state)
        release = f"{self._name} {self._chain.releases[position]}"
        self._asking.say(f"{self._trial.finding.name}: {release}: {seen.value}")
        return seen

    def _environment(self, position: int) -> Built | BenchError:
        if position == len(self._chain.releases) - 1:
            return self._end
        return self._asking.environment(self._side(position))

    def _side(self, position: int) -> Side:
        tensorflow = self._base.tensorflow
        pinned = {} if self._name in TENSORFLOWS else {tensorflow: self._base.versions[tensorflow]}
        pinned[self._name] = self._chain.releases[position]
        packages = [f"{name}=={version}" for name, version in pinned.items()]
        return side_with(self._base, packages, self._variables)

    def _ends(self, change: Change) -> list[Built]:
        """The environments of a pair, which were both asked."""
        pair = [self._environment(position) for position in (change.before, change.after)]
        return [built for built in pair if isinstance(built, Built)]

    def _pair(self, change: Change) -> Pair:
        gap = range(change.before + 1, change.after)
        releases = self._chain.releases
        return Pair(
            before=releases[change.before],
            after=releases[change.after],
            comes=change.comes,
            between={releases[i]: self._asked[i][0].detail for i in gap},
            drift=_drift(*self._ends(change), name=self._name),
        )

    def _no_pair(self, found: Bisection) -> str:
        """Why a search names no pair of releases; empty if it does."""
        releases, name = self._chain.releases, self._name
        if found.outcome is Outcome.FLAKY and found.flaky is not None:
            return f"{name} {releases[found.flaky]} shows it in one run and not in another"
        if found.outcome is Outcome.UNTESTABLE:
            ends = (0, len(releases) - 1)
            states = {i: self._asked[i][0] for i in ends}
            return "; ".join(
                f"{name} {releases[i]}: {state.detail}"
                for i, state in states.items()
                if self._trial.seen(state) is Seen.UNTESTABLE
            )
        if found.outcome is Outcome.THERE_BEFORE:
            return f"{name} {releases[0]} shows it already, with all else as on the new side"
        if found.outcome is Outcome.NOT_SHOWN:
            return f"{name} {releases[-1]} does not show it"
        return ""


def _one_legacy_keras(chain: Chain, base: Installed) -> Chain:
    """A chain in which Keras 2 stands once: on newer TensorFlow, tf-keras stands for all of it."""
    tensorflow = Version(base.versions[base.tensorflow])
    if chain.package != "keras" or tensorflow < KERAS_3:
        return chain
    ends = (chain.releases[0], chain.releases[-1])
    two = [v for v in chain.releases if Version(v) < THREE and v not in ends]
    why = f"Keras 2 on TensorFlow {tensorflow} is tf-keras, whichever release of Keras it was"
    return msgspec.structs.replace(
        chain,
        releases=[version for version in chain.releases if version not in two],
        skipped={**chain.skipped, **dict.fromkeys(two, why)},
    )


def _drift(before: Built, after: Built, *, name: str) -> list[str]:
    """What differs between two environments beside the package."""
    one, other = (Installed(lock=built.lock).versions for built in (before, after))
    texts = [
        f"{each} {one.get(each, 'none')} -> {other.get(each, 'none')}"
        for each in sorted(one.keys() | other.keys())
        if one.get(each) != other.get(each) and each != name
    ]
    legacy = [built.variables.get(LEGACY_VARIABLE, "unset") for built in (before, after)]
    return [*texts, f"{LEGACY_VARIABLE} {' -> '.join(legacy)}"] if len({*legacy}) > 1 else texts
