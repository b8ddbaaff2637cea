"""Scripts of an upgrade: which changes get one, written below its folder and run on both sides."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.environments.requirements import lock_versions
from bench.errors import BenchError
from bench.jobs.reproduce import (
    Reproduction,
    check,
    check_contract,
    steps_to_show,
)
from bench.report.reproducer import Scripts
from bench.report.reproducer.contracts.script import contract_script
from bench.report.reproducer.own_model import own_script
from bench.report.reproducer.script import script
from bench.results.check import Check, CheckResult
from bench.results.files import read_json, write_atomically, write_below
from bench.results.own_model import DESCRIPTION, FOLDER, Description
from bench.results.plan import Item
from bench.results.upgrade import SideFacts
from bench.verdict.conclusion import Conclusion
from bench.verdict.contrast import CheckContrast, Wrong
from bench.verdict.judgement import Judgement, Verdict

#: Number of scripts of an upgrade at most; each takes half a minute, for three seeds on two sides.
MOST = 3
#: The limit of one run of a script: it imports TensorFlow and takes some hundred steps at most.
SCRIPT_SEC = 120.0


def script_path(found: Conclusion, shown: Judgement | CheckContrast) -> Path:
    """Path of the script of a cell or a contract."""
    id_ = shown.item.id if isinstance(shown, Judgement) else shown.check.id
    return found.folder / "reproducers" / f"{slug(id_)}.py"


def slug(text: str) -> str:
    """The text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:200]


def kept_scripts(found: Conclusion) -> Scripts:
    """Paths of the scripts that an upgrade's folder holds, by the cell or check that each is made
    for."""
    paths: dict[Item | Check, Path] = {}
    paths |= {judgement.item: script_path(found, judgement) for judgement in found.failing}
    paths |= {contrast.check: script_path(found, contrast) for contrast in contracts(found)}
    return {shown: str(path) for shown, path in paths.items() if path.exists()}


def contracts(found: Conclusion) -> list[CheckContrast]:
    """Contracts that one side keeps and the other breaks."""
    return [
        contrast
        for contrast in found.checks
        if contrast.check.is_contract and contrast.wrong is not Wrong.BOTH
        if contrast.old is not None and not contrast.old.absent
    ]


def write_reproducers(found: Conclusion, say: Callable[[str], None]) -> Scripts:
    """Scripts that show what changed, one for each of the first groups of changed cells and crashes,
    and of the first contracts that are newly broken: written below the upgrade's folder, run on both
    sides, and kept if they show it.

    Args:
        found: the judged upgrade.
        say: shows a line, as scripts take minutes.

    Returns:
        their paths, by the cell or check that each is made for.
    """
    groups = [group.judgements for group in found.groups]
    crashed = {j.item.cell: j for j in found.failing if j.verdict is Verdict.CRASHED}
    groups += [(judgement,) for judgement in crashed.values()]
    scripts: dict[Item | Check, str] = {}
    for judgements in groups[:MOST]:
        chosen = min(judgements, key=_plainest)
        path = script_path(found, chosen)
        if _shown(chosen.item.name, path, lambda: write_reproducer(found, chosen, path), say):  # noqa: B023
            scripts[chosen.item] = str(path)
    broken = 0
    for contrast in contracts(found):
        if contrast.wrong is not Wrong.NEW or broken == MOST:
            continue
        path = script_path(found, contrast)
        if _shown(contrast.check.id, path, lambda: write_broken(found, contrast, path), say):  # noqa: B023
            scripts[contrast.check] = str(path)
            broken += 1
    return scripts


def _shown(
    name: str, path: Path, write: Callable[[], Reproduction], say: Callable[[str], None]
) -> bool:
    """Whether a script shows what it is made for; one that does not is not kept."""
    try:
        shown = write()
    except BenchError as error:
        say(f"no script for {name}: {error}")
        return False
    say(f"{path}: {shown.reason}")
    if not shown.shown:
        path.unlink()
    return shown.shown


