"""Blame: what was found out of a finding's cause - packages, releases, remedies - as ``blame.json``
keeps it beside an upgrade's other files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.results.files import pretty, read_json, write_atomically

SCHEMA = 1
BLAME = "blame.json"


class Cause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Differences between the sides that make the finding together."""

    parts: list[str]
    """Such as ``keras 2.15.0 -> 3.3.3``; several only if no test can tell them apart."""
    together: list[str] = []
    """What must be as in NEW, too, or nothing changes."""
    inseparable: list[str] = []
    """What must be as in NEW, too, as versions do not go together without it."""


class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One release that was probed."""

    version: str
    seen: str
    """``same``, ``changed`` or ``untestable``."""
    detail: str = ""
    """What it shows: numbers, an error, why it cannot be tested."""


class Pair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Neighbouring releases between which the finding comes."""

    before: str
    after: str
    comes: bool = True
    """False where it goes away again."""
    between: dict[str, str] = {}
    """Releases in the gap that could not be tested, with the reason."""
    drift: list[str] = []
    """What else differs between the two environments, as the package's requirements move it."""


class Remedy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that might avoid the finding, tried out on NEW."""

    pins: list[str] = []
    """Requirements, as lines of a constraints file."""
    variables: dict[str, str] = {}
    avoids: bool
    detail: str = ""


class Blame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one finding's cause."""

    finding: str
    outcome: str
    """``found``: a pair of releases; ``attributed``: causes, and no release; else why there are none,
    as :class:`bench.search.bisection.Outcome` has it, or ``same``: nothing differs, ``time``: it is
    up."""
    reason: str = ""
    """One line where there is no pair: what stands in the way."""
    old: str = ""
    """What OLD shows."""
    new: str = ""
    mended: bool = False
    """Whether NEW is right, and OLD was not."""
    differences: list[str] = []
    """All in which the sides differ."""
    causes: list[Cause] = []
    package: str = ""
    """Whose releases were searched."""
    releases: list[Release] = []
    """Those probed, in the order of the chain."""
    skipped: dict[str, str] = {}
    """Releases that are of no use, with the reason."""
    pairs: list[Pair] = []
    changelog: str = ""
    """The address where the package tells of its releases."""
    remedies: list[Remedy] = []
    known: list[str] = []
    """Reports of it that are known."""
    locks: list[str] = []
    """Of the two environments of the first pair; of OLD and NEW without one."""
    machine: dict[str, str] = {}
    script: str = ""
    """Path of a script that shows it."""
    issue: str = ""
    """Path of a text for the package's developers."""
    environments: int = 0
    """How many were asked, OLD and NEW included."""
    total_sec: float = 0.0

    @property
    def found(self) -> bool:
        """Whether it is blamed on a pair of releases."""
        return bool(self.pairs)


class Blames(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``blame.json``."""

    schema: int = SCHEMA
    blames: list[Blame] = []

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, and this version reads schema {SCHEMA}")


def read_blames(folder: Path) -> list[Blame]:
    """What a folder holds; nothing if nothing was asked.

    Raises:
        BenchError: the file is damaged or of another schema.
    """
    path = folder / BLAME
    return read_json(path, Blames).blames if path.exists() else []


def write_blame(folder: Path, blame: Blame) -> None:
    """Adds what is known of a finding, in place of what was known of it before.

    Raises:
        BenchError: the disk is full, or what is there is damaged.
    """
    others = [one for one in read_blames(folder) if one.finding != blame.finding]
    write_atomically(folder / BLAME, pretty(Blames(blames=[*others, blame])))
