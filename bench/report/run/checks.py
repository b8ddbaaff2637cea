"""What checks against independent truth say: one line, a table by family, and who is out."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.document import Block, Bullets, Section, Table, limited_list
from bench.report.markup import code, strong
from bench.report.text import (
    MOST_ROWS,
    NOTHING,
    clipped,
    count,
    grouped,
    significant,
    some_of,
    verb,
)
from bench.results.check import FAMILIES, CheckResult
from bench.results.run import StoredRun

TITLE = "TensorFlow's arithmetic"
_HEADERS = (
    "family",
    "checks",
    "hold",
    "fail",
    "nothing here",
    "not run",
    "tensors compared",
    "closest to its bound",
)
_NOTE = (
    "Each tensor that TensorFlow computed is compared with a float64 formula, an exact invariant or a "
    "promised distribution. The bound on its error is derived from the rounding of that very "
    "computation; the last column is the largest share of a bound that any tensor used up (at most 1 "
    "holds; a tiny number that was flushed to 0 uses all of its bound)."
)


def checks_answer(run: StoredRun) -> str:
    """All checks in one line of inline text; empty if none was planned."""
    planned, results = run.plan.checks, run.results
    if not planned:
        return ""
    failing = sum(result.fails for result in results)
    absent = sum(bool(result.absent) for result in results)
    compared = f"{count(sum(result.compared for result in results), 'tensor')} compared"
    if absent:
        compared += f", {count(absent, 'check')} with nothing to compare here"
    checks = count(len(planned), "check")
    if failing:
        fail = verb(failing, "fails", "fail")
        text = f"{failing} of {checks} against independent truth {fail}"
    elif len(results) < len(planned):
        text = f"Incomplete: {len(planned) - len(results)} of {checks} did not run"
    else:
        held = len(planned) - absent
        hold = verb(held, "holds", "hold")
        text = f"{count(held, 'check')} against independent truth {hold}"
    return f"{strong(text)}: {compared}."


def checks_section(run: StoredRun) -> Section | None:
    """Checks by family, and those that fail; None if no check was planned."""
    if not run.plan.checks:
        return None
    failing = [
        f"{code(result.check.id)}: {clipped(result.reason)}"
        for result in run.results
        if result.fails
    ]
    absent = grouped((r.absent, code(r.check.id)) for r in run.results if r.absent)
    present = {check.family for check in run.plan.checks}
    rows = [_family(run, family) for family in FAMILIES if family in present]
    return Section(
        TITLE,
        [
            _NOTE,
            checks_answer(run),
            *limited_list(failing, "check"),
            Table(_HEADERS, rows, "lrrrrrrl"),
            Bullets([f"{clipped(why)}: {', '.join(ids)}" for why, ids in absent.items()]),
        ],
    )


def _family(run: StoredRun, family: str) -> list[str]:
    planned = [check for check in run.plan.checks if check.family == family]
    results = [result for result in run.results if result.check.family == family]
    failing = sum(result.fails for result in results)
    absent = sum(bool(result.absent) for result in results)
    return [
        family,
        str(len(planned)),
        str(len(results) - failing - absent),
        strong(str(failing)) if failing else "0",
        str(absent),
        str(len(planned) - len(results)),
        f"{sum(result.compared for result in results):,}",
        _closest(results),
    ]


def _closest(results: Sequence[CheckResult]) -> str:
    known = [(result.closest, result) for result in results if result.closest is not None]
    if not known:
        return NOTHING
    closest, result = max(known, key=lambda pair: pair[0].used)
    used = "out" if closest.excess is None else significant(closest.excess, 3)
    return f"{used}: {code(result.check.subject)}, {clipped(closest.tensor, 100)}"


def compared_checks(before: StoredRun, after: StoredRun) -> Section | None:
    """Two runs' checks side by side: counts, then those whose outcome differs, then those whose bits
    differ. None if no check ran in both."""
    pairs = [
        (before.checks[check], result)
        for check, result in after.checks.items()
        if check in before.checks
    ]
    if not pairs:
        return None
    same = sum(a.digest == b.digest and b.compared > 0 for a, b in pairs)
    rows = [
        [code(b.check.id), _outcome(a), _outcome(b)]
        for a, b in pairs
        if (a.fails, a.absent) != (b.fails, b.absent) or a.fails
    ]
    other_bits = [
        b.check.id for a, b in pairs if a.digest != b.digest and not (a.absent or b.absent)
    ]
    blocks: list[Block | None] = [
        f"Of {count(len(pairs), 'check')} that ran in both, {same} gave the same bits.",
        Table(("check", "A", "B"), rows, "lll") if rows else None,
        f"Other bits: {some_of(other_bits, 'check', MOST_ROWS)}." if other_bits else None,
    ]
    return Section(TITLE, blocks)


def _outcome(result: CheckResult) -> str:
    if result.absent:
        return f"absent: {clipped(result.absent)}"
    return f"{strong('fails')}: {clipped(result.reason)}" if result.fails else "holds"
