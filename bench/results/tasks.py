"""What a run can be asked for, what comes of it, and the file that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.cells.cell import Cell
from bench.results.check import CHECK_LINES, Check, CheckResult
from bench.results.copy_result import COPY_LINES, Copy, CopyResult
from bench.results.jsonl import Lines
from bench.results.record import RECORD_LINES, Record
from bench.results.trial import TRIAL_LINES, Trial, TrialResult

#: One training of a cell under one seed.
Replica = tuple[Cell, int]
#: What trains a cell, and so shares its graph.
Training = Replica | Copy
Task = Training | Check | Trial
#: Each has the task that it came of as its ``key``, and a ``crash``, which is None if it has none.
Outcome = Record | CopyResult | CheckResult | TrialResult


RECORDS = "records.jsonl"
CHECKS = "checks.jsonl"
COPIES = "copies.jsonl"
TRIALS = "trials.jsonl"


class Kind(NamedTuple):
    """How outcomes of one kind are kept."""

    file: str
    lines: Lines[Any]


KINDS: Mapping[type, Kind] = {
    Record: Kind(RECORDS, RECORD_LINES),
    CheckResult: Kind(CHECKS, CHECK_LINES),
    CopyResult: Kind(COPIES, COPY_LINES),
    TrialResult: Kind(TRIALS, TRIAL_LINES),
}

_OUTCOMES: Mapping[type, type] = {
    tuple: Record,
    Check: CheckResult,
    Copy: CopyResult,
    Trial: TrialResult,
}


def kind_of(task: Task) -> Kind:
    """How what comes of a task is kept."""
    return KINDS[_OUTCOMES[type(task)]]


def read_outcomes(folder: Path, outcome: type) -> dict[Any, Any]:
    """All outcomes of one kind in a run's folder, by their keys; of two with one key, the first.

    Raises:
        BenchError: a line is damaged; names the file and the line. So does a missing file of records,
            which every run has.
    """
    path = folder / KINDS[outcome].file
    if outcome is not Record and not path.exists():
        return {}
    found: dict[Any, Any] = {}
    for each in KINDS[outcome].lines.read(path):
        found.setdefault(each.key, each)
    return found
