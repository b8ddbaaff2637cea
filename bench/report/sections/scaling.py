"""What a step, a layer, a flop and a byte cost, and how well that explains the times."""

from __future__ import annotations

from bench.errors import count
from bench.report.document import Block, Figure, Section, Table
from bench.report.figures.scaling import scaling_picture
from bench.report.text import NOTHING, rate, significant
from bench.verdict.conclusion import Conclusion
from bench.verdict.scaling import TERMS, Coefficient, Scaling, Term, changed, fit, told_apart

#: Unit in which a coefficient is told, and how many seconds it has.
_UNITS: dict[Term, tuple[str, str, float]] = {
    "step": ("overhead of a step", "µs", 1e-6),
    "layer": ("overhead of a layer", "µs", 1e-6),
    "flop": ("a thousand million operations", "ms", 1e-3 / 1e9),
    "byte": ("a million bytes", "µs", 1e-6 / 1e6),
}


def scaling_section(conclusion: Conclusion) -> Section | None:
    """The fit of a run; None if it has no points."""
    found = fit(conclusion.run.paces.values())
    return Section("How speed grows", scaling_blocks(found)) if found is not None else None


def scaling_blocks(scaling: Scaling) -> list[Block | None]:
    """One sentence, the coefficients, the points, the figure."""
    best = max(scaling.points, key=scaling.share_of_peak)
    cell, share = best.cell, 100 * scaling.share_of_peak(best)
    lead = (
        f"A sum of four costs explains the time of a step to {100 * scaling.residual:.0f} % in "
        f"{count(len(scaling.points), 'network')}. Of the {scaling.peak_flops / 1e9:.0f} GFLOP/s of "
        f"NumPy's product {share:.0f} % at most were reached, by batches of {cell.batch} through "
        f"{cell.depth} layers of {cell.width} units; a sweep moves {scaling.peak_bytes / 1e9:.0f} GB/s."
    )
    costs = [[_UNITS[term][0], _told(term, scaling.coefficients[term])] for term in TERMS]
    points = [
        [
            str(point.cell.batch),
            str(point.cell.width),
            str(point.cell.depth),
            rate(point.cell.batch / point.sec),
            f"{1e3 * point.sec:.3g}",
            f"{100 * (point.sec / point.fitted_sec - 1):+.0f} %",
            f"{100 * scaling.share_of_peak(point):.1f} %",
        ]
        for point in scaling.points
    ]
    headers = ("batch", "width", "depth", "images/s", "ms/step", "residual", "of the peak")
    return [
        lead,
        Table(("cost of", "with an interval of 95 %"), costs, "lr"),
        Figure(scaling_picture(scaling)),
        Table(headers, points, "rrrrrrr"),
    ]


def changes_blocks(old: Scaling, new: Scaling) -> list[Block | None]:
    """What changed between two runs on one machine."""
    found = changed(old, new)
    rows = [
        [
            _UNITS[term][0],
            _told(term, old.coefficients[term]),
            _told(term, new.coefficients[term]),
            f"{significant(found[term])} times" if term in found else NOTHING,
        ]
        for term in TERMS
    ]
    return [
        f"Changed: {told_apart(found)}.",
        Table(("cost of", "before", "now", "changed"), rows, "lrrr"),
    ]


def _told(term: Term, coefficient: Coefficient) -> str:
    _, unit, size = _UNITS[term]
    value, low, high = (significant(one / size) for one in coefficient)
    return f"{value} {unit} ({low} to {high})"
