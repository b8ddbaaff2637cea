"""A pace, measured in a training process: bursts of work between bursts of calibration, and memory."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from bench.checks.contracts import memory
from bench.measure.calibration import Calibration
from bench.measure.resident import forget_peak, peak_bytes, resident_bytes
from bench.results.pace import Block, Pace, PaceResult

#: Blocks of a pace: a disturbance has to meet half of them, to move the median.
BLOCKS = 6


def measure_pace(
    pace: Pace,
    burst: Callable[[int], float],
    *,
    device: str = "cpu",
    gpu_peak: Callable[[], int] | None = None,
    blocks: int = BLOCKS,
) -> PaceResult:
    """Measures a workload of which nothing is compiled yet.

    Args:
        pace: the workload.
        burst: does so many steps of it and gives their seconds; the first call compiles.
        device: ``cpu`` or ``gpu``.
        gpu_peak: of a GPU's allocator since it was last asked, in bytes.
        blocks: how many.
    """
    begin = time.perf_counter()
    calibration = Calibration()
    before = resident_bytes()
    forget_peak()
    if gpu_peak is not None:
        gpu_peak()
    start = time.perf_counter()
    burst(1)
    first_sec = time.perf_counter() - start
    burst(pace.steps)  # at the full number of steps, as buffers depend on it
    measured = []
    with memory.counting() as held:
        allocated = [held().allocated]
        for _ in range(blocks):
            measured.append(_block(calibration, lambda: burst(pace.steps)))
            allocated.append(held().allocated)
    per_block = 2 * pace.steps
    return PaceResult(
        pace=pace,
        blocks=measured,
        first_sec=first_sec,
        peak_bytes=gpu_peak() if gpu_peak is not None else max(0, peak_bytes() - before),
        growth_bytes=memory.growth(allocated) / per_block,
        growth_slack=memory.allowed(blocks * per_block),
        device=device,
        clocks=_clocks() if device == "gpu" else "",
        total_sec=time.perf_counter() - begin,
    )


def _block(calibration: Calibration, work: Callable[[], float]) -> Block:
    """There and back: what grows or falls evenly over the block cancels."""
    product, sweep = [calibration.product()], [calibration.sweep()]
    works = [work(), work()]
    sweep.append(calibration.sweep())
    product.append(calibration.product())
    return Block(product=product, sweep=sweep, work=works)


def _clocks() -> str:
    """Clocks of the GPUs and why they are held back, as their driver tells."""
    query = "clocks.sm,clocks.mem,clocks_throttle_reasons.active"
    try:
        return subprocess.run(
            ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout.strip()[:1000]
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown: {error}"[:1000]
