"""What ``bench reproduce`` does, and scripts of upgrades. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import difflib
import math
import re
from pathlib import Path

import msgspec

from bench.errors import EXIT_OK, EXIT_UNDECIDED, BenchError
from bench.jobs.reproduce import Reproduction, check, steps_to_show
from bench.report.reproducer.script import script
from bench.results.files import write_atomically
from bench.results.find import is_upgrade
from bench.results.plan import Item
from bench.results.upgrade import SideFacts, read_upgrade
from bench.verdict.conclusion import Conclusion, of_upgrade
from bench.verdict.judgement import Judgement, Verdict

#: Each takes half a minute: three seeds on two sides.
MOST_REPRODUCERS = 3
#: Of one run of a script: it imports TensorFlow and takes some hundred steps at most.
SCRIPT_SEC = 120.0


def script_path(found: Conclusion, judgement: Judgement) -> Path:
    return found.folder / "reproducers" / f"{slug(judgement.item.id)}.py"


def write_reproducers(found: Conclusion) -> dict[Item, str]:
    """Scripts that show what changed, one for each of the first groups of changed cells and crashes:
    written below the upgrade's folder, run on both sides, and kept if they show it.

    Returns:
        their paths, by the cell that each is made for.
    """
    from bench.report.upgrade.changes import changed_groups

    groups = [judgements for _, judgements in changed_groups(found)]
    crashed = {j.item.cell: j for j in found.failing if j.verdict is Verdict.CRASHED}
    groups += [[judgement] for judgement in crashed.values()]
    scripts: dict[Item, str] = {}
    for judgements in groups[:MOST_REPRODUCERS]:
        chosen = min(judgements, key=_plainest)
        path = script_path(found, chosen)
        try:
            shown = write_reproducer(found, chosen, path)
        except BenchError as error:
            print(f"no script for {chosen.item.grid}/{chosen.item.id}: {error}")
            continue
        print(f"{path}: {shown.reason}")
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
    text = script(judgement, seed=0, steps=steps_to_show(judgement), versions=(one, other))
    write_atomically(path, text.encode())
    if found.run.plan.device == "cpu":  # TensorFlow takes a GPU where it sees one
        sides = {side: _without_gpu(facts) for side, facts in sides.items()}
    return check(path, old=sides["old"], new=sides["new"], timeout_sec=SCRIPT_SEC)


def _without_gpu(facts: SideFacts) -> SideFacts:
    variables = {"CUDA_VISIBLE_DEVICES": "-1", **facts.variables}
    return msgspec.structs.replace(facts, variables=variables)


def reproduce(arguments: argparse.Namespace) -> int:
    """Writes the script of one cell of an upgrade, runs it on both sides and says what it shows."""
    folder = arguments.upgrade
    for path in (folder, arguments.results / folder):
        if is_upgrade(path):
            folder = path
            break
    else:
        raise BenchError(
            f"no upgrade {str(folder)!r}: neither a folder nor a name below {arguments.results}/",
            hint="name what `bench upgrade` wrote: a script needs both environments",
        )
    found = of_upgrade(read_upgrade(folder))
    names = {f"{j.item.grid}/{j.item.id}": j for j in found.judgements}
    matching = [name for name in names if arguments.cell in (name, name.partition("/")[2])]
    matching = matching or [name for name in names if arguments.cell in name]
    if not matching:
        close = difflib.get_close_matches(arguments.cell, names, n=1)
        hint = f"did you mean {close[0]}?" if close else "the report names the cells"
        raise BenchError(f"no cell {arguments.cell!r} in {folder}", hint=hint)
    cells = {names[name].item.cell for name in matching}
    if len(cells) > 1:
        raise BenchError(
            f"{arguments.cell!r} is part of {len(matching)} cells' names",
            hint=f"name one of them: {', '.join(matching[:3])}, ...",
        )
    judgement = names[matching[0]]
    path = arguments.output or script_path(found, judgement)
    shown = write_reproducer(found, judgement, path)
    print(f"{path}\n{shown.reason}")
    return EXIT_OK if shown.shown else EXIT_UNDECIDED


def slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")
