"""Distribution rung: samples in, comparisons with their verdicts and reasons out."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from bench.verdict import statistics
from bench.verdict.analysis import (
    DIVERGED,
    FLIPS,
    MEANS,
    Analysis,
    Mask,
    Sides,
    analyse,
    seeds_against_luck,
    seeds_needed,
)
from bench.verdict.baseline import Sample
from bench.verdict.judgement import Comparison, Verdict
from bench.verdict.metrics import METRICS, Metric
from bench.verdict.statistics import Array

#: More seeds than this are no advice.
MOST_SEEDS = 1000


@dataclasses.dataclass(frozen=True)
class Pair:
    """One cell's samples on both sides: the same seeds in the same order."""

    baseline: Sequence[Sample]
    run: Sequence[Sample]


def compare(pairs: Sequence[Pair], *, alpha: float) -> list[list[Comparison]]:
    """For each pair its comparisons: divergence first, then in the order of METRICS.

    Divergence of as many seeds on either side is left out, and so is a metric that is defined on
    neither side, or that the baseline has not measured.
    """
    if not pairs:
        return []
    diverged, values = _arrays(pairs)
    analysis = analyse(diverged, values)
    teller = _Teller(analysis, values, alpha)
    return [teller.comparisons(cell) for cell in range(len(pairs))]


def _arrays(pairs: Sequence[Pair]) -> tuple[Sides, dict[str, Sides]]:
    """Divergence, and each metric on its scale."""
    shape = (len(pairs), max(len(pair.run) for pair in pairs))

    def fill(of: Callable[[Sample], float | None], side: str) -> Array:
        array = np.full(shape, np.nan)
        for row, pair in enumerate(pairs):
            column = [of(sample) for sample in getattr(pair, side)]
            array[row, : len(column)] = [np.nan if x is None else x for x in column]
        return array

    outcomes = [fill(lambda s: float(s.outcome == "diverged"), side) for side in _SIDES]
    values = {}
    for metric in METRICS:
        name = metric.name
        known = fill(lambda s, name=name: float(name in s.metrics), "baseline") == 1  # type: ignore[misc]
        applies: list[Mask] = [
            known & (~np.isnan(side) if metric.paired else side == 0) for side in outcomes
        ]
        raw = [fill(lambda s, name=name: s.metrics.get(name), side) for side in _SIDES]  # type: ignore[misc]
        if metric.scale == "log":
            raw = [np.log(array) for array in raw]
        masked = [np.where(mask, array, np.nan) for mask, array in zip(applies, raw, strict=True)]
        values[name] = Sides(masked[0], masked[1], applies[0], applies[1])
    measured = [~np.isnan(side) for side in outcomes]
    return Sides(outcomes[0], outcomes[1], measured[0], measured[1]), values


_SIDES = ("baseline", "run")


