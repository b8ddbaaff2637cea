"""Models carried from one version to another: saved by OLD, loaded by OLD and by NEW."""

from __future__ import annotations

from pathlib import Path

from bench.cells.cell import Cell
from bench.execution.protocol import Load, Save
from bench.execution.supervisor import Supervisor
from bench.results.saved_models import MODELS, Exchange, Written


def exchange(
    old: Supervisor, new: Supervisor, folder: Path, *, timeout_sec: float, own: Cell | None = None
) -> list[Exchange]:
    """Every model in every format.

    Args:
        old: whose process trains and saves.
        new: whose process loads.
        folder: absolute, empty, seen by both; files stay there.
        timeout_sec: of each request.
        own: the user's model; None: all of :data:`bench.results.saved_models.MODELS`.

    Raises:
        BenchError: a process could not be started.
    """
    place = str(folder)
    asked = [Save(folder=place, model=model) for model in MODELS]
    if own is not None:
        asked = [Save(folder=place, model=own.model, cell=own)]
    return [
        _carried(old, new, folder, written, timeout_sec, own=own is not None)
        for save in asked
        for written in old.do(save, timeout_sec=timeout_sec)
    ]


def _carried(
    old: Supervisor,
    new: Supervisor,
    folder: Path,
    written: Written,
    timeout_sec: float,
    *,
    own: bool,
) -> Exchange:
    if written.absent or written.error:
        return Exchange(written=written)
    model, name = written.model, written.format
    load = Load(folder=str(folder), model=model, format=name, own=own)
    by_old, by_new = (side.do(load, timeout_sec=timeout_sec) for side in (old, new))
    return Exchange(written=written, by_old=by_old, by_new=by_new)
