"""Stands in for TensorFlow in training processes of tests, and misbehaves where a cell says so.

Python imports a module of this name at its start if its folder is on PYTHONPATH. A cell's width picks
the fault, so that tests choose one through the public interface; all else is the real thing: pipes,
processes, records.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import signal
import struct
import sys
import time
import types

from support.faults import (
    ABORT,
    EAT_MEMORY,
    EXIT,
    HANG,
    KILL,
    KILL_ONCE,
    RAISE,
    RESOURCES,
    SEGFAULT,
    UNWRITABLE,
)


def _fault(width: int) -> None:
    print(f"about to train width {width}")
    if width == ABORT:
        print("corrupted size vs. prev_size", file=sys.stderr)
        os.abort()
    elif width == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    elif width == KILL_ONCE:
        mark = os.environ["FAULTY_MARK"]
        if not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
    elif width == SEGFAULT:
        ctypes.string_at(0)
    elif width == HANG:
        time.sleep(3600)
    elif width == RAISE:
        raise ValueError("shapes (3,) and (4,) do not match\nsecond line")
    elif width == EXIT:
        os._exit(7)
    elif width == EAT_MEMORY:
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1 << 20)) * 32)
            time.sleep(0.01)
    elif width == RESOURCES:
        raise type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor")


class Trainer:
    """The interface of bench.nets.replica.Trainer, without a network."""

    def __init__(
        self, data: object, device: str, environment: str, *, histograms: bool = False
    ) -> None:
        self._data, self._environment, self._histograms = data, environment, histograms
        self.data, self.device, self.environment = data, device, environment
        if "FAULTY_SHOW_DEVICE" in os.environ:
            shown = f"{device} {os.environ['CUDA_VISIBLE_DEVICES']} {_configured}"
            self._environment = shown

    def forget(self) -> None:
        return None

    images = None

    def train(self, cell: object, seed: int) -> object:
        import msgspec

        from bench.results.flow import Flow
        from bench.results.record import Record

        _fault(cell.width)
        if cell.width == UNWRITABLE:
            return {"accuracy": object()}
        time.sleep(float(os.environ.get("FAULTY_SLEEP_SEC", "0.01")))
        digest = hashlib.sha256(f"{cell} {seed}".encode()).hexdigest()[:32]
        part = int(digest[:6], 16) / 0xFFFFFF
        layers = cell.depth
        limit = cell.clipping_rule[1] or math.inf
        flow = Flow(
            signal=[0.5] * layers,
            kernel_gradient=[0.5] * layers,
            bias_gradient=[0.5] * layers,
            activation_mean=[0.0] * layers,
            activation_variance=[1.0] * layers,
            dead_units=[0.0] * layers,
            gradient_norm=1.0,
            clipped_norm=min(1.0, limit),
            clipped_peak=min(0.1, limit),
            clipped_variable_norm=min(0.5, limit),
            clip_error=max(0.0, 1 - limit),
            kernel_gradient_peak=0.1,
        )
        shift = float(os.environ.get("FAULTY_SHIFT", "0"))
        return Record(
            cell=cell,
            seed=seed,
            outcome="trained",
            data=self._data.fingerprint,
            environment=self._environment,
            test_accuracy=0.93 + 0.004 * part - shift,
            test_loss=0.2,
            digest=digest if not shift else digest[::-1],
            trajectory=_trajectory(seed),
            start=flow,
            end=flow,
            images_per_sec=1000.0,
            training_sec=0.01,
            total_sec=0.02,
            histograms=_histograms() if self._histograms else msgspec.UNSET,
        )

    def copy(self, copy: object) -> object:
        """``FAULTY_COPIES`` picks the fault of the cells that it names: ``width:fault,...``, and
        ``FAULTY_COPY_SEC`` is how long each copy takes."""
        from bench.results.copy_result import CopyResult

        faults = dict(
            pair.split(":") for pair in os.environ.get("FAULTY_COPIES", "").split(",") if pair
        )
        _fault(int(faults.get(str(copy.cell.width), 0)))
        time.sleep(float(os.environ.get("FAULTY_COPY_SEC", "0.01")))
        return CopyResult(copy=copy, trajectory=_trajectory(copy.seed, 1e-6 * (copy.number + 1)))

    def burst(self, cell: object, *, work: str, steps: int) -> float:
        _fault(cell.width)
        return 1e-4 * steps


class _Sequences:
    def burst(self, steps: int) -> float:
        return 1e-4 * steps


def _perform(trial: object, data: object, device: str, environment: str) -> object:
    """A recipe's batch picks the fault, or ``FAULTY_TRIALS`` that of all."""
    from bench.results.trial import TrialResult

    _fault(ABORT if os.environ.get("FAULTY_TRIALS") == "abort" else trial.recipe.batch)
    digest = hashlib.sha256(repr(trial).encode()).hexdigest()
    return TrialResult(
        trial=trial,
        outcome="trained",
        digest=digest,
        data=data.fingerprint,
        environment=f"{environment} {device}",
    )


def _trajectory(seed: int, apart: float = 0.0) -> bytes:
    """Twenty losses of a seed, shifted as ``FAULTY_SHIFT`` says, and those of a copy a little more."""
    shift = float(os.environ.get("FAULTY_SHIFT", "0")) + apart
    return struct.pack(
        "<20f", *(2.3 * math.exp(-step / 10) + 0.01 * seed + shift for step in range(20))
    )


def _histograms() -> list[object]:
    from bench.results.histogram import Histogram

    limits = {"edges": [-1.0, 0.0, 2.0], "counts": [3, 5], "total": 4.0, "squares": 9.0}
    return [Histogram(name="w1", gradient=gradient, step=7, **limits) for gradient in (False, True)]


def _run(check: object, lab: object) -> object:
    """A family of checks: the number behind a subject's last colon picks the fault."""
    from bench.checks.lab import AbsentError
    from bench.results.check import Deviation

    word, _, fault = check.subject.rpartition(":")
    if os.environ.get("FAULTY_CHECKS") == "hang":
        _fault(HANG)
    if word == "fault":
        _fault(int(fault))
    if word == "absent":
        raise AbsentError(f"no {fault} here")
    if word != "nothing":
        lab.seen([1.0])
        out = word == "out" or "FAULTY_CHECKS" in os.environ
        excess = 2.5 if out else 0.25
        yield Deviation(tensor="tensor 1", excess=excess, evidence="got 1, expected 2 within 0.4")


def _module(name: str, **contents: object) -> None:
    module = types.ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module


def _numerics(device: str, *, isa: str, threads: int) -> object:
    from bench.results.environment import Numerics

    return Numerics(
        device=device, isa="fake", onednn=True, xla=False, tf32=False, threads=threads or 1
    )


_configured: dict[str, object] = {}


def _configure(*_: object, **settings: object) -> None:
    _configured.update(settings)
    if os.environ.get("FAULTY_START") == "abort":
        print("cannot load libfake.so", file=sys.stderr)
        os.abort()


if "bench.execution.trainer" in sys.orig_argv:
    _module("bench.nets.replica", Trainer=Trainer)
    _module(
        "bench.nets.device",
        configure=_configure,
        numerics=_numerics,
        gpu_peak=lambda: 1 << 20,
        software=lambda: {"tensorflow": os.environ.get("FAULTY_VERSION", "9.9.9"), "keras": "9"},
    )
    _module("bench.nets.programs", perform=_perform)
    _module("bench.nets.chores", models=lambda *_: 1e-3, Sequences=_Sequences)
    from bench.checks.catalogue import module_of
    from bench.results.check import FAMILIES

    for family in FAMILIES:
        _module(module_of(family), run=_run)
