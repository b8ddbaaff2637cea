"""Live comparison: what tripped in a run, measured again in processes of both versions in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from bench.results.bounds import Name
from bench.results.files import read_json
from bench.results.kind import Crash
from bench.results.pace import Pace, Quantity
from bench.results.timings import MOST_ROUNDS, Round, Side

#: Name in a run's folder.
LIVE = "live.json"
SCHEMA = 1


class Compared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One quantity of one pace, on both sides."""

    pace: Pace
    quantity: Quantity
    rounds: Annotated[list[Round], Meta(max_length=MOST_ROUNDS)] = []
    """Values of each process, shape (blocks, 4, 2): old, new, old, new. Of a step two bursts; of what a
    process shows once, the same number twice."""
    crashes: dict[Side, Crash] = {}


class Live(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``live.json``."""

    schema: int = SCHEMA
    sides: dict[Side, Name]
    """What each side was asked for."""
    compared: list[Compared]

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")


def read_live(path: Path) -> Live | None:
    """The live comparison that a file keeps; None if there was none.

    Raises:
        BenchError: it is damaged.
    """
    return read_json(path, Live) if path.exists() else None
