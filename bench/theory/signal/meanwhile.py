"""Predictions of a large run's cells, made by a second process while this one reads its records."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bench.results.aside import Aside, AsideError
from bench.results.files import read_json
from bench.results.plan import Plan
from bench.results.record import RECORDS
from bench.results.run import PLAN
from bench.results.tasks import LARGE
from bench.theory.signal import meanfield
from bench.theory.signal.predicted import silent


@contextlib.contextmanager
def predicted_meanwhile(*folders: Path) -> Iterator[None]:
    """Predicts the cells of runs while the block reads them, if that takes longer than to start a
    process. What is not predicted then is predicted when it is asked for.

    Args:
        folders: of the runs; what is wrong with one is not said here.
    """
    with contextlib.ExitStack() as stack:
        aside: Aside | None = None
        if sum(map(_size, folders)) > LARGE:
            with contextlib.suppress(AsideError):
                aside = stack.enter_context(Aside())
                aside.submit(_predictions, folders)
        yield
        if aside is not None:
            with contextlib.suppress(AsideError):
                meanfield.PREDICTED.update(aside.result())


def _size(folder: Path) -> int:
    try:
        return (folder / RECORDS.file).stat().st_size
    except OSError:
        return 0


def _predictions(folders: tuple[Path, ...]) -> object:
    """All that claims, tables and figures of the cells' gradients rest on."""
    for folder in folders:
        for cell in read_json(folder / PLAN, Plan).names():
            silent(cell)
            meanfield.predict(cell)
    return meanfield.PREDICTED
