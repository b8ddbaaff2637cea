"""A second process of this Python, to which a command gives part of its work.

It runs functions of this package, named as pickles name them, and sends back what they return. What it
cannot do - there is no second core, no process can be started, it was killed - whoever asked does
himself: :class:`AsideError` is caught, never shown.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

#: Starts it. Its modules are found where ours are: Python would look into the folder that it is started
#: in first, and what lies there may be anybody's.
_PROGRAM = "import sys; sys.path[:] = {path!r}; from bench.results.aside import serve; serve()"
#: Bytes of answers that may wait in the pipe, as far as the system allows it.
_PIPE_BYTES = 1 << 20


class AsideError(Exception):
    """The work was not done: no process can be started, it died, or the function failed."""


class Aside:
    """The process, from its start until the block ends.

    Args:
        cores: that this process may use; a second process is started if there are two.

    Raises:
        AsideError: none is started.
    """

    def __init__(self, cores: int | None = None) -> None:
        if (_cores() if cores is None else cores) < 2:
            raise AsideError("one core")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            raise AsideError(str(error)) from error
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._answers.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def __enter__(self) -> Aside:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def _answers(self) -> Any:
        return self._process.stdout

    def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Asks for a function's value. Several are answered in their order. While answers larger than
        :data:`_PIPE_BYTES` may be waiting, only small arguments pass.

        Raises:
            AsideError: the process has died.
        """
        assert self._process.stdin is not None
        try:
            _send(self._process.stdin, (function, arguments))
        except Exception as error:  # also of arguments that cannot be sent
            raise AsideError(str(error)) from error

    def ready(self) -> bool:
        """Whether an answer has begun to arrive, or the process has died."""
        return bool(select.select([self._answers], [], [], 0)[0])

    def result(self) -> Any:
        """The next answer; waits for it.

        Raises:
            AsideError: the process has died, or the function failed.
        """
        try:
            done, value = _receive(self._answers)
        except Exception as error:  # whatever is wrong with what arrived, nobody may trust it
            raise AsideError("it has died") from error
        if not done:
            raise AsideError(value)
        return value


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serve() -> None:
    """Answers requests until there are no more, or nobody listens."""
    requests, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)  # what is printed is no answer
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            function, arguments = _receive(requests)
            try:
                answer = True, function(*arguments)
            except Exception as error:
                answer = False, f"{type(error).__name__}: {error}"
            _send(answers, answer)


def _send(pipe: Any, message: Any) -> None:
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    rest = memoryview(len(content).to_bytes(8, "little") + content)
    while rest:
        rest = rest[pipe.write(rest) :]


def _receive(pipe: Any) -> Any:
    """The next message. Raises EOFError where the pipe ends before it does."""
    size = int.from_bytes(_exactly(pipe, 8), "little")
    return pickle.loads(_exactly(pipe, size))  # noqa: S301 - what this program says to itself


def _exactly(pipe: io.RawIOBase, size: int) -> bytearray:
    content = bytearray(size)
    rest = memoryview(content)
    while rest:
        if not (count := pipe.readinto(rest)):
            raise EOFError
        rest = rest[count:]
    return content
