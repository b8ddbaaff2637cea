"""How fast are a training step and inference, engine by engine?

pytest-benchmark measures bursts of steps in a process of its own that has the whole machine. The
times are those process' own, to the moment when the last output had arrived. Compare them on one
machine only: ``--benchmark-autosave``, ``--benchmark-compare`` and all its other options work.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench.cells.cell import ENGINES, Cell
from bench.execution.bursts import RemoteBursts, remote_clock

#: Steps in a burst: a fifth of a second or less, and long enough that calls don't matter.
MLP_STEPS, CNN_STEPS = 50, 5

NETWORKS = {
    "mlp": (Cell(depth=3, learning_rate=0.01), MLP_STEPS),
    "cnn": (Cell(architecture="cnn", learning_rate=0.01, batch=50), CNN_STEPS),
}


@pytest.mark.benchmark(timer=remote_clock)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("work", ["training", "inference"])
def test_throughput(
    benchmark: Any, remote_bursts: RemoteBursts, work: Any, network: str, engine: str
) -> None:
    """Images per second, in ``extra_info`` of pytest-benchmark's JSON and tables."""
    cell, steps = NETWORKS[network]
    benchmark.group = f"{work} {network}, bursts of {steps} batches of {cell.batch}"
    burst = remote_bursts(cell, engine=engine, work=work, steps=steps)
    burst()  # compiles
    benchmark(burst)
    if benchmark.stats:
        per_burst = cell.batch * steps
        benchmark.extra_info["images_per_sec"] = per_burst / benchmark.stats.stats.median
        benchmark.extra_info["cell"] = cell.id()
