"""Blame: what was found out of a finding's cause - packages, releases, remedies - as ``blame.json``
keeps it beside an upgrade's other files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from bench.results.bounds import Count, Name, Seconds, Text
from bench.results.files import pretty, read_json, write_atomically

SCHEMA = 1
BLAME = "blame.json"


class Cause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Differences between the sides that make the finding together."""

    parts: list[Text]
    """Such as ``keras 2.15.0 -> 3.3.3``; several only if no test can tell them apart."""
    together: list[Text] = []
    """What must be as in NEW, too, or nothing changes."""
    inseparable: list[Text] = []
    """What must be as in NEW, too, as versions do not go together without it."""


class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One release that was probed."""

    version: Name
    seen: Literal["same", "changed", "untestable"]
    detail: Text = ""
    """What it shows: numbers, an error, why it cannot be tested."""


class Pair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Neighbouring releases between which the finding comes."""

    before: Name
    after: Name
    comes: bool = True
    """False where it goes away again."""
    between: dict[Name, Text] = {}
    """Releases in the gap that could not be tested, with the reason."""
    drift: list[Text] = []
    """What else differs between the two environments, as the package's requirements move it."""


class Since(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where another cause than the first comes from, searched with the first as in OLD."""

    package: Name
    outcome: Name
    """As of a :class:`Blame`."""
    reason: Text = ""
    pairs: list[Pair] = []
    changelog: Name = ""


class Remedy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that might avoid the finding, tried out on NEW."""

    pins: list[Name] = []
    """Requirements, as lines of a constraints file."""
    variables: dict[Name, Name] = {}
    avoids: bool
    detail: Text = ""


class Blame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one finding's cause."""

    finding: Name
    outcome: Name
    """``found``: a pair of releases; ``attributed``: causes, and no release; else why there are none,
    as :class:`bench.search.bisection.Outcome` has it, or ``same``: nothing differs, ``time``: it is
    up."""
    reason: Text = ""
    """One line where there is no pair: what stands in the way."""
    old: Text = ""
    """What OLD shows."""
    new: Text = ""
    mended: bool = False
    """Whether NEW is right, and OLD was not."""
    rounding: bool = False
    """Whether NEW differs by rounding alone: its bits are others, and nothing is wrong."""
    differences: list[Text] = []
    """All in which the sides differ."""
    causes: list[Cause] = []
    package: Name = ""
    """Whose releases were searched."""
    releases: list[Release] = []
    """Those probed, in the order of the chain."""
    skipped: dict[Name, Text] = {}
    """Releases that are of no use, with the reason."""
    pairs: list[Pair] = []
    changelog: Name = ""
    """The address where the package tells of its releases."""
    others: list[Since] = []
    """Of the causes after the first that are packages, in their order."""
    remedies: list[Remedy] = []
    known: list[Text] = []
    """Reports of it that are known."""
    locks: list[Text] = []
    """Of the two environments of the first pair; of OLD and NEW without one."""
    machine: dict[Name, Name] = {}
    script: Name = ""
    """Path of a script that shows it."""
    issue: Name = ""
    """Path of a text for the package's developers."""
    environments: Count = 0
    """How many were asked, OLD and NEW included."""
    total_sec: Seconds = 0.0

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
