"""The one exception that users see: what is wrong, where, and the way out; shared wording."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback


class BenchError(Exception):
    """Infrastructure trouble or unusable input: never a finding about TensorFlow.

    The command line and the pytest plugin print it without a traceback and exit with
    :data:`EXIT_TROUBLE`.

    Args:
        message: what is wrong, naming the file, cell or worker.
        hint: what the user can do about it; printed on a line of its own.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  -> {self.hint}" if self.hint else self.message


#: Exit codes of every command: part of the contract with CI.
EXIT_OK = 0  #: nothing regressed
EXIT_REGRESSED = 1  #: regressed, changed, crashed or claim violated
EXIT_TROUBLE = 2  #: usage, broken input or infrastructure: says nothing about TensorFlow
EXIT_UNDECIDED = 3  #: nothing speaks against it, and something was not decided or nothing compared


def allowed(code: int, *, undecided: bool) -> int:
    """The exit code of a user to whom undecided may be as good as decided."""
    return EXIT_OK if undecided and code == EXIT_UNDECIDED else code


NO_FINDING = "this says nothing about TensorFlow"
FAULT_OF_BENCH = "a fault of bench: report it by the form 'bench fails' of the project's issues, "


def unexpected(error: Exception) -> BenchError:
    """Trouble of this package's own making, as users are told of it; the traceback goes into a new file
    in the temporary directory, or into the message where that cannot be written."""
    details = "".join(traceback.format_exception(error))
    head = f"{sys.argv}\nPython {platform.python_version()}, {platform.platform()}\n\n"
    text = " ".join(str(error).split())[:_MOST_TEXT]
    message = f"unexpected {type(error).__name__}{f': {text}' if text else ''}"
    message += f" ({NO_FINDING})"
    try:
        # A new name, for no other user to have put a link there.
        number, path = tempfile.mkstemp(prefix="bench-trouble-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(head + details)
        where = f"with {path}"
    except OSError:
        message, where = f"{message}\n{details}".rstrip(), "with these lines"
    return BenchError(
        message,
        hint=f"{FAULT_OF_BENCH}{where}",
    )


#: Characters of an exception's text in a message; the file has all.
_MOST_TEXT = 200


def count(number: int, noun: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def raised(error: BaseException, *, most: int = 300) -> str:
    """Kind of an error, and at most so many characters of its first line."""
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first[:most]}" if first else type(error).__name__