class _Teller:
    """Puts an analysis into words, cell by cell."""

    def __init__(self, analysis: Analysis, values: dict[str, Sides], alpha: float) -> None:
        self.analysis = analysis
        self.alpha = alpha
        self.differ = {name: shares.differ for name, shares in analysis.shares.items()}
        self.values = values

    def comparisons(self, cell: int) -> list[Comparison]:
        told = [self._diverged(cell)] if self.differ[DIVERGED][cell] else []
        for metric in METRICS:
            if self.differ[metric.name][cell]:
                told.append(self._undefined(metric, cell))
            elif self.analysis.means[metric.name].seeds[cell] > 0:
                told.append(self._means(metric, cell))
        return told

    def _diverged(self, cell: int) -> Comparison:
        verdict, reason = self._shares(DIVERGED, cell)
        (a, b), (n, m) = self._counts(DIVERGED, cell)
        if verdict is Verdict.CHANGED:
            verdict = Verdict.REGRESSED if b / m > a / n else Verdict.IMPROVED
        reason = f"diverged under {b:.0f} of {m:.0f} seeds, baseline {a:.0f} of {n:.0f}: {reason}"
        return self._of_shares(DIVERGED, cell, verdict, reason, a / n, b / m)

    def _undefined(self, metric: Metric, cell: int) -> Comparison:
        verdict, reason = self._shares(metric.name, cell)
        (a, b), (n, m) = self._counts(metric.name, cell)
        reason = (
            f"{metric.title} is not defined (zero, or overflow) under {b:.0f} of {m:.0f} seeds, "
            f"baseline {a:.0f} of {n:.0f}: {reason}"
        )
        sides = self.values[metric.name]
        means = [_raw_mean(metric, side[cell]) for side in (sides.baseline, sides.run)]
        return self._of_shares(metric.name, cell, verdict, reason, *means)

    def _of_shares(
        self,
        name: str,
        cell: int,
        verdict: Verdict,
        reason: str,
        baseline: float | None,
        mean: float | None,
    ) -> Comparison:
        shares = self.analysis.shares[name]
        linear = name == DIVERGED and baseline is not None and mean is not None
        return Comparison(
            metric=name,
            baseline_mean=baseline,
            mean=mean,
            change=mean - baseline
            if linear and mean is not None and baseline is not None
            else None,
            p_value=_finite(np.fmin(shares.exact[cell], shares.lucky[cell])),
            adjusted_p=_finite(shares.adjusted[cell]),
            verdict=verdict,
            reason=reason,
        )

    def _counts(self, name: str, cell: int) -> tuple[tuple[float, float], tuple[float, float]]:
        (a, b), (n, m) = self.analysis.shares[name].hits, self.analysis.shares[name].seeds
        return (float(a[cell]), float(b[cell])), (float(n[cell]), float(m[cell]))

    def _shares(self, name: str, cell: int) -> tuple[Verdict, str]:
        """``changed`` or ``inconclusive``, and why."""
        shares = self.analysis.shares[name]
        adjusted = float(shares.adjusted[cell])
        if adjusted <= self.alpha:
            return Verdict.CHANGED, f"adjusted p {adjusted:.2g}"
        if not math.isnan(shares.lucky[cell]):
            return Verdict.INCONCLUSIVE, self._luck(shares.mixed, shares.lucky[cell])
        (a, b), (n, m) = self._counts(name, cell)
        level = self.alpha / MEANS / max(self.analysis.tests, 1)
        needed = _fisher_seeds(a / n, b / m, int(max(n, m)), level)
        return (
            Verdict.INCONCLUSIVE,
            f"may be luck (adjusted p {adjusted:.2g}); {_advice(needed)}",
        )

    def _luck(self, mixed: float, p: float) -> str:
        needed = seeds_against_luck(mixed, self.alpha / FLIPS)
        return (
            f"may be luck (p {p:.2g}: {mixed:g} cells of this run do both, depending on the seed); "
            f"{_advice(needed)}"
        )

    def _means(self, metric: Metric, cell: int) -> Comparison:
        means = self.analysis.means[metric.name]
        sides = self.values[metric.name]
        before, after = (_raw_mean(metric, side[cell]) for side in (sides.baseline, sides.run))
        change = _finite(means.difference.change[cell])
        verdict, ending = self._verdict(metric, cell)
        seeds = int(means.seeds[cell])
        shown = "" if change is None else f"{metric.describe_change(change)}, "
        return Comparison(
            metric=metric.name,
            baseline_mean=before,
            mean=after,
            change=change,
            p_value=_finite(means.difference.p_value[cell]),
            adjusted_p=_finite(means.adjusted[cell]),
            verdict=verdict,
            reason=f"{metric.title} {metric.describe(before)} -> {metric.describe(after)} "
            f"({shown}n = {seeds}), {ending}",
        )

    def _verdict(self, metric: Metric, cell: int) -> tuple[Verdict, str]:
        means = self.analysis.means[metric.name]
        change, adjusted = float(means.difference.change[cell]), float(means.adjusted[cell])
        margin = metric.describe_margin()
        if math.isnan(adjusted) or means.seeds[cell] < 2:
            return Verdict.INCONCLUSIVE, "one seed shows no spread: at least 2 are needed"
        if adjusted <= self.alpha and abs(change) > metric.minimum_effect:
            better = change * metric.better
            verdict = Verdict.CHANGED if not better else _DIRECTION[better > 0]
            return verdict, f"adjusted p {adjusted:.2g}, margin {margin}"
        if means.equivalent[cell] <= self.alpha:
            p = means.equivalent[cell]
            return Verdict.EQUIVALENT, f"within {margin} (p {p:.2g})"
        lucky = float(means.lucky[cell])
        if lucky > self.alpha / FLIPS and abs(change) > metric.minimum_effect:
            return Verdict.INCONCLUSIVE, self._luck(float(means.mixed[cell]), lucky)
        needed = seeds_needed(metric, self.analysis, cell, alpha=self.alpha)
        return (
            Verdict.INCONCLUSIVE,
            f"no change is shown (adjusted p {adjusted:.2g}), nor that it is within {margin}; "
            f"{_advice(needed)}",
        )


_DIRECTION = {True: Verdict.IMPROVED, False: Verdict.REGRESSED}


@functools.lru_cache(maxsize=1024)
def _fisher_seeds(a: float, b: float, seeds: int, level: float) -> float:
    """Seeds, above ``seeds``, at which shares ``a`` and ``b`` would differ at this level."""
    for n in range(seeds + 1, 200):
        if statistics.fisher(round(a * n), n, round(b * n), n) <= level:
            return n
    return math.inf


def _advice(seeds: float) -> str:
    if seeds > MOST_SEEDS:
        return f"more than {MOST_SEEDS} seeds would decide"
    return f"about {seeds:.0f} seeds would decide, on both sides"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _raw_mean(metric: Metric, values: Array) -> float | None:
    """Mean on the metric's scale (geometric for log), as a raw value; None where there is none."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return None
    mean = float(defined.mean())
    return math.exp(mean) if metric.scale == "log" else mean
