"""Runs killed by SIGKILL at random times and resumed: ``tox run -e kills``.

A grid of small cells is trained once without a kill. Then runs of the same are started, killed within
the time that the first one took, and resumed until they end. No line that was whole at a kill may be
lost or altered, no replica lost or repeated, and every digest is that of the first run.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.results.files import read_json
from bench.results.plan import Plan
from bench.results.record import RECORDS, Replica
from support.main_jobs import FAULTY_PATH, Job

#: Four cells under three seeds, of two workers.
CHOSEN = ("suites/test_clipping.py", "--axis", "depth=3", "-k", "clip:norm", "--workers", "2")
#: Half a second for each replica.
STAND_IN = {"PYTHONPATH": FAULTY_PATH, "FAULTY_SLEEP_SEC": "0.5"}
NEWLINE = b"\n"


class Runs:
    """Runs of :data:`CHOSEN` in a folder.

    Args:
        folder: an empty one.
        chance: of when a run is killed, and whether its processes are killed with it.
        variables: of its processes' environment.
    """

    def __init__(self, folder: Path, chance: random.Random, variables: dict[str, str]) -> None:
        self._job = Job(folder, variables)
        self._chance = chance
        begin = time.monotonic()
        self._code = self._start("first").wait()
        self.duration_sec = time.monotonic() - begin
        assert self._code in (0, 1), f"the run without a kill ended with {self._code}"
        self._digests = self._whole("first")

    def killed(self, name: str) -> int:
        """How often a run was killed before it ended; AssertionError if anything went wrong."""
        kills, kept = 0, b""
        path = self._job.folder / "results" / name / RECORDS.file
        while True:
            process = self._start(name, *(["--resume"] if path.parent.exists() else []))
            # On a machine that has become slower a run still ends at last.
            if self._ended(process, self.duration_sec * (1 + kills / 5)):
                break
            kills += 1
            content = path.read_bytes() if path.exists() else b""
            content = content[: content.rfind(NEWLINE) + 1]
            assert content.startswith(kept), f"{name}: kill {kills} lost or altered a record"
            kept = content
            print(f"{name}: killed behind {kept.count(NEWLINE)} records", flush=True)
        assert path.read_bytes().startswith(kept), f"{name}: the end lost or altered a record"
        assert self._whole(name) == self._digests, f"{name}: other digests"
        return kills

    def _start(self, name: str, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pytest", *self._job.arguments(*CHOSEN, "--run", name)]
        return subprocess.Popen(
            [*command, *more],
            cwd=self._job.folder,
            env=self._job.variables(),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _ended(self, process: subprocess.Popen[bytes], most_sec: float) -> bool:
        """Whether it ended by itself within a time of chance; it is killed otherwise."""
        try:
            code = process.wait(self._chance.uniform(0, most_sec))
        except subprocess.TimeoutExpired:
            alone = self._chance.random() < 0.5  # its workers then end by themselves
            (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
            process.wait()
            return False
        assert code == self._code, f"a run ended with {code}, the first one with {self._code}"
        return True

    def _whole(self, name: str) -> dict[Replica, str]:
        """Digests of a run that has every replica once."""
        folder = self._job.folder / "results" / name
        records = RECORDS.read(folder / RECORDS.file)
        planned = read_json(folder / "plan.json", Plan).replicas()
        assert Counter(record.key for record in records) == Counter(planned), f"{name}: replicas"
        return {record.key: record.digest for record in records}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--stand-in", action="store_true", help="training processes without TensorFlow, which wait"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder), random.Random(chosen.seed), STAND_IN if chosen.stand_in else {})
        kills = number = 0
        while kills < chosen.kills:
            number += 1
            kills += runs.killed(f"r{number}")
            print(f"{number} runs, {kills} kills", flush=True)
    print(f"{number} runs were killed {kills} times: nothing lost or repeated, digests equal")


if __name__ == "__main__":
    main()
