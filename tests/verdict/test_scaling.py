"""Scaling: known costs come back, and a change of overhead is told from one of kernels."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.jobs.workloads import PACES
from bench.report.markdown import markdown
from bench.report.sections.scaling import changes_blocks, scaling_blocks
from bench.results.pace import Block, PaceResult
from bench.verdict.scaling import TERMS, Term, changed, fit, flops, moved_bytes, told_apart

COSTS: dict[Term, float] = {"step": 2e-4, "layer": 5e-5, "flop": 3e-11, "byte": 1e-10}
POINTS = [pace for pace in PACES["full"] if pace.scale]


def measured(seed: int = 0, *, noise: float = 0.01, **factors: float) -> list[PaceResult]:
    """Points whose steps take these costs, times the factors, in bursts that vary."""
    random = np.random.default_rng(seed)
    costs = {term: COSTS[term] * factors.get(term, 1.0) for term in TERMS}
    found = []
    for pace in POINTS:
        cell = pace.workload.cell
        sec = pace.steps * (
            costs["step"]
            + costs["layer"] * (cell.depth + 1)
            + costs["flop"] * flops(cell)
            + costs["byte"] * moved_bytes(cell)
        )
        works = sec * np.exp(random.normal(0, noise, (6, 2)))
        blocks = [Block(product=[1e-2] * 2, sweep=[1e-2] * 2, work=work) for work in works.tolist()]
        found.append(PaceResult(pace=pace, blocks=blocks))
    return found


def test_operations_and_bytes_by_hand() -> None:
    """Batch 2, one layer of 5 units: kernels of 784 x 5 and 5 x 10. Forward and for the kernels'
    gradients 2 * 2 * 2 * 3970 = 31,760, for the input of the last layer 2 * 2 * 50 = 200. Bytes: 4 *
    (6 * 3970 + 2 * (6 * 15 + 2 * 784))."""
    cell = Cell(depth=1, width=5, batch=2)
    assert flops(cell) == 31_760 + 200
    assert moved_bytes(cell) == 4 * (6 * 3970 + 2 * (90 + 1568))


def test_costs_come_back() -> None:
    found = fit(measured())
    assert found is not None
    for term in TERMS:
        value, low, high = found.coefficients[term]
        assert value == pytest.approx(COSTS[term], rel=0.1), term
        assert low <= value <= high
    assert found.residual < 0.02
    assert all(found.share_of_peak(point) > 0 for point in found.points)


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({}, "nothing that this can tell"),
        ({"step": 1.5}, "overhead, not the speed of kernels"),
        ({"layer": 1.4}, "overhead, not the speed of kernels"),
        ({"flop": 1.3}, "the speed of kernels, not overhead"),
        ({"step": 1.6, "flop": 1.3}, "overhead and the speed of kernels"),
    ],
)
def test_what_changed_is_told_apart(factors: dict[str, float], words: str) -> None:
    old, new = fit(measured(1)), fit(measured(2, **factors))
    assert old is not None and new is not None
    found = changed(old, new)
    assert set(found) == set(factors)
    assert told_apart(found) == words
    assert words in markdown(changes_blocks(old, new))


def test_too_few_points_have_no_fit() -> None:
    assert fit(measured()[:7]) is None
    others = [msgspec.structs.replace(one.pace, scale=False) for one in measured()]
    assert fit([PaceResult(pace=pace, blocks=measured()[0].blocks) for pace in others]) is None


def test_the_section_names_peak_and_residuals() -> None:
    found = fit(measured())
    assert found is not None
    text = markdown(scaling_blocks(found), figures=False)
    assert "GFLOP/s" in text and "overhead of a layer" in text
    assert text.count("\n|") > len(POINTS)
