"""Figures of P7: how deep each remedy reaches, and what dies on the way."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from bench.errors import count
from bench.published.experiments import DEPTHS, REMEDIES
from bench.report.figures.picture import Heat, Panel, Picture, Trace
from bench.report.published.panels import published_picture
from bench.report.published.seeds import having, mean, of_one_form, points_of
from bench.results.trial import TrialResult


def reach_and_dead(results: Sequence[TrialResult]) -> list[Picture | None]:
    """P7: final accuracy by remedy and depth, and the share of dead units over steps."""
    own = of_one_form(results)
    return [_reach(own), _dead(own)]


def _reach(results: Sequence[TrialResult]) -> Picture | None:
    table = [[_finals(results, remedy, depth) for depth in DEPTHS] for remedy in REMEDIES]
    shown = [(remedy, row) for remedy, row in zip(REMEDIES, table, strict=True) if any(row)]
    if not shown:
        return None
    seeds = max(len(finals) for _, row in shown for finals in row)
    heat = Heat(
        "",
        "hidden layers",
        tuple(remedy for remedy, _ in shown),
        tuple(map(str, DEPTHS)),
        tuple(tuple(_known_mean(finals) for finals in row) for _, row in shown),
        tuple(tuple(_told(finals) for finals in row) for _, row in shown),
        "test accuracy, mean over seeds",
    )
    return published_picture(
        "P7",
        "accuracy",
        "P7: final test accuracy by remedy and depth",
        f"Heat map of the final test accuracy of P7: {len(shown)} remedies by {len(DEPTHS)} depths",
        f"Mean of up to {count(seeds, 'seed')} and, in brackets, the smallest and the largest. "
        "Bright: the network learns. Read a row from left to right: how deep does this remedy reach?",
        (heat,),
        columns=1,
        size=(7.4, 4.6),
    )


def _finals(results: Sequence[TrialResult], remedy: str, depth: int) -> list[float | None]:
    variant = f"{remedy}, depth {depth}"
    return [
        None if result.outcome == "diverged" else result.final("test accuracy")
        for result in results
        if result.trial.variant == variant
    ]


def _known_mean(finals: Sequence[float | None]) -> float | None:
    known = [value for value in finals if value is not None]
    return fmean(known) if known else None


def _told(finals: Sequence[float | None]) -> str:
    known = [value for value in finals if value is not None]
    lines = []
    if known:
        lines.append(f"{fmean(known):.3f}")
    if len(known) > 1:
        lines.append(f"({min(known):.3f} to {max(known):.3f})")
    if len(known) < len(finals):
        lines.append(f"{len(finals) - len(known)} of {len(finals)} diverged")
    return "\n".join(lines) or "not measured"


def _dead(results: Sequence[TrialResult]) -> Picture | None:
    remedies = [name for name, options in REMEDIES.items() if "relu" in str(options["activation"])]
    panels = []
    for depth in DEPTHS:
        traces = []
        for colour, remedy in enumerate(remedies):
            own = having(results, "dead share", variant=f"{remedy}, depth {depth}")
            seeds = [points_of(result, "dead share") for result in own]
            traces += [Trace("", points, colour, faint=True) for points in seeds if len(seeds) > 1]
            if seeds:
                traces.append(Trace(remedy, mean(seeds), colour, dashes=colour % 3))
        if traces:
            title = f"{depth} hidden layers"
            panels.append(
                Panel(title, "step", "share of dead units", tuple(traces), limits=(-0.02, 1.02))
            )
    if not panels:
        return None
    return published_picture(
        "P7",
        "dead",
        "P7: share of hidden units that are dead, by remedy and depth",
        f"Share of dead units over the training of P7, at {count(len(panels), 'depth')}",
        "A unit counts as dead while it gives at most 0 for each of the first 1,000 test images. "
        "Thin lines: seeds, each to where its training diverges; thick lines: their mean. A dead ReLU "
        "has no gradient and seldom comes back; a leaky one keeps a slope of .01, counts by the same "
        "rule, and may recover.",
        panels,
        columns=len(panels),
        size=(3.7, 3.0),
    )
