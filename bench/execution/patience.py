"""Patience with requests that several environments answer one after another."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from bench.execution.supervisor import Supervisor
from bench.results.kind import Request

A = TypeVar("A")

#: A request that takes so many times as long as in the slowest environment before hangs: machines slow
#: down by a factor of two or three, and the largest step between two releases that was met is 13.
PATIENCE = 20.0

#: Seconds that any request is given, as importing the rest of Keras takes some.
LEAST_SEC = 60.0


class Patience:
    """Asks processes, and knows a hang by how long others took.

    Keras 3.0 to 3.8 hang over some files of Keras 2. A cell's whole time-out for each such file and
    release would take up hours of an upgrade and its search.

    Args:
        timeout_sec: of a request that no environment has answered yet.
    """

    def __init__(self, timeout_sec: float) -> None:
        self._timeout_sec = timeout_sec
        self._took: dict[Request[Any], float] = {}

    def do(self, process: Supervisor, request: Request[A]) -> A:
        """The answer, as :meth:`bench.execution.supervisor.Supervisor.do` gives it."""
        timeout_sec = self._timeout_sec
        if slowest := self._took.get(request):
            timeout_sec = min(timeout_sec, max(LEAST_SEC, PATIENCE * slowest))
        begin = time.monotonic()
        answer = process.do(request, timeout_sec=timeout_sec)
        took = time.monotonic() - begin
        if took < timeout_sec:
            self._took[request] = max(took, self._took.get(request, 0.0))
        return answer
