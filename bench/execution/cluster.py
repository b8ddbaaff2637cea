"""The Dask cluster: local by default, anybody's by address. One replica at a time on each worker."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dask
import distributed
import msgspec

from bench.errors import BenchError
from bench.execution import machine, protocol
from bench.execution.supervisor import Supervisor
from bench.results.kind import Outcome, Task

#: Memory of a training process, with room: 1.3 GiB were measured at the end of the quick tier, and
#: the tutorial's CNN holds the activations of 1,000 test images.
WORKER_BYTES = 2**31

#: Dask always starts HTTP servers, one of the scheduler and one of each worker. Nobody asks them
#: anything, and they know no users: no other machine reaches them, and they have no pages.
_LOOPBACK = "127.0.0.1:0"
_NO_PAGES: Mapping[str, Sequence[str]] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """The machines and processes that tasks run in.

    Args:
        device: ``cpu`` or ``gpu``.
        workers: training processes on this machine; None: one per core, fewer where memory is short,
            or ``workers_per_gpu`` per GPU.
        workers_per_gpu: small networks leave a GPU idle; each process gets its share of the memory.
        scheduler: address of a Dask scheduler whose workers are used instead of this machine's:
            ``tcp://HOST:PORT``, or ``tls://HOST:PORT`` with the keys that Dask's configuration names.
            Both sides send pickles: whoever reaches a scheduler without TLS runs code here and there.
        cell_timeout_sec: a replica that takes longer has crashed.
        memory_limit_bytes: per worker; None: its share of this machine's memory.
        python: interpreter of the training processes, with its TensorFlow; empty: the worker's own.
        variables: added to this process' environment variables for them.
        histograms: whether records carry histograms.
        own: folder of the user's model, on this machine; empty without one.
    """

    device: str = "cpu"
    workers: int | None = None
    workers_per_gpu: int = 1
    scheduler: str | None = None
    cell_timeout_sec: float = 300.0
    memory_limit_bytes: int | None = None
    python: str = ""
    variables: dict[str, str] = {}
    histograms: bool = False
    own: str = ""


class TrainerPlugin(distributed.WorkerPlugin):
    """Gives each Dask worker a supervised training process of its own.

    Args:
        settings: of the training processes.
        memory_limit_bytes: per process; 0: none.
        environments: per worker name, variables that choose its device; workers of a foreign
            scheduler have been given theirs by whoever started them.
        python: their interpreter; empty: the worker's own.
    """

    def __init__(
        self,
        settings: protocol.Settings,
        *,
        memory_limit_bytes: int,
        environments: Mapping[str, Mapping[str, str]],
        python: str = "",
    ) -> None:
        self.name = f"bench-{uuid.uuid4().hex}"  # several runs may share a scheduler
        self._settings = settings
        self._memory_limit_bytes = memory_limit_bytes
        self._environments = environments
        self._python = python

    def setup(self, worker: Any) -> None:
        name = str(worker.name)
        self.supervisor = Supervisor(
            self._settings,
            environment=self._environments.get(name, {}),
            python=self._python,
            memory_limit_bytes=self._memory_limit_bytes,
            name=name,
        )

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - Dask's interface
        self.supervisor.close()


def start_trainer(plugin: str) -> protocol.Ready:
    """Runs on a worker: starts its training process, and returns what that says of itself."""
    return _supervisor(plugin).start()


def do(plugin: str, task: Task, timeout_sec: float) -> Outcome:
    """Runs on a worker: one task."""
    return _supervisor(plugin).do(task, timeout_sec=timeout_sec)


def _supervisor(plugin: str) -> Supervisor:
    registered: TrainerPlugin = distributed.get_worker().plugins[plugin]
    return registered.supervisor


class Cluster:
    """A connected client and what the executor needs of it.

    Args:
        client: connected.
        plugin: registered here.
        placement: whose time limit counts.
        addresses: of the workers that are used; None: all that there are.
    """

    def __init__(
        self,
        client: distributed.Client,
        plugin: TrainerPlugin,
        placement: Placement,
        addresses: Collection[str] | None = None,
    ) -> None:
        self._client = client
        self._plugin = plugin.name
        self._timeout_sec = placement.cell_timeout_sec
        self._addresses = None if addresses is None else frozenset(addresses)
        self._borrowed: frozenset[str] = frozenset()
        client.register_plugin(plugin)

    def close(self) -> None:
        """Ends the training processes; workers stay."""
        with contextlib.suppress(OSError):  # of a scheduler that is gone
            self._client.unregister_worker_plugin(self._plugin)

    def workers(self) -> list[str]:
        """Addresses of the workers that are there now.

        Raises:
            BenchError: the scheduler is gone.
        """
        try:
            present = list(self._client.nthreads())
        except OSError as error:
            raise BenchError(
                f"the Dask scheduler does not answer any more: {error}",
                hint="see its log, then continue with --resume",
            ) from error
        if self._addresses is None:
            return present
        return [worker for worker in present if worker in self._addresses | self._borrowed]

    def borrow(self, other: Cluster) -> None:
        """Uses the other one's workers, too, until they are given back."""
        self._borrowed = other._addresses or frozenset()

    def give_back(self) -> None:
        """Uses its own workers alone again; none of the others may be busy."""
        self._borrowed = frozenset()

    def start_trainer(self, worker: str) -> distributed.Future:
        """Future of :func:`start_trainer` on this worker."""
        return self._client.submit(
            start_trainer, self._plugin, workers=[worker], pure=False, retries=0
        )

    def do(self, worker: str, task: Task) -> distributed.Future:
        """Future of :func:`do` on this worker."""
        return self._client.submit(
            do,
            self._plugin,
            task,
            task.patience_sec(self._timeout_sec),
            workers=[worker],
            pure=False,
            retries=0,
        )


