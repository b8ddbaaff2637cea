"""Widths of cells at which the stand-in training process of ``execution/faulty`` misbehaves."""

ABORT, KILL, SEGFAULT, HANG, RAISE, EXIT, EAT_MEMORY, RESOURCES = range(901, 909)
