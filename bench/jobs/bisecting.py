"""The job behind ``bench bisect`` and ``bench upgrade --automatic``: causes of findings, written beside
an upgrade's other files as they are found."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import mnist
from bench.cells.grid import TIERS
from bench.environments import releases
from bench.environments.inspection import changelog
from bench.environments.interpreters import probe
from bench.environments.prepare import Built, prepare
from bench.environments.requirements import Side as Requested
from bench.errors import BenchError
from bench.execution.cluster import Placement
from bench.jobs.asking import Asking
from bench.jobs.blame import Investigation
from bench.jobs.findings import Finding, known_reports
from bench.jobs.own_model import still_the_same
from bench.jobs.probing import Processes
from bench.jobs.reproducers import slug, write_contract, write_reproducer
from bench.jobs.upgrade import facts
from bench.report.issue import issue
from bench.results import own_model
from bench.results.blame import Blame, write_blame
from bench.results.files import read_json, write_atomically
from bench.results.timings import SIDES, Side
from bench.results.upgrade import SideFacts
from bench.results.writer import new_run_name

#: Below an upgrade's folder: runs and models of what was asked, a folder for each time.
FOLDER = "bisect"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user chose."""

    folder: Path
    """Where ``blame.json`` is written; what is measured lies in ``bisect`` below it."""
    cache: Path
    """Where environments are kept."""
    placement: Placement
    python: str = ""
    """The Python that environments are built with; empty: OLD's."""
    over: str = ""
    every: bool = False
    limit_sec: float | None = None
    data_dir: Path | None = None


class Index:
    """Environments that uv builds from the package index, and its releases.

    Args:
        python: a Python such as ``3.11``, or the path of an interpreter, to build with.
        version: of that Python, such as ``3.11.7``.
        cache: where environments are kept.
        say: receives a line about each step that takes time.
    """

    def __init__(self, python: str, version: str, cache: Path, say: Callable[[str], None]) -> None:
        self._python, self._version, self._cache, self._say = python, version, cache, say

    def build(self, side: Requested) -> Built:
        (built,) = prepare([side], cache=self._cache, python=self._python, say=self._say)
        return built

    def chain(self, package: str, old: str, new: str) -> releases.Chain:
        return releases.chain(package, old, new, python=self._version)

    def changelog(self, built: Built, package: str) -> str:
        return changelog(str(built.python), package)


def side_again(known: SideFacts) -> Requested:
    """A side of a stored upgrade: its interpreter if that is still there, or what was installed."""
    if Path(known.python).exists():
        return Requested(python=known.python, variables=known.variables)
    return Requested(requirements=tuple(known.lock.split()), variables=known.variables)


def bisect_findings(
    findings: Sequence[Finding],
    built: Mapping[Side, Built],
    variables: Mapping[Side, Mapping[str, str]],
    options: Options,
    *,
    say: Callable[[str], None],
) -> list[Blame]:
    """What each finding is blamed on, in the order in which they are given.

    Args:
        findings: what is asked about.
        built: both environments.
        variables: that were asked for on either side.
        options: the user's choices.
        say: receives a line about each step that takes time.

    Raises:
        BenchError: nothing can be searched; what was found until then is on disk.
    """
    old, new = (built[side] for side in SIDES)
    own = _own(options.folder) if any(finding.is_own for finding in findings) else None
    folder = options.folder / FOLDER / new_run_name("asked")  # other findings have other plans
    prober = Processes(
        findings,
        old,
        folder=folder,
        data=mnist.load(directory=options.data_dir),
        placement=options.placement,
        seeds=range(TIERS["quick"].seeds) if own is None else own.seeds,
        own="" if own is None else str((options.folder / own_model.FOLDER).absolute()),
    )
    version = probe(options.python or str(old.python)).version
    python = options.python or ".".join(version.split(".")[:2])
    begin = time.monotonic()
    ends_sec = None if options.limit_sec is None else begin + options.limit_sec
    asking = Asking(prober, Index(python, version, options.cache, say), say=say, ends_sec=ends_sec)
    asked_for = [variables.get(side, {}) for side in SIDES]
    investigation = Investigation(old, new, variables=asked_for, asking=asking)
    blames = []
    for finding in findings:
        blame = investigation.blame(finding, over=options.over, every=options.every)
        before, after = investigation.neighbours
        known = known_reports(finding, [before.lock, after.lock])
        blame = msgspec.structs.replace(blame, known=known)
        if blame.found and not blame.rounding:
            script = _script(finding, prober, before, after, options, say)
            blame = msgspec.structs.replace(blame, script=script)
        if (blame.found or blame.causes) and not (blame.mended or blame.rounding):
            path = options.folder / "issues" / f"{slug(finding.name)}.md"
            write_atomically(path, issue(blame, finding.check, own=finding.is_own).encode())
            blame = msgspec.structs.replace(blame, issue=str(path))
        write_blame(options.folder, blame)
        blames.append(blame)
    return blames


def _own(folder: Path) -> own_model.Description:
    """The user's model of an upgrade.

    Raises:
        BenchError: there is none, or its file is another one by now.
    """
    told = read_json(folder / own_model.FOLDER / own_model.DESCRIPTION, own_model.Description)
    still_the_same(told)
    return told


def _script(
    finding: Finding,
    prober: Processes,
    before: Built,
    after: Built,
    options: Options,
    say: Callable[[str], None],
) -> str:
    """A script that shows a cell's change, or a contract broken, between two environments; empty if
    none does."""
    path = options.folder / "reproducers" / f"{slug(finding.name)}-releases.py"
    found, result = prober.conclusions.get(after.key), prober.results.get((after.key, finding.name))
    sides: dict[Side, SideFacts] = {
        "old": facts(before, before.variables),
        "new": facts(after, after.variables),
    }
    try:
        if found is not None and finding.item is not None:
            found = dataclasses.replace(found, sides=sides)
            (judgement,) = [one for one in found.judgements if one.item == finding.item]
            model = options.folder / own_model.FOLDER
            shown = write_reproducer(found, judgement, path, model=model)
        elif result is not None and result.check.is_contract and result.wrong:
            kept, broken = sides.values()
            device = options.placement.device
            shown = write_contract(result, path, kept=kept, broken=broken, device=device)
        else:
            return ""
    except BenchError as error:
        say(f"no script for {finding.name}: {error}")
        return ""
    say(f"{path}: {shown.reason}")
    if not shown.shown:
        path.unlink()
        return ""
    return str(path)
