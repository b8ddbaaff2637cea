"""Stored baselines in words: what is there, and what accepting a run would change."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.report.run.rows import spread
from bench.report.text import NOTHING, code, count, more, plain, points, significant, table
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.verdict.baselines.acceptance import Change
from bench.verdict.baselines.folder import Acceptance, Baseline, BaselineCell
from bench.verdict.metrics import BY_NAME


def preview_text(
    changes: Sequence[Change],
    run: StoredRun,
    baseline: Baseline | None,
    *,
    most_new: int | None = None,
    notes: Sequence[str] = (),
) -> str:
    """What accepting a run would change: changed cells in full, new ones with their accuracy.

    Args:
        changes: as ``preview`` gives them.
        run: the run to accept.
        baseline: what is stored, None if nothing is.
        most_new: how many new cells are listed; None for all.
        notes: as ``notes`` gives them.
    """
    name = run.environment.environment_class
    changed = [change for change in changes if not change.new]
    new: dict[Item, Change | None] = {}
    for change in changes:
        if change.new:
            new.setdefault(change.item, None)
            if change.metric == "test_accuracy":
                new[change.item] = change
    changed_cells = len(dict.fromkeys(change.item for change in changed))
    kinds = [count(changed_cells, "changed cell")] if changed_cells else []
    kinds += [count(len(new), "new cell")] if new else []
    stored = "" if baseline is not None else ", which is not stored yet"
    remarks = "\n".join(f"> **Note**: {plain(note)}." for note in notes)
    if not kinds:
        text = f"{run.path} holds no result that the baseline {name} does not{stored}."
        return "\n\n".join(filter(None, [text, remarks]))
    parts = [f"{run.path} against the baseline {name}{stored}: {', '.join(kinds)}."]
    if changed:
        rows = [
            [
                _name(change.item),
                _metric(change.metric),
                significant(change.baseline_mean, 4),
                significant(change.mean, 4),
                _difference(change),
            ]
            for change in changed
        ]
        headers = ("changed cell", "metric, mean over seeds", "baseline", "run", "change")
        parts.append(table(headers, rows, "llrrr"))
    if new:
        listed = list(new.items())[:most_new]
        rows = [[_name(item), points(change.mean if change else None)] for item, change in listed]
        parts.append(table(("new cell", "test accuracy (%)"), rows, "lr"))
        if len(listed) < len(new):
            parts.append(f"And {more(len(new) - len(listed), 'new cell')}.")
    return "\n\n".join(filter(None, [*parts, remarks]))


def classes_text(baselines: Sequence[Baseline]) -> str:
    """One line per environment class."""
    rows = []
    for baseline in baselines:
        last = baseline.acceptances[-1] if baseline.acceptances else None
        rows.append(
            [
                code(baseline.environment_class),
                str(sum(map(len, baseline.grids.values()))),
                plain(baseline.data.get("name", "")),
                last.date if last else NOTHING,
                ", ".join(dict.fromkeys(taken.tensorflow for taken in baseline.sources)) or NOTHING,
                plain(last.reason) if last else NOTHING,
            ]
        )
    headers = ("class", "cells", "images", "last accepted", "TensorFlow", "reason")
    return table(headers, rows, "lrllll")


def cells_text(baseline: Baseline, part: str) -> str:
    """The acceptances of a class, and its cells with ``part`` in their name; empty if none has."""
    rows = [
        [code(f"{grid}/{cell.id}"), *_cell(cell)]
        for grid, cells in baseline.grids.items()
        for cell in cells.values()
        if part in f"{grid}/{cell.id}"
    ]
    if part and not rows:
        return ""
    accepted = [_acceptance(n, taken) for n, taken in enumerate(baseline.acceptances, start=1)]
    headers = ("cell", "seeds", "test accuracy (%)", "signal ratio", "diverged")
    parts = [f"## {code(baseline.environment_class)}", "\n".join(accepted)]
    return "\n\n".join(filter(None, [*parts, table(headers, rows, "lrrrr")]))


def _acceptance(number: int, taken: Acceptance) -> str:
    by = f" ({plain(taken.reviewer)})" if taken.reviewer else ""
    what = f"{plain(taken.run)}, {count(taken.cells, 'cell')}, TensorFlow {taken.tensorflow}"
    return f"{number}. {taken.date} {what}: {plain(taken.reason)}{by}"


def _cell(cell: BaselineCell) -> list[str]:
    accuracies = _values(cell, "test_accuracy")
    ratios = _values(cell, "signal_ratio_start")
    mean = statistics.fmean(accuracies) if accuracies else None
    middle = statistics.median(ratios) if ratios else None
    diverged = sum(sample.outcome == "diverged" for sample in cell.samples)
    return [
        str(len(cell.samples)),
        points(mean, spread(accuracies)),
        significant(middle),
        str(diverged),
    ]


def _values(cell: BaselineCell, metric: str) -> list[float]:
    values = (sample.metrics.get(metric) for sample in cell.samples)
    return [value for value in values if value is not None]


def _name(item: Item) -> str:
    return code(f"{item.grid}/{item.id}")


def _metric(name: str) -> str:
    if name == "diverged":
        return "share of seeds that diverged"
    return BY_NAME[name].title if name in BY_NAME else name


def _difference(change: Change) -> str:
    if change.baseline_mean is None or change.mean is None:
        return NOTHING
    if change.baseline_mean == change.mean:
        return "bits only"
    metric = BY_NAME.get(change.metric)
    if metric is not None and (
        metric.scale == "linear" or min(change.baseline_mean, change.mean) > 0
    ):
        return metric.describe_change(metric.change(change.baseline_mean, change.mean))
    return significant(change.mean - change.baseline_mean)
