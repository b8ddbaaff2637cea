"""What an upgrade changes beside the cells: arithmetic, claims, speed and saved models; sections of its
report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.report.text import NOTHING, code, count, folded, more, plain, significant, table
from bench.report.upgrade.words import MOST_ROWS, named
from bench.results.saved_models import FORMATS
from bench.results.timings import Timings, Workload
from bench.theory.claim import ClaimResult
from bench.verdict import speed
from bench.verdict.conclusion import Conclusion
from bench.verdict.contrast import CheckContrast, ClaimContrast, Wrong
from bench.verdict.saving import Outcome, SavingJudgement

T = TypeVar("T", CheckContrast, ClaimContrast)

#: Characters of a piece of evidence.
MOST_EVIDENCE = 300

_WRONG = {
    Wrong.NEW: "Wrong in NEW alone",
    Wrong.BOTH: "Wrong in both: known, and no change",
    Wrong.OLD: "Wrong in OLD, and not in NEW",
}


def checks_section(upgrade: Conclusion, *, brief: bool) -> list[str]:
    """Arithmetic against independent truth on each side; none if no check was planned."""
    old, new = upgrade.both[0], upgrade.run
    if not new.plan.checks:
        return []
    both = [
        (old.checks[c], new.checks[c])
        for c in new.plan.checks
        if c in old.checks.keys() & new.checks.keys()
    ]
    same = sum(a.digest == b.digest and a.compared > 0 and b.compared > 0 for a, b in both)
    hold = sum(not a.fails and not b.fails and not (a.absent or b.absent) for a, b in both)
    lacking = sum(bool(a.absent or b.absent) for a, b in both)
    text = (
        f"Of {count(len(new.plan.checks), 'check')} of TensorFlow's arithmetic against formulas in "
        f"float64, exact invariants and promised distributions, {len(both)} ran on both sides: {hold} "
        f"hold on both, {same} gave the same bits."
    )
    if lacking:
        text += f" {count(lacking, 'check')} found nothing to check on a side."
    return [
        "## Arithmetic",
        text,
        *_contrasts(upgrade.checks, _check_line, "check", brief=brief),
    ]


def claims_section(upgrade: Conclusion, *, brief: bool) -> list[str]:
    """Claims of theory that do not hold on a side; none if all hold, or none applies."""
    if not upgrade.claims:
        return []
    said = {r.claim: r.statement for c in upgrade.claims for r in (c.old, c.new) if r is not None}
    statements = "\n".join(f"- {code(name)}: {plain(text, 400)}" for name, text in said.items())
    return [
        "## Claims",
        "What theory says of any TensorFlow does not hold on a side:",
        statements,
        *_contrasts(upgrade.claims, _claim_line, "cell", brief=brief),
    ]


def speed_section(upgrade: Conclusion) -> list[str]:
    """Ratios of time with their intervals; none if nothing was timed."""
    timings = upgrade.timings
    if not timings:
        return []
    rows = [_speed_row(upgrade, each) for each in timings]
    parts = ["## Speed", table(_SPEED, rows, "lrrrrrl")]
    crashes = [
        f"- {plain(workload.title)}: the process of {side.upper()} ended: {plain(crash.message)}"
        for workload, sides in upgrade.stopped.items()
        for side, crash in sides.items()
    ]
    parts.append("\n".join(crashes))
    if upgrade.speeds:
        parts.append(_speed_notes())
    return parts


def speed_words(workload: Workload, found: speed.Speed) -> str:
    """One line: the ratio, its interval, the noise floor and what remains possible."""
    text = f"{workload.title}: {found.name}: "
    text += found.reason if found.verdict == "undecided" else f"time {found.ratio}"
    restarts = f"{count(found.restarts, 'restart')} of each side"
    return f"{text}; one side against itself {found.floor}; {restarts}"


def claim_name(contrast: ClaimContrast) -> str:
    """Of the claim that does not hold."""
    return next(result.claim for result in (contrast.new, contrast.old) if result is not None)


def savings_section(upgrade: Conclusion, *, brief: bool) -> list[str]:
    """What NEW makes of the models that OLD saved; none if none was."""
    found = sorted(upgrade.savings, key=lambda saving: list(Outcome).index(saving.outcome))
    if not found:
        return []
    rows = [_saving_row(saving) for saving in found]
    shown = rows[:MOST_ROWS] if brief else rows
    rest = len(rows) - len(shown)
    return [
        "## Saved models",
        "OLD saved a model in each format, and NEW loaded it; outputs are the same if they lie within "
        "what rounding explains of a forward pass in float64 with the saved weights.",
        table(("model", "format", "outcome", "why"), shown, "llll"),
        f"And {more(rest, 'file')}." if rest else "",
    ]


_SPEED = (
    "workload",
    "OLD (ms/step)",
    "NEW (ms/step)",
    "change of time",
    "noise floor: one side against itself",
    "restarts",
    "conclusion",
)


def _speed_row(upgrade: Conclusion, timings: Timings) -> list[str]:
    title = plain(timings.workload.title)
    found = upgrade.speeds.get(timings.workload)
    if found is None:
        why = "a process crashed" if timings.crashes else "not measured"
        return [title, *[NOTHING] * 4, "0", why]
    steps = [
        significant(1000 * seconds / timings.steps) if timings.steps else NOTHING
        for seconds in found.seconds
    ]
    verdict = f"**{found.name}**" if found.verdict == "slower" else found.name
    if found.verdict == "undecided":
        verdict += f": {plain(found.reason)}"
    if timings.crashes:
        verdict += "; given up, as a process crashed"
    return [title, *steps, str(found.ratio), str(found.floor), str(found.restarts), verdict]


def _speed_notes() -> str:
    return (
        "Bursts of steps of OLD and NEW alternated on the same machine; positive changes are slower. "
        "All of these intervals hold what is true with probability "
        f"{100 * (1 - speed.ALPHA):.0f} %. A change of less than {100 * speed.MARGIN:.0f} % does not "
        "matter; where noise forbids to say that much, a wider margin is named. 'Not slower' leaves "
        "open whether NEW is faster."
    )


def _saving_row(saving: SavingJudgement) -> list[str]:
    outcome = saving.outcome.value
    known = FORMATS.get(saving.format)
    return [
        plain(saving.model),
        plain(known.title if known is not None else saving.format),
        f"**{outcome}**" if saving.outcome.fails else outcome,
        plain(saving.reason, MOST_EVIDENCE) or NOTHING,
    ]


def _contrasts(
    found: Sequence[T], line: Callable[[T], str], noun: str, *, brief: bool
) -> list[str]:
    """Lists of what is wrong, by side; in full reports all, behind a title where they are many."""
    parts = []
    for wrong in Wrong:
        lines = [line(contrast) for contrast in found if contrast.wrong is wrong]
        if not lines:
            continue
        parts.append(f"**{_WRONG[wrong]}** ({count(len(lines), noun)}):")
        rest = lines[MOST_ROWS:]
        if rest and brief:
            lines[MOST_ROWS:] = [f"- and {more(len(rest), noun)}"]
            rest = []
        parts.append("\n".join(lines[: MOST_ROWS + 1] if brief else lines[:MOST_ROWS]))
        if rest:
            parts.append(folded(more(len(rest), noun), "\n".join(rest)))
    return parts


def _check_line(contrast: CheckContrast) -> str:
    told = []
    for side, result in (("OLD", contrast.old), ("NEW", contrast.new)):
        if result is None:
            told.append(f"{side}: did not run")
        elif result.fails:
            told.append(f"{side}: {plain(result.reason, MOST_EVIDENCE)}")
        elif result.absent:
            told.append(f"{side}: {plain(result.absent, MOST_EVIDENCE)}")
        else:
            told.append(f"{side}: holds")
    one, other = contrast.old, contrast.new
    if one is not None and other is not None and one.reason == other.reason:
        told = [f"both: {plain(other.reason, MOST_EVIDENCE)}"]
    return f"- {code(contrast.check.id)}: {'; '.join(told)}"


def _claim_line(contrast: ClaimContrast) -> str:
    old, new = (_evidence(result) for result in (contrast.old, contrast.new))
    told = f"both: {old}" if old == new else f"OLD: {old}; NEW: {new}"
    return f"- {code(named(contrast.item))}, {code(claim_name(contrast))}: {told}"


def _evidence(result: ClaimResult | None) -> str:
    if result is None:
        return "not checked"
    held = "holds" if result.holds else "does not hold"
    return f"{held} ({plain(result.evidence, MOST_EVIDENCE)})"
