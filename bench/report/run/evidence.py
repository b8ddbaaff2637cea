"""What verdicts rest on besides bits: claims that were checked, distributions that were compared."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.text import NOTHING, code, count, folded, more, plain, significant, table
from bench.theory.claim import ClaimResult
from bench.verdict.judgement import Judgement
from bench.verdict.metrics import BY_NAME

#: Pieces of evidence per violated claim which are listed.
MOST_VIOLATIONS = 5


def claims_list(judgements: Sequence[Judgement]) -> list[str]:
    """Which claims hold for a grid's cells, and where one does not; none without claims."""
    claims: dict[str, list[tuple[str, ClaimResult]]] = {}
    for judgement in judgements:
        for result in judgement.claims:
            claims.setdefault(result.claim, []).append((judgement.item.id, result))
    if not claims:
        return []
    lines = []
    for name, results in claims.items():
        violated = [(id_, result) for id_, result in results if not result.holds]
        holding = f"{len(results) - len(violated)}/{len(results)}"
        word = "**violated**, holds" if violated else "holds"
        lines.append(f"- {code(name)} {word} {holding}: {plain(results[0][1].statement, 400)}")
        lines += [
            f"  - {code(id_)}: {plain(result.evidence)}"
            for id_, result in violated[:MOST_VIOLATIONS]
        ]
        if len(violated) > MOST_VIOLATIONS:
            lines.append(f"  - and {more(len(violated) - MOST_VIOLATIONS, 'cell')}")
    return ["Claims that hold for any TensorFlow:", "\n".join(lines)]


def evidence_table(judgements: Sequence[Judgement]) -> str:
    """Every metric that was tested, folded away: who doubts a verdict reads here."""
    rows = []
    for judgement in judgements:
        for found in judgement.comparisons:
            metric = BY_NAME.get(found.metric)
            change = NOTHING if found.change is None else significant(found.change)
            if metric is not None and found.change is not None:
                change = metric.describe_change(found.change)
            rows.append(
                [
                    code(f"{judgement.item.grid}/{judgement.item.id}"),
                    metric.title if metric else found.metric,
                    significant(found.baseline_mean, 4),
                    significant(found.mean, 4),
                    plain(change),
                    significant(found.p_value, 2),
                    significant(found.adjusted_p, 2),
                    found.verdict.value,
                ]
            )
    if not rows:
        return ""
    headers = ("cell", "metric", "baseline mean", "mean", "change", "p", "p (Holm)", "verdict")
    title = f"Evidence: {count(len(rows), 'comparison')} of distributions"
    return folded(title, table(headers, rows, "llrrrrrl"))
