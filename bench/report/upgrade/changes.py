"""What trains differently after an upgrade, and in which metrics: the first sections of its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.report.document import Block, Bullets, Section, limited_table
from bench.report.markup import code, strong
from bench.report.run.evidence import change_of, metric_title
from bench.report.text import (
    MOST_REASON,
    MOST_ROWS,
    NOTHING,
    clipped,
    count,
    grouped,
    more,
    significant,
    some_of,
    span,
)
from bench.report.upgrade.patterns import Pattern, patterns, shared
from bench.report.upgrade.words import MOST_ORIGINS, origin, scripts, sentences, times
from bench.results.plan import Item
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import CHANGED, PASSED, Comparison, Judgement, Verdict
from bench.verdict.ladder import counts

_HEADERS = (
    "cell",
    "verdict",
    "outside from step",
    "difference, over what rounding explains",
    "begins in",
    "metrics, or reason",
)
#: How the names of metrics of gradient flow begin.
_OF_GRADIENTS = ("signal_", "kernel_", "dead_")


def changed_groups(upgrade: Conclusion) -> list[tuple[Pattern, list[Judgement]]]:
    """Cells that changed or regressed, in groups that axis values tell from cells that did not; those
    that nothing tells apart are grouped by where their differences begin."""
    by_item = {judgement.item: judgement for judgement in upgrade.judgements}
    changed = [j.item for j in upgrade.judgements if j.verdict in CHANGED]
    others = [j.item for j in upgrade.judgements if j.verdict in PASSED]
    open_ = [j.item for j in upgrade.judgements if j.verdict not in CHANGED | PASSED]
    groups: list[tuple[Pattern, list[Judgement]]] = []
    for pattern in patterns(changed, others, open_):
        judgements = [by_item[item] for item in pattern.items]
        if pattern.pairs or pattern.everything:
            groups.append((pattern, judgements))
        else:
            groups += [
                (Pattern(tuple(j.item for j in part), (), len(part)), part)
                for part in _by_origin(judgements)
            ]
    return groups


def group_facts(judgements: Sequence[Judgement]) -> list[str]:
    """Plain sentences on a group: verdicts, since when and by how much, where it begins."""
    tests = [j.envelope for j in judgements if j.envelope is not None and not j.envelope.inside]
    facts = [", ".join(f"{n} {verdict.value}" for verdict, n in counts(judgements).items())]
    steps = [test.first_step for test in tests if test.first_step is not None]
    if steps:
        ratios = [test.ratio for test in tests if test.first_step is not None]
        facts.append(
            f"losses leave the rounding envelope at step {span(steps)}, "
            f"up to {times(max(ratios))} as far from OLD's as rounding explains"
        )
    begins = Counter(origin(test) for test in tests if test.departure is not None)
    if begins:
        named = begins.most_common(MOST_ORIGINS)
        places = [
            where if len(begins) == 1 else f"{where} ({count(n, 'cell')})" for where, n in named
        ]
        rest = sum(begins.values()) - sum(n for _, n in named)
        places += [f"elsewhere ({count(rest, 'cell')})"] if rest else []
        facts.append(f"begins in {'; '.join(places)}")
    metrics = Counter(
        metric_title(c.metric) for j in judgements for c in j.comparisons if c.verdict in CHANGED
    )
    if metrics:
        facts.append(
            "metrics that changed: "
            + ", ".join(f"{title} ({count(n, 'cell')})" for title, n in metrics.most_common())
        )
    if not steps and not begins and not metrics:
        facts.append(judgements[0].reason)
    return facts


def leading_metric(judgement: Judgement) -> str:
    """Title of the first metric that changed; empty if none did."""
    return next((metric_title(c.metric) for c in judgement.comparisons if c.verdict in CHANGED), "")


def semantic_section(
    upgrade: Conclusion, *, brief: bool, reproducers: Mapping[Item, str]
) -> Section | None:
    """Cells that train to something else, in groups; None if there is none."""
    groups = changed_groups(upgrade)
    if not groups:
        return None
    others = [j.item for j in upgrade.judgements if j.verdict in PASSED]
    changed = sum(len(judgements) for _, judgements in groups)
    rest = len(upgrade.judgements) - changed - len(others)
    blocks: list[Block | None] = [
        f"Trained to something that rounding and luck do not explain: {count(changed, 'cell')}. To "
        f"what they explain: {len(others)}. Crashed, or nothing was concluded: {rest}. Steps are "
        "counted from 0; a size is relative to that of the tensor."
    ]
    shown = groups[:MOST_ROWS] if brief else groups
    for pattern, judgements in shown:
        lines = [f"{strong(pattern.text)}.", *sentences(group_facts(judgements))]
        common = shared([j.item for j in judgements], others) if not pattern.pairs else ()
        if common and others and len(judgements) > 1:
            axis, value = common[0]
            lines.append(f"They share {code(f'{axis}:{value}')}, which other cells have too.")
        blocks.append(" ".join([*lines, *scripts(judgements, reproducers)]))
        if brief:
            blocks.append(f"{some_of([j.item.name for j in judgements])}.")
        else:
            blocks += limited_table(_HEADERS, [_row(j) for j in judgements], "llrrll")
    if len(groups) > len(shown):
        hidden = sum(len(judgements) for _, judgements in groups[len(shown) :])
        blocks.append(f"And {more(hidden, 'cell')} in {count(len(groups) - len(shown), 'group')}.")
    return Section("What trains differently", blocks)


def metric_sections(upgrade: Conclusion, *, brief: bool) -> list[Section]:
    """What changed in accuracy and learning, then in gradient flow; none if no metric did."""
    sections = []
    for title, learning in (("Accuracy and learning", True), ("Gradient flow", False)):
        changes = [
            (judgement, comparison)
            for judgement in upgrade.judgements
            for comparison in judgement.comparisons
            if comparison.verdict in CHANGED | {Verdict.IMPROVED}
            and comparison.metric.startswith(_OF_GRADIENTS) is not learning
        ]
        if changes:
            sections.append(Section(title, _metrics(upgrade, changes, brief=brief)))
    return sections


def _row(judgement: Judgement) -> list[str]:
    test = judgement.envelope
    start = [code(judgement.item.name), judgement.verdict.value]
    if test is None or test.inside:
        return [*start, NOTHING, NOTHING, NOTHING, clipped(judgement.reason, MOST_REASON)]
    departure = test.departure
    begins = NOTHING
    if departure is not None:
        size = "∞" if departure.distance is None else significant(departure.distance, 2)
        allowed = significant(departure.allowed, 2)
        begins = f"{clipped(origin(test))}: {size}, rounding explains {allowed}"
    metrics = [c.reason for c in judgement.comparisons if c.verdict in CHANGED]
    outside = NOTHING if test.first_step is None else str(test.first_step)
    reason = clipped("; ".join(metrics), MOST_REASON) or NOTHING
    return [*start, outside, times(test.ratio), begins, reason]


def _by_origin(judgements: Sequence[Judgement]) -> list[list[Judgement]]:
    """Together what begins in the same tensor at the same step, the largest group first."""
    groups = grouped(
        (origin(test) if (test := j.envelope) is not None and not test.inside else j.rung, j)
        for j in judgements
    )
    return sorted(groups.values(), key=len, reverse=True)


def _metrics(
    upgrade: Conclusion, changes: Sequence[tuple[Judgement, Comparison]], *, brief: bool
) -> list[Block]:
    lines = []
    for name, verdict in dict.fromkeys((c.metric, c.verdict) for _, c in changes):
        items = [j.item for j, c in changes if (c.metric, c.verdict) == (name, verdict)]
        groups = patterns(items, *_compared(upgrade, name, items))
        cells = "; ".join(group.text for group in groups)
        lines.append(f"{metric_title(name)} {verdict.value}: {cells}.")
    rows = [
        [
            code(judgement.item.name),
            metric_title(comparison.metric),
            significant(comparison.baseline_mean, 4),
            significant(comparison.mean, 4),
            change_of(comparison),
            significant(comparison.adjusted_p, 2),
            comparison.verdict.value,
        ]
        for judgement, comparison in changes
    ]
    headers = ("cell", "metric", "OLD, mean", "NEW, mean", "change", "p (Holm)", "verdict")
    return [Bullets(lines), *limited_table(headers, rows, "llrrrrl", brief=brief)]


def _compared(
    upgrade: Conclusion, metric: str, items: Sequence[Item]
) -> tuple[list[Item], list[Item]]:
    """Of the other cells: those whose metric is shown not to have changed, and the undecided ones."""
    chosen, others, open_ = set(items), [], []
    for judgement in upgrade.judgements:
        if judgement.item in chosen:
            continue
        verdicts = {c.verdict for c in judgement.comparisons if c.metric == metric}
        if judgement.verdict is Verdict.IDENTICAL or verdicts & {Verdict.EQUIVALENT}:
            others.append(judgement.item)
        else:
            open_.append(judgement.item)
    return others, open_
