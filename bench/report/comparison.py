"""Two stored runs side by side: ``bench compare A B``."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pandas as pd

from bench.errors import count
from bench.frames.frame import of_cells, records
from bench.frames.pivot import pivot
from bench.report.document import Block, Table, warning_quotes
from bench.report.markdown import markdown
from bench.report.markup import code, strong
from bench.report.rows import Row, Rows
from bench.report.sections.answer import because_text
from bench.report.sections.cells import counts_section
from bench.report.sections.checks import checks_section
from bench.report.sections.rounding import origins
from bench.report.sections.sides import sides_section
from bench.report.text import (
    MOST_REASON,
    as_json,
    capital,
    change_points,
    clipped,
    rate,
    significant,
)
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import counts

_HEADERS = (
    "cell",
    "accuracy A (%)",
    "accuracy B (%)",
    "change (points)",
    "signal ratio A",
    "signal ratio B",
    "verdict",
    "reason",
)


def compare_runs(
    found: Conclusion, *, everything: bool = False, form: str = "markdown"
) -> tuple[str, list[str]]:
    """The cells in which two runs differ.

    Args:
        found: of :func:`bench.verdict.conclusion.between`.
        everything: list identical cells too.
        form: ``markdown``, ``csv`` or ``json``. CSV and JSON have the columns of
            :func:`bench.frames.frame.of_cells`, raw: an infinite number is null in JSON.

    Returns:
        the text, ending in one newline, and the warnings. Markdown and JSON contain the warnings;
        who prints CSV prints them elsewhere.
    """
    warnings = differences_of_plan(*found.both)
    if form == "markdown":
        return _markdown(found, warnings, everything=everything), warnings
    cells = of_cells(found)
    if not everything:
        cells = cells[cells["verdict"] != Verdict.IDENTICAL.value]
    if form == "csv":
        return cells.to_csv(index=False, lineterminator="\n"), warnings
    return _json(found, cells, warnings), warnings


def pivot_text(
    found: Conclusion,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    value: str = "verdict",
    form: str = "markdown",
) -> str:
    """A comparison along some axes: :func:`bench.frames.pivot.pivot` as text that ends in one newline.

    Raises:
        BenchError: no such axis or value.
    """
    table = pivot(of_cells(found), rows, columns, value=value)
    if form == "csv":
        return table.to_csv(lineterminator="\n")
    if form == "json":
        return table.reset_index().to_json(orient="records", indent=1, force_ascii=False) + "\n"
    headers = [*rows, *(str(name) for name in table.columns)]
    if columns:
        headers[len(rows) :] = [
            "-".join(f"{a}:{v}" for a, v in zip(columns, values, strict=True))
            for values in (name if isinstance(name, tuple) else (name,) for name in table.columns)
        ]
    lines = [[str(entry) for entry in line] for line in table.reset_index().to_numpy()]
    return markdown([Table(headers, lines, "l" * len(headers))])


def differences_of_plan(before: StoredRun, after: StoredRun) -> list[str]:
    """What makes two runs less than comparable: other cells, seeds, images or an unfinished run."""
    warnings = []
    cells = [{(item.grid, item.id) for item in run.plan.items} for run in (before, after)]
    for name, other, only in (("A", "B", cells[0] - cells[1]), ("B", "A", cells[1] - cells[0])):
        if only:
            grid, id_ = min(only)
            example = f"such as {grid}/{id_}"
            warnings.append(f"{count(len(only), 'cell')} of {name} not in {other}, {example}")
    seeds = [set(run.plan.seeds) for run in (before, after)]
    if seeds[0] != seeds[1]:
        shared = len(seeds[0] & seeds[1])
        warnings.append(
            f"A has {count(len(seeds[0]), 'seed')}, B has {len(seeds[1])}, {shared} of them shared"
        )
    images = [run.environment.data.get("fingerprint", "") for run in (before, after)]
    if images[0] != images[1]:
        warnings.append(f"A was trained on images {images[0][:12]}, B on {images[1][:12]}")
    for name, run in (("A", before), ("B", after)):
        if absent := len(run.missing):
            replicas = len(run.plan.names()) * len(run.plan.seeds)
            warnings.append(f"{name} is unfinished: {absent} of {replicas} replicas are absent")
    return warnings


def _markdown(found: Conclusion, warnings: Sequence[str], *, everything: bool) -> str:
    before, after = found.both
    listed = [j for j in found.judgements if everything or j.verdict is not Verdict.IDENTICAL]
    rows = Rows(before), Rows(after)
    lines = []
    for judgement in listed:
        a, b = (side[judgement.item.cell] for side in rows)
        lines.append(
            [
                code(judgement.item.name),
                a.accuracy_text,
                b.accuracy_text,
                change_points(_change(judgement, a, b)),
                significant(a.signal_ratio),
                significant(b.signal_ratio),
                judgement.verdict.value,
                clipped(judgement.reason, MOST_REASON),
            ]
        )
    hidden = len(found.judgements) - len(listed)
    notes = []
    if hidden:
        notes.append(f"{count(hidden, 'identical cell')} not listed: {code('--all')} lists them.")
    if lines:
        notes.append(
            "Accuracy: mean ± standard deviation over seeds. Signal ratio: gradient variance in "
            "the first over that in the last hidden layer, at initialization, median over seeds. "
            + _speeds(before, after, listed, rows)
        )
    answer = f"{capital(found.answer.value)}: {because_text(found, MOST_REASON)}."
    blocks: list[Block | None] = [
        f"{strong(answer)} A is OLD, B is NEW.",
        *warning_quotes(warnings),
        origins(found),
        Table(_HEADERS, lines, "lrrrrrll") if lines else None,
        " ".join(notes),
        checks_section(found, brief=True),
        counts_section(found),
        sides_section(found, brief=True),
    ]
    return markdown(blocks)


def _speeds(
    before: StoredRun, after: StoredRun, listed: Sequence[Judgement], rows: tuple[Rows, Rows]
) -> str:
    """Throughput of the listed cells on both sides, in one sentence."""
    old, new = before.environment.machine, after.environment.machine
    if any(old[fact] != new[fact] for fact in old.keys() & new.keys()):  # later ones know more
        return "The runs are of two machines, so speeds are left out."
    cells = list(dict.fromkeys(judgement.item.cell for judgement in listed))
    sides = [[side[cell].images_per_sec for cell in cells] for side in rows]
    medians = [
        statistics.median(known) if (known := [v for v in side if v is not None]) else None
        for side in sides
    ]
    return (
        f"Throughput, median over these cells: {rate(medians[0])} images/s in A, {rate(medians[1])} in "
        "B, taken with all workers busy, one run after the other: no proof."
    )


def _change(judgement: Judgement, a: Row, b: Row) -> float | None:
    if a.accuracy is None or b.accuracy is None:
        return None
    return 0.0 if judgement.verdict is Verdict.IDENTICAL else b.accuracy - a.accuracy


def _json(found: Conclusion, cells: pd.DataFrame, warnings: Sequence[str]) -> str:
    before, after = found.both
    content = {
        "a": {"run": str(before.path), "environment": before.environment},
        "b": {"run": str(after.path), "environment": after.environment},
        "counts": {verdict.value: n for verdict, n in counts(found.judgements).items()},
        "warnings": list(warnings),
        "cells": records(cells),
        "checks": [
            {
                "check": result.check.id,
                "same_bits": before.checks[check].digest == result.digest,
                "a": before.checks[check],
                "b": result,
            }
            for check, result in after.checks.items()
            if check in before.checks
        ],
    }
    return as_json(content)
