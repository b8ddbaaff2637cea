"""The last lines in the terminal. Plain text; who prints it may colour it."""

from __future__ import annotations

from pathlib import Path

from bench.report.groups import by_reason
from bench.report.reproducer import NO_SCRIPTS, Scripts
from bench.report.sections.answer import (
    MOST_ANSWER,
    answer_text,
    because_text,
    details,
    left_out,
    scope,
    title,
)
from bench.report.sections.cells import open_cells
from bench.report.sections.changes import group_facts, pattern_text
from bench.report.sections.checks import document_line
from bench.report.sections.findings import findings
from bench.report.sections.sides import pin
from bench.report.sections.speed import speed_text
from bench.report.text import (
    MOST_NAMED,
    MOST_REASON,
    WIDTH,
    clipped,
    duration,
    first_of,
    more,
    wrapped,
)
from bench.verdict.conclusion import Answer, Conclusion
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import Verdict
from bench.verdict.ladder import counts
from bench.verdict.patterns import Group

#: Lines at the end of a run that nobody asked to be longer.
MOST_LINES = 20
#: Characters of the answer's reasons among them, and of what it was held against: three lines each.
_MOST_BECAUSE = 250


def summary_lines(
    conclusion: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Scripts = NO_SCRIPTS,
    report: Path | None = None,
    verbose: bool = False,
) -> list[str]:
    """Counts, findings, the answer, what it covers, the report, the time; what keeps an upgrade's OLD.

    Args:
        conclusion, total_sec, reproducers: as in :func:`bench.report.full.full_report`.
        report: the written report; None if there is none.
        verbose: with counts of verdicts and more of what fails and what is open, reasons in full.

    Returns:
        lines without line ends: at most :data:`MOST_LINES` unless verbose.
    """
    length = MOST_ANSWER if verbose else _MOST_BECAUSE
    answer = f"{answer_text(conclusion)}: {because_text(conclusion, length)}"
    ending = wrapped(f"{clipped(title(conclusion))}: {answer}", "")
    told = [] if conclusion.sides else list(filter(None, details(conclusion)))
    for detail in told if verbose else told[:1]:
        ending += wrapped(detail if verbose else clipped(detail, _MOST_BECAUSE), "")
    ending += wrapped(scope(conclusion), "")
    ending += wrapped(
        left_out(conclusion) if verbose else clipped(left_out(conclusion), _MOST_BECAUSE), ""
    )
    if conclusion.answer is Answer.UNSAFE and (requirements := pin(conclusion)):
        ending.append(f"to stay with OLD, pin {clipped(' '.join(requirements), WIDTH)}")
    ending += [f"report: {report}"] if report is not None else []
    ending += [f"time: {duration(total_sec)}"] if total_sec is not None else []
    if verbose:
        lines = _everything(conclusion, reproducers)
    else:
        numbers = counts(conclusion.judgements).items()
        cells = ", ".join(f"{number} {verdict.value}" for verdict, number in numbers)
        lines = [f"cells: {cells}"] if cells else []
        room = MOST_LINES - len(ending) - len(lines) - 1
        lines += _findings(conclusion, reproducers, room)
    return [*lines, *([""] if lines else []), *ending]


def _findings(conclusion: Conclusion, reproducers: Scripts, room: int) -> list[str]:
    """As many findings as there is room for, two lines or so each; the others are counted."""
    found = findings(conclusion, reproducers)
    lines: list[str] = []
    for number, finding in enumerate(found):
        told = [*wrapped(finding.first_line, "  ", "- "), *wrapped(finding.second_line, "  ", "  ")]
        last = number == len(found) - 1
        if len(lines) + len(told) + (not last) > room:
            left = len(found) - number
            return [*lines, f"... and {more(left, 'finding')} in the report"]
        lines += told
    return lines


def _everything(conclusion: Conclusion, reproducers: Scripts) -> list[str]:
    """Counts of verdicts, then the first findings of each kind with their reasons in full."""
    counted = counts(conclusion.judgements)
    width = max((len(verdict.value) for verdict in counted), default=0)
    lines = [f"{verdict.value:<{width}}  {cells:>5}" for verdict, cells in counted.items()]
    for noun, texts in _kinds(conclusion):
        lines += [""] if texts else []
        for text in texts[:MOST_NAMED]:
            lines += wrapped(clipped(text, MOST_REASON))
        hidden = len(texts) - MOST_NAMED
        lines += [f"... and {more(hidden, noun)}, all in the report"] if hidden > 0 else []
    return [*lines, *(f"script: {path}" for path in list(reproducers.values())[:MOST_NAMED])]


def _kinds(conclusion: Conclusion) -> list[tuple[str, list[str]]]:
    """Kinds of findings: what one of them is called, and inline text of each."""
    failing = (Verdict.CRASHED, Verdict.CLAIM_VIOLATED)
    reasons = [
        [f"{v.value.upper()} {first_of(names)}: {reason}" for (v, reason), names in groups.items()]
        for groups in (
            by_reason(j for j in conclusion.failing if j.verdict in failing),
            by_reason(open_cells(conclusion)),
        )
    ]
    wrong = "CHECK FAILS" if conclusion.old is None else "NEWLY WRONG"
    newly = (
        [
            f"{wrong} {contrast.check.id}: {contrast.new.reason}"
            for contrast in conclusion.checks
            if contrast.wrong is Wrong.NEW and contrast.new is not None
        ]
        + [
            f"BEHAVIOUR CHANGES {contrast.check.id}: in OLD {contrast.old.reason}"
            for contrast in conclusion.checks
            if contrast.mended and contrast.counts_against and contrast.old is not None
        ]
        + [f"BEHAVIOUR CHANGES {document_line(contrast)}" for contrast in conclusion.documents]
        + [
            f"{wrong} {contrast.new.claim} of {contrast.item.name}: {contrast.new.evidence}"
            for contrast in conclusion.claims
            if contrast.wrong is Wrong.NEW and contrast.new is not None
        ]
    )
    return [
        ("group", [_group(group) for group in conclusion.groups]),
        *(("reason", texts) for texts in reasons),
        ("check or claim", newly),
        (
            "file",
            [
                f"SAVED MODEL {s.name}: {s.outcome.value}: {s.reason}"
                for s in conclusion.savings
                if s.outcome.fails
            ],
        ),
        ("workload", [f"SPEED {speed_text(*pair)}" for pair in conclusion.speeds.items()]),
    ]


def _group(group: Group) -> str:
    """The reason of a cell by itself, or what is known of all cells of a group."""
    first, *others = group.judgements
    names = first_of([judgement.item.name for judgement in group.judgements])
    text = f"{first.verdict.value.upper()} {names}"
    if not others:
        return f"{text}: {first.reason}"
    return f"{text} ({pattern_text(group.pattern)}): {'; '.join(group_facts(group.judgements))}"
