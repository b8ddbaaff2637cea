"""Figures of P2 to P5: learning curves, beside what was published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bench.errors import count
from bench.published.experiments import EXPERIMENTS, SCALES, Published
from bench.report.figures.picture import Mark, Panel, Picture, Trace
from bench.report.published.panels import published_picture
from bench.report.published.seeds import (
    FORM_NAMES,
    enclosing,
    having,
    mean,
    of_one_form,
    points_of,
    seeds_and_mean,
    values_of,
)
from bench.results.trial import FORMS, TrialResult

#: Test accuracy after the first epoch in the revisions of Geron's notebook, chapter 11: of P3 in
#: each that matches the code, of P4 (value clipping) the smallest and the largest.
FIRST_EPOCH: Mapping[tuple[str, str], tuple[Mark, ...]] = {
    ("P3", "batch norm"): tuple(Mark(1, value, value, value) for value in (0.8738, 0.8727, 0.868)),
    ("P4", "value clipping"): (Mark(1, None, 0.31, 0.59),),
}

_FULL = (0.0, 1.0)


def scales(results: Sequence[TrialResult]) -> list[Picture | None]:
    """P2: mean learning curves by initial scale."""
    traces: list[Trace] = []
    for place, scale in enumerate(SCALES):
        for form in FORMS:
            own = having(results, "test accuracy", variant=f"w = {scale:g}", form=form)
            if own:
                name = f"w = {scale:g}" + (", session" if form == "session" else "")
                points = mean([points_of(result, "test accuracy") for result in own])
                # Neighbours differ in dashes, too, for those who cannot tell their colours.
                dashes = 3 if form == "session" else place % 3
                shade = place / (len(SCALES) - 1)
                traces.append(Trace(name, points, shade=shade, dashes=dashes))
    if not traces:
        return []
    shown = len({trace.shade for trace in traces})
    repetitions = max(
        sum(r.trial.variant == v for r in of_one_form(results)) for v in _variants("P2")
    )
    panel = Panel("from .9 to 1, as published", "batches", "test accuracy", tuple(traces))
    panels = [replace(panel, limits=(0.9, 1.0))]
    if any(value < 0.9 for value in values_of(traces)):
        panels.append(replace(panel, title="all of it", limits=_FULL))
    return [
        published_picture(
            "P2",
            "scales",
            f"P2: test accuracy, mean of {count(repetitions, 'repetition')}, by the initial scale w",
            f"Mean learning curves of P2 for {count(shown, 'initial scale')}",
            "Dark: small scales, pale: large ones. In the original every scale learns, .03 and .1 rise "
            "first, and .3 and 1 end below the others.",
            panels,
            columns=len(panels),
            size=(5.2, 3.9),
        )
    ]


def _variants(experiment: str) -> tuple[str, ...]:
    return tuple(EXPERIMENTS[experiment].variants)


def notebook(experiment: str) -> Callable[[Sequence[TrialResult]], list[Picture | None]]:
    """P3 and P4: learning curves and published values; what makes the figures of one of them."""

    def build(results: Sequence[TrialResult]) -> list[Picture | None]:
        panels: list[Panel] = []
        for published in EXPERIMENTS[experiment].published:
            panels += _learning(experiment, published, results)
        if not panels:
            return []
        whole = any(panel.title.endswith(_LATER) for panel in panels)
        end = (
            " On the right the second half, enlarged: do our seeds end where the published "
            "revisions do?"
            if whole
            else " The training was cut short, so the published final values are not shown."
        )
        return [
            published_picture(
                experiment,
                "curves",
                f"{experiment}: learning curves of all seeds and their mean",
                f"Learning curves of {experiment} with the published values",
                "Thin lines: seeds; thick lines: their mean; diamonds: published values, a bar where "
                "their range or spread is known." + end,
                panels,
                columns=2 if whole else len(panels),
            )
        ]

    return build


_LATER = ", second half"


def _learning(experiment: str, published: Published, results: Sequence[TrialResult]) -> list[Panel]:
    """All of it, and the second half if the trials are whole."""
    known = EXPERIMENTS[experiment]
    variant, curve = published.variant, published.quantity
    epoch = known.steps_between_looks(variant)
    traces: list[Trace] = []
    whole = True
    for colour, form in enumerate(FORMS):
        own = having(results, curve, variant=variant, form=form)
        traces += seeds_and_mean(
            own,
            curve,
            f"{FORM_NAMES[form]}, {count(len(own), 'seed')}",
            colour,
            unit=epoch,
            dashes=colour,
        )
        whole &= all(known.whole(result.trial) for result in own)
    if not traces:
        return []
    end = known.variants[variant].steps / epoch
    early = FIRST_EPOCH.get((experiment, variant), ())
    late = _marks(published.values, end, published.spread) if whole else ()
    # Untrained networks would take most of the axis.
    shown = tuple(_from(trace, 1) for trace in traces)
    panel = Panel(
        variant, "epochs", curve, shown, early + late, limits=_limits(shown, early + late)
    )
    if not whole:
        return [panel]
    shown = tuple(_from(trace, end / 2) for trace in traces)
    title, limits = variant + _LATER, _limits(shown, late)
    return [panel, replace(panel, title=title, traces=shown, marks=late, limits=limits)]


def _limits(traces: Sequence[Trace], marks: Sequence[Mark]) -> tuple[float, float] | None:
    edges = [edge for mark in marks for edge in (mark.low, mark.high)]
    return enclosing([*values_of(traces), *edges])


def _marks(values: Sequence[float], x: float, spread: float | None = None) -> tuple[Mark, ...]:
    wide = spread or 0.0
    return tuple(Mark(x, value, value - wide, value + wide) for value in values)


def _from(trace: Trace, least: float) -> Trace:
    return replace(trace, points=tuple(point for point in trace.points if point[0] >= least))


def zeros(results: Sequence[TrialResult]) -> list[Picture | None]:
    """P5: learning curves from zeros and from small random weights."""
    known = EXPERIMENTS["P5"]
    traces: list[Trace] = []
    marks: list[Mark] = []
    for form in FORMS:
        for colour, variant in enumerate(known.variants):
            own = having(results, "test accuracy", variant=variant, form=form)
            # Both forms may lie on one another: black dots show over any colour.
            name, shade, dashes = ("session", 6, 2) if form == "session" else (variant, colour, 0)
            traces += seeds_and_mean(own, "test accuracy", name, shade, dashes=dashes)
            if own and all(known.whole(result.trial) for result in own):
                marks += (
                    mark
                    for published in known.published
                    if published.variant == variant
                    for mark in _marks(published.values, known.variants[variant].steps)
                )
    if not traces:
        return []
    panel = Panel(
        "", "step", "test accuracy", tuple(traces), tuple(dict.fromkeys(marks)), limits=_FULL
    )
    return [
        published_picture(
            "P5",
            "zeros",
            "P5: test accuracy over the training, from zeros and from small random weights",
            "Test accuracy of P5 over the steps, for softmax regression and a hidden layer",
            "Thin lines: seeds; thick lines: their mean; diamonds: published. Expected: softmax "
            "regression learns from zeros; a hidden layer of zeros never leaves the share of one "
            "digit, since only the output bias moves; with small random weights the same network "
            "learns.",
            (panel,),
            columns=1,
            size=(8.6, 3.6),
        )
    ]
