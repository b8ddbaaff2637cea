"""Frame of a cell's history: one row per acceptance or stored run, in order of time."""

from __future__ import annotations

import pandas as pd

from bench.verdict.baselines.history import History, same_digests
from bench.verdict.metrics import Metric

COLUMNS = (
    *("grid", "cell", "class", "metric", "time", "acceptance", "run", "tensorflow", "keras"),
    *("commit", "seeds", "mean", "std", "diverged", "crashed", "same_digests", "shared_seeds"),
    *("step", "p_value", "note"),
)
_INTEGERS = ["acceptance", "same_digests", "shared_seeds"]


def of_history(history: History, metric: Metric) -> pd.DataFrame:
    """One row per point, in the order of the history.

    Returns:
        the columns :data:`COLUMNS`. ``mean`` and ``std`` (of a sample) are over seeds and, like
        ``step``, on the metric's scale; ``same_digests`` of ``shared_seeds`` have the bits of the row
        above.

    Args:
        history: of one cell.
        metric: that of ``history.metric``.
    """
    rows = []
    for number, point in enumerate(history.points):
        values = pd.Series(point.values(metric), dtype=float)
        step = history.steps.get(number)
        same = same_digests(*history.points[number - 1 : number + 1]) if number else None
        rows.append(
            (
                *(*history.place, history.environment_class, history.metric, point.time),
                *(point.acceptance or None, point.run, point.tensorflow, point.keras, point.commit),
                *(len(point.stored.samples), values.mean(), values.std()),
                *(point.outcomes("diverged"), point.outcomes("crashed")),
                *(same or (None, None)),
                *((step.change, step.p_value) if step else (None, None)),
                point.other_terms(history.points[-1]),
            )
        )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame[_INTEGERS] = frame[_INTEGERS].astype("Int64")
    return frame
