"""Blame: which package, which release, and what to do about a finding.

The searches are :mod:`bench.search`'s; here they get environments to ask. Attribution exchanges what
the sides differ in. The package that it blames is then exchanged for its releases, in the smallest
environment that shows the finding: all that the cause does not need is as in OLD.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from bench.environments.exchange import (
    Installed,
    Part,
    between,
    differences,
    grouped,
    tensorflow_alone,
)
from bench.environments.prepare import Built
from bench.errors import BenchError
from bench.jobs.asking import Asking, OutOfTimeError, State, Trial
from bench.jobs.findings import Finding
from bench.jobs.release_search import Package, ReleaseSearch
from bench.jobs.remedies import remedies
from bench.results.blame import Blame, Cause, Since
from bench.search.bisection import Outcome, Seen
from bench.search.delta import Cause as Causing
from bench.search.delta import attribute


class Investigation:
    """Two environments, and findings that are asked about one by one.

    Args:
        old: the one.
        new: the other.
        variables: that were asked for on either side.
        asking: asks environments between them.
    """

    def __init__(
        self, old: Built, new: Built, *, variables: Sequence[Mapping[str, str]], asking: Asking
    ) -> None:
        self._built = old, new
        self._old, self._new = (
            Installed(lock=built.lock, variables=dict(asked))
            for built, asked in zip((old, new), variables, strict=True)
        )
        self._asking = asking
        #: Environments of the last pair that was found; of OLD and NEW without one.
        self.neighbours = [old, new]

    def blame(self, finding: Finding, *, over: str = "", every: bool = False) -> Blame:
        """All that can be found out of a finding.

        Args:
            finding: what it is about.
            over: the package whose releases are searched; empty: the one that attribution blames.
            every: probe every release.

        Raises:
            BenchError: ``over`` is the same on both sides, or on neither; the index does not know it.
        """
        begin = time.monotonic()
        self.neighbours = list(self._built)
        known = Blame(
            finding=finding.name,
            outcome=Outcome.NOT_SHOWN.value,
            locks=[built.lock for built in self._built],
        )
        parts = differences(self._old, self._new)
        known = msgspec.structs.replace(known, differences=[part.label for part in parts])
        chosen = [part for part in parts if over in (part.name, _distribution(part))]
        if over and not chosen:
            raise BenchError(
                f"{over} is the same on both sides, or on neither: there is nothing to bisect",
                hint=f"what differs: {', '.join(part.label for part in parts) or 'nothing'}",
            )
        try:
            known = self._ask(finding, parts, chosen, known, every=every)
        except _Ended as ended:
            known = ended.known
        return msgspec.structs.replace(
            known,
            environments=self._asking.count,
            machine=dict(self._asking.prober.machine),
            total_sec=time.monotonic() - begin,
        )

    def _ask(
        self,
        finding: Finding,
        parts: Sequence[Part],
        chosen: Sequence[Part],
        known: Blame,
        *,
        every: bool,
    ) -> Blame:
        if not parts:
            raise _Ended(known, "same", "both sides have the same packages and variables")
        try:
            trial, known = self._trial(finding, known)
            causes: Sequence[Causing[Part]] = [Causing(chosen)]
            if not chosen:
                parts = self._grouped(parts)
                known, causes = self._attributed(trial, parts, known)
            known = self._bisected(trial, parts, causes[0], known, every=every)
            for cause in causes[1:]:
                known = self._also(trial, parts, cause, known, every=every)
            found = remedies(trial, known, self._built[1], self._new.variables, self._asking)
            return msgspec.structs.replace(known, remedies=found)
        except OutOfTimeError as error:
            outcome = known.outcome if known.pairs else "time"
            return msgspec.structs.replace(known, outcome=outcome, reason=error.message)

    def _trial(self, finding: Finding, known: Blame) -> tuple[Trial, Blame]:
        """What the finding shows on either side; it must be told apart."""
        old, new = (
            self._surely(finding, name, built, known)
            for name, built in zip(("OLD", "NEW"), self._built, strict=True)
        )
        known = msgspec.structs.replace(known, old=old.detail, new=new.detail)
        for state, name in ((old, "OLD"), (new, "NEW")):
            if not state.name:
                raise _Ended(known, Outcome.UNTESTABLE.value, f"{name}: {state.detail}")
        if old.name == new.name:
            why = f"it does not reproduce: {old.name} on both sides"
            raise _Ended(known, Outcome.NOT_SHOWN.value, why)
        trial = Trial(finding, old, new)
        known = msgspec.structs.replace(known, mended=trial.mended, rounding=trial.rounding)
        return trial, known

    def _surely(self, finding: Finding, name: str, built: Built, known: Blame) -> State:
        """What two runs of a finding agree on."""
        one, other = (self._asking.state(finding, built, turn) for turn in (0, 1))
        if one.name != other.name:
            words = [state.name or "nothing" for state in (one, other)]
            why = f"{name} shows {words[0]}, and run again {words[1]}"
            raise _Ended(known, Outcome.FLAKY.value, why)
        return one

    def _attributed(
        self, trial: Trial, parts: Sequence[Part], known: Blame
    ) -> tuple[Blame, Sequence[Causing[Part]]]:
        """The causes, as the blame tells them and as they are."""

        def test(chosen: frozenset[Part]) -> Seen:
            if len(chosen) in (0, len(parts)):  # asked already
                return Seen.CHANGED if chosen else Seen.SAME
            labels = ", ".join(part.label for part in parts if part in chosen)
            built = self._asking.environment(between(self._old, self._new, parts, chosen))
            seen = trial.seen(self._asking.state(trial.finding, built))
            self._asking.say(f"{trial.finding.name}: OLD with {labels}: {seen.value}")
            return seen

        found = attribute(parts, test)
        causes = [
            Cause(
                parts=[part.label for part in cause.parts],
                together=[part.label for part in cause.together],
                inseparable=[part.label for part in cause.inseparable],
            )
            for cause in found.causes
        ]
        known = msgspec.structs.replace(
            known,
            outcome="attributed",
            causes=causes,
            differences=[part.label for part in parts],
        )
        return known, found.causes

    def _grouped(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Differences that can be told apart: what TensorFlow drags along is part of it."""
        side = tensorflow_alone(self._old, parts)
        if side is None or len(parts) == 1:
            return parts
        built = self._asking.environment(side)
        if isinstance(built, BenchError):
            return parts
        return grouped(self._old, parts, Installed(lock=built.lock))

    def _bisected(
        self,
        trial: Trial,
        parts: Sequence[Part],
        cause: Causing[Part],
        known: Blame,
        *,
        every: bool,
    ) -> Blame:
        """The pair of releases of the first package of a cause."""
        package = next((part for part in cause.parts if not part.variable), None)
        if package is None:
            return msgspec.structs.replace(known, reason="a variable, which has no releases")
        end, variables = self._built[1], self._new.variables
        needed = [*cause.parts, *cause.together, *cause.inseparable]
        if known.causes and len(needed) < len(parts):
            side = between(self._old, self._new, parts, needed)
            smallest = self._asking.environment(side)
            if isinstance(smallest, Built):
                end, variables = smallest, side.variables
        search = ReleaseSearch(
            trial,
            Package(
                name=_distribution(package),
                old=package.old.partition("==")[2],
                new=package.new.partition("==")[2],
            ),
            end,
            variables,
            self._asking,
        )
        known = search.run(known, every=every)
        self.neighbours = search.neighbours or self.neighbours
        return known

    def _also(
        self,
        trial: Trial,
        parts: Sequence[Part],
        cause: Causing[Part],
        known: Blame,
        *,
        every: bool,
    ) -> Blame:
        """What is known, with the pair of releases of another cause; the environments of the first
        one's pair stay those that are told."""
        neighbours = self.neighbours
        blank = Blame(finding=known.finding, outcome=known.outcome, causes=known.causes)
        found = self._bisected(trial, parts, cause, blank, every=every)
        self.neighbours = neighbours
        if not found.package:  # a variable
            return known
        other = Since(
            package=found.package,
            outcome=found.outcome,
            reason=found.reason,
            pairs=found.pairs,
            changelog=found.changelog,
        )
        return msgspec.structs.replace(known, others=[*known.others, other])


class _Ended(Exception):  # noqa: N818 - no error: there is nothing to search
    def __init__(self, known: Blame, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.known = msgspec.structs.replace(known, outcome=outcome, reason=reason)


def _distribution(part: Part) -> str:
    """The distribution of a package, as NEW has it; the name of a variable."""
    return part.name if part.variable else part.new.partition("==")[0]
