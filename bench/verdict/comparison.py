"""Distribution rung: samples in, comparisons with their verdicts and reasons out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from bench.statistics.levels import LUCK
from bench.statistics.shares import Array
from bench.verdict.advice import MOST_SEEDS, seeds_against_luck, seeds_for_means, seeds_for_shares
from bench.verdict.analysis import CRASHED, DIVERGED, Analysis, Mask, Sides, analyse
from bench.verdict.baselines.samples import Sample
from bench.verdict.judgement import Comparison, Verdict
from bench.verdict.metrics import METRICS, Metric


@dataclasses.dataclass(frozen=True)
class Pair:
    """One cell's samples on both sides, in any order; seeds may differ in part or all."""

    baseline: Sequence[Sample]
    run: Sequence[Sample]


def compare(
    pairs: Sequence[Pair], *, alpha: float, other: str = "baseline"
) -> list[list[Comparison]]:
    """Comparisons of each pair: crashes, divergence, then in the order of METRICS.

    Outcomes of equal shares on both sides are left out, and so is a metric that is defined on
    neither side, or that the baseline has not measured.

    Seeds that both sides have are matched where that helps: metrics of the first step are subtracted
    seed by seed, and equivalence is shown on such pairs. All else is of two samples, all seeds of one
    side against all of the other; where fewer than two seeds match, everything is.

    Args:
        pairs: every cell that is tested: false alarms are controlled over all of them.
        alpha: the level of the run, or the part of it that this look spends. Tests get their share of
            it (:mod:`bench.statistics.levels`), and it is, cell by cell, the level at which equivalence
            is shown. Luck has a level of its own, which does not depend on it.
        other: what reasons call the side that the run is compared with.

    Raises:
        ValueError: a side has a seed twice.
    """
    if not pairs:
        return []
    outcomes, values = _arrays(pairs)
    concluder = _Concluder(analyse(outcomes, values), values, alpha, other)
    return [concluder.comparisons(cell) for cell in range(len(pairs))]


_OUTCOMES = {"trained": 0.0, DIVERGED: 1.0, CRASHED: 2.0}


def _arrays(pairs: Sequence[Pair]) -> tuple[dict[str, Sides], dict[str, Sides]]:
    """Outcomes, and each metric on its scale."""
    columns = [_columns(pair) for pair in pairs]
    width = max(1, *map(len, columns))
    shape = (2, len(METRICS), len(pairs), width)
    values, known = np.full(shape, np.nan), np.zeros(shape, bool)
    ended = np.full((2, len(pairs), width), np.nan)
    for cell, (pair, column) in enumerate(zip(pairs, columns, strict=True)):
        for side, samples in enumerate((pair.baseline, pair.run)):
            for sample in samples:
                place = cell, column[sample.seed]
                found = [sample.metrics.get(metric.name) for metric in METRICS]
                ended[(side, *place)] = _OUTCOMES[sample.outcome]
                values[(side, slice(None), *place)] = [np.nan if x is None else x for x in found]
                known[(side, slice(None), *place)] = [m.name in sample.metrics for m in METRICS]
    known[1] &= known[0].any(axis=-1, keepdims=True)
    measured, alive = ~np.isnan(ended), ended < _OUTCOMES[CRASHED]
    sides = {}
    for index, metric in enumerate(METRICS):
        scaled = values[:, index]
        if metric.scale == "log":  # where 0 has no value
            scaled = np.log(np.where(scaled > 0, scaled, np.nan))
        reached = alive if metric.paired else ended == _OUTCOMES["trained"]
        sides[metric.name] = _sides(scaled, known[:, index] & reached)
    outcomes = {
        CRASHED: _sides((ended == _OUTCOMES[CRASHED]).astype(float), measured),
        DIVERGED: _sides((ended == _OUTCOMES[DIVERGED]).astype(float), alive),
    }
    return outcomes, sides


def _columns(pair: Pair) -> dict[int, int]:
    """The column of each seed, the same on both sides."""
    sides = [[sample.seed for sample in side] for side in (pair.baseline, pair.run)]
    if any(len(set(seeds)) < len(seeds) for seeds in sides):
        raise ValueError("a side of a pair has a seed twice")
    return {seed: column for column, seed in enumerate(dict.fromkeys(sides[0] + sides[1]))}


def _sides(values: Array, applies: Mask) -> Sides:
    return Sides(*np.where(applies, values, np.nan), *applies)


