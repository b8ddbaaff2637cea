"""The kinds of results that there are, and reading all of a run's.

A further kind is a module that makes a :class:`bench.results.kind.Kind`, a line in :data:`KINDS`, and
a line in :func:`bench.execution.trainer.handlers`, which says what a training process does for it.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.results.aside import Aside, AsideError
from bench.results.check import CHECKS
from bench.results.columns import Columns
from bench.results.copy_result import COPIES
from bench.results.kind import Kind, Outcome, Task
from bench.results.pace import PACES
from bench.results.record import RECORDS
from bench.results.trial import TRIALS

#: All kinds, in the order in which they are counted.
KINDS: tuple[Kind[Any, Any], ...] = (RECORDS, CHECKS, COPIES, TRIALS, PACES)

KIND_OF: Mapping[type[Task], Kind[Any, Any]] = {kind.task: kind for kind in KINDS}


def read_outcomes(folder: Path) -> dict[Task, Outcome]:
    """All outcomes in a run's folder by their tasks, kind by kind, as they were written; of two of one
    task, the first.

    Raises:
        BenchError: a line is damaged; names the file and the line. So does a missing file that every
            run has.
    """
    with no_collection():
        outcomes: dict[Task, Outcome] = {}
        for kind, path in _files(folder):
            for outcome, _ in kind.scan(path):
                outcomes.setdefault(outcome.key, outcome)
        return outcomes


def read_checked(
    folder: Path, like: Mapping[Task, Outcome] = MappingProxyType({})
) -> tuple[dict[Task, Outcome], int]:
    """The same, with what is judged of them alone, and how many of the lines have no checksum, as an
    older version wrote them.

    Args:
        folder: the run's.
        like: outcomes of another run, with which equal parts are shared.
    """
    outcomes: dict[Task, Outcome] = {}
    unchecked = 0
    with no_collection():
        for kind, path in _files(folder):
            for outcome, has_sum in _scan(kind, path):
                key = outcome.key
                if (twin := like.get(key)) is not None:
                    outcome.share(twin)
                outcomes.setdefault(key, outcome)
                unchecked += not has_sum
    return outcomes, unchecked


def _files(folder: Path) -> Iterator[tuple[Kind[Any, Any], Path]]:
    """The kinds that a run has, or must have."""
    for kind in KINDS:
        path = folder / kind.file
        if kind.required or os.path.lexists(path):
            yield kind, path


#: Bytes of a file beyond which a second process helps to read it: what that takes to start.
LARGE = 1 << 25
#: Bytes of a stretch, in which a record has some 3,000, and how many of them the second process has
#: before it.
_STRETCH, _AHEAD = 1 << 18, 3


def _scan(kind: Kind[Any, Any], path: Path) -> Iterator[tuple[Outcome, bool]]:
    """:meth:`Kind.scan`, in two processes where the file is large. Where one of them cannot go on, all
    outcomes come again: of one that came before, the first counts."""
    try:
        if (size := path.stat().st_size) > LARGE:
            for outcomes in _shared(kind, path, size):
                yield from ((outcome, True) for outcome in outcomes)
            return
    except (AsideError, OSError, ValueError):
        pass  # read by one process, which says what is wrong with which line
    for outcome, has_sum in kind.scan(path):
        outcome.compact()
        yield outcome, has_sum


def _shared(kind: Kind[Any, Any], path: Path, size: int) -> Iterator[list[Outcome]]:
    """The outcomes of a file whose lines all have a checksum, stretch by stretch.

    This process and another one take the stretches in turn, so that neither waits for the other.

    Raises:
        AsideError, OSError, ValueError: one of them cannot go on.
    """
    stretches = range(0, size, _STRETCH)
    left, given = iter(stretches), deque[int]()
    found: dict[int, list[Outcome]] = {}
    with Aside() as aside:
        for begin in stretches:
            while begin not in found:
                while given and aside.ready():
                    found[given.popleft()] = _received(aside)
                while len(given) < _AHEAD and (theirs := next(left, None)) is not None:
                    aside.submit(_columns, kind.file, path, theirs, min(theirs + _STRETCH, size))
                    given.append(theirs)
                if (ours := next(left, None)) is not None:
                    found[ours] = _stretch(kind, path, ours, min(ours + _STRETCH, size))
                elif begin not in found:
                    found[given.popleft()] = _received(aside)
            yield found.pop(begin)


def _received(aside: Aside) -> list[Outcome]:
    sent: Columns | None = aside.result()
    outcomes = sent.outcomes() if sent is not None else []
    for outcome in outcomes:
        outcome.compact()  # shares what those of this process have
    return outcomes


def _columns(file: str, path: Path, begin: int, end: int) -> Columns | None:
    """:func:`_stretch` in the second process; None if no line begins there."""
    kind = next(kind for kind in KINDS if kind.file == file)
    with no_collection():
        outcomes = _stretch(kind, path, begin, end)
        return Columns.of(outcomes) if outcomes else None


def _stretch(kind: Kind[Any, Any], path: Path, begin: int, end: int) -> list[Outcome]:
    """Outcomes of lines that begin in a stretch of a file; raises ValueError and OSError."""
    outcomes: list[Outcome] = kind.stretch(path, begin, end)
    for outcome in outcomes:
        outcome.compact()
    return outcomes


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
