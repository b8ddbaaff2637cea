"""What a run can be asked for, what comes of it, and the file that keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.cell import Cell
from bench.check import Check, CheckResult, decode_result, encode_result, read_results
from bench.copies import Copy, CopyResult, decode_copy, encode_copy, read_copies
from bench.published.trial import Trial, TrialResult, decode_trial, encode_trial, read_trials
from bench.record import Record, decode, encode, read_records

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
    """How outcomes of one kind are kept: one JSON line each."""

    file: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    read: Callable[[Path], list[Any]]


KINDS: Mapping[type, Kind] = {
    Record: Kind(RECORDS, encode, decode, read_records),
    CheckResult: Kind(CHECKS, encode_result, decode_result, read_results),
    CopyResult: Kind(COPIES, encode_copy, decode_copy, read_copies),
    TrialResult: Kind(TRIALS, encode_trial, decode_trial, read_trials),
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
    for each in KINDS[outcome].read(path):
        found.setdefault(each.key, each)
    return found
