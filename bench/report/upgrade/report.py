"""The report of an upgrade: the answer first, then what changed, the most important first.

Full (``report.md``, ``report.html``), short (a CI job's summary, a comment), as lines for the terminal,
and for programs (:mod:`bench.report.upgrade.data`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from bench.report.document import Block, Document, Section
from bench.report.markdown import markdown
from bench.report.markup import code, strong
from bench.report.run.evidence import evidence_table
from bench.report.run.rounding import READING
from bench.report.run.terminal import all_in_the_report, count_lines, last_lines
from bench.report.run.words import sharpness
from bench.report.text import MOST_NAMED, MOST_REASON, capital, clipped, count, duration, wrapped
from bench.report.upgrade.cells import (
    counts_section,
    crash_section,
    lost_sections,
    open_section,
)
from bench.report.upgrade.changes import (
    changed_groups,
    group_facts,
    metric_sections,
    semantic_section,
)
from bench.report.upgrade.data import upgrade_json
from bench.report.upgrade.parts import (
    checks_section,
    claims_section,
    savings_section,
    speed_section,
    speed_text,
)
from bench.report.upgrade.sides import left_out_section, next_steps, pin, sides_section, title
from bench.report.upgrade.words import because_text, runs
from bench.results.plan import Item
from bench.results.run import REPORT
from bench.results.timings import SIDES
from bench.verdict.conclusion import Answer, Conclusion
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import Verdict

__all__ = ["MOST_CHARACTERS", "upgrade_json", "upgrade_lines", "upgrade_report", "upgrade_summary"]

#: A comment on GitHub holds 65,536 characters; the rest is for what a workflow puts around a summary,
#: such as the mark by which it finds its comment again.
MOST_CHARACTERS = 65_000
#: Of the answer's line: it names every kind of finding, and every workload that is slower.
MOST_ANSWER = 2_000
#: Kept free in a summary for the list of sections that did not fit: their titles have at most 100
#: characters, and there are fewer than 20.
_FOR_LEFT_OUT = 2_100

_NONE: Mapping[Item, str] = MappingProxyType({})


def upgrade_report(
    upgrade: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Mapping[Item, str] = _NONE,
) -> Document:
    """The full report.

    Args:
        upgrade: what is concluded.
        total_sec: how long measuring took; None if that is not known.
        reproducers: the path of a script that shows the change of a cell.
    """
    tested = any(judgement.envelope is not None for judgement in upgrade.judgements)
    blocks = [
        *_head(upgrade),
        *_sections(upgrade, reproducers, brief=False),
        evidence_table(upgrade.judgements),
        Section("How to read envelopes", [READING]) if tested else None,
        _time(upgrade, total_sec),
    ]
    return Document(f"Upgrade: {upgrade.answer.value}", blocks)


def upgrade_summary(
    upgrade: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Mapping[Item, str] = _NONE,
) -> str:
    """The short report, Markdown of fewer than :data:`MOST_CHARACTERS` characters: fewer rows, and
    sections that do not fit are named. Arguments are :func:`upgrade_report`'s."""
    report = clipped(str(upgrade.folder / REPORT), 500)
    ended = [_time(upgrade, total_sec), f"Everything: {code(report)}."]
    text = markdown(_head(upgrade))
    room = MOST_CHARACTERS - _FOR_LEFT_OUT - len(markdown(ended)) - 2
    left_out = []
    for section in _sections(upgrade, reproducers, brief=True):
        added = markdown([section])
        if section is not None and len(text) + len(added) + 1 < room:
            text += f"\n{added}"
        elif section is not None:
            left_out.append(clipped(section.title, 100))
    if left_out:
        ended.insert(0, f"Left out here, because it would be too long: {', '.join(left_out)}.")
    return f"{text}\n{markdown(ended)}"


