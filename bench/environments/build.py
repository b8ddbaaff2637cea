"""How an environment is resolved, installed and found again, in the layout of the cache:

    <cache>/copies/<hash>/bench         the running bench, which all environments share
    <cache>/environments/<key>/         one environment: venv/, and environment.json with its lock
    <cache>/environments/building-*     scratch; what a killed process left is removed by the next
    <cache>/requests/<hash>.json        which environment a side's requirements were resolved to
    <cache>/requests/<hash>.lock        held by whoever resolves them
    <cache>/requests/<key>.lock         held by whoever installs this environment

An environment holds what its lock names and nothing else: training processes find bench by PYTHONPATH,
so an edited bench needs no new environment. It appears under its key by one rename, complete and looked
through, and is not changed afterwards. What was not used for long is removed: :mod:`.keeping`. The
process that builds needs no TensorFlow.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.environments import installers
from bench.environments.cache import use
from bench.environments.inspection import inspect, training_variables
from bench.environments.interpreters import Interpreter
from bench.environments.own_copy import NEEDED, OwnCopy, appear, needed
from bench.environments.requirements import (
    LEGACY_KERAS,
    TENSORFLOWS,
    Side,
    lock_versions,
    numpy_bound,
    pythons,
    refusal,
)
from bench.errors import BenchError

#: Another process may be downloading a gigabyte.
LOCK_TIMEOUT_SEC = 1800.0
#: Whoever waits looks so often whether it shall stop.
_STOP_SEC = 0.2


def hash_of(*parts: str) -> str:
    """Names an environment or a request."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


class StoppedError(BenchError):
    """It was told to stop."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """``environment.json``: one environment."""

    key: str
    lock: str
    python: str
    built_with: str
    resolved: str


class Build:
    """Finds or builds the environment of one side.

    Args:
        side: what is wanted.
        python: what it is built with.
        own: bench itself, for its training processes.
        cache: where it is kept.
        say: told in a line what takes time.
        stop: once set, nothing more is begun or waited for.

    Raises:
        BenchError: there are no wheels for this.
    """

    def __init__(
        self,
        side: Side,
        python: Interpreter,
        own: OwnCopy,
        *,
        cache: Path,
        say: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        if reason := refusal(side):
            raise BenchError(reason)
        if python.minor not in pythons(side):
            raise BenchError(f"{side.label} has no wheels for Python {python.version}")
        self._side = side
        self._python = python
        self._environments = cache / "environments"
        self._requests = cache / "requests"
        #: Of the side's training processes.
        self.variables = training_variables(side, str(own.folder))
        self._say = say
        self._stop = stop
        bound = numpy_bound(side)
        self._wanted = [*side.requirements, *needed().values()]
        self._wanted += [f"numpy{bound}"] if bound else []
        legacy = "legacy" if side.legacy_keras else ""
        self._request = hash_of(*self._wanted, legacy, python.version)

    def run(self, *, refresh: bool) -> Stored:
        """The environment, found or built.

        Raises:
            BenchError: it cannot be built.
            OSError: the cache cannot be written.
        """
        self._environments.mkdir(parents=True, exist_ok=True)
        self._requests.mkdir(parents=True, exist_ok=True)
        with self._alone(self._request):
            stored = None if refresh else self._stored()
            return stored or self._make()

    def python(self, stored: Stored) -> Path:
        """Its interpreter."""
        return installers.python_of(self._environments / stored.key / "venv").absolute()

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Keeps all others away from the same request, or from the same environment."""
        lock = filelock.FileLock(self._requests / f"{name}.lock")
        deadline = time.monotonic() + LOCK_TIMEOUT_SEC
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            self._say(f"{self._side.label}: this environment is being built already; waiting")
        while not lock.is_locked:
            self._go_on()
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{lock.lock_file} is held by another process for {LOCK_TIMEOUT_SEC:.0f} s",
                    hint="end the other process",
                )
            with contextlib.suppress(filelock.Timeout):
                lock.acquire(timeout=_STOP_SEC)
        try:
            yield
        finally:
            lock.release()

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise StoppedError(f"{self._side.label}: not built, as the other side cannot be had")

    def _stored(self) -> Stored | None:
        """What these requirements were resolved to, if it is still whole."""
        try:
            key = json.loads((self._requests / f"{self._request}.json").read_text())["key"]
        except (OSError, ValueError, KeyError):
            return None
        return self._whole(key)

    def _whole(self, key: str) -> Stored | None:
        """A finished environment that starts and holds what its lock names."""
        folder = self._environments / key
        if not use(folder):
            return None
        try:
            stored = msgspec.json.decode((folder / "environment.json").read_bytes(), type=Stored)
            self._check(folder, stored.lock)
        except (OSError, msgspec.MsgspecError, BenchError) as error:
            self._say(f"{folder} is damaged, so it is built again: {error}")
            return None
        return stored

    def _check(self, folder: Path, lock: str) -> None:
        """Raises :class:`BenchError` unless all that the lock names is there and can be imported."""
        python = str(installers.python_of(folder / "venv"))
        seen = inspect(python, self.variables, ("tensorflow", *NEEDED))
        found = lock_versions(seen.lock)
        absent = [
            f"{name}=={version}"
            for name, version in lock_versions(lock).items()
            if found.get(name) != version
        ] + seen.missing
        if absent:
            raise BenchError(f"{folder}: not there: {', '.join(absent)}")

    def _make(self) -> Stored:
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

    def _make_in(self, scratch: Path) -> Stored:
        tool = installers.installer()
        version = self._python.version
        self._say(f"{self._side.label}: {tool.name} resolves it for Python {version}")
        venv = scratch / "venv"
        tool.create(self._python.path, venv)
        lock = self._resolve(tool, venv)
        key = hash_of(lock, version)
        with self._alone(key):
            stored = self._whole(key) or self._install(tool, lock, key, scratch)
        _write(self._requests / f"{self._request}.json", json.dumps({"key": key}))
        return stored

    def _install(self, tool: installers.Installer, lock: str, key: str, scratch: Path) -> Stored:
        """Makes the environment of a lock."""
        self._go_on()
        self._say(f"{self._side.label}: {tool.name} installs {len(lock.splitlines())} packages")
        tool.install(lock, scratch / "venv")
        stored = Stored(
            key=key,
            lock=lock,
            python=self._python.version,
            built_with=tool.name,
            resolved=_now(),
        )
        finished = scratch / "finished"
        finished.mkdir()
        (scratch / "venv").rename(finished / "venv")
        (finished / "environment.json").write_bytes(msgspec.json.encode(stored))
        self._check(finished, lock)
        shutil.rmtree(self._environments / key, ignore_errors=True)  # damaged, see _whole
        appear(finished, self._environments / key)
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


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(text)
    os.replace(scratch, path)
