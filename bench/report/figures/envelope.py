"""The figure of rounding envelopes: differences of losses, step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.errors import count
from bench.report.figures.names import in_lines
from bench.report.figures.picture import (
    BLACK,
    GREY,
    VERMILION,
    Band,
    Panel,
    Picture,
    Points,
    Trace,
    Upright,
)
from bench.report.text import grouped
from bench.verdict.bits import traced_seeds
from bench.verdict.conclusion import Conclusion
from bench.verdict.differences import Differences
from bench.verdict.judgement import ATTENTION, EnvelopeTest, Judgement

#: Panels in the figure: two rows of three.
MOST_STRIPS = 6
#: Characters of a line above a panel.
_TITLE_WIDTH = 48
#: Colours of seeds, without the black of the envelope and the vermilion of the mark.
_SEEDS = (0, 2, 3, 4, 5)
#: Steps that are named on the axis, where a trajectory is that long.
_STEPS = (0, 1, 3, 10, 30, 100, 300, 1000)
_CAPTION = (
    "Coloured lines: |difference of the loss| between the two sides, one per seed; grey band: "
    "copies, smallest to largest; black line: the envelope; red mark: the first step outside under "
    "every seed; dotted line: from there on the envelope is blunt. Differences of 0 are not drawn. "
    "The most severe cells are shown, then the most chaotic."
)

Losses = npt.NDArray[np.float64]


def cells_tested(judgements: Sequence[Judgement]) -> list[tuple[Judgement, tuple[str, ...]]]:
    """Cells that were held against an envelope, most severe first: by verdict, then by the largest
    difference over the envelope.

    Returns:
        one judgement per cell and verdict, and ``<grid>/<id>`` of every item that it speaks for.
    """
    groups = grouped(
        ((j.item.cell, j.verdict, j.envelope), j) for j in judgements if j.envelope is not None
    )
    ordered = sorted(groups.values(), key=lambda group: _severity(group[0]))
    return [(group[0], tuple(judgement.item.name for judgement in group)) for group in ordered]


def envelope_picture(conclusion: Conclusion) -> Picture | None:
    """The figure of the most severe cells, then of the most chaotic; None without any."""
    run, baseline = conclusion.run, conclusion.baseline
    if baseline is None:
        return None
    tested = [(judgement, names[0]) for judgement, names in cells_tested(conclusion.judgements)]
    # A stable sort: those that fail stay in order, the others are ordered by how soon their
    # envelope is blunt.
    tested.sort(key=lambda pair: _sharpness(pair[0]))
    panels = []
    for judgement, name in tested[:MOST_STRIPS]:
        seeds = traced_seeds(run, baseline, judgement.item)
        if seeds and judgement.envelope is not None:
            apart = Differences.of(judgement.item.cell, seeds)
            title = in_lines(f"{name}: {judgement.verdict.value}", _TITLE_WIDTH)
            panels.append(strip(title, judgement.envelope, apart))
    if not panels:
        return None
    heading = "Differences of the loss against the rounding envelope"
    return Picture(
        path="figures/rounding.svg",
        heading=heading,
        alternative=f"{heading}, step by step: {count(len(panels), 'cell')}",
        caption=_CAPTION,
        panels=tuple(panels),
        columns=min(len(panels), 3),
        size=(7.2 if len(panels) == 1 else 3.6, 2.7),
    )


def _severity(judgement: Judgement) -> tuple[int, float]:
    ratio = judgement.envelope.ratio if judgement.envelope is not None else 0.0
    return ATTENTION.index(judgement.verdict), -ratio


def _sharpness(judgement: Judgement) -> int:
    """-1 where a difference is outside, else the steps over which the envelope was sharp."""
    test = judgement.envelope
    return test.sharp_steps if test is not None and test.inside else -1


def strip(title: str, test: EnvelopeTest, apart: Differences) -> Panel:
    """A cell: how far seeds and copies part, and the envelope, against the step, counted from where
    each seed's bits part; both axes are logarithmic."""
    low, high = _limits(apart)
    steps = apart.envelope.size
    copies = [np.clip(end(apart.copies, axis=0), low, high) for end in (np.min, np.max)]
    traces: list[Trace] = []
    for number, seed in enumerate(apart.seeds):
        colour, points = _SEEDS[number % len(_SEEDS)], _points(seed)
        name = "" if number else "a seed"
        traces.append(Trace(name, points, colour, width=0.8))
        traces.append(Trace("", _alone(points), colour, line=False, marker=".", size=1.8))
    traces.append(Trace("envelope", _points(apart.envelope), BLACK, width=1.3))
    uprights = []
    if test.sharp_steps < test.steps:
        blunt = test.sharp_steps - test.equal_until + 1
        uprights.append(Upright("blunt from here", blunt))
    if test.first_step is not None:
        dot, place = _first_outside(test.first_step, apart)
        uprights.append(Upright("first step outside", place + 1, VERMILION, dashes=0, dot=dot))
    places = np.arange(steps) + 1.0  # a logarithmic axis has no place for step 0
    return Panel(
        title,
        "step" if not test.equal_until else f"step since bits part, at step {test.equal_until}",
        "|difference of the loss|",
        tuple(traces),
        scale="log",
        limits=(low, high),
        bands=(
            Band("copies", tuple(zip(*(x.tolist() for x in (places, *copies)), strict=True)), GREY),
        ),
        uprights=tuple(uprights),
        x_scale="log",
        x_limits=(0.9, steps * 1.1),
        x_ticks=tuple((step + 1.0, str(step)) for step in _STEPS if step < steps),
    )


def _first_outside(step: int, apart: Differences) -> tuple[float | None, int]:
    """The smallest difference that is outside at a step, and its place; None if none is finite."""
    places = [step - since for since in apart.parted]
    beyond = [
        (float(row[place]), place)
        for row, place in zip(apart.seeds, places, strict=True)
        if 0 <= place < row.size and apart.envelope[place] < row[place] < np.inf
    ]
    return min(beyond, default=(None, max(places)))


def _limits(apart: Differences) -> tuple[float, float]:
    """Whole decades that hold the envelope and every difference that can be drawn."""
    known = np.concatenate([a.ravel() for a in (apart.seeds, apart.copies, apart.envelope)])
    known = known[np.isfinite(known) & (known > 0)]
    if not known.size:
        return 0.1, 10.0
    return (
        float(10.0 ** math.floor(math.log10(known.min()))),
        float(10.0 ** math.ceil(math.log10(known.max()) + 1e-9)),
    )


def _points(values: Losses) -> Points:
    """Points by step, from 1; a gap where a logarithmic axis has no place for the value."""
    return tuple(
        (step, value if 0 < value < math.inf else None)
        for step, value in enumerate(values.tolist(), start=1)
    )


def _alone(points: Points) -> Points:
    """Values between two that are not drawn: a line does not show them."""
    gaps = [True, *(value is None for _, value in points), True]
    return tuple(
        point
        for place, point in enumerate(points)
        if gaps[place] and not gaps[place + 1] and gaps[place + 2]
    )
