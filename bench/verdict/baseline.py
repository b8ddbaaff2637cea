"""Baselines: reviewed results of an environment class, every seed's values kept.

``<root>/<environment class>/class.json`` holds what is common (numerics, data, who accepted what),
and ``<grid>.json`` beside it the cells of one grid, one line per seed, so that a diff reads well.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from bench.cell import Cell
from bench.environment import Numerics
from bench.errors import BenchError
from bench.record import Record
from bench.run import Item, StoredRun, pretty, write_atomically
from bench.verdict.metrics import BY_NAME, METRICS

SCHEMA = 1

CLASS = "class.json"


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One seed of one cell. A crash is never part of a baseline."""

    seed: int
    outcome: Literal["trained", "diverged"]
    digest: str
    metrics: dict[str, float | None]
    """By :attr:`Metric.name`, raw. A name that is absent was not measured when this was accepted;
    None was measured and is not defined."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.metrics if name not in BY_NAME]
        if unknown:
            raise ValueError(f"metric {unknown[0]} is unknown; known are {', '.join(BY_NAME)}")
        infinite = [name for name, value in self.metrics.items() if not math.isfinite(value or 0)]
        if infinite:
            raise ValueError(f"{infinite[0]} is not finite; null stands for that")
        if not self.digest:
            raise ValueError("the digest is empty")


class BaselineCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell's stored results. The cell is written out with every default, so that a default which
    changed since is seen."""

    id: str
    cell: Cell
    samples: list[Sample]

    def __post_init__(self) -> None:
        if len({sample.seed for sample in self.samples}) != len(self.samples):
            raise ValueError(f"{self.id} has a seed twice")

    @property
    def by_seed(self) -> dict[int, Sample]:
        return {sample.seed: sample for sample in self.samples}


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who took which run's results for right, and why."""

    run: str
    date: str
    """``2026-11-21``."""
    reason: str
    reviewer: str = ""
    cells: int
    """How many cells' results this run gave."""
    tensorflow: str
    keras: str
    python: str
    numpy: str
    bench: str
    commit: str


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """All grids of one environment class."""

    environment_class: str
    numerics: Numerics
    data: dict[str, str]
    """``name``, ``fingerprint`` and ``source`` of the images."""
    acceptances: list[Acceptance]
    """Oldest first; empty for a run that only stands in for a baseline."""
    grids: dict[str, dict[str, BaselineCell]]
    """By grid, then by cell id."""
    name: str
    """How reasons call it: ``baseline <class>``, or ``run <name>``."""

    def find(self, item: Item) -> BaselineCell | None:
        """The stored cell in the place of ``item``."""
        return self.grids.get(item.grid, {}).get(item.id)


class _ClassFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: int
    numerics: Numerics
    data: dict[str, str]
    acceptances: list[Acceptance]


class _GridFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: int
    grid: str
    cells: list[BaselineCell]


class _Schema(msgspec.Struct):
    """Only the schema number, so that another schema is named before its fields are."""

    schema: Any = None


F = TypeVar("F")


def read_baseline(root: Path, environment_class: str) -> Baseline | None:
    """The stored baseline of an environment class, None if nothing was ever accepted for it.

    Raises:
        BenchError: a file is not JSON, holds NaN or unknown fields, or has another schema.
    """
    folder = root / environment_class
    if not folder.is_dir():
        return None
    head = _read(folder / CLASS, _ClassFile)
    if head.numerics.environment_class != environment_class:
        raise BenchError(
            f"{folder / CLASS}: describes class {head.numerics.environment_class}, and its folder "
            f"is {environment_class}",
            hint="rename the folder to the class, or restore it from version control",
        )
    grids = {}
    for path in sorted(folder.glob("*.json")):
        if path.name != CLASS:
            file = _read(path, _GridFile)
            _check_grid_file(path, file)
            grids[file.grid] = {cell.id: cell for cell in file.cells}
    return Baseline(
        environment_class=environment_class,
        numerics=head.numerics,
        data=head.data,
        acceptances=head.acceptances,
        grids=grids,
        name=f"baseline {environment_class}",
    )


def nearest_class(root: Path, numerics: Numerics) -> Baseline | None:
    """The stored baseline of another class, on the same device kind, with the fewest differences.

    Bits differ between classes, so it serves the distribution rung alone:
    :func:`bench.verdict.ladder.judge` sees that the class is another one and says so.

    Raises:
        BenchError: a baseline is damaged.
    """
    wanted = msgspec.structs.asdict(numerics)
    found: list[tuple[int, str]] = []
    for path in root.glob(f"*/{CLASS}"):
        stored = _read(path, _ClassFile).numerics
        if stored.device == numerics.device and stored != numerics:
            differing = sum(
                wanted[key] != value for key, value in msgspec.structs.asdict(stored).items()
            )
            found.append((differing, path.parent.name))
    return read_baseline(root, min(found)[1]) if found else None


