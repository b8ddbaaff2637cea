"""Distribution rung: samples in, comparisons with their verdicts and reasons out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from bench.verdict.advice import MOST_SEEDS, seeds_against_luck, seeds_for_means, seeds_for_shares
from bench.verdict.analysis import (
    CRASHED,
    DIVERGED,
    Analysis,
    Means,
    Shares,
    Sides,
    analyse,
)
from bench.verdict.flips import part_of
from bench.verdict.judgement import Comparison, Verdict
from bench.verdict.metrics import METRICS, Metric
from bench.verdict.samples import Sample
from bench.verdict.statistics import Array


@dataclasses.dataclass(frozen=True)
class Pair:
    """One cell's samples on both sides, in any order; seeds may differ in part or all."""

    baseline: Sequence[Sample]
    run: Sequence[Sample]


def compare(
    pairs: Sequence[Pair], *, alpha: float, other: str = "baseline"
) -> list[list[Comparison]]:
    """For each pair its comparisons: crashes, divergence, then in the order of METRICS.

    Outcomes of equal shares on both sides are left out, and so is a metric that is defined on
    neither side, or that the baseline has not measured.

    Seeds that both sides have are matched where that helps: metrics of the first step are subtracted
    seed by seed, and equivalence is shown on such pairs. All else is of two samples, all seeds of one
    side against all of the other; where fewer than two seeds match, everything is.

    Args:
        pairs: every cell that is tested: false alarms are controlled over all of them.
        alpha: the chance of any false alarm; and, cell by cell, the level at which equivalence is
            shown.
        other: what reasons call the side that the run is compared with.

    Raises:
        ValueError: a side has a seed twice.
    """
    if not pairs:
        return []
    outcomes, values = _arrays(pairs)
    analysis = analyse(outcomes, values, alpha=alpha)
    teller = _Teller(analysis, values, alpha, other)
    return [teller.comparisons(cell) for cell in range(len(pairs))]


def _arrays(pairs: Sequence[Pair]) -> tuple[dict[str, Sides], dict[str, Sides]]:
    """Outcomes, and each metric on its scale."""
    columns = _Columns(pairs)
    ended = [columns.fill(side, lambda sample: _OUTCOMES[sample.outcome]) for side in _SIDES]
    measured = [~np.isnan(side) for side in ended]
    alive = [
        mask & (side != _OUTCOMES[CRASHED]) for mask, side in zip(measured, ended, strict=True)
    ]
    trained = [side == _OUTCOMES["trained"] for side in ended]
    outcomes = {
        name: columns.sides(
            [np.where(np.isnan(x), np.nan, x == _OUTCOMES[name]) for x in ended], masks
        )
        for name, masks in ((CRASHED, measured), (DIVERGED, alive))
    }
    values = {}
    for metric in METRICS:
        name = metric.name
        known = [columns.fill(side, _known(name)) == 1 for side in _SIDES]
        known[1] &= known[0].any(axis=1, keepdims=True)
        reached = alive if metric.paired else trained
        raw = [columns.fill(side, _value(name)) for side in _SIDES]
        if metric.scale == "log":
            raw = [np.log(array) for array in raw]
        values[name] = columns.sides(raw, [a & b for a, b in zip(known, reached, strict=True)])
    return outcomes, values


def _known(name: str) -> Callable[[Sample], float]:
    return lambda sample: float(name in sample.metrics)


def _value(name: str) -> Callable[[Sample], float | None]:
    return lambda sample: sample.metrics.get(name)


_SIDES = ("baseline", "run")
_OUTCOMES = {"trained": 0.0, DIVERGED: 1.0, CRASHED: 2.0}


