"""Wording that all rooms share: numbers with their nouns, and errors in a line."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def raised(error: Exception, *, most: int = 300) -> str:
    """Kind of an error, and at most so many characters of its first line."""
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first[:most]}" if first else type(error).__name__
