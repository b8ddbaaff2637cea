"""The command ``bench run``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter

from bench.errors import EXIT_TROUBLE, BenchError
from bench.jobs import shipped


def run(*options: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Trains a tier and compares it with the baseline: pytest on the suites.

    Args:
        options: what pytest takes: --tier standard, -k WORDS, --axis depth=3,10, --resume, ...
    """
    import pytest

    elsewhere = ("--scheduler", "--co", "-h", "--help", "--version")
    if find_spec("tensorflow") is None and not any(text.startswith(elsewhere) for text in options):
        raise BenchError(
            "no TensorFlow in this environment",
            hint="install the extra 'cpu' or 'gpu', or start with tox: python -m tox run -e quick",
        )
    if "--grid" in options:
        raise BenchError(
            "bench run has no --grid: it selects as pytest does",
            hint="a grid's file has its name: bench run -k test_depth",
        )
    suites = shipped.suites()
    if not suites.is_dir():
        raise BenchError(
            "no suites: neither in this folder nor in the installed package",
            hint="start from the repository's root, or install the wheel",
        )
    # As pyproject.toml sets it in a checkout, which an empty folder has not.
    ours = ["--benchmark-skip", "--import-mode=importlib", "-p", "no:cacheprovider"]
    ours += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # bench is imported already
    ours += [f"--ignore={suites / 'test_published.py'}"]
    code = pytest.main([str(suites), *ours, *options])
    return EXIT_TROUBLE if code == pytest.ExitCode.USAGE_ERROR else int(code)
