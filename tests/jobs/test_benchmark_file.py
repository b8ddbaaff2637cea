"""Files of pytest-benchmark: written, taken by pytest-benchmark itself, and read again."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from pytest_benchmark.stats import Stats
from pytest_benchmark.storage.file import FileStorage

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.jobs.benchmark_file import read_benchmarks, write_benchmarks
from bench.jobs.workloads import THROUGHPUT_STEPS
from bench.results.pace import Block, Pace
from bench.results.timings import Workload
from support.paces import FIT, result, stored

MLP = Workload(Cell(depth=3, learning_rate=0.01, engine="fit"), "training")
THROUGHPUT = Pace(workload=MLP, steps=THROUGHPUT_STEPS["mlp"])


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    paces = stored(0, [result(THROUGHPUT), result(FIT)])
    path = tmp_path / "night-0.json"
    write_benchmarks(path, paces)
    again = read_benchmarks(path)
    assert again.paces == paces.paces
    assert (again.run, again.measured) == (paces.run, paces.measured)
    assert (again.numerics, again.machine, again.software) == (
        paces.numerics,
        paces.machine,
        paces.software,
    )


def test_pytest_benchmark_takes_it(tmp_path: Path) -> None:
    """By the names of the throughput suite, with the statistics that it would have computed."""
    works = [[0.5, 0.6], [0.55, 0.9], [0.52, 0.58]]
    blocks = [Block(product=[0.1, 0.1], sweep=[0.1, 0.1], work=work) for work in works]
    path = tmp_path / "night-0.json"
    write_benchmarks(path, stored(0, [result(THROUGHPUT, blocks=blocks), result(FIT)]))
    first, second = FileStorage(tmp_path, logger=None).load_benchmarks(str(path))
    assert first["fullname"] == "suites/test_throughput.py::test_throughput[training-mlp-fit]"
    assert second["fullname"] == "suites/test_speed.py::test_speed[training-mlp-fit]"
    theirs = Stats()
    for seconds in (seconds for work in works for seconds in work):
        theirs.update(seconds)
    for name in ("min", "max", "mean", "stddev", "rounds", "median", "ops", "total", "outliers"):
        expected = getattr(theirs, name)
        assert first[name] == (expected if name == "outliers" else pytest.approx(expected)), name


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"benchmarks": [{"name": 3}]}'])
def test_other_files_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(BenchError, match="not a file of pytest-benchmark"):
        read_benchmarks(path)


def test_a_file_without_calibration_is_refused(tmp_path: Path) -> None:
    """As every other user of pytest-benchmark saves it."""
    path = tmp_path / "x.json"
    write_benchmarks(path, stored(0, [result(THROUGHPUT)]))
    content = json.loads(path.read_bytes())
    del content["benchmarks"][0]["extra_info"]["bench"]
    path.write_bytes(msgspec.json.encode(content))
    with pytest.raises(BenchError, match="no calibration"):
        read_benchmarks(path)
