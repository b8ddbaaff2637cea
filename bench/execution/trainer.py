"""The training process: imports TensorFlow, trains what it is asked for, and may die of it.

Run as ``python -m bench.execution.trainer``. Requests come on standard input, replies leave on what
was standard output; all that is printed goes to standard error, which the worker keeps. It ends with
its standard input, also in the middle of a replica: a killed run leaves no process behind.
"""

from __future__ import annotations

import functools
import gc
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from bench.checks.examiner import Examiner
from bench.errors import FAULT_OF_BENCH, NO_FINDING, BenchError, raised
from bench.execution import machine, protocol
from bench.execution.pacing import measure_pace
from bench.measure.calibration import Calibration
from bench.mnist import open_cached
from bench.results.check import Check
from bench.results.copy_result import Copy
from bench.results.kind import Crash, Request
from bench.results.pace import Pace
from bench.results.record import Replica
from bench.results.timings import Work
from bench.results.trial import Trial

if TYPE_CHECKING:
    from bench.cells.cell import Cell
    from bench.nets.chores import Sequences
    from bench.nets.own.training import OwnTrainer
    from bench.nets.replica import Trainer


@dataclass(frozen=True)
class Handler:
    """Function that answers requests of one type."""

    answer: Callable[[Any], Any]
    keeps_graph: bool = False
    """Whether the compiled graph of the last cell may serve it; otherwise it is dropped before."""


@dataclass
class Trainers:
    """Both trainers of a process, of this package's networks and of the user's model, and what else is
    asked of it."""

    networks: Trainer
    folder: str
    """Of the user's model."""
    tf32: bool = False
    """Whether float32 matrix products round their factors to TF32."""
    _own: OwnTrainer | None = None
    _calibration: Calibration | None = None
    _sequences: Sequences | None = None

    @property
    def own(self) -> OwnTrainer:
        """Of the user's model, which its folder describes by now."""
        if self._own is None:
            from bench.nets.own.training import OwnTrainer

            networks = self.networks
            data, environment = networks.data.fingerprint, networks.environment
            self._own = OwnTrainer(Path(self.folder), data, environment)
        return self._own

    @property
    def calibration(self) -> Calibration:
        """What machines are compared by."""
        self._calibration = self._calibration or Calibration()
        return self._calibration

    def of(self, cell: Cell) -> Trainer | OwnTrainer:
        """The one that trains a cell."""
        return self.own if cell.model else self.networks

    def burst(self, cell: Cell, work: Work, steps: int) -> float:
        """Seconds of so many steps of some work; the first burst of a workload compiles before."""
        if work == "epochs":
            from bench.nets.chores import epochs

            return epochs(self.networks, cell, steps)
        if work == "models":
            from bench.nets.chores import models

            return models(self.networks, cell, steps)
        if work == "sequences":
            from bench.nets.chores import Sequences

            self._sequences = self._sequences or Sequences()
            return self._sequences.burst(steps)
        return self.of(cell).burst(cell, work=work, steps=steps)

    def pace(self, asked: Pace) -> object:
        """How fast a workload runs, and what it takes of memory."""
        from bench.nets.device import gpu_peak

        device = self.networks.device
        _ = self.networks.images  # of all workloads, and no part of any
        return measure_pace(
            asked,
            functools.partial(self.burst, *asked.workload),
            device=device,
            gpu_peak=gpu_peak if device == "gpu" else None,
        )

    def perform(self, trial: Trial) -> object:
        """A trial of a published experiment."""
        from bench.nets.programs import perform

        networks = self.networks
        return perform(trial, networks.data, networks.device, networks.environment)

    def describe(self, asked: protocol.Describe) -> object:
        """The user's model, built anew."""
        from bench.nets.own.describe import describe

        given = Path(asked.arrays) if asked.arrays else None
        folder, path = Path(self.folder), Path(asked.path)
        sizes = {"batch": asked.batch, "steps": asked.steps}
        data = self.networks.data
        return describe(folder, path, asked.function, given, data, seeds=asked.seeds, **sizes)

    def save(self, asked: protocol.Save) -> object:
        """A model in every format, the user's or one of this package's."""
        if asked.cell is not None:
            from bench.nets.own import saving

            return saving.save(Path(asked.folder), self.own, asked.cell)
        from bench.nets.saving import save

        return save(Path(asked.folder), asked.model, self.networks.data, self.networks.device)

    def load(self, asked: protocol.Load) -> object:
        """What a model that was saved gives."""
        if asked.own:
            from bench.nets.own import saving

            return saving.load(Path(asked.folder), self.own, asked.model, asked.format)
        from bench.nets.saving import load

        return load(Path(asked.folder), asked.model, asked.format, tf32=self.tf32)

    def forget(self) -> None:
        """Drops what is compiled."""
        self.networks.forget()
        self._sequences = None
        if self._own is not None:
            self._own.forget()


