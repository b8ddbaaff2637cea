"""The last lines in the terminal. Plain text; who prints it may colour it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.report.full import NO_SCRIPTS
from bench.report.groups import by_reason
from bench.report.sections.answer import answer_text, because_text, details, title
from bench.report.sections.cells import open_cells
from bench.report.sections.changes import group_facts, pattern_text
from bench.report.sections.checks import document_line
from bench.report.sections.sides import pin
from bench.report.sections.speed import speed_text
from bench.report.text import (
    MOST_NAMED,
    MOST_REASON,
    clipped,
    duration,
    first_of,
    more,
    wrapped,
)
from bench.results.plan import Item
from bench.verdict.conclusion import Answer, Conclusion
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import Verdict
from bench.verdict.ladder import counts
from bench.verdict.patterns import Group


def summary_lines(
    conclusion: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Mapping[Item, str] = NO_SCRIPTS,
    report: Path | None = None,
) -> list[str]:
    """Counts of verdicts, what fails and what is open, the answer, the report, the time.

    Args:
        conclusion, total_sec, reproducers: as in :func:`bench.report.full.full_report`.
        report: the written report; None if there is none.

    Returns:
        lines without line ends.
    """
    counted = counts(conclusion.judgements)
    width = max((len(verdict.value) for verdict in counted), default=0)
    lines = [f"{verdict.value:<{width}}  {cells:>5}" for verdict, cells in counted.items()]
    for noun, texts in _kinds(conclusion):
        lines += [""] if texts else []
        for text in texts[:MOST_NAMED]:
            lines += wrapped(clipped(text, MOST_REASON))
        hidden = len(texts) - MOST_NAMED
        lines += [f"... and {more(hidden, noun)}, all in the report"] if hidden > 0 else []
    lines += [f"script: {path}" for path in list(reproducers.values())[:MOST_NAMED]]
    answer = f"{answer_text(conclusion)}: {because_text(conclusion)}"
    lines += ["", *wrapped(f"{clipped(title(conclusion))}: {answer}", "")]
    for detail in () if conclusion.sides else details(conclusion):
        lines += wrapped(detail, "")
    if conclusion.answer is Answer.UNSAFE and (requirements := pin(conclusion)):
        lines.append(f"to stay with OLD, pin {' '.join(requirements)}")
    lines += [f"report: {report}"] if report is not None else []
    return [*lines, f"time: {duration(total_sec)}"] if total_sec is not None else lines


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
                f"SAVED MODEL {s.model}, {s.format}: {s.outcome.value}: {s.reason}"
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
