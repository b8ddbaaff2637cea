"""The command ``bench upgrade``."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Group, Parameter

from bench.commands.options import Environments, Measuring, Own, Resume, RunName, Verbose
from bench.errors import BenchError, allowed
from bench.results.find import is_upgrade
from bench.results.run import REPORT
from bench.results.timings import SIDES

if TYPE_CHECKING:
    from bench.environments.requirements import Side as Requested
    from bench.jobs.own_model import Asked
    from bench.jobs.upgrade import Options
    from bench.results.timings import Side
    from bench.results.upgrade import Measured
    from bench.verdict.conclusion import Conclusion


@Parameter(name="*", group=Group("Sides", sort_key=0))
@dataclass(frozen=True, kw_only=True)
class Sides:
    """Interpreters and variables of the sides.

    Args:
        old_python: the old side is this interpreter or virtual environment
        old_env: NAME=VALUE of the environment of the old side's processes; may be repeated
        new_python: the new side is this interpreter or virtual environment
        new_env: NAME=VALUE of the environment of the new side's processes; may be repeated
    """

    old_python: str = ""
    old_env: tuple[str, ...] = ()
    new_python: str = ""
    new_env: tuple[str, ...] = ()


def upgrade(
    *side: str,
    skip: tuple[Literal["cells", "checks", "arithmetic", "saving", "speed"], ...] = (),
    run: RunName = "",
    resume: Resume = False,
    automatic: bool = False,
    limit: float = 30.0,
    verbose: Verbose = False,
    sides: Sides = Sides(),
    own: Own = Own(),
    measuring: Measuring = Measuring(),
) -> int:
    """Builds both environments, measures, answers, writes the reports.

    Args:
        side: OLD, then NEW: pip requirements such as tensorflow-cpu==2.21.0, or a version; wheels,
            a checkout of Keras and the address of an index may stand among them
        skip: leave this part out; may be repeated; arithmetic is all checks but contracts
        automatic: then bisect what speaks against it: which package, which release, what avoids it
        limit: minutes after which bisecting begins nothing more
    """
    from bench.verdict.conclusion import of_upgrade

    begin = time.monotonic()
    asked = requested(side, sides, package=measuring.environments.package)
    folder = _folder(measuring.places.results, run, tier=measuring.tier, resume=resume)
    variables = {each: asked[each].variables for each in SIDES}
    options = job_options(
        measuring, folder, resume=resume, skip=skip, variables=variables, model=_asked(own)
    )
    say(f"results: {folder}")
    try:
        measured = _measured(asked, options, measuring.environments)
    except KeyboardInterrupt:
        if is_upgrade(folder):
            say(f"to go on: the same command with --run {folder.name} --resume")
        raise
    found = of_upgrade(measured)
    if automatic:
        found = _blamed(found, measuring, limit=limit)
    code = tell(found, total_sec=time.monotonic() - begin, verbose=verbose)
    return allowed(code, undecided=measuring.allow_undecided)


def requested(side: Sequence[str], sides: Sides, *, package: str) -> dict[Side, Requested]:
    """The two sides that were asked for.

    Requirements are given in order; a side with an interpreter of its own needs none. One requirement
    alone, or one interpreter, stands for both sides where their variables differ.

    Args:
        side: requirements.
        sides: interpreters and variables.
        package: what bare versions are versions of.

    Raises:
        BenchError: too few or too many, or the sides are one and the same by mistake.
    """
    from bench.environments.requirements import parse_side

    texts = list(side)
    pythons: dict[Side, str] = {"old": sides.old_python, "new": sides.new_python}
    variables: dict[Side, Sequence[str]] = {"old": sides.old_env, "new": sides.new_env}
    given = sum(map(bool, pythons.values()))
    if len(texts) + given > len(SIDES):
        raise BenchError(
            f"{len(texts)} sides are given by requirements, and {given} by interpreters",
            hint='a side with several requirements is one argument: "tensorflow-cpu==2.21.0 '
            'keras==3.12.*"',
        )
    pairs = {
        each: ("" if pythons[each] or not texts else texts.pop(0), pythons[each]) for each in SIDES
    }
    named = {each: pair for each, pair in pairs.items() if any(pair)}
    if len(named) == 1 and set(variables["old"]) != set(variables["new"]):
        named |= {each: next(iter(named.values())) for each in SIDES}
    if len(named) < len(SIDES):
        raise BenchError(
            "two sides are needed",
            hint="bench upgrade OLD NEW; or one of them and --new-env NAME=VALUE for the same "
            "version under another setting",
        )
    return {
        each: parse_side(text, python=python, variables=variables[each], package=package)
        for each, (text, python) in named.items()
    }


def _asked(own: Own) -> Asked | None:
    """The user's model, if one is given.

    Raises:
        BenchError: it cannot be used.
    """
    from bench.jobs.own_model import asked

    if not own.model:
        if own.arrays is not None:
            raise BenchError(
                "--arrays are of a model", hint="give it with --model FILE.py:FUNCTION"
            )
        return None
    return asked(own.model, arrays=own.arrays, steps=own.steps, batch=own.batch)


def _folder(results: Path, run: str, *, tier: str, resume: bool) -> Path:
    """The folder of the upgrade.

    Raises:
        BenchError: there is one already, or none to resume, or another process writes to it; raised
            before environments are built.
    """
    from bench.results.writer import claim, new_run_name

    folder = results / (run or f"{new_run_name(tier)}-upgrade")
    if resume and not (
        run and folder.is_dir()
    ):  # one that was killed early has no more than a folder
        what = f"{folder}: no such upgrade" if run else "which one?"
        raise BenchError(
            f"--resume: {what}", hint=f"name one with --run; `ls {results}` lists them"
        )
    if resume:
        claim(folder, resume=True).release()
    elif is_upgrade(folder):
        raise BenchError(
            f"{folder}: already holds an upgrade",
            hint="continue it with --resume, or choose another --run NAME",
        )
    return folder


def job_options(measuring: Measuring, folder: Path, **more: Any) -> Options:
    """The options of the job that measures an upgrade, or a step of a matrix.

    Raises:
        BenchError: what is asked for cannot be measured here: raised before environments are built,
            which takes minutes.
    """
    from bench.cells.own_grids import with_own
    from bench.execution import machine
    from bench.execution.cluster import Placement
    from bench.jobs.upgrade import Options, planned

    places = measuring.places
    if places.device == "gpu" and not machine.gpus():
        raise BenchError(
            "no GPU: nvidia-smi lists none that CUDA_VISIBLE_DEVICES leaves visible",
            hint="run on a machine with an NVIDIA GPU and its driver, or use --device cpu",
        )
    options = Options(
        tier=measuring.tier,
        folder=folder,
        grids=measuring.cells.grid,
        known=with_own(measuring.grid_file),
        expression=measuring.cells.expression,
        seeds=measuring.seeds,
        placement=Placement(
            device=places.device, workers=places.workers, cell_timeout_sec=places.cell_timeout
        ),
        data_dir=places.data_dir,
        **more,
    )
    if options.model is None:
        planned(options)
    elif options.grids:
        raise BenchError("--grid selects grids, and a model is none", hint="leave out one of both")
    elif "cells" in options.skip:
        raise BenchError(
            "--skip cells leaves out the model, which is all that is compared",
            hint="leave out one of both",
        )
    return options


def _measured(
    asked: Mapping[Side, Requested], options: Options, environments: Environments
) -> Measured:
    """Builds both environments and measures in them."""
    from bench import mnist
    from bench.environments.prepare import prepare
    from bench.jobs.upgrade import UpgradeRun

    pair = prepare(
        [asked[side] for side in SIDES],
        cache=environments.cache or mnist.cache_directory(),
        python=environments.python,
        refresh=environments.refresh,
        say=say,
    )
    built = dict(zip(SIDES, pair, strict=True))
    old, new = (built[side].python for side in SIDES)
    if old == new and options.variables["old"] == options.variables["new"]:
        say("both sides are the same: what is found is noise")
    return UpgradeRun(options, built, stream=sys.stdout).measure()


def _blamed(found: Conclusion, measuring: Measuring, *, limit: float) -> Conclusion:
    """An upgrade with what its findings are blamed on. It stands, whatever becomes of bisecting."""
    from bench.commands.bisect import investigate
    from bench.jobs.bisecting import side_again
    from bench.jobs.findings import found_by

    findings = found_by(found)
    if not findings:
        return found
    asked = {each: side_again(found.sides[each]) for each in SIDES}
    try:
        blames = investigate(
            findings, asked, found.folder, measuring.environments, measuring.places, limit=limit
        )
    except BenchError as error:
        say(f"not bisected: {error}")
        return found
    return dataclasses.replace(found, blames=blames)


def tell(found: Conclusion, *, total_sec: float | None = None, verbose: bool = False) -> int:
    """Writes the reports of an upgrade, prints the summary and gives the exit code."""
    from bench.jobs.reproducers import write_reproducers
    from bench.report.files import write_reports
    from bench.report.github import append_step_summary
    from bench.report.short import short_report
    from bench.report.terminal import summary_lines

    # Users may lose patience while scripts run, for minutes.
    write_reports(found, total_sec=total_sec)
    scripts = write_reproducers(found, say)
    if scripts:
        write_reports(found, total_sec=total_sec, reproducers=scripts)
    warning = append_step_summary(short_report(found, total_sec=total_sec, reproducers=scripts))
    report = found.folder / REPORT
    lines = summary_lines(
        found, total_sec=total_sec, reproducers=scripts, report=report, verbose=verbose
    )
    print("\n".join([*lines, *filter(None, [warning])]))
    return found.exit_code


def say(text: str) -> None:
    """Prints at once: what follows takes minutes."""
    print(text, flush=True)
