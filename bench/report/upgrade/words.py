"""What sections of an upgrade's report share: where differences begin, on how many seeds they rest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from bench.report.markup import code
from bench.report.text import MOST_REASON, capital, clipped, significant
from bench.results.plan import Item
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import EnvelopeTest, Judgement
from bench.verdict.metrics import BY_NAME

#: Ways in which the differences of a group begin that are named, and its scripts; the others are
#: counted.
MOST_ORIGINS = 3


def origin(test: EnvelopeTest) -> str:
    """Tensor and step at which a difference begins: ``layer 3, kernel before step 1``."""
    departure = test.departure
    return "" if departure is None else f"{departure.tensor}, before step {departure.step}"


def times(ratio: float) -> str:
    """``3.1 times``."""
    return "infinitely" if math.isinf(ratio) else f"{significant(ratio)} times"


def scripts(judgements: Sequence[Judgement], reproducers: Mapping[Item, str]) -> list[str]:
    """A sentence for each of the first scripts that show what became of these cells."""
    items = [judgement.item for judgement in judgements if judgement.item in reproducers]
    return [
        f"Script that shows it for {code(item.name)}: {code(reproducers[item])}."
        for item in items[:MOST_ORIGINS]
    ]


def sentences(facts: Sequence[str]) -> list[str]:
    """Facts with capitals and full stops."""
    return [f"{clipped(capital(fact), MOST_REASON)}." for fact in facts]


def because_text(because: Sequence[str]) -> str:
    """What an answer rests on, in one sentence."""
    return "; ".join(because) if because else "nothing was measured"


def runs(upgrade: Conclusion) -> tuple[StoredRun, StoredRun]:
    """What the old and the new side measured."""
    return upgrade.both[0], upgrade.run


def common_seeds(upgrade: Conclusion, item: Item) -> int:
    """Seeds that both sides measured."""
    old, new = (
        {r.seed for r in run.of(item.cell) if r.outcome in ("trained", "diverged")}
        for run in runs(upgrade)
    )
    return len(old & new)


def metric_means(records: Sequence[Record]) -> dict[str, float | None]:
    """Mean over the replicas that have a value, by metric; None where none has."""
    values = {
        name: [value for record in records if (value := metric.get(record)) is not None]
        for name, metric in BY_NAME.items()
    }
    return {name: statistics.fmean(known) if known else None for name, known in values.items()}
