"""Files that are read as checked structures and written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.errors import BenchError
from bench.results.jsonl import cannot_write, sync_folder
from bench.results.reading import decode, read_bytes

T = TypeVar("T")


def read_json(path: Path, kind: type[T]) -> T:
    """A JSON file as a checked structure.

    Raises:
        BenchError: absent, not JSON (NaN is not JSON), unknown or missing fields, another schema.
    """
    try:
        return decode(read_bytes(path), msgspec.json.Decoder(kind))
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read: {error.strerror}",
            hint="is this the folder of a run that measured something?",
        ) from error
    except ValueError as error:
        raise BenchError(
            f"{path}: not a valid {kind.__name__.lower()}: {error}",
            hint="restore the file from another copy of its folder, or run anew",
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Writes all of ``content`` or leaves ``path`` as it was, also after a power cut. A link of this
    name is replaced, not what it points to.

    Raises:
        BenchError: the disk is full, the place cannot be written to, or it is a device or a pipe.
    """
    if _is_special(path):
        raise BenchError(
            f"{path}: is no file, and a file would take its place", hint="name a file to write"
        )
    # A name that nobody can foresee, and new: a link of that name would be written through.
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise cannot_write(path, error) from error


def _is_special(path: Path) -> bool:
    """Whether a device, a pipe or a socket has this name, or one of the links that ``/dev`` is made of:
    root would replace ``/dev/null`` for everybody."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    if stat.S_ISLNK(mode):
        return path.absolute().parent == Path("/dev")
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_below(folder: Path, name: str, content: bytes) -> Path:
    """Writes a file of a folder that came from elsewhere, perhaps: as :func:`write_atomically`, and no
    folder within it that is a link is followed.

    Raises:
        BenchError: the place cannot be written to, or a link leads away from ``folder``.
    """
    path = folder / name
    for parent in path.relative_to(folder).parents[:-1]:
        if (folder / parent).is_symlink():
            raise BenchError(
                f"{folder / parent}: is a link, and what is written there may land anywhere",
                hint="remove it",
            )
    write_atomically(path, content)
    return path


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
