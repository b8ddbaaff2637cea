"""How an environment is resolved, installed and kept, in the layout of the cache:

    <cache>/copies/<hash>/bench         the running bench, which all environments share
    <cache>/environments/<key>/         one environment: venv/, and environment.json with its lock
    <cache>/environments/building-*     scratch; what a killed process left is removed by the next
    <cache>/requests/<hash>.json        which environment a side's requirements were resolved to
    <cache>/requests/<hash>.lock        held by whoever resolves them
    <cache>/requests/<key>.lock         held by whoever installs this environment

An environment holds what its lock names and nothing else: training processes import bench by
PYTHONPATH, so an edited bench needs no new environment. It appears under its key by one rename,
complete and looked through, and is not changed afterwards. What was not used for long is removed:
:mod:`.cache`. The process that builds needs no TensorFlow.
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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import filelock
import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from bench.environments import installer
from bench.environments.bench_copy import NEEDED, appear, needed
from bench.environments.bytecode import share_bytecode
from bench.environments.cache import use
from bench.environments.inspection import inspect, training_variables
from bench.environments.interpreters import Interpreter
from bench.environments.own_builds import bare, digest, installable, with_hashes
from bench.environments.requirements import (
    LEGACY_KERAS,
    TENSORFLOWS,
    Side,
    lock_of,
    lock_versions,
    numpy_bound,
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
    """The other side cannot be had, so this one is not built."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """``environment.json``: one environment."""

    key: str
    lock: str
    python: str
    resolved: str


class Build:
    """Looks an environment of one side up, or builds it.

    Args:
        side: what is wanted.
        python: what it is built with.
        copy: the folder of the copy of bench that its training processes import.
        cache: where it is kept.
        say: receives a line about each step that takes time.
        stop: once set, nothing more is begun or waited for.
    """

    def __init__(
        self,
        side: Side,
        python: Interpreter,
        copy: Path,
        *,
        cache: Path,
        say: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self._side = side
        self._python = python
        self._environments = cache / "environments"
        self._requests = cache / "requests"
        #: Environment variables of the side's training processes.
        self.variables = training_variables(side, copy)
        self._say = say
        self._stop = stop
        bound = numpy_bound(side)
        self._wanted = [*side.requirements, *needed().values()]
        self._wanted += [f"numpy{bound}"] if bound else []
        legacy = "legacy" if side.legacy_keras else ""
        self._digests = {path: digest(path) for path in side.files}
        more = [*self._digests.values(), *filter(None, [side.index, side.preferred])]
        self._request = hash_of(*self._wanted, legacy, python.version, *more)

    def run(self, *, refresh: bool) -> Stored:
        """The environment, kept or built.

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
        """The interpreter of an environment."""
        return _python(self._environments / stored.key).absolute()

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
        """The environment that these requirements were resolved to, if it is still whole."""
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
        installed = inspect(str(_python(folder)), self.variables, ("tensorflow", *NEEDED))
        versions = lock_versions(installed.lock)
        absent = [
            f"{name}=={version}"
            for name, version in lock_versions(lock).items()
            if versions.get(name) != bare(version)
        ] + installed.missing
        if absent:
            raise BenchError(f"{folder}: not there: {', '.join(absent)}")

    def _make(self) -> Stored:
        """Resolves, and builds what is not there."""
        for left in self._environments.glob(f"building-{self._request}-*"):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
        prefix = f"building-{self._request}-"
        scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=self._environments))
        try:
            version = self._python.version
            self._say(f"{self._side.label}: uv resolves it for Python {version}")
            wheels = self._wheels(scratch)
            lock = self._resolve(scratch, wheels)
            key = hash_of(lock, version)
            with self._alone(key):
                stored = self._whole(key) or self._install(lock, key, scratch, wheels)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        _write(self._requests / f"{self._request}.json", json.dumps({"key": key}))
        return stored

    def _install(self, lock: str, key: str, scratch: Path, wheels: Mapping[str, Path]) -> Stored:
        """Makes the environment of a lock."""
        self._go_on()
        self._say(f"{self._side.label}: uv installs {len(lock.splitlines())} packages")
        finished = scratch / "finished"
        finished.mkdir()
        installer.create(self._python.path, finished / "venv")
        packages = installable(lock, wheels)
        installer.install(packages, _python(finished), folder=scratch, index=self._side.index)
        share_bytecode(finished / "venv", lock, self._environments, _lock_in)
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        stored = Stored(key=key, lock=lock, python=self._python.version, resolved=now)
        (finished / "environment.json").write_bytes(msgspec.json.encode(stored))
        self._check(finished, lock)
        shutil.rmtree(self._environments / key, ignore_errors=True)  # damaged, see _whole
        appear(finished, self._environments / key)
        return stored

    def _wheels(self, scratch: Path) -> dict[str, Path]:
        """Wheels of the side's own, by distribution; of a folder one is built.

        Raises:
            BenchError: it cannot be built.
        """
        wheels: dict[str, Path] = {}
        for path in map(Path, self._side.files):
            wheel = path
            if path.is_dir():
                self._say(f"{path}: uv builds a wheel of it")
                wheel = installer.build_wheel(path, self._python.path, scratch / "wheels")
            wheels[parse_wheel_filename(wheel.name)[0]] = wheel
        return wheels

    def _resolve(self, scratch: Path, wheels: Mapping[str, Path]) -> str:
        """The complete lock of the side.

        Keras 2 for newer TensorFlow is resolved alone: it requires the distribution ``tensorflow``,
        which would be installed over ``tensorflow-cpu``.

        Raises:
            BenchError: there is none; two distributions of TensorFlow.
        """
        python = self._python.path
        legacy = [
            one for one in self._wanted if canonicalize_name(Requirement(one).name) == LEGACY_KERAS
        ]
        main = [
            f"{name} @ {wheels[name].absolute().as_uri()}" if name in wheels else one
            for one in self._wanted
            if one not in legacy
            for name in [canonicalize_name(Requirement(one).name)]
        ]
        resolved = installer.resolve(
            main,
            python,
            dependencies=True,
            folder=scratch,
            preferred=self._side.preferred,
            index=self._side.index,
        )
        by_path = zip(wheels, self._digests.values(), strict=True)
        digests = {**resolved.hashes, **dict(by_path)}
        own = {name: str(parse_wheel_filename(file.name)[1]) for name, file in wheels.items()}
        versions = with_hashes({**resolved.versions, **own}, digests)
        names = [name for name in TENSORFLOWS if name in versions]
        if len(names) != 1:
            raise BenchError(
                f"{self._side.label}: {' and '.join(names) or 'no TensorFlow'} would be installed",
                hint="name one distribution of TensorFlow, and nothing that brings another one",
            )
        major, minor, *_ = versions[names[0]].split(".")
        if self._side.legacy_keras and not legacy and int(minor) >= 16:
            legacy = [f"{LEGACY_KERAS}=={major}.{minor}.*"]
        if legacy:
            keras_2 = installer.resolve(legacy, python, dependencies=False, folder=scratch)
            versions |= keras_2.versions
        return lock_of(versions)


def _lock_in(folder: Path) -> str:
    """The lock of an environment by its folder; empty if it cannot be read."""
    try:
        stored = msgspec.json.decode((folder / "environment.json").read_bytes(), type=Stored)
    except (OSError, msgspec.MsgspecError):
        return ""
    return stored.lock


def _python(folder: Path) -> Path:
    """The interpreter of an environment by its folder."""
    return folder / "venv" / "bin" / "python"


def _write(path: Path, text: str) -> None:
    """Writes a file, whole or not at all."""
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(text)
    os.replace(scratch, path)
