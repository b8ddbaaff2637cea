"""Row: what one cell's records say, averaged over seeds. Shared by all reports."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.cells.cell import AXES, OWN_AXES, Cell
from bench.report.text import NOTHING, points, rate
from bench.results.columns import known
from bench.results.record import Record
from bench.results.run import StoredRun


@dataclass(frozen=True)
class Row:
    """One cell of one run. Values are None where no replica has one."""

    planned: int
    """Replicas that the run set out to train, those of further seeds included."""
    measured: int
    diverged_steps: tuple[int, ...]
    """First bad step of each diverged replica, sorted."""
    crashes: tuple[str, ...]
    """What each crash said."""
    accuracies: Mapping[int, float]
    """Share of test images by seed, of the trained replicas."""
    signal_ratio: float | None
    """Median over replicas, at initialization."""
    kernel_ratio: float | None
    dead_share: float | None
    """Median over replicas, after training; at initialization for a replica that did not end."""
    images_per_sec: float | None
    """Median over replicas."""

    @property
    def trained(self) -> int:
        return len(self.accuracies)

    @property
    def accuracy(self) -> float | None:
        """Mean over the trained replicas, a share."""
        return statistics.fmean(self.accuracies.values()) if self.accuracies else None

    @property
    def accuracy_std(self) -> float | None:
        """Sample standard deviation; None below two trained replicas."""
        return spread(list(self.accuracies.values()))

    @property
    def failures(self) -> str:
        """``diverged 3/3 at step 41, crashed 1/3``; empty if all replicas trained."""
        parts = []
        if self.diverged_steps:
            first, last = self.diverged_steps[0], self.diverged_steps[-1]
            where = f"step {first}" if first == last else f"steps {first}–{last}"
            parts.append(f"diverged {len(self.diverged_steps)}/{self.planned} at {where}")
        if self.crashes:
            parts.append(f"crashed {len(self.crashes)}/{self.planned}")
        if self.measured < self.planned:
            parts.append(f"not measured {self.planned - self.measured}/{self.planned}")
        return ", ".join(parts)

    @property
    def accuracy_text(self) -> str:
        """Accuracy in percent, and what became of replicas without one."""
        shown = points(self.accuracy, self.accuracy_std) if self.trained else ""
        return "; ".join(filter(None, (shown, self.failures))) or NOTHING


class Rows:
    """The rows of a run by cell; each is worked out once, however many grids the cell stands in.

    A cell that the run did not plan has a row without values.
    """

    def __init__(self, run: StoredRun) -> None:
        self._run = run
        self._planned = frozenset(item.cell for item in run.plan.items)
        self._known: dict[Cell, Row] = {}

    def __getitem__(self, cell: Cell) -> Row:
        if cell not in self._known:
            records = self._run.of(cell)
            planned = self._run.plan.seeds if cell in self._planned else []
            seeds = {*planned, *(record.seed for record in records)}
            self._known[cell] = _row(records, len(seeds))
        return self._known[cell]


def _row(records: Sequence[Record], planned: int) -> Row:
    starts = [record.start for record in records if record.start is not None]
    last = [flow for record in records if (flow := record.end or record.start) is not None]
    return Row(
        planned=planned,
        measured=len(records),
        diverged_steps=tuple(
            sorted(record.diverged_step for record in records if record.diverged_step is not None)
        ),
        crashes=tuple(record.crash.message for record in records if record.crash is not None),
        accuracies={
            record.seed: record.test_accuracy
            for record in records
            if record.outcome == "trained" and record.test_accuracy is not None
        },
        signal_ratio=_median(known(starts, "signal_ratio")),
        kernel_ratio=_median(known(starts, "kernel_ratio")),
        dead_share=_median(known(last, "dead_share")),
        images_per_sec=_median(record.images_per_sec for record in records),
    )


def throughput(rows: Iterable[Row]) -> str:
    """One line: the median over cells, and the slowest and fastest cell; empty if none has one."""
    speeds = [row.images_per_sec for row in rows if row.images_per_sec is not None]
    if not speeds:
        return ""
    low, middle, high = min(speeds), statistics.median(speeds), max(speeds)
    between = f", from {rate(low)} to {rate(high)}" if low < high else ""
    return f"Throughput: {rate(middle)} images/s in the median over cells{between}."


def common_configuration(cells: Iterable[Cell]) -> dict[str, str]:
    """Axis -> value, for every axis that all the cells have and agree on; of models of the user's those
    that count."""
    known = list(cells)
    own = any(cell.model for cell in known)
    return {
        axis: known[0].value(axis)
        for axis in (OWN_AXES if own else AXES)
        if known and all(cell.has(axis) for cell in known)
        if len({cell.value(axis) for cell in known}) == 1
    }


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None below two values, where it is not 0 but unknown."""
    if len(values) < 2:
        return None
    mean = statistics.fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
