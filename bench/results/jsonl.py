"""Files of JSON lines that grow while a run goes on, and survive its end, whatever that is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from bench.errors import BenchError

#: A link in a folder that came from elsewhere would be written through; a FIFO would hang.
_NO_LINK = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20


def cut_torn_line(path: Path) -> None:
    """Removes a last line without its newline, if the file is there and has one.

    Raises:
        BenchError: it cannot be written to.
    """
    if not os.path.lexists(path):
        return
    try:
        with os.fdopen(os.open(path, os.O_RDWR | _NO_LINK), "rb+") as file:
            end = file.seek(0, os.SEEK_END)
            torn = 0
            while torn < end:
                start = max(end - torn - _CHUNK, 0)
                file.seek(start)
                newline = file.read(end - torn - start).rfind(b"\n")
                if newline >= 0:
                    torn = end - (start + newline + 1)
                    break
                torn = end - start
            if torn:
                file.truncate(end - torn)
                os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(path, error) from error


class Appender:
    """Adds lines to a file, each in one write that is on the disk when it returns; what a failed write
    left behind is cut off again.

    Args:
        path: made if absent.

    Raises:
        BenchError: it cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_LINK, 0o644)
            sync_folder(path.parent)
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
            os.fsync(self._file)  # a millisecond or ten, and a training takes a second
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        os.close(self._file)


def sync_folder(folder: Path) -> None:
    """Has a folder's entries on the disk: otherwise a file may have no name after a power cut."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def cannot_write(path: Path, error: OSError) -> BenchError:
    """The error for a place that takes no more bytes."""
    taken = isinstance(error, FileExistsError)  # a file where a folder has to be made
    why = "Not a directory" if taken else error.strerror or error
    return BenchError(
        f"{path}: cannot be written: {why}",
        hint="free disk space or choose another place with --results DIR; records already written "
        "are kept: continue with --resume",
    )