def _plainest(judgement: Judgement) -> tuple[float, int, int]:
    """Orders a group's cells: the one whose change shows first, in the smallest network."""
    test, cell = judgement.envelope, judgement.item.cell
    first = math.inf if test is None or test.first_step is None else test.first_step
    return first, cell.depth, cell.steps


def write_reproducer(
    found: Conclusion, judgement: Judgement, path: Path, *, model: Path | None = None
) -> Reproduction:
    """Writes the script of one cell, and runs it on both sides, on the device where it was trained.

    Args:
        found: what the cell was found in.
        judgement: on the cell.
        path: where the script is written.
        model: folder of the user's model; None: of the upgrade's.

    Raises:
        BenchError: no script can show what was found, or a side's interpreter is gone.
    """
    sides = found.sides
    one, other = (run.environment.software["tensorflow"] for run in found.both)
    steps, versions = steps_to_show(judgement), (one, other)
    if judgement.item.cell.model:
        place = model or found.folder / FOLDER
        told = read_json(place / DESCRIPTION, Description)
        text = own_script(judgement, told, place, steps=steps, versions=versions)
    else:
        text = script(judgement, seed=0, steps=steps, versions=versions)
    _write(path, text, found.folder if path == script_path(found, judgement) else None)
    if found.run.plan.device == "cpu":  # TensorFlow takes a GPU where it sees one
        sides = {side: _without_gpu(facts) for side, facts in sides.items()}
    return check(path, old=sides["old"], new=sides["new"], timeout_sec=SCRIPT_SEC)


def write_broken(found: Conclusion, contrast: CheckContrast, path: Path) -> Reproduction:
    """Writes the script of a contract that one side keeps, and runs it on both; see
    :func:`write_contract`."""
    old, new = found.sides["old"], found.sides["new"]
    kept, broken, result = old, new, contrast.new
    if contrast.mended:
        kept, broken, result = new, old, contrast.old
    assert result is not None
    within = found.folder if path == script_path(found, contrast) else None
    device = found.run.plan.device
    return write_contract(result, path, kept=kept, broken=broken, device=device, within=within)


def write_contract(
    result: CheckResult,
    path: Path,
    *,
    kept: SideFacts,
    broken: SideFacts,
    device: str,
    within: Path | None = None,
) -> Reproduction:
    """Writes the script of a contract, and runs it where it is kept and where it is broken.

    Args:
        result: what came of it where it is broken.
        path: where the script is written.
        kept: the environment that keeps it.
        broken: the one that breaks it.
        device: where it was tested.
        within: an upgrade's folder that the script lies in; no link out of it is followed.

    Raises:
        BenchError: no script can show it, or an interpreter is gone.
    """
    if not result.deviations:
        raise BenchError(
            f"{result.check.id}: no script can show it: {result.reason or 'nothing is out'}",
            hint="the report has what the process printed last",
        )
    names = ("tensorflow", "tensorflow-cpu", "keras", "tf-keras")
    versions = [
        " ".join(f"{name} {lock[name]}" for name in names if name in lock) or "the other version"
        for lock in (lock_versions(kept.lock), lock_versions(broken.lock))
    ]
    text = contract_script(
        result.check, result.deviations[0], kept=versions[0], broken=versions[1], device=device
    )
    _write(path, text, within)
    if device == "cpu":
        kept, broken = _without_gpu(kept), _without_gpu(broken)
    return check_contract(path, kept=kept, broken=broken, timeout_sec=SCRIPT_SEC)


def _write(path: Path, text: str, within: Path | None) -> None:
    """Writes a script; within a folder, without following links."""
    if within is None:
        write_atomically(path, text.encode())
    else:
        write_below(within, str(path.relative_to(within)), text.encode())


def _without_gpu(facts: SideFacts) -> SideFacts:
    variables = {"CUDA_VISIBLE_DEVICES": "-1", **facts.variables}
    return msgspec.structs.replace(facts, variables=variables)
