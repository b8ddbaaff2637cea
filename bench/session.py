"""Session: from a selection of cells to judgements and a report. What the pytest plugin drives."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from bench import mnist
from bench.environment import Environment
from bench.errors import BenchError
from bench.execution import machine
from bench.execution.cluster import Placement
from bench.execution.executor import Execution
from bench.execution.schedule import cost
from bench.grid import TIERS
from bench.report.progress import Progress
from bench.run import ENVIRONMENT, Item, Plan, RunWriter, StoredRun, latest_run, read_json
from bench.verdict.baseline import Baseline, read_baseline
from bench.verdict.judgement import Judgement
from bench.verdict.judging import baseline_for, judge_with_claims


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user chose; see the plugin's ``--help`` for each."""

    tier: str
    seeds: int | None
    results: Path
    run: Path
    resume: bool
    baselines: Path
    data_dir: Path | None
    data_sources: tuple[str, ...]
    placement: Placement
    selected: bool


class DeviceAbsentError(BenchError):
    """The device that was asked for is not there: items are skipped with this reason."""


def resolve_device(asked: str, *, required: bool) -> str:
    """``cpu`` or ``gpu`` for ``cpu``, ``gpu`` or ``auto``.

    Raises:
        DeviceAbsentError: a GPU was asked for and there is none.
        BenchError: the same, and it is required.
    """
    if asked == "cpu":
        return asked
    if machine.gpus():
        return "gpu"
    if asked == "auto" and not required:
        return "cpu"
    kind = BenchError if required else DeviceAbsentError
    raise kind(
        "no GPU: nvidia-smi lists none that CUDA_VISIBLE_DEVICES leaves visible",
        hint="run on a machine with an NVIDIA GPU and its driver, or use --device cpu",
    )


def run_folder(results: Path, name: str | None, *, resume: bool, new: str) -> Path:
    """The folder of the run to write: a new one, or with ``resume`` the one named or the newest.

    Raises:
        BenchError: there is nothing to resume.
    """
    if not resume:
        return results / (name or new)
    path = results / name if name else latest_run(results)
    if not path.is_dir():
        raise BenchError(f"--resume: {path}: no such run", hint=f"`ls {results}` lists runs")
    return path


class Session:
    """One run, from training to judgements.

    Args:
        options: the user's choices.
        items: what was collected, in order.
    """

    def __init__(self, options: Options, items: Sequence[Item]) -> None:
        self.options = options
        self.plan = Plan(
            tier=options.tier,
            device=options.placement.device,
            seeds=list(range(options.seeds or TIERS[options.tier].seeds)),
            items=list(items),
            selected=options.selected,
        )
        self.run: StoredRun | None = None
        self.baseline: Baseline | None = None
        self.judgements: list[Judgement] = []
        self.total_sec = 0.0

    def execute(self, stream: TextIO, *, live: bool) -> None:
        """Trains what is missing, then judges; also what an interruption left is judged.

        Raises:
            BenchError: infrastructure trouble.
            KeyboardInterrupt: the user had enough.
        """
        begin = time.monotonic()
        self._check_baselines()
        data = mnist.load(directory=self.options.data_dir, sources=self.options.data_sources)
        description = {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "source": data.source,
        }
        with RunWriter(self.options.run, self.plan, resume=self.options.resume) as writer:
            done = list(writer.records)
            with Progress(self.plan, done, cost=cost, stream=stream, live=live) as progress:
                execution = Execution(
                    writer,
                    self.options.placement,
                    data=description,
                    cache_dir=mnist.cache_directory(),
                    progress=progress,
                )
                try:
                    execution.run()
                finally:
                    environment = execution.environment or self._stored_environment()
                    if environment is not None:
                        self.total_sec = time.monotonic() - begin
                        self.run = writer.finish(environment, self.total_sec)
                        self._judge()

    def _check_baselines(self) -> None:
        """A damaged baseline is found before an hour of training, not after.

        Raises:
            BenchError: it is damaged.
        """
        for folder in sorted(self.options.baselines.glob("*/")):
            read_baseline(self.options.baselines, folder.name)

    def _stored_environment(self) -> Environment | None:
        with contextlib.suppress(BenchError):
            return read_json(self.options.run / ENVIRONMENT, Environment)
        return None

    def _judge(self) -> None:
        assert self.run is not None
        self.baseline = baseline_for(self.options.baselines, self.run)
        self.judgements = judge_with_claims(self.run, self.baseline)
