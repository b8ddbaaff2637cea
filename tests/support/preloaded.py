"""An interpreter that has TensorFlow imported: what it runs is forked from one process.

Importing TensorFlow takes four seconds, and an upgrade does so for every training process and every run
of a script. Whatever is started with :attr:`Preloaded.python` is a process with its own arguments,
folder, variables and streams, as any other; ``sitecustomize`` and ``bench`` are found on its own path.
"""

from __future__ import annotations

import array
import contextlib
import faulthandler
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

#: What ``Preloaded.python`` is. It hands its streams over and ends as the forked process does; where
#: neither a module nor a script is to be run, it is the interpreter itself.
_CLIENT = """#!{python} -IS
import array, json, os, socket, sys
words = sys.argv[1:]
if not words or words[0] != "-m" and not words[0].endswith(".py"):
    os.execv({python!r}, [{python!r}, *words])
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
    server.connect({address!r})
    asked = json.dumps([words, os.getcwd(), dict(os.environ)]).encode()
    streams = socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2])
    server.sendmsg([b"%12d" % len(asked)], [streams])
    server.sendall(asked)
    code = int(server.recv(12) or b"1")
if code < 0:
    os.kill(os.getpid(), -code)
os._exit(code)
"""

_VARIABLES = {
    "KERAS_BACKEND": "tensorflow",
    "OPENBLAS_NUM_THREADS": "1",  # threads do not survive a fork
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": "",
}


class Preloaded:
    """The process, and the interpreter whose work it does.

    Args:
        folder: empty; there until :meth:`close`.
    """

    def __init__(self, folder: Path) -> None:
        address, client = folder / "socket", folder / "python"
        client.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
        client.chmod(0o755)
        self.python = str(client)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening,
            (folder / "output").open("wb") as output,
        ):
            listening.bind(str(address))
            listening.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(listening.fileno())],
                stdin=subprocess.PIPE,  # it ends with this process, however that ends
                stderr=output,
                pass_fds=[listening.fileno()],
                env={**os.environ, **_VARIABLES, "KERAS_HOME": str(folder)},
                start_new_session=True,
            )

    def close(self) -> None:
        """Ends the process; those forked from it go on until they end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _serve(listening: socket.socket) -> None:
    """Forks a process for each connection, until standard input ends."""
    while listening in select.select([listening, 0], [], [])[0]:
        connection, _ = listening.accept()
        if not os.fork():
            listening.close()
            _supervise(connection)
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _supervise(connection: socket.socket) -> None:
    """Forks the process that is asked for, tells the client how it ends, and ends it with the
    client."""
    length, passed, _, _ = connection.recvmsg(12, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    streams = array.array("i", passed[0][2])
    content = b""
    while len(content) < int(length):
        content += connection.recv(1 << 20)
    words, folder, variables = json.loads(content)
    pid = os.fork()
    if not pid:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        _become(words, folder, variables)
        sys.exit()
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(pid)
    if ended not in select.select([ended, connection], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(words: list[str], folder: str, variables: dict[str, str]) -> None:
    """Does what the interpreter does when it is started, and leaves as it does."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    if variables.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()
    sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    sys.orig_argv = [sys.executable, *words]
    module = words[0] == "-m"
    first = folder if module else str(Path(words[0]).parent)
    named = [one for one in variables.get("PYTHONPATH", "").split(os.pathsep) if one]
    begin = [] if variables.get("PYTHONSAFEPATH") else [first]
    sys.path[:] = [*begin, *named, *_LIBRARIES]
    sys.modules.pop("sitecustomize", None)
    with contextlib.suppress(ModuleNotFoundError):
        __import__("sitecustomize")
    sys.argv = words[module:]
    if module:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")


@contextlib.contextmanager
def preloaded(folder: Path) -> Iterator[str]:
    """The path of such an interpreter; this one's where processes cannot be forked so, and where lines
    are counted, for which they would have to start as usual."""
    if sys.platform != "linux" or any(name.startswith("COVERAGE_") for name in os.environ):
        yield sys.executable
        return
    made = Preloaded(folder)
    with contextlib.closing(made):
        yield made.python


if __name__ == "__main__":
    _LIBRARIES = sys.path[1:]
    import tensorflow

    tensorflow.keras.layers  # noqa: B018 - Keras is imported where it is asked for
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as _listening:
        _serve(_listening)
