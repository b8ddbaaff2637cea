"""The training process: imports TensorFlow, trains what it is asked for, and may die of it.

Run as ``python -m bench.execution.trainer``. Requests come on standard input, replies leave on what
was standard output; all that is printed goes to standard error, which the worker keeps. It ends with
its standard input, also in the middle of a replica: a killed run leaves no process behind.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bench.checks.examiner import Examiner
from bench.errors import BenchError
from bench.execution import machine, protocol
from bench.mnist import open_cached
from bench.results.record import Crash

if TYPE_CHECKING:
    from bench.nets.replica import Trainer


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    requests: queue.Queue[protocol.Request] = queue.Queue()
    settings = protocol.request_decoder.decode(sys.stdin.buffer.readline())
    assert isinstance(settings, protocol.Settings)
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    try:
        trainer, examiner, ready = _set_up(settings)
    except BenchError as error:
        replies.write(protocol.line(protocol.Trouble(message=error.message, hint=error.hint)))
        return
    replies.write(protocol.line(ready))
    _serve(trainer, examiner, requests, replies, tf32=ready.numerics.tf32)


def _read(requests: queue.Queue[protocol.Request]) -> None:
    for line in sys.stdin.buffer:
        requests.put(protocol.request_decoder.decode(line))
    os._exit(0)


def _set_up(settings: protocol.Settings) -> tuple[Trainer, Examiner, protocol.Ready]:
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
    examiner = Examiner(data, settings.device, tf32=numerics.tf32)
    ready = protocol.Ready(
        numerics=numerics, software=device.software(), machine=machine.describe()
    )
    return trainer, examiner, ready


def _serve(
    trainer: Trainer,
    examiner: Examiner,
    requests: queue.Queue[protocol.Request],
    replies: IO[bytes],
    *,
    tf32: bool,
) -> None:
    while True:
        request = requests.get()
        try:
            reply = _answer(trainer, examiner, request, tf32=tf32)
        except Exception as error:
            traceback.print_exc()
            trainer.forget()
            crash = Crash(
                reason="memory" if _out_of_memory(error) else "exception",
                message=f"{type(error).__name__}: {_first_line(error)}",
            )
            reply = protocol.Failed(crash=crash)
        sys.stderr.flush()
        replies.write(protocol.line(reply))


def _answer(
    trainer: Trainer, examiner: Examiner, request: protocol.Request, *, tf32: bool
) -> protocol.Reply:
    if isinstance(request, (protocol.Save, protocol.Load)):
        trainer.forget()
        return _saving(trainer, request, tf32=tf32)
    if isinstance(request, protocol.Verify):
        trainer.forget()
        return protocol.Verified(result=examiner.examine(request.check))
    if isinstance(request, protocol.Perform):
        from bench.nets.programs import perform

        trainer.forget()
        result = perform(request.trial, trainer.data, trainer.device, trainer.environment)
        return protocol.Performed(result=result)
    if isinstance(request, protocol.Burst):
        seconds = trainer.burst(request.cell, work=request.work, steps=request.steps)
        return protocol.Timed(seconds=seconds)
    if isinstance(request, protocol.TrainCopy):
        return protocol.Copied(result=trainer.copy(request.copy))
    assert isinstance(request, protocol.Train)
    return protocol.Done(result=trainer.train(request.cell, request.seed))


def _saving(
    trainer: Trainer, request: protocol.Save | protocol.Load, *, tf32: bool
) -> protocol.Reply:
    from bench.nets import saving

    folder = Path(request.folder)
    if isinstance(request, protocol.Save):
        written = saving.save(folder, request.model, trainer.data, trainer.device)
        return protocol.Saved(results=written)
    loaded = saving.load(folder, request.model, request.format, tf32=tf32)
    return protocol.Reloaded(result=loaded)


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:300]


if __name__ == "__main__":
    main()
