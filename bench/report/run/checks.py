"""What checks against independent truth say: one line, a table by family, and who is out."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.text import NOTHING, code, count, more, plain, significant, table
from bench.results.check import FAMILIES, CheckResult
from bench.results.run import StoredRun

#: Failing checks that are listed; the others are counted.
MOST_CHECKS = 20

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


def checks_answer(run: StoredRun, *, emphasis: str = "") -> str:
    """All checks in one line; empty if none was planned.

    Args:
        run: what was measured.
        emphasis: put around the answer proper, ``**`` for Markdown.
    """
    planned, results = run.plan.checks, run.results
    if not planned:
        return ""
    failing = sum(result.fails for result in results)
    absent = sum(bool(result.absent) for result in results)
    tensors = sum(result.compared for result in results)
    compared = f"{count(tensors, 'tensor')} compared"
    if absent:
        compared += f", {count(absent, 'check')} with nothing to compare here"
    if failing:
        verb = "fails" if failing == 1 else "fail"
        text = f"{failing} of {count(len(planned), 'check')} against independent truth {verb}"
    elif len(results) < len(planned):
        gone = len(planned) - len(results)
        text = f"Incomplete: {gone} of {count(len(planned), 'check')} did not run"
    else:
        held = len(planned) - absent
        text = (
            f"{count(held, 'check')} against independent truth {'hold' if held != 1 else 'holds'}"
        )
    return f"{emphasis}{text}{emphasis}: {compared}."


def failing_lines(run: StoredRun) -> list[str]:
    """``id: reason`` of each failing check."""
    return [f"{result.check.id}: {result.reason}" for result in run.results if result.fails]


def checks_section(run: StoredRun) -> list[str]:
    """Paragraphs of Markdown; none if no check was planned."""
    if not run.plan.checks:
        return []
    failing = [result for result in run.results if result.fails]
    lines = [f"- {code(result.check.id)}: {plain(result.reason)}" for result in failing]
    if len(lines) > MOST_CHECKS:
        lines[MOST_CHECKS:] = [f"- and {more(len(lines) - MOST_CHECKS, 'check')}"]
    absent: dict[str, list[str]] = {}
    for result in run.results:
        if result.absent:
            absent.setdefault(result.absent, []).append(code(result.check.id))
    return [
        "## TensorFlow's arithmetic",
        _NOTE,
        checks_answer(run, emphasis="**"),
        "\n".join(lines),
        table(_HEADERS, [_family(run, family) for family in _families(run)], "lrrrrrrl"),
        "\n".join(f"- {plain(why)}: {', '.join(ids)}" for why, ids in absent.items()),
    ]


def _families(run: StoredRun) -> list[str]:
    present = {check.family for check in run.plan.checks}
    return [family for family in FAMILIES if family in present]


def _family(run: StoredRun, family: str) -> list[str]:
    planned = [check for check in run.plan.checks if check.family == family]
    results = [result for result in run.results if result.check.family == family]
    failing = sum(result.fails for result in results)
    absent = sum(bool(result.absent) for result in results)
    return [
        family,
        str(len(planned)),
        str(len(results) - failing - absent),
        f"**{failing}**" if failing else "0",
        str(absent),
        str(len(planned) - len(results)),
        f"{sum(result.compared for result in results):,}",
        _closest(results),
    ]


def _closest(results: Sequence[CheckResult]) -> str:
    found = [(result.closest, result) for result in results if result.closest is not None]
    if not found:
        return NOTHING
    closest, result = max(found, key=lambda pair: pair[0].used)
    used = "out" if closest.excess is None else significant(closest.excess, 3)
    return f"{used}: {code(result.check.subject)}, {plain(closest.tensor, 100)}"


def compared_checks(before: StoredRun, after: StoredRun) -> list[str]:
    """Two runs' checks side by side, as paragraphs of Markdown: counts, then those whose outcome
    differs, then those whose bits differ. None if no check ran in both."""
    pairs = [
        (before.checks[check], result)
        for check, result in after.checks.items()
        if check in before.checks
    ]
    if not pairs:
        return []
    same = sum(a.digest == b.digest and b.compared > 0 for a, b in pairs)
    rows = [
        [code(b.check.id), _outcome(a), _outcome(b)]
        for a, b in pairs
        if (a.fails, a.absent) != (b.fails, b.absent) or a.fails
    ]
    other_bits = [
        b.check.id for a, b in pairs if a.digest != b.digest and not (a.absent or b.absent)
    ]
    listed = ", ".join(code(id_) for id_ in other_bits[:MOST_CHECKS])
    if len(other_bits) > MOST_CHECKS:
        listed += f" and {more(len(other_bits) - MOST_CHECKS, 'check')}"
    return [
        "## TensorFlow's arithmetic",
        f"Of {count(len(pairs), 'check')} that ran in both, {same} gave the same bits.",
        table(("check", "A", "B"), rows, "lll") if rows else "",
        f"Other bits: {listed}." if other_bits else "",
    ]


def _outcome(result: CheckResult) -> str:
    if result.absent:
        return f"absent: {plain(result.absent)}"
    return f"**fails**: {plain(result.reason)}" if result.fails else "holds"
