"""``bench ...``: parses, delegates, prints. Never imports TensorFlow."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence

import bench
from bench.errors import EXIT_TROUBLE, BenchError
from bench.results.environment import NUMPY_THREADS

# Each command imports what it needs: `bench --help` answers at once, and `bench data` works where
# SciPy does not.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        the exit code: 0 nothing regressed, 1 regressed, 2 trouble, no word on TensorFlow, 3 undecided.
    """
    # Records are trees without cycles: collecting finds nothing in them and takes half of the time.
    collecting = gc.isenabled()
    gc.disable()
    os.environ.setdefault(*NUMPY_THREADS)
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.command(arguments)
        sys.stdout.flush()
    except BenchError as error:
        sys.stdout.flush()
        print(f"bench: error: {error}", file=sys.stderr)
        return EXIT_TROUBLE
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return EXIT_TROUBLE
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_TROUBLE
    finally:
        if collecting:
            gc.enable()
    return code


# Upgrades


def upgrade(arguments: argparse.Namespace) -> int:
    """Says whether an upgrade is safe."""
    from bench.commands.upgrade import upgrade as command

    return command(arguments)


def reproduce(arguments: argparse.Namespace) -> int:
    """Writes a script that shows what an upgrade changed."""
    from bench.commands.reproduce import reproduce as command

    return command(arguments)


def matrix(arguments: argparse.Namespace) -> int:
    """Measures a chain of versions."""
    from bench.commands.matrix import matrix as command

    return command(arguments)


# Published experiments


def published(arguments: argparse.Namespace) -> int:
    """Reruns published experiments."""
    from bench.commands.published import published as command

    return command(arguments)


# Runs


def report(arguments: argparse.Namespace) -> int:
    """Judges a stored run or upgrade again and writes its report."""
    from bench.commands.report import report as command

    return command(arguments)


def compare(arguments: argparse.Namespace) -> int:
    """Judges run B with run A in the place of the baseline."""
    from bench.commands.compare import compare as command

    return command(arguments)


def merge(arguments: argparse.Namespace) -> int:
    """Writes the union of several runs as a run of its own."""
    from bench.commands.merge import merge as command

    return command(arguments)


# Theory


def theory(arguments: argparse.Namespace) -> int:
    """Prints what theory predicts for a network; draws it if asked to."""
    from bench.commands.theory import theory as command

    return command(arguments)


# History


def history(arguments: argparse.Namespace) -> int:
    """Prints a metric of a cell over acceptances and stored runs; draws it if asked to."""
    from bench.commands.history import history as command

    return command(arguments)


# Baselines


def baseline_accept(arguments: argparse.Namespace) -> int:
    """Shows what would change, asks, and writes."""
    from bench.commands.baseline import accept

    return accept(arguments)


def baseline_diff(arguments: argparse.Namespace) -> int:
    """Shows what accepting would change, and writes nothing."""
    from bench.commands.baseline import diff

    return diff(arguments)


def baseline_show(arguments: argparse.Namespace) -> int:
    """Lists the classes, or the cells of one."""
    from bench.commands.baseline import show

    return show(arguments)


def baseline_check(arguments: argparse.Namespace) -> int:
    """Reads every stored baseline and says what is wrong with it."""
    from bench.commands.baseline import check

    return check(arguments)


# Grids and data


def grids(arguments: argparse.Namespace) -> int:
    """Lists the cells of a tier."""
    from bench.commands.grids import grids as command

    return command(arguments)


def data_fetch(arguments: argparse.Namespace) -> int:
    """Gets and verifies the images."""
    from bench.commands.data import data_fetch as command

    return command(arguments)


def data_verify(arguments: argparse.Namespace) -> int:
    """Hashes what is cached."""
    from bench.commands.data import data_verify as command

    return command(arguments)


def data_where(arguments: argparse.Namespace) -> int:
    """Says where images are looked for."""
    from bench.commands.data import data_where as command

    return command(arguments)


# The parser


def _parser() -> argparse.ArgumentParser:
    from bench.commands.common_arguments import build_parser

    return build_parser(sys.modules[__name__], version=bench.__version__)


if __name__ == "__main__":
    sys.exit(main())
