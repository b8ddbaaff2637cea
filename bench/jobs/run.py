"""Session: from a selection of cells to a conclusion. What the pytest plugin drives."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import filelock
import msgspec

from bench import mnist
from bench.cells.grid import TIERS
from bench.errors import BenchError
from bench.execution import machine
from bench.execution.cluster import Placement
from bench.execution.executor import Execution
from bench.jobs.live import compare
from bench.jobs.progress import Progress, Tally
from bench.report.tensorboard import EventFiles
from bench.results.check import Check
from bench.results.environment import Environment
from bench.results.find import latest
from bench.results.kind import Task
from bench.results.live import LIVE
from bench.results.pace import Pace
from bench.results.plan import Item, Plan
from bench.results.record import Replica
from bench.results.run import StoredRun, read_run
from bench.results.trial import Trial
from bench.results.writer import RunWriter
from bench.verdict.baselines.folder import Baseline, class_folders, read_baseline
from bench.verdict.baselines.samples import baseline_from_run
from bench.verdict.baselines.speeds import SPEEDS, of_run, read_file, read_speeds
from bench.verdict.conclusion import Conclusion, against_baseline
from bench.verdict.judging import baseline_for, still_wanted


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user chose; see the plugin's ``--help`` for each."""

    tier: str
    run: Path
    resume: bool
    placement: Placement
    selected: bool
    retry_crashed: bool = False
    """With ``resume``: whether what crashed is tried again."""
    seeds: int | None = None
    all_seeds: bool = False
    """Whether all seeds are trained, also of cells whose bits do not differ."""
    decide: int = 0
    """Seeds up to which undecided cells are given more; 0: none are."""
    baselines: Path | None = None
    """None: the run is compared with nothing."""
    against: Path | None = None
    """A run in the place of the baseline."""
    data_dir: Path | None = None
    data_sources: tuple[str, ...] = mnist.SOURCES
    decide_speed: bool = False
    """Whether speed and memory beyond the machine's limits are compared side by side."""
    tensorboard: Path | None = None
    """Where event files go, below the run's name; None: there are none."""


class DeviceAbsentError(BenchError):
    """The device that was asked for is not there: items are skipped with this reason."""


def resolve_device(asked: str, *, required: bool, elsewhere: bool = False) -> str:
    """``cpu`` or ``gpu`` for ``cpu``, ``gpu`` or ``auto``.

    Args:
        asked: by the user.
        required: whether it is an error if the device is absent.
        elsewhere: whether training happens on the workers of a foreign scheduler, which know
            themselves what they have.

    Raises:
        DeviceAbsentError: a GPU was asked for and there is none.
        BenchError: the same, and it is required; or ``auto`` for workers elsewhere.
    """
    if elsewhere and asked == "auto":
        raise BenchError(
            "--device auto looks at this machine, and --scheduler trains elsewhere",
            hint="say --device cpu or --device gpu",
        )
    if asked == "cpu" or elsewhere:
        return asked
    absent = _why_no_gpu()
    if not absent:
        return "gpu"
    if asked == "auto" and not required:
        return "cpu"
    kind = BenchError if required else DeviceAbsentError
    raise kind(
        f"no GPU: {absent}",
        hint="run on a machine with an NVIDIA GPU, its driver and the extra 'gpu', or use "
        "--device cpu",
    )


def _why_no_gpu() -> str:
    """Why nothing can be trained on a GPU of this machine, or nothing if it can.

    TensorFlow is asked in a process of its own, and only where there is a driver: it takes seconds.
    """
    if not machine.gpus():
        return "nvidia-smi lists none that CUDA_VISIBLE_DEVICES leaves visible"
    count = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    done = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return f"TensorFlow cannot be imported: {last}"
    seen = int(done.stdout.split()[-1])
    return "" if seen else "TensorFlow was installed without CUDA, or cannot load its libraries"


def run_folder(
    results: Path, name: str | None, *, resume: bool, new: str, retry_crashed: bool = False
) -> Path:
    """The folder of the run to write: a new one, or with ``resume`` the one named or the newest.

    Raises:
        BenchError: there is nothing to resume, or ``retry_crashed`` is asked for without it.
    """
    if retry_crashed and not resume:
        raise BenchError("--retry-crashed goes with --resume", hint="say which run with --run NAME")
    if not resume:
        return results / (name or new)
    path = results / name if name else latest(results, "run")
    if not path.is_dir():
        raise BenchError(f"--resume: {path}: no such run", hint=f"`ls {results}` lists runs")
    return path


