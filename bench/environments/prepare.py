"""Environments of an upgrade's two sides: built once per lock, kept, and found again without network.

The process that builds needs no TensorFlow. How they are kept: :mod:`bench.environments.build`.
"""

from __future__ import annotations

import concurrent.futures
import functools
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.environments import installers
from bench.environments.build import Build, StoppedError, hash_of
from bench.environments.cache import remove_unused
from bench.environments.inspection import check_existing, inspect, training_variables
from bench.environments.interpreters import Interpreter, choose
from bench.environments.own_copy import NEEDED, OwnCopy, bench_copy
from bench.environments.requirements import LEGACY_KERAS, TENSORFLOWS, Side, lock_versions
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


def prepare_pair(
    old: Side,
    new: Side,
    *,
    cache: Path,
    python: str = "",
    refresh: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Built, Built]:
    """Both sides, on the same Python where there is one for both.

    They are built at the same time by uv, and one after the other by pip. When one cannot be had, an
    installation of the other one that has begun is finished first.

    Args:
        old: one side.
        new: the other one.
        cache: as of :func:`prepare`.
        python: a Python such as ``3.12``, or an interpreter, to build with.
        refresh: as of :func:`prepare`.
        say: as of :func:`prepare`.

    Raises:
        BenchError: a side cannot be had.
    """
    chosen = choose(old, new, python=python, say=say)
    own = _own_copy(cache)  # once: the files may be edited meanwhile, and both sides run the same
    # Equal requirements are one environment: whoever came second would only wait for the first.
    at_once = 2 if installers.uv_command() and old.requirements != new.requirements else 1
    stop = threading.Event()
    make = functools.partial(
        _prepare, own=own, cache=cache, refresh=refresh, say=_in_turn(say), stop=stop
    )
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        both = [pool.submit(make, *one) for one in zip((old, new), chosen, strict=True)]
        try:
            concurrent.futures.wait(both, return_when=concurrent.futures.FIRST_EXCEPTION)
        finally:  # also when the user has had enough
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    failures = [one.exception() for one in both if not one.cancelled()]
    for failure in filter(None, failures):
        if not isinstance(failure, StoppedError):
            raise failure
    remove_unused(cache)
    return both[0].result(), both[1].result()


def _in_turn(say: Callable[[str], None]) -> Callable[[str], None]:
    """Both sides have something to say, and ``say`` need not be made for threads."""
    lock = threading.Lock()

    def said(line: str) -> None:
        with lock:
            say(line)

    return said


def prepare(
    side: Side,
    *,
    cache: Path,
    python: Interpreter | None = None,
    refresh: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Built:
    """The environment of a side: found, built, or, for an existing interpreter, looked through.

    Args:
        side: what is wanted.
        cache: folder in which environments are kept.
        python: what it is built with; None: the best one that there is for this side.
        refresh: resolve the requirements anew, although an environment of theirs is there.
        say: told in a line what takes time.

    Raises:
        BenchError: the requirements contradict each other, or the package index does not answer, both
            in the installer's own words; the cache cannot be written; the existing interpreter lacks
            something.
    """
    python = python or choose(side, side, say=say)[0]
    own, stop = _own_copy(cache), threading.Event()
    built = _prepare(side, python, own, cache=cache, refresh=refresh, say=say, stop=stop)
    remove_unused(cache)
    return built


def _own_copy(cache: Path) -> OwnCopy:
    try:
        return bench_copy(cache)
    except OSError as error:
        raise _unusable(cache, error) from error


def _unusable(cache: Path, error: OSError) -> BenchError:
    return BenchError(
        f"environments cannot be kept in {cache}: {error}",
        hint="make room, or choose a folder that can be written",
    )


def _prepare(
    side: Side,
    python: Interpreter,
    own: OwnCopy,
    *,
    cache: Path,
    refresh: bool,
    say: Callable[[str], None],
    stop: threading.Event,
) -> Built:
    """:func:`prepare` with what is the same for a pair."""
    if side.python:
        return _existing(side, own)
    try:
        build = Build(side, python, own, cache=cache, say=say, stop=stop)
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


def describe(built: Built) -> dict[str, str]:
    """Versions: ``python``, ``tensorflow``, ``keras``, ``numpy``, and ``tf-keras`` where there is one.

    TensorFlow is not imported: the installed metadata are read.

    Raises:
        BenchError: the interpreter does not start.
    """
    seen = inspect(str(built.python), built.variables)
    found = lock_versions(seen.lock)
    tensorflow = next((found[name] for name in TENSORFLOWS if name in found), "none")
    versions = {"python": seen.python, "tensorflow": tensorflow}
    versions |= {name: found.get(name, "none") for name in ("keras", "numpy")}
    return versions | {name: found[name] for name in (LEGACY_KERAS,) if name in found}


def _existing(side: Side, own: OwnCopy) -> Built:
    """An interpreter that the user made: read, never changed.

    Raises:
        BenchError: it lacks something.
    """
    variables = training_variables(side, str(own.folder))
    seen = inspect(side.python, variables, (*NEEDED, "tensorflow", "keras"))
    check_existing(side.python, seen)
    return Built(
        python=Path(side.python),
        lock=seen.lock,
        key=hash_of(seen.lock, seen.python),
        variables=variables,
        label=side.label,
    )
