"""A stored run, judged: claims checked, the right baseline found, every cell given its verdict."""

from __future__ import annotations

from pathlib import Path

from bench.run import StoredRun
from bench.theory.claims import check_claims
from bench.verdict.baseline import Baseline, nearest_class, read_baseline
from bench.verdict.judgement import Judgement
from bench.verdict.ladder import judge


def baseline_for(root: Path, run: StoredRun) -> Baseline | None:
    """The stored baseline of the run's environment class, else the nearest one, else None.

    Raises:
        BenchError: it is damaged.
    """
    numerics = run.environment.numerics
    return read_baseline(root, numerics.environment_class) or nearest_class(root, numerics)


def judge_with_claims(run: StoredRun, baseline: Baseline | None) -> list[Judgement]:
    """All claims checked and all cells judged, in the order of the run's plan."""
    claims = {item: check_claims(item.cell, run.of(item.cell)) for item in run.plan.items}
    return judge(run, baseline, claims)
