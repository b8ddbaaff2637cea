"""Check: one comparison of a part of TensorFlow with independent truth, and what came of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from bench.results.bounds import Count, Name, NotNegative, Seconds, Seed, Text
from bench.results.kind import Crash, Kind, Outcome, Task

#: Families of checks of arithmetic, in the order of a computation: what each compares with what truth
#: stands in :mod:`bench.checks`.
ARITHMETIC = (
    "initializer",
    "activation",
    "normalization",
    "network",
    "clipping",
    "optimizer",
    "engine",
    "invariant",
)

#: Families of contracts of the training API (:mod:`bench.checks.contracts`).
CONTRACTS = (
    *(
        "loops",
        "execution",
        "feeding",
        "fitting",
        "models",
        "calls",
        "callbacks",
        "monitors",
        "logs",
        "saving",
        "configs",
        "settings",
    ),
    *("growth",),
    *("losses", "reductions", "metrics", "regularizers", "seeds"),
    *(
        "layers",
        "convolutions",
        "sequences",
        "recurrence",
        "masks",
        "merging",
        "shapes",
        "functions",
    ),
    *("preprocessing", "utilities", "mixed", "stress", "products"),
    *("training", "loss_scale", "sparse", "schedules"),
    *("tensors", "numbers", "algebra", "structures", "graphs", "draws", "nn"),
    *("pipelines", "records", "images"),
    *("ops", "augmentation"),
)

FAMILIES = (*ARITHMETIC, *CONTRACTS)

#: End of the reason why a contract does not apply that needs a package which TensorFlow does not bring:
#: whether it is there is a matter of the environment, and no change of what is documented.
NOT_INSTALLED = " is not installed"

#: Deviations of one check that are kept; the others are counted.
MOST_DEVIATIONS = 20


#: Cost of a check of arithmetic, of a contract, and of one of an operation. Measured on an Intel Xeon,
#: a core each: the 225 replicas of the quick tier, which cost 1.43e6 together, took 368 s, so a second
#: costs 3,900; its 333 checks of arithmetic took 150 s, .45 s each, and 840 contracts 164 s, .20 s
#: each. Later 601 contracts of operations took 19 s, .032 s each.
_ARITHMETIC_COST, _CONTRACT_COST, _OPERATION_COST = 1.7e3, 7.6e2, 1.2e2


class Check(Task, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check: a subject of a family, in a precision, with inputs drawn from a seed.

    Example:
        >>> Check(family="optimizer", subject="adam-clip:norm").id
        'optimizer:adam-clip:norm-precision:float32'
    """

    turns: ClassVar[tuple[int, int]] = (3, 3)

    family: Name
    subject: Name
    """Part that is checked, in the form of an id; :attr:`axes` reads it."""
    precision: Name = "float32"
    seed: Seed = 0

    @property
    def axes(self) -> dict[str, str]:
        """What the subject says; see :func:`subject_axes`."""
        return subject_axes(self.family, self.subject)

    @property
    def id(self) -> str:
        """``family:subject-precision:name``, and ``-seed:n`` unless it is 0; a contract has no
        precision."""
        precision = "" if self.is_contract else f"-precision:{self.precision}"
        seed = f"-seed:{self.seed}" if self.seed else ""
        return f"{self.family}:{self.subject}{precision}{seed}"

    @property
    def is_contract(self) -> bool:
        """Whether it tests a contract of the training API, not arithmetic."""
        return self.family in CONTRACTS

    @property
    def cost(self) -> float:
        if self.family == "ops":
            return _OPERATION_COST
        return _CONTRACT_COST if self.is_contract else _ARITHMETIC_COST

    def crashed(self, crash: Crash) -> CheckResult:
        return CheckResult(check=self, crash=crash)


