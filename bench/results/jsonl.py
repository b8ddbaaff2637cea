"""Files of JSON lines that grow while a run goes on, and survive its end, whatever that is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from bench.errors import BenchError

T = TypeVar("T")


class Lines(Generic[T]):
    """How values of one type are kept: one line of JSON each.

    Args:
        kind: their type.
        what: names one in messages.
    """

    def __init__(self, kind: type[T], what: str) -> None:
        self._what = what
        self._encoder = msgspec.json.Encoder()
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)

    def encode(self, value: T) -> bytes:
        """Its line, newline included."""
        return self._encoder.encode(value) + b"\n"

    def decode(self, line: bytes) -> T:
        """The value of a line.

        Raises:
            msgspec.DecodeError: it has none, or one of another schema.
        """
        return self._decoder.decode(line)

    def read(self, path: Path) -> list[T]:
        """All values of a file, in file order.

        A last line without its newline is what a killed run leaves behind: it is ignored, here and
        when the run is resumed. Anything else that cannot be decoded is an error.

        Raises:
            BenchError: the file is absent or a line is damaged; names the file and the line.
        """
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            raise BenchError(
                f"{path}: cannot be read: {error.strerror}", hint="name a folder below results/"
            ) from error
        values = []
        for index, line in enumerate(lines[:-1], start=1):
            try:
                values.append(self.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BenchError(
                    f"{path}, line {index}: not a {self._what}: {error}",
                    hint=f"remove line {index} and continue the run with --resume, or run anew",
                ) from error
        return values


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
