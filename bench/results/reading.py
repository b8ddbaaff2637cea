"""Reading what anybody may have written: a colleague's results, a pull request's baseline.

Nothing is read that is not a regular file, no more than a bound is kept in memory, and whatever is
wrong with the content is a ValueError of one line.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

import msgspec

#: Bytes of a file that is decoded as a whole: a plan of a million replicas has 140 MB.
MOST_BYTES = 1 << 28
#: Bytes of a line. The longest that a run writes, a trial with histograms, has some MB.
MOST_LINE_BYTES = 1 << 26
#: Bytes of a file of lines: beyond, its records would not fit into memory either.
MOST_LINES_BYTES = 1 << 36

#: Bytes that are asked of the system at a time: a record has some 3,000.
_BUFFER = 1 << 18
#: Bytes in which the rest of a line is looked for.
_REST = 1 << 13
_MOST_MESSAGE = 300

T = TypeVar("T")


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """All of a file.

    Raises:
        OSError: it is absent, not a regular file, or has more than ``most`` bytes.
    """
    with _opened(path, most) as file:
        return file.read(most)


def read_lines(path: Path, most: int = MOST_LINE_BYTES) -> Iterator[bytes]:
    """The lines of a file, without their newlines; a last one that has none is what a killed run or a
    power cut leaves behind, and is left out.

    Raises:
        OSError: as :func:`read_bytes` does, or a line has more than ``most`` bytes.
    """
    with _opened(path, MOST_LINES_BYTES) as file:
        number = 0
        while (line := file.readline(most)).endswith(b"\n"):
            number += 1
            yield line[:-1]
        if len(line) >= most:
            raise OSError(errno.EFBIG, f"line {number + 1} has more than {most:,} bytes")


def lines_between(path: Path, begin: int, end: int, most: int = MOST_LINE_BYTES) -> list[bytes]:
    """The lines of a file that begin in a stretch of it, as :func:`read_lines` gives them: stretches
    that adjoin have each line once.

    Raises:
        OSError: as :func:`read_lines` does.
    """
    start = max(begin - 1, 0)
    with _opened(path, MOST_LINES_BYTES) as file:
        number = file.fileno()
        content = os.pread(number, end - start, start)
        first, *lines = content.split(b"\n")  # the end of a line that began before
        if not begin:
            lines.insert(0, first)
        if lines and (last := bytearray(lines.pop())):
            at, newline = start + len(content), b""
            while not newline and len(last) < most and (more := os.pread(number, _REST, at)):
                rest, newline, _ = more.partition(b"\n")
                last += rest
                at += len(more)
            if len(last) >= most:
                raise OSError(errno.EFBIG, f"a line has more than {most:,} bytes")
            if newline:
                lines.append(bytes(last))
    return lines


def decode(content: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """JSON as a checked structure.

    Raises:
        ValueError: not JSON, nested too deeply, numbers out of range, unknown or missing fields.
    """
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        text = " ".join(str(error).split())
        raise ValueError(
            text if len(text) <= _MOST_MESSAGE else f"{text[:_MOST_MESSAGE]} ..."
        ) from error


def _opened(path: Path, most: int) -> IO[bytes]:
    # A FIFO that nobody writes to would hang without O_NONBLOCK; it changes nothing for files.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISDIR(os.fstat(number).st_mode):  # of which Python makes no file
        os.close(number)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    file = os.fdopen(number, "rb", _BUFFER)
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size <= most:
        return file
    file.close()
    if status.st_size > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
    raise OSError(errno.EINVAL, "it is not a regular file")
