"""Tells when what the cache keeps was last used, and removes what nobody uses any more.

The time of the last use is the modification time of the folder of an environment or copy: nothing is
put into these folders after they have appeared. Whoever is about to use one notes that first. So what a
process runs in is never removed, unless the process was started :data:`UNUSED_DAYS` days ago.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import filelock

#: TensorFlow has a release every one to three months, patch releases included: versions that were not
#: compared for a month are history, and to build half a gigabyte again costs a minute or two.
UNUSED_DAYS = 30

#: Below the cache; what lies in them is removed when it is not used.
KEPT = ("environments", "copies")
#: Packages by which an environment is known.
_NAMED = ("tensorflow", "tensorflow-cpu", "keras", "tf-keras")


def use(folder: Path) -> bool:
    """Notes that a folder of the cache is used from now on; False: there is none of this name.

    Raises:
        OSError: the cache cannot be written.
    """
    with _alone(folder.parents[1]):
        try:
            os.utime(folder)
        except FileNotFoundError:
            return False
    return True


@dataclass(frozen=True)
class Kept:
    """Something that the cache keeps."""

    kind: str
    """``environment``, ``copy of bench``, ``images``, ``requirements``, or ``other``."""
    name: str
    size_bytes: int
    """On disk: a file that several folders share by hard links counts in each."""
    used: datetime
    """The last use; of images, when they were stored."""


def contents(cache: Path) -> list[Kept]:
    """All that the cache keeps; empty where there is no cache."""
    folders = sorted(path for path in cache.glob("*") if path.is_dir())
    return [
        Kept(
            _kind(folder.name),
            _title(each),
            _size_bytes(each),
            datetime.fromtimestamp(each.stat().st_mtime),
        )
        for folder in folders
        for each in (sorted(folder.iterdir()) if folder.name in KEPT else [folder])
    ]


def _kind(name: str) -> str:
    """What a folder of the cache, or each folder in it, is."""
    kinds = {"environments": "environment", "copies": "copy of bench", "requests": "requirements"}
    return kinds.get(name, "images" if re.fullmatch("[0-9a-f]{64}", name) else "other")


def _title(folder: Path) -> str:
    """The TensorFlow and Keras of an environment, which its lock names; else the folder's name."""
    if folder.name == "requests":
        return "what they resolved to"
    try:
        lock = json.loads((folder / "environment.json").read_text("utf-8")).get("lock", "")
    except (OSError, ValueError, AttributeError):
        return folder.name
    lines = [line.strip() for line in str(lock).splitlines()]
    return " ".join(line for line in lines if line.partition("==")[0] in _NAMED) or folder.name


def _size_bytes(folder: Path) -> int:
    return sum(
        (Path(where) / name).lstat().st_size
        for where, _, names in os.walk(folder)
        for name in names
    )


def remove_unused(cache: Path, *, days: float = UNUSED_DAYS) -> None:
    """Removes environments, copies of bench and abandoned scratch that were not used for ``days``.

    What cannot be removed stays for the next call.
    """
    latest = time.time() - days * 86400
    for kept in KEPT:
        with contextlib.suppress(OSError):
            for folder in list((cache / kept).iterdir()):
                _remove(folder, latest)


def _remove(folder: Path, latest: float) -> None:
    """Renames it first, so that nobody sees half of one; under the lock, so that a use noted in the
    meantime is seen."""
    removed = folder.with_name(f"removing-{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):
        if folder.stat().st_mtime >= latest:
            return
        with _alone(folder.parents[1]):
            if folder.stat().st_mtime >= latest:
                return
            folder.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)


def _alone(cache: Path) -> filelock.BaseFileLock:
    """Held for two system calls, so nobody waits long for it."""
    return filelock.FileLock(cache / "uses.lock")
