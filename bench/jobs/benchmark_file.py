"""Files of pytest-benchmark: paces read from them, and written so that it compares with them.

The format is what pytest-benchmark 4 and 5 save (``--benchmark-autosave``, ``--benchmark-json``). What
this package needs beyond it stands under ``bench``: in the file the environment, in each benchmark's
``extra_info`` the pace.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import BenchError
from bench.jobs.workloads import THROUGHPUT_STEPS
from bench.results.bounds import Name
from bench.results.environment import Numerics
from bench.results.files import write_atomically
from bench.results.pace import PaceResult
from bench.results.reading import decode, read_bytes
from bench.verdict.baselines.speeds import StoredPaces

#: Key of what is ours.
OURS = "bench"


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of where it was measured."""

    numerics: Numerics
    machine: dict[Name, Name]
    software: dict[Name, Name]


class _Extra(msgspec.Struct, frozen=True):
    bench: PaceResult | None = None


class _Benchmark(msgspec.Struct, frozen=True):
    name: Name
    extra_info: _Extra


class _File(msgspec.Struct, frozen=True):
    benchmarks: list[_Benchmark]
    datetime: Name = ""
    bench: Ours | None = None


def read_benchmarks(path: Path) -> StoredPaces:
    """The paces of a saved file.

    Raises:
        BenchError: it cannot be read, is no file of pytest-benchmark, or has no pace of ours.
    """
    try:
        file = decode(read_bytes(path), msgspec.json.Decoder(_File))
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(
            f"{path}: not a file of pytest-benchmark: {error}",
            hint="save one with pytest suites/test_throughput.py --benchmark-autosave",
        ) from error
    paces = [one.extra_info.bench for one in file.benchmarks if one.extra_info.bench is not None]
    if not paces or file.bench is None:
        raise BenchError(
            f"{path}: its benchmarks have no calibration, so nothing on another day compares with them",
            hint="save one with pytest suites/test_throughput.py --benchmark-autosave",
        )
    return StoredPaces(
        run=path.stem,
        date=file.datetime[:10],
        measured=file.datetime,
        reason="",
        numerics=file.bench.numerics,
        machine=file.bench.machine,
        software=file.bench.software,
        paces=paces,
    )


def write_benchmarks(path: Path, paces: StoredPaces) -> None:
    """A file that ``--benchmark-compare`` takes; a benchmark's times are those of its bursts.

    Raises:
        BenchError: it cannot be written.
    """
    content = {
        "machine_info": {**paces.machine, "python_version": paces.software.get("python", "")},
        "commit_info": {"id": "", "dirty": False},
        "benchmarks": [_benchmark(result) for result in paces.paces],
        "datetime": paces.measured,
        "version": "4.0.0",
        OURS: ours(paces.numerics, paces.machine, paces.software),
    }
    write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=4))


def ours(
    numerics: Numerics, machine: Mapping[str, str], software: Mapping[str, str]
) -> dict[str, Any]:
    """What stands under :data:`OURS` of a file."""
    found = Ours(numerics=numerics, machine=dict(machine), software=dict(software))
    builtins: dict[str, Any] = msgspec.to_builtins(found)
    return builtins


def _benchmark(result: PaceResult) -> dict[str, Any]:
    pace = result.pace
    cell, work = pace.workload
    network = "cnn" if cell.architecture == "cnn" else "mlp"
    param = f"{work}-{network}-{cell.engine}"
    # Bursts of other lengths are another benchmark: nothing shall compare with them by its name.
    suite = "throughput" if pace.steps == THROUGHPUT_STEPS[network] else "speed"
    return {
        "group": f"{work} {network}, bursts of {pace.steps} batches of {cell.batch}",
        "name": f"test_{suite}[{param}]",
        "fullname": f"suites/test_{suite}.py::test_{suite}[{param}]",
        "params": {"work": work, "network": network, "engine": cell.engine},
        "param": param,
        "extra_info": {OURS: msgspec.to_builtins(result)},
        "options": {},
        "stats": _stats([sec for block in result.blocks for sec in block.work]),
    }


def _stats(data: Iterable[float]) -> dict[str, Any]:
    """What pytest-benchmark says of times (``pytest_benchmark.stats.Stats``)."""
    times = sorted(data)
    quarters = statistics.quantiles(times, n=4, method="inclusive")
    mean, deviation = statistics.fmean(times), statistics.stdev(times)
    iqr = quarters[2] - quarters[0]
    low, high = quarters[0] - 1.5 * iqr, quarters[2] + 1.5 * iqr
    far = sum(abs(time - mean) > deviation for time in times)
    outside = sum(not low <= time <= high for time in times)
    return {
        "min": times[0],
        "max": times[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(times),
        "median": statistics.median(times),
        "iqr": iqr,
        "q1": quarters[0],
        "q3": quarters[2],
        "iqr_outliers": outside,
        "stddev_outliers": far,
        "outliers": f"{far};{outside}",
        "ld15iqr": min(time for time in times if time >= low),
        "hd15iqr": max(time for time in times if time <= high),
        "ops": 1 / mean,
        "total": sum(times),
        "data": times,
        "iterations": 1,
    }
