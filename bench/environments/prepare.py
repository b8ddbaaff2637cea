"""Environments of the sides that are compared: built once per lock, kept, used again without network.

The process that builds needs no TensorFlow. How they are kept: :mod:`bench.environments.build`.
"""

from __future__ import annotations

import concurrent.futures
import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.environments.bench_copy import NEEDED, copy_bench
from bench.environments.build import Build, StoppedError, hash_of
from bench.environments.cache import remove_unused
from bench.environments.inspection import check_existing, inspect, training_variables
from bench.environments.interpreters import Interpreter, choose
from bench.environments.requirements import Side
from bench.errors import BenchError


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An environment in which training processes can be started."""

    python: Path
    """The interpreter: ``python -m bench.execution.trainer`` under ``variables``, in a folder without a
    ``bench`` of its own, as Python 3.10 takes that first whatever the variables say; see
    :class:`bench.execution.supervisor.Supervisor`."""
    lock: str
    """All that is installed: sorted lines ``name==version``."""
    key: str
    """Equal keys: the same lock and Python."""
    variables: dict[str, str]
    """Environment variables of its training processes, the side's own included."""
    label: str
    """The side as it was asked for."""
    resolved: str = ""
    """When its requirements were resolved, as ISO 8601 in UTC; empty for an existing interpreter."""


def prepare(
    sides: Sequence[Side],
    *,
    cache: Path,
    python: str = "",
    refresh: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[Built]:
    """The environment of each side, on the same Python where there is one for all: kept, built, or, for
    an existing interpreter, looked through.

    Two are built at the same time. When one cannot be had, an installation that has begun is finished
    first.

    Args:
        sides: what is wanted.
        cache: folder in which environments are kept.
        python: a Python such as ``3.12``, or the path of an interpreter, to build with.
        refresh: resolve the requirements anew, although an environment of theirs is there.
        say: receives a line about each step that takes time.

    Raises:
        BenchError: the requirements contradict each other, or the package index does not answer, both
            as uv explains it; there is no Python for them; the cache cannot be written; an existing
            interpreter lacks something.
    """
    chosen = choose(sides, python=python, say=say)
    try:
        copy = copy_bench(cache)  # one for all: the files may be edited meanwhile
    except OSError as error:
        raise _unusable(cache, error) from error
    # Equal requirements are one environment: whoever came second would only wait for the first.
    at_once = min(2, len({side.requirements for side in sides}))
    stop = threading.Event()
    make = functools.partial(
        _prepare, copy=copy, cache=cache, refresh=refresh, say=_in_turn(say), stop=stop
    )
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        results = [pool.submit(make, *one) for one in zip(sides, chosen, strict=True)]
        try:
            concurrent.futures.wait(results, return_when=concurrent.futures.FIRST_EXCEPTION)
        finally:  # also when the user has had enough
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    failures = [result.exception() for result in results if not result.cancelled()]
    for failure in filter(None, failures):
        if not isinstance(failure, StoppedError):
            raise failure
    remove_unused(cache)
    return [result.result() for result in results]


def _in_turn(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say`` for several threads at once."""
    lock = threading.Lock()

    def say_alone(line: str) -> None:
        with lock:
            say(line)

    return say_alone


def _unusable(cache: Path, error: OSError) -> BenchError:
    return BenchError(
        f"environments cannot be kept in {cache}: {error}",
        hint="make room, or choose a folder that can be written",
    )


def _prepare(
    side: Side,
    python: Interpreter,
    copy: Path,
    *,
    cache: Path,
    refresh: bool,
    say: Callable[[str], None],
    stop: threading.Event,
) -> Built:
    """:func:`prepare` of one side."""
    if side.python:
        return _existing(side, copy)
    try:
        build = Build(side, python, copy, cache=cache, say=say, stop=stop)
        stored = build.run(refresh=refresh)
    except OSError as error:
        raise _unusable(cache, error) from error
    return Built(
        python=build.python(stored),
        lock=stored.lock,
        key=stored.key,
        variables=build.variables,
        label=side.label,
        resolved=stored.resolved,
    )


def _existing(side: Side, copy: Path) -> Built:
    """An interpreter that the user made: read, never changed.

    Raises:
        BenchError: it lacks something.
    """
    variables = training_variables(side, copy)
    installed = inspect(side.python, variables, (*NEEDED, "tensorflow", "keras"))
    check_existing(side.python, installed)
    return Built(
        python=Path(side.python),
        lock=installed.lock,
        key=hash_of(installed.lock, installed.python),
        variables=variables,
        label=side.label,
    )
