"""Checksums of what is stored: a digit that was changed by hand, or by a disk, is seen.

They are no signatures: whoever means to deceive computes another one. The field ``sum`` ends a line
and covers all before it.
"""

from __future__ import annotations

import hashlib
import re

_SUM = re.compile(rb',"sum":"([0-9a-f]{16})"\}\Z')
#: Characters that it matches.
_LENGTH = 26


def checksum(content: bytes) -> str:
    """16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def with_sum(line: bytes) -> bytes:
    """A line that is a JSON object, not an empty one, with its checksum."""
    return b'%b,"sum":"%b"}' % (line[:-1], checksum(line).encode())


def without_sum(line: bytes) -> tuple[bytes, bool]:
    """A line, without its newline, as it was before :func:`with_sum`; and whether it had a checksum.

    Raises:
        ValueError: the checksum is that of another line.
    """
    found = _SUM.match(line, max(len(line) - _LENGTH, 0))
    if found is None:
        return line, False
    content = line[: found.start()] + b"}"
    if checksum(content) != found[1].decode():
        raise ValueError(
            "its checksum is that of another line: it was altered since it was written"
        )
    return content, True


def must_have_sum(has_sum: bool, *, before: bool) -> bool:  # noqa: FBT001 - what is asked about
    """Whether the lines that follow must have a checksum: all behind one that has.

    Raises:
        ValueError: this one must have, and has none.
    """
    if before and not has_sum:
        raise ValueError("it has no checksum, and lines before it have")
    return has_sum
