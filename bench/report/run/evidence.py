"""What verdicts rest on besides bits: claims that were checked, distributions that were compared."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.document import Block, Bullets, Folded, Table
from bench.report.markup import code, strong
from bench.report.text import (
    MOST_NAMED,
    MOST_REASON,
    clipped,
    count,
    grouped,
    more,
    significant,
)
from bench.verdict.judgement import Comparison, Judgement
from bench.verdict.metrics import BY_NAME


def claims_list(judgements: Sequence[Judgement]) -> list[Block]:
    """Which claims hold for a grid's cells, and where one does not; none without claims."""
    claims = grouped(
        (result.claim, (judgement.item.id, result))
        for judgement in judgements
        for result in judgement.claims
    )
    items: list[str | tuple[str, Bullets]] = []
    for name, results in claims.items():
        violated = [
            f"{code(id_)}: {clipped(result.evidence)}"
            for id_, result in results
            if not result.holds
        ]
        held = f"{len(results) - len(violated)}/{len(results)}"
        word = f"{strong('violated')}, holds" if violated else "holds"
        text = f"{code(name)} {word} {held}: {clipped(results[0][1].statement, MOST_REASON)}"
        hidden = len(violated) - MOST_NAMED
        rest = [f"and {more(hidden, 'cell')}"] if hidden > 0 else []
        items.append((text, Bullets([*violated[:MOST_NAMED], *rest])))
    return ["Claims that hold for any TensorFlow:", Bullets(items)] if items else []


def metric_title(name: str) -> str:
    """The title of a metric; its name if this version does not know it."""
    return BY_NAME[name].title if name in BY_NAME else name


def change_of(comparison: Comparison) -> str:
    """How much a metric changed, in its unit."""
    metric = BY_NAME.get(comparison.metric)
    if metric is None or comparison.change is None:
        return significant(comparison.change)
    return metric.describe_change(comparison.change)


def evidence_table(judgements: Sequence[Judgement]) -> Folded | None:
    """Every metric that was tested, folded away: who doubts a verdict reads here."""
    rows = [
        [
            code(judgement.item.name),
            metric_title(comparison.metric),
            significant(comparison.baseline_mean, 4),
            significant(comparison.mean, 4),
            change_of(comparison),
            significant(comparison.p_value, 2),
            significant(comparison.adjusted_p, 2),
            comparison.verdict.value,
        ]
        for judgement in judgements
        for comparison in judgement.comparisons
    ]
    if not rows:
        return None
    headers = ("cell", "metric", "baseline mean", "mean", "change", "p", "p (Holm)", "verdict")
    title = f"Evidence: {count(len(rows), 'comparison')} of distributions"
    return Folded(title, [Table(headers, rows, "llrrrrrl")])
