"""The figure of how throughput grows with batch, width and depth, and what a fit makes of it."""

from __future__ import annotations

from bench.report.figures.picture import GREY, Panel, Picture, Trace
from bench.verdict.scaling import Scaling, flops

_AXES = ("batch", "width", "depth")


def scaling_picture(scaling: Scaling) -> Picture:
    """Images a second by each axis: measured, fitted, and at the peak of the matrix product."""
    panels = tuple(_panel(scaling, axis) for axis in _AXES)
    heading = "Throughput of training, MLP in_graph"
    return Picture(
        path="figures/scaling.svg",
        heading=heading,
        alternative=f"{heading}: by batch, width and depth, with the fit",
        caption="Grey: what NumPy's matrix product alone would allow.",
        panels=panels,
        columns=len(panels),
        size=(3.6, 3.2),
    )


def _panel(scaling: Scaling, axis: str) -> Panel:
    others = [name for name in _AXES if name != axis]
    base = scaling.points[0].cell
    along = sorted(
        (
            point
            for point in scaling.points
            if all(getattr(point.cell, name) == getattr(base, name) for name in others)
        ),
        key=lambda point: getattr(point.cell, axis),
    )
    places = [float(getattr(point.cell, axis)) for point in along]
    batches = [point.cell.batch for point in along]
    speeds = {
        "measured": [b / point.sec for b, point in zip(batches, along, strict=True)],
        "fitted": [b / point.fitted_sec for b, point in zip(batches, along, strict=True)],
        "peak": [
            b / (flops(point.cell) / scaling.peak_flops)
            for b, point in zip(batches, along, strict=True)
        ],
    }
    traces = {name: tuple(zip(places, values, strict=True)) for name, values in speeds.items()}
    return Panel(
        "",
        axis,
        "images a second" if axis == _AXES[0] else "",
        (
            Trace("measured", traces["measured"], 0, line=False, marker="o", size=4),
            Trace("fitted", traces["fitted"], 0, dashes=1),
            Trace("peak of the product", traces["peak"], GREY, dashes=2),
        ),
        scale="log",
        x_scale="log",
        x_ticks=tuple((place, f"{place:.0f}") for place in places),
    )
