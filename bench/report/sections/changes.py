"""What trains differently, in groups of cells that belong together, and where it begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.errors import count
from bench.report.document import Block, Section, limited_table
from bench.report.markup import code, strong
from bench.report.reproducer import Scripts
from bench.report.sections.rounding import begins_in, parting
from bench.report.text import MOST_REASON, brief, capital, clipped
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import CHANGED, PASSED, Judgement
from bench.verdict.ladder import counts
from bench.verdict.metrics import BY_NAME
from bench.verdict.patterns import Pairs, Pattern

#: Ways in which the differences of a group begin that are named, and its scripts; the others are
#: counted.
MOST_ORIGINS = 3


def changes_section(conclusion: Conclusion, reproducers: Scripts) -> Section | None:
    """Cells that train to something else, in groups; None if there is none."""
    groups = conclusion.groups
    if not groups:
        return None
    passed = sum(judgement.verdict in PASSED for judgement in conclusion.judgements)
    changed = sum(len(group.judgements) for group in groups)
    rest = len(conclusion.judgements) - changed - passed
    blocks: list[Block | None] = [
        f"Trained to something that rounding and luck do not explain: {count(changed, 'cell')}. To "
        f"what they explain: {passed}. Failed otherwise, or nothing was concluded: {rest}. Steps are "
        "counted from 0; a size is relative to that of the tensor."
    ]
    for group in groups:
        facts = (clipped(capital(fact), MOST_REASON) for fact in group_facts(group.judgements))
        lines = [f"{strong(pattern_text(group.pattern))}.", *(f"{fact}." for fact in facts)]
        if group.common:
            lines.append(f"They share {_joined(group.common[:1])}, which other cells have too.")
        blocks.append(" ".join([*lines, *scripts(group.judgements, reproducers)]))
        rows = [
            [strong(j.verdict.value), code(j.item.name), brief(j.reason)] for j in group.judgements
        ]
        blocks += limited_table(("verdict", "cell", "reason"), rows, "lll")
    return Section("What trains differently", blocks)


def pattern_text(pattern: Pattern) -> str:
    """Inline text, such as ``14 cells, every one with opt:nadam``."""
    number = len(pattern.items)
    cells = count(number, "cell")
    if pattern.everything:
        return f"{cells}, every one that could be compared"
    if not pattern.pairs:
        if number == 1:
            return "1 cell by itself"
        return f"{cells} that no axis value, nor two of them, tells from the others"
    text = f"{cells}, every one with {_joined(pattern.pairs)}"
    if pattern.having > number:
        text = (
            f"{cells} with {_joined(pattern.pairs)}; {pattern.having - number} more with it could not "
            "be decided"
        )
    if pattern.same:
        text += f" (the same cells have {', '.join(map(_joined, pattern.same))})"
    return text


def group_facts(judgements: Sequence[Judgement]) -> list[str]:
    """Plain facts on a group: verdicts, since when and by how much, where it begins, in which metrics;
    the reasons of cells that have none of these."""
    tests = [j.envelope for j in judgements if j.envelope is not None and not j.envelope.inside]
    facts = [", ".join(f"{n} {verdict.value}" for verdict, n in counts(judgements).items())]
    if parted := parting(tests):
        facts.append(parted)
    if begins := begins_in(tests):
        facts.append(f"begins in {begins}")
    metrics = Counter(
        metric_title(c.metric) for j in judgements for c in j.comparisons if c.verdict in CHANGED
    )
    if metrics:
        changed = [f"{title} ({count(n, 'cell')})" for title, n in metrics.most_common()]
        facts.append(f"metrics that changed: {', '.join(changed)}")
    others = Counter(
        j.reason
        for j in judgements
        if (j.envelope is None or j.envelope.inside)
        and not any(c.verdict in CHANGED for c in j.comparisons)
    )
    return [*facts, *(reason for reason, _ in others.most_common(MOST_ORIGINS))]


def leading_metric(judgement: Judgement) -> str:
    """Title of the first metric that changed; empty if none did."""
    return next((metric_title(c.metric) for c in judgement.comparisons if c.verdict in CHANGED), "")


def metric_title(name: str) -> str:
    """The title of a metric; its name if this version does not know it."""
    return BY_NAME[name].title if name in BY_NAME else name


def scripts(judgements: Sequence[Judgement], reproducers: Scripts) -> list[str]:
    """A sentence for each of the first scripts that show what became of these cells."""
    items = [judgement.item for judgement in judgements if judgement.item in reproducers]
    return [
        f"Script that shows it for {code(item.name)}: {code(reproducers[item])}."
        for item in items[:MOST_ORIGINS]
    ]


def _joined(pairs: Pairs) -> str:
    return " and ".join(code(f"{axis}:{value}") for axis, value in pairs)
