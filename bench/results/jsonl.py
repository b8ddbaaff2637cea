"""Files of JSON lines that grow while a run goes on, and survive its end, whatever that is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from bench.errors import BenchError


def cut_torn_line(path: Path) -> None:
    """Removes a last line without its newline, if the file is there and has one.

    Raises:
        BenchError: it cannot be written to.
    """
    if not path.exists():
        return
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        try:
            os.truncate(path, end)
        except OSError as error:
            raise cannot_write(path, error) from error


class Appender:
    """Adds lines to a file, each in one write; what a failed write left behind is cut off again.

    Args:
        path: made if absent.

    Raises:
        BenchError: it cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise cannot_write(path, error) from error

    def append(self, line: bytes) -> None:
        """Writes a line, newline included.

        Raises:
            BenchError: the disk is full.
        """
        size = os.fstat(self._file).st_size
        try:
            while line:  # the first of two writes may fill the disk, the second says so
                line = line[os.write(self._file, line) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        os.close(self._file)


def cannot_write(path: Path, error: OSError) -> BenchError:
    """The error for a place that takes no more bytes."""
    taken = isinstance(error, FileExistsError)  # a file where a folder has to be made
    why = "Not a directory" if taken else error.strerror or error
    return BenchError(
        f"{path}: cannot be written: {why}",
        hint="free disk space or choose another place with --results DIR; records already written "
        "are kept: continue with --resume",
    )
