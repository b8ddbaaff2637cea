"""What ``bench theory`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse

from bench.commands.history import picture_form
from bench.errors import EXIT_OK, BenchError
from bench.results.files import write_atomically

#: The prediction's spread takes memory that grows with the square of the depth.
DEEPEST = 5000


def theory(arguments: argparse.Namespace) -> int:
    """Prints what theory predicts for a network; draws it if asked to."""
    from bench.cells.cell import AXES, from_texts, pairs
    from bench.report.figures.draw import draw
    from bench.report.theory import theory_picture, theory_text

    given = {axis: getattr(arguments, f"axis_{axis}") for axis in AXES}
    chosen = {axis: text for axis, text in given.items() if text is not None}
    try:
        named = pairs(arguments.cell.rpartition("/")[2]) if arguments.cell else {}
        cell = from_texts({**named, **chosen})
    except ValueError as error:
        raise BenchError(str(error), hint="bench theory --help") from error
    if cell.depth > DEEPEST:
        raise BenchError(
            f"depth:{cell.depth} is above {DEEPEST}",
            hint="the rate per layer has settled long before",
        )
    text = theory_text(cell, form=arguments.format, all_layers=arguments.all_layers)
    if arguments.plot is not None:
        form = picture_form(arguments.plot)
        write_atomically(arguments.plot, draw(theory_picture(cell), form))
    print(text, end="")
    return EXIT_OK
