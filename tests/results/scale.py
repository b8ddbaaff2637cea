"""A million records: seconds and memory of ``bench report`` and ``bench compare``.

    PYTHONPATH=tests python tests/results/scale.py --records 1000000

Two runs of all cells of the full tier are made up, with as many seeds as give that many records; in the
second one every tenth cell has other bits. Targets are those of a million on two cores: 30 s and 2 GB
for a report, 60 s and 3 GB for a comparison.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import psutil

from bench.cells.cell import Cell
from bench.cells.grids import GRIDS
from bench.results.files import pretty
from bench.results.flow import Flow
from bench.results.plan import Item, Plan
from bench.results.record import RECORDS
from bench.results.run import ENVIRONMENT, PLAN
from support.builders import environment, plan, trained

TIER = "full"
COMMAND = "import sys; from bench.commands.main import main; sys.exit(main())"


def full_plan(seeds: int) -> Plan:
    """Every cell of the tier in each of its grids."""
    found = [
        Item(grid=grid.name, id=id_, cell=cell)
        for grid in GRIDS.values()
        for id_, cell in grid.cells(TIER).items()
    ]
    return plan(found, seeds=range(seeds), tier=TIER, selected=True)


def write_run(folder: Path, of: Plan, *, other: int = 0) -> int:
    """Writes a run of a plan, with numbers drawn at random; how many records it has.

    Args:
        folder: made.
        of: what to write.
        other: every so many cells have other bits; 0: none.
    """
    folder.mkdir()
    (folder / PLAN).write_bytes(msgspec.json.encode(of))
    (folder / ENVIRONMENT).write_bytes(pretty(environment()))
    written = 0
    with (folder / RECORDS.file).open("wb") as file:
        for number, cell in enumerate(of.names()):
            random = np.random.default_rng(number)
            salt = "other" if other and number % other == 0 else ""
            for seed in of.seeds:
                record = trained(cell, seed, salt=salt, trajectory=b"")
                flows = {when: _drawn(cell, random) for when in ("start", "end")}
                file.write(RECORDS.encode(msgspec.structs.replace(record, **flows)))
                written += 1
    return written


def _drawn(cell: Cell, random: np.random.Generator) -> Flow:
    lists = random.uniform(0.1, 1.0, (6, cell.depth)).tolist()
    names = Flow.__struct_fields__
    single = random.uniform(0.1, 1.0, 6).tolist()
    return Flow(**dict(zip(names[:12], [*lists, *single], strict=True)))


def measured(*arguments: str) -> tuple[float, float, float, float]:
    """Seconds, seconds of the processor, and the largest memory in MB of a command of bench: of its
    process, and of all its processes at one time."""
    begin, together = time.perf_counter(), 0
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.DEVNULL
    )
    ended = status = 0
    while not ended:
        time.sleep(0.1)
        together = max(together, _resident(process.pid))
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
    seconds, code = time.perf_counter() - begin, os.waitstatus_to_exitcode(status)
    assert code in (0, 1, 3), f"bench {' '.join(arguments)} ended with {code}"
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, together / 1e6


def _resident(pid: int) -> int:
    """Bytes in memory of a process and of all that it started; what they share counts once."""
    try:
        process = psutil.Process(pid)
        every = (process, *process.children(recursive=True))
        return sum(each.memory_full_info().pss for each in every)
    except psutil.Error:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    chosen = parser.parse_args()
    cells = len(full_plan(1).names())
    of = full_plan(max(chosen.records // cells, 1))
    with tempfile.TemporaryDirectory() as name:
        old, new = Path(name, "old"), Path(name, "new")
        written = write_run(old, of), write_run(new, of, other=10)
        size = sum((folder / RECORDS.file).stat().st_size for folder in (old, new)) / sum(written)
        print(f"{written[0]} records of {cells} cells, {size:.0f} bytes each", flush=True)
        for arguments in (("report", str(new)), ("compare", str(old), str(new))):
            seconds, used, alone, together = measured(*arguments)
            print(
                f"bench {arguments[0]}: {seconds:.1f} s, {used:.1f} s of the processor, "
                f"{alone:.0f} MB, {together:.0f} MB with the processes that help",
                flush=True,
            )


if __name__ == "__main__":
    main()
