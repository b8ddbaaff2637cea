"""The files of a stored baseline: what is in each, how it is read and written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.results.bounds import Count, Finite, Name, Seed, Word
from bench.results.checksum import checksum
from bench.results.environment import Numerics
from bench.results.reading import decode, read_bytes
from bench.results.record import Tensors
from bench.verdict.baselines.samples import (
    Acceptance,
    BaselineCell,
    Sample,
    check_trajectory,
    check_values,
)

SCHEMA = 3
READABLE = (1, 2, 3)

CLASS = "class.json"
TRACES = ".traces.jsonl"
HISTORY = ".history.jsonl"

RESTORE = "restore it from version control or another copy"


class ClassFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: int
    numerics: Numerics
    data: dict[str, str]
    grids: list[Word] = []
    acceptances: list[Acceptance]
    sum: Name = ""
    """Checksum of all else here; with it, all cells, traces and lines of the history have one, too.
    Empty if written before there were any."""


class StoredSample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seed: Seed
    outcome: Literal["trained", "diverged"]
    digest: Name
    metrics: dict[Name, Finite | None]

    def __post_init__(self) -> None:
        check_values(self.digest, self.metrics, crashed=False)


class StoredCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Name
    acceptance: Count = 0
    recipe: Count = 1
    cell: Cell
    samples: list[StoredSample]
    sum: Name = ""
    """Checksum of all else here."""

    def __post_init__(self) -> None:
        if len({sample.seed for sample in self.samples}) != len(self.samples):
            raise ValueError(f"{self.id} has a seed twice")


class GridFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: int
    grid: Word
    images: Name = ""
    """The fingerprint."""
    cells: list[StoredCell]


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First line of a file of lines."""

    schema: int
    grid: Name


class Trace(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    id: Name
    seed: Seed
    digest: Name
    """Of the sample that the trace belongs to."""
    trajectory: bytes = b""
    states: bytes = b""
    tensors: Tensors | None = None
    ends: Tensors | None = None
    sum: Name = ""
    """Checksum of all else here."""

    def __post_init__(self) -> None:
        check_trajectory(self.trajectory)
        check_trajectory(self.states)


C = TypeVar("C", ClassFile, StoredCell, Trace)


def summed(content: C) -> C:
    """The same with its checksum."""
    return msgspec.structs.replace(content, sum=_sum(content))


def altered(content: ClassFile | StoredCell | Trace) -> bool:
    """Whether it has a checksum that is that of something else."""
    return bool(content.sum) and content.sum != _sum(content)


def _sum(content: ClassFile | StoredCell | Trace) -> str:
    """Of the numbers, however they are written."""
    return checksum(msgspec.json.encode(msgspec.structs.replace(content, sum="")))


class _Schema(msgspec.Struct):
    """The schema number alone, so that another schema is named before its fields are."""

    schema: Any = None


_SCHEMA = msgspec.json.Decoder(_Schema)


class Described(msgspec.Struct):
    """What a class file of any schema says of itself."""

    numerics: Numerics


class _Writer(msgspec.Struct):
    """The version of this package that last wrote a class."""

    acceptances: list[dict[str, Any]]


F = TypeVar("F")


def read_file(path: Path, kind: type[F]) -> F:
    return _decode(path, _bytes(path), kind, "")


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read: {error.strerror}",
            hint=f"{RESTORE}, or remove {path.parent} and accept a run for this class anew",
        ) from error


def _decode(path: Path, content: bytes, kind: type[F], where: str) -> F:
    """A file, or the first line of one, that has a schema."""
    try:
        schema = decode(content, _SCHEMA).schema
        if isinstance(schema, int) and schema in READABLE:
            return decode(content, msgspec.json.Decoder(kind))
    except ValueError as error:
        raise BenchError(
            f"{path}{where}: not a baseline of schema {SCHEMA}: {error}",
            hint=f"{RESTORE}, or accept these cells anew",
        ) from error
    hint = f"{RESTORE}, or accept a run anew"
    if isinstance(schema, int) and schema > SCHEMA:
        version = _written_by(path.parent)
        hint = f"use the version of bench that wrote it{version}, or a later one"
    raise BenchError(
        f"{path}: has schema {schema}, and this version of bench reads schemas "
        f"{', '.join(map(str, READABLE[:-1]))} and {READABLE[-1]}",
        hint=hint,
    )


