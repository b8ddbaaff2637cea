"""The figure of an upgrade's speed: change of time by workload, with its interval."""

from __future__ import annotations

import textwrap

from bench.errors import count
from bench.report.figures.picture import GREY, VERMILION, Band, Panel, Picture, Region, Trace
from bench.verdict import speed
from bench.verdict.conclusion import Conclusion

#: Verdicts by colour and marker.
_LOOKS = {
    "slower": (VERMILION, "D"),
    "undecided": (4, "s"),
    "not slower": (5, "o"),
    "same": (0, "o"),
    "faster": (2, "^"),
}


def speed_picture(conclusion: Conclusion) -> Picture | None:
    """Each workload's change in percent; None if nothing was timed."""
    if not conclusion.speeds:
        return None
    titles = [workload.title for workload in conclusion.speeds]
    found = list(enumerate(conclusion.speeds.values(), start=1))
    traces, bands = [], []
    for verdict, (colour, marker) in _LOOKS.items():
        shown = [(place, one.ratio) for place, one in found if one.verdict == verdict]
        if shown:
            points = tuple((float(place), _percent(ratio.estimate)) for place, ratio in shown)
            traces.append(Trace(verdict, points, colour, line=False, marker=marker, size=5))
            ranges = tuple((place, _percent(r.low), _percent(r.high)) for place, r in shown)
            bands.append(Band("", ranges, colour, bars=True))
    floors = tuple((n + 0.15, _percent(s.floor.low), _percent(s.floor.high)) for n, s in found)
    bands.append(Band("", floors, GREY, bars=True))
    margin = 100 * speed.MARGIN
    panel = Panel(
        "",
        "",
        "change of time (%)",
        tuple(traces),
        bands=tuple(bands),
        regions=(Region("does not matter", -margin, margin, "#eef6ea", "#3d7a2a"),),
        x_limits=(0.5, len(found) + 0.5),
        x_ticks=tuple(
            (float(n), "\n".join(textwrap.wrap(title, 18))) for n, title in enumerate(titles, 1)
        ),
    )
    heading = "Speed of NEW against OLD: above 0 is slower"
    return Picture(
        path="figures/speed.svg",
        heading=heading,
        alternative=f"{heading}: {count(len(found), 'workload')} with intervals",
        caption="Bars: intervals; grey ones: one side against itself, the noise.",
        panels=(panel,),
        columns=1,
        size=(2.2 + 1.5 * len(found), 3.4),
    )


def _percent(ratio: float) -> float:
    return 100 * (ratio - 1)
