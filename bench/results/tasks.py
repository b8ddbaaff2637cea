"""The kinds of results that there are, and reading all of a run's.

A further kind is a module that makes a :class:`bench.results.kind.Kind`, a line in :data:`KINDS`, and
a line in :func:`bench.execution.trainer.handlers`, which says what a training process does for it.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.results.check import CHECKS
from bench.results.copy_result import COPIES
from bench.results.kind import Kind, Outcome, Task
from bench.results.pace import PACES
from bench.results.record import RECORDS
from bench.results.trial import TRIALS

#: All kinds, in the order in which they are counted.
KINDS: tuple[Kind[Any, Any], ...] = (RECORDS, CHECKS, COPIES, TRIALS, PACES)

KIND_OF: Mapping[type[Task], Kind[Any, Any]] = {kind.task: kind for kind in KINDS}


def read_outcomes(folder: Path) -> dict[Task, Outcome]:
    """All outcomes in a run's folder by their tasks, kind by kind; of two of one task, the first.

    Raises:
        BenchError: a line is damaged; names the file and the line. So does a missing file that every
            run has.
    """
    return read_checked(folder)[0]


def read_checked(
    folder: Path, like: Mapping[Task, Outcome] = MappingProxyType({})
) -> tuple[dict[Task, Outcome], int]:
    """The same, and how many of the lines have no checksum, as an older version wrote them.

    Args:
        folder: the run's.
        like: outcomes of another run, with which equal parts are shared.
    """
    outcomes: dict[Task, Outcome] = {}
    unchecked = 0
    with no_collection():
        for kind in KINDS:
            path = folder / kind.file
            if kind.required or os.path.lexists(path):
                for outcome, has_sum in kind.scan(path):
                    key = outcome.key
                    if (twin := like.get(key)) is not None:
                        outcome.share(twin)
                    outcomes.setdefault(key, outcome)
                    unchecked += not has_sum
    return outcomes, unchecked


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Keeps Python's collector from looking through all that was read, again and again, for cycles that
    outcomes do not have: two fifths of the time of reading 20,000 records, a second for each look at a
    million."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