def subject_axes(family: str, subject: str) -> dict[str, str]:
    """The values of a subject by axis; a first value without an axis is of the family's.

    Example:
        >>> subject_axes("optimizer", "adam-clip:norm")
        {'optimizer': 'adam', 'clip': 'norm'}
        >>> subject_axes("network", "depth:3-act:relu-bias:-0.5")
        {'depth': '3', 'act': 'relu', 'bias': '-0.5'}
    """
    first, *others = re.split("-(?=[a-z_]+:)", subject)
    texts = [first if ":" in first else f"{family}:{first}", *others]
    return {axis: value for axis, _, value in (text.partition(":") for text in texts)}


class Deviation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far one tensor is from the truth, at its worst entry."""

    tensor: Name
    """Name, such as ``layer 3, kernel gradient``."""
    excess: NotNegative | None
    """Error over its bound: above 1 is out. None stands for infinity: a NaN, or a bound of 0 missed."""
    ulps: NotNegative | None = None
    """Error in units in the last place of the true value; None where that has no meaning."""
    evidence: Text = ""
    """Value, expected value, bound and place, as text."""

    @property
    def out(self) -> bool:
        """Whether it is beyond what rounding explains."""
        return self.excess is None or not self.excess <= 1.0

    @property
    def size(self) -> str:
        """``, 16 units in the last place off, 812 times the bound``; empty where no number says it."""
        if self.excess is None:
            return ""
        ulps = "" if self.ulps is None else f", {self.ulps:.3g} units in the last place off"
        return f"{ulps}, {self.excess:.3g} times the bound"

    @property
    def used(self) -> float:
        """The share of its bound that it used up, as a number to compare."""
        return math.inf if self.excess is None else self.excess


class CheckResult(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Outcome of a check."""

    check: Check
    compared: Count = 0
    """Number of tensors, or statistics, that were compared."""
    closest: Deviation | None = None
    """The deviation that used up most of its bound."""
    deviations: Sequence[Deviation] = ()
    """Deviations that are out, in the order of the computation: the first is where it starts."""
    more: Count = 0
    """Number of further ones that are out."""
    digest: Name = ""
    """Digest of all numbers that TensorFlow gave."""
    known: Text = ""
    """Fault that this version is known to have here, so that what is out fails no run."""
    absent: Text = ""
    """Reason why this TensorFlow has nothing to check; then nothing was compared."""
    crash: Crash | None = None
    total_sec: Seconds = 0.0

    @property
    def key(self) -> Check:
        return self.check

    @property
    def alarm(self) -> tuple[str, str] | None:
        return super().alarm or (("out of bounds", self.reason) if self.fails else None)

    @property
    def fails(self) -> bool:
        """Whether it makes a run fail: something is wrong that is not known to be, or the other way
        round."""
        return self.wrong != bool(self.known)

    @property
    def wrong(self) -> bool:
        """Whether something is out, known or not. A check that compared nothing is wrong, unless there
        is nothing of the kind in this TensorFlow."""
        return bool(self.crash or self.deviations or not (self.compared or self.absent))

    @property
    def reason(self) -> str:
        """Reason why it is wrong, one line that a person can act on; empty if it is not."""
        if self.known and not self.wrong:
            return f"mended: remove the entry of this known fault: {self.known}"
        if self.crash is not None:
            return f"crashed: {self.crash.message}"
        if self.deviations:
            first = self.deviations[0]
            others = len(self.deviations) - 1 + self.more
            more = f"; and {others} more of {self.compared} tensors" if others else ""
            return f"{first.tensor}: {first.evidence}{first.size}{more}"
        return "" if self.compared or self.absent else "nothing was compared"


def result(check: Check, deviations: Iterable[Deviation]) -> CheckResult:
    """A check's result from one deviation per compared tensor, in the order of the computation."""
    compared = list(deviations)
    out = [deviation for deviation in compared if deviation.out]
    return CheckResult(
        check=check,
        compared=len(compared),
        closest=max(compared, key=lambda each: each.used, default=None),
        deviations=out[:MOST_DEVIATIONS],
        more=max(len(out) - MOST_DEVIATIONS, 0),
    )


CHECKS = Kind(Check, CheckResult, file="checks.jsonl", plural="checks", what="check's result")
