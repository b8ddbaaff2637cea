"""Files that are read as checked structures and written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.errors import BenchError
from bench.results.jsonl import cannot_write

T = TypeVar("T")


def read_json(path: Path, kind: type[T]) -> T:
    """A JSON file as a checked structure.

    Raises:
        BenchError: absent, not JSON (NaN is not JSON), unknown or missing fields, another schema.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read: {error.strerror}",
            hint="is this the folder of a run that measured something?",
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BenchError(
            f"{path}: not a valid {kind.__name__.lower()}: {error}",
            hint="restore the file from version control, or run anew",
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Writes all of ``content`` or leaves ``path`` as it was.

    Raises:
        BenchError: the disk is full or the place cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise cannot_write(path, error) from error


def make_folder(path: Path) -> None:
    """Makes a run's folder and those above it.

    Raises:
        BenchError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def pretty(structure: msgspec.Struct) -> bytes:
    """Indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(structure), indent=1) + b"\n"
