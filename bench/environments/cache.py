"""Tells when what the cache keeps was last used, and removes what nobody uses any more.

The time of the last use is the modification time of the folder of an environment or copy: nothing is
put into these folders after they have appeared. Whoever is about to use one notes that first. So what a
process runs in is never removed, unless the process was started :data:`UNUSED_DAYS` days ago.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from pathlib import Path

import filelock

#: TensorFlow has a release every one to three months, patch releases included: versions that were not
#: compared for a month are history, and to build half a gigabyte again costs a minute or two.
UNUSED_DAYS = 30

#: Below the cache; what lies in them is removed when it is not used.
KEPT = ("environments", "copies")


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


def remove_unused(cache: Path) -> None:
    """Removes environments, copies of bench and abandoned scratch that were not used for long.

    What cannot be removed stays for the next call.
    """
    latest = time.time() - UNUSED_DAYS * 86400
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
