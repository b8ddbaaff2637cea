"""How fast are a training step and inference, engine by engine?

pytest-benchmark measures bursts of steps in a process of its own that has the whole machine. The
times are those process' own, to the moment when the last output had arrived. Compare them on one
machine only: ``--benchmark-autosave``, ``--benchmark-compare`` and all its other options work. Between
bursts the process calibrates, so that a saved file can be held against stored runs of the machine:
``bench speed check FILE``; the end of the session says the same (docs/speed.md).
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.cells.cell import ENGINES, Cell
from bench.execution.bursts import RemoteBursts, remote_clock
from bench.jobs.benchmark_file import OURS
from bench.jobs.workloads import THROUGHPUT_STEPS

NETWORKS = {
    "mlp": (Cell(depth=3, learning_rate=0.01), THROUGHPUT_STEPS["mlp"]),
    "cnn": (Cell(architecture="cnn", learning_rate=0.01, batch=50), THROUGHPUT_STEPS["cnn"]),
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
        if burst.result is not None:
            benchmark.extra_info[OURS] = msgspec.to_builtins(burst.result)
