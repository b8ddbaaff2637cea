"""A cell's history in words, numbers and a figure: ``bench history``."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from bench.errors import count
from bench.frames.frame import records
from bench.frames.history import of_history
from bench.report.document import Section, Table, warning_quotes
from bench.report.figures.series import Dot, Series
from bench.report.markdown import markdown
from bench.report.markup import code, strong
from bench.report.rows import spread
from bench.report.text import NOTHING, as_json, capital, clipped, points, significant
from bench.statistics.steps import ALPHA
from bench.verdict.baselines.history import History, Point, same_digests
from bench.verdict.metrics import Metric


def history_text(
    history: History, metric: Metric, *, form: str = "markdown", warnings: Sequence[str] = ()
) -> str:
    """What ``bench history`` prints.

    Args:
        history: of one cell.
        metric: that of ``history.metric``.
        form: ``markdown``, ``csv`` or ``json``. Numbers in CSV and JSON are raw: shares, not percent;
            mean and standard deviation are on the metric's scale, natural logarithms for a logarithmic
            one, as is a step.
        warnings: printed in Markdown and JSON; who prints CSV prints them elsewhere.
    """
    frame = of_history(history, metric)
    if form == "csv":
        return frame.to_csv(index=False, lineterminator="\n")
    if form == "json":
        return as_json(
            {
                "points": records(frame),
                "untested": history.untested,
                "level": ALPHA,
                "warnings": list(warnings),
            }
        )
    percent = " (%)" if _is_share(metric) else ""
    headers = (
        *("time (UTC)", "from", "TensorFlow", "Keras", "commit", "seeds"),
        *(f"{metric.title}{percent}", "digests", "note"),
    )
    rows = [_row(history, number, metric) for number in range(len(history.points))]
    answer = f"{strong(f'{_answer(history, metric)}.')} "
    blocks = [
        f"{answer}Environment class {code(history.environment_class)}.",
        *warning_quotes(warnings),
        Table(headers, rows, "lllllrrll"),
        _legend(history, metric),
    ]
    return markdown([Section(code("/".join(history.place)), blocks)])


def history_series(history: History, metric: Metric) -> Series:
    """What its figure shows."""
    dots = []
    for point in history.points:
        values = [_raw(value, metric) for value in point.values(metric).values()]
        mean = _mean(point, metric)
        dots.append(
            Dot(
                label=f"{point.time[:10]} TF {point.tensorflow or '?'}{_failures(point)}",
                values=tuple(values),
                mean=math.nan if mean is None else _raw(mean, metric),
                accepted=bool(point.acceptance),
            )
        )
    return Series(
        heading=f"{'/'.join(history.place)}\n{_answer(history, metric)}",
        unit=f"{metric.title} ({metric.unit})" if metric.unit else metric.title,
        logarithmic=metric.scale == "log",
        dots=tuple(dots),
        steps=tuple(
            (place, metric.describe_change(step.change)) for place, step in history.steps.items()
        ),
    )


def _answer(history: History, metric: Metric) -> str:
    measured = count(len(history.points), "measurement")
    if not history.steps:
        if history.untested or len(history.points) < 2:
            return f"{measured} of {metric.title}"
        return f"No step change of {metric.title} in {measured}"
    steps = count(len(history.steps), "step change")
    return f"{steps} of {metric.title} in {measured}"


def _legend(history: History, metric: Metric) -> str:
    around = "standard deviation over seeds"
    if metric.scale == "log":
        around = "standard deviation over seeds as a factor, around the geometric mean"
    text = (
        f"{capital(metric.title)}: mean and {around}; diverged and crashed seeds "
        "have none. Digests: seeds whose bits equal those of the row above. Step: the mean changes "
        "here; found by binary segmentation with the noise among seeds, rows with equal digests "
        f"counting once. A series that never changes shows a step with a chance of {ALPHA:g} at most, "
        "if seeds vary normally."
    )
    return f"{text} {history.untested}." if history.untested else text


def _row(history: History, number: int, metric: Metric) -> list[str]:
    point = history.points[number]
    values = list(point.values(metric).values())
    return [
        point.time.replace("T", " ")[:16],
        _origin(point),
        clipped(point.tensorflow) or NOTHING,
        clipped(point.keras) or NOTHING,
        code(point.commit[:9]) if point.commit else NOTHING,
        str(len(point.stored.samples)),
        _centre(values, metric),
        _digests(history, number),
        "; ".join(_notes(history, number, metric)),
    ]


def _origin(point: Point) -> str:
    return (f"acceptance {point.acceptance}: " if point.acceptance else "") + clipped(point.run)


def _centre(values: Sequence[float], metric: Metric) -> str:
    if not values:
        return NOTHING
    mean, std = statistics.fmean(values), spread(values)
    if metric.scale == "log":
        around = "" if std is None else f" ×÷ {significant(math.exp(min(std, 700.0)))}"
        return f"{significant(_raw(mean, metric), 4)}{around}"
    if _is_share(metric):
        return points(mean, std)
    return f"{significant(mean, 4)}" + ("" if std is None else f" ± {significant(std)}")


def _is_share(metric: Metric) -> bool:
    return metric.unit.startswith("share")


def _raw(value: float, metric: Metric) -> float:
    return math.exp(min(value, 700.0)) if metric.scale == "log" else value


def _mean(point: Point, metric: Metric) -> float | None:
    values = point.values(metric).values()
    return statistics.fmean(values) if values else None


def _digests(history: History, number: int) -> str:
    digests = same_digests(*history.points[number - 1 : number + 1]) if number else None
    if digests is None:
        return NOTHING
    same, shared = digests
    return "equal" if same == shared else "differ" if not same else f"{same} of {shared} equal"


def _failures(point: Point) -> str:
    listed = ((point.outcomes(name), name) for name in ("diverged", "crashed"))
    return "".join(f", {number} {name}" for number, name in listed if number)


def _notes(history: History, number: int, metric: Metric) -> list[str]:
    point, step = history.points[number], history.steps.get(number)
    notes = [_failures(point)[2:], point.other_terms(history.points[-1])]
    if step:
        change = strong(f"step {metric.describe_change(step.change)}")
        notes.insert(0, f"{change} (p = {step.p_value:.2g})")
    return [note for note in notes if note]
