"""The commands ``bench baseline accept|diff|show|check``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.commands.options import BASELINES, Baselines, Cells, EnvironmentClass, Folders, Run
from bench.errors import EXIT_OK, EXIT_TROUBLE, BenchError
from bench.jobs.shipped import refuse_shipped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.results.plan import Item
    from bench.results.run import StoredRun
    from bench.verdict.baselines.acceptance import Change
    from bench.verdict.baselines.samples import Baseline


def accept(
    run: Run,
    /,
    *,
    reason: str = "",
    reviewer: str = "",
    yes: bool = False,
    force: bool = False,
    differing: bool = False,
    folders: Folders = Folders(),
    cells: Cells = Cells(),
) -> int:
    """Shows what would change, asks, and writes.

    Args:
        reason: why these results are right
        reviewer: who says so
        yes: do not ask
        force: also accept a run of uncommitted code, of other images, without some replicas, or without
            seeds that are stored
        differing: only cells with other bits than in the baseline that serves them, and new ones
    """
    from bench.errors import count
    from bench.report.baselines import preview_text
    from bench.verdict.baselines import acceptance

    refuse_shipped(folders.baselines)
    stored, baseline, items, changes = _offer(run, folders, cells, differing=differing)
    gained = acceptance.gains(baseline, stored, items)
    seeds = acceptance.other_seeds(baseline, stored, items)
    notes = acceptance.notes(baseline, stored, items) if changes or gained or seeds else []
    print(preview_text(changes, stored, baseline, most_new=10, notes=notes))
    if not notes and not changes:
        return EXIT_OK
    if not yes:
        if not sys.stdin.isatty():
            raise BenchError(
                "nothing was accepted: nobody can be asked here", hint="add --yes to accept"
            )
        reason = reason or input("Why are these results right? ")
        answer = input(f"Accept for {stored.environment.environment_class}? [y/N] ")
        if answer.lower() not in ("y", "yes"):
            print("Nothing was accepted.")
            return EXIT_TROUBLE
    accepted = acceptance.accept(
        folders.baselines, stored, baseline, items, reason=reason, reviewer=reviewer, force=force
    )
    print(
        f"\nAccepted {count(accepted.acceptances[-1].cells, 'cell')} into "
        f"{folders.baselines / accepted.environment_class}: review the diff and commit it."
    )
    return EXIT_OK


def diff(
    run: Run,
    /,
    *,
    differing: bool = False,
    folders: Folders = Folders(),
    cells: Cells = Cells(),
) -> int:
    """Shows what accepting would change, and writes nothing.

    Args:
        differing: only cells with other bits than in the baseline that serves them, and new ones
    """
    from bench.report.baselines import preview_text
    from bench.verdict.baselines import acceptance

    stored, baseline, items, changes = _offer(run, folders, cells, differing=differing)
    notes = acceptance.notes(baseline, stored, items)
    print(preview_text(changes, stored, baseline, notes=notes))
    return EXIT_OK


def show(
    cell: str = "",
    /,
    *,
    environment_class: EnvironmentClass = "",
    baselines: Baselines = BASELINES,
) -> int:
    """Lists the classes, or the cells of one.

    Args:
        cell: part of <grid>/<cell id>
    """
    from bench.report.baselines import cells_text, classes_text
    from bench.verdict.baselines.folder import CLASS, read_baseline

    known = sorted(path.parent.name for path in baselines.glob(f"*/{CLASS}"))
    stored = []
    for name in [environment_class] if environment_class else known:
        baseline = read_baseline(baselines, name)
        if baseline is None:
            raise BenchError(
                f"{baselines}: no baseline of class {name!r}",
                hint=f"there are: {', '.join(known) or 'none'}",
            )
        stored.append(baseline)
    if not stored:
        raise BenchError(f"{baselines}: holds no baseline", hint="bench baseline accept RUN")
    if len(stored) > 1 and not cell:
        print(classes_text(stored))
        return EXIT_OK
    texts = [text for baseline in stored if (text := cells_text(baseline, cell))]
    if not texts:
        raise BenchError(f"{baselines}: no cell with {cell!r} in its name")
    print("\n\n".join(texts))
    return EXIT_OK


def check(*, baselines: Baselines = BASELINES) -> int:
    """Reads every stored baseline and says what is wrong with it."""
    from bench.errors import count
    from bench.verdict.baselines import acceptance
    from bench.verdict.baselines.folder import class_folders
    from bench.verdict.ladder import known_items

    classes = class_folders(baselines)
    if not classes:
        raise BenchError(f"{baselines}: holds no baseline, so none was checked")
    problems = acceptance.check(baselines, known_items())
    checked = f"{count(len(classes), 'baseline')} checked, {count(len(problems), 'problem')}"
    print("\n".join([*problems, checked]))
    return EXIT_TROUBLE if problems else EXIT_OK


def migrate(*, baselines: Baselines = BASELINES) -> int:
    """Writes stored baselines in today's form, with checksums; results stay what they are."""
    from bench.verdict.baselines import acceptance

    done = acceptance.migrate(baselines)
    if not done:
        raise BenchError(f"{baselines}: holds no baseline")
    for name, anew in done.items():
        print(f"{name}: {'written anew, with checksums' if anew else 'is in this form already'}")
    return EXIT_OK


def _offer(
    run: str, folders: Folders, cells: Cells, *, differing: bool
) -> tuple[StoredRun, Baseline | None, list[Item], list[Change]]:
    """A run, the baseline of its class, items of the run that are meant, and what they would change.

    Raises:
        BenchError: there is no such run, it has no such grid, or none of its cells is meant.
    """
    from bench.cells.expression import compile_expression
    from bench.results.find import find_run
    from bench.verdict.baselines.acceptance import preview
    from bench.verdict.baselines.folder import read_baseline

    stored = find_run(run, folders.results)
    baseline = read_baseline(folders.baselines, stored.environment.environment_class)
    grids = stored.plan.grids()
    for grid in cells.grid:
        if grid not in grids:
            raise BenchError(f"--grid {grid}: not in this run", hint=f"it has {', '.join(grids)}")
    matches = compile_expression(cells.expression)
    items = [
        item
        for item in stored.plan.items
        if item.grid in (cells.grid or grids) and matches(f"{item.grid}/{item.id}")
    ]
    if not items:
        raise BenchError(
            f"-k {cells.expression!r} matches none of {len(stored.plan.items)} cells",
            hint="it is compared with '<grid>/<cell id>', as the report names cells",
        )
    if differing:
        items = _differing(stored, folders.baselines, items)
    return stored, baseline, items, preview(baseline, stored, items)


def _differing(run: StoredRun, baselines: Path, items: Sequence[Item]) -> list[Item]:
    """Items that the baselines, of whatever class, lack or hold with other bits.

    Raises:
        BenchError: there are none.
    """
    from bench.verdict import bits
    from bench.verdict.judging import baseline_for

    baseline = baseline_for(baselines, run)
    if baseline is None:
        return list(items)
    found = [i for i in items if baseline.find(i) is None or bits.differs(run, baseline, i)]
    if not found:
        raise BenchError(
            f"--differing: all {len(items)} cells have the bits of {baseline.name}",
            hint="there is nothing to accept: that baseline serves this machine as it is",
        )
    return found
