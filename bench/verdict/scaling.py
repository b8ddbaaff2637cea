"""How the time of a training step grows with batch, width and depth: what a step, a layer, a flop and a
byte cost.

The model is a sum, as costs that do not overlap add up:

    t = step + layer * (d + 1) + flop * F(b, w, d) + byte * B(b, w, d)

with b images a batch, d hidden layers of w units, and d + 1 layers with the last one. Coefficients are
not negative (Lawson and Hanson 1974, ch. 23) and minimize the sum of squares of relative residuals.
Intervals come from resampling blocks within every point (Efron and Tibshirani 1993, section 13.3): they
hold what varies within a process and not what differs from process to process, for which two runs have
the chart (docs/speed.md).

A change of overhead (step, layer) and one of kernels (flop, byte) are told apart by which coefficients
changed; a coefficient counts as changed if the intervals of both runs are apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from bench.cells.cell import Cell
from bench.measure.calibration import PRODUCT_FLOPS, SWEEP_BYTES
from bench.results.pace import PaceResult

Array = npt.NDArray[np.float64]
Term = Literal["step", "layer", "flop", "byte"]
TERMS: tuple[Term, ...] = ("step", "layer", "flop", "byte")
OVERHEAD: frozenset[Term] = frozenset(("step", "layer"))

#: Resamples; the 2.5 % quantile of 200 is their fifth.
RESAMPLES = 200
_OUTPUTS, _INPUTS = 10, 784


class Coefficient(NamedTuple):
    """Seconds of one unit, with an interval of 95 %."""

    value: float
    low: float
    high: float


class Point(NamedTuple):
    """One measured network."""

    cell: Cell
    sec: float
    """Of a step: the median over blocks of the shorter burst."""
    fitted_sec: float


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """The fit to one run's points."""

    points: list[Point]
    coefficients: dict[Term, Coefficient]
    peak_flops: float
    """Of a second, that NumPy's matrix product reached beside: the fastest of all bursts."""
    peak_bytes: float
    """Of a second, that the sweep reached."""

    @property
    def residual(self) -> float:
        """Root mean square of relative residuals."""
        ratios = [point.sec / point.fitted_sec - 1 for point in self.points]
        return float(np.sqrt(np.mean(np.square(ratios))))

    def share_of_peak(self, point: Point) -> float:
        """Floating-point operations of a step over what the product does in its time."""
        return flops(point.cell) / point.sec / self.peak_flops


def parameters(cell: Cell) -> int:
    """Kernels' entries of an MLP."""
    if not cell.depth:
        return _INPUTS * _OUTPUTS
    return _INPUTS * cell.width + (cell.depth - 1) * cell.width**2 + cell.width * _OUTPUTS


def flops(cell: Cell) -> float:
    """Operations of a training step in its matrix products: a multiplication and an addition for each
    image and entry of a kernel, forward, for the kernel's gradient, and, but for the first layer, for
    the input's."""
    first = _INPUTS * (cell.width if cell.depth else _OUTPUTS)
    return float(2 * cell.batch * (3 * parameters(cell) - first))


def moved_bytes(cell: Cell) -> float:
    """Bytes of float32 that a step has to move at least: of a kernel's entry six numbers (read forward
    and backward, its gradient written and read, itself read and written by the update), of a unit's
    activation six (written, activated and read, and the same for its gradient), of a pixel two."""
    units = cell.depth * cell.width + _OUTPUTS
    return 4.0 * (6 * parameters(cell) + cell.batch * (6 * units + 2 * _INPUTS))


def fit(results: Iterable[PaceResult], *, seed: int = 0) -> Scaling | None:
    """The fit to the points of a scaling; None if there are fewer than twice as many as coefficients.

    Args:
        results: paces; those that are no points, or crashed, are left out.
        seed: of the resamples.
    """
    points = [one for one in results if one.pace.scale and one.blocks]
    if len(points) < 2 * len(TERMS):
        return None
    cells = [one.pace.workload.cell for one in points]
    design = np.array([_row(cell) for cell in cells])
    times = [np.array([min(block.work) for block in one.blocks]) / one.pace.steps for one in points]
    sec = np.array([np.median(one) for one in times])
    values = _solve(design, sec)
    random = np.random.default_rng(seed)
    drawn = np.array(
        [
            _solve(design, np.array([np.median(random.choice(one, one.size)) for one in times]))
            for _ in range(RESAMPLES)
        ]
    )
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    blocks = [block for one in points for block in one.blocks]
    return Scaling(
        points=[
            Point(cell, float(took), float(fitted))
            for cell, took, fitted in zip(cells, sec, design @ values, strict=True)
        ],
        coefficients={
            term: Coefficient(float(value), float(a), float(b))
            for term, value, a, b in zip(TERMS, values, low, high, strict=True)
        },
        peak_flops=PRODUCT_FLOPS / min(min(block.product) for block in blocks),
        peak_bytes=SWEEP_BYTES / min(min(block.sweep) for block in blocks),
    )


def changed(old: Scaling, new: Scaling) -> Mapping[Term, float]:
    """Ratios, new over old, of the coefficients whose intervals are apart; infinite from 0."""
    found: dict[Term, float] = {}
    for term in TERMS:
        before, after = old.coefficients[term], new.coefficients[term]
        if after.low > before.high or after.high < before.low:
            found[term] = after.value / before.value if before.value else float("inf")
    return found


def told_apart(terms: Iterable[Term]) -> str:
    """What changed, in words."""
    kinds = {term in OVERHEAD for term in terms}
    words = {
        frozenset(): "nothing that this can tell",
        frozenset({True}): "overhead, not the speed of kernels",
        frozenset({False}): "the speed of kernels, not overhead",
        frozenset({True, False}): "overhead and the speed of kernels",
    }
    return words[frozenset(kinds)]


def _row(cell: Cell) -> list[float]:
    return [1.0, cell.depth + 1.0, flops(cell), moved_bytes(cell)]


def _solve(design: Array, sec: Array) -> Array:
    """Coefficients, each column scaled so that the solver sees numbers of one size."""
    from scipy.optimize import nnls

    relative = design / sec[:, None]
    sizes = np.linalg.norm(relative, axis=0)
    solution, _ = nnls(relative / sizes, np.ones(len(sec)))
    return np.asarray(solution / sizes)
