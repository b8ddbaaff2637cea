"""Models carried from one version to another: saved by OLD, loaded by OLD and by NEW."""

from __future__ import annotations

from pathlib import Path

from bench.execution.protocol import Load, Save
from bench.execution.supervisor import Supervisor
from bench.results.saved_models import MODELS, Exchange, Written


def exchange(
    old: Supervisor, new: Supervisor, folder: Path, *, timeout_sec: float
) -> list[Exchange]:
    """Every model in every format.

    Args:
        old: whose process trains and saves.
        new: whose process loads.
        folder: absolute, empty, seen by both; files stay there.
        timeout_sec: of each request.

    Raises:
        BenchError: a process could not be started.
    """
    return [
        _carried(old, new, folder, written, timeout_sec)
        for model in MODELS
        for written in old.do(Save(folder=str(folder), model=model), timeout_sec=timeout_sec)
    ]


def _carried(
    old: Supervisor, new: Supervisor, folder: Path, written: Written, timeout_sec: float
) -> Exchange:
    if written.absent or written.error:
        return Exchange(written=written)
    load = Load(folder=str(folder), model=written.model, format=written.format)
    by_old, by_new = (side.do(load, timeout_sec=timeout_sec) for side in (old, new))
    return Exchange(written=written, by_old=by_old, by_new=by_new)
