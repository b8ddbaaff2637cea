"""What ``bench merge`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse

from bench.errors import EXIT_OK
from bench.results.find import find_folder


def merge(arguments: argparse.Namespace) -> int:
    """Writes the union of several runs as a run of its own."""
    from bench.jobs.merge import merge, summary

    paths = [find_folder(name, arguments.results) for name in arguments.runs]
    merged = merge(paths, arguments.results / arguments.run)
    print("\n".join(summary(merged)))
    return EXIT_OK
