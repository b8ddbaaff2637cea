"""Causes: failing checks that are wrong for one reason, put together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bench.errors import count
from bench.report.text import clipped, grouped
from bench.results.check import CheckResult

#: Relative difference up to which a number is as exact as float32 can be after a few operations: its
#: unit roundoff 2^-24 (IEEE 754-2019, table 3.5), times the 16 roundings of a sum of as many terms.
_SINGLE = 2.0**-20
_NUMBERS = re.compile(r"got (\S+), expected (?:exactly )?(\S+?)(?: within| at|$)")


@dataclass(frozen=True)
class Cause:
    """Checks that are wrong for one reason."""

    number: str
    """How many of what, such as ``2 contracts of train_on_batch``."""
    why: str
    """The reason, which follows what became of them; may be empty."""
    results: tuple[CheckResult, ...]
    """At least one, in the order of the plan."""


def causes(results: Iterable[CheckResult]) -> list[Cause]:
    """Failing checks by cause, the largest first: what a version is known for, the message of a crash,
    numbers that are as exact as float32 where more was asked, a part that is checked."""
    found = grouped((_key(result), result) for result in results)
    listed = [_cause(key, each) for key, each in found.items()]
    return sorted(listed, key=lambda cause: -len(cause.results))


def numbers(evidence: str) -> tuple[str, str] | None:
    """What was got and what was expected, as the evidence of a deviation has them; None of a shape."""
    match = _NUMBERS.match(evidence)
    return (match[1], match[2]) if match else None


def _key(result: CheckResult) -> tuple[str, str]:
    if result.known:
        return "known", result.known
    if result.crash is not None:
        return "crash", re.sub(r"\d+", "#", result.crash.message)
    if result.deviations and all(_single(each.evidence) for each in result.deviations):
        return "single", ""
    head = re.split(r"[-:]", result.check.subject)[0]
    return result.check.family, head


def _single(evidence: str) -> bool:
    """Whether a number differs from what was expected, and by no more than float32 explains."""
    try:
        got, expected = map(float, numbers(evidence) or (0.0, 0.0))
    except ValueError:
        return False
    return 0 < abs(got - expected) <= _SINGLE * abs(expected)


def _cause(key: tuple[str, str], results: list[CheckResult]) -> Cause:
    kind, detail = key
    contracts = sum(result.check.is_contract for result in results)
    number = count(len(results), "contract" if contracts == len(results) else "check")
    why = ""
    if kind == "known":
        why = f", a known fault: {clipped(detail)}"
    elif kind == "crash":
        why = f", raised: {clipped(results[0].reason)}"
    elif kind == "single":
        why = ", off by less than 1e-6 of the value, as if computed in float32"
    else:
        number += f" of {detail}"
    return Cause(number, why, tuple(results))
