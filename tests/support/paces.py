"""Made-up paces, and stored ones of a machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.cells.cell import Cell
from bench.jobs.workloads import PACES
from bench.results.pace import Block, Pace, PaceResult
from bench.results.timings import Work, Workload
from bench.verdict.baselines.speeds import StoredPaces
from support.builders import environment

FIT = PACES["quick"][1]


def pace(work: Work = "training", *, engine: str = "in_graph", steps: int = 10) -> Pace:
    return Pace(workload=Workload(Cell(depth=3, engine=engine), work), steps=steps)


def result(
    of: Pace = FIT,
    *,
    step: float = 2.0,
    first: float = 50.0,
    peak_mib: float = 20.0,
    growth_kib: float = 0.1,
    slow: float = 1.0,
    **changes: Any,
) -> PaceResult:
    """One whose values are those, on a machine that is ``slow`` times as slow."""
    base = 0.01 * slow
    block = Block(product=[base] * 2, sweep=[base] * 2, work=[base * step * of.steps] * 2)
    made: dict[str, Any] = {
        "pace": of,
        "blocks": [block] * 3,
        "first_sec": first * base,
        "peak_bytes": round(peak_mib * 2**20),
        "growth_bytes": growth_kib * 2**10,
        "growth_slack": 1000.0,
    }
    return PaceResult(**{**made, **changes})


def stored(
    number: int,
    paces: Sequence[PaceResult],
    *,
    tensorflow: str = "2.21.0",
    new_level: bool = False,
) -> StoredPaces:
    """An accepted run of the machine of :func:`support.builders.environment`."""
    of = environment(software={"tensorflow": tensorflow})
    return StoredPaces(
        run=f"night-{number}",
        date="2026-11-29",
        measured=f"2026-11-{number + 1:02}T03:00:00Z",
        reason="a test",
        new_level=new_level,
        numerics=of.numerics,
        machine=of.machine,
        software=of.software,
        paces=list(paces),
    )
