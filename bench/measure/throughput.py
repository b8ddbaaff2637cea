"""A clock for work that another process does and times itself."""

from __future__ import annotations

import time


class RemoteClock:
    """Runs in real time, except that a remote call lasts as long as the other process says.

    A harness that brackets a call with two readings so measures the work alone, without what asking
    for it takes.
    """

    def __init__(self) -> None:
        self._hidden_sec = 0.0

    def __call__(self) -> float:
        """Seconds since some moment."""
        return time.perf_counter() - self._hidden_sec

    def count(self, *, waited_sec: float, worked_sec: float) -> None:
        """Lets a call that was waited for last as long as the work itself took."""
        self._hidden_sec += waited_sec - worked_sec
