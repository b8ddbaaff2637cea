"""Stored speeds: paces of accepted runs, by environment class and machine.

``<root>/speeds/<class>/<machine>.jsonl`` has a line per run, in the order of acceptance, each with its
checksum. Lines are only ever added.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.results.bounds import Name, Text
from bench.results.checksum import must_have_sum, with_sum, without_sum
from bench.results.environment import Numerics
from bench.results.files import write_atomically
from bench.results.pace import PaceResult
from bench.results.reading import decode, read_lines
from bench.results.run import StoredRun

SCHEMA = 1
#: Folder below that of all baselines.
SPEEDS = "speeds"

#: Facts that make a machine another one; its system's version is none.
_FACTS = ("cpu", "cores", "memory", "gpu", "driver", "virtual")

#: Software by whose versions levels part.
PARTING = ("tensorflow", "keras")


class StoredPaces(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paces of one accepted run."""

    schema: int = SCHEMA
    run: Name
    date: Name
    """Of the acceptance: ``2026-11-29``."""
    measured: Name = ""
    """When the run started."""
    reason: Text
    new_level: bool = False
    """Whether the machine is said to have changed since the line before."""
    numerics: Numerics
    machine: dict[Name, Name]
    software: dict[Name, Name]
    paces: list[PaceResult]

    @property
    def environment_class(self) -> str:
        return self.numerics.environment_class

    def __post_init__(self) -> None:
        missing = [name for name in PARTING if name not in self.software]
        if missing:
            raise ValueError(f"software names no {missing[0]}")
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")


def facts(machine: Mapping[str, str]) -> dict[str, str]:
    """What makes a machine this one."""
    return {name: machine.get(name, "") for name in _FACTS}


def path_of(root: Path, environment_class: str, machine: Mapping[str, str]) -> Path:
    """The file of a machine: its processor's name and a hash of all facts."""
    known = facts(machine)
    digest = hashlib.sha256(msgspec.json.encode(known)).hexdigest()[:8]
    words = re.sub(r"[^a-z0-9]+", "-", known["cpu"].lower()).strip("-")[:60] or "unknown"
    return root / SPEEDS / environment_class / f"{words}-{digest}.jsonl"


def of_run(run: StoredRun, *, reason: str = "", new_level: bool = False) -> StoredPaces:
    """A run's paces as they are stored.

    Raises:
        BenchError: it has none.
    """
    paces = [one for one in run.paces.values() if one.crash is None and not one.pace.scale]
    if not paces:
        raise BenchError(
            f"{run.path}: no speed was measured there",
            hint="a run of a whole tier measures it, without --axis, --cell or --model",
        )
    environment = run.environment
    return StoredPaces(
        run=run.path.name,
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        measured=str(environment.run.get("started", "")),
        reason=reason,
        new_level=new_level,
        numerics=environment.numerics,
        machine=environment.machine,
        software=environment.software,
        paces=paces,
    )


def read_speeds(
    root: Path, environment_class: str, machine: Mapping[str, str]
) -> list[StoredPaces]:
    """What is stored of a machine, oldest first.

    Raises:
        BenchError: a line is damaged, or of another machine.
    """
    path = path_of(root, environment_class, machine)
    return read_file(path) if path.exists() else []


def read_file(path: Path) -> list[StoredPaces]:
    """The lines of one file.

    Raises:
        BenchError: a line is damaged, or does not belong here.
    """
    decoder = msgspec.json.Decoder(StoredPaces)
    found: list[StoredPaces] = []
    number, expected = 0, True
    try:
        for line in read_lines(path):
            number += 1
            content, has_sum = without_sum(line)
            expected = must_have_sum(has_sum, before=expected)
            stored = decode(content, decoder)
            root = path.parents[2]
            if path_of(root, stored.environment_class, stored.machine) != path:
                raise ValueError("it is of another machine or class than the file's name says")  # noqa: TRY301
            if any(before.run == stored.run for before in found):
                raise ValueError(f"the run {stored.run} stands there twice")  # noqa: TRY301
            found.append(stored)
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(
            f"{path}, line {number}: no stored speeds: {error}",
            hint="restore it from version control or another copy",
        ) from error
    return found


def find_stored(root: Path, run: str) -> StoredPaces | None:
    """The stored paces of a run by its name; None if none is stored.

    Raises:
        BenchError: a file is damaged.
    """
    for path in sorted(root.glob(f"{SPEEDS}/*/*.jsonl")):
        for stored in read_file(path):
            if stored.run == run:
                return stored
    return None


def accept(root: Path, offered: StoredPaces) -> Path:
    """Adds a run's paces to what is stored of its machine.

    Raises:
        BenchError: this run is stored already, or the file is damaged or cannot be written.
    """
    path = path_of(root, offered.environment_class, offered.machine)
    before = read_file(path) if path.exists() else []
    if any(stored.run == offered.run for stored in before):
        raise BenchError(f"{path}: has the run {offered.run} already")
    lines = [with_sum(msgspec.json.encode(one)) + b"\n" for one in (*before, offered)]
    write_atomically(path, b"".join(lines))
    return path


def levels_of(stored: Sequence[StoredPaces]) -> list[list[StoredPaces]]:
    """Stored runs in levels, see docs/speed.md."""
    levels: list[list[StoredPaces]] = []
    for one in stored:
        parted = not levels or any(
            one.software.get(name) != levels[-1][-1].software.get(name) for name in PARTING
        )
        if parted or one.new_level:
            levels.append([])
        levels[-1].append(one)
    return levels
