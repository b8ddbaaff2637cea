"""Synthetic runs for tests: made up, small, and the same each time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.cells.cell import Cell
from bench.measure.tensors import fingerprints
from bench.results.checksum import with_sum
from bench.results.copy_result import Copy, CopyResult
from bench.results.environment import Environment, Numerics
from bench.results.files import pretty
from bench.results.flow import Flow
from bench.results.kind import Crash
from bench.results.plan import Item, Plan
from bench.results.record import Record
from bench.results.run import ENVIRONMENT, PLAN, StoredRun
from bench.results.tasks import KINDS

CLASS = "cpu-avx512_bf16-onednn-1thread"
FINGERPRINT = "741c988805d008ac"


def environment(**changes: Any) -> Environment:
    """An environment of :data:`CLASS`; ``software``, ``machine``, ... are merged, not replaced."""
    numerics = Numerics(
        device="cpu", isa="avx512_bf16", onednn=True, xla=False, tf32=False, threads=1
    )
    parts: dict[str, Any] = {
        "numerics": numerics,
        "software": {
            "tensorflow": "2.21.0",
            "keras": "3.15.1",
            "numpy": "2.4.6",
            "python": "3.11.9",
            "bench": "0.1.0",
        },
        "machine": {"cpu": "Imaginary CPU @ 2.0 GHz", "cores": "2", "memory": "8 GiB"},
        "data": {"name": "mnist", "fingerprint": FINGERPRINT, "source": "cache"},
        "run": {"command": "pytest suites --tier quick", "started": "2026-11-21T03:15:02Z"},
    }
    for name, change in changes.items():
        parts[name] = {**parts[name], **change} if isinstance(change, Mapping) else change
    return Environment(**parts)


def flow(cell: Cell, *, ratio: float | None = 0.5, dead: float = 0.0) -> Flow:
    """Flow whose signal and kernel gradient grow geometrically, first over last = ``ratio``."""
    layers = cell.depth
    steps = [index / max(layers - 1, 1) for index in range(layers)]
    values = [None if ratio is None else ratio * (1 / ratio) ** step for step in steps]
    return Flow(
        signal=list(values),
        kernel_gradient=list(values),
        bias_gradient=list(values),
        activation_mean=[0.5] * layers,
        activation_variance=[1.0] * layers,
        dead_units=[dead] * layers,
        gradient_norm=1.0,
        clipped_norm=1.0,
        clipped_peak=0.5,
        clipped_variable_norm=0.9,
        clip_error=0.0,
        kernel_gradient_peak=0.5,
    )


def trained(
    cell: Cell,
    seed: int,
    *,
    accuracy: float = 0.94,
    spread: float = 0.001,
    salt: str = "",
    ratio: float | None = 0.5,
    dead: float = 0.0,
    images_per_sec: float | None = 100_000.0,
    **changes: Any,
) -> Record:
    """A replica that trained. ``salt`` changes the digest, ``spread`` parts the seeds."""
    random = np.random.default_rng([seed, len(cell.id()), cell.depth])
    losses = (2.3 * np.exp(-np.arange(20) / 10) + random.normal(0, 0.01, 20)).astype("<f4")
    digest = hashlib.sha256(f"{cell.id()} {seed} {salt}".encode()).hexdigest()
    values: dict[str, Any] = {
        "cell": cell,
        "seed": seed,
        "outcome": "trained",
        "data": FINGERPRINT,
        "environment": CLASS,
        "test_accuracy": round(accuracy + spread * float(random.normal()), 4),
        "test_loss": 0.2,
        "digest": digest,
        "trajectory": losses.tobytes(),
        "start": flow(cell, ratio=ratio, dead=dead),
        "end": flow(cell, ratio=ratio, dead=dead),
        "images_per_sec": images_per_sec,
        "training_sec": 0.6,
        "total_sec": 1.5,
        "worker": "worker-0",
    }
    return Record(**{**values, **changes})


def diverged(cell: Cell, seed: int, *, step: int = 41, **changes: Any) -> Record:
    """A replica whose loss is not finite from ``step`` on."""
    values: dict[str, Any] = {
        "cell": cell,
        "seed": seed,
        "outcome": "diverged",
        "data": FINGERPRINT,
        "environment": CLASS,
        "diverged_step": step,
        "digest": hashlib.sha256(f"{cell.id()} {seed} {step}".encode()).hexdigest(),
        "start": flow(cell),
    }
    return Record(**{**values, **changes})


def crashed(cell: Cell, seed: int, *, message: str = "killed by SIGABRT") -> Record:
    """A replica whose worker died."""
    crash = Crash(reason="signal", message=message, output="corrupted size vs. prev_size\n")
    return Record(cell=cell, seed=seed, outcome="crashed", environment=CLASS, crash=crash)


def plan(
    items: Sequence[Item], *, seeds: Iterable[int] = (0, 1, 2), tier: str = "quick", **changes: Any
) -> Plan:
    """A plan on the CPU."""
    return Plan(tier=tier, device="cpu", seeds=list(seeds), items=list(items), **changes)


def items(grid: str, cells: Iterable[Cell], axes: Sequence[str]) -> list[Item]:
    """A grid's items."""
    return [Item(grid=grid, id=cell.id(axes), cell=cell) for cell in cells]