class _Columns:
    """Lays samples out as arrays: a row per cell, a column per seed of a side."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._samples = {side: [getattr(pair, side) for pair in pairs] for side in _SIDES}
        found = [list(_matches(pair)) for pair in pairs]
        self._rows = np.repeat(np.arange(len(pairs)), [len(row) for row in found])
        self._matches = np.array([match for row in found for match in row], int).reshape(-1, 3)

    def fill(self, side: str, of: Callable[[Sample], float | None]) -> Array:
        """``of`` every sample; NaN where it is None, or there is none."""
        rows = self._samples[side]
        array = np.full((len(rows), max(1, max(map(len, rows)))), np.nan)
        for row, samples in enumerate(rows):
            array[row, : len(samples)] = [np.nan if x is None else x for x in map(of, samples)]
        return array

    def sides(self, arrays: Sequence[Array], applies: Sequence[npt.NDArray[np.bool_]]) -> Sides:
        """Both sides and the differences of matched seeds; NaN outside ``applies``."""
        before, after = (np.where(ok, x, np.nan) for x, ok in zip(arrays, applies, strict=True))
        place, first, second = self._matches.T
        most = int(place.max(initial=0)) + 1
        pairs = np.full((len(before), most), np.nan)
        pairs[self._rows, place] = after[self._rows, second] - before[self._rows, first]
        return Sides(before, after, applies[0], applies[1], pairs)


def _matches(pair: Pair) -> Iterator[tuple[int, int, int]]:
    """Number, and columns on both sides, of every seed that both have."""
    columns = [
        {sample.seed: i for i, sample in enumerate(side)} for side in (pair.baseline, pair.run)
    ]
    if [len(found) for found in columns] != [len(pair.baseline), len(pair.run)]:
        raise ValueError("a side of a pair has a seed twice")
    common = [seed for seed in columns[0] if seed in columns[1]]
    for place, seed in enumerate(common):
        yield place, columns[0][seed], columns[1][seed]


class _Teller:
    """Puts an analysis into words, cell by cell."""

    def __init__(
        self, analysis: Analysis, values: dict[str, Sides], alpha: float, other: str
    ) -> None:
        self.analysis = analysis
        self.alpha = alpha
        self.other = other
        self.differ = {name: shares.differ for name, shares in analysis.shares.items()}
        self.values = values

    def comparisons(self, cell: int) -> list[Comparison]:
        told = [self._outcome(name, cell) for name in _WORDS if self.differ[name][cell]]
        for metric in METRICS:
            if self.differ[metric.name][cell]:
                told.append(self._undefined(metric, cell))
            elif self.analysis.means[metric.name].difference.seeds[cell] > 0:
                told.append(self._means(metric, cell))
        return told

    def _outcome(self, name: str, cell: int) -> Comparison:
        verdict, reason = self._shares(name, cell, None)
        (a, b), (n, m) = self._counts(name, cell)
        if verdict is Verdict.CHANGED:
            verdict = _DIRECTION[b / m < a / n]
        ended = f"{_WORDS[name]} under {b:.0f} of {m:.0f} seeds"
        reason = f"{ended}, {self.other} {a:.0f} of {n:.0f}: {reason}"
        return self._of_shares(name, cell, verdict, reason, a / n, b / m)

    def _undefined(self, metric: Metric, cell: int) -> Comparison:
        verdict, reason = self._shares(metric.name, cell, metric)
        (a, b), (n, m) = self._counts(metric.name, cell)
        if verdict is Verdict.CHANGED and metric.undefined_better:
            verdict = _DIRECTION[b / m < a / n]
        reason = (
            f"{metric.title} {metric.undefined} under {b:.0f} of {m:.0f} seeds, "
            f"{self.other} {a:.0f} of {n:.0f}: {reason}"
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
        linear = name in _WORDS and baseline is not None and mean is not None
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

    def _shares(self, name: str, cell: int, metric: Metric | None) -> tuple[Verdict, str]:
        """``changed`` or ``inconclusive``, and why."""
        shares = self.analysis.shares[name]
        adjusted = float(shares.adjusted[cell])
        if adjusted <= self.alpha:
            return Verdict.CHANGED, f"adjusted p {adjusted:.2g}"
        if not math.isnan(shares.lucky[cell]):
            return Verdict.INCONCLUSIVE, self._luck(shares, cell, metric)
        needed = seeds_for_shares(self.analysis, name, cell, alpha=self.alpha)
        return (
            Verdict.INCONCLUSIVE,
            f"may be luck (adjusted p {adjusted:.2g}); {_advice(needed)}",
        )

    def _luck(self, part: Shares | Means, cell: int, metric: Metric | None) -> str:
        mixed = int(part.mixed[cell])
        needed = seeds_against_luck(mixed, part_of(metric) * self.alpha)
        sides = "1 side of a cell" if mixed == 1 else f"{mixed} sides of cells"
        return (
            f"may be luck (p {part.lucky[cell]:.2g}: in {sides} of this run some seeds end in one "
            f"state and some in another); {_advice(needed)}"
        )

    def _means(self, metric: Metric, cell: int) -> Comparison:
        means = self.analysis.means[metric.name]
        sides = self.values[metric.name]
        before, after = (_raw_mean(metric, side[cell]) for side in (sides.baseline, sides.run))
        change = _finite(means.difference.change[cell])
        verdict, ending = self._verdict(metric, cell)
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
            f"({shown}n = {seeds}), {ending}",
        )

    def _verdict(self, metric: Metric, cell: int) -> tuple[Verdict, str]:
        means = self.analysis.means[metric.name]
        change, adjusted = float(means.difference.change[cell]), float(means.adjusted[cell])
        margin = metric.describe_margin()
        if math.isnan(adjusted):
            return Verdict.INCONCLUSIVE, "one seed shows no spread: at least 2 are needed"
        if adjusted <= self.alpha and abs(change) > metric.minimum_effect:
            better = change * metric.better
            verdict = Verdict.CHANGED if not better else _DIRECTION[better > 0]
            return verdict, f"adjusted p {adjusted:.2g}, margin {margin}"
        equivalent = float(means.equivalence.equivalent[cell])
        if equivalent <= self.alpha:
            return Verdict.EQUIVALENT, f"within {margin} (p {equivalent:.2g})"
        if means.lucky[cell] > part_of(metric) * self.alpha:
            return Verdict.INCONCLUSIVE, self._luck(means, cell, metric)
        needed = seeds_for_means(metric, self.analysis, cell, alpha=self.alpha)
        return (
            Verdict.INCONCLUSIVE,
            f"no change is shown (adjusted p {adjusted:.2g}), nor that it is within {margin}; "
            f"{_advice(needed)}",
        )


_DIRECTION = {True: Verdict.IMPROVED, False: Verdict.REGRESSED}
_WORDS = {CRASHED: "crashed", DIVERGED: "diverged"}


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
