"""Kinds of results: a task, the outcome that comes of it, and the file that keeps it.

A kind is one module, such as :mod:`bench.results.trial`. Protocol, schedule, executor, reader, writer,
progress and merge ask these classes for all that differs between kinds.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

import msgspec

from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.results.bounds import Text
from bench.results.checksum import must_have_sum, with_sum, without_sum
from bench.results.reading import decode, lines_between, read_lines


class Crash(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way in which a task's training process ended."""

    reason: Literal["exception", "signal", "exit", "timeout", "memory", "not attempted"]
    message: Text
    """One line: ``killed by SIGABRT``, ``no answer for 300 s``, ``ValueError: ...``."""
    output: Text = ""
    """The last lines that the process printed."""

    @property
    def from_outside(self) -> bool:
        """Whether somebody else ended the process: the system that had no memory left, or a person."""
        return self.reason == "signal" and self.message.startswith(_FROM_OUTSIDE)


#: TensorFlow raises neither of these against itself.
_FROM_OUTSIDE = ("killed by SIGKILL", "killed by SIGTERM")

A = TypeVar("A")


class Request(msgspec.Struct, Generic[A], frozen=True, forbid_unknown_fields=True):
    """Something that a training process can be asked for; ``A`` is the type of the answer."""

    def crashed(self, crash: Crash) -> A:
        """The answer if the process died of it, hung or failed."""
        raise NotImplementedError


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Result of a task. It has a field ``crash``, and may have fields ``worker``, ``data`` and
    ``total_sec``, which :func:`noted` fills in."""

    @property
    def key(self) -> Task:
        """The task; no run has two outcomes with one key."""
        raise NotImplementedError

    @property
    def crash(self) -> Crash | None:
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """Digest of all that was computed: equal ones mean equal bits. Empty if nothing was."""
        raise NotImplementedError

    @property
    def alarm(self) -> tuple[str, str] | None:
        """Trouble that is shown at once, named in a word or two, and its reason; None without any."""
        return ("crashed", self.crash.message) if self.crash is not None else None

    def stored(self) -> Outcome:
        """The outcome as its file keeps it."""
        return self

    def compact(self) -> None:
        """Keeps what is judged, in the form that takes the least memory. It cannot be written again."""

    def share(self, twin: Outcome) -> None:
        """Keeps equal parts of another run's outcome of its task in the place of its own."""


class Task(Request[Outcome], frozen=True, cache_hash=True):
    """One piece of a run's work. It has the fields ``cell`` and ``seed`` where they apply."""

    turns: ClassVar[tuple[int, int]]
    """Priorities for a worker that looks for work, lowest first: while no other worker has begun what
    :attr:`shares` names, and when one has."""

    @property
    def cell(self) -> Cell | None:
        """The cell that it belongs to. When it hangs, the cell's other tasks are not attempted."""
        return None

    @property
    def seed(self) -> int:
        return 0

    @property
    def cost(self) -> float:
        """Work, in millions of multiplications, forward."""
        raise NotImplementedError

    @property
    def shares(self) -> Hashable:
        """Graph or program that is compiled once for all tasks that share it; the type itself if there
        is none."""
        return type(self)

    @property
    def order(self) -> tuple[int, ...]:
        """Its place among the tasks of its kind and cell."""
        return ()

    @property
    def id(self) -> str:
        """Readable name."""
        raise NotImplementedError

    def title(self, names: Mapping[Cell, str]) -> str:  # noqa: ARG002 - for those with a cell
        """The id, with the cell's name among ``names`` in place of the cell's id."""
        return self.id

    def patience_sec(self, limit: float) -> float:
        """Seconds that it may take, where the user's limit for a cell is ``limit``."""
        return limit


T = TypeVar("T", bound=Task)
O = TypeVar("O", bound=Outcome)  # noqa: E741 - task and outcome


@dataclass(frozen=True, eq=False)
class Kind(Generic[T, O]):
    """A type of tasks, with the file of its outcomes: one line of JSON each."""

    task: type[T]
    outcome: type[O]
    _: KW_ONLY
    file: str
    """Name in a run's folder."""
    plural: str
    """Noun for several tasks, in counts."""
    what: str
    """Noun for an outcome, in messages."""
    required: bool = False
    """Whether every run has the file; one that never had such a task may lack the others."""

    @functools.cached_property
    def _decoder(self) -> msgspec.json.Decoder[O]:
        return msgspec.json.Decoder(self.outcome)

    def encode(self, outcome: O) -> bytes:
        """An outcome's line, with its checksum and newline."""
        return with_sum(msgspec.json.encode(outcome)) + b"\n"

    def decode(self, line: bytes) -> O:
        """An outcome from its line, with or without checksum and newline.

        Raises:
            ValueError: it is no outcome of this kind, or was altered.
        """
        return decode(without_sum(line.rstrip(b"\n"))[0], self._decoder)

    def read(self, path: Path) -> list[O]:
        """All outcomes of a file, in its order; see :meth:`scan`."""
        return [outcome for outcome, _ in self.scan(path)]

    def scan(self, path: Path) -> Iterator[tuple[O, bool]]:
        """The outcomes of a file, in its order, each with whether its line has a checksum: those of an
        older version have none.

        A last line without its newline is what a killed run leaves behind: it is ignored, here and
        when the run is resumed. Anything else that cannot be decoded is an error.

        Raises:
            BenchError: the file is absent or a line is damaged; names the file and the line.
        """
        number, expected = 0, False
        try:
            for line in read_lines(path):
                number += 1
                content, has_sum = without_sum(line)
                outcome = decode(content, self._decoder)
                expected = must_have_sum(has_sum, before=expected)
                yield outcome, has_sum
        except OSError as error:
            raise BenchError(
                f"{path}: cannot be read: {error.strerror}", hint="name a folder below results/"
            ) from error
        except ValueError as error:
            raise BenchError(
                f"{path}, line {number}: not a {self.what}: {error}",
                hint=f"remove line {number} and continue the run with --resume, or run anew",
            ) from error

    def stretch(self, path: Path, begin: int, end: int) -> list[O]:
        """The outcomes of lines that begin in a stretch of a file, all of which have a checksum.

        Raises:
            OSError, ValueError: they are not; :meth:`scan` says which and why.
        """
        found = []
        for line in lines_between(path, begin, end):
            content, has_sum = without_sum(line)
            must_have_sum(has_sum, before=True)
            found.append(decode(content, self._decoder))
        return found

    def of(self, outcomes: Mapping[Task, Outcome]) -> Mapping[T, O]:
        """Outcomes of this kind, in their order; the same mapping if there are no others."""
        types = {*map(type, outcomes)}
        if types <= {self.task}:
            return cast(Mapping[T, O], outcomes)
        if self.task not in types:
            return {}
        chosen = {task: outcome for task, outcome in outcomes.items() if type(task) is self.task}
        return cast(dict[T, O], chosen)


def noted(outcome: A, **facts: Any) -> A:
    """An outcome with those facts for which it has a field."""
    fields = getattr(outcome, "__struct_fields__", ())
    known = {name: value for name, value in facts.items() if name in fields}
    return msgspec.structs.replace(outcome, **known) if known else outcome  # type: ignore[type-var]
