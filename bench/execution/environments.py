"""Environments of an upgrade's two sides: built once per lock, kept, and found again without network.

    <cache>/copies/<hash>/bench         the running bench, for all environments
    <cache>/environments/<key>/         one environment: venv/, and environment.json with its lock
    <cache>/environments/building-*     scratch; what a killed process left is removed by the next
    <cache>/requests/<hash>.json        which environment a side's requirements were resolved to
    <cache>/requests/<hash>.lock        held by whoever resolves and builds them

An environment appears under its key by one rename, complete and looked through, and is not changed
afterwards. The process that builds needs no TensorFlow.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.errors import BenchError
from bench.execution import installers
from bench.execution.inspection import check_existing, inspect, training_variables
from bench.execution.interpreters import Interpreter, choose
from bench.execution.own import NEEDED, OwnCopy, appear, bench_copy, needed
from bench.execution.requirements import (
    LEGACY_KERAS,
    TENSORFLOWS,
    Side,
    lock_versions,
    numpy_bound,
    pythons,
    refusal,
)

#: Another process may be downloading a gigabyte.
LOCK_TIMEOUT_SEC = 1800.0


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An environment in which training processes can be started."""

    python: Path
    """The interpreter: ``python -m bench.execution.trainer`` under ``variables``, in a folder without a
    ``bench`` of its own, as Python 3.10 takes that first whatever the variables say."""
    lock: str
    """All that is installed: sorted lines ``name==version``."""
    key: str
    """Equal keys: the same lock, Python and bench."""
    variables: dict[str, str]
    """Environment variables of its training processes, the side's own included."""
    label: str
    """The side as it was asked for."""
    resolved: str = ""
    """When its requirements were resolved, as ISO 8601 in UTC; empty for an existing interpreter."""


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """``environment.json`` of an environment."""

    key: str
    lock: str
    python: str
    bench: str
    built_with: str
    resolved: str


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
    one, other = choose(old, new, python=python, say=say)
    own = _own_copy(cache)  # once: the files may be edited meanwhile, and both sides run the same
    return (
        _prepare(old, one, own, cache=cache, refresh=refresh, say=say),
        _prepare(new, other, own, cache=cache, refresh=refresh, say=say),
    )


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
    return _prepare(side, python, _own_copy(cache), cache=cache, refresh=refresh, say=say)


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
) -> Built:
    """:func:`prepare` with what is the same for a pair."""
    if side.python:
        return _existing(side, own)
    try:
        return _Build(side, python, own, cache=cache, say=say).run(refresh=refresh)
    except OSError as error:
        raise _unusable(cache, error) from error


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


def _hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


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
        key=_hash(seen.lock, seen.python, own.hash),
        variables=variables,
        label=side.label,
    )


