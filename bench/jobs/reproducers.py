"""Scripts of an upgrade: which changes get one, written below its folder and run on both sides."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.jobs.reproduce import Reproduction, check, steps_to_show
from bench.report.reproducer.own_model import own_script
from bench.report.reproducer.script import script
from bench.results.files import read_json, write_atomically, write_below
from bench.results.own_model import DESCRIPTION, FOLDER, Description
from bench.results.plan import Item
from bench.results.upgrade import SideFacts
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement, Verdict

#: Number of scripts of an upgrade at most; each takes half a minute, for three seeds on two sides.
MOST = 3
#: The limit of one run of a script: it imports TensorFlow and takes some hundred steps at most.
SCRIPT_SEC = 120.0


def script_path(found: Conclusion, judgement: Judgement) -> Path:
    """Path of the script of a cell."""
    return found.folder / "reproducers" / f"{slug(judgement.item.id)}.py"


def slug(text: str) -> str:
    """The text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:200]


def kept_scripts(found: Conclusion) -> dict[Item, str]:
    """Paths of the scripts that an upgrade's folder holds, by the cell that each is made for."""
    paths = {judgement.item: script_path(found, judgement) for judgement in found.failing}
    return {item: str(path) for item, path in paths.items() if path.exists()}


def write_reproducers(found: Conclusion, say: Callable[[str], None]) -> dict[Item, str]:
    """Scripts that show what changed, one for each of the first groups of changed cells and crashes:
    written below the upgrade's folder, run on both sides, and kept if they show it.

    Args:
        found: the judged upgrade.
        say: shows a line, as scripts take minutes.

    Returns:
        their paths, by the cell that each is made for.
    """
    groups = [group.judgements for group in found.groups]
    crashed = {j.item.cell: j for j in found.failing if j.verdict is Verdict.CRASHED}
    groups += [(judgement,) for judgement in crashed.values()]
    scripts: dict[Item, str] = {}
    for judgements in groups[:MOST]:
        chosen = min(judgements, key=_plainest)
        path = script_path(found, chosen)
        try:
            shown = write_reproducer(found, chosen, path)
        except BenchError as error:
            say(f"no script for {chosen.item.grid}/{chosen.item.id}: {error}")
            continue
        say(f"{path}: {shown.reason}")
        if shown.shown:
            scripts[chosen.item] = str(path)
        else:
            path.unlink()
    return scripts


def _plainest(judgement: Judgement) -> tuple[float, int, int]:
    """Orders a group's cells: the one whose change shows first, in the smallest network."""
    test, cell = judgement.envelope, judgement.item.cell
    first = math.inf if test is None or test.first_step is None else test.first_step
    return first, cell.depth, cell.steps


def write_reproducer(found: Conclusion, judgement: Judgement, path: Path) -> Reproduction:
    """Writes the script of one cell, and runs it on both sides, on the device where it was trained.

    Raises:
        BenchError: no script can show what was found, or a side's interpreter is gone.
    """
    sides = found.sides
    one, other = (run.environment.software["tensorflow"] for run in found.both)
    steps, versions = steps_to_show(judgement), (one, other)
    if judgement.item.cell.model:
        place = found.folder / FOLDER
        told = read_json(place / DESCRIPTION, Description)
        text = own_script(judgement, told, place, steps=steps, versions=versions)
    else:
        text = script(judgement, seed=0, steps=steps, versions=versions)
    if path == script_path(found, judgement):
        write_below(found.folder, str(path.relative_to(found.folder)), text.encode())
    else:
        write_atomically(path, text.encode())
    if found.run.plan.device == "cpu":  # TensorFlow takes a GPU where it sees one
        sides = {side: _without_gpu(facts) for side, facts in sides.items()}
    return check(path, old=sides["old"], new=sides["new"], timeout_sec=SCRIPT_SEC)


def _without_gpu(facts: SideFacts) -> SideFacts:
    variables = {"CUDA_VISIBLE_DEVICES": "-1", **facts.variables}
    return msgspec.structs.replace(facts, variables=variables)