class Session:
    """One run, from training to a conclusion.

    Args:
        options: the user's choices.
        items: cells that were collected, in order.
        checks: that were collected, in order.
        trials: of published experiments, in order.
        paces: of workloads, in order.
        lock: of the run's folder, if it is claimed already.
    """

    def __init__(
        self,
        options: Options,
        items: Sequence[Item],
        checks: Sequence[Check],
        trials: Sequence[Trial],
        paces: Sequence[Pace],
        lock: filelock.BaseFileLock | None,
    ) -> None:
        self.options = options
        self._lock = lock
        seeds = list(range(options.seeds or TIERS[options.tier].seeds))
        self._compared = options.baselines is not None or options.against is not None
        first = (
            1
            if self._compared and TIERS[options.tier].one_first and not options.all_seeds
            else None
        )
        self.plan = Plan(
            tier=options.tier,
            device=options.placement.device,
            seeds=seeds[:first],
            further=seeds[first:] if first else [],
            items=list(items),
            checks=list(checks),
            trials=list(trials),
            paces=list(paces),
            selected=options.selected,
            decide=options.decide,
        )
        self._digests: Mapping[Replica, str] | None = None
        self.conclusion: Conclusion | None = None
        self.total_sec = 0.0

    def execute(self, stream: TextIO, *, live: bool) -> None:
        """Trains what is missing, then judges; also what an interruption left is judged.

        Raises:
            BenchError: infrastructure trouble.
            KeyboardInterrupt: the user had enough.
        """
        begin = time.monotonic()
        self._check_baselines()
        if warning := machine.uncommitted(Path.cwd()):
            print(warning, file=stream, flush=True)
        files = self._event_files()
        data = mnist.load(directory=self.options.data_dir, sources=self.options.data_sources)
        description = {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "source": data.source,
        }
        with RunWriter(
            self.options.run,
            self.plan,
            resume=self.options.resume,
            retry_crashed=self.options.retry_crashed,
            lock=self._lock,
        ) as writer:
            if files is not None:
                files.add_stored(writer.outcomes.values())
            execution: Execution | None = None

            def stored() -> Mapping[Replica, str]:
                return self._stored(writer, execution.environment if execution else None)

            tally = Tally(self.plan, writer.outcomes, stored=stored if self._compared else None)
            with Progress({"": tally}, stream=stream, live=live) as progress:
                execution = Execution(
                    writer,
                    self._placement(),
                    data=description,
                    cache_dir=mnist.cache_directory(),
                    progress=progress.of(),
                    follow=self._follow,
                    see=files.add if files is not None else None,
                )
                try:
                    execution.run()
                finally:
                    if execution.environment is not None:
                        self.total_sec = time.monotonic() - begin
                        run = writer.finish(execution.environment, self.total_sec)
                        self.conclusion = self._concluded(run)
            if self.options.decide_speed and self.conclusion is not None:
                self._decide_speed(self.conclusion, stream)

    def _concluded(self, run: StoredRun) -> Conclusion:
        """The run, judged."""
        return against_baseline(run, self._against(run), speeds=self.options.baselines)

    def _decide_speed(self, found: Conclusion, stream: TextIO) -> None:
        """Compares what tripped with the stored version, on the machine that is idle now.

        Raises:
            BenchError: that version cannot be had here; the run is measured and judged by then.
        """
        tripped = [one for one in found.paces if one.open]
        if not tripped or self.options.baselines is None:
            return
        offered = of_run(found.run)
        stored = read_speeds(self.options.baselines, offered.environment_class, offered.machine)
        compare(
            offered,
            stored[-1],
            tripped,
            found.run.path / LIVE,
            new_python=sys.executable,
            cache=mnist.cache_directory(),
            data_dir=self.options.data_dir,
            timeout_sec=self.options.placement.cell_timeout_sec,
            say=lambda text: print(text, file=stream, flush=True),
        )
        self.conclusion = self._concluded(found.run)

    def _event_files(self) -> EventFiles | None:
        """Event files for TensorBoard, if they are asked for.

        Raises:
            BenchError: they cannot be written.
        """
        if self.options.tensorboard is None:
            return None
        return EventFiles(self.options.tensorboard / self.options.run.name, self.plan.items)

    def _placement(self) -> Placement:
        """The user's; histograms are taken for event files alone."""
        wanted = self.options.tensorboard is not None
        return msgspec.structs.replace(self.options.placement, histograms=wanted)

    def _check_baselines(self) -> None:
        """A damaged baseline, or a mistyped folder, is found before an hour of training.

        Raises:
            BenchError: it is damaged, or there is no such folder.
        """
        if self.options.against is not None:
            read_run(self.options.against)
            return
        if self.options.baselines is None:
            return
        if not self.options.baselines.is_dir():
            raise BenchError(
                f"{self.options.baselines}: no such folder of baselines",
                hint="start from the repository's root or name it with --baselines DIR; an empty "
                "folder means that there are none yet",
            )
        for folder in class_folders(self.options.baselines):
            read_baseline(self.options.baselines, folder.name)
        for path in sorted(self.options.baselines.glob(f"{SPEEDS}/*/*.jsonl")):
            read_file(path)

    def _follow(self, run: StoredRun) -> Sequence[Task]:
        """What is to be done once the plan is: copies for envelopes, then seeds for undecided cells."""
        return still_wanted(run, self._against(run))

    def _stored(self, writer: RunWriter, environment: Environment | None) -> Mapping[Replica, str]:
        """Digests that the run is compared with; none before a worker has told its class."""
        if self._digests is None and environment is not None:
            baseline = self._against(writer.so_far(environment))
            found = [
                (item.cell, baseline.find(item)) for item in self.plan.items if baseline is not None
            ]
            self._digests = {
                Replica(cell, seed): digest
                for cell, stored in found
                if stored is not None
                for seed, digest in stored.digests.items()
            }
        return self._digests or {}

    def _against(self, run: StoredRun) -> Baseline | None:
        """What the run is compared with."""
        if self.options.against is not None:
            return baseline_from_run(read_run(self.options.against))
        if self.options.baselines is None:
            return None
        return baseline_for(self.options.baselines, run)
