"""Two stored runs side by side: ``bench compare A B``."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from bench.report.document import Block, Quote, Table
from bench.report.markdown import markdown
from bench.report.markup import code, strong
from bench.report.run.checks import compared_checks
from bench.report.run.rounding import origins
from bench.report.run.rows import Row, Rows
from bench.report.text import (
    MOST_REASON,
    NOTHING,
    as_csv,
    as_json,
    change_points,
    clipped,
    count,
    rate,
    significant,
)
from bench.results.run import StoredRun
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
_NUMBERS = (
    "accuracy",
    "accuracy_std",
    "signal_ratio",
    "kernel_ratio",
    "dead_share",
    "images_per_sec",
)
#: Of :class:`bench.verdict.judgement.EnvelopeTest`, whose names these are; all None without an
#: envelope. ``ratio`` may be infinite, which is null in JSON and ``inf`` in CSV.
_ENVELOPE = ("first_step", "ratio", "worst_step", "sharp_steps", "copies")
#: Of :class:`bench.verdict.judgement.Departure`; the distance may be infinite, too.
_DEPARTURE = ("tensor", "step", "distance")


def compare_runs(
    before: StoredRun,
    after: StoredRun,
    judgements: Sequence[Judgement],
    *,
    conclusion: str,
    everything: bool = False,
    form: str = "markdown",
) -> tuple[str, list[str]]:
    """The cells in which two runs differ.

    Args:
        before: run A, in the place of the baseline.
        after: run B, whose cells were judged.
        judgements: of B's cells against A.
        conclusion: what they amount to, in one line.
        everything: list identical cells too.
        form: ``markdown``, ``csv`` or ``json``. Numbers in CSV and JSON are raw: shares, not percent.

    Returns:
        the text, ending in one newline, and the warnings. Markdown and JSON contain the warnings;
        who prints CSV prints them elsewhere.
    """
    warnings = differences_of_plan(before, after)
    listed = [
        judgement
        for judgement in judgements
        if everything or judgement.verdict is not Verdict.IDENTICAL
    ]
    rows = Rows(before), Rows(after)
    if form == "csv":
        return _csv(listed, *rows), warnings
    if form == "json":
        return _json(before, after, judgements, listed, rows, warnings), warnings
    text = _markdown(before, after, judgements, listed, rows, warnings, conclusion)
    return text, warnings


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
        replicas = run.plan.replicas()
        absent = sum(key not in run.records for key in replicas)
        if absent:
            warnings.append(
                f"{name} is unfinished: {absent} of {len(replicas)} replicas are absent"
            )
    return warnings


def _markdown(
    before: StoredRun,
    after: StoredRun,
    judgements: Sequence[Judgement],
    listed: Sequence[Judgement],
    rows: tuple[Rows, Rows],
    warnings: Sequence[str],
    conclusion: str,
) -> str:
    tensorflow = before.environment.software.get("tensorflow", "unknown")
    against = f"run {before.path.name} (TensorFlow {tensorflow})"
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
    counted = [[verdict.value, str(cells)] for verdict, cells in counts(judgements).items()]
    hidden = len(judgements) - len(listed)
    notes = []
    if hidden:
        notes.append(f"{count(hidden, 'identical cell')} not listed: {code('--all')} lists them.")
    if lines:
        notes.append(
            "Accuracy: mean ± standard deviation over seeds. Signal ratio: gradient variance in "
            "the first over that in the last hidden layer, at initialization, median over seeds. "
            + _speeds(before, after, listed, rows)
        )
    answer = strong(f"{clipped(conclusion, MOST_REASON)}.")
    blocks: list[Block | None] = [
        f"{answer} B compared with {against}.",
        *warning_quotes(warnings),
        _environments(before, after),
        Table(("verdict", "cells"), counted, "lr"),
        origins(judgements),
        Table(_HEADERS, lines, "lrrrrrll") if lines else None,
        " ".join(notes),
        compared_checks(before, after),
    ]
    return markdown(blocks)


def warning_quotes(warnings: Sequence[str], word: str = "Warning") -> list[Block]:
    """Warnings, or notes, each set apart."""
    return [Quote(f"{strong(word)}: {clipped(warning)}") for warning in warnings]


def _speeds(
    before: StoredRun, after: StoredRun, listed: Sequence[Judgement], rows: tuple[Rows, Rows]
) -> str:
    """Throughput of the listed cells on both sides, in one sentence."""
    if before.environment.machine != after.environment.machine:
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


def _environments(before: StoredRun, after: StoredRun) -> Table:
    """What differs between the environments, and TensorFlow's version in any case."""
    sides: list[dict[str, str]] = []
    for run in (before, after):
        environment = run.environment
        sides.append(
            {
                "run": str(run.path),
                "TensorFlow": environment.software.get("tensorflow", "unknown"),
                "environment class": environment.environment_class,
                **environment.software,
                **environment.machine,
                "images": environment.data.get("fingerprint", "")[:12],
            }
        )
    rows = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        a, b = (side.get(key, NOTHING) for side in sides)
        if key in ("run", "TensorFlow") or (a != b and key != "tensorflow"):
            rows.append([key, clipped(a), clipped(b)])
    return Table(("", "A", "B"), rows, "lll")


def _change(judgement: Judgement, a: Row, b: Row) -> float | None:
    if a.accuracy is None or b.accuracy is None:
        return None
    return 0.0 if judgement.verdict is Verdict.IDENTICAL else b.accuracy - a.accuracy


def _flat(judgement: Judgement, a: Row, b: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "grid": judgement.item.grid,
        "cell": judgement.item.id,
        "verdict": judgement.verdict.value,
        "evidence": judgement.rung,
        "accuracy_change": _change(judgement, a, b),
    }
    for number in _NUMBERS:
        flat |= {f"{number}_a": getattr(a, number), f"{number}_b": getattr(b, number)}
    return {
        **flat,
        **_flat_envelope(judgement),
        "failures_a": a.failures,
        "failures_b": b.failures,
        "reason": judgement.reason,
    }


def _flat_envelope(judgement: Judgement) -> dict[str, Any]:
    test = judgement.envelope
    departure = test.departure if test is not None else None
    flat = {name: getattr(test, name, None) for name in _ENVELOPE}
    flat |= {f"departs_{name}": getattr(departure, name, None) for name in _DEPARTURE}
    if departure is not None and departure.distance is None:
        flat["departs_distance"] = math.inf
    return flat


def _csv(listed: Sequence[Judgement], before: Rows, after: Rows) -> str:
    names = ["grid", "cell", "verdict", "evidence", "accuracy_change"]
    names += [f"{number}_{side}" for number in _NUMBERS for side in "ab"]
    names += [*_ENVELOPE, *(f"departs_{name}" for name in _DEPARTURE)]
    names += ["failures_a", "failures_b", "reason"]
    cells = ((judgement, judgement.item.cell) for judgement in listed)
    return as_csv(names, (_flat(judgement, before[c], after[c]) for judgement, c in cells))


def _json(
    before: StoredRun,
    after: StoredRun,
    judgements: Sequence[Judgement],
    listed: Sequence[Judgement],
    rows: tuple[Rows, Rows],
    warnings: Sequence[str],
) -> str:
    content = {
        "a": {"run": str(before.path), "environment": before.environment},
        "b": {"run": str(after.path), "environment": after.environment},
        "counts": {verdict.value: cells for verdict, cells in counts(judgements).items()},
        "warnings": list(warnings),
        "cells": [
            _flat(judgement, rows[0][judgement.item.cell], rows[1][judgement.item.cell])
            for judgement in listed
        ],
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
