"""Supervisor: keeps one training process alive, and turns its death into a record.

A worker never imports TensorFlow itself. So whatever TensorFlow does to its process - abort, fill the
memory, hang - costs one replica and says how, with the signal and the last output.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
import psutil

import bench
from bench.errors import BenchError
from bench.execution import machine, protocol
from bench.mnist import CACHE_DIR_VARIABLE, cache_directory
from bench.results.kind import Crash, Request, noted

#: Importing TensorFlow takes seconds, from a cold network disk a minute or two.
START_TIMEOUT_SEC = 300.0
_OUTPUT_BYTES = 4000
_POLL_SEC = 0.5
_CLOSED = Crash(reason="exit", message="ended with its worker")
#: Name of a training process' folder, and of the file in it that its supervisor holds locked.
_PREFIX, _HELD = "bench-training-", "held"

A = TypeVar("A")


class CrashError(Exception):
    """The process ended, was ended, or failed before it answered; ``crash`` says how."""

    def __init__(self, crash: Crash) -> None:
        super().__init__(crash.message)
        self.crash = crash


class Supervisor:
    """One training process at a time, started when it is first needed.

    Args:
        settings: of the process.
        environment: variables added to this process' own.
        python: interpreter whose TensorFlow is used, a name on PATH or an absolute path; empty: this
            one.
        memory_limit_bytes: resident memory beyond which the process is killed; 0: none.
        name: of the worker, for records and messages.
    """

    def __init__(
        self,
        settings: protocol.Settings,
        *,
        environment: Mapping[str, str] | None = None,
        python: str = "",
        memory_limit_bytes: int = 0,
        name: str = "worker",
    ) -> None:
        self._settings = msgspec.structs.replace(settings, limits=machine.limits())
        self._environment = dict(environment or {})
        self._python = python or sys.executable
        self._memory_limit = memory_limit_bytes
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._opening = threading.Lock()
        """Held while a process is started, so that one that is closed meanwhile is ended, too."""
        self._output: IO[bytes] = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - until close()
        _sweep()
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
        self._held = Path(self._folder.name, "new").open("wb")  # noqa: SIM115 - until close()
        fcntl.flock(self._held, fcntl.LOCK_EX)
        Path(self._folder.name, "new").rename(Path(self._folder.name, _HELD))  # held from the start
        self._unread = b""

    def start(self) -> protocol.Ready:
        """Starts a new process in place of any that runs, in an empty folder of its own: Python 3.10
        looks for modules in the folder that it is started in, whatever its variables say.

        Raises:
            BenchError: TensorFlow cannot be imported or set up there: no finding about a cell.
        """
        try:
            self._open()
            reply = self._exchange(self._settings, START_TIMEOUT_SEC)
        except CrashError as ended:
            raise BenchError(
                f"{self._name}: the training process did not start: {ended.crash.message}\n"
                f"{ended.crash.output}".rstrip(),
                hint="`python -c 'import tensorflow'` in the same environment should work; the "
                "extras 'cpu' and 'gpu' install it",
            ) from None
        if isinstance(reply, protocol.Trouble):
            self._end()
            raise BenchError(f"{self._name}: {reply.message}", hint=reply.hint)
        assert isinstance(reply, protocol.Ready)
        return reply

    def _open(self) -> None:
        """Starts the process. Raises CrashError if all was closed meanwhile."""
        with self._opening:
            if self._output.closed:
                raise CrashError(_CLOSED)
            self._end()
            self._unread = b""
            self._mark = self._output.seek(0, os.SEEK_END)
            keras, working, scratch = (
                Path(self._folder.name, name) for name in ("keras", "working", "scratch")
            )
            for folder in (keras, working, scratch):
                folder.mkdir(exist_ok=True)
            self._process = subprocess.Popen(
                [self._python, "-m", "bench.execution.trainer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._output,
                cwd=working,
                env={
                    **os.environ,
                    **_from_anywhere(),
                    **_VARIABLES,
                    "KERAS_BACKEND": "tensorflow",
                    "KERAS_HOME": str(keras),  # a user's keras.json may say otherwise
                    "TMPDIR": str(scratch),  # AutoGraph's sources stay behind when it is killed
                    **self._environment,
                },
                start_new_session=True,  # Ctrl-C reaches the run alone, which then ends its workers
            )

    def do(self, request: Request[A], *, timeout_sec: float) -> A:
        """The answer to a request, which says so if the process died of it, hung, failed or filled the
        memory.

        Raises:
            BenchError: as :meth:`ask`.
        """
        begin = time.perf_counter()
        facts: dict[str, Any] = {"worker": self._name}
        try:
            answer = self.ask(request, timeout_sec=timeout_sec)
        except CrashError as error:
            answer = request.crashed(error.crash)
            facts |= {"data": self._settings.data, "total_sec": time.perf_counter() - begin}
        return noted(answer, **facts)

    def ask(self, request: Request[A], *, timeout_sec: float) -> A:
        """The answer of a process that is started if need be, and ended if it cannot go on.

        Raises:
            CrashError: there is none.
            BenchError: a process could not be started, or what it found cannot be written.
        """
        if self._process is None or self._process.poll() is not None:
            self.start()
        self._mark = self._output.seek(0, os.SEEK_END)
        try:
            reply = self._exchange(protocol.Asked.of(request), timeout_sec)
        except CrashError:
            self._end()
            raise
        if isinstance(reply, protocol.Failed):
            crash = msgspec.structs.replace(reply.crash, output=self._last_output())
            if crash.reason == "memory":
                self._end()  # what it allocated may stay allocated
            raise CrashError(crash)
        if isinstance(reply, protocol.Trouble):
            raise BenchError(f"{reply.message}\n{self._last_output()}".rstrip(), hint=reply.hint)
        assert isinstance(reply, protocol.Answer)
        try:
            return reply.to(request)
        except msgspec.ValidationError as error:
            message = f"it answered what can be no result: {error}"
            raise CrashError(self._crash("exception", message)) from error

    def close(self) -> None:
        """Ends the process, if one runs, and forgets what it printed."""
        with self._opening:
            self._end()
            self._output.close()
        self._folder.cleanup()
        self._held.close()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _exchange(
        self, message: protocol.Settings | protocol.Asked, timeout_sec: float
    ) -> protocol.Reply:
        """One message, one reply.

        Raises:
            CrashError: no answer came.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it died: reading says how
            process.stdin.write(protocol.line(message))
            process.stdin.flush()
        deadline = time.monotonic() + timeout_sec
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if selector.select(timeout=_POLL_SEC):
                    try:
                        chunk = os.read(process.stdout.fileno(), 1 << 20)
                    except (OSError, ValueError):  # closed between the two
                        chunk = b""
                    if not chunk:
                        raise CrashError(self._death(process))
                    self._unread += chunk
                elif time.monotonic() > deadline:
                    process.kill()
                    raise CrashError(self._crash("timeout", f"no answer for {timeout_sec:.0f} s"))
                elif self._process is not process:
                    # closed meanwhile, which epoll does not tell where a child of it holds the pipe
                    raise CrashError(_CLOSED)
                else:
                    self._check_memory(process)
        answer, _, self._unread = self._unread.partition(b"\n")
        return protocol.reply_decoder.decode(answer)

    def _check_memory(self, process: subprocess.Popen[bytes]) -> None:
        if not self._memory_limit:
            return
        try:
            resident = psutil.Process(process.pid).memory_info().rss
        except psutil.Error:
            return
        if resident > self._memory_limit:
            process.kill()
            message = (
                f"out of memory: {resident / 2**30:.1f} GiB, and the worker's limit is "
                f"{self._memory_limit / 2**30:.1f} GiB"
            )
            raise CrashError(self._crash("memory", message))

    def _death(self, process: subprocess.Popen[bytes]) -> Crash:
        code = process.wait()
        if self._process is not process:  # closed meanwhile, and with it what it printed
            return _CLOSED
        if code >= 0:
            return self._crash("exit", f"exited with status {code}")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        note = " (the system does this when memory runs out)" if name == "SIGKILL" else ""
        return self._crash("signal", f"killed by {name}{note}")

    def _crash(self, reason: str, message: str) -> Crash:
        crash = {"reason": reason, "message": message, "output": self._last_output()}
        return msgspec.convert(crash, Crash)

    def _last_output(self) -> str:
        """The end of what the process printed since the last request."""
        end = self._output.seek(0, os.SEEK_END)
        start = self._output.seek(max(self._mark, end - _OUTPUT_BYTES))
        return self._output.read(end - start).decode(errors="replace").strip()


