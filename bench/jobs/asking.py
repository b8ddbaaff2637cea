"""Asking environments what findings show: each is built once, and asked about all findings at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from bench.environments.prepare import Built
from bench.environments.releases import Chain
from bench.environments.requirements import Side
from bench.errors import BenchError
from bench.jobs.findings import Finding
from bench.search.bisection import Seen


class State(NamedTuple):
    """What a finding shows in an environment."""

    name: str
    """``right``, ``changed`` ...: two environments show the same if these are equal. Empty: it cannot
    be told."""
    detail: str = ""
    """One line, with numbers."""


#: States of a cell that was trained to the end, and not as OLD trains it.
_OTHER_BITS = ("changed", "claim violated")


@dataclass(frozen=True)
class Trial:
    """A finding, and what it shows on either side."""

    finding: Finding
    old: State
    new: State

    @property
    def mended(self) -> bool:
        """Whether NEW is right, and OLD is not."""
        return self.new.name == "right"

    @property
    def rounding(self) -> bool:
        """Whether NEW differs by rounding alone: what is asked is whose bits an environment has."""
        return self.new.name == "rounding"

    def seen(self, state: State) -> Seen:
        """Whose state this is. What differs by rounding alone is as OLD, where NEW differs by more;
        what differs by more than rounding has other bits, where NEW differs by rounding alone; and
        what fails in whatever way is as OLD, where NEW is right."""
        if not state.name:
            return Seen.UNTESTABLE
        if state.name == self.new.name or (self.rounding and state.name in _OTHER_BITS):
            return Seen.CHANGED
        alike = self.mended or {state.name, self.old.name} <= {"identical", "rounding"}
        return Seen.SAME if state.name == self.old.name or alike else Seen.UNTESTABLE


class Prober(Protocol):
    """What findings show in an environment; :class:`bench.jobs.probing.Processes` is one."""

    @property
    def machine(self) -> Mapping[str, str]: ...

    def states(self, built: Built, turn: int) -> Mapping[Finding, State]: ...


class Workshop(Protocol):
    """Where environments and releases come from; :class:`bench.jobs.bisecting.Index` is one."""

    def build(self, side: Side) -> Built:
        """The environment of a side; BenchError if it cannot be had."""

    def chain(self, package: str, old: str, new: str) -> Chain:
        """Releases between two versions; BenchError if the index has none."""

    def changelog(self, built: Built, package: str) -> str:
        """The address where a package tells of its releases; empty if there is none."""


class OutOfTimeError(BenchError):
    """The time limit has passed."""


class Asking:
    """Environments that were built and asked so far.

    Args:
        prober: asks environments.
        workshop: builds them.
        say: receives a line about each answer.
        ends_sec: time on :func:`time.monotonic` after which nothing is begun; None: no limit.
    """

    def __init__(
        self,
        prober: Prober,
        workshop: Workshop,
        *,
        say: Callable[[str], None],
        ends_sec: float | None = None,
    ) -> None:
        self.prober = prober
        self.workshop = workshop
        self.say = say
        self._ends_sec = ends_sec
        self._environments: dict[bytes, Built | BenchError] = {}
        self._states: dict[tuple[str, bytes, int], Mapping[Finding, State]] = {}

    @property
    def count(self) -> int:
        """How many environments were asked, by what is installed and under which variables."""
        return len({key[:2] for key in self._states})

    def environment(self, side: Side) -> Built | BenchError:
        """The environment of a side, or why there is none.

        Raises:
            OutOfTimeError: it would have to be built.
        """
        key = msgspec.json.encode(side)
        if key not in self._environments:
            self._check_time()
            try:
                self._environments[key] = self.workshop.build(side)
            except BenchError as error:
                self._environments[key] = error
        return self._environments[key]

    def state(self, finding: Finding, built: Built | BenchError, turn: int = 0) -> State:
        """What a finding shows in an environment, run anew for each turn; nothing if there is none.

        Raises:
            OutOfTimeError: it would have to be run.
        """
        if isinstance(built, BenchError):
            return State("", one_line(built))
        key = built.key, msgspec.json.encode(built.variables, order="sorted"), turn
        if key not in self._states:
            self._check_time()
            self._states[key] = self.prober.states(built, turn)
        return self._states[key][finding]

    def _check_time(self) -> None:
        if self._ends_sec is not None and time.monotonic() > self._ends_sec:
            raise OutOfTimeError("the rest is open; a higher --limit goes on")


def one_line(error: BenchError) -> str:
    """A message without its line breaks."""
    return " ".join(error.message.split())[:400]
