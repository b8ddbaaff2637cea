"""What ``bench upgrade`` does. Imports no TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import mnist
from bench.commands.reproduce import script_path, write_reproducers
from bench.environments.prepare import prepare
from bench.environments.requirements import Side as Requested
from bench.environments.requirements import parse_side
from bench.errors import BenchError, allowed
from bench.execution import machine
from bench.execution.cluster import Placement
from bench.jobs.upgrade import Options, UpgradeRun, planned
from bench.report.github import append_step_summary
from bench.results.files import write_atomically
from bench.results.find import is_upgrade
from bench.results.plan import Item
from bench.results.run import REPORT
from bench.results.timings import SIDES, Side
from bench.results.upgrade import Measured, read_upgrade
from bench.results.writer import claim, new_run_name
from bench.verdict.conclusion import Conclusion, of_upgrade

JSON = "upgrade-report.json"


def upgrade(arguments: argparse.Namespace) -> int:
    """Builds both environments, measures, answers, writes the reports."""
    begin = time.monotonic()
    asked = sides_of(arguments)
    folder = _folder(arguments)
    options = dataclasses.replace(
        options_of(arguments, folder),
        resume=arguments.resume,
        skip=arguments.skip,
        variables={side: asked[side].variables for side in SIDES},
    )
    cache = arguments.cache or mnist.cache_directory()
    say = printer()
    say(f"results: {folder}")
    try:
        measured = _measured(arguments, asked, options, cache, say)
    except KeyboardInterrupt:
        if is_upgrade(folder):
            say(f"to go on: the same command with --run {folder.name} --resume")
        raise
    code = tell(of_upgrade(measured), total_sec=time.monotonic() - begin)
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
    environments = prepare(
        [asked[side] for side in SIDES],
        cache=cache,
        python=arguments.python,
        refresh=arguments.refresh,
        say=say,
    )
    built = dict(zip(SIDES, environments, strict=True))
    if (
        built["old"].python == built["new"].python
        and options.variables["old"] == options.variables["new"]
    ):
        say("both sides are the same: what is found is noise")
    return UpgradeRun(options, built, stream=sys.stdout).measure()


def options_of(arguments: argparse.Namespace, folder: Path) -> Options:
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


def tell(found: Conclusion, *, total_sec: float | None = None) -> int:
    """Writes the reports of an upgrade, prints the summary and gives the exit code."""
    from bench.report.upgrade.report import upgrade_lines, upgrade_summary

    folder = found.folder
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
    from bench.report.markdown import markdown
    from bench.report.upgrade.report import upgrade_lines, upgrade_report

    found = of_upgrade(read_upgrade(folder))
    paths = {judgement.item: script_path(found, judgement) for judgement in found.failing}
    scripts = {item: str(path) for item, path in paths.items() if path.exists()}
    if output:
        text = markdown(upgrade_report(found, reproducers=scripts), figures=False)
        if output == "-":
            print(text, end="")
            return found.exit_code
        write_atomically(Path(output), text.encode())
    else:
        _write_reports(found, None, scripts)
    written = Path(output) if output else folder / REPORT
    print("\n".join(upgrade_lines(found, reproducers=scripts, report=written)))
    return found.exit_code


def _write_reports(found: Conclusion, total_sec: float | None, scripts: Mapping[Item, str]) -> None:
    from bench.report.files import write_document
    from bench.report.upgrade.report import upgrade_json, upgrade_report

    folder = found.folder
    write_document(upgrade_report(found, total_sec=total_sec, reproducers=scripts), folder)
    data = upgrade_json(found, total_sec=total_sec, reproducers=scripts)
    write_atomically(folder / JSON, data.encode())


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


def printer() -> Callable[[str], None]:
    return lambda text: print(text, flush=True)
