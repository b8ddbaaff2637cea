"""Paces: blocks of bursts, and memory that is planted."""

from __future__ import annotations

import gc
import time

import msgspec
import numpy as np

from bench.execution.pacing import BLOCKS, measure_pace
from support.paces import pace, result


def test_a_pace_has_blocks_and_times() -> None:
    """Each block has two bursts of the asked length; the first two bursts are none of them."""
    asked: list[int] = []

    def burst(steps: int) -> float:
        asked.append(steps)
        return 0.25 * steps

    found = measure_pace(pace(steps=4), burst)
    assert asked == [1, 4, *[4] * 2 * BLOCKS]
    assert [list(block.work) for block in found.blocks] == [[1.0, 1.0]] * BLOCKS
    assert found.step_sec == 0.25
    assert all(block.calibration_sec > 0 for block in found.blocks)


def test_time_to_the_first_step_is_that_of_the_first_burst() -> None:
    """A sleep cannot take less than it was asked for."""

    def burst(steps: int) -> float:
        if steps == 1:
            time.sleep(0.2)
        return 1.0

    assert measure_pace(pace(steps=2), burst, blocks=1).first_sec >= 0.2


def test_a_peak_of_nothing_is_a_number() -> None:
    """Work that takes no memory beyond what the process had."""
    assert msgspec.structs.replace(result(), peak_bytes=0).values["peak"] == 0


def test_a_leak_is_found_by_its_size() -> None:
    """1 MiB a step, kept for ever, and nothing where nothing is kept."""
    kept: list[np.ndarray] = []

    def leaking(steps: int) -> float:
        kept.extend(np.ones(1 << 20, np.uint8) for _ in range(steps))
        return 1.0

    def sound(steps: int) -> float:
        for _ in range(steps):
            np.ones(1 << 20, np.uint8)
        return 1.0

    leak, none = measure_pace(pace(steps=1), leaking), measure_pace(pace(steps=1), sound)
    assert abs(leak.growth_bytes - 2**20) < leak.growth_slack
    assert none.growth_bytes < none.growth_slack < 2**17


def test_the_peak_is_that_of_the_work_alone() -> None:
    """64 MiB that are given back at once, after 256 MiB that another workload took before."""
    np.ones(1 << 28, np.uint8)

    def burst(steps: int) -> float:
        np.ones(1 << 26, np.uint8)
        return 1.0

    found = measure_pace(pace(steps=1), burst, blocks=1)
    assert 60 * 2**20 < found.peak_bytes < 90 * 2**20


def test_what_is_freed_meanwhile_hides_no_peak() -> None:
    """A dead graph of 64 MiB that only the collector frees, and then work that takes as much."""
    dead: dict[str, object] = {"buffer": np.ones(64 << 20, np.uint8)}
    dead["itself"] = dead
    del dead

    def work(steps: int) -> float:
        gc.collect()
        np.ones(64 << 20, np.uint8)
        return 1.0

    assert measure_pace(pace(steps=1), work, blocks=1).peak_bytes > 60 << 20
