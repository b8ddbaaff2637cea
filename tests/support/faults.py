"""The stand-in training process, and the widths of cells at which it misbehaves."""

from __future__ import annotations

from pathlib import Path

ABORT, KILL, SEGFAULT, HANG, RAISE, EXIT, EAT_MEMORY, RESOURCES, KILL_ONCE, UNWRITABLE = range(
    901, 911
)

#: Holds the stand-in as a module that Python imports at its start.
FAULTY = Path(__file__).with_name("faulty")
