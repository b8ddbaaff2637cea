"""Figures of P1 and P6, which look at gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from bench.errors import count
from bench.published.experiments import EXPERIMENTS
from bench.report.figures.picture import Level, Panel, Picture, Spread, Trace
from bench.report.published.panels import published_picture, spread
from bench.report.published.seeds import (
    FORM_NAMES,
    geometric,
    having,
    mean,
    of_one_form,
    points_of,
    values_of,
)
from bench.results.trial import TrialResult


def weights(results: Sequence[TrialResult]) -> list[Picture | None]:
    """P1: distributions of the first layer's weights and of their gradient, over steps."""
    seen = {
        result.trial.variant: result
        for result in of_one_form([result for result in results if result.histograms])
    }
    shown = [seen[variant] for variant in EXPERIMENTS["P1"].variants if variant in seen]
    if not shown:
        return []
    numbers = of_one_form(results)
    panels = [
        *_distributions(shown, numbers, gradient=False),
        *_distributions(shown, numbers, gradient=True),
    ]
    first = shown[0].trial
    return [
        published_picture(
            "P1",
            "weights",
            "P1: weights of the first layer (above) and their gradient (below) over the training",
            "Weights of the first layer of P1 and their gradient over the steps: "
            + ", ".join(result.trial.variant for result in shown),
            "All panels of a row have one vertical axis, logarithmic on both sides of 0; steps are "
            "logarithmic, too. A bar is one look: pale all entries, dark the middle 68 %; lines: the "
            f"root of the mean square, on both sides ({FORM_NAMES[first.form]}, seed {first.seed}; a "
            "step has one example, so a gradient may have one sign). Above the panels: the standard "
            "deviation over the first 1,000 steps. Expected: with small weights the third layer makes "
            "the gradient hundreds of times smaller, and the weights stay where they began; with "
            "Xavier weights both networks have gradients of one size.",
            panels,
            columns=len(shown),
            size=(3.3, 2.9),
        )
    ]


def _distributions(
    shown: Sequence[TrialResult], numbers: Sequence[TrialResult], *, gradient: bool
) -> list[Panel]:
    """One row: w1, or its gradient, of each variant, with one axis."""
    rows = [
        tuple(
            spread(found)
            for found in result.histograms
            if found.name == "w1" and found.gradient is gradient and any(found.counts)
        )
        for result in shown
    ]
    threshold, reach = _symmetric(rows)
    return [
        Panel(
            result.trial.variant,
            "step",
            "gradient of w1" if gradient else "w1",
            spreads=spreads,
            scale="symmetric",
            x_scale="symmetric",
            threshold=threshold,
            limits=(-reach, reach),
            note=_deviation(numbers, result.trial.variant) if gradient else "",
        )
        for result, spreads in zip(shown, rows, strict=True)
    ]


def _symmetric(rows: Sequence[Sequence[Spread]]) -> tuple[float, float]:
    """Where the axis turns logarithmic, and its end.

    A histogram of 30 bins says nothing below a thirtieth of the largest entry: linear is what lies
    below the decade of a thirtieth of the median largest entry of the smallest panel.
    """
    sizes = [[max(-each.low, each.high) for each in spreads] for spreads in rows]
    medians = [sorted(row)[len(row) // 2] for row in sizes if row]
    known = [median for median in medians if median > 0]
    largest = max((size for row in sizes for size in row), default=0.0)
    if not known or not math.isfinite(largest):
        return 1.0, 1.0
    return 10.0 ** math.floor(math.log10(min(known) / 30)), 1.5 * largest


def _deviation(results: Sequence[TrialResult], variant: str) -> str:
    variances = [
        value
        for result in results
        if result.trial.variant == variant
        and (value := result.numbers.get("variance w1")) is not None
        and value > 0
    ]
    if not variances:
        return ""
    size = math.exp(fmean(map(math.log, variances)) / 2)
    return f"standard deviation {size:.2g} ({count(len(variances), 'seed')})"


#: Weights and bias of one layer have one colour.
_VARIABLES = (("w1", 0, 0), ("b1", 0, 1), ("w2", 1, 0), ("b2", 1, 1), ("w3", 2, 0), ("b3", 2, 1))


@dataclass(frozen=True)
class _Norms:
    """Norms of P6's gradients over the epochs."""

    results: list[TrialResult]
    epoch: float

    def lines(self, prefix: str) -> list[Trace]:
        """Each variable's, geometric mean over seeds."""
        found = []
        for name, colour, dashes in _VARIABLES:
            own = having(self.results, f"{prefix} {name}")
            if own:
                seeds = [points_of(result, f"{prefix} {name}", self.epoch) for result in own]
                found.append(Trace(name, mean(seeds, geometric), colour, dashes=dashes))
        return found

    def ratio(self) -> list[Trace]:
        """The ratio of w1's norm to w3's, before clipping, seed by seed and in the mean."""
        seeds = []
        for result in having(self.results, "norm w3"):
            if "norm w1" in result.curves:
                first = points_of(result, "norm w1", self.epoch)
                last = dict(points_of(result, "norm w3", self.epoch))
                seeds.append(tuple((x, _quotient(value, last.get(x))) for x, value in first))
        if not seeds:
            return []
        faint = [Trace("", points, 7, faint=True) for points in seeds]
        return [*faint, Trace("w1 / w3", mean(seeds, geometric), 6)]


def _quotient(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def norms(results: Sequence[TrialResult]) -> list[Picture | None]:
    """P6: norms of the gradients before and after clipping, and those of w1 against w3."""
    own = of_one_form(having(results, "norm w1"))
    if not own:
        return []
    recipe = EXPERIMENTS["P6"].variants["global norm 15"]
    norms = _Norms(own, math.ceil(60_000 / recipe.batch))
    before, after, ratio = norms.lines("norm"), norms.lines("clipped norm"), norms.ratio()
    positive = [value for value in values_of([*before, *after]) if value > 0]
    limits = (min(positive) / 1.5, max(*positive, 15.0) * 1.5) if positive else None
    level = Level("the limit for all together", 15.0)

    def panel(title: str, y_label: str, traces: Sequence[Trace]) -> Panel:
        return Panel(title, "epochs", y_label, tuple(traces), scale="log")

    pair = [trace for trace in before if trace.name in ("w1", "w3")]
    panels = [
        *(
            replace(panel(title, "norm of the gradient", traces), limits=limits, levels=(level,))
            for title, traces in (("before clipping", before), ("after clipping", after))
        ),
        panel("w1 against w3, before clipping", "norm of the gradient", pair),
        panel("w1 / w3, before clipping", "ratio of the norms", ratio),
    ]
    return [
        published_picture(
            "P6",
            "norms",
            "P6: norms of the six gradients over the training",
            "Norms of the gradients of P6 before and after clipping, and of w1 against w3",
            f"Geometric means over {count(len(own), 'seed')} ({FORM_NAMES[own[0].trial.form]}), of "
            "the batch at every hundredth step; thin grey lines: seeds. Clipping by the global norm "
            "multiplies all six by one factor, so that they keep their distances; only the first few "
            "steps are beyond the limit (compare the leftmost points). Below: w1's gradient shrinks "
            "against w3's where the ratio falls.",
            [panel for panel in panels if panel.traces],
            columns=2,
        )
    ]
