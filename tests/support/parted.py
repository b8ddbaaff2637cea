"""A cell as it is stored today, trained to its end under five seeds, and ways in which two sides of it
part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from bench.cells.cell import Cell
from bench.measure.tensors import TEST_LOGITS, fingerprints
from bench.measure.trajectory import marks
from bench.results.copy_result import Copy, CopyResult
from bench.results.record import Record
from support.builders import copied, items, losses, moved, plan, trained

STEPS = 600
CELL = Cell(depth=3)
PLAN = plan(items("depth", [CELL], ("depth",)), seeds=range(5))
NAMES = ("layer 1, kernel", "output, kernel", "logits in inference", "layer 1, kernel, gradient")


def full(seed: int, **changes: Any) -> Record:
    """A replica as it is stored today: all losses, states, fingerprints at the looks and at both
    ends."""
    random = np.random.default_rng(seed)
    steps = np.arange(STEPS)
    trajectory = (2.3 * np.exp(-steps / 100) + random.normal(0, 0.05, STEPS)).astype("<f4")
    return trained(
        CELL,
        seed,
        trajectory=trajectory.tobytes(),
        states=np.arange(len(marks(STEPS)), dtype="<u4").tobytes(),
        tensors=looks(),
        ends=ends(),
        **changes,
    )


def looks(change: Callable[[int, str], float] = lambda step, name: 0.0) -> Any:
    drawn = {name: np.random.default_rng(7).normal(size=50) for name in NAMES}
    return fingerprints(
        {s: {n: v * (1 + change(s, n)) for n, v in drawn.items()} for s in (0, 1, 10, 100)}
    )


def ends(kernel: float = 0.0, logits: float = 0.0, start: float = 0.0) -> Any:
    """Fingerprints at both ends, those after the last step off by so much of their size."""
    values = np.random.default_rng(8).normal(size=50)
    return fingerprints(
        {
            0: {"output, kernel": values, TEST_LOGITS: values * (1 + start)},
            STEPS: {"output, kernel": values * (1 + kernel), TEST_LOGITS: values * (1 + logits)},
        }
    )


def states(since: int) -> bytes:
    """Hashes of a training that parts from :func:`full` at step ``since``."""
    return np.array(
        [n if step <= since else n + 1000 for n, step in enumerate(marks(STEPS))], "<u4"
    ).tobytes()


def parted(record: Record, since: int, by: float, **changes: Any) -> Record:
    """The replica with losses that differ by ``by`` from step ``since`` on, and other bits from
    there."""
    changes = {"states": states(since), **changes}
    return msgspec.structs.replace(moved(record, by * (np.arange(STEPS) >= since)), **changes)


def ordinary(
    record: Record, copy: Copy, *, whole: bool = True, by: float = 1e-6, off: float = 0.0
) -> CopyResult:
    """A copy that parts from its replica by ``by`` from where it was moved on; the replica's tensors at
    the end and from step 1 on are ``off`` by so much themselves."""
    part = by * np.random.default_rng([copy.seed, copy.number]).uniform(-1, 1, len(losses(record)))
    part[: copy.moved_at + 1] = 0
    result = copied(record, whole=whole)
    size = 1e-7 * (1 + copy.number)
    return msgspec.structs.replace(
        result,
        copy=copy,
        trajectory=moved(record, part).trajectory,
        tensors=looks(lambda step, _: size * (step >= copy.moved_at) + off * (step >= 1)),
        ends=ends(off + size, off + size, size * (copy.moved_at == 0)) if whole else None,
    )