def _written_by(folder: Path) -> str:
    """``, 0.4.0``: by which version a class was last accepted, if that can be found out."""
    try:
        content = decode(read_bytes(folder / CLASS), msgspec.json.Decoder(_Writer))
    except (OSError, ValueError):
        return ""
    version = content.acceptances[-1].get("bench") if content.acceptances else None
    return f", {version}" if isinstance(version, str) and version else ""


def read_lines(path: Path, grid: str, kind: type[F]) -> list[tuple[int, F]]:
    """The lines of a file after its header, with their numbers."""
    content = _bytes(path)
    lines = content.split(b"\n")
    if lines.pop():
        raise BenchError(f"{path}, line {len(lines) + 1}: is cut off", hint=RESTORE)
    header = _decode(path, lines[0] if lines else b"", Header, ", line 1")
    if header.grid != grid:
        raise BenchError(f"{path}: is the file of grid {header.grid}", hint=RESTORE)
    found: list[tuple[int, F]] = []
    decoder = msgspec.json.Decoder(kind)
    for number, line in enumerate(lines[1:], start=2):
        try:
            found.append((number, decode(line, decoder)))
        except ValueError as error:
            raise BenchError(
                f"{path}, line {number}: not of a baseline of schema {SCHEMA}: {error}",
                hint=RESTORE,
            ) from error
    return found


def ordered(cells: Iterable[BaselineCell]) -> list[BaselineCell]:
    """Sorts by ids in natural order, seeds ascending."""
    return [
        msgspec.structs.replace(cell, samples=sorted(cell.samples, key=lambda one: one.seed))
        for cell in sorted(cells, key=lambda cell: _natural(cell.id))
    ]


def _natural(text: str) -> list[tuple[int, float, str]]:
    """Orders ``depth:3-`` before ``depth:10-``."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return [(0, float(part), "") if n % 2 else (1, 0.0, part) for n, part in enumerate(parts)]


_encode = msgspec.json.encode


def _stored(sample: Sample) -> StoredSample:
    assert sample.outcome != "crashed"  # see _check_writable
    return StoredSample(
        seed=sample.seed, outcome=sample.outcome, digest=sample.digest, metrics=dict(sample.metrics)
    )


def _stored_cell(cell: BaselineCell) -> StoredCell:
    return StoredCell(
        id=cell.id,
        acceptance=cell.acceptance,
        recipe=cell.recipe,
        cell=cell.cell,
        samples=[_stored(sample) for sample in cell.samples],
    )


_CELL = b"""\
  {"id": %b,
   "acceptance": %d, "recipe": %d,
   "cell": %b,
   "samples": [
%b
   ],
   "sum": "%b"}"""


def grid_text(grid: str, images: str, cells: Sequence[BaselineCell]) -> bytes:
    """A grid's file: one line per seed."""
    blocks = []
    for cell in cells:
        stored = summed(_stored_cell(cell))
        lines = b",\n".join(b"   " + _encode(sample) for sample in stored.samples)
        facts = (_encode(cell.id), cell.acceptance, cell.recipe, _encode(cell.cell), lines)
        blocks.append(_CELL % (*facts, stored.sum.encode()))
    head = b'{\n "schema": %d,\n "grid": %b,\n "images": %b,\n "cells": [\n'
    return head % (SCHEMA, _encode(grid), _encode(images)) + b",\n".join(blocks) + b"\n ]\n}\n"


def traces_text(grid: str, cells: Sequence[BaselineCell]) -> bytes:
    lines = [_encode(Header(schema=SCHEMA, grid=grid))]
    for cell in cells:
        for sample in cell.samples:
            trace = Trace(
                id=cell.id,
                seed=sample.seed,
                digest=sample.digest,
                trajectory=sample.trajectory,
                states=sample.states,
                tensors=sample.tensors,
                ends=sample.ends,
            )
            lines.append(_encode(summed(trace)))
    return b"\n".join(lines) + b"\n"


def history_text(grid: str, cells: Sequence[BaselineCell]) -> bytes:
    lines = [_encode(Header(schema=SCHEMA, grid=grid))]
    lines += [_encode(summed(_stored_cell(cell))) for cell in cells]
    return b"\n".join(lines) + b"\n"
