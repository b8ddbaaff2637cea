"""What needs no baseline: checks against independent truth, and claims of theory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.errors import count
from bench.report.document import Block, Bullets, Section, Table, limited_list
from bench.report.groups import reasons_table
from bench.report.markup import code, strong
from bench.report.text import (
    MOST_REASON,
    MOST_ROWS,
    NOTHING,
    clipped,
    grouped,
    significant,
    some_of,
    verb,
)
from bench.results.check import FAMILIES, CheckResult
from bench.results.run import StoredRun
from bench.theory.claim import ClaimResult
from bench.verdict.conclusion import Conclusion
from bench.verdict.contrast import CheckContrast, ClaimContrast, DocumentContrast, Wrong
from bench.verdict.judgement import Verdict

T = TypeVar("T", CheckContrast, ClaimContrast)

_WRONG = {
    Wrong.NEW: "Wrong in NEW alone",
    Wrong.BOTH: "Wrong on both sides",
    Wrong.OLD: "Wrong in OLD, right in NEW",
}
_HEADERS = (
    "family",
    "checks",
    "hold",
    "fail",
    "known faults",
    "not applicable",
    "not run",
    "tensors compared",
    "most of a bound used",
)
_NOTE = (
    "Each tensor that TensorFlow computed, and each number that a contract of the training API "
    "promises, is compared with a float64 formula, an exact relation or a promised distribution. The "
    "bound on its error is derived from the rounding of that very computation; the last column is the "
    "largest share of a bound that any tensor used up (at most 1 holds; a tiny number that was "
    "flushed to 0 uses all of its bound)."
)


def checks_answer(conclusion: Conclusion) -> str:
    """All checks of a run in a few words of inline text; empty if none was planned."""
    planned, results = conclusion.run.plan.checks, conclusion.run.results
    if not planned:
        return ""
    failing = sum(result.fails for result in results)
    known = sum(result.wrong and not result.fails for result in results)
    absent = sum(bool(result.absent) for result in results)
    checks = count(len(planned), "check")
    if failing:
        fail = verb(failing, "fails", "fail")
        text = f"{failing} of {checks} against independent truth {fail}"
    elif len(results) < len(planned):
        text = f"Incomplete: {len(planned) - len(results)} of {checks} did not run"
    else:
        held = len(planned) - absent - known
        text = f"{held} of {checks} against independent truth {verb(held, 'holds', 'hold')}"
    tensors = sum(result.compared for result in results)
    details = [f"{tensors:,} {verb(tensors, 'tensor', 'tensors')} compared"]
    if known:
        fails = verb(known, "fails", "fail")
        details.append(f"{known} {fails} by known faults of these versions, as expected")
    if absent:
        details.append(f"{absent} not applicable to these versions")
    return f"{strong(text)}: {'; '.join(details)}."


def checks_section(conclusion: Conclusion, *, brief: bool = False) -> Section | None:
    """Arithmetic and contracts against independent truth: those that fail, by side where there are two,
    then counts by family; None if no check was planned."""
    run = conclusion.run
    if not run.plan.checks:
        return None
    blocks: list[Block | None] = []
    if conclusion.old is not None:
        blocks += _of_both(conclusion)
        blocks += _contrasts(conclusion.checks, _check_line, "check", brief=brief)
        blocks += _documents(conclusion.documents, brief=brief)
    else:
        failing = [
            f"{code(contrast.check.id)}: {clipped(contrast.new.reason)}"
            for contrast in conclusion.checks
            if contrast.new is not None
        ]
        blocks += [checks_answer(conclusion), *limited_list(failing, "check", brief=brief)]
    if not brief:
        present = {check.family for check in run.plan.checks}
        rows = [_family(run, family) for family in FAMILIES if family in present]
        absent = grouped((r.absent, code(r.check.id)) for r in run.results if r.absent)
        blocks += [
            _NOTE,
            Table(_HEADERS, rows, "lrrrrrrrl"),
            "Not applicable:" if absent else None,
            Bullets([f"{clipped(why)}: {', '.join(ids)}" for why, ids in absent.items()]),
            *_known_faults(conclusion),
        ]
    return Section("Checks against independent truth", blocks)


def _documents(contrasts: Sequence[DocumentContrast], *, brief: bool) -> list[Block]:
    """What NEW documents otherwise than OLD, thing by thing."""
    if not contrasts:
        return []
    title = (
        f"{strong('Documented otherwise in NEW, or gone')} ({count(len(contrasts), 'contract')}):"
    )
    return [title, *limited_list(list(map(document_line, contrasts)), "contract", brief=brief)]


def document_line(contrast: DocumentContrast) -> str:
    """``documented otherwise since Keras 3: keras.layers.X: OLD: ...; NEW: ...`` as inline text."""
    old, new = contrast.old, contrast.new
    if new is None:
        return f"not there any more: {code(old.thing)} ({code(contrast.check.id)}): {old.truth}"
    since = (
        f"documented otherwise {'since' if new.keras > old.keras else 'in'} Keras {new.keras[0]}"
    )
    thing = old.thing if old.thing == new.thing else f"{old.thing}, now {new.thing}"
    return f"{since}: {code(thing)} ({code(contrast.check.id)}): OLD: {old.truth} NEW: {new.truth}"


def _known_faults(conclusion: Conclusion) -> list[Block | None]:
    """What this version is known to get wrong, which fails no run, if it is not told by side."""
    told = {contrast.check for contrast in conclusion.checks}
    known = [
        f"{code(result.check.id)}: {_state(result)}"
        for result in conclusion.run.results
        if result.known and result.wrong and result.check not in told
    ]
    title = f"{strong('Known faults, for which no run fails')} ({count(len(known), 'check')}):"
    return [title, Bullets(known)] if known else []


def claims_section(conclusion: Conclusion) -> Section | None:
    """Claims that must hold of any TensorFlow and do not: the cells that fail for it, and where there
    are two sides, on which; None if all hold, or none applies."""
    violated = [j for j in conclusion.judgements if j.verdict is Verdict.CLAIM_VIOLATED]
    if not violated and not conclusion.claims:
        return None
    statements = {
        result.claim: f"{code(result.claim)}: {clipped(result.statement, MOST_REASON)}"
        for contrast in conclusion.claims
        for result in (contrast.old, contrast.new)
        if result is not None
    }
    return Section(
        "Claims",
        [
            "What theory says of any TensorFlow does not hold:",
            *(reasons_table(violated) if violated else []),
            Bullets(list(statements.values())),
            *_contrasts(conclusion.claims, _claim_line, "cell", brief=False),
        ],
    )


def claim_name(contrast: ClaimContrast) -> str:
    """The claim that does not hold."""
    return next(result.claim for result in (contrast.new, contrast.old) if result is not None)


def _family(run: StoredRun, family: str) -> list[str]:
    planned = [check for check in run.plan.checks if check.family == family]
    results = [result for result in run.results if result.check.family == family]
    failing = sum(result.fails for result in results)
    known = sum(result.wrong and not result.fails for result in results)
    absent = sum(bool(result.absent) for result in results)
    return [
        family,
        str(len(planned)),
        str(len(results) - failing - known - absent),
        strong(str(failing)) if failing else "0",
        str(known),
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


def _of_both(conclusion: Conclusion) -> list[Block]:
    """How many checks ran on both sides, hold there, and gave the same bits."""
    old, new = conclusion.both
    ran = old.checks.keys() & new.checks.keys()
    pairs = [(old.checks[c], new.checks[c]) for c in new.plan.checks if c in ran]
    hold = sum(not (a.wrong or b.wrong or a.absent or b.absent) for a, b in pairs)
    lacking = sum(bool(a.absent or b.absent) for a, b in pairs)
    same = sum(a.digest == b.digest and a.compared > 0 and b.compared > 0 for a, b in pairs)
    text = (
        f"Of {count(len(new.plan.checks), 'check')}, {len(pairs)} ran on both sides: {hold} hold on "
        f"both, {same} gave the same bits."
    )
    if lacking:
        text += f" {count(lacking, 'check')} {verb(lacking, 'does', 'do')} not apply to a side."
    other = [b.check.id for a, b in pairs if a.digest != b.digest and not (a.absent or b.absent)]
    if other:
        text += f" Other bits: {some_of(other, 'check', MOST_ROWS)}."
    return [text]


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
    texts = [_state(old), _state(new)]
    told = f"OLD: {texts[0]}; NEW: {texts[1]}" if texts[0] != texts[1] else f"both: {texts[0]}"
    return f"{code(contrast.check.id)}: {told}"


def _state(result: CheckResult | None) -> str:
    """What came of a check on one side."""
    if result is None:
        return "did not run"
    text = clipped(result.reason if result.wrong else result.absent) or "holds"
    return (
        f"{text} (known fault: {clipped(result.known)})" if result.known and result.wrong else text
    )


def _claim_line(contrast: ClaimContrast) -> str:
    old, new = (_evidence(result) for result in (contrast.old, contrast.new))
    text = f"both: {old}" if old == new else f"OLD: {old}; NEW: {new}"
    return f"{code(contrast.item.name)}, {code(claim_name(contrast))}: {text}"


def _evidence(result: ClaimResult | None) -> str:
    if result is None:
        return "not checked"
    held = "holds" if result.holds else "does not hold"
    return f"{held} ({clipped(result.evidence)})"