class _Build:
    """One call of :func:`prepare` for requirements.

    Args:
        side: what is wanted.
        python: what it is built with.
        own: bench itself.
        cache: where it is kept.
        say: told in a line what takes time.
    """

    def __init__(
        self,
        side: Side,
        python: Interpreter,
        own: OwnCopy,
        *,
        cache: Path,
        say: Callable[[str], None],
    ) -> None:
        if reason := refusal(side):
            raise BenchError(reason)
        if python.minor not in pythons(side):
            raise BenchError(f"{side.label} has no wheels for Python {python.version}")
        self._side = side
        self._python = python
        self._environments = cache / "environments"
        self._requests = cache / "requests"
        self._own = own
        self._say = say
        bound = numpy_bound(side)
        self._wanted = [*side.requirements, *needed().values()]
        self._wanted += [f"numpy{bound}"] if bound else []
        legacy = "legacy" if side.legacy_keras else ""
        self._request = _hash(*self._wanted, legacy, python.version, self._own.hash)

    def run(self, *, refresh: bool) -> Built:
        """The environment, found or built.

        Raises:
            BenchError: it cannot be built.
            OSError: the cache cannot be written.
        """
        self._environments.mkdir(parents=True, exist_ok=True)
        self._requests.mkdir(parents=True, exist_ok=True)
        with self._alone():
            stored = None if refresh else self._stored()
            return self._built(stored or self._make())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps a second process away from the same request."""
        lock = filelock.FileLock(self._requests / f"{self._request}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            self._say(f"{self._side.label}: another process is building this environment; waiting")
            try:
                lock.acquire(timeout=LOCK_TIMEOUT_SEC)
            except filelock.Timeout:
                raise BenchError(
                    f"{lock.lock_file} is held by another process for {LOCK_TIMEOUT_SEC:.0f} s",
                    hint="end the other process",
                ) from None
        try:
            yield
        finally:
            lock.release()

    def _stored(self) -> _Stored | None:
        """What these requirements were resolved to, if it is still whole."""
        try:
            key = json.loads((self._requests / f"{self._request}.json").read_text())["key"]
        except (OSError, ValueError, KeyError):
            return None
        return self._whole(key)

    def _whole(self, key: str) -> _Stored | None:
        """A finished environment that starts and holds what its lock names."""
        folder = self._environments / key
        try:
            stored = msgspec.json.decode((folder / "environment.json").read_bytes(), type=_Stored)
            self._check(folder, stored.lock)
        except (OSError, msgspec.MsgspecError, BenchError) as error:
            if folder.exists():
                self._say(f"{folder} is damaged, so it is built again: {error}")
            return None
        return stored

    def _check(self, folder: Path, lock: str) -> None:
        """Raises :class:`BenchError` unless what the lock names, bench and TensorFlow are there."""
        python = str(installers.python_of(folder / "venv"))
        seen = inspect(python, training_variables(self._side, ""), ("bench", "tensorflow", *NEEDED))
        found = lock_versions(seen.lock)
        absent = [
            f"{name}=={version}"
            for name, version in lock_versions(lock).items()
            if found.get(name) != version
        ] + seen.missing
        if absent:
            raise BenchError(f"{folder}: not there: {', '.join(absent)}")

    def _make(self) -> _Stored:
        """Resolves, and builds what is not there."""
        for left in self._environments.glob(f"building-{self._request}-*"):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
        scratch = Path(
            tempfile.mkdtemp(prefix=f"building-{self._request}-", dir=self._environments)
        )
        try:
            return self._make_in(scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _make_in(self, scratch: Path) -> _Stored:
        tool = installers.installer()
        version = self._python.version
        self._say(f"{self._side.label}: {tool.name} resolves it for Python {version}")
        venv = scratch / "venv"
        tool.create(self._python.path, venv)
        lock = self._resolve(tool, venv)
        key = _hash(lock, version, self._own.hash)
        stored = self._whole(key)
        if stored is None:
            self._say(f"{self._side.label}: {tool.name} installs {len(lock.splitlines())} packages")
            tool.install(lock, venv)
            shutil.copytree(self._own.folder / "bench", _site_packages(venv) / "bench")
            stored = _Stored(
                key=key,
                lock=lock,
                python=version,
                bench=self._own.hash,
                built_with=tool.name,
                resolved=_now(),
            )
            finished = scratch / "finished"
            finished.mkdir()
            venv.rename(finished / "venv")
            (finished / "environment.json").write_bytes(msgspec.json.encode(stored))
            self._check(finished, lock)
            shutil.rmtree(self._environments / key, ignore_errors=True)  # damaged, see _whole
            appear(finished, self._environments / key)
        _write(self._requests / f"{self._request}.json", json.dumps({"key": key}))
        return stored

    def _resolve(self, tool: installers.Installer, venv: Path) -> str:
        """The complete lock of the side.

        Keras 2 for newer TensorFlow is resolved alone: it requires the distribution ``tensorflow``,
        which would be installed over ``tensorflow-cpu``.

        Raises:
            BenchError: there is none; two distributions of TensorFlow.
        """
        legacy = [
            one for one in self._wanted if canonicalize_name(Requirement(one).name) == LEGACY_KERAS
        ]
        main = [one for one in self._wanted if one not in legacy]
        versions = dict(lock_versions(tool.resolve(main, venv, dependencies=True)))
        found = [name for name in TENSORFLOWS if name in versions]
        if len(found) != 1:
            raise BenchError(
                f"{self._side.label}: {' and '.join(found) or 'no TensorFlow'} would be installed",
                hint="name one distribution of TensorFlow, and nothing that brings another one",
            )
        major, minor, *_ = versions[found[0]].split(".")
        if self._side.legacy_keras and not legacy and int(minor) >= 16:
            legacy = [f"{LEGACY_KERAS}=={major}.{minor}.*"]
        if legacy:
            versions |= lock_versions(tool.resolve(legacy, venv, dependencies=False))
        return installers.lock_of(versions)

    def _built(self, stored: _Stored) -> Built:
        return Built(
            python=installers.python_of(self._environments / stored.key / "venv").absolute(),
            lock=stored.lock,
            key=stored.key,
            variables=training_variables(self._side, ""),
            label=self._side.label,
            resolved=stored.resolved,
        )


def _site_packages(venv: Path) -> Path:
    (found,) = venv.glob("lib/python3.*/site-packages")
    return found


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(text)
    os.replace(scratch, path)
