"""What sections of an upgrade's report share: names of cells, numbers, tables that fold."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.report.text import code, folded, more, plain, significant, table
from bench.results.plan import Item
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import EnvelopeTest, Judgement, Verdict
from bench.verdict.metrics import BY_NAME

#: Rows of a table that are shown at once; in a full report the others are folded away.
MOST_ROWS = 15


#: Ways in which the differences of a group begin that are named; the others are counted.
MOST_ORIGINS = 3


#: Characters of a reason: one that tells where a difference begins has about 400.
MOST_REASON = 700


CHANGED = (Verdict.REGRESSED, Verdict.CHANGED)


PASSED = (Verdict.IMPROVED, Verdict.EQUIVALENT, Verdict.ROUNDING, Verdict.IDENTICAL)


def named(item: Item) -> str:
    """``<grid>/<id>``."""
    return f"{item.grid}/{item.id}"


def origin(test: EnvelopeTest) -> str:
    """Tensor and step at which a difference begins: ``layer 3, kernel before step 1``."""
    departure = test.departure
    return "" if departure is None else f"{departure.tensor}, before step {departure.step}"


def times(ratio: float) -> str:
    """``3.1 times``."""
    return "infinitely" if math.isinf(ratio) else f"{significant(ratio)} times"


def first(items: Sequence[Item]) -> str:
    others = f" and {len(items) - 1} more" if len(items) > 1 else ""
    return code(named(items[0])) + others


def examples(items: Sequence[Item]) -> str:
    """All of a few, some of many."""
    few = items if len(items) <= MOST_ORIGINS + 1 else items[:MOST_ORIGINS]
    rest = f" and {len(items) - len(few)} more" if len(few) < len(items) else ""
    return ", ".join(code(named(item)) for item in few) + rest + "."


def scripts(judgements: Sequence[Judgement], reproducers: Mapping[Item, str]) -> list[str]:
    scripts = [(j.item, reproducers[j.item]) for j in judgements if j.item in reproducers]
    return [
        f"Script that shows it for {code(named(item))}: {code(path)}."
        for item, path in scripts[:MOST_ORIGINS]
    ]


def span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def sentences(facts: Sequence[str]) -> list[str]:
    return [f"{plain(fact[:1].upper() + fact[1:], MOST_REASON)}." for fact in facts]


def folding(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """A table whose later rows are folded away."""
    parts = [table(headers, rows[:MOST_ROWS], align)]
    if len(rows) > MOST_ROWS:
        hidden = table(headers, rows[MOST_ROWS:], align)
        parts.append(folded(more(len(rows) - MOST_ROWS, "row"), hidden))
    return parts


def runs(upgrade: Conclusion) -> tuple[StoredRun, StoredRun]:
    return upgrade.both[0], upgrade.run


def measured(record: Record) -> bool:
    return record.outcome in ("trained", "diverged")


def common_seeds(upgrade: Conclusion, item: Item) -> int:
    """Seeds that both sides measured."""
    old, new = ({r.seed for r in run.of(item.cell) if measured(r)} for run in runs(upgrade))
    return len(old & new)


def mean(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return statistics.fmean(values) if values else None


def metric_means(records: Sequence[Record]) -> dict[str, float | None]:
    """Mean over the replicas that have a value, by metric."""

    def of(get: Callable[[Record], float | None]) -> float | None:
        return mean([value for record in records if (value := get(record)) is not None])

    return {name: of(metric.get) for name, metric in BY_NAME.items()}
