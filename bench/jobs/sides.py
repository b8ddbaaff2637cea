"""Training processes of one side of a comparison, as many as are asked for."""

from __future__ import annotations

from bench import mnist
from bench.environments.prepare import Built
from bench.execution import machine, protocol
from bench.execution.interleave import PROCESSES
from bench.execution.supervisor import Supervisor
from bench.results.timings import Side


def supervisor_of(
    side: Side, built: Built, fingerprint: str, *, device: str, threads: int, own: str = ""
) -> Supervisor:
    """A process of a side's environment, not yet started.

    Args:
        side: what its messages call it.
        built: the environment.
        fingerprint: of the images.
        device: ``cpu`` or ``gpu``; of a GPU it gets as much as four of them can have at a time.
        threads: of TensorFlow; 0 for all.
        own: folder of the user's model; empty without one.
    """
    gpus = machine.gpus() if device == "gpu" else []
    settings = protocol.Settings(
        device=device,
        data=fingerprint,
        cache_dir=str(mnist.cache_directory()),
        threads=threads,
        gpu_memory_mib=int(0.9 * gpus[0].memory_mib / len(PROCESSES)) if gpus else None,
        own=own,
    )
    visible = {"CUDA_VISIBLE_DEVICES": gpus[0].uuid if gpus else "-1"}
    return Supervisor(
        settings,
        environment={**built.variables, **visible},
        python=str(built.python),
        name=side,
    )
