"""Resident memory of this process: now, and at its peak since it was last asked to forget that."""

from __future__ import annotations

import ctypes
import gc
import resource
from contextlib import suppress
from pathlib import Path

_SELF = Path("/proc/self")


def resident_bytes() -> int:
    """Resident size now, after free memory was given back to the system, where the C library can.

    What only the collector frees is collected first: freed later, it would hide as much of a peak.
    """
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def forget_peak() -> None:
    """Lets :func:`peak_bytes` count from now on; without Linux' ``clear_refs`` (proc(5)) it goes on
    counting from the start of the process."""
    with suppress(OSError):
        (_SELF / "clear_refs").write_text("5")


def peak_bytes() -> int:
    """Resident size at its highest."""
    return _status("VmHWM")


def _status(name: str) -> int:
    """A size from ``/proc/self/status``; the highest resident size where there is no such file."""
    with suppress(OSError, ValueError, StopIteration):
        lines = (_SELF / "status").read_text().splitlines()
        line = next(line for line in lines if line.startswith(f"{name}:"))
        return 1024 * int(line.split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
