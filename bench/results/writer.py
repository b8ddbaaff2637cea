"""The one process that writes to a run's folder, and the lock that it holds."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock
import msgspec

from bench.errors import BenchError
from bench.results.environment import RETRIED, Environment
from bench.results.files import make_folder, pretty, read_json, write_atomically
from bench.results.jsonl import Appender, cannot_write, cut_torn_line
from bench.results.kind import Kind, Outcome, Task
from bench.results.plan import Plan
from bench.results.run import ENVIRONMENT, PLAN, StoredRun
from bench.results.tasks import KIND_OF, KINDS, read_outcomes


def new_run_name(tier: str, now: datetime.datetime | None = None) -> str:
    """``20261121-031502-quick``: sorts by time."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{tier}"


def claim(path: Path, *, resume: bool) -> filelock.BaseFileLock:
    """Makes a run's folder and takes its lock, which the caller releases.

    Raises:
        BenchError: another process writes there, the place cannot be written to, or it already holds
            a run that is not to be resumed.
    """
    make_folder(path)
    if (path / ".lock").is_symlink():  # which older versions of filelock follow and empty
        raise cannot_write(path / ".lock", OSError("it is a link"))
    lock = filelock.FileLock(str(path / ".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise BenchError(
            f"{path}: another process is writing to this run",
            hint="wait for it, or start a run of your own with another --run NAME",
        ) from None
    except OSError as error:
        raise cannot_write(path, error) from error
    if not resume and (path / PLAN).exists():
        lock.release()
        raise BenchError(
            f"{path}: already holds a run",
            hint="continue it with --resume, or choose another --run NAME",
        )
    return lock


def in_use(path: Path) -> bool:
    """Whether a process writes to this folder of a run or an upgrade now."""
    lock = path / ".lock"
    if lock.is_symlink() or not lock.is_file():
        return False
    try:
        with filelock.FileLock(str(lock), timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:  # a folder of somebody else's, in which nothing can be written
        return False


class RunWriter:
    """The one process that writes to a run's folder; a context manager that holds its lock.

    Args:
        path: ``results/<run>``; made if absent.
        plan: what will be measured.
        resume: continue what is there: records are kept, a torn last line is cut off, and the plan
            must be the same but for ``decide``, which stays what it was unless it is given. What was
            killed before there was a plan is started.
        retry_crashed: with ``resume``, take out what crashed, so that it is missing.
        lock: what :func:`claim` gave, if the folder is already claimed.

    Raises:
        BenchError: another process writes there, the place cannot be written to, it already holds a
            run (without ``resume``) or another plan (with it).
    """

    def __init__(
        self,
        path: Path,
        plan: Plan,
        *,
        resume: bool = False,
        retry_crashed: bool = False,
        lock: filelock.BaseFileLock | None = None,
    ) -> None:
        self.path = path
        self.plan = plan
        self.outcomes: dict[Task, Outcome] = {}
        self._resume = resume
        self._begun = path.is_dir()
        self._retry_crashed = retry_crashed
        self._earlier: Mapping[str, Any] = {}
        self._lock = lock

    def __enter__(self) -> RunWriter:
        if self._lock is None:
            self._lock = claim(self.path, resume=self._resume)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        if self._lock is not None:
            self._lock.release()

    def _open(self) -> None:
        plan = self.path / PLAN
        self._resume = self._resume and (os.path.lexists(plan) or not self._begun)
        if self._resume:
            before = read_json(plan, Plan)
            if msgspec.structs.replace(before, decide=self.plan.decide) != self.plan:
                raise BenchError(
                    f"{plan}: --resume continues a run with the same cells, seeds and device only",
                    hint=f"repeat the options that it was started with{self._command()}, or start a "
                    "new run",
                )
            for kind in KINDS:
                cut_torn_line(self.path / kind.file)
                if self._retry_crashed:
                    self._take_out_crashes(kind)
            self.plan = self.plan if self.plan.decide else before
        if not self._resume or self.plan != before:
            write_atomically(plan, pretty(self.plan))
        self._files = {kind: Appender(self.path / kind.file) for kind in KINDS}
        if self._resume:
            self.outcomes = read_outcomes(self.path)

    def _take_out_crashes(self, kind: Kind[Any, Any]) -> None:
        path = self.path / kind.file
        if path.exists():
            outcomes = kind.read(path)
            kept = [kind.encode(outcome) for outcome in outcomes if outcome.crash is None]
            if len(kept) < len(outcomes):
                write_atomically(path, b"".join(kept))

    def _command(self) -> str:
        """The run's command in brackets, if it is known."""
        with contextlib.suppress(BenchError):
            return f" ({read_json(self.path / ENVIRONMENT, Environment).run.get('command', 'unknown')})"
        return ""

    def missing(self) -> list[Task]:
        """The tasks of the plan that have no outcome yet."""
        return [task for task in self.plan.tasks() if task not in self.outcomes]

    def append(self, outcome: Outcome) -> None:
        """Adds an outcome, as its kind is stored, in one line and one write.

        Raises:
            BenchError: the disk is full; what a failed write left behind is cut off again.
        """
        task, outcome = outcome.key, outcome.stored()
        kind = KIND_OF[type(task)]
        self._files[kind].append(kind.encode(outcome))
        self.outcomes[task] = outcome

    def write_environment(self, environment: Environment) -> None:
        """Writes ``environment.json``.

        Raises:
            BenchError: a resumed run was started in another environment class, with other software or
                by another commit, so its records would not belong together.
        """
        path = self.path / ENVIRONMENT
        if self._resume and path.exists():
            before = read_json(path, Environment)
            changed = before.difference(environment)
            if changed is not None and changed.part == "run":
                raise BenchError(
                    f"{path}: the run was started by other code: commit "
                    f"{changed.ours or 'unknown'}, now {changed.theirs or 'unknown'}",
                    hint="check that commit out to go on, or start a new run with another --run NAME",
                )
            if changed is not None:
                raise BenchError(
                    f"{path}: the run was started with other {changed.part}: {changed.key} "
                    f"{changed.ours!r}, now {changed.theirs!r}",
                    hint="resume it where it was started, or start a new run",
                )
            self._earlier = before.run
            return
        write_atomically(path, pretty(environment))

    def finish(self, environment: Environment, total_sec: float) -> StoredRun:
        """Notes how long it took in all, and gives the run as :func:`bench.results.run.read_run`
        would read it now."""
        total_sec += float(self._earlier.get("total_sec", 0.0))
        run = {**environment.run, **self._earlier, "total_sec": round(total_sec, 1)}
        retried = [*self._earlier.get(RETRIED, ()), *environment.retried]
        run |= {RETRIED: retried} if retried else {}
        environment = msgspec.structs.replace(environment, run=run)
        with contextlib.suppress(BenchError):  # of a full disk, which the records have reported
            write_atomically(self.path / ENVIRONMENT, pretty(environment))
        return self.so_far(environment)

    def so_far(self, environment: Environment) -> StoredRun:
        """The run as :func:`bench.results.run.read_run` would read it now."""
        return StoredRun(
            path=self.path,
            plan=self.plan,
            environment=environment,
            outcomes=dict(self.outcomes),
        )
