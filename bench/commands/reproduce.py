"""The command ``bench reproduce``."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.options import RESULTS, Results
from bench.errors import EXIT_OK, EXIT_UNDECIDED, BenchError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from bench.results.timings import Side
    from bench.results.upgrade import Measured, SideFacts


def reproduce(
    run: str,
    cell: str,
    /,
    *,
    output: Path | None = None,
    old_python: str = "",
    new_python: str = "",
    trust: bool = False,
    results: Results = RESULTS,
) -> int:
    """Writes the script of one cell of an upgrade, or of a contract that one side breaks, runs it on
    both sides and says what it shows.

    Args:
        run: what bench upgrade wrote: a folder, a name below --results, or 'latest'
        cell: GRID/ID, its id, or a part of it; or the id of a contract
        output: write the script here
        old_python: run it by this interpreter, not by the one that the folder names for the old side
        new_python: the same of the new side
        trust: start the programs that a folder names which was not made here by you
    """
    from bench.cells.selection import find_cell
    from bench.jobs.reproducers import contracts, script_path, write_broken, write_reproducer
    from bench.results.find import find_folder
    from bench.results.upgrade import read_upgrade
    from bench.verdict.conclusion import of_upgrade

    folder = find_folder(run, results, "upgrade")
    measured = read_upgrade(folder)
    sides = started(measured, {"old": old_python, "new": new_python}, trust=trust)
    found = dataclasses.replace(of_upgrade(measured), sides=sides)
    judgements = {f"{one.item.grid}/{one.item.id}": one for one in found.judgements}
    broken = {one.check.id: one for one in contracts(found)}
    known: dict[str, Hashable] = {name: one.item.cell for name, one in judgements.items()}
    known |= {name: one.check for name, one in broken.items()}
    if cell in {check.id for check in found.run.plan.checks} - broken.keys():
        raise BenchError(
            f"{cell}: no side breaks it, or both do, so a script would show no difference",
            hint=f"bench show {cell} {folder}",
        )
    name = find_cell(cell, known, where=f"in {folder}", noun="subject")
    path = output or script_path(found, judgements.get(name) or broken[name])
    if name in broken:
        shown = write_broken(found, broken[name], path)
    else:
        shown = write_reproducer(found, judgements[name], path)
    print(f"{path}\n{shown.reason}")
    return EXIT_OK if shown.shown else EXIT_UNDECIDED


def started(
    measured: Measured, pythons: Mapping[Side, str], *, trust: bool
) -> dict[Side, SideFacts]:
    """The interpreters and variables that scripts are run with.

    Args:
        measured: the upgrade.
        pythons: interpreters that the user named, empty where none was; these run without variables.
        trust: whether the user trusts the folder.

    Raises:
        BenchError: the folder names a program, was not made here by this user, and is not trusted.
    """
    from bench.environments.requirements import parse_side
    from bench.results.upgrade import SideFacts

    sides = {
        side: SideFacts(label=python, python=parse_side(python=python).python, lock="")
        if python
        else measured.sides[side]
        for side, python in pythons.items()
    }
    named = [sides[side] for side, python in pythons.items() if not python]
    if named and not (trust or measured.ours):
        commands = [
            shlex.join(
                [*(f"{name}={value}" for name, value in facts.variables.items()), facts.python]
            )
            for facts in named
        ]
        listed = "".join(f"\n     {ascii(command)[1:-1]} SCRIPT" for command in commands)
        raise BenchError(
            f"{measured.path}: was not measured here by you, and names programs to start:{listed}",
            hint="--trust starts them; --old-python and --new-python name others; or measure the "
            "upgrade here",
        )
    return sides
