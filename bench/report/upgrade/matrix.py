"""A chain of upgrades in one table: cell family by step, and below it what each step changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.report.text import NOTHING, code, count, more, plain, table
from bench.report.upgrade.cells import gained
from bench.report.upgrade.changes import changed_groups, group_facts, leading_metric
from bench.report.upgrade.parts import claim_name, speed_words
from bench.report.upgrade.patterns import Pairs, patterns
from bench.report.upgrade.sides import different, said
from bench.report.upgrade.words import PASSED, named, origin
from bench.results.plan import Item
from bench.results.saved_models import FORMATS
from bench.results.timings import SIDES
from bench.verdict.conclusion import Conclusion
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import ATTENTION, Judgement, Verdict
from bench.verdict.saving import Outcome

#: Raised when a name in the JSON disappears or means something else.
SCHEMA = 1

#: Families that a grid is parted into beside its other cells; the smaller ones stay among these.
MOST_FAMILIES = 4
#: Findings of one kind that are named below the table; the others are counted.
MOST_NAMED = 10

_TITLES = {"tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy", "python": "Python"}


@dataclass(frozen=True)
class Family:
    """Cells of one grid that a row tells of."""

    grid: str
    pairs: Pairs
    """Axis values of its cells; empty for all cells of the grid that are in no other family."""
    alone: bool
    """The grid has no other family."""
    items: frozenset[Item]

    def words(self, code: Callable[[str], str] = str) -> str:
        """``optimizer, opt:nadam``; ``optimizer, others``; ``depth``."""
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
    if not chain:
        return "No upgrade was measured.\n"
    headers = ("cells", *(plain(step_title(step)) for step in chain))
    rows = [
        [family.words(code), *(_entry(step, family) for step in chain)]
        for family in families(chain)
    ]
    parts = [table(headers, rows, "l" * len(headers))] if rows else []
    for step in chain:
        parts += [f"### {plain(step_title(step))}", "\n".join(f"- {line}" for line in _told(step))]
    return "\n\n".join(parts) + "\n"


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
    return msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n"


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
    told = []
    for word, judgements in counted.items():
        why = _why(judgements) if judgements[0].verdict.fails else ""
        shown = f"{len(judgements)} {word}"
        if word in ("changed", "regressed", "crashed"):
            shown = f"**{shown}**"
        told.append(f"{shown}{f' ({plain(why, 120)})' if why else ''}")
    return ", ".join(told)


def _counted(step: Conclusion, family: Family) -> dict[str, list[Judgement]]:
    """Judgements by word, passes first."""
    newly = {item for item, _ in gained(step)}
    counted: dict[str, list[Judgement]] = {}
    for verdict in reversed(ATTENTION):
        for judgement in step.judgements:
            if judgement.verdict is verdict and judgement.item in family.items:
                word = _word(step, judgement, newly)
                counted.setdefault(word, []).append(judgement)
    return counted


def _word(step: Conclusion, judgement: Judgement, newly: set[Item]) -> str:
    if judgement.item in step.lost:
        return "lost"
    if judgement.item in newly:
        return "gained"
    if judgement.rung == "absent":
        return "on neither side"
    if judgement.verdict is Verdict.CRASHED and judgement.item in step.crashed_before:
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


def _told(step: Conclusion) -> list[str]:
    """Findings of a step, the most important first, as Markdown without bullets."""
    answer = step.answer.value
    lines = [f"**{answer[:1].upper()}{answer[1:]}**: {plain(said(step.because), 1000)}."]
    lines.append(_software(step))
    for pattern, judgements in changed_groups(step)[:MOST_NAMED]:
        facts = plain("; ".join(group_facts(judgements)), 700)
        grids = ", ".join(dict.fromkeys(j.item.grid for j in judgements))
        lines.append(f"{pattern.words(code)} (in {grids}): {facts}.")
    lines += _crashes(step)
    for wrong, text in ((Wrong.NEW, "newly wrong"), (Wrong.OLD, "no longer wrong")):
        checks = [code(c.check.id) for c in step.checks if c.wrong is wrong]
        claims = [
            f"{code(claim_name(c))} of {code(named(c.item))}"
            for c in step.claims
            if c.wrong is wrong
        ]
        lines += _named(checks, "check", f"Checks of arithmetic {text}")
        lines += _named(claims, "cell", f"Claims {text}")
    lines += _savings(step)
    lines += [
        plain(f"Speed, {speed_words(work, found)}.", 500) for work, found in step.speeds.items()
    ]
    reasons = {j.item: j.reason for j in step.judgements}
    lines += _by_reason([(i, reasons[i]) for i in step.lost], "Cannot be trained any more")
    lines += _by_reason(gained(step), "Can be trained only now")
    return [line for line in lines if line]


def _software(step: Conclusion) -> str:
    old, new = (run.environment.software for run in (step.both[0], step.run))
    changed = different(old, new)
    told = [
        f"{_TITLES[name]} {changed[name][0] or 'none'} -> {changed[name][1] or 'none'}"
        for name in _TITLES
        if name in changed
    ]
    return plain(f"{', '.join(told)}.") if told else ""


def _crashes(step: Conclusion) -> list[str]:
    found = [(j.item, j.reason) for j in step.failing if j.verdict is Verdict.CRASHED]
    return _by_reason(found, "Crashes")


def _named(names: Sequence[str], noun: str, title: str) -> list[str]:
    if not names:
        return []
    rest = len(names) - MOST_NAMED
    others = f" and {more(rest, noun)}" if rest > 0 else ""
    return [f"{title}: {', '.join(names[:MOST_NAMED])}{others}."]


def _savings(step: Conclusion) -> list[str]:
    """Saved models that do not come back; those that do are counted."""
    lines = []
    fine = 0
    for saving in step.savings:
        if saving.outcome in (Outcome.SAME, Outcome.ROUNDING):
            fine += 1
        elif saving.outcome is not Outcome.ABSENT:
            known = FORMATS.get(saving.format)
            title = known.title if known is not None else saving.format
            text = f"Saved model {saving.model}, {title}: {saving.outcome.value}: {saving.reason}."
            lines.append(plain(text, 400))
    return [*lines, f"{count(fine, 'saved model')} read back the same."] if fine else lines


def _by_reason(found: Sequence[tuple[Item, str]], title: str) -> list[str]:
    groups: dict[str, list[Item]] = {}
    for item, reason in found:
        groups.setdefault(reason, []).append(item)
    lines = [
        f"{title}: {plain(reason)} ({code(named(items[0]))}"
        f"{f' and {len(items) - 1} more' if len(items) > 1 else ''})."
        for reason, items in list(groups.items())[:MOST_NAMED]
    ]
    rest = sum(len(items) for items in list(groups.values())[MOST_NAMED:])
    return [*lines, f"{title}: {more(rest, 'cell')}."] if rest else lines


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
                "values": dict(pattern.pairs),
                "cells": [named(judgement.item) for judgement in judgements],
                "facts": group_facts(judgements),
            }
            for pattern, judgements in changed_groups(step)
        ],
        "checks": [{"check": c.check.id, "wrong": c.wrong.name.lower()} for c in step.checks],
        "claims": [
            {"cell": named(c.item), "wrong": c.wrong.name.lower(), "old": c.old, "new": c.new}
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
        "lost": [named(item) for item in step.lost],
        "gained": [named(item) for item, _ in gained(step)],
    }
