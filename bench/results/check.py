"""Check: one comparison of TensorFlow's arithmetic with independent truth, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from bench.results.jsonl import Lines
from bench.results.record import Crash

#: Kinds of checks, in the order of a computation: what each compares with what truth stands in
#: :mod:`bench.checks`.
FAMILIES = (
    "initializer",
    "activation",
    "normalization",
    "network",
    "clipping",
    "optimizer",
    "engine",
    "invariant",
)

#: Deviations of one check that are kept; the others are counted.
MOST_DEVIATIONS = 20


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check: a subject of a family, in a precision, with inputs drawn from a seed.

    Example:
        >>> Check(family="optimizer", subject="adam-clip:norm").id
        'optimizer:adam-clip:norm-precision:float32'
    """

    family: str
    subject: str
    """What is checked, in the form of an id; the family knows how to read it."""
    precision: str = "float32"
    seed: int = 0

    @property
    def id(self) -> str:
        """``family:subject-precision:name``, and ``-seed:n`` unless it is 0."""
        seed = f"-seed:{self.seed}" if self.seed else ""
        return f"{self.family}:{self.subject}-precision:{self.precision}{seed}"


class Deviation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far one tensor is from the truth, at its worst entry."""

    tensor: str
    """Such as ``layer 3, kernel gradient``."""
    excess: float | None
    """Error over its bound: above 1 is out. None stands for infinity: a NaN, or a bound of 0 missed."""
    ulps: float | None = None
    """Error in units in the last place of the true value; None where that has no meaning."""
    evidence: str = ""
    """Got, expected, bound and where, in words."""

    @property
    def out(self) -> bool:
        """Whether it is beyond what rounding explains."""
        return self.excess is None or not self.excess <= 1.0

    @property
    def used(self) -> float:
        """The share of its bound that it used up, as a number to compare."""
        return math.inf if self.excess is None else self.excess


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a check found."""

    check: Check
    compared: int = 0
    """Number of tensors, or statistics, that were compared."""
    closest: Deviation | None = None
    """Which of them used up most of its bound."""
    deviations: Sequence[Deviation] = ()
    """Those that are out, in the order of the computation: the first is where it starts."""
    more: int = 0
    """Further ones that are out."""
    digest: str = ""
    """Of all numbers that TensorFlow gave: equal digests on two versions mean equal bits."""
    absent: str = ""
    """Why this TensorFlow has nothing to check; then nothing was compared."""
    crash: Crash | None = None
    total_sec: float = 0.0

    @property
    def key(self) -> Check:
        """What makes a result: no run has two with one key."""
        return self.check

    @property
    def fails(self) -> bool:
        """Whether it makes a run fail. A check that compared nothing fails, unless there is nothing of
        the kind in this TensorFlow."""
        return bool(self.crash or self.deviations or not (self.compared or self.absent))

    @property
    def reason(self) -> str:
        """Why it fails, one line that a person can act on; empty if it does not."""
        if self.crash is not None:
            return f"crashed: {self.crash.message}"
        if self.deviations:
            first = self.deviations[0]
            others = len(self.deviations) - 1 + self.more
            used = "infinitely" if first.excess is None else f"{first.excess:.3g} times"
            ulps = "" if first.ulps is None else f", {first.ulps:.3g} units in the last place off"
            more = f"; and {others} more of {self.compared} tensors" if others else ""
            return f"{first.tensor}: {first.evidence}{ulps}, {used} the bound{more}"
        return "" if self.compared or self.absent else "nothing was compared"


def result(check: Check, deviations: Iterable[Deviation]) -> CheckResult:
    """A check's result from one deviation per compared tensor, in the order of the computation."""
    found = list(deviations)
    out = [deviation for deviation in found if deviation.out]
    return CheckResult(
        check=check,
        compared=len(found),
        closest=max(found, key=lambda each: each.used, default=None),
        deviations=out[:MOST_DEVIATIONS],
        more=max(len(out) - MOST_DEVIATIONS, 0),
    )


CHECK_LINES = Lines(CheckResult, "check's result")
