"""Mutation tests of ``bench/verdict``: which small faults do the tests of verdicts not notice?

    tox run -e mutation                                           200 mutants of the ladder's modules
    tox run -e mutation -- --sample 50 --seed 7
    tox run -e mutation -- --modules speed upgrade --sample 0     every mutant of two other modules

mutmut plants the faults, one at a time, and runs the tests that reach the function. This script draws
the sample and prints a Markdown table with a diff of every mutant that no test noticed.
docs/mutation.md says what came of it. mutmut leaves constants of a module and decorated functions as
they are; faults in prose (string literals with a space) are left out here.
"""

from __future__ import annotations

import argparse
import ast
import collections
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "mutants"

#: What decides on each cell: where its bits part, by how much, and what is concluded.
LADDER = (
    "bits",
    "departures",
    "differences",
    "envelope",
    "judging",
    "ladder",
    "traces",
    "weighing",
)

#: mutmut's names of outcomes in which a test noticed the fault.
NOTICED = ("killed", "timeout", "segfault", "suspicious", "caught by type check")


def mutants(module: str) -> list[str]:
    """The names of all mutants of a module of ``bench/verdict`` but those that differ in prose."""
    path = f"bench/verdict/{module}.py"
    mutated = mutate_file_contents(path, (ROOT / path).read_text())
    functions = {
        node.name: _without_prose(node)
        for node in ast.walk(ast.parse(mutated.code))
        if isinstance(node, ast.FunctionDef)
    }
    return [
        f"bench.verdict.{module}.{name}"
        for name in mutated.mutant_names
        if functions[name] != functions[name.rpartition("__")[0] + "__mutmut_orig"]
    ]


def _without_prose(function: ast.FunctionDef) -> str:
    """The function's body and arguments as text, string literals with a space made empty."""
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            node.value = ""
    return "".join(ast.dump(part) for part in (function.args, *function.body))


def drawn(names: Iterable[str], size: int, seed: int) -> list[str]:
    """A sample of the names, the same for the same seed; all of them for size 0 or a larger one."""
    names = sorted(names)
    if not 0 < size < len(names):
        return names
    return sorted(random.Random(seed).sample(names, size))


def run(names: Sequence[str], processes: int) -> dict[str, str]:
    """Runs the tests against each mutant.

    Returns:
        mutmut's word for the outcome, by name.

    Raises:
        SystemExit: mutmut failed, as it does where tests fail without any mutant.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)  # outcomes of tests that have changed since
    done = subprocess.run(
        ["mutmut", "run", "--max-children", str(processes), *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{done.stdout[-5000:]}\n{done.stderr}\nmutmut ended with {done.returncode}")
    codes = {}
    for meta in FOLDER.glob("bench/verdict/*.meta"):
        codes.update(json.loads(meta.read_text())["exit_code_by_key"])
    return {name: status_by_exit_code[codes[name]] for name in names}


def table(outcomes: dict[str, str], of: collections.Counter[str]) -> str:
    """Mutants by module: how many there are, were drawn, and were noticed."""
    rows = ["| module | mutants | drawn | noticed | share |", "|:--|--:|--:|--:|--:|"]
    modules = [name.split(".")[2] for name in outcomes]
    for module in (*of, "all"):
        here = [o for m, o in zip(modules, outcomes.values(), strict=True) if module in (m, "all")]
        noticed = sum(outcome in NOTICED for outcome in here)
        total = of.total() if module == "all" else of[module]
        share = f"{noticed / len(here):.0%}" if here else "-"
        rows.append(f"| {module} | {total:,} | {len(here)} | {noticed} | {share} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--modules", nargs="+", default=LADDER, metavar="NAME")
    parser.add_argument("--sample", type=int, default=200, help="how many mutants; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.chdir(ROOT)  # mutmut reads its configuration here
    by_module = {module: mutants(module) for module in options.modules}
    names = drawn(itertools.chain(*by_module.values()), options.sample, options.seed)
    outcomes = run(names, options.processes)
    of = collections.Counter({module: len(found) for module, found in by_module.items()})
    for name, outcome in outcomes.items():
        if outcome not in NOTICED:
            shown = subprocess.run(
                ["mutmut", "show", name], cwd=ROOT, capture_output=True, text=True, check=True
            )
            print(f"{shown.stdout.strip()}\n")
    print(f"Seed {options.seed}\n\n{table(outcomes, of)}")


if __name__ == "__main__":
    main()
