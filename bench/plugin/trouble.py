"""Trouble, known or not, ends pytest with one message and exit code 2: its own codes for internal
errors and failed fixtures, 3 and 1, mean here that something is undecided or has regressed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from bench.errors import EXIT_TROUBLE, BenchError, unexpected


@contextlib.contextmanager
def trouble_ends_pytest(*, findings: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns trouble into one clear message and exit code 2; what pytest raises itself passes.

    Args:
        findings: exceptions that are no trouble, but fail an item.
    """
    try:
        yield
    except (pytest.exit.Exception, *findings):
        raise
    except Exception as error:
        known = error if isinstance(error, BenchError) else unexpected(error)
        pytest.exit(f"bench: error: {known}", returncode=EXIT_TROUBLE)
