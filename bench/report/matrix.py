"""A chain of upgrades in one table: cell family by step, and below it what each step changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import count
from bench.report.data import documented
from bench.report.document import Block, Bullets, Document, Figure, Section, Table
from bench.report.figures.chain import chain_picture
from bench.report.groups import reason_lines
from bench.report.markdown import markdown
from bench.report.markup import code, plain, strong
from bench.report.sections.answer import because_text
from bench.report.sections.changes import group_facts, leading_metric, pattern_text
from bench.report.sections.checks import claim_name, document_line
from bench.report.sections.rounding import origin
from bench.report.sections.sides import TITLES, different
from bench.report.sections.speed import format_title, speed_text
from bench.report.text import (
    MOST_REASON,
    MOST_ROWS,
    NOTHING,
    as_json,
    capital,
    clipped,
    grouped,
    more,
    some_of,
)
from bench.results.plan import Item
from bench.results.timings import SIDES
from bench.verdict.conclusion import Conclusion
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import ATTENTION, PASSED, Judgement, Verdict
from bench.verdict.patterns import Pairs, patterns
from bench.verdict.saving import Outcome

#: Raised when a name in the JSON disappears or means something else.
SCHEMA = 1

#: Families that a grid is parted into beside its other cells; the smaller ones stay among these.
MOST_FAMILIES = 4


@dataclass(frozen=True)
class Family:
    """Cells of one grid that a row tells of."""

    grid: str
    pairs: Pairs
    """Axis values of its cells; empty for all cells of the grid that are in no other family."""
    alone: bool
    """The grid has no other family."""
    items: frozenset[Item]

    @property
    def text(self) -> str:
        """Inline text: ``optimizer, opt:nadam``; ``optimizer, others``; ``depth``."""
        if self.alone:
            return self.grid
        values = [code(f"{axis}:{value}") for axis, value in self.pairs]
        return f"{self.grid}, {' and '.join(values) if values else 'others'}"


def matrix_table(chain: Sequence[Conclusion]) -> str:
    """The table and the findings of each step.

    Args:
        chain: upgrades, the new side of each being the old side of the next.

    Returns:
        Markdown that ends in one newline.
    """
    return markdown(matrix_document(chain), figures=False)


def matrix_document(chain: Sequence[Conclusion]) -> Document:
    """The same with a figure. Argument as in :func:`matrix_table`."""
    if not chain:
        return Document("Matrix", ["No upgrade was measured."])
    known, titles = families(chain), [step_title(step) for step in chain]
    rows = [[family.text, *(_entry(step, family) for step in chain)] for family in known]
    headers = ("cells", *titles)
    numbers = {
        plain(family.text): [
            {word: len(cells) for word, cells in _counted(step, family).items()} for step in chain
        ]
        for family in known
    }
    picture = chain_picture(titles, numbers)
    blocks: list[Block] = [Table(headers, rows, "l" * len(headers))] if rows else []
    blocks += [Figure(picture)] if picture is not None else []
    blocks += [Section(step_title(step), [Bullets(_findings(step))]) for step in chain]
    return Document("Matrix", blocks)


def matrix_json(chain: Sequence[Conclusion]) -> str:
    """The same for programs: JSON that ends in one newline.

    Args:
        chain: as in :func:`matrix_table`.
    """
    rows = families(chain)
    content = {
        "schema": SCHEMA,
        "families": [
            {"grid": row.grid, "values": dict(row.pairs), "cells": len(row.items)} for row in rows
        ],
        "steps": [_step(step, rows) for step in chain],
    }
    return as_json(content)


def step_title(upgrade: Conclusion) -> str:
    """``2.12.1 -> 2.15.1``; what was asked for where TensorFlow is the same on both sides."""
    runs = (upgrade.both[0], upgrade.run)
    versions = [run.environment.software.get("tensorflow", "") for run in runs]
    if not all(versions) or versions[0] == versions[1]:
        versions = [upgrade.sides[side].label for side in SIDES]
    return " -> ".join(versions)


def families(chain: Sequence[Conclusion]) -> list[Family]:
    """Grids in the order of the plans, each parted by what tells changed cells from unchanged ones at
    any step. Every cell is in one family."""
    items = list(dict.fromkeys(j.item for step in chain for j in step.judgements))
    found = []
    for grid in dict.fromkeys(item.grid for item in items):
        left = dict.fromkeys(item for item in items if item.grid == grid)
        for pairs in _telling(chain, grid):
            own = frozenset(i for i in left if all(i.cell.value(a) == v for a, v in pairs))
            if own and len(own) < len(left):
                found.append(Family(grid, pairs, alone=False, items=own))
                left = dict.fromkeys(item for item in left if item not in own)
        alone = not found or found[-1].grid != grid
        found.append(Family(grid, (), alone=alone, items=frozenset(left)))
    return found


def _telling(chain: Sequence[Conclusion], grid: str) -> list[Pairs]:
    """Descriptions that tell cells which failed at a step from those that did not, those of most cells
    first."""
    cells: Counter[Pairs] = Counter()
    for step in chain:
        judgements = [j for j in step.judgements if j.item.grid == grid]
        failing = {j.item for j in step.failing}
        found = [j.item for j in judgements if j.item in failing]
        others = [j.item for j in judgements if j.verdict in PASSED]
        for pattern in patterns(found, others):
            if pattern.pairs:
                cells[pattern.pairs] = max(cells[pattern.pairs], len(pattern.items))
    return [pairs for pairs, _ in cells.most_common(MOST_FAMILIES)]


def _entry(step: Conclusion, family: Family) -> str:
    """``12 rounding, 3 changed (layer 1, kernel, before step 1)``."""
    counted = _counted(step, family)
    if not counted:
        return NOTHING
    texts = []
    for word, judgements in counted.items():
        why = clipped(_why(judgements), 120) if judgements[0].verdict.fails else ""
        number = f"{len(judgements)} {word}"
        bold = word in ("changed", "regressed", "crashed")
        texts.append((strong(number) if bold else number) + (f" ({why})" if why else ""))
    return ", ".join(texts)


def _counted(step: Conclusion, family: Family) -> dict[str, list[Judgement]]:
    """Judgements by word, passes first."""
    return grouped(
        (_word(step, judgement), judgement)
        for verdict in reversed(ATTENTION)
        for judgement in step.judgements
        if judgement.verdict is verdict and judgement.item in family.items
    )


def _word(step: Conclusion, judgement: Judgement) -> str:
    if judgement.item in step.lost:
        return "lost"
    if judgement.item in step.gained:
        return "gained"
    if judgement.rung == "absent":
        return "on neither side"
    if step.known_crash(judgement):
        return "crashing on both sides"
    return judgement.verdict.value


def _why(judgements: Sequence[Judgement]) -> str:
    """Where most of them begin, or which metric changed most often."""
    begins = Counter(
        origin(j.envelope)
        for j in judgements
        if j.envelope is not None and j.envelope.departure is not None and not j.envelope.inside
    )
    counted = begins or Counter(filter(None, map(leading_metric, judgements)))
    if not counted:
        return ""
    (where, cells), *others = counted.most_common()
    return where if not others and cells == len(judgements) else f"{cells} of them: {where}"


def _findings(step: Conclusion) -> list[str]:
    """What a step changed, the most important first, each as inline text."""
    because = because_text(step, 1000)
    lines = [f"{strong(capital(step.answer.value))}: {because}.", _software(step)]
    for group in step.groups[:MOST_ROWS]:
        facts = clipped("; ".join(group_facts(group.judgements)), MOST_REASON)
        grids = ", ".join(dict.fromkeys(j.item.grid for j in group.judgements))
        lines.append(f"{pattern_text(group.pattern)} (in {grids}): {facts}.")
    crashed = [(j.item, j.reason) for j in step.failing if j.verdict is Verdict.CRASHED]
    lines += _by_reason("Crashes", crashed)
    for wrong, text in ((Wrong.NEW, "newly wrong"), (Wrong.OLD, "no longer wrong")):
        checks = [c.check.id for c in step.checks if c.wrong is wrong and not c.check.is_contract]
        claims = [f"{claim_name(c)} of {c.item.name}" for c in step.claims if c.wrong is wrong]
        lines += [f"Checks of arithmetic {text}: {some_of(checks, 'check')}."] if checks else []
        lines += [f"Claims {text}: {some_of(claims, 'cell')}."] if claims else []
    lines += [*_contracts(step), *(f"{capital(document_line(c))}" for c in step.documents)]
    lines += _savings(step)
    lines += [clipped(f"Speed, {speed_text(*pair)}.", 500) for pair in step.speeds.items()]
    reasons = {j.item: j.reason for j in step.judgements}
    lines += _by_reason("Cannot be trained any more", [(i, reasons[i]) for i in step.lost])
    lines += _by_reason("Can be trained only now", list(step.gained.items()))
    return [line for line in lines if line]


def _contracts(step: Conclusion) -> list[str]:
    """Contracts that are newly broken, then those that are kept now, by what is wrong with them."""
    lines = []
    for wrong, text in ((Wrong.NEW, "newly broken"), (Wrong.OLD, "kept now")):
        found = [
            (result.known or result.reason, code(contrast.check.id))
            for contrast in step.checks
            if contrast.wrong is wrong and contrast.check.is_contract
            for result in [contrast.new if wrong is Wrong.NEW else contrast.old]
            if result is not None
        ]
        for why, ids in grouped(found).items():
            number = count(len(ids), "contract")
            lines.append(f"{number} {text}: {clipped(why, MOST_REASON)}: {', '.join(ids)}.")
    return lines


def _software(step: Conclusion) -> str:
    old, new = (run.environment.software for run in (step.both[0], step.run))
    changed = different(old, new)
    texts = [
        f"{TITLES[name]} {changed[name][0] or 'none'} -> {changed[name][1] or 'none'}"
        for name in TITLES
        if name in changed
    ]
    return clipped(f"{', '.join(texts)}.") if texts else ""


def _savings(step: Conclusion) -> list[str]:
    """Saved models that do not come back; those that do are counted."""
    fine = [s for s in step.savings if s.outcome in (Outcome.SAME, Outcome.ROUNDING)]
    lines = [
        clipped(
            f"{s.name}, {format_title(s)}: {s.outcome.value}: {s.reason}.",
            400,
        )
        for s in step.savings
        if s not in fine and s.outcome is not Outcome.ABSENT
    ]
    same = f"{count(len(fine), 'saved model')} read back the same."
    return [*lines, same] if fine else lines


def _by_reason(title: str, cells: Sequence[tuple[Item, str]]) -> list[str]:
    lines = [f"{title}: {line}." for line in reason_lines(cells)]
    hidden = len(lines) - MOST_ROWS
    rest = [f"{title}: {more(hidden, 'reason')}."] if hidden > 0 else []
    return [*lines[:MOST_ROWS], *rest]


def _step(step: Conclusion, rows: Sequence[Family]) -> dict[str, Any]:
    return {
        "title": step_title(step),
        "old": step.sides["old"].label,
        "new": step.sides["new"].label,
        "software": different(step.both[0].environment.software, step.run.environment.software),
        "answer": step.answer.value,
        "exit_code": step.exit_code,
        "because": list(step.because),
        "families": [
            {word: len(found) for word, found in _counted(step, row).items()} for row in rows
        ],
        "changed": [
            {
                "values": dict(group.pattern.pairs),
                "cells": [judgement.item.name for judgement in group.judgements],
                "facts": group_facts(group.judgements),
            }
            for group in step.groups
        ],
        "documented_otherwise": documented(step),
        "checks": [{"check": c.check.id, "wrong": c.wrong.name.lower()} for c in step.checks],
        "claims": [
            {"cell": c.item.name, "wrong": c.wrong.name.lower(), "old": c.old, "new": c.new}
            for c in step.claims
        ],
        "savings": list(step.savings),
        "speed": [
            {
                "workload": work.title,
                "verdict": found.name,
                "margin": found.margin,
                "ratio": found.ratio._asdict(),
            }
            for work, found in step.speeds.items()
        ],
        "lost": [item.name for item in step.lost],
        "gained": [item.name for item in step.gained],
    }
