"""What ``bench baseline accept|diff|show|check`` do. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.cells.expression import compile_expression
from bench.errors import EXIT_OK, EXIT_TROUBLE, BenchError
from bench.report.baselines import cells_text, classes_text, preview_text
from bench.report.run.words import known_items
from bench.report.text import count
from bench.results.find import find_run
from bench.results.plan import Item
from bench.verdict.baselines import acceptance
from bench.verdict.baselines.folder import CLASS, Baseline, read_baseline


def accept(arguments: argparse.Namespace) -> int:
    """Shows what would change, asks, and writes."""
    run = find_run(arguments.run, arguments.results)
    baseline = read_baseline(arguments.baselines, run.environment.environment_class)
    items = _selected(run.plan.items, arguments.k, arguments.grid)
    changes = acceptance.preview(baseline, run, items)
    remarks = (
        acceptance.notes(baseline, run, items)
        if changes or acceptance.gains(baseline, run, items)
        else []
    )
    print(preview_text(changes, run, baseline, most_new=10, notes=remarks))
    if not remarks and not changes:
        return EXIT_OK
    reason = arguments.reason
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise BenchError(
                "nothing was accepted: nobody can be asked here", hint="add --yes to accept"
            )
        if not reason:
            reason = input("Why are these results right? ")
        answer = input(f"Accept for {run.environment.environment_class}? [y/N] ")
        if answer.lower() not in ("y", "yes"):
            print("Nothing was accepted.")
            return EXIT_TROUBLE
    stored = acceptance.accept(
        arguments.baselines,
        run,
        baseline,
        items,
        reason=reason,
        reviewer=arguments.reviewer,
        force=arguments.force,
    )
    print(
        f"\nAccepted {stored.acceptances[-1].cells} cells into "
        f"{arguments.baselines / stored.environment_class}: review the diff and commit it."
    )
    return EXIT_OK


def diff(arguments: argparse.Namespace) -> int:
    """Shows what accepting would change, and writes nothing."""
    run = find_run(arguments.run, arguments.results)
    baseline = read_baseline(arguments.baselines, run.environment.environment_class)
    items = _selected(run.plan.items, arguments.k, arguments.grid)
    changes = acceptance.preview(baseline, run, items)
    print(preview_text(changes, run, baseline, notes=acceptance.notes(baseline, run, items)))
    return EXIT_OK


def show(arguments: argparse.Namespace) -> int:
    """Lists the classes, or the cells of one."""
    root: Path = arguments.baselines
    known = sorted(path.parent.name for path in root.glob(f"*/{CLASS}"))
    wanted = [arguments.environment_class] if arguments.environment_class else known
    found: list[Baseline] = []
    for name in wanted:
        baseline = read_baseline(root, name)
        if baseline is None:
            raise BenchError(
                f"{root}: no baseline of class {name!r}",
                hint=f"there are: {', '.join(known) or 'none'}",
            )
        found.append(baseline)
    if not found:
        raise BenchError(f"{root}: holds no baseline", hint="bench baseline accept RUN")
    if len(found) == 1 or arguments.cell:
        text = "\n\n".join(filter(None, (cells_text(one, arguments.cell) for one in found)))
        if not text:
            raise BenchError(f"{root}: no cell with {arguments.cell!r} in its name")
    else:
        text = classes_text(found)
    print(text)
    return EXIT_OK


def check(arguments: argparse.Namespace) -> int:
    """Reads every stored baseline and says what is wrong with it."""
    root: Path = arguments.baselines
    classes = [path for path in root.glob("*") if path.is_dir()]
    if not classes:
        raise BenchError(f"{root}: holds no baseline, so none was checked")
    problems = acceptance.check(root, known_items())
    checked = f"{count(len(classes), 'baseline')} checked, {count(len(problems), 'problem')}"
    print("\n".join([*problems, checked]))
    return EXIT_TROUBLE if problems else EXIT_OK


def _selected(items: Sequence[Item], expression: str, grids: Sequence[str]) -> list[Item]:
    matches = compile_expression(expression)
    known = dict.fromkeys(item.grid for item in items)
    for grid in grids:
        if grid not in known:
            raise BenchError(f"--grid {grid}: not in this run", hint=f"it has {', '.join(known)}")
    found = [
        item
        for item in items
        if (not grids or item.grid in grids) and matches(f"{item.grid}/{item.id}")
    ]
    if not found:
        raise BenchError(
            f"-k {expression!r} matches none of {len(items)} cells",
            hint="it is compared with '<grid>/<cell id>', as the report names cells",
        )
    return found
