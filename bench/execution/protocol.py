"""What a worker and its training process say to each other: JSON lines over the process' pipes."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.cells.cell import Cell
from bench.results.check import Check, CheckResult
from bench.results.copy_result import Copy, CopyResult
from bench.results.environment import Numerics
from bench.results.record import Crash, Record
from bench.results.saved_models import Loaded, Written
from bench.results.tasks import Task
from bench.results.trial import Trial, TrialResult


class Settings(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """First line to the process: how to set itself up."""

    device: str
    """``cpu`` or ``gpu``."""
    data: str
    """Fingerprint of images that are in the machine's cache."""
    cache_dir: str
    """Of the images; empty: where the machine's user keeps it."""
    threads: int = 1
    gpu_memory_mib: int | None = None
    histograms: bool = False
    """Whether records carry histograms."""


class Train(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Request for one replica."""

    cell: Cell
    seed: int


class TrainCopy(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Request for one copy of a replica."""

    copy: Copy


class Perform(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Request for one trial of a published experiment."""

    trial: Trial


class Burst(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Request to time ``steps`` consecutive steps of a warm cell."""

    cell: Cell
    work: Literal["training", "inference"]
    steps: int


class Verify(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Request for one check of TensorFlow's arithmetic."""

    check: Check


class Save(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Request to train a model and save it in every format."""

    folder: str
    model: str


class Load(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Request to load what another process saved in one format."""

    folder: str
    model: str
    format: str


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """First line from the process."""

    numerics: Numerics
    software: dict[str, str]
    machine: dict[str, str] = {}


class Trouble(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The process cannot work at all, through no fault of a cell."""

    message: str
    hint: str = ""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What became of the replica."""

    result: Record


class Copied(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What became of the copy."""

    result: CopyResult


class Timed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Seconds that a burst took, until its outputs had arrived in NumPy."""

    seconds: float


class Verified(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the check found."""

    result: CheckResult


class Performed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the trial showed."""

    result: TrialResult


class Saved(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What became of each format."""

    results: list[Written]


class Reloaded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the file gave."""

    result: Loaded


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The last request ended in an exception; the process is sound unless memory ran out."""

    crash: Crash


#: Replies with the outcome of a task.
Answer = Done | Copied | Verified | Performed
Reply = Ready | Trouble | Done | Copied | Verified | Performed | Timed | Saved | Reloaded | Failed
Request = Settings | Train | TrainCopy | Verify | Perform | Burst | Save | Load

_encoder = msgspec.json.Encoder()
reply_decoder: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


def line(message: Request | Reply) -> bytes:
    """A message as it travels."""
    return _encoder.encode(message) + b"\n"


def request(task: Task) -> Request:
    """What asks for a task."""
    if isinstance(task, Copy):
        return TrainCopy(copy=task)
    if isinstance(task, Check):
        return Verify(check=task)
    if isinstance(task, Trial):
        return Perform(trial=task)
    cell, seed = task
    return Train(cell=cell, seed=seed)
