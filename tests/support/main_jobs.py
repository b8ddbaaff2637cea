"""Main jobs in processes of their own, as users start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import bench
from bench.commands.main import main as bench_main
from bench.results.copy_result import COPIES, CopyResult
from bench.results.files import read_json
from bench.results.plan import Plan
from bench.results.record import RECORDS, Record
from support.faults import FAULTY

REPOSITORY = Path(__file__).resolve().parents[2]

#: PYTHONPATH of faulty training processes: what makes them so, what that imports, and the ``bench``
#: that is tested, which may not be the one that is installed.
FAULTY_PATH = os.pathsep.join(
    str(folder) for folder in (FAULTY, FAULTY.parents[1], Path(bench.__file__).parents[1])
)


def _heed_ctrl_c() -> None:
    """A shell starts what runs in its background deaf to Ctrl-C, and so are all that this starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Job:
    """Starts main jobs in a folder of their own."""

    folder: Path
    environment: dict[str, str]
    options: tuple[str, ...] = (
        "--seeds",
        "3",
        "--all-seeds",
        "--allow-undecided",
        "--workers",
        "1",
    )
    """Of every run: all of three seeds, what has no baseline is no failure, one training process."""

    def __post_init__(self) -> None:
        (self.folder / "baselines").mkdir(exist_ok=True)

    def command(self, *arguments: str) -> list[str]:
        folders = ["--results", "results", "--baselines", "baselines", "--benchmark-skip"]
        suites = str(REPOSITORY / "suites")
        return [
            sys.executable,
            "-m",
            "pytest",
            suites,
            "-p",
            "no:cacheprovider",
            *folders,
            *self.options,
            *arguments,
        ]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env={**os.environ, **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_heed_ctrl_c,
        )

    def run(self, *arguments: str, expect: int = 0, **environment: str) -> str:
        process = self.start(*arguments, **environment)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == expect, output
        return output

    def records(self, run: str) -> list[Record]:
        return RECORDS.read(self.folder / "results" / run / "records.jsonl")

    def copies(self, run: str) -> list[CopyResult]:
        return COPIES.read(self.folder / "results" / run / "copies.jsonl")

    def plan(self, run: str) -> Plan:
        return read_json(self.folder / "results" / run / "plan.json", Plan)

    def accept(self, run: str) -> None:
        results, baselines = self.folder / "results", self.folder / "baselines"
        arguments = ["--results", results, "--baselines", baselines, "--yes", "--force"]
        command = ["baseline", "accept", run, "--reason", "test", *map(str, arguments)]
        assert bench_main(command) == 0
