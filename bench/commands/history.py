"""What ``bench history`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.errors import EXIT_OK, BenchError
from bench.results.files import write_atomically


def picture_form(path: Path) -> str:
    from bench.report.figures.draw import FORMATS

    form = path.suffix[1:]
    if form not in FORMATS:
        raise BenchError(
            f"--plot {path}: no picture of this kind",
            hint=f"let its name end in {' or '.join(f'.{known}' for known in FORMATS)}",
        )
    return form


def history(arguments: argparse.Namespace) -> int:
    """Prints a metric of a cell over acceptances and stored runs; draws it if asked to."""
    from bench.report.figures.draw import draw
    from bench.report.figures.series import series_picture
    from bench.report.history import history_series, history_text
    from bench.verdict.baselines.history import find_history
    from bench.verdict.metrics import BY_NAME

    metric = BY_NAME.get(arguments.metric)
    if metric is None:
        raise BenchError(f"no metric {arguments.metric!r}", hint=f"there are: {', '.join(BY_NAME)}")
    form = picture_form(arguments.plot) if arguments.plot is not None else ""
    found, warnings = find_history(
        arguments.cell,
        metric,
        baselines=arguments.baselines,
        results=arguments.results,
        environment_class=arguments.environment_class,
    )
    if form:
        write_atomically(arguments.plot, draw(series_picture(history_series(found, metric)), form))
    print(history_text(found, metric, form=arguments.format, warnings=warnings), end="")
    if arguments.format == "csv":
        for warning in (*warnings, *filter(None, [found.untested])):
            print(f"bench: warning: {warning}", file=sys.stderr)
    return EXIT_OK
