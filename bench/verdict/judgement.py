"""Judgement: the verdict on one cell, with what it rests on."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import msgspec

from bench.results.plan import Item
from bench.theory.claim import ClaimResult


class Verdict(str, enum.Enum):
    """What is concluded. The order is the order of attention: what to look at first comes first."""

    CRASHED = "crashed"
    CLAIM_VIOLATED = "claim violated"
    REGRESSED = "regressed"
    CHANGED = "changed"
    MISSING = "missing"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"
    NEW = "new"
    IMPROVED = "improved"
    EQUIVALENT = "equivalent"
    ROUNDING = "rounding"
    IDENTICAL = "identical"

    @property
    def fails(self) -> bool:
        """Whether it makes a run fail (exit 1)."""
        return self in _FAILING


_FAILING = frozenset({Verdict.CRASHED, Verdict.CLAIM_VIOLATED, Verdict.REGRESSED, Verdict.CHANGED})
ATTENTION = tuple(Verdict)

#: Neither a pass nor a failure: nothing is concluded of these cells.
UNDECIDED = frozenset({Verdict.MISSING, Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE})
#: Trains to something else than what it is compared with.
CHANGED = frozenset({Verdict.REGRESSED, Verdict.CHANGED})
#: Trains to the same, or to something better.
PASSED = frozenset({Verdict.IMPROVED, Verdict.EQUIVALENT, Verdict.ROUNDING, Verdict.IDENTICAL})

#: What each verdict means, in one line.
MEANING: Mapping[Verdict, str] = {
    Verdict.CRASHED: "a process died or raised; fails",
    Verdict.CLAIM_VIOLATED: "against theory or publication, for any TensorFlow; fails",
    Verdict.REGRESSED: "worse by more than matters and than luck; fails",
    Verdict.CHANGED: "losses differ by more than rounding explains, or a metric that has no better "
    "direction by more than luck; fails",
    Verdict.MISSING: "was to be measured and was not",
    Verdict.INCONCLUSIVE: "undecided; the reason says what would decide, such as more seeds",
    Verdict.NOT_COMPARABLE: "measured on other terms, or a side has no result",
    Verdict.NEW: "nothing to compare with yet",
    Verdict.IMPROVED: "better by more than luck",
    Verdict.EQUIVALENT: "shown to differ by less than matters",
    Verdict.ROUNDING: "bits differ, by no more than rounding explains to the end of training",
    Verdict.IDENTICAL: "bit for bit: the digests of all that was computed are equal",
}


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one cell against its baseline."""

    metric: str
    baseline_mean: float | None
    mean: float | None
    change: float | None
    """On the metric's own scale: a difference, or a natural logarithm of a ratio."""
    p_value: float | None
    """Before correction; None where no test was possible."""
    adjusted_p: float | None
    """After Holm's correction over everything tested in the run."""
    verdict: Verdict
    """``regressed``, ``improved``, ``changed``, ``equivalent`` or ``inconclusive``."""
    reason: str


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """Where a difference begins: the first tensor that departs by more than rounding."""

    step: int
    """Before which step the tensor was looked at."""
    earlier: int | None
    """The look before that, at which nothing had departed; None at the start."""
    tensor: str
    distance: float | None
    """Relative, of the seed that is nearest; None stands for infinity."""
    allowed: float
    """What rounding explains."""


class EnvelopeTest(msgspec.Struct, frozen=True, kw_only=True):
    """How the differences between two trajectories stand to the cell's rounding envelope."""

    copies: int
    """Of all seeds together."""
    seeds: int
    steps: int
    """Over which losses were compared."""
    inside: bool
    """Nothing that was tested differs by more than rounding explains."""
    equal_until: int = 0
    """Before this step, and at no later one that was marked, all bits are equal under every seed; from
    there copies were moved."""
    late: bool = False
    """So many steps have equal bits before some differ that rounding is not why."""
    starts: int | None
    """First step, from 0, whose loss differs under any seed; None if none does."""
    first_step: int | None
    """First step outside, under the seed that strays least; None if that seed never is."""
    ratio: float
    """Largest difference over the envelope, under the seed that strays least."""
    worst_step: int
    """Where that is."""
    strays: int
    """Seeds that leave the envelope."""
    sharp_steps: int
    """Steps over which the envelope is narrower than seeds lie apart."""
    risk: float
    """Bound on the probability that rounding alone leaves it under every seed."""
    departure: Departure | None
    sensitivity: float | None = None
    """Relative change of a kernel's gradient that would have shown, in the least sharp layer; None
    where no fingerprint says."""
    decisive: bool = True
    """A tensor was compared that decides by itself; losses alone may be blunt after one step."""
    seen: tuple[str, ...] = ()
    """Metrics at the end that the copies have, too: what rounding does to them is known."""
    beyond: tuple[str, ...] = ()
    """Those that differ under every seed by more than matters and than any copy does."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one cell of one grid."""

    item: Item
    verdict: Verdict
    reason: str
    """One line that a person can act on."""
    rung: str
    """The evidence that decided: ``digest``, ``envelope``, ``distribution``, ``claim``,
    ``outcome``, ``absent`` (this TensorFlow has nothing to train it with), ``none``."""
    comparisons: Sequence[Comparison] = ()
    claims: Sequence[ClaimResult] = ()
    envelope: EnvelopeTest | None = None
    """Where it was tested: bits differ, and the run has copies of this cell."""
