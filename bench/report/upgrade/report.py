"""The report of an upgrade: the answer first, then what changed, the most important first.

Full (``report.md``), short (a CI job's summary, a comment), as lines for the terminal, and for programs
(:mod:`bench.report.upgrade.data`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from bench.report.run.evidence import evidence_table
from bench.report.run.rounding import READING
from bench.report.run.words import sharpness
from bench.report.text import clipped, code, count, duration, more, plain
from bench.report.upgrade.cells import (
    counts_section,
    crash_section,
    grids_section,
    lost_section,
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
    speed_words,
)
from bench.report.upgrade.sides import left_out_section, next_steps, pin, said, sides_section, title
from bench.results.plan import Item
from bench.results.run import REPORT
from bench.verdict.conclusion import Answer, Conclusion
from bench.verdict.contrast import Wrong
from bench.verdict.ladder import counts

__all__ = ["MOST_CHARACTERS", "upgrade_json", "upgrade_lines", "upgrade_report", "upgrade_summary"]

#: A comment on GitHub holds 65,536 characters; the rest is for what a workflow puts around a summary,
#: such as the mark by which it finds its comment again.
MOST_CHARACTERS = 65_000
#: Of the answer's line: it names every kind of finding, and every workload that is slower.
MOST_ANSWER = 2_000
#: Kept free in a summary for the list of sections that did not fit: their titles have at most 100
#: characters, and there are fewer than 20.
_FOR_LEFT_OUT = 2_100

#: Groups of cells, and lines of each other kind, that the terminal shows.
MOST_GROUPS = 5
#: Characters of a line in the terminal.
WIDTH = 100

_NONE: Mapping[Item, str] = MappingProxyType({})


def upgrade_report(
    upgrade: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Mapping[Item, str] = _NONE,
) -> str:
    """The full report.

    Args:
        upgrade: what is concluded.
        total_sec: how long measuring took; None if that is not known.
        reproducers: the path of a script that shows the change of a cell.

    Returns:
        Markdown that ends in one newline.
    """
    sections = _sections(upgrade, reproducers, brief=False)
    tested = any(judgement.envelope is not None for judgement in upgrade.judgements)
    tail = ["## How to read envelopes", READING] if tested else []
    parts = [part for section in sections for part in section]
    ended = [evidence_table(upgrade.judgements), *tail, _time(upgrade, total_sec)]
    return _joined([*_head(upgrade), *parts, *ended])


def upgrade_summary(
    upgrade: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Mapping[Item, str] = _NONE,
) -> str:
    """The short report, of fewer than :data:`MOST_CHARACTERS` characters: fewer rows, and sections that
    do not fit are named. Arguments are :func:`upgrade_report`'s."""
    report = clipped(str(upgrade.folder / REPORT), 500)
    ended = [_time(upgrade, total_sec), f"Everything: {code(report)}."]
    text = _joined(_head(upgrade))
    room = MOST_CHARACTERS - _FOR_LEFT_OUT - len(_joined(ended)) - 2
    left_out = []
    for section in _sections(upgrade, reproducers, brief=True):
        added = _joined(section)
        if section and len(text) + len(added) + 1 < room:
            text += f"\n{added}"
        elif section:
            left_out.append(clipped(section[0].lstrip("# "), 100))
    if left_out:
        ended.insert(0, f"Left out here, because it would be too long: {', '.join(left_out)}.")
    return f"{text}\n{_joined(ended)}"


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
    counted = counts(upgrade.judgements)
    width = max((len(verdict.value) for verdict in counted), default=0)
    lines = [f"{verdict.value:<{width}}  {number:>5}" for verdict, number in counted.items()]
    groups = [
        f"{pattern.words()}: {'; '.join(group_facts(judgements))}"
        for pattern, judgements in changed_groups(upgrade)
    ]
    lines += _told("CHANGED", groups, "group")
    crashed = [
        f"{judgement.item.grid}/{judgement.item.id}: {judgement.reason}"
        for judgement in upgrade.failing
        if judgement.verdict.value == "crashed"
    ]
    lines += _told("CRASHED", crashed, "cell")
    lines += _told(
        "NEWLY WRONG",
        [
            f"{c.check.id}: {c.new.reason if c.new is not None else ''}"
            for c in upgrade.checks
            if c.wrong is Wrong.NEW
        ],
        "check",
    )
    lines += _told(
        "NEWLY WRONG",
        [
            f"{c.new.claim} of {c.item.grid}/{c.item.id}: {c.new.evidence}"
            for c in upgrade.claims
            if c.wrong is Wrong.NEW and c.new is not None
        ],
        "claim",
    )
    broken = [s for s in upgrade.savings if s.outcome.fails]
    lines += _told(
        "SAVED MODEL",
        [f"{s.model}, {s.format}: {s.outcome.value}: {s.reason}" for s in broken],
        "file",
    )
    lines += _told(
        "SPEED", [speed_words(work, found) for work, found in upgrade.speeds.items()], "workload"
    )
    lines += [f"script: {path}" for path in list(reproducers.values())[:MOST_GROUPS]]
    lines += ["", *_wrapped(f"{clipped(title(upgrade))}: {_answer(upgrade)}", "")]
    requirements = pin(upgrade)
    if upgrade.answer is Answer.UNSAFE and requirements:
        lines.append(f"to stay with OLD, pin {' '.join(requirements)}")
    if report is not None:
        lines.append(f"report: {report}")
    if total_sec is not None:
        lines.append(f"time: {duration(total_sec)}")
    return lines


