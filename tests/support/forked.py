"""pytest in processes that are forked from one which has imported the libraries that it needs.

These imports are most of the time that a short job takes.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["bench.plugin.fixtures", "distributed", "matplotlib.figure", "pandas", "scipy.stats"]
)


def _main(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    output: Path,
    python: str,
) -> None:
    """Runs pytest as a shell would: in a session of its own, open to Ctrl-C."""
    gc.freeze()  # pytest collects garbage at its end, which has not to be looked for in there
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with output.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.executable = python
    sys.argv = ["pytest", *arguments]
    sys.exit(int(pytest.main(list(arguments))))


@dataclass
class Forked:
    """A pytest that was started."""

    process: BaseProcess
    output: Path

    @classmethod
    def start(
        cls,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        python: str = sys.executable,
    ) -> Forked:
        """Starts it in ``folder``, with these environment variables and no other; processes that it
        starts are of ``python``."""
        handle, name = tempfile.mkstemp(dir=folder, suffix=".output")
        os.close(handle)
        output = Path(name)
        told = (arguments, folder, environment, output, python)
        process = _CONTEXT.Process(target=_main, args=told)
        process.start()
        return cls(process, output)

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def wait(self) -> tuple[int, str]:
        """Its exit code, and what it printed."""
        self.process.join(600)
        assert self.process.exitcode is not None, f"still running: {self.output.read_text()}"
        return self.process.exitcode, self.output.read_text()
