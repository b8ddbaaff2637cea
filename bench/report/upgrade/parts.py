"""What an upgrade changes beside the cells: arithmetic, claims, speed and saved models; sections of its
report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.report.document import Block, Bullets, Section, Table, limited_list, limited_table
from bench.report.markup import code, strong
from bench.report.text import MOST_REASON, NOTHING, clipped, count, significant
from bench.results.saved_models import FORMATS
from bench.results.timings import Timings, Workload
from bench.theory.claim import ClaimResult
from bench.verdict import speed
from bench.verdict.conclusion import Conclusion
from bench.verdict.contrast import CheckContrast, ClaimContrast, Wrong
from bench.verdict.saving import Outcome, SavingJudgement

T = TypeVar("T", CheckContrast, ClaimContrast)

_WRONG = {
    Wrong.NEW: "Wrong in NEW alone",
    Wrong.BOTH: "Wrong in both: known, and no change",
    Wrong.OLD: "Wrong in OLD, and not in NEW",
}
_SPEED = (
    "workload",
    "OLD (ms/step)",
    "NEW (ms/step)",
    "change of time",
    "noise floor: one side against itself",
    "restarts",
    "conclusion",
)


def checks_section(upgrade: Conclusion, *, brief: bool) -> Section | None:
    """Arithmetic against independent truth on each side; None if no check was planned."""
    old, new = upgrade.both[0], upgrade.run
    if not new.plan.checks:
        return None
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
    return Section(
        "Arithmetic", [text, *_contrasts(upgrade.checks, _check_line, "check", brief=brief)]
    )


def claims_section(upgrade: Conclusion, *, brief: bool) -> Section | None:
    """Claims of theory that do not hold on a side; None if all hold, or none applies."""
    if not upgrade.claims:
        return None
    statements = {
        result.claim: f"{code(result.claim)}: {clipped(result.statement, MOST_REASON)}"
        for contrast in upgrade.claims
        for result in (contrast.old, contrast.new)
        if result is not None
    }
    return Section(
        "Claims",
        [
            "What theory says of any TensorFlow does not hold on a side:",
            Bullets(list(statements.values())),
            *_contrasts(upgrade.claims, _claim_line, "cell", brief=brief),
        ],
    )


def speed_section(upgrade: Conclusion) -> Section | None:
    """Ratios of time with their intervals; None if nothing was timed."""
    timings = upgrade.timings
    if not timings:
        return None
    crashes = [
        f"{workload.title}: the process of {side.upper()} ended: {clipped(crash.message)}"
        for workload, sides in upgrade.stopped.items()
        for side, crash in sides.items()
    ]
    table = Table(_SPEED, [_speed_row(upgrade, each) for each in timings], "lrrrrrl")
    return Section("Speed", [table, Bullets(crashes), _speed_notes() if upgrade.speeds else None])


def speed_text(workload: Workload, result: speed.Speed) -> str:
    """One line: the ratio, its interval, the noise floor and what remains possible."""
    text = f"{workload.title}: {result.name}: "
    text += result.reason if result.verdict == "undecided" else f"time {result.ratio}"
    restarts = f"{count(result.restarts, 'restart')} of each side"
    return f"{text}; one side against itself {result.floor}; {restarts}"


def claim_name(contrast: ClaimContrast) -> str:
    """The claim that does not hold."""
    return next(result.claim for result in (contrast.new, contrast.old) if result is not None)


def format_title(saving: SavingJudgement) -> str:
    """The format of a saved model; its name if this version does not know it."""
    known = FORMATS.get(saving.format)
    return known.title if known is not None else saving.format


def savings_section(upgrade: Conclusion, *, brief: bool) -> Section | None:
    """What NEW makes of the models that OLD saved; None if none was."""
    savings = sorted(upgrade.savings, key=lambda saving: list(Outcome).index(saving.outcome))
    if not savings:
        return None
    rows = [
        [
            saving.model,
            format_title(saving),
            strong(saving.outcome.value) if saving.outcome.fails else saving.outcome.value,
            clipped(saving.reason) or NOTHING,
        ]
        for saving in savings
    ]
    headers = ("model", "format", "outcome", "why")
    return Section(
        "Saved models",
        [
            "OLD saved a model in each format, and NEW loaded it; outputs are the same if they lie "
            "within what rounding explains of a forward pass in float64 with the saved weights.",
            *limited_table(headers, rows, "llll", "file", brief=brief),
        ],
    )


def _speed_row(upgrade: Conclusion, timings: Timings) -> list[str]:
    title = timings.workload.title
    result = upgrade.speeds.get(timings.workload)
    if result is None:
        why = "a process crashed" if timings.crashes else "not measured"
        return [title, *[NOTHING] * 4, "0", why]
    steps = [
        significant(1000 * seconds / timings.steps) if timings.steps else NOTHING
        for seconds in result.seconds
    ]
    verdict = strong(result.name) if result.verdict == "slower" else result.name
    if result.verdict == "undecided":
        verdict += f": {clipped(result.reason)}"
    if timings.crashes:
        verdict += "; given up, as a process crashed"
    return [title, *steps, str(result.ratio), str(result.floor), str(result.restarts), verdict]


def _speed_notes() -> str:
    return (
        "Bursts of steps of OLD and NEW alternated on the same machine; positive changes are slower. "
        "All of these intervals hold what is true with probability "
        f"{100 * (1 - speed.ALPHA):.0f} %. A change of less than {100 * speed.MARGIN:.0f} % does not "
        "matter; where noise forbids to say that much, a wider margin is named. 'Not slower' leaves "
        "open whether NEW is faster."
    )


def _contrasts(
    contrasts: Sequence[T], line: Callable[[T], str], noun: str, *, brief: bool
) -> list[Block]:
    """Lists of what is wrong, by side; in full reports all, behind a title where they are many."""
    blocks: list[Block] = []
    for wrong, title in _WRONG.items():
        lines = [line(contrast) for contrast in contrasts if contrast.wrong is wrong]
        if lines:
            blocks.append(f"{strong(title)} ({count(len(lines), noun)}):")
            blocks += limited_list(lines, noun, brief=brief)
    return blocks


def _check_line(contrast: CheckContrast) -> str:
    old, new = contrast.old, contrast.new
    if old is not None and new is not None and old.reason == new.reason:
        return f"{code(contrast.check.id)}: both: {clipped(new.reason)}"
    texts = []
    for side, result in (("OLD", old), ("NEW", new)):
        if result is None:
            text = "did not run"
        else:
            text = clipped(result.reason if result.fails else result.absent) or "holds"
        texts.append(f"{side}: {text}")
    return f"{code(contrast.check.id)}: {'; '.join(texts)}"


def _claim_line(contrast: ClaimContrast) -> str:
    old, new = (_evidence(result) for result in (contrast.old, contrast.new))
    text = f"both: {old}" if old == new else f"OLD: {old}; NEW: {new}"
    return f"{code(contrast.item.name)}, {code(claim_name(contrast))}: {text}"


def _evidence(result: ClaimResult | None) -> str:
    if result is None:
        return "not checked"
    held = "holds" if result.holds else "does not hold"
    return f"{held} ({clipped(result.evidence)})"