def _sweep() -> None:
    """Removes folders of training processes whose run was killed. The system lets go of a lock when its
    process ends, however it does; what another one holds, in another container perhaps, stays."""
    for held in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_HELD}"):
        with contextlib.suppress(OSError), held.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if held.parent.stat().st_uid == os.getuid() and not held.parent.is_symlink():
                shutil.rmtree(held.parent, ignore_errors=True)


def _from_anywhere() -> dict[str, str]:
    """This process' variables that name folders, for a process that works in another folder."""
    named = os.environ.get("PYTHONPATH", "")
    folders = named.split(os.pathsep) if named else []
    root = Path(bench.__file__).absolute().parents[1]
    if root == Path.cwd():  # only `python -m` in a checkout led to it, perhaps
        folders.insert(0, str(root))
    variables = {}
    if folders:
        variables["PYTHONPATH"] = os.pathsep.join(str(Path(one).absolute()) for one in folders)
    if os.environ.get(CACHE_DIR_VARIABLE):
        variables[CACHE_DIR_VARIABLE] = str(cache_directory())
    return variables


#: TensorFlow's banners would bury the last output; a fatal signal prints a Python traceback. NumPy's
#: threads would fight with the other workers' for the same cores.
_VARIABLES = {
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
    "PYTHONFAULTHANDLER": "1",
    "PYTHONUNBUFFERED": "1",
}