@dataclasses.dataclass(frozen=True)
class _Concluder:
    """The comparisons of an analysis, cell by cell, with their verdicts and reasons."""

    analysis: Analysis
    values: dict[str, Sides]
    alpha: float
    other: str

    def comparisons(self, cell: int) -> list[Comparison]:
        differ = {name: part.differ[cell] for name, part in self.analysis.shares.items()}
        comparisons = [
            self._shares(name, cell, None) for name in (CRASHED, DIVERGED) if differ[name]
        ]
        for metric in METRICS:
            if differ[metric.name]:
                comparisons.append(self._shares(metric.name, cell, metric))
            elif self.analysis.means[metric.name].difference.seeds[cell] > 0:
                comparisons.append(self._means(metric, cell))
        return comparisons

    def _shares(self, name: str, cell: int, metric: Metric | None) -> Comparison:
        """Shares of an outcome, or of a metric that is not defined under some seeds."""
        shares = self.analysis.shares[name]
        (a, b), (n, m) = ([float(x[cell]) for x in both] for both in (shares.hits, shares.seeds))
        verdict, why = self._verdict_on_shares(name, cell)
        if verdict is Verdict.CHANGED and (metric is None or metric.undefined_better):
            verdict = _DIRECTION[b / m < a / n]
        state = f"{metric.title} {metric.undefined}" if metric else name
        means: list[float | None] = [a / n, b / m]
        if metric:
            sides = self.values[name]
            means = [_raw_mean(metric, side[cell]) for side in (sides.baseline, sides.run)]
        return Comparison(
            metric=name,
            baseline_mean=means[0],
            mean=means[1],
            change=None if metric else b / m - a / n,
            p_value=_finite(shares.exact[cell]),
            adjusted_p=_finite(shares.adjusted[cell]),
            verdict=verdict,
            reason=f"{state} under {b:.0f} of {m:.0f} seeds, {self.other} {a:.0f} of {n:.0f}: {why}",
        )

    def _verdict_on_shares(self, name: str, cell: int) -> tuple[Verdict, str]:
        """``changed`` or ``inconclusive``, and why."""
        shares = self.analysis.shares[name]
        adjusted, luck = float(shares.adjusted[cell]), float(shares.luck[cell])
        if adjusted <= self.alpha:
            return Verdict.CHANGED, f"adjusted p {adjusted:.2g}"
        if luck <= LUCK:
            return Verdict.CHANGED, f"luck does that in one run of {1 / luck:.0f} at most"
        if not math.isnan(luck):
            return Verdict.INCONCLUSIVE, _may_be_luck(luck, int(shares.mixed[cell]))
        needed = seeds_for_shares(self.analysis, name, cell, alpha=self.alpha)
        why = f"may be luck (adjusted p {adjusted:.2g}); {_advice(needed)}"
        return Verdict.INCONCLUSIVE, why

    def _means(self, metric: Metric, cell: int) -> Comparison:
        means, sides = self.analysis.means[metric.name], self.values[metric.name]
        before, after = (_raw_mean(metric, side[cell]) for side in (sides.baseline, sides.run))
        change = _finite(means.difference.change[cell])
        verdict, why = self._verdict_on_means(metric, cell)
        seeds = int(means.difference.seeds[cell])
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
            f"({shown}n = {seeds}), {why}",
        )

    def _verdict_on_means(self, metric: Metric, cell: int) -> tuple[Verdict, str]:
        means = self.analysis.means[metric.name]
        change, adjusted = float(means.difference.change[cell]), float(means.adjusted[cell])
        luck, margin = float(means.luck[cell]), metric.describe_margin()
        if math.isnan(adjusted):
            return Verdict.INCONCLUSIVE, "one seed shows no spread: at least 2 are needed"
        if adjusted <= self.alpha and abs(change) > metric.minimum_effect:
            if luck > LUCK:
                return Verdict.INCONCLUSIVE, _may_be_luck(luck, int(means.mixed[cell]))
            better = change * metric.better
            verdict = Verdict.CHANGED if not better else _DIRECTION[better > 0]
            return verdict, f"adjusted p {adjusted:.2g}, margin {margin}"
        equivalent = float(means.equivalence.equivalent[cell])
        if equivalent <= self.alpha:
            return Verdict.EQUIVALENT, f"within {margin} (p {equivalent:.2g})"
        needed = seeds_for_means(metric, self.analysis, cell, alpha=self.alpha)
        why = (
            f"no change is shown (adjusted p {adjusted:.2g}), nor that it is within {margin}; "
            f"{_advice(needed)}"
        )
        return Verdict.INCONCLUSIVE, why


_DIRECTION = {True: Verdict.IMPROVED, False: Verdict.REGRESSED}


def _may_be_luck(luck: float, mixed: int) -> str:
    cells = "1 other cell" if mixed == 1 else f"{mixed} other cells"
    return (
        f"may be luck (p {luck:.2g}: some seeds of {cells} end in one state and some in another); "
        f"{_advice(seeds_against_luck(mixed))}"
    )


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
