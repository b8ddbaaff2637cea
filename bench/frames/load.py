"""The public face for notebooks: ``bench.load`` and ``bench.load_baseline``."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.frames.frame import of_baseline, of_sides
from bench.results.find import is_upgrade
from bench.results.run import read_run
from bench.results.upgrade import read_upgrade
from bench.verdict.baselines.folder import read_baseline
from bench.verdict.conclusion import against_baseline, of_upgrade
from bench.verdict.judging import baseline_for


def load(
    folder: str | os.PathLike[str], *, baselines: str | os.PathLike[str] | None = "baselines"
) -> pd.DataFrame:
    """A stored run or upgrade, judged, as a frame with one row per side, cell and seed.

    Args:
        folder: of the run or upgrade, such as ``results/20261128-031502-quick``.
        baselines: what a run is compared with; None, or no such folder: with nothing.

    Returns:
        columns ``side`` (``baseline`` and ``run``, or ``old`` and ``new``), ``grid``, ``cell``, one for
        each axis of an id (``depth``, ``act``, ``init``, ``norm``, ...), ``seed``, ``outcome``, the
        metrics (raw: shares, ratios, steps; NaN where there is none), ``images_per_sec``, ``digest``,
        ``tensorflow``, ``keras``, ``environment_class`` and the cell's ``verdict``.

    Raises:
        BenchError: there is no such run, or one of its files is damaged.

    Example:
        >>> frame = bench.load("results/20261128-031502-quick")  # doctest: +SKIP
        >>> frame.pivot_table("test_accuracy", index="depth", columns="act")  # doctest: +SKIP
    """
    path = Path(folder)
    if is_upgrade(path):
        return of_sides(of_upgrade(read_upgrade(path)))
    run = read_run(path)
    stored = Path(baselines) if baselines is not None else None
    baseline = baseline_for(stored, run) if stored is not None and stored.is_dir() else None
    return of_sides(against_baseline(run, baseline, speeds=stored))


def load_baseline(
    environment_class: str, *, baselines: str | os.PathLike[str] = "baselines"
) -> pd.DataFrame:
    """The stored baseline of an environment class, as a frame with one row per cell and seed.

    Args:
        environment_class: such as ``cpu-avx2-onednn-1thread``: a folder's name below ``baselines``.
        baselines: the folder of all classes.

    Returns:
        the columns of :func:`load` without ``verdict``.

    Raises:
        BenchError: nothing is stored of the class, or a file is damaged.
    """
    root = Path(baselines)
    baseline = read_baseline(root, environment_class)
    if baseline is None:
        stored = sorted(path.name for path in root.glob("*/")) if root.is_dir() else []
        raise BenchError(
            f"{root / environment_class}: no baseline is stored",
            hint=f"there are: {', '.join(stored) or 'none'}",
        )
    return of_baseline(baseline)
