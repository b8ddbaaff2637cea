"""Metrics that were compared: what changed, and every test that a verdict rests on."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import count
from bench.report.document import Bullets, Folded, Section, Table, limited_table
from bench.report.markup import code
from bench.report.sections.changes import metric_title, pattern_text
from bench.report.text import significant
from bench.results.plan import Item
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import CHANGED, Comparison, Judgement, Verdict
from bench.verdict.metrics import BY_NAME
from bench.verdict.patterns import patterns

#: How the names of metrics of gradient flow begin.
_OF_GRADIENTS = ("signal_", "kernel_", "dead_")


def metric_sections(conclusion: Conclusion) -> list[Section]:
    """What changed in accuracy and learning, then in gradient flow; none if no metric did."""
    sections = []
    for title, learning in (("Accuracy and learning", True), ("Gradient flow", False)):
        changes = [
            (judgement, comparison)
            for judgement in conclusion.judgements
            for comparison in judgement.comparisons
            if comparison.verdict in CHANGED | {Verdict.IMPROVED}
            and comparison.metric.startswith(_OF_GRADIENTS) is not learning
        ]
        if not changes:
            continue
        lines = []
        for name, verdict in dict.fromkeys((c.metric, c.verdict) for _, c in changes):
            items = [j.item for j, c in changes if (c.metric, c.verdict) == (name, verdict)]
            groups = patterns(items, *_others(conclusion, name, items))
            cells = "; ".join(pattern_text(pattern) for pattern in groups)
            lines.append(f"{metric_title(name)} {verdict.value}: {cells}.")
        rows = [_row(*change) for change in changes]
        table = limited_table(_headers(conclusion), rows, "llrrrrrl")
        sections.append(Section(title, [Bullets(lines), *table]))
    return sections


def evidence_table(conclusion: Conclusion) -> Folded | None:
    """Every metric that was tested, folded away: who doubts a verdict reads here."""
    table = comparisons_table(conclusion, conclusion.judgements)
    if table is None:
        return None
    return Folded(f"Evidence: {count(len(table.rows), 'comparison')} of distributions", [table])


def comparisons_table(conclusion: Conclusion, judgements: Sequence[Judgement]) -> Table | None:
    """Every metric of these cells that was tested; None if none was."""
    rows = [_row(j, c) for j in judgements for c in j.comparisons]
    return Table(_headers(conclusion), rows, "llrrrrrl") if rows else None


def _headers(conclusion: Conclusion) -> tuple[str, ...]:
    before = "baseline" if conclusion.baseline is None else conclusion.baseline.short
    return ("cell", "metric", f"{before} mean", "mean", "change", "p", "p (Holm)", "verdict")


def _row(judgement: Judgement, comparison: Comparison) -> list[str]:
    metric, change = BY_NAME.get(comparison.metric), comparison.change
    return [
        code(judgement.item.name),
        metric_title(comparison.metric),
        significant(comparison.baseline_mean, 4),
        significant(comparison.mean, 4),
        significant(change) if metric is None or change is None else metric.describe_change(change),
        significant(comparison.p_value, 2),
        significant(comparison.adjusted_p, 2),
        comparison.verdict.value,
    ]


def _others(
    conclusion: Conclusion, metric: str, items: Sequence[Item]
) -> tuple[list[Item], list[Item]]:
    """The other cells: those whose metric is shown not to have changed, and the undecided ones."""
    chosen, others, undecided = set(items), [], []
    for judgement in conclusion.judgements:
        if judgement.item in chosen:
            continue
        verdicts = {c.verdict for c in judgement.comparisons if c.metric == metric}
        if judgement.verdict is Verdict.IDENTICAL or Verdict.EQUIVALENT in verdicts:
            others.append(judgement.item)
        else:
            undecided.append(judgement.item)
    return others, undecided