def baseline_from_run(run: StoredRun) -> Baseline:
    """A run in the place of a baseline, for comparing two runs.

    Crashed and missing replicas have no sample; a cell of which nothing is left stays, without.
    """
    return Baseline(
        environment_class=run.environment.environment_class,
        numerics=run.environment.numerics,
        data=run.environment.data,
        acceptances=[],
        grids={
            grid: {item.id: baseline_cell(run, item) for item in items}
            for grid, items in run.plan.grids().items()
        },
        name=f"run {run.path.name}",
    )


def baseline_cell(run: StoredRun, item: Item) -> BaselineCell:
    """What of a run is stored for an item."""
    return BaselineCell(
        id=item.id,
        cell=item.cell,
        samples=[sample(record) for record in run.of(item.cell) if record.outcome != "crashed"],
    )


def write_baseline(root: Path, baseline: Baseline) -> None:
    """Writes every file of a class, each whole; a grid that is left without cells loses its file.

    Raises:
        BenchError: the place cannot be written to, or a grid has no usable name.
    """
    folder = root / baseline.environment_class
    contents = {f"{grid}.json": _grid_text(grid, cells) for grid, cells in baseline.grids.items()}
    unusable = [name for name in contents if name == CLASS or not re.fullmatch(r"[\w.-]+", name)]
    if unusable:
        raise BenchError(
            f"{folder / unusable[0]}: no name for a grid's file", hint="rename the grid"
        )
    head = _ClassFile(
        schema=SCHEMA,
        numerics=baseline.numerics,
        data=baseline.data,
        acceptances=baseline.acceptances,
    )
    for name, content in contents.items():
        write_atomically(folder / name, content)
    write_atomically(folder / CLASS, pretty(head))
    for path in folder.glob("*.json"):
        if path.name not in contents and path.name != CLASS:
            path.unlink()


def difference(before: Cell, after: Cell) -> str:
    """The axes in which two cells differ: ``steps 600, now 300``."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return ", ".join(f"{key} {old[key]}, now {new[key]}" for key in old if old[key] != new[key])


def sample(record: Record) -> Sample:
    """What a baseline keeps of a record; for replicas that did not crash."""
    return Sample(
        seed=record.seed,
        outcome="diverged" if record.outcome == "diverged" else "trained",
        digest=record.digest,
        metrics={metric.name: metric.get(record) for metric in METRICS},
    )


def _natural(text: str) -> list[tuple[int, float, str]]:
    """Orders ``depth:3-`` before ``depth:10-``."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [(0, float(part), "") if n % 2 else (1, 0.0, part) for n, part in enumerate(parts)]


def _grid_text(grid: str, cells: dict[str, BaselineCell]) -> bytes:
    """A grid's file: one line per seed, cells by their ids in natural order, seeds ascending."""
    encode = msgspec.json.encode
    blocks = []
    for cell in sorted(cells.values(), key=lambda cell: _natural(cell.id)):
        samples = sorted(cell.samples, key=lambda sample: sample.seed)
        lines = b",\n".join(b"   " + encode(sample) for sample in samples)
        blocks.append(
            b'  {"id": %b,\n   "cell": %b,\n   "samples": [\n%b\n  ]}'
            % (encode(cell.id), encode(cell.cell), lines)
        )
    head = b'{\n "schema": %d,\n "grid": %b,\n "cells": [\n' % (SCHEMA, encode(grid))
    return head + b",\n".join(blocks) + b"\n ]\n}\n"


def _read(path: Path, kind: type[F]) -> F:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read: {error.strerror}",
            hint="restore it from version control, or accept a run for this class anew",
        ) from error
    try:
        schema = msgspec.json.decode(content, type=_Schema).schema
        if schema == SCHEMA:
            return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BenchError(
            f"{path}: not a baseline of schema {SCHEMA}: {error}",
            hint="restore it from version control, or accept these cells anew",
        ) from error
    raise BenchError(
        f"{path}: has schema {schema}, and this version of bench reads schema {SCHEMA}",
        hint="use the version of bench that wrote it, if newer, or accept a run anew",
    )


def _check_grid_file(path: Path, file: _GridFile) -> None:
    ids = [cell.id for cell in file.cells]
    twice = [name for name in ids if ids.count(name) > 1] if len(set(ids)) < len(ids) else []
    if twice or file.grid != path.stem:
        wrong = f"holds {twice[0]} twice" if twice else f"is the file of grid {file.grid}"
        raise BenchError(f"{path}: {wrong}", hint="restore it from version control")
