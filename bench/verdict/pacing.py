"""Speed and memory of a run against stored runs of its machine: a chart that trips, no verdict.

docs/speed.md has the rule, its rate of false alarms and the reasons. What trips is decided by a live
comparison of both versions (:class:`bench.results.live.Live`), with the rule of
:mod:`bench.verdict.speed`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from bench.results.live import Live
from bench.results.pace import QUANTITIES, Pace, PaceResult, Quantity, unit
from bench.statistics.chart import Limits, limits
from bench.verdict import speed
from bench.verdict.baselines.speeds import StoredPaces, levels_of

#: Chance that anything of a run lies outside its limits if nothing has changed.
ALPHA = 0.05
#: Chance that any interval of a live comparison misses what is true. A false verdict takes half of it:
#: on a machine that trips each night of a year, 365 * .0025 = .9 of them.
LIVE_ALPHA = 0.005
#: Stored runs below which there are no limits: with 5 they are 2.4 times as wide as with many.
FEWEST = 5

Conclusion = Literal["within limits", "beyond", "below", "machine", "new"]


class PaceJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity of one pace against what is stored."""

    pace: Pace
    quantity: Quantity
    unit: str
    """Of ``value`` and ``centre``."""
    conclusion: Conclusion
    value: float
    stored: int
    """Runs of the last level."""
    centre: float = math.nan
    """Their mean."""
    change: float = math.nan
    """As a ratio less 1 of times, else as a difference."""
    low: float = math.nan
    high: float = math.nan
    """Limits of the change."""
    live: speed.Speed | None = None
    """What the live comparison says."""

    @property
    def open(self) -> bool:
        """Whether it trips upwards and nothing has decided it."""
        return self.conclusion == "beyond" and (
            self.live is None or self.live.verdict == "undecided"
        )

    @property
    def worse(self) -> bool:
        """Whether the live comparison found it slower, or larger."""
        return self.live is not None and self.live.verdict == "slower"

    @property
    def title(self) -> str:
        """``training, MLP of depth 3, fit: time of a step``."""
        return f"{self.pace.workload.title}: {QUANTITIES[self.quantity].title}"

    @property
    def changed(self) -> str:
        """``+9.8 % (limits -4.1 to +4.3)``; empty without limits."""
        if math.isnan(self.change):
            return ""
        shares = QUANTITIES[self.quantity].logarithmic
        scale, unit = (100, "%") if shares else (1, self.unit)
        change, low, high = (f"{scale * v:+.1f}" for v in (self.change, self.low, self.high))
        return f"{change} {unit} (limits {low} to {high})"


def judge(
    paces: Iterable[PaceResult],
    stored: Sequence[StoredPaces],
    software: Mapping[str, str],
    *,
    live: Live | None = None,
    alpha: float = ALPHA,
) -> list[PaceJudgement]:
    """Every quantity of every pace, in their order.

    Args:
        paces: of the run; crashed ones have no quantities.
        stored: runs of this machine and class, oldest first.
        software: versions of the run.
        live: comparison that was run because something tripped.
        alpha: chance that anything trips if nothing has changed.
    """
    levels = [[_scaled_values(one) for one in level] for level in levels_of(stored)]
    asked = [
        (result, quantity, value) for result in paces for quantity, value in result.values.items()
    ]
    same = bool(stored) and dict(stored[-1].software) == dict(software)
    decided = _decided(live)
    return [
        _judged(
            result,
            quantity,
            value,
            [
                [one[key] for one in level if (key := (result.pace, quantity)) in one]
                for level in levels
            ],
            alpha / len(asked),
            same=same,
            live=decided.get((result.pace, quantity)),
        )
        for result, quantity, value in asked
    ]


def _scaled_values(one: StoredPaces) -> dict[tuple[Pace, Quantity], float]:
    """A stored run's values on their scales."""
    return {
        (result.pace, quantity): _scaled(value, quantity)
        for result in one.paces
        for quantity, value in result.values.items()
    }


def _judged(
    result: PaceResult,
    quantity: Quantity,
    value: float,
    series: list[list[float]],
    alpha: float,
    *,
    same: bool,
    live: speed.Speed | None,
) -> PaceJudgement:
    filled = [values for values in series if values]
    known = sum(map(len, filled))
    # A level that has just begun has no run with this pace: nothing says where it lies.
    found = limits(filled, alpha) if known >= FEWEST and series and series[-1] else None
    if found is None:
        return PaceJudgement(
            pace=result.pace,
            quantity=quantity,
            unit=unit(quantity, result.device),
            conclusion="new",
            value=value,
            stored=len(series[-1]) if series else 0,
            live=live,
        )
    change = _scaled(value, quantity) - found.centre
    low, high = _at_least(found, _smallest(result, quantity))
    conclusion: Conclusion = "within limits"
    if change > high:
        conclusion = "machine" if same else "beyond"
    elif change < low:
        conclusion = "below"
    back = math.expm1 if QUANTITIES[quantity].logarithmic else float
    centre = math.exp(found.centre) if QUANTITIES[quantity].logarithmic else found.centre
    return PaceJudgement(
        pace=result.pace,
        quantity=quantity,
        unit=unit(quantity, result.device),
        conclusion=conclusion,
        value=value,
        stored=found.size,
        centre=centre,
        change=back(change),
        low=back(low),
        high=back(high),
        live=live,
    )


def _at_least(found: Limits, smallest: float) -> tuple[float, float]:
    """Limits of a change, no narrower than what matters."""
    return min(found.low - found.centre, -smallest), max(found.high - found.centre, smallest)


def _smallest(result: PaceResult, quantity: Quantity) -> float:
    """Smallest change that matters, on the quantity's scale."""
    measure = QUANTITIES[quantity]
    if quantity == "growth":
        return result.growth_slack / 2**10
    return math.log1p(measure.smallest) if measure.logarithmic else measure.smallest


def _scaled(value: float, quantity: Quantity) -> float:
    return math.log(value) if QUANTITIES[quantity].logarithmic else value


def _decided(live: Live | None) -> dict[tuple[Pace, Quantity], speed.Speed]:
    """Verdicts of a live comparison, all of one level."""
    if live is None:
        return {}
    rounds = {(each.pace, each.quantity): each.rounds for each in live.compared}
    return speed.judge(rounds, alpha=LIVE_ALPHA)
