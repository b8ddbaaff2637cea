"""The commands ``bench cache list|clear``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bench.errors import EXIT_OK

CacheDir = Annotated[Path | None, Parameter(name="--cache", help="another cache")]


def list(*, cache: CacheDir = None) -> int:  # noqa: A001 # the command's name
    """Lists what the cache keeps, with sizes, the largest first. A file that several environments share
    counts in each."""
    from tabulate import tabulate

    from bench.environments.cache import contents
    from bench.mnist import MNIST_FINGERPRINT, cache_directory

    folder = cache_directory(cache)
    kept = sorted(contents(folder), key=lambda each: -each.size_bytes)
    known = {MNIST_FINGERPRINT: "MNIST"}
    rows = [
        [
            each.kind,
            known.get(each.name, each.name),
            f"{each.size_bytes / 1e6:,.0f} MB",
            each.used.date(),
        ]
        for each in kept
    ]
    if rows:
        print(tabulate(rows, ("kind", "what", "size", "last used"), tablefmt="simple"))
    size = sum(each.size_bytes for each in kept) / 1e6
    print(f"{folder}: {size:,.0f} MB in all" if rows else f"{folder}: nothing is kept there")
    return EXIT_OK


def clear(
    *, everything: Annotated[bool, Parameter(name="--all")] = False, cache: CacheDir = None
) -> int:
    """Removes environments and copies of bench that were not used for a day; images stay.

    Args:
        everything: also those used today; a command that runs in one would fail
    """
    from bench.environments.cache import contents, remove_unused
    from bench.mnist import cache_directory

    folder = cache_directory(cache)
    before = sum(each.size_bytes for each in contents(folder))
    remove_unused(folder, days=0 if everything else 1)
    left = sum(each.size_bytes for each in contents(folder))
    print(f"{(before - left) / 1e6:,.0f} MB removed, {left / 1e6:,.0f} MB left in {folder}")
    return EXIT_OK
