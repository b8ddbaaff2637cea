"""What theory predicts beside what was measured: a section for each grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.errors import count
from bench.report.document import Figure, Folded, Section, Table
from bench.report.figures.curves import SHOWN
from bench.report.figures.picture import Picture
from bench.report.markup import code, emphasis, strong
from bench.report.text import clipped, significant
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.theory.signal.predicted import SIGMAS, PredictedRatio, prediction_row, silent

_HEADERS = ("cell", "predicted", "measured", "quotient", "tolerance", "holds")
#: How to read all of the sections; stands in a report once.
READING = (
    f"{strong('Prediction and measurement at step 0')}: the {emphasis('signal')} of a layer "
    "relative to the last hidden layer's. Lines of the figures: what mean-field theory expects at "
    "this width, one per cell, ending at the cell's last layer; their tinted band is where the "
    f"geometric mean of the seeds lies, within {SIGMAS:g} standard deviations of what finite width "
    "makes of it (no band: theory gives no tolerance). Points: that mean as measured; bars: "
    f"smallest to largest seed. {emphasis('Critical')}: within a factor e of the last layer. "
    f"Tables: the same at the first layer; {emphasis('quotient')} is measured over predicted, "
    f"{emphasis('tolerance')} the factor that it may be off by. The claim holds if this ratio and "
    "those of all neighbouring layers are within theirs."
)


def prediction_section(
    run: StoredRun, grid: str, items: Sequence[Item], picture: Picture | None = None
) -> Section | None:
    """Figure, answer and table of a grid; None where nothing is predicted.

    Args:
        run: what was measured.
        grid: whose section; only those of :data:`bench.report.figures.curves.SHOWN` have one.
        items: its cells.
        picture: its figure, if there is something to draw.
    """
    if grid not in SHOWN or not items:
        return None
    rows: list[tuple[Item, PredictedRatio]] = []
    reasons: Counter[str] = Counter()
    for item in items:
        row = prediction_row(item.cell, run.of(item.cell))
        if row is not None:
            rows.append((item, row))
        else:
            reasons[_why_no_row(item)] += 1
    holding = sum(row.holds for _, row in rows)
    outside = f", {strong(f'{len(rows) - holding} not')}" if holding < len(rows) else ""
    listed = "; ".join(f"{count(n, 'cell')}: {clipped(why)}" for why, n in reasons.items())
    title = f"Predicted and measured signal ratio of {count(len(rows), 'cell')}"
    return Section(
        "Prediction and measurement at step 0",
        [
            Figure(picture) if picture is not None else None,
            f"{holding} of {count(len(rows), 'cell')} as predicted{outside}." if rows else None,
            Folded(title, [Table(_HEADERS, [_texts(*row) for row in rows], "lrrrrl")])
            if rows
            else None,
            f"Not in the table: {listed}." if reasons else None,
        ],
    )


def _texts(item: Item, row: PredictedRatio) -> list[str]:
    return [
        code(item.id),
        significant(row.predicted),
        significant(row.measured),
        significant(row.quotient),
        f"× {significant(row.tolerance)}",
        "yes" if row.holds else strong("no") + (f" ({clipped(row.layers)})" if row.layers else ""),
    ]


def _why_no_row(item: Item) -> str:
    return silent(item.cell) or "no signal of MNIST images was measured at step 0"