@contextlib.contextmanager
def connect(placement: Placement, *, data: str, cache_dir: Path) -> Iterator[Cluster]:
    """Starts or joins the cluster; what was started here is ended here.

    Args:
        placement: which workers.
        data: fingerprint of the images, which must be in every machine's cache.
        cache_dir: of this machine; workers of a foreign scheduler have their own.

    Raises:
        BenchError: the scheduler does not answer.
    """
    if not placement.scheduler:
        with connect_sides([placement], data=data, cache_dir=cache_dir) as (cluster,):
            yield cluster
        return
    try:
        client = distributed.Client(placement.scheduler, timeout=10, set_as_default=False)
    except (OSError, TypeError, ValueError) as error:  # TypeError: TLS without a certificate
        hint = (
            "start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`, in "
            "environments where bench is installed"
        )
        if placement.scheduler.startswith("tls:"):
            hint = "docs/security.md says how certificates are named to both sides"
        raise BenchError(
            f"--scheduler {placement.scheduler}: no answer: {error}", hint=hint
        ) from error
    with client:
        settings = protocol.Settings(
            device=placement.device, data=data, cache_dir="", histograms=placement.histograms
        )
        plugin = TrainerPlugin(
            settings, memory_limit_bytes=placement.memory_limit_bytes or 0, environments={}
        )
        cluster = Cluster(client, plugin, placement)
        try:
            yield cluster
        finally:
            cluster.close()


@contextlib.contextmanager
def connect_sides(
    placements: Sequence[Placement], *, data: str, cache_dir: Path
) -> Iterator[list[Cluster]]:
    """One cluster on this machine whose workers are divided among several environments.

    Args:
        placements: one for each environment. All have the first one's device and numbers of workers,
            which are those of all environments together; each gets as many, and at least one.
        data: as for :func:`connect`.
        cache_dir: the same.

    Raises:
        BenchError: the machine has too little memory for them.
    """
    first = placements[0]
    gpus = machine.gpus() if first.device == "gpu" else []
    each = max(1, (first.workers or _slots(gpus, first.workers_per_gpu)) // len(placements))
    count = each * len(placements)
    memory_limit = first.memory_limit_bytes
    if memory_limit is None:
        memory_limit = _memory_share(count)
    settings = protocol.Settings(
        device=first.device,
        data=data,
        cache_dir=str(cache_dir),
        gpu_memory_mib=_gpu_share(gpus, count),
        histograms=first.histograms,
        own=first.own,
    )
    # Dask's own silence ends before its connections are closed, which would be told with tracebacks.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0, **_NO_PAGES}),
        # The workers are threads of this process: they only wait for their training processes.
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=False,
            dashboard_address=_LOOPBACK,
            worker_dashboard_address=_LOOPBACK,
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs="ERROR",
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        addresses = [worker.address for worker in cluster.workers.values()]
        clusters = []
        for number, placement in enumerate(placements):
            plugin = TrainerPlugin(
                settings,
                memory_limit_bytes=memory_limit,
                environments={
                    name: {**placement.variables, **device}
                    for name, device in _environments(count, gpus).items()
                },
                python=placement.python,
            )
            part = addresses[number * each : (number + 1) * each]
            clusters.append(Cluster(client, plugin, placement, part))
        yield clusters


def _slots(gpus: list[machine.Gpu], workers_per_gpu: int) -> int:
    if gpus:
        return len(gpus) * workers_per_gpu
    return max(1, min(machine.cores(), machine.memory_bytes() // WORKER_BYTES))


def _memory_share(workers: int) -> int:
    """Bytes for each worker.

    Raises:
        BenchError: too few to train in; that must not look as if TensorFlow had crashed.
    """
    share = machine.memory_bytes() // workers
    if share < WORKER_BYTES and workers > 1:
        raise BenchError(
            f"--workers {workers}: {share / 2**30:.1f} GiB for each, and a training process takes up "
            f"to {WORKER_BYTES / 2**30:.1f} GiB",
            hint="use fewer workers, or set --memory-limit GIB yourself",
        )
    return max(share, WORKER_BYTES)


def _gpu_share(gpus: list[machine.Gpu], workers: int) -> int | None:
    """MiB per process; a tenth of each GPU is left to CUDA's contexts. None, to grow freely, for a
    process that has its GPU alone, or where the driver does not list the size."""
    smallest = min((gpu.memory_mib for gpu in gpus), default=0)
    per_gpu = -(-workers // len(gpus)) if gpus else 1
    return int(0.9 * smallest / per_gpu) if per_gpu > 1 and smallest else None


def _environments(count: int, gpus: list[machine.Gpu]) -> dict[str, dict[str, str]]:
    """Per worker the GPU that it sees; workers are named 0, 1, ..."""
    if not gpus:
        return {str(index): {"CUDA_VISIBLE_DEVICES": "-1"} for index in range(count)}
    return {
        str(index): {"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)].uuid} for index in range(count)
    }
