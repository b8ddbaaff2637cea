"""Figures of both sides: run against baseline on a diagonal, and changes cell by metric."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from statistics import fmean

from bench.errors import count
from bench.report.figures.names import in_lines, shortened
from bench.report.figures.picture import GREY, VERMILION, Heat, Label, Panel, Picture, Ticks, Trace
from bench.report.markup import code
from bench.results.plan import Item
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import ATTENTION, CHANGED, PASSED, Judgement, Verdict
from bench.verdict.metrics import BY_NAME, Metric

#: Metrics on diagonals.
_SHOWN = ("test_accuracy", "signal_ratio_start")
#: Cells that are numbered on a diagonal, and named below it: those furthest from it.
MOST_NAMED_POINTS = 4
#: Rows of the heat map, and characters of a line of their names.
MOST_ROWS_SHOWN, _NAME_WIDTH = 20, 56
#: Inches that a character and a line of a row's name take, and a metric's column.
_CHARACTER, _LINE, _COLUMN = 0.066, 0.14, 1.1
#: A change of so many times the smallest one that matters has the full tint.
_FULL = 10.0
_EFFECTS = "A change of a ratio is a factor; pp: percentage points. Pale is large."
#: Ticks of an axis.
_TICKS = 6
#: Kinds of cells: name, colour and marker.
_KINDS = (
    ("identical", GREY, "."),
    ("same but for rounding or luck", 0, "o"),
    ("undecided", 4, "s"),
    ("changed", VERMILION, "D"),
)


def agreement_picture(conclusion: Conclusion) -> Picture | None:
    """Accuracy and signal ratio of each cell, the run's against the baseline's; None where every cell
    is identical, or nothing can be compared."""
    if all(j.verdict is Verdict.IDENTICAL for j in conclusion.judgements):
        return None
    numbers: dict[Item, int] = {}
    panels = [panel for name in _SHOWN if (panel := _diagonal(conclusion, BY_NAME[name], numbers))]
    if not panels:
        return None
    far = "; ".join(f"{number}: {code(item.name)}" for item, number in numbers.items())
    cells, after = count(len(conclusion.judgements), "cell"), _after(conclusion)
    return Picture(
        path="figures/agreement.svg",
        heading="The same on both sides lies on the line",
        alternative=f"Accuracy and signal ratio of {cells}, {after} against {_before(conclusion)}",
        caption="Means over the seeds that both sides have."
        + (f" Furthest from the line: {far}." if far else ""),
        panels=tuple(panels),
        columns=len(panels),
        size=(4.8, 4.2),
    )


def effects_picture(conclusion: Conclusion) -> Picture | None:
    """Changes of every metric of the cells that were tested, the largest first; None without any."""
    rows = sorted(
        (j for j in conclusion.judgements if any(c.change is not None for c in j.comparisons)),
        key=lambda j: (ATTENTION.index(j.verdict), -max(_effect(j, name) or 0 for name in BY_NAME)),
    )[:MOST_ROWS_SHOWN]
    names = [name for name in BY_NAME if any(_effect(j, name) is not None for j in rows)]
    if not rows or not names:
        return None
    cells, common = shortened([j.item for j in rows])
    labels = [in_lines(f"{cells[j.item]}: {j.verdict.value}", _NAME_WIDTH) for j in rows]
    lines = [label.split("\n") for label in labels]
    heat = Heat(
        "",
        "",
        tuple(labels),
        tuple("\n".join(textwrap.wrap(BY_NAME[name].title, 16)) for name in names),
        tuple(tuple(_tint(_effect(j, name)) for name in names) for j in rows),
        tuple(tuple(_text(j, name) for name in names) for j in rows),
        "change / smallest that matters",
        ((0.0, "0"), (0.5, f"{_FULL / 2:.0f}"), (1.0, f"≥ {_FULL:.0f}")),
    )
    told = [f"Each row of {code(grid)} has {code(text)}." for grid, text in common.items()]
    heading = "Changes, cell by metric"
    return Picture(
        path="figures/effects.svg",
        heading=heading,
        alternative=f"{heading}: {count(len(rows), 'cell')}, {count(len(names), 'metric')}",
        caption=" ".join([_EFFECTS, *told]),
        panels=(heat,),
        columns=1,
        size=(
            1.8
            + _CHARACTER * max(len(line) for each in lines for line in each)
            + _COLUMN * len(names),
            1.2 + (0.14 + _LINE * max(map(len, lines))) * len(rows),
        ),
    )


def _before(conclusion: Conclusion) -> str:
    return "OLD" if conclusion.old is not None else "the baseline"


def _after(conclusion: Conclusion) -> str:
    return "NEW" if conclusion.old is not None else "this run"


def _diagonal(conclusion: Conclusion, metric: Metric, numbers: dict[Item, int]) -> Panel | None:
    """One metric; cells that are far from the line get the next number, or the one that they have."""
    points = {
        j.item: (j, pair) for j in conclusion.judgements if (pair := _pair(conclusion, j, metric))
    }
    if not points:
        return None
    values = [value for _, pair in points.values() for value in pair]
    low, high = min(values), max(values)
    traces = [Trace("equal", ((low, low), (high, high)), GREY, dashes=1, width=0.8)]
    for name, colour, marker in _KINDS:
        shown = tuple(sorted(pair for j, pair in points.values() if _kind(j) == name))
        if shown:
            traces.append(Trace(name, shown, colour, line=False, marker=marker, size=3.4))
    apart = sorted(points.values(), key=lambda point: -_distance(metric, point[1]))
    labels = [
        Label(*pair, str(numbers.setdefault(judgement.item, len(numbers) + 1)))
        for judgement, pair in apart[:MOST_NAMED_POINTS]
        if _distance(metric, pair) > metric.minimum_effect
    ]
    return Panel(
        metric.title,
        _before(conclusion),
        _after(conclusion),
        tuple(traces),
        scale=metric.scale,
        x_scale=metric.scale,
        x_ticks=_ticks(low, high, metric),
        labels=tuple(labels),
    )


def _ticks(low: float, high: float, metric: Metric) -> Ticks:
    """Tenths of a share, or a few powers of ten."""
    if metric.scale == "linear":
        tenths = range(math.floor(10 * low), math.ceil(10 * high) + 1)
        return tuple((n / 10, f"{n / 10:g}") for n in tenths[:: math.ceil(len(tenths) / _TICKS)])
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return tuple((10.0**n, f"1e{n}") for n in decades[:: math.ceil(len(decades) / _TICKS)])


def _pair(
    conclusion: Conclusion, judgement: Judgement, metric: Metric
) -> tuple[float, float] | None:
    """Means before and after over the seeds that both sides have; None where one has no value."""
    baseline, item = conclusion.baseline, judgement.item
    stored = baseline.find(item) if baseline is not None else None
    if stored is None:
        return None
    before = {sample.seed: sample.metrics.get(metric.name) for sample in stored.samples}
    pairs = [
        (old, new)
        for record in conclusion.run.of(item.cell)
        if (old := before.get(record.seed)) is not None and (new := metric.get(record)) is not None
    ]
    if not pairs:
        return None
    olds, news = zip(*pairs, strict=True)
    return _mean(olds, metric), _mean(news, metric)


def _mean(values: Sequence[float], metric: Metric) -> float:
    """Geometric where the scale is logarithmic."""
    return math.exp(fmean(map(math.log, values))) if metric.scale == "log" else fmean(values)


def _distance(metric: Metric, pair: tuple[float, float]) -> float:
    old, new = pair
    return abs(math.log(new / old)) if metric.scale == "log" else abs(new - old)


def _kind(judgement: Judgement) -> str:
    if judgement.verdict is Verdict.IDENTICAL:
        return "identical"
    if judgement.verdict in PASSED:
        return "same but for rounding or luck"
    return "changed" if judgement.verdict in CHANGED else "undecided"


def _effect(judgement: Judgement, name: str) -> float | None:
    """A change of a metric over the smallest one that matters; None where none is known."""
    changes = [c.change for c in judgement.comparisons if c.metric == name and c.change is not None]
    return abs(changes[0]) / BY_NAME[name].minimum_effect if changes else None


def _tint(effect: float | None) -> float | None:
    return None if effect is None else min(effect / _FULL, 1.0)


def _text(judgement: Judgement, name: str) -> str:
    changes = [c.change for c in judgement.comparisons if c.metric == name and c.change is not None]
    return BY_NAME[name].describe_change(changes[0]) if changes else ""
