"""Stored baselines in words: what is there, and what accepting a run would change."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.errors import count
from bench.report.document import Block, Bullets, Section, Table, warning_quotes
from bench.report.markdown import markdown
from bench.report.markup import code
from bench.report.rows import spread
from bench.report.sections.changes import metric_title
from bench.report.text import NOTHING, clipped, more, points, significant
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
    remarks = warning_quotes([f"{note}." for note in notes], "Note")
    if not kinds:
        text = f"{run.path} holds no other result than the baseline {name}{stored}."
        return _text([text, *remarks])
    blocks: list[Block] = [f"{run.path} against the baseline {name}{stored}: {', '.join(kinds)}."]
    if changed:
        rows = [
            [
                code(change.item.name),
                _metric(change.metric),
                significant(change.baseline_mean, 4),
                significant(change.mean, 4),
                _difference(change),
            ]
            for change in changed
        ]
        headers = ("changed cell", "metric, mean over seeds", "baseline", "run", "change")
        blocks.append(Table(headers, rows, "llrrr"))
    if new:
        listed = list(new.items())[:most_new]
        rows = [
            [code(item.name), points(change.mean if change else None)] for item, change in listed
        ]
        blocks.append(Table(("new cell", "test accuracy (%)"), rows, "lr"))
        if len(listed) < len(new):
            blocks.append(f"And {more(len(new) - len(listed), 'new cell')}.")
    return _text([*blocks, *remarks])


def _text(blocks: Sequence[Block | None]) -> str:
    return markdown(blocks).rstrip("\n")


def classes_text(baselines: Sequence[Baseline]) -> str:
    """One line per environment class."""
    rows = []
    for baseline in baselines:
        last = baseline.acceptances[-1] if baseline.acceptances else None
        rows.append(
            [
                code(baseline.environment_class),
                str(sum(map(len, baseline.grids.values()))),
                clipped(baseline.data.get("name", "")),
                last.date if last else NOTHING,
                ", ".join(dict.fromkeys(source.tensorflow for source in baseline.sources))
                or NOTHING,
                clipped(last.reason) if last else NOTHING,
            ]
        )
    headers = ("class", "cells", "images", "last accepted", "TensorFlow", "reason")
    return _text([Table(headers, rows, "lrllll")])


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
    accepted = Bullets([_acceptance(each) for each in baseline.acceptances], numbered=True)
    headers = ("cell", "seeds", "test accuracy (%)", "signal ratio", "diverged")
    blocks: list[Block] = [accepted, Table(headers, rows, "lrrrr")]
    return _text([Section(code(baseline.environment_class), blocks)])


def _acceptance(acceptance: Acceptance) -> str:
    by = f" ({clipped(acceptance.reviewer)})" if acceptance.reviewer else ""
    cells = f"{count(acceptance.cells, 'cell')}, TensorFlow {acceptance.tensorflow}"
    run, reason = clipped(acceptance.run), clipped(acceptance.reason)
    return f"{acceptance.date} {run}, {cells}: {reason}{by}"


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


def _metric(name: str) -> str:
    return "share of seeds that diverged" if name == "diverged" else metric_title(name)


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
