"""The command ``bench theory``."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, field, make_dataclass
from typing import Annotated, Any

from cyclopts import Group, Parameter

from bench.cells.cell import AXES, Cell, from_texts, known_values, pairs
from bench.cells.selection import initializations
from bench.commands.history import picture_form
from bench.commands.options import Format, Plot
from bench.errors import EXIT_OK, BenchError
from bench.results.files import write_atomically

#: The prediction's spread takes memory that grows with the square of the depth.
DEEPEST = 5000


def _axis(name: str) -> tuple[str, Any, Any]:
    """The option of one axis."""
    default = f"default {Cell().value(name)}"
    text = "; ".join(filter(None, [", ".join(known_values(name)), default]))
    return name, Annotated[str, Parameter(help=text)], field(default=None)


_AXES = Group(
    "Axes",
    "The network in the words of cell ids. An option overrides CELL; what acts after step 0 changes "
    "nothing.",
)
Axes: Any = Parameter(name="*", group=_AXES)(
    make_dataclass(
        "Axes", map(_axis, AXES), frozen=True, kw_only=True, namespace={"__module__": __name__}
    )
)

_NONE = Axes()


def theory(
    cell: str = "",
    /,
    *,
    all_layers: bool = False,
    form: Format = "markdown",
    plot: Plot = None,
    axes: Axes = _NONE,
) -> int:
    """Prints what theory predicts for a network; draws it if asked to.

    Args:
        cell: its id, or GRID/ID, as reports have it
        all_layers: leave out no layer of a deep one
    """
    from bench.report.figures.draw import draw
    from bench.report.theory import theory_picture, theory_text

    chosen = {axis: text for axis, text in asdict(axes).items() if text is not None}
    try:
        named = pairs(cell.rpartition("/")[2]) if cell else {}
        network = from_texts({**named, **chosen})
    except ValueError as error:
        unknown = re.match(r"init:(\S+) is unknown", str(error))
        meant = initializations(unknown[1]) if unknown else ""
        raise BenchError(str(error), hint=meant or "bench theory --help") from error
    if network.depth > DEEPEST:
        raise BenchError(
            f"depth:{network.depth} is above {DEEPEST}",
            hint="the rate per layer has settled long before",
        )
    text = theory_text(network, form=form, all_layers=all_layers)
    if plot is not None:
        write_atomically(plot, draw(theory_picture(network), picture_form(plot)))
        print(f"picture: {plot}", file=sys.stderr)
    print(text, end="")
    return EXIT_OK
