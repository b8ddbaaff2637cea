"""Runs as commands find them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.commands import main as cli
from bench.results.find import UPGRADE
from bench.results.run import StoredRun
from support.builders import healthy, replaced, write


def results(name: str) -> Path:
    return Path("results") / name


def worse(run: StoredRun, depth: int, by: float = 0.05) -> StoredRun:
    """The run with a planted loss of accuracy, and so other digests."""
    records = {
        key: msgspec.structs.replace(
            record, test_accuracy=(record.test_accuracy or 0) - by, digest=f"worse{key.seed}"
        )
        if key.cell.depth == depth
        else record
        for key, record in run.records.items()
    }
    return replaced(run, records=records)


def accepted(run: StoredRun) -> None:
    assert cli.main(["baseline", "accept", str(run.path), "--yes", "--reason", "first"]) == 0


def upgraded(name: str) -> Path:
    """The folder of an upgrade, as far as it is looked for."""
    write(healthy(results(name) / "new"))
    (results(name) / UPGRADE).write_text("{}")
    return results(name)