def _sections(
    upgrade: Conclusion, reproducers: Mapping[Item, str], *, brief: bool
) -> list[Sequence[str]]:
    """The most important first, each with its heading; empty where there is nothing to tell."""
    cells = [*counts_section(upgrade)]
    cells += grids_section(upgrade) if cells else []
    return [
        semantic_section(upgrade, brief=brief, reproducers=reproducers),
        next_steps(upgrade, reproducers) if brief else [],
        *metric_sections(upgrade, brief=brief),
        checks_section(upgrade, brief=brief),
        claims_section(upgrade, brief=brief),
        speed_section(upgrade),
        savings_section(upgrade, brief=brief),
        crash_section(upgrade, brief=brief, reproducers=reproducers),
        lost_section(upgrade, brief=brief),
        open_section(upgrade, brief=brief),
        [] if brief else next_steps(upgrade, reproducers),
        cells,
        sides_section(upgrade, brief=brief),
        left_out_section(upgrade),
    ]


def _head(upgrade: Conclusion) -> list[str]:
    because = plain(said(upgrade.because), MOST_ANSWER)
    return [
        f"**{_capital(_verdict(upgrade))}**: {because}. {sharpness(upgrade.judgements)}".strip(),
        f"OLD is {plain(upgrade.sides['old'].label)}, NEW is "
        f"{plain(upgrade.sides['new'].label)}; both were measured on one machine, side by "
        f"side. Exit code {upgrade.exit_code}.",
    ]


def _answer(upgrade: Conclusion) -> str:
    return f"{_verdict(upgrade)}: {clipped(said(upgrade.because), MOST_ANSWER)}"


def _verdict(upgrade: Conclusion) -> str:
    """The answer, which is about what was measured."""
    left = upgrade.left_out
    if upgrade.answer is not Answer.SAFE or not left:
        return upgrade.answer.value
    parts = plain(", ".join(left), 200)
    return f"{upgrade.answer.value}, as far as measured (left out: {parts})"


def _time(upgrade: Conclusion, total_sec: float | None) -> str:
    replicas = [
        sum(record.outcome != "absent" for record in run.records.values()) for run in upgrade.both
    ]
    text = f"Trained: {count(replicas[0], 'replica')} of OLD, {replicas[1]} of NEW"
    return f"{text}, in {duration(total_sec)}." if total_sec is not None else f"{text}."


def _told(word: str, found: Sequence[str], noun: str) -> list[str]:
    """Lines of the terminal on one kind of finding."""
    lines = [] if not found else [""]
    for text in found[:MOST_GROUPS]:
        lines += _wrapped(f"{word} {clipped(text, 700)}")
    hidden = len(found) - MOST_GROUPS
    return [*lines, *([f"... and {more(hidden, noun)}, all in the report"] if hidden > 0 else [])]


def _wrapped(text: str, indent: str = "    ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