def stored(
    the_plan: Plan,
    records: Iterable[Record],
    *,
    path: Path = Path("results/20261121-031502-quick"),
    of: Environment | None = None,
) -> StoredRun:
    """A run in memory."""
    return StoredRun(
        path=path,
        plan=the_plan,
        environment=of or environment(),
        outcomes={record.key: record for record in records},
    )


def write(run: StoredRun) -> Path:
    """Writes a run's folder as the suites leave it."""
    run.path.mkdir(parents=True)
    (run.path / PLAN).write_bytes(pretty(run.plan))
    (run.path / ENVIRONMENT).write_bytes(pretty(run.environment))
    for kind in KINDS:
        found = kind.of(run.outcomes)
        if found or kind.required:
            (run.path / kind.file).write_bytes(b"".join(map(kind.encode, found.values())))
    return run.path


def edited_line(line: bytes, **changes: Any) -> bytes:
    """A stored line with other fields, and the checksum that it then has."""
    fields = json.loads(line)
    del fields["sum"]
    return with_sum(json.dumps({**fields, **changes}, separators=(",", ":")).encode()) + b"\n"


def replaced(run: StoredRun, **changes: Any) -> StoredRun:
    """The run with other fields, where ``records``, ``checks``, ``copies`` and ``trials`` stand for
    all outcomes of their kind."""
    outcomes = dict(run.outcomes)
    for kind in KINDS:
        name = kind.file.removesuffix(".jsonl")
        if name in changes:
            for task in list(kind.of(outcomes)):
                del outcomes[task]
            outcomes |= {outcome.key: outcome for outcome in changes.pop(name).values()}
    return msgspec.structs.replace(run, **{"outcomes": outcomes, **changes})


DEPTH_AXES = ("depth", "act", "init")


def depth_cells() -> list[Cell]:
    """Six cells that vary depth and activation."""
    return [Cell(depth=d, activation=a, steps=200) for d in (3, 10, 30) for a in ("relu", "tanh")]


def healthy(path: Path = Path("results/20261121-031502-quick"), **changes: Any) -> StoredRun:
    """A run in which every replica of one grid trained."""
    cells = depth_cells()
    the_plan = plan(items("depth", cells, DEPTH_AXES))
    ratios = {3: 0.9, 10: 1.02, 30: 2.1e-8}
    records = [
        trained(cell, seed, accuracy=0.9427 - cell.depth / 1000, ratio=ratios[cell.depth])
        for cell in cells
        for seed in the_plan.seeds
    ]
    return stored(the_plan, records, path=path, **changes)


def on_day(day: int, name: str, *, path: Path = Path("results"), **changes: Any) -> StoredRun:
    """A healthy run of November 2026; ``changes`` are those of :func:`trained` for every replica."""
    of = environment(run={"started": f"2026-11-{day:02d}T03:15:02+00:00"})
    run = healthy(path / name, of=of)
    if not changes:
        return run
    return replaced(run, records={r: trained(r.cell, r.seed, **changes) for r in run.records})


def losses(record: Record) -> Any:
    """A record's trajectory as float64."""
    return np.frombuffer(record.trajectory, "<f4").astype(float)


def moved(record: Record, by: Any) -> Record:
    """The replica with other bits and with losses that differ by ``by``, (steps,) or a number."""
    trajectory = (losses(record) + by).astype("<f4").tobytes()
    return msgspec.structs.replace(record, trajectory=trajectory, digest=f"{record.digest[:-1]}x")


def copied(
    record: Record, number: int = 0, *, by: float = 1e-6, whole: bool = True, **changes: Any
) -> CopyResult:
    """A copy of a replica, whose losses differ by up to ``by``; with ``whole`` also evaluated."""
    size = len(record.trajectory) // 4
    part = by * np.random.default_rng([record.seed, number]).uniform(-1, 1, size)
    values: dict[str, Any] = {
        "copy": Copy(cell=record.cell, seed=record.seed, number=number),
        "trajectory": moved(record, part).trajectory,
    }
    if whole:
        values |= {
            "ends": fingerprints({0: {"nothing": np.ones(1)}}),
            "test_accuracy": record.test_accuracy,
            "test_loss": record.test_loss,
            "diverged_step": record.diverged_step,
            "end": record.end,
        }
    return CopyResult(**{**values, **changes})


#: Of a plan of two cells and two seeds, all records.
SHALLOW, DEEP = Cell(depth=3), Cell(depth=10)
PLAN_OF_TWO = plan(items("depth", [SHALLOW, DEEP], DEPTH_AXES), seeds=(0, 1))
RECORDS_OF_TWO = [trained(cell, seed) for cell in (SHALLOW, DEEP) for seed in (0, 1)]
