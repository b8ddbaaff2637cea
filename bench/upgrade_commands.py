"""What ``bench upgrade``, ``matrix`` and ``reproduce`` do. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import itertools
import math
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench import mnist
from bench.errors import (
    EXIT_OK,
    EXIT_REGRESSED,
    EXIT_TROUBLE,
    EXIT_UNDECIDED,
    BenchError,
    allowed,
)
from bench.execution import machine
from bench.execution.cluster import Placement
from bench.execution.environments import prepare, prepare_pair
from bench.execution.interpreters import Interpreter, choose, find
from bench.execution.requirements import Side as Requested
from bench.execution.requirements import parse_side, pythons
from bench.find import is_upgrade
from bench.report.github import append_step_summary
from bench.report.reproducer import script
from bench.reproduce import Reproduction, check, steps_to_show
from bench.run import REPORT, Item, claim, new_run_name, write_atomically
from bench.timings import SIDES, Side
from bench.upgrade import Options, UpgradeRun, planned
from bench.upgrade_folder import read_upgrade
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.upgrade import Measured, SideFacts, Upgrade, conclude

HTML = "report.html"
JSON = "upgrade-report.json"

#: Each takes half a minute: three seeds on two sides.
MOST_REPRODUCERS = 3
#: Of one run of a script: it imports TensorFlow and takes some hundred steps at most.
SCRIPT_SEC = 120.0


def upgrade(arguments: argparse.Namespace) -> int:
    """Builds both environments, measures, answers, writes the reports."""
    begin = time.monotonic()
    asked = sides_of(arguments)
    folder = _folder(arguments)
    options = dataclasses.replace(
        _options(arguments, folder),
        resume=arguments.resume,
        skip=arguments.skip,
        variables={side: asked[side].variables for side in SIDES},
    )
    cache = arguments.cache or mnist.cache_directory()
    say = _printer()
    say(f"results: {folder}")
    try:
        measured = _measured(arguments, asked, options, cache, say)
    except KeyboardInterrupt:
        if is_upgrade(folder):
            say(f"to go on: the same command with --run {folder.name} --resume")
        raise
    code = tell(conclude(measured), total_sec=time.monotonic() - begin)
    return allowed(code, undecided=arguments.allow_undecided)


def _folder(arguments: argparse.Namespace) -> Path:
    """Where the upgrade is kept.

    Raises:
        BenchError: there is one already, or none to resume, or another process writes to it; said
            before environments are built.
    """
    folder: Path = arguments.results / (arguments.run or f"{new_run_name(arguments.tier)}-upgrade")
    if arguments.resume and not (arguments.run and is_upgrade(folder)):
        what = f"{folder}: no such upgrade" if arguments.run else "which one?"
        raise BenchError(
            f"--resume: {what}", hint=f"name one with --run; `ls {arguments.results}` lists them"
        )
    if arguments.resume:
        claim(folder, resume=True).release()
    if not arguments.resume and is_upgrade(folder):
        raise BenchError(
            f"{folder}: already holds an upgrade",
            hint="continue it with --resume, or choose another --run NAME",
        )
    return folder


def _measured(
    arguments: argparse.Namespace,
    asked: Mapping[Side, Requested],
    options: Options,
    cache: Path,
    say: Callable[[str], None],
) -> Measured:
    """Builds both environments and measures in them."""
    built = dict(
        zip(
            SIDES,
            prepare_pair(
                asked["old"],
                asked["new"],
                cache=cache,
                python=arguments.python,
                refresh=arguments.refresh,
                say=say,
            ),
            strict=True,
        )
    )
    old, new = (built[side].python for side in SIDES)
    if old == new and options.variables["old"] == options.variables["new"]:
        say("both sides are the same: what is found is noise")
    return UpgradeRun(options, built, stream=sys.stdout).measure()


def _options(arguments: argparse.Namespace, folder: Path) -> Options:
    """What an upgrade and a matrix have in common.

    Raises:
        BenchError: what is asked for cannot be measured here: said before environments are built, which
            takes minutes.
    """
    options = Options(
        tier=arguments.tier,
        folder=folder,
        grids=arguments.grid,
        expression=arguments.k,
        seeds=arguments.seeds,
        placement=placement(arguments),
        data_dir=arguments.data_dir,
    )
    planned(options)
    return options


def tell(found: Upgrade, *, total_sec: float | None = None) -> int:
    """Writes the reports of an upgrade, prints the summary and gives the exit code."""
    from bench.report.upgrade import upgrade_lines, upgrade_summary

    folder = found.measured.path
    _write_reports(
        found, total_sec, {}
    )  # scripts take minutes, in which somebody may lose patience
    scripts = write_reproducers(found)
    if scripts:
        _write_reports(found, total_sec, scripts)
    summary = upgrade_summary(found, total_sec=total_sec, reproducers=scripts)
    warning = append_step_summary(summary)
    lines = upgrade_lines(found, total_sec=total_sec, reproducers=scripts, report=folder / REPORT)
    print("\n".join(lines))
    if warning:
        print(warning)
    return found.exit_code


def report(folder: Path, output: str | None) -> int:
    """Judges a stored upgrade again and writes its reports, or one of them to ``output`` (``-``:
    standard output); gives the exit code. Scripts are those that there are."""
    from bench.report.upgrade import upgrade_lines, upgrade_report

    found = conclude(read_upgrade(folder))
    paths = {judgement.item: _script_path(found, judgement) for judgement in found.failing}
    scripts = {item: str(path) for item, path in paths.items() if path.exists()}
    if output:
        text = upgrade_report(found, reproducers=scripts)
        if output == "-":
            print(text, end="")
            return found.exit_code
        write_atomically(Path(output), text.encode())
    else:
        _write_reports(found, None, scripts)
    written = Path(output) if output else folder / REPORT
    print("\n".join(upgrade_lines(found, reproducers=scripts, report=written)))
    return found.exit_code


def _script_path(found: Upgrade, judgement: Judgement) -> Path:
    return found.measured.path / "reproducers" / f"{_slug(judgement.item.id)}.py"


def _write_reports(found: Upgrade, total_sec: float | None, scripts: Mapping[Item, str]) -> None:
    from bench.report.html import page
    from bench.report.upgrade import upgrade_json, upgrade_report

    folder = found.measured.path
    text = upgrade_report(found, total_sec=total_sec, reproducers=scripts)
    data = upgrade_json(found, total_sec=total_sec, reproducers=scripts)
    write_atomically(folder / REPORT, text.encode())
    write_atomically(folder / HTML, page(text, title=f"Upgrade: {found.answer.value}").encode())
    write_atomically(folder / JSON, data.encode())


def write_reproducers(found: Upgrade) -> dict[Item, str]:
    """Scripts that show what changed, one for each of the first groups of changed cells and crashes:
    written below the upgrade's folder, run on both sides, and kept if they show it.

    Returns:
        their paths, by the cell that each is made for.
    """
    from bench.report.upgrade_changes import changed_groups

    groups = [judgements for _, judgements in changed_groups(found)]
    crashed = {j.item.cell: j for j in found.failing if j.verdict is Verdict.CRASHED}
    groups += [[judgement] for judgement in crashed.values()]
    scripts: dict[Item, str] = {}
    for judgements in groups[:MOST_REPRODUCERS]:
        chosen = min(judgements, key=_plainest)
        path = _script_path(found, chosen)
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


def write_reproducer(found: Upgrade, judgement: Judgement, path: Path) -> Reproduction:
    """Writes the script of one cell, and runs it on both sides, on the device where it was trained.

    Raises:
        BenchError: no script can show what was found, or a side's interpreter is gone.
    """
    measured = found.measured
    sides, runs = measured.sides, (measured.old, measured.new)
    one, other = (run.environment.software["tensorflow"] for run in runs)
    text = script(judgement, seed=0, steps=steps_to_show(judgement), versions=(one, other))
    write_atomically(path, text.encode())
    if measured.new.plan.device == "cpu":  # TensorFlow takes a GPU where it sees one
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
    found = conclude(read_upgrade(folder))
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
    path = arguments.output or _script_path(found, judgement)
    shown = write_reproducer(found, judgement, path)
    print(f"{path}\n{shown.reason}")
    return EXIT_OK if shown.shown else EXIT_UNDECIDED


def matrix(arguments: argparse.Namespace) -> int:
    """Measures a chain of versions, step by step, and writes one table."""
    from bench.report.matrix import matrix_json, matrix_table

    sides = [parse_side(text, package=arguments.package) for text in arguments.requirements]
    labels = [_slug(text) for text in arguments.requirements]
    if len(sides) < 2 or len(set(labels)) < len(labels):
        raise BenchError(
            "a chain has two versions or more, each once", hint="bench matrix 2.20 2.21"
        )
    folder = arguments.results / (arguments.run or f"{new_run_name(arguments.tier)}-matrix")
    options = dataclasses.replace(
        _options(arguments, folder), resume=True, skip={*arguments.skip, "speed"}
    )
    say = _printer()
    cache = arguments.cache or mnist.cache_directory()
    python = _common_python(sides, arguments.python)
    built = [
        prepare(side, cache=cache, python=python, refresh=arguments.refresh, say=say)
        for side in sides
    ]
    chain = []
    for (one, old), (other, new) in itertools.pairwise(zip(labels, built, strict=True)):
        say(f"from {one} to {other}")
        step = dataclasses.replace(
            options,
            folder=folder / f"{one}-to-{other}",
            runs={"old": folder / one, "new": folder / other},
        )
        run = UpgradeRun(step, {"old": old, "new": new}, stream=sys.stdout)
        found = conclude(run.measure())
        tell(found)
        chain.append(found)
        write_atomically(folder / "matrix.md", matrix_table(chain).encode())
        write_atomically(folder / "matrix.json", matrix_json(chain).encode())
    print(matrix_table(chain))
    codes = {found.exit_code for found in chain}
    worst = next(c for c in (EXIT_REGRESSED, EXIT_TROUBLE, EXIT_UNDECIDED, EXIT_OK) if c in codes)
    return allowed(worst, undecided=arguments.allow_undecided)


def _common_python(sides: Sequence[Requested], asked: str) -> Interpreter | None:
    """An interpreter on which every version of a chain runs, so that it is no difference between them;
    None if there is none here.

    Raises:
        BenchError: the one that was asked for cannot be had, or is not for every version.
    """
    minors = frozenset.intersection(*(pythons(side) for side in sides))
    if asked:
        return choose(sides[0], sides[-1], python=asked)[0]
    return next(filter(None, map(find, sorted(minors, reverse=True))), None)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")


def sides_of(arguments: argparse.Namespace) -> dict[Side, Requested]:
    """The two sides that were asked for.

    Requirements are given in order; a side with an interpreter of its own needs none. One requirement
    alone, or one interpreter, stands for both sides where their variables differ.

    Raises:
        BenchError: too few or too many, or the sides are one and the same by mistake.
    """
    texts = list(arguments.requirements)
    pythons: dict[Side, str] = {"old": arguments.old_python, "new": arguments.new_python}
    variables: dict[Side, Sequence[str]] = {"old": arguments.old_env, "new": arguments.new_env}
    open_sides = [side for side in SIDES if not pythons[side]]
    if len(texts) > len(open_sides):
        raise BenchError(
            f"{len(texts)} sides are given by requirements, and "
            f"{len(SIDES) - len(open_sides)} by interpreters",
            hint='a side with several requirements is one argument: "tensorflow-cpu==2.21.0 '
            'keras==3.12.*"',
        )
    named: dict[Side, tuple[str, str]] = {}
    for side in SIDES:
        if pythons[side]:
            named[side] = ("", pythons[side])
        elif texts:
            named[side] = (texts.pop(0), "")
    if len(named) == 1 and set(variables["old"]) != set(variables["new"]):
        named |= {side: next(iter(named.values())) for side in SIDES}
    if len(named) < len(SIDES):
        raise BenchError(
            "two sides are needed",
            hint="bench upgrade OLD NEW; or one of them and --new-env NAME=VALUE for the same "
            "version under another setting",
        )
    return {
        side: parse_side(text, python=python, variables=variables[side], package=arguments.package)
        for side, (text, python) in named.items()
    }


def placement(arguments: argparse.Namespace) -> Placement:
    """Where replicas of both sides run.

    Raises:
        BenchError: a GPU was asked for and there is none, or too few workers.
    """
    if arguments.workers is not None and arguments.workers < 1:
        raise BenchError("--workers must be above 0", hint="leave it out for the default")
    if arguments.device == "gpu" and not machine.gpus():
        raise BenchError(
            "no GPU: nvidia-smi lists none that CUDA_VISIBLE_DEVICES leaves visible",
            hint="run on a machine with an NVIDIA GPU and its driver, or use --device cpu",
        )
    return Placement(
        device=arguments.device,
        workers=arguments.workers,
        cell_timeout_sec=arguments.cell_timeout,
    )


def _printer() -> Callable[[str], None]:
    return lambda text: print(text, flush=True)
