"""The command ``bench history``."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.commands.options import EnvironmentClass, Folders, Format, Plot
from bench.errors import EXIT_OK, BenchError
from bench.results.files import write_atomically


def picture_form(path: Path) -> str:
    """The kind of picture that a file's name asks for.

    Raises:
        BenchError: none that can be drawn.
    """
    from bench.report.figures.draw import FORMATS

    form = path.suffix[1:]
    if form not in FORMATS:
        raise BenchError(
            f"--plot {path}: no picture of this kind",
            hint=f"let its name end in {' or '.join(f'.{known}' for known in FORMATS)}",
        )
    return form


def history(
    cell: str,
    /,
    *,
    metric: str = "test_accuracy",
    environment_class: EnvironmentClass = "",
    form: Format = "markdown",
    plot: Plot = None,
    folders: Folders = Folders(),
) -> int:
    """Prints a metric of a cell over acceptances and stored runs; draws it if asked to.

    Args:
        cell: its id, GRID/ID, or a part of it that only one cell has
    """
    from bench.report.figures.draw import draw
    from bench.report.figures.series import series_picture
    from bench.report.history import history_series, history_text
    from bench.verdict.baselines.history import find_history
    from bench.verdict.metrics import BY_NAME

    if metric not in BY_NAME:
        raise BenchError(f"no metric {metric!r}", hint=f"there are: {', '.join(BY_NAME)}")
    measured = BY_NAME[metric]
    picture = picture_form(plot) if plot is not None else ""
    found, warnings = find_history(
        cell,
        measured,
        baselines=folders.baselines,
        results=folders.results,
        environment_class=environment_class or None,
    )
    if plot is not None:
        write_atomically(plot, draw(series_picture(history_series(found, measured)), picture))
    print(history_text(found, measured, form=form, warnings=warnings), end="")
    if form == "csv":
        for warning in (*warnings, *filter(None, [found.untested])):
            print(f"bench: warning: {warning}", file=sys.stderr)
    return EXIT_OK
