"""Messages between a worker and its training process: JSON lines over the process' pipes.

The first line is :class:`Settings`, answered by :class:`Ready` or :class:`Trouble`; each further one is
:class:`Asked`, answered by :class:`Answer` or :class:`Failed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from bench.cells.cell import Cell
from bench.results.environment import Numerics
from bench.results.kind import Crash, Request
from bench.results.own_model import Described
from bench.results.saved_models import Loaded, Written, formats
from bench.results.tasks import KINDS
from bench.results.timings import Work


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the process."""

    device: str
    """``cpu`` or ``gpu``."""
    data: str
    """Fingerprint of images that are in the machine's cache."""
    cache_dir: str
    """Folder of the images' cache; empty: the user's on that machine."""
    limits: Mapping[str, str] = {}
    """What the process may use (:func:`bench.execution.machine.limits`); its supervisor says so, since
    it takes Dask to find out, whose import takes longer than all other imports but TensorFlow's."""
    threads: int = 1
    gpu_memory_mib: int | None = None
    histograms: bool = False
    """Whether records carry histograms."""
    own: str = ""
    """Folder of the user's model (:mod:`bench.results.own_model`); empty without one."""


class Burst(Request[float], frozen=True, kw_only=True):
    """Request for the seconds that ``steps`` consecutive steps of a warm cell take, until their outputs
    have arrived in NumPy."""

    cell: Cell
    work: Work
    steps: int


class Calibrate(Request[list[float]], frozen=True):
    """Request for the seconds of a matrix product and of a sweep through memory, without TensorFlow."""


class Describe(Request[Described], frozen=True, kw_only=True):
    """Request to build the user's model and keep what both sides start from, in the folder of
    :class:`Settings`."""

    path: str
    function: str
    arrays: str
    """Path of the user's arrays; empty without any."""
    seeds: list[int]
    batch: int
    steps: int

    def crashed(self, crash: Crash) -> Described:
        return Described(
            trouble=f"{self.path}: {self.function}: {crash.message}", output=crash.output
        )


class Save(Request[list[Written]], frozen=True, kw_only=True):
    """Request to make a model and save it in every format that it has."""

    folder: str
    model: str
    cell: Cell | None = None
    """Of the user's model; None for one of :data:`bench.results.saved_models.MODELS`."""

    def crashed(self, crash: Crash) -> list[Written]:
        return [
            Written(model=self.model, format=name, error=crash.message)
            for name in formats(self.model)
        ]


class Load(Request[Loaded], frozen=True, kw_only=True):
    """Request to load what another process saved in one format, and to compute with it."""

    folder: str
    model: str
    format: str
    own: bool = False
    """Whether it is the user's model."""

    def crashed(self, crash: Crash) -> Loaded:
        return Loaded(model=self.model, format=self.format, error=crash.message)


#: Types of the answers to all that a process can be asked for.
ANSWERS: Mapping[type[Request[Any]], Any] = {
    **{kind.task: kind.outcome for kind in KINDS},
    Burst: float,
    Calibrate: list[float],
    Describe: Described,
    Save: list[Written],
    Load: Loaded,
}
_BY_NAME = {request.__name__: request for request in ANSWERS}
A = TypeVar("A")


class Asked(msgspec.Struct, frozen=True):
    """A request under the name of its type."""

    name: str
    content: msgspec.Raw

    @classmethod
    def of(cls, request: Request[Any]) -> Asked:
        return cls(type(request).__name__, msgspec.Raw(msgspec.json.encode(request)))

    @property
    def request(self) -> Request[Any]:
        return msgspec.json.decode(self.content, type=_BY_NAME[self.name])


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The process has set itself up."""

    numerics: Numerics
    software: dict[str, str]
    machine: dict[str, str] = {}


class Trouble(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The process cannot work at all, or not write a result, through no fault of a task."""

    message: str
    hint: str = ""


#: Made once, in one thread: two threads that make msgspec look at one type at a time can crash Python.
_DECODERS = {request: msgspec.json.Decoder(answer) for request, answer in ANSWERS.items()}


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The answer to a request."""

    content: msgspec.Raw

    @classmethod
    def of(cls, answer: object) -> Answer:
        return cls(msgspec.Raw(msgspec.json.encode(answer)))

    def to(self, request: Request[A]) -> A:
        answer: A = _DECODERS[type(request)].decode(self.content)
        return answer


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The last request ended in an exception; the process is sound unless memory ran out."""

    crash: Crash


Reply = Ready | Trouble | Answer | Failed
reply_decoder: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def line(message: Settings | Asked | Reply) -> bytes:
    """A message as it travels."""
    return msgspec.json.encode(message) + b"\n"