def handlers(trainers: Trainers) -> Mapping[type[Request[Any]], Handler]:
    """Handlers by type of request."""
    networks = trainers.networks
    examiner = Examiner(networks.data, networks.device, tf32=trainers.tf32)
    return {
        Replica: Handler(lambda t: trainers.of(t.cell).train(t.cell, t.seed), keeps_graph=True),
        Copy: Handler(lambda copy: trainers.of(copy.cell).copy(copy), keeps_graph=True),
        protocol.Burst: Handler(
            lambda asked: trainers.burst(asked.cell, asked.work, asked.steps), keeps_graph=True
        ),
        protocol.Calibrate: Handler(lambda _: trainers.calibration.once(), keeps_graph=True),
        Pace: Handler(trainers.pace),
        Check: Handler(examiner.examine),
        Trial: Handler(trainers.perform),
        protocol.Describe: Handler(trainers.describe),
        protocol.Save: Handler(trainers.save),
        protocol.Load: Handler(trainers.load),
    }


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    asked = os.fdopen(os.dup(0), "rb")
    with open(os.devnull, "rb") as nothing:  # a user's model that asks for input gets none
        os.dup2(nothing.fileno(), 0)
    requests: queue.Queue[Request[Any]] = queue.Queue()
    settings = msgspec.json.decode(asked.readline(), type=protocol.Settings)
    threading.Thread(target=_read, args=(asked, requests), daemon=True).start()
    try:
        trainer, ready = _set_up(settings)
    except BenchError as error:
        replies.write(protocol.line(protocol.Trouble(message=error.message, hint=error.hint)))
        return
    gc.freeze()  # modules stay: tracing a graph collects garbage often, and need not look there
    replies.write(protocol.line(ready))
    _serve(Trainers(trainer, settings.own, ready.numerics.tf32), requests, replies)


def _read(asked: IO[bytes], requests: queue.Queue[Request[Any]]) -> None:
    for line in asked:
        requests.put(msgspec.json.decode(line, type=protocol.Asked).request)
    os._exit(0)


def _set_up(settings: protocol.Settings) -> tuple[Trainer, protocol.Ready]:
    cache_dir = Path(settings.cache_dir) if settings.cache_dir else None
    data = open_cached(settings.data, cache_dir=cache_dir)
    from bench.nets import device

    device.configure(
        settings.device, threads=settings.threads, gpu_memory_mib=settings.gpu_memory_mib
    )
    from bench.nets.replica import Trainer

    numerics = device.numerics(settings.device, isa=machine.isa(), threads=settings.threads)
    trainer = Trainer(
        data, settings.device, numerics.environment_class, histograms=settings.histograms
    )
    ready = protocol.Ready(
        numerics=numerics, software=device.software(), machine=machine.describe(settings.limits)
    )
    return trainer, ready


def _serve(trainers: Trainers, requests: queue.Queue[Request[Any]], replies: IO[bytes]) -> None:
    by_type = handlers(trainers)
    while True:
        request = requests.get()
        handler = by_type[type(request)]
        reply: protocol.Reply
        try:
            if not handler.keeps_graph:
                trainers.forget()
            answer = handler.answer(request)
        except BaseException as error:  # a user's model may call sys.exit
            traceback.print_exc()
            trainers.forget()
            crash = Crash(
                reason="memory" if _out_of_memory(error) else "exception",
                message=raised(error),
            )
            reply = protocol.Failed(crash)
        else:
            reply = _encoded(answer, request)
        sys.stderr.flush()
        replies.write(protocol.line(reply))


def _encoded(answer: object, request: Request[Any]) -> protocol.Reply:
    """An answer as it travels; one that cannot is a fault of this package, whatever was measured."""
    try:
        return protocol.Answer.of(answer)
    except Exception as error:
        traceback.print_exc()
        asked = getattr(request, "id", type(request).__name__)
        message = f"{asked}: its result cannot be written: {raised(error)}"
        return protocol.Trouble(
            message=f"{message} ({NO_FINDING})", hint=f"{FAULT_OF_BENCH}with these lines"
        )


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


if __name__ == "__main__":
    main()
