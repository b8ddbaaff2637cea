"""What theory predicts beside what was measured: a section of ``report.md`` for each grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.report.figures.curves import SHOWN, Picture
from bench.report.text import code, count, plain, significant, table
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.theory.signal.predicted import SIGMAS, PredictedRatio, prediction_row, silent

_HEADERS = ("cell", "predicted", "measured", "quotient", "tolerance", "holds")
#: How to read all of the sections; stands in a report once.
READING = (
    "**Prediction and measurement at step 0**: the *signal* of a layer relative to the last hidden "
    "layer's. Lines of the figures: what mean-field theory expects at this width, one per cell, "
    "ending at the cell's last layer; their tinted band is where the geometric mean of the seeds lies, "
    f"within {SIGMAS:g} standard deviations of what finite width makes of it (no band: theory gives no "
    "tolerance). Points: that mean as measured; bars: smallest to largest seed. *Critical*: within a "
    "factor e of the last layer. Tables: the same at the first layer; *quotient* is measured over "
    "predicted, *tolerance* the factor that it may be off by. The claim holds if this ratio and those "
    "of all neighbouring layers are within theirs."
)


def prediction_section(
    run: StoredRun, grid: str, items: Sequence[Item], picture: Picture | None = None
) -> list[str]:
    """The parts of a grid's section: figure, answer, table; empty where nothing is predicted.

    Args:
        run: what was measured.
        grid: whose section; only those of :data:`bench.report.figures.curves.SHOWN` have one.
        items: its cells.
        picture: its figure, if it is stored beside the report.
    """
    if grid not in SHOWN or not items:
        return []
    rows: list[tuple[Item, PredictedRatio]] = []
    reasons: Counter[str] = Counter()
    for item in items:
        row = prediction_row(item.cell, run.of(item.cell))
        if row is not None:
            rows.append((item, row))
        else:
            reasons[_why_no_row(item)] += 1
    holding = sum(row.holds for _, row in rows)
    outside = f", **{len(rows) - holding} not**" if holding < len(rows) else ""
    parts = ["### Prediction and measurement at step 0"]
    if picture is not None:
        parts += [f"![{picture.alternative}]({picture.path})", " ".join(picture.remarks)]
    if rows:
        parts += [
            f"{holding} of {count(len(rows), 'cell')} as predicted{outside}.",
            f"<details><summary>Predicted and measured signal ratio of {count(len(rows), 'cell')}"
            f"</summary>\n\n{table(_HEADERS, [_texts(*row) for row in rows], 'lrrrrl')}"
            "\n\n</details>",
        ]
    if reasons:
        listed = "; ".join(f"{count(n, 'cell')}: {plain(why)}" for why, n in reasons.items())
        parts.append(f"Not in the table: {listed}.")
    return parts


def _texts(item: Item, row: PredictedRatio) -> list[str]:
    return [
        code(item.id),
        significant(row.predicted),
        significant(row.measured),
        significant(row.quotient),
        f"× {significant(row.tolerance)}",
        "yes" if row.holds else f"**no**{f' ({plain(row.layers)})' if row.layers else ''}",
    ]


def _why_no_row(item: Item) -> str:
    return silent(item.cell) or "no signal of MNIST images was measured at step 0"