def upgrade_lines(
    upgrade: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Mapping[Item, str] = _NONE,
    report: Path | None = None,
) -> list[str]:
    """What the terminal says last: lines of plain text without line ends.

    Args:
        upgrade, total_sec, reproducers: as in :func:`upgrade_report`.
        report: the written report; None if there is none.
    """
    kinds: list[tuple[str, str, list[str]]] = [
        (
            "CHANGED",
            "group",
            [
                f"{pattern.text}: {'; '.join(group_facts(judgements))}"
                for pattern, judgements in changed_groups(upgrade)
            ],
        ),
        (
            "CRASHED",
            "cell",
            [f"{j.item.name}: {j.reason}" for j in upgrade.failing if j.verdict is Verdict.CRASHED],
        ),
        (
            "NEWLY WRONG",
            "check",
            [
                f"{c.check.id}: {c.new.reason if c.new is not None else ''}"
                for c in upgrade.checks
                if c.wrong is Wrong.NEW
            ],
        ),
        (
            "NEWLY WRONG",
            "claim",
            [
                f"{c.new.claim} of {c.item.name}: {c.new.evidence}"
                for c in upgrade.claims
                if c.wrong is Wrong.NEW and c.new is not None
            ],
        ),
        (
            "SAVED MODEL",
            "file",
            [
                f"{s.model}, {s.format}: {s.outcome.value}: {s.reason}"
                for s in upgrade.savings
                if s.outcome.fails
            ],
        ),
        ("SPEED", "workload", [speed_text(*pair) for pair in upgrade.speeds.items()]),
    ]
    lines = count_lines(upgrade.judgements)
    for word, noun, texts in kinds:
        lines += [""] if texts else []
        for text in texts[:MOST_NAMED]:
            lines += wrapped(f"{word} {clipped(text, MOST_REASON)}")
        lines += all_in_the_report(len(texts) - MOST_NAMED, noun)
    lines += [f"script: {path}" for path in list(reproducers.values())[:MOST_NAMED]]
    answer = f"{_verdict(upgrade)}: {clipped(because_text(upgrade.because), MOST_ANSWER)}"
    lines += ["", *wrapped(f"{clipped(title(upgrade))}: {answer}", "")]
    requirements = pin(upgrade)
    if upgrade.answer is Answer.UNSAFE and requirements:
        lines.append(f"to stay with OLD, pin {' '.join(requirements)}")
    return [*lines, *last_lines(report, total_sec)]


def _sections(
    upgrade: Conclusion, reproducers: Mapping[Item, str], *, brief: bool
) -> list[Section | None]:
    """The most important first; None where there is nothing to tell."""
    return [
        semantic_section(upgrade, brief=brief, reproducers=reproducers),
        next_steps(upgrade, reproducers) if brief else None,
        *metric_sections(upgrade, brief=brief),
        checks_section(upgrade, brief=brief),
        claims_section(upgrade, brief=brief),
        speed_section(upgrade),
        savings_section(upgrade, brief=brief),
        crash_section(upgrade, brief=brief, reproducers=reproducers),
        *lost_sections(upgrade, brief=brief),
        open_section(upgrade, brief=brief),
        None if brief else next_steps(upgrade, reproducers),
        counts_section(upgrade),
        sides_section(upgrade, brief=brief),
        left_out_section(upgrade),
    ]


def _head(upgrade: Conclusion) -> list[Block]:
    because = clipped(because_text(upgrade.because), MOST_ANSWER)
    old, new = (clipped(upgrade.sides[side].label) for side in SIDES)
    return [
        f"{strong(capital(_verdict(upgrade)))}: {because}. {sharpness(upgrade.judgements)}",
        f"OLD is {old}, NEW is {new}; both were measured on one machine, side by side. Exit code "
        f"{upgrade.exit_code}.",
    ]


def _verdict(upgrade: Conclusion) -> str:
    """The answer, which is about what was measured."""
    left = upgrade.left_out
    if upgrade.answer is not Answer.SAFE or not left:
        return upgrade.answer.value
    parts = clipped(", ".join(left), 200)
    return f"{upgrade.answer.value}, as far as measured (left out: {parts})"


def _time(upgrade: Conclusion, total_sec: float | None) -> str:
    replicas = [
        sum(record.outcome != "absent" for record in run.records.values()) for run in runs(upgrade)
    ]
    text = f"Trained: {count(replicas[0], 'replica')} of OLD, {replicas[1]} of NEW"
    return f"{text}, in {duration(total_sec)}." if total_sec is not None else f"{text}."
