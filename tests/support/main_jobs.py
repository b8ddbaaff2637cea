"""Main jobs in processes of their own."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

import bench
from bench.commands.main import main as bench_main
from bench.results.copy_result import COPIES, CopyResult
from bench.results.files import read_json
from bench.results.plan import Plan
from bench.results.record import RECORDS, Record
from support.faults import FAULTY
from support.forked import Forked

REPOSITORY = Path(__file__).resolve().parents[2]

#: PYTHONPATH of faulty training processes: what makes them so, what that imports, and the ``bench``
#: that is tested, which may not be the one that is installed.
FAULTY_PATH = os.pathsep.join(
    str(folder) for folder in (FAULTY, FAULTY.parents[1], Path(bench.__file__).parents[1])
)


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
    python: str = sys.executable
    """Of training processes."""

    def __post_init__(self) -> None:
        (self.folder / "baselines").mkdir(exist_ok=True)

    def arguments(self, *arguments: str) -> list[str]:
        """Those of pytest: for all suites, unless they name some, as in ``suites/test_depth.py``."""
        named = [one for one in arguments if one.startswith("suites/")]
        return [
            *("-p", "no:cacheprovider", "--benchmark-skip"),
            # Hypothesis is these tests' own, and its plugin imports it at the end of a session.
            *("-p", "no:hypothesispytest"),
            *(str(REPOSITORY / one) for one in named or ["suites"]),
            *("--results", "results", "--baselines", "baselines"),
            *self.options,
            *(one for one in arguments if one not in named),
        ]

    def variables(self, **more: str) -> dict[str, str]:
        """Those of the job's environment, and of the training processes that it starts."""
        return {**os.environ, **self.environment, "JOB_FOLDER": str(self.folder), **more}

    def start(self, *arguments: str, **environment: str) -> Forked:
        words, variables = self.arguments(*arguments), self.variables(**environment)
        return Forked.start(words, self.folder, variables, self.python)

    def run(self, *arguments: str, expect: int = 0, **environment: str) -> str:
        code, output = self.start(*arguments, **environment).wait()
        assert code == expect, output
        return output

    def trainers(self) -> list[psutil.Process]:
        """Training processes of the job that are alive, wherever they work."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "environ"])
            if "bench.execution.trainer" in (process.info["cmdline"] or [])
            and (process.info["environ"] or {}).get("JOB_FOLDER") == str(self.folder)
        ]

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
